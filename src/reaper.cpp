// Sweeping a segment, round after round, by the one that leads.
#include <rl/reaper.hpp>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "src/change.hpp"
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
  return *this;
}

struct Reaper::Inside {
  Inside(std::shared_ptr<SegmentCore> which, std::uint64_t idle_ns)
      : core(std::move(which)), idle_for_ns(idle_ns) {}

  /// The view that is current; what was known of another is forgotten.
  View& come_to_view() {
    core->look_at_once();
    View& now = core->view();
    if (view == &now) return now;
    view = &now;
    sweep.emplace(now, idle_for_ns);
    lock.reset();
    next = corrupt = 0;
    return now;
  }

  std::shared_ptr<SegmentCore> core;
  std::uint64_t idle_for_ns;
  View* view = nullptr;
  std::optional<Sweep> sweep;
  std::optional<shm::ReaperLock> lock;
  std::uint64_t next = 0;     ///< the slot that comes next
  std::uint64_t corrupt = 0;  ///< in this round so far
};

Reaper::Reaper(const Segment& segment, std::chrono::nanoseconds idle_for)
    : inside_(std::make_unique<Inside>(segment.core_, ns_of(idle_for))) {
  check_writable({segment.core_->view(), segment.path()});
}
Reaper::Reaper(Reaper&&) noexcept = default;
Reaper& Reaper::operator=(Reaper&&) noexcept = default;
Reaper::~Reaper() = default;

bool Reaper::lead() {
  View& view = inside_->come_to_view();
  std::optional<shm::ReaperLock>& lock = inside_->lock;
  if (lock && !lock->is_ours()) lock.reset();
  if (!lock) lock.emplace(view.mapping, inside_->core->path());
  return lock->is_ours();
}

SweepReport Reaper::sweep(std::uint64_t slots) {
  View& view = inside_->come_to_view();
  SweepReport report;
  const std::uint64_t count = view.table.slot_count();
  for (std::uint64_t left = std::min(slots, count);
       left != 0;) {  // ends: each turn takes some, or is the last
    const std::uint64_t stretch = std::min(left, count - inside_->next);
    const SweepReport part = inside_->sweep->run(inside_->next, stretch);
    if (part.slots != stretch) return report;  // this process's clock is not the segment's
    report += part;
    inside_->corrupt += part.corrupt;
    left -= stretch;
    inside_->next += stretch;
    if (inside_->next != count) continue;
    inside_->next = 0;
    free_stripes_of_dead(view);
    shm::Reaping& reaping = view.mapping.header().reaping;
    reaping.rounds.fetch_add(1, relaxed);
    reaping.corrupt.store(std::exchange(inside_->corrupt, 0), relaxed);
  }
  note(view.mapping.header().reaping, report);
  return report;
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
