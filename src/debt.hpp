/// \file
/// What a key owes, told without a clock: what is left of a state when the segment that it was in is
/// gone. Pure functions, no clock, no atomics.
///
/// A state names instants of its segment's clock. A debt has lengths of time and counts only, as of
/// the instant at which it was taken, so it means the same in another segment at another time:
///
///     token bucket, leaky    ns: until all is paid; 3 s owed then are 3 s owed now
///     fixed window           count: it counts in the window of now
///     sliding window         count, and before: of the window before; into_ns of this one had passed
///     concurrency            nothing: who held a permit is gone
///
/// Nothing is ever owed less than it was. The windows of two clocks do not begin together: where the
/// window before would weigh less than it did, because more of this one has passed, the difference
/// counts in this one; where it weighs more, it does.
///
/// Units: nanoseconds, tokens. Every number is input: what no state can hold is cut.
#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <variant>

#include "src/parameters.hpp"

namespace rl {

/// What a key owes. Which of the numbers mean something is the algorithm's to say; others are 0.
struct Debt {
  std::uint64_t ns = 0;
  std::uint64_t count = 0;
  std::uint64_t before = 0;
  std::uint64_t into_ns = 0;
  friend bool operator==(const Debt&, const Debt&) = default;
};

// --- what a state owes as of now ------------------------------------------------------------------

template <class Bucket>
requires requires(Bucket bucket) {
  bucket.tolerance_ns;
}
constexpr Debt debt_of(const Bucket& bucket, std::uint64_t tat_ns, std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  return {.ns = debt_ns(cut(bucket, tat_ns, now), now)};
}

/// How much of a window has passed. Who is behind it is at its beginning.
constexpr std::uint64_t passed_of(const Windows& windows, std::uint64_t until_end_ns) noexcept {
  return windows.window_ns - std::min(until_end_ns, windows.window_ns);
}

constexpr Debt debt_of(const FixedWindow& window, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  const FixedWindowUse use = use_of(window, state, now_ns);
  return {.count = use.count, .into_ns = passed_of(window.windows, use.until_end_ns)};
}

constexpr Debt debt_of(const SlidingWindow& window, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  const SlidingWindowUse use = use_of(window, state, now_ns);
  return {.count = use.current,
          .before = use.previous,
          .into_ns = passed_of(window.windows, use.until_end_ns)};
}

constexpr Debt debt_of(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return {};
}

constexpr Debt debt_of(const Parameters& parameters, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  return std::visit([=](const auto& p) { return debt_of(p, state, now_ns); }, parameters);
}

// --- the state that owes as much as of now --------------------------------------------------------

template <class Bucket>
requires requires(Bucket bucket) {
  bucket.tolerance_ns;
}
constexpr std::uint64_t state_of(const Bucket& bucket, const Debt& debt,
                                 std::uint64_t now_ns) noexcept {
  return std::min(now_ns, kTimeMax) + std::min(debt.ns, bucket.horizon_ns);
}

constexpr std::uint64_t state_of(const FixedWindow& window, const Debt& debt,
                                 std::uint64_t now_ns) noexcept {
  const std::uint64_t end = window.windows.end_of(std::min(now_ns, kTimeMax));
  return end + std::min(debt.count, window.windows.window_ns - 1);
}

/// What the window before weighs when so much of this one has passed, in tokens, rounded up.
constexpr std::uint64_t fading_of(const SlidingWindow& window, std::uint64_t before,
                                  std::uint64_t into_ns) noexcept {
  return before - window.windows.share(before, std::min(into_ns, window.windows.window_ns));
}

constexpr std::uint64_t state_of(const SlidingWindow& window, const Debt& debt,
                                 std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t end = window.windows.end_of(now);
  const std::uint64_t most = window.radix - 1;
  const std::uint64_t before = std::min(debt.before, most);
  const std::uint64_t weighed = fading_of(window, before, debt.into_ns);
  const std::uint64_t weighs = fading_of(window, before, passed_of(window.windows, end - now));
  const std::uint64_t missing = weighed > weighs ? weighed - weighs : 0;
  return end + before * window.radix + std::min(std::min(debt.count, most) + missing, most);
}

constexpr std::uint64_t state_of(const Concurrency& permits, const Debt&,
                                 std::uint64_t now_ns) noexcept {
  return idle_state(permits, now_ns);
}

constexpr std::uint64_t state_of(const Parameters& parameters, const Debt& debt,
                                 std::uint64_t now_ns) noexcept {
  return std::visit([&](const auto& p) { return state_of(p, debt, now_ns); }, parameters);
}

// --- under another limit --------------------------------------------------------------------------

template <class Bucket>
requires requires(Bucket bucket) {
  bucket.tolerance_ns;
}
constexpr std::uint64_t tokens_in(const Bucket& bucket, const Debt& debt) noexcept {
  const std::uint64_t ns = std::min(debt.ns, bucket.horizon_ns);
  return ns / bucket.interval_ns + (ns % bucket.interval_ns != 0 ? 1 : 0);
}
constexpr std::uint64_t tokens_in(const FixedWindow&, const Debt& debt) noexcept {
  return debt.count;
}
constexpr std::uint64_t tokens_in(const SlidingWindow& window, const Debt& debt) noexcept {
  const std::uint64_t most = window.radix - 1;
  return std::min(debt.count, most) + fading_of(window, std::min(debt.before, most), debt.into_ns);
}
constexpr std::uint64_t tokens_in(const Concurrency&, const Debt&) noexcept {
  return 0;
}

/// Returns the state under `to` that owes what a key owed under `from`: of one algorithm the same
/// share of an interval, or the same counts; else as many tokens, rounded up.
constexpr std::uint64_t carried(const Parameters& from, const Debt& debt, const Parameters& to,
                                std::uint64_t now_ns) noexcept {
  const auto carry = [&](const auto& was, const auto& is) -> std::uint64_t {
    if constexpr (std::is_same_v<decltype(was), decltype(is)>) {
      if constexpr (requires { was.interval_ns; }) {
        __extension__ using Wide = unsigned __int128;
        const Wide ns = Wide{debt.ns} * is.interval_ns + (was.interval_ns - 1);
        const Wide most = is.horizon_ns;
        const Wide scaled = std::min(ns / was.interval_ns, most);
        return state_of(is, Debt{.ns = static_cast<std::uint64_t>(scaled)}, now_ns);
      } else {
        return state_of(is, debt, now_ns);
      }
    } else {
      const std::uint64_t tokens = tokens_in(was, debt);
      const std::uint64_t idle = idle_state(is, now_ns);
      return tokens != 0 ? charge(is, idle, now_ns, tokens) : idle;
    }
  };
  return std::visit(carry, from, to);
}

}  // namespace rl
