#include "tools/rlctl/replay/replayer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include <rl/rl.hpp>

namespace rl::ctl {
namespace {

/// Room for keys to begin with: twice as much as they can take, so that the 16 slots that a key can
/// have are hardly ever all taken by others.
std::uint64_t room_for(const Trace& trace, const Limits& limits) {
  std::uint64_t slots_of_key = 0;
  for (const Limit& limit : limits)
    slots_of_key += limit.ban_after() != 0 ? 2 : 1;  // its conduct has one, too
  return std::max<std::uint64_t>(2 * slots_of_key * trace.key_count(), 1'000);
}

/// Returns the shortest length with which there are few enough parts.
std::uint64_t length_of_parts(const Trace& trace) {
  constexpr std::uint64_t kSecondNs = 1'000'000'000;
  constexpr std::uint64_t kDay = 86'400;
  constexpr std::uint64_t kSeconds[] = {1,     2,     5,      10,     15,     30,
                                        60,    120,   300,    600,    900,    1'800,
                                        3'600, 7'200, 10'800, 21'600, 43'200, kDay};
  const auto fits = [&](std::uint64_t seconds) {
    const std::uint64_t ns = seconds * kSecondNs;
    return trace.last_ns() / ns - trace.first_ns() / ns < Timeline::kPartsMax;
  };
  for (const std::uint64_t seconds : kSeconds)
    if (fits(seconds)) return seconds * kSecondNs;
  std::uint64_t days = 2;
  while (!fits(days * kDay)) ++days;  // ends: nothing lasts for ever
  return days * kDay * kSecondNs;
}

/// A limit over a segment of this process alone. Its clock is manual and shows Unix time, so windows
/// lie where the log's UTC has them.
class Judge {
 public:
  Judge(const Limits& limits, std::uint64_t keys)
      : segment_(Segment::create_private(
            {.keys = keys, .labels = false, .clock = ClockSource::manual, .policies = 64})),
        all_(segment_.limiters("replay", limits)),
        one_(all_[0]),
        is_list_(limits.size() > 1) {}

  /// `unix_ns` never decreases.
  bool denies(std::string_view key, std::uint64_t unix_ns) {
    if (unix_ns > now_ns_) {
      segment_.advance_clock(
          std::chrono::nanoseconds(static_cast<std::int64_t>(unix_ns - now_ns_)));
      now_ns_ = unix_ns;
    }
    const Decision decision = is_list_ ? all_.try_acquire(key).decision : one_.try_acquire(key);
    return !decision.allowed || decision.reason == Reason::shadow;
  }

  /// Whether a key ever found the table full: then it was too small, and counts are not exact.
  [[nodiscard]] bool was_too_small() const {
    const SegmentInfo info = segment_.vitals();
    return info.evicted + info.full_allowed + info.full_denied + info.gave_up != 0;
  }

 private:
  Segment segment_;
  Limiters all_;
  Limiter one_;
  bool is_list_;
  std::uint64_t now_ns_ = 0;
};

/// Calls `denied(request)` for each that is denied. Returns false where the room did not suffice.
template <class Denied>
bool try_with(std::uint64_t keys, const Trace& trace, const Limits& limits,
              const Progress& progress, const Denied& denied) {
  constexpr std::size_t kTellEvery = std::size_t{1} << 16;
  Judge judge(limits, keys);
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const Trace::Request request = trace[i];
    if (judge.denies(trace.key(request.key), request.unix_ns)) denied(request);
    if (i % kTellEvery == 0 && progress) progress(i);
  }
  return !judge.was_too_small();
}

/// Calls `begin()`, and then `denied(request)` for each that is denied; all over again with more
/// room where it did not suffice.
template <class Begin, class Denied>
void judge_all(const Trace& trace, const Limits& limits, const Progress& progress,
               const Begin& begin, const Denied& denied) {
  check_can_be_replayed(limits);
  std::uint64_t keys = room_for(trace, limits);
  do {  // ends: the room doubles, and a segment has a largest size
    begin();
  } while (!try_with(std::exchange(keys, keys * 2), trace, limits, progress, denied));
}

}  // namespace

Timeline::Timeline(const Trace& trace)
    : part_ns_(length_of_parts(trace)),
      begin_ns_(trace.first_ns() / part_ns_ * part_ns_),
      parts_(part_of(trace.last_ns()) + 1) {}

void check_can_be_replayed(const Limits& limits) {
  for (const Limit& limit : limits) {
    if (takes_calls(limit.algorithm())) continue;
    if (!gives_permits(limit.algorithm())) {
      throw Error(Errc::bad_limit,
                  fmt::format("{}: a counter denies nothing, so there is nothing to replay; give a "
                              "limit of calls, such as 100/s",
                              limit.to_string()));
    }
    throw Error(Errc::bad_limit,
                fmt::format("{}: a log does not tell how long its calls took, so permits cannot be "
                            "replayed; give a limit of calls, such as 100/s",
                            limit.to_string()));
  }
}

Outcome replay(const Trace& trace, const Limits& limits, const Timeline& timeline,
               const Progress& progress) {
  Outcome outcome;
  judge_all(
      trace, limits, progress,
      [&] {
        outcome.denied = 0;
        outcome.denied_of_key.assign(trace.key_count(), 0);
        outcome.denied_in_part.assign(timeline.parts(), 0);
      },
      [&](const Trace::Request& request) {
        ++outcome.denied;
        ++outcome.denied_of_key[request.key];
        ++outcome.denied_in_part[timeline.part_of(request.unix_ns)];
      });
  return outcome;
}

std::uint64_t count_denied(const Trace& trace, const Limits& limits, const Progress& progress) {
  std::uint64_t count = 0;
  judge_all(
      trace, limits, progress, [&] { count = 0; }, [&](const Trace::Request&) { ++count; });
  return count;
}

}  // namespace rl::ctl
