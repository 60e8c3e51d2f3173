#include "tools/rlreaper/watch.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "shm/mapping.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlreaper/checkpoint.hpp"

namespace rl::reaper {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 1s;
constexpr auto kRoundEvery = 1s;                       // at most
constexpr std::uint64_t kSlotsPerTickMax = 4'000'000;  // some tens of milliseconds

}  // namespace

Watch::Watch(std::string name, const Options& options, const Notifier& notifier)
    : name_(std::move(name)), options_(options), notifier_(notifier) {}

void Watch::change(const Options& options) {
  const bool is_to_reopen =
      options.idle_for != options_.idle_for || options.any_owner != options_.any_owner;
  options_ = options;
  if (is_to_reopen) held_.reset();
  if (held_) held_->reaper.rank_denied(options_.top_denied);
  next_look_ = next_checkpoint_ = {};
  said_of_opening_.clear();
  said_of_checkpoint_.clear();
}

void Watch::tick(Clock::time_point now) {
  if (now >= next_look_) look(now);
  if (!held_ || !leads_) return;
  sweep(now);
  if (!options_.checkpoint.empty() && now >= next_checkpoint_)
    checkpoint(now, [this] {
      notifier_.alive();
      return !Signals::is_ending();
    });
}

/// Once a second: is it there, is it still the same, and do we lead? The library looks at the name
/// when it is asked whether we lead, and may bring the segment back.
void Watch::look(Clock::time_point now) {
  next_look_ = now + kLookEvery;
  bool leads = held_ && held_->reaper.lead();
  if (held_ && !is_where_it_was()) {
    held_.reset();
    leads_ = false;
  }
  if (!held_) {
    open();
    leads = held_ && held_->reaper.lead();
  }
  if (held_) note_lead(leads, now);
}

bool Watch::is_where_it_was() const {
  struct stat st {};
  if (::stat(held_->segment.path().c_str(), &st) != 0) {
    say(fmt::format("{}: has vanished; waiting for a segment of that name", name_));
    return false;
  }
  if (st.st_dev == held_->device && st.st_ino == held_->inode) return true;
  say(fmt::format("{}: was replaced by another; going on with that", name_));
  return false;
}

void Watch::open() {
  try {
    const SegmentOptions options{.any_owner = options_.any_owner};
    try {
      take_up(Segment::open(name_, options), "opened");
    } catch (const Error& e) {
      if (e.code() != Errc::not_found || was_there_ || !options_.restore) throw;
      const Restored made =
          restore(name_, checkpoint_file(options_.checkpoint, name_), options_.keep);
      if (made.file.empty()) throw;
      say(fmt::format("{}: made from {}: {}, {} left out, {} without room", name_, made.file,
                      ctl::counted(made.report.keys, "key", "keys"), made.report.unknown,
                      made.report.no_room));
      take_up(Segment::open(name_, options), "restored");
    }
  } catch (const Error& e) {
    say_once(said_of_opening_, fmt::format("{}; trying again each second", e.what()));
  }
}

void Watch::take_up(Segment segment, const char* how) {
  struct stat st {};
  if (::stat(segment.path().c_str(), &st) != 0) return;  // gone again: the next look says so
  Reaper reaper(segment, options_.idle_for);
  reaper.rank_denied(options_.top_denied);
  held_.emplace(Held{std::move(segment), std::move(reaper), st.st_dev, st.st_ino});
  in_round_ = last_round_ = {};
  was_there_ = true;  // who removes it later means it
  said_of_opening_.clear();
  say(fmt::format("{}: {}", name_, how));
}

void Watch::note_lead(bool leads, Clock::time_point now) {
  const bool led = std::exchange(leads_, leads);
  if (leads_ == led) {
    if (!leads_)
      say_once(said_of_opening_, fmt::format("{}: another process sweeps it; standing by", name_));
    return;
  }
  last_sweep_ = now;
  next_checkpoint_ = now + options_.every;
  if (leads_) say(fmt::format("{}: sweeping {} slots", name_, held_->reaper.round()));
}

void Watch::sweep(Clock::time_point now) {
  const bool begins = in_round_.slots == 0;
  if (begins && now < next_round_) return void(last_sweep_ = now);
  const auto passed = std::min<std::chrono::duration<double>>(now - last_sweep_, 1s);
  const auto wanted =
      static_cast<std::uint64_t>(passed.count() * static_cast<double>(options_.rate));
  if (wanted == 0) return;
  if (begins) next_round_ = now + kRoundEvery;
  last_sweep_ = now;
  const std::uint64_t left_of_round =
      held_->reaper.round() - std::min(in_round_.slots, held_->reaper.round());
  in_round_ += held_->reaper.sweep(std::min({wanted, kSlotsPerTickMax, left_of_round}));
  if (in_round_.slots >= held_->reaper.round())
    last_round_ = std::exchange(in_round_, SweepReport{});
}

void Watch::checkpoint(Clock::time_point now, const std::function<bool()>& goes_on) {
  next_checkpoint_ = now + options_.every;
  const std::string file = checkpoint_file(options_.checkpoint, name_);
  try {
    if (!write_checkpoint(held_->segment, file, options_.keep, goes_on)) return;
    ++checkpoints_;
    if (!said_of_checkpoint_.empty()) say(fmt::format("{}: checkpoints are written again", name_));
    said_of_checkpoint_.clear();
  } catch (const Error& e) {
    ++failed_checkpoints_;
    say_once(
        said_of_checkpoint_,
        fmt::format("{}: no checkpoint: {}; the last one stays, and it is tried again every {}",
                    name_, e.what(), ctl::human_duration(options_.every)));
  }
}

void Watch::finish(Clock::time_point deadline) {
  if (!held_ || !leads_ || options_.checkpoint.empty()) return;
  checkpoint(Clock::now(), [&] { return Clock::now() < deadline; });
}

std::string Watch::status() const {
  if (!held_) return fmt::format("{}: not there", name_);
  if (!leads_) return fmt::format("{}: standing by", name_);
  const SweepReport& r = last_round_.slots != 0 ? last_round_ : in_round_;
  const ReaperInfo info = held_->segment.reaper();
  std::string text = fmt::format(
      "{}: {} of {} slots free, {} live, {} apart, {} out, {:.1f} % full; freed {} idle, {}, {}; "
      "{}",
      name_, r.free + r.idle_freed, r.slots, r.live, r.standing,
      ctl::counted(r.permits_out, "permit", "permits"), 100 * r.fill(), info.idle_freed,
      ctl::counted(info.permits_freed, "permit", "permits"),
      ctl::counted(info.tentatives_freed, "insert", "inserts"),
      ctl::counted(info.rounds, "round", "rounds"));
  if (r.corrupt != 0) text += "; corrupt: " + ctl::counted(r.corrupt, "slot", "slots");
  if (!options_.checkpoint.empty())
    text += fmt::format("; {}, {} failed", ctl::counted(checkpoints_, "checkpoint", "checkpoints"),
                        failed_checkpoints_);
  return text;
}

metrics::Facts Watch::facts() const {
  metrics::Facts facts{name_, {}};
  if (!held_) return facts;
  try {
    facts.known = metrics::known_of(held_->segment);
  } catch (const Error&) {  // its bytes are beyond reading
    return facts;
  }
  const SweepReport& r = last_round_;
  if (leads_ && r.slots != 0) facts.known->slots = {r.live, r.standing, r.permits_out};
  if (leads_) facts.known->most_denied = held_->reaper.most_denied();
  return facts;
}

void Watch::say_once(std::string& last, const std::string& line) const {
  if (line == last) return;
  say(line);
  last = line;
}

}  // namespace rl::reaper
