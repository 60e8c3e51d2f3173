/// \file
/// What a key owes, told without a clock: what is left of a state when the segment that it was in is
/// gone. Pure functions, no clock, no atomics.
///
/// A state names instants of its segment's clock. What is owed has lengths of time and counts only, as of
/// the instant at which it was taken, so it says the same in another segment at another time:
///
///     token bucket, leaky    ns: until all is paid; 3 s owed then are 3 s owed now
///     fixed window           count: it counts in the window of now
///     sliding window         count, and before: of the window before; into_ns of this one had passed
///     concurrency            nothing: who held a permit is gone
///     counter                count, and ns: until it expires
///     no limit               nothing
///
/// Nothing is ever owed less than it was. The windows of two clocks do not begin together: where the
/// window before would weigh less than it did, because more of this one has passed, the difference
/// counts in this one; where it weighs more, it does.
///
/// Units: nanoseconds, tokens. Every number is input: what no state can hold is cut.
#pragma once

#include <algorithm>
#include <cstdint>

#include "src/convert.hpp"

namespace rl {

/// What a key owes. Which of the numbers say something is the algorithm's to say; others are 0.
struct Owed {
  std::uint64_t ns = 0;
  std::uint64_t count = 0;
  std::uint64_t before = 0;
  std::uint64_t into_ns = 0;
  friend bool operator==(const Owed&, const Owed&) = default;
};

// --- what a state owes as of now ------------------------------------------------------------------

template <IsBucket Bucket>
constexpr Owed owed_in(const Bucket& bucket, std::uint64_t tat_ns, std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  return {.ns = debt_of(bucket, cut(bucket, tat_ns, now), now)};
}

/// How much of a window has passed. Who is behind it is at its beginning.
constexpr std::uint64_t passed_of(const Windows& windows, std::uint64_t until_end_ns) noexcept {
  return windows.window_ns - std::min(until_end_ns, windows.window_ns);
}

constexpr Owed owed_in(const FixedWindow& window, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  const FixedWindowUse use = use_of(window, state, now_ns);
  return {.count = use.count, .into_ns = passed_of(window.windows, use.until_end_ns)};
}

constexpr Owed owed_in(const SlidingWindow& window, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  const SlidingWindowUse use = use_of(window, state, now_ns);
  return {.count = use.current,
          .before = use.previous,
          .into_ns = passed_of(window.windows, use.until_end_ns)};
}

constexpr Owed owed_in(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return {};
}
constexpr Owed owed_in(const Counter& counter, std::uint64_t state, std::uint64_t now_ns) noexcept {
  const CounterUse use = use_of(counter, state, now_ns);
  return {.ns = use.left_ns, .count = use.count};
}
constexpr Owed owed_in(const Unlimited&, std::uint64_t, std::uint64_t) noexcept {
  return {};
}

constexpr Owed owed_in(const Parameters& parameters, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return owed_in(p, state, now_ns); }, parameters);
}

// --- the state that owes as much as of now --------------------------------------------------------

template <IsBucket Bucket>
constexpr std::uint64_t state_owing(const Bucket& bucket, const Owed& owed,
                                    std::uint64_t now_ns) noexcept {
  return std::min(now_ns, kTimeMax) + std::min(owed.ns, bucket.horizon_ns);
}

constexpr std::uint64_t state_owing(const FixedWindow& window, const Owed& owed,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t end = window.windows.end_of(std::min(now_ns, kTimeMax));
  return end + std::min(owed.count, window.windows.window_ns - 1);
}

/// What the window before weighs when so much of this one has passed, in tokens, rounded up.
constexpr std::uint64_t fading_of(const SlidingWindow& window, std::uint64_t before,
                                  std::uint64_t into_ns) noexcept {
  return before - window.windows.share(before, std::min(into_ns, window.windows.window_ns));
}

constexpr std::uint64_t state_owing(const SlidingWindow& window, const Owed& owed,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t end = window.windows.end_of(now);
  const std::uint64_t most = window.radix - 1;
  const std::uint64_t before = std::min(owed.before, most);
  const std::uint64_t weighed = fading_of(window, before, owed.into_ns);
  const std::uint64_t weighs = fading_of(window, before, passed_of(window.windows, end - now));
  const std::uint64_t missing = weighed > weighs ? weighed - weighs : 0;
  return end + before * window.radix + std::min(std::min(owed.count, most) + missing, most);
}

constexpr std::uint64_t state_owing(const Concurrency& permits, const Owed&,
                                    std::uint64_t now_ns) noexcept {
  return idle_state(permits, now_ns);
}
constexpr std::uint64_t state_owing(const Counter& counter, const Owed& owed,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t idle = idle_state(counter, now_ns);
  const bool is_any = owed.ns != 0 && owed.count != 0;
  return is_any ? add(counter, idle, now_ns, owed.count, owed.ns, true) : idle;
}
constexpr std::uint64_t state_owing(const Unlimited& none, const Owed&,
                                    std::uint64_t now_ns) noexcept {
  return idle_state(none, now_ns);
}

constexpr std::uint64_t state_owing(const Parameters& parameters, const Owed& owed,
                                    std::uint64_t now_ns) noexcept {
  return std::visit([&](const auto& p) { return state_owing(p, owed, now_ns); }, parameters);
}

}  // namespace rl
