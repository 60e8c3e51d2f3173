// Sweeping a segment, round after round, by the one that leads.
#include <rl/reaper.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "src/change.hpp"
#include "src/lines.hpp"
#include "src/most_denied.hpp"
#include "src/show.hpp"
#include "src/sweep.hpp"

namespace rl {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;  // counts for people

std::uint64_t ns_of(std::chrono::nanoseconds time) noexcept {
  return static_cast<std::uint64_t>(std::max(time, std::chrono::nanoseconds(0)).count());
}

void note(shm::Reaping& reaping, const SweepReport& report) noexcept {
  reaping.beat_ns.store(shm::read_boottime_ns(), relaxed);
  reaping.pid.store(static_cast<std::uint64_t>(::getpid()), relaxed);
  reaping.idle_freed.fetch_add(report.idle_freed, relaxed);
  reaping.permits_freed.fetch_add(report.permits_freed, relaxed);
  reaping.tentatives_freed.fetch_add(report.tentatives_freed, relaxed);
}

/// Threads that come next need not look for them.
void free_stripes_of_dead(View& view) noexcept {
  shm::Liveness liveness(view.participant);
  (void)shm::Stripes::tidy(view.mapping, liveness);
}

}  // namespace

SweepReport& SweepReport::operator+=(const SweepReport& other) noexcept {
  slots += other.slots;
  free += other.free;
  live += other.live;
  standing += other.standing;
  permits_out += other.permits_out;
  tentatives += other.tentatives;
  corrupt += other.corrupt;
  unreadable += other.unreadable;
  idle_freed += other.idle_freed;
  permits_freed += other.permits_freed;
  tentatives_freed += other.tentatives_freed;
  for (std::size_t line = 0; line < by_line.size(); ++line) by_line[line] += other.by_line[line];
  return *this;
}

double SweepReport::fill() const noexcept {
  const std::uint64_t taken = live + standing + permits_out;
  return slots != 0 ? static_cast<double>(taken) / static_cast<double>(slots) : 0;
}

struct Reaper::Inside {
  Inside(std::shared_ptr<SegmentCore> which, std::uint64_t idle_ns)
      : core(std::move(which)), idle_for_ns(idle_ns) {}

  /// The view that is current; what was known of another is forgotten.
  View& come_to_view() {
    View& now = core->view();
    if (view == &now) return now;
    view = &now;
    sweep.emplace(now, idle_for_ns);
    lines.emplace(now);
    lock.reset();
    next = corrupt = 0;
    begin_ranking();
    return now;
  }

  /// A round that is under way is not ranked.
  void begin_ranking() {
    ranking.clear();
    if (most_denied) most_denied->clear();
    ranks_round = next == 0;
  }

  void end_round() {
    next = 0;
    free_stripes_of_dead(*view);
    shm::Reaping& reaping = view->mapping.header().reaping;
    reaping.rounds.fetch_add(1, relaxed);
    reaping.corrupt.store(std::exchange(corrupt, 0), relaxed);
    if (!most_denied) return;
    if (std::exchange(ranks_round, true)) ranking = most_denied->ranking(*view);
    most_denied->clear();
  }

  std::shared_ptr<SegmentCore> core;
  std::uint64_t idle_for_ns;
  View* view = nullptr;
  std::optional<Sweep> sweep;
  std::optional<Lines> lines;
  std::optional<shm::ReaperLock> lock;
  std::uint64_t next = 0;                 ///< the slot that comes next
  std::uint64_t corrupt = 0;              ///< in this round so far
  std::optional<MostDenied> most_denied;  ///< in this round so far
  bool ranks_round = true;                ///< it saw this round from its beginning
  std::vector<DeniedKey> ranking;         ///< of the last round
};

Reaper::Reaper(const Segment& segment, std::chrono::nanoseconds idle_for)
    : inside_(std::make_unique<Inside>(segment.core_, ns_of(idle_for))) {
  check_writable({segment.core_->view(), segment.path()});
}
Reaper::Reaper(Reaper&&) noexcept = default;
Reaper& Reaper::operator=(Reaper&&) noexcept = default;
Reaper::~Reaper() = default;

bool Reaper::lead() {
  inside_->core->look_at_once();
  View& view = inside_->come_to_view();
  std::optional<shm::ReaperLock>& lock = inside_->lock;
  if (lock && !lock->is_ours()) lock.reset();
  if (!lock) lock.emplace(view.mapping, inside_->core->path());
  return lock->is_ours();
}

SweepReport Reaper::sweep(std::uint64_t slots) {
  (void)inside_->core->look_around();  // at the name once a second
  View& view = inside_->come_to_view();
  SweepReport report;
  const std::uint64_t count = view.table.slot_count();
  for (std::uint64_t left = std::min(slots, count);
       left != 0;) {  // ends: each turn takes some, or is the last
    const std::uint64_t stretch = std::min(left, count - inside_->next);
    if (inside_->most_denied) inside_->most_denied->look_at(view, inside_->next, stretch);
    const SweepReport part = inside_->sweep->run(inside_->next, stretch);
    if (part.slots != stretch) return report;  // this process's clock is not the segment's
    inside_->lines->sample(inside_->next, stretch, report.by_line);
    report += part;
    inside_->corrupt += part.corrupt;
    left -= stretch;
    inside_->next += stretch;
    if (inside_->next == count) inside_->end_round();
  }
  note(view.mapping.header().reaping, report);
  return report;
}

void Reaper::rank_denied(std::size_t count) {
  if (count > kRankMax) {
    throw Error(Errc::bad_option, fmt::format("a ranking of {} keys; give at most {}, or look with "
                                              "Segment::most_denied",
                                              count, kRankMax));
  }
  inside_->most_denied.reset();
  if (count != 0) inside_->most_denied.emplace(count);
  inside_->begin_ranking();
}

std::vector<DeniedKey> Reaper::most_denied() const {
  return inside_->ranking;
}

std::uint64_t Reaper::round() const noexcept {
  return inside_->core->view().table.slot_count();
}

ReaperInfo Segment::reaper() const {
  const View& view = core_->view();
  const shm::Reaping& reaping = view.mapping.header().reaping;
  ReaperInfo info;
  info.leads = shm::ReaperLock::is_held(view.mapping, path());
  info.pid = static_cast<std::uint32_t>(reaping.pid.load(relaxed));
  const std::uint64_t beat = reaping.beat_ns.load(relaxed);
  const std::uint64_t now = shm::read_boottime_ns();
  if (beat != 0) info.beat_ago = to_shown(now - std::min(beat, now));
  info.rounds = reaping.rounds.load(relaxed);
  info.idle_freed = reaping.idle_freed.load(relaxed);
  info.permits_freed = reaping.permits_freed.load(relaxed);
  info.tentatives_freed = reaping.tentatives_freed.load(relaxed);
  info.corrupt = reaping.corrupt.load(relaxed);
  return info;
}

}  // namespace rl
