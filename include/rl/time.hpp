/// \file
/// Time as a type: instants on a segment's own clock.
#ifndef RL_TIME_HPP
#define RL_TIME_HPP

#include <chrono>

namespace rl {

/// Stands for the clock of a segment, which all its processes share. It has no now() of its own:
/// each segment keeps its own time, so ask Segment::now().
struct SegmentClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<SegmentClock>;
  static constexpr bool is_steady = true;
};

/// An instant: nanoseconds since the segment was created.
using Instant = SegmentClock::time_point;

/// Says "at no time": the retry_after of a call that can never succeed.
inline constexpr std::chrono::nanoseconds kNever = std::chrono::nanoseconds::max();

/// Names the source of a segment's time. All its processes use the same one.
enum class ClockSource {
  automatic,  ///< tsc where the CPU's is invariant and the kernel itself trusts it, else boottime
  tsc,        ///< the CPU's time stamp counter, about 10 ns a reading, guarded (see Segment::now)
  boottime,   ///< CLOCK_BOOTTIME, about 25 ns a reading
  manual,     ///< stands still until Segment::advance_clock or `rlctl clock`; for tests
};

}  // namespace rl

#endif
