#include "tools/rlctl/top/looker.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>

#include "src/describe.hpp"
#include "tools/rlctl/key_filter.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl::live {
namespace {

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Counts never go down, but another segment may have come between two readings.
std::uint64_t added(std::uint64_t now, std::uint64_t before) {
  return now > before ? now - before : 0;
}

KeyCounts added(const KeyCounts& now, const KeyCounts& before) {
  return {added(now.allowed, before.allowed), added(now.denied, before.denied)};
}

Row row_of(const View& view, LimitTexts& limits, const Measure& measure) {
  Row row{measure, describe_slot(view, measure.slot).value_or(KeyInfo{}), {}};
  row.measure.name = shown_name(row.key);
  row.limit = limits[row.key];
  return row;
}

/// Whether the slot holds the key still, so that what was read of it is the key's.
bool is_there(const View& view, const Measure& measure) {
  const std::uint64_t tag = view.table.slot(measure.slot).words().tag;
  return shm::is_member_of(tag, measure.identity);
}

}  // namespace

struct Looker::Opened {
  Opened(const std::string& name, const std::string& path, bool any_owner)
      : segment(Segment::open_read_only(name, {.any_owner = any_owner})),
        view(shm::Mapping::attach(path, shm::Access::read_only, any_owner), path),
        walk(view),
        events(segment) {}

  void count(const Wish& wish, Look& look) {
    const Totals totals = segment.totals();
    for (const PolicyTotals& policy : totals.policies) {
      const KeyCounts now{policy.allowed, policy.denied};
      KeyCounts& before = counted[policy.policy];
      const KeyCounts since = has_looked ? added(now, before) : KeyCounts{};
      before = now;
      look.since_all.allowed += since.allowed;
      look.since_all.denied += since.denied;
      if (policy.policy == wish.policy) look.since_policy = since;
      look.policies.push_back(policy.policy);
    }
  }

  void walk_over(const Wish& wish, Look& look) {
    LimitTexts limits(segment);
    Walked walked = walk.walk(wish);
    look.policy = wish.policy;
    look.keys = walked.keys;
    look.live = walked.live;
    look.taken = walked.taken;
    look.is_whole = walk.is_whole();
    for (const Measure& measure : walked.first) {
      Row row = row_of(view, limits, measure);
      if (is_there(view, measure)) look.rows.push_back(std::move(row));
    }
    if (walked.one) look.one = row_of(view, limits, *walked.one);
  }

  Segment segment;
  View view;
  TableWalk walk;
  Events events;
  std::map<std::string, KeyCounts> counted;  ///< by policy, at the last look
  double looked_s = 0;
  bool has_looked = false;
};

Looker::Looker(std::string name, bool any_owner)
    : name_(std::move(name)),
      path_(shm::path_of(name_)),
      any_owner_(any_owner),
      opened_(std::make_shared<Opened>(name_, path_, any_owner)) {}

/// Goes over to the segment that has the name now.
void Looker::follow() {
  const shm::Mapping& mapping = opened_->view.mapping;
  notice_ = replaced_;
  struct stat st {};
  if (::stat(path_.c_str(), &st) != 0) {
    notice_ = errno == ENOENT
                  ? fmt::format(
                        "{} was removed: this is what its processes go on with until there "
                        "is a new one",
                        name_)
                  : fmt::format("{}: {}; this is what was there", path_, shm::errno_text(errno));
    return;
  }
  if (st.st_dev == mapping.device() && st.st_ino == mapping.inode()) {
    if (static_cast<std::uint64_t>(st.st_size) >= mapping.constants().total_bytes) return;
    throw Error(Errc::corrupt, fmt::format("{}: was truncated while it was looked at; stop those "
                                           "who use it, remove it, and create it anew",
                                           path_));
  }
  try {
    opened_ = std::make_shared<Opened>(name_, path_, any_owner_);
    replaced_ = fmt::format("{} was replaced: this is the new one, since {}", name_,
                            iso_time(std::chrono::system_clock::now()));
    notice_ = replaced_;
  } catch (const Error& e) {
    notice_ = fmt::format("{} was replaced by what cannot be read: {}", name_, e.what());
  }
}

Look Looker::look(const Wish& wish) {
  follow();
  Opened& opened = *opened_;
  Look look;
  look.notice = notice_;
  look.has_rates = opened.has_looked;
  look.from_s = opened.looked_s;
  look.at_s = now_s();
  opened.count(wish, look);
  opened.walk_over(wish, look);
  look.info = opened.segment.vitals();
  look.reaper = opened.segment.reaper();
  look.events_lost =
      opened.events.poll([&](const Event& event) { look.events.push_back(event); }).lost;
  opened.looked_s = look.at_s;
  opened.has_looked = true;
  return look;
}

}  // namespace rl::ctl::live
