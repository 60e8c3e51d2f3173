/// \file
/// Fixed window: at most so many tokens in each hour of the clock. Pure functions, no clock, no
/// atomics.
///
///     W    length of a window, ns; aligned to the Unix epoch (windows.hpp)
///     L    limit, tokens a window                  count = tokens counted in the window of `now`
///
///     a call of cost c passes iff count + c <= L; then count' = count + c
///
/// The state is the end of the window plus the count: at most one token a nanosecond (L < W) leaves
/// room for it. A state of an earlier window is a count of 0, so time alone makes a key idle.
///
/// Units: nanoseconds on the segment's clock; tokens. Rounding: none. Overflow: windows.hpp; counts
/// stay below W. Error: none in a window of the clock. Bound: a span of s ns (the last call s after
/// the first) touches at most ceil(s / W) + 1 windows, so at most (ceil(s / W) + 1) x L pass in it.
/// Worst case: 2 x L in a window of length W that is not aligned, L at the end of an hour and L at
/// the beginning of the next. Who needs better takes a token bucket.
///
/// A call whose clock is behind the state's window is counted there, in the later one. A word
/// that comes back has the same meaning: it names one window and one count, and whoever changes it
/// by an old reading of it counts in that window. Source: folklore; no paper is claimed.
#pragma once

#include "src/windows.hpp"

namespace rl {

/// The parameters of a fixed window, with what is derived from them once.
struct FixedWindow {
  Windows windows;
  std::uint64_t limit = 0;  ///< L
  std::uint64_t floor = 0;  ///< of which calls of low priority leave so many

  /// Returns the largest limit that a window can hold.
  static constexpr std::uint64_t limit_max(std::uint64_t window_ns) noexcept {
    return std::max<std::uint64_t>(window_ns, 1) - 1;
  }
  static constexpr bool is_valid(std::uint64_t window_ns, std::uint64_t limit) noexcept {
    return window_ns >= 1 && window_ns <= Windows::kWindowMax && limit >= 1 &&
           limit <= limit_max(window_ns);
  }
  /// Requires is_valid. `phase_ns`: Unix time at the segment's time 0, whole or modulo W.
  static constexpr FixedWindow of(std::uint64_t window_ns, std::uint64_t limit,
                                  std::uint64_t phase_ns) noexcept {
    return {Windows::of(window_ns, phase_ns), limit};
  }
};

/// The largest cost that can ever pass.
constexpr std::uint64_t most_at_once(const FixedWindow& window) noexcept {
  return window.limit;
}

/// Says whether a state names a window that no call can have seen.
constexpr bool is_beyond_horizon(const FixedWindow& window, std::uint64_t state,
                                 std::uint64_t now_ns) noexcept {
  return window.windows.is_beyond(state, now_ns);
}

/// Brings a state beyond the horizon to a full window of now; leaves any other as it is.
constexpr std::uint64_t cut(const FixedWindow& window, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
  return window.windows.cut(state, now_ns, window.limit);
}

/// A state as a call sees it.
struct FixedWindowUse {
  std::uint64_t end_ns;  ///< of the window in which the call is decided
  std::uint64_t count;   ///< below W; above the limit only after charges
  std::uint64_t left;    ///< of the limit
  std::uint64_t until_end_ns;

  [[nodiscard]] constexpr std::uint64_t reset_after_ns() const noexcept {
    return count != 0 ? until_end_ns : 0;
  }
};

constexpr FixedWindowUse use_of(const FixedWindow& window, std::uint64_t state,
                                std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  std::uint64_t end = window.windows.end_of(now);
  if (state >= end + window.windows.window_ns) [[unlikely]] {
    state = cut(window, state, now);
    end = window.windows.end_named_by(state);
  }
  const std::uint64_t count = state > end ? state - end : 0;
  return {end, count, window.limit - std::min(count, window.limit), end - now};
}

/// Decides a call of `cost` >= 1. A state beyond the horizon counts as a full window.
[[gnu::always_inline]] constexpr Verdict acquire(const FixedWindow& window, std::uint64_t state,
                                                 std::uint64_t now_ns,
                                                 std::uint64_t cost) noexcept {
  const FixedWindowUse use = use_of(window, state, now_ns);
  if (cost <= use.left) [[likely]]
    return {true, false, use.end_ns + use.count + cost, use.left - cost, 0, use.until_end_ns, 0};
  const bool never = cost > window.limit;
  return {false, never, state, use.left, never ? 0 : use.until_end_ns, use.reset_after_ns(), 0};
}

/// Says what acquire would answer, with `remaining` and `reset_after_ns` as they are before any
/// call.
constexpr Verdict peek(const FixedWindow& window, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  Verdict verdict = acquire(window, state, now_ns, cost);
  const FixedWindowUse use = use_of(window, state, now_ns);
  verdict.state = state;
  verdict.remaining = use.left;
  verdict.reset_after_ns = use.reset_after_ns();
  return verdict;
}

/// The window as a call of low priority sees it: without the tokens that it leaves.
constexpr FixedWindow floored(const FixedWindow& window) noexcept {
  return {window.windows, window.limit - window.floor};
}

/// A window has no line to stand in: passes now or not at all.
constexpr Verdict reserve(const FixedWindow& window, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t) noexcept {
  return acquire(window, state, now_ns, cost);
}

/// Counts a call that has already happened, also above the limit, up to W - 1. The next window
/// begins at 0 all the same.
constexpr std::uint64_t charge(const FixedWindow& window, std::uint64_t state, std::uint64_t now_ns,
                               std::uint64_t cost) noexcept {
  const FixedWindowUse use = use_of(window, state, now_ns);
  const std::uint64_t room = window.windows.window_ns - 1 - use.count;
  return use.end_ns + use.count + std::min(cost, room);
}

/// The largest charge that is not forgiven in part.
constexpr std::uint64_t charge_room(const FixedWindow& window, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  return window.windows.window_ns - 1 - use_of(window, state, now_ns).count;
}

/// Leaves `tokens` of the limit, or all of it, until the window ends.
constexpr std::uint64_t with_remaining(const FixedWindow& window, std::uint64_t state,
                                       std::uint64_t now_ns, std::uint64_t tokens) noexcept {
  return use_of(window, state, now_ns).end_ns + window.limit - std::min(tokens, window.limit);
}

/// Takes back what a call of `cost` counted, `charged` being the state after it: only while its
/// window lasts, and never more than is counted there.
constexpr std::uint64_t refund(const FixedWindow& window, std::uint64_t state,
                               std::uint64_t charged, std::uint64_t cost,
                               std::uint64_t now_ns) noexcept {
  if (is_beyond_horizon(window, state, now_ns)) return state;
  const FixedWindowUse use = use_of(window, state, now_ns);
  const bool same = charged >= use.end_ns && charged - use.end_ns < window.windows.window_ns;
  return same ? state - std::min(cost, use.count) : state;
}

constexpr bool is_idle(const FixedWindow& window, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  return use_of(window, state, now_ns).count == 0;
}

/// A window in which nothing was counted yet: later than any word of an earlier window.
constexpr std::uint64_t idle_state(const FixedWindow& window, std::uint64_t now_ns) noexcept {
  return window.windows.end_of(std::min(now_ns, kTimeMax));
}

/// Tokens counted, also those beyond the limit: what an eviction would give away.
constexpr std::uint64_t tokens_owed(const FixedWindow& window, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  return use_of(window, state, now_ns).count;
}

}  // namespace rl
