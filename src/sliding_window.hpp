/// \file
/// Sliding window: the count of this window of the clock and, fading, that of the one before. Pure
/// functions, no clock, no atomics.
///
///     W    length of a window, ns; aligned to the Unix epoch (windows.hpp)
///     L    limit, tokens                           E = end of the window of `now`
///     p, c tokens counted in the window before, and in this one
///
///     a call of cost k passes iff p x (E - now) + (c + k) x W <= L x W; then c' = c + k
///
/// That is, iff ceil(p x (E - now) / W) + c + k <= L, in 128-bit integers, nothing rounded. At E
/// the window before is forgotten, and c becomes p; the rule is continuous there.
///
/// The state is E + p x R + c with R = floor(sqrt(W)) and p, c < R: a limit above R - 1 does not
/// fit (31,621 for a second, 244,947 for a minute). R depends on W alone, so a limit that is
/// changed within its window finds states that it can read. c may pass L by charges after the fact.
///
/// Units: nanoseconds on the segment's clock; tokens. Rounding: `remaining` down, `tokens_owed` up,
/// `retry_after` and `reset_after` not at all. Overflow: p x W < 2^90 in 128 bits; windows.hpp.
///
/// Error, against a log of all calls: the rule believes that the calls of the window before came
/// evenly. Where they came late, it admits too much: at most 2 x L - 1 in a window of length W that
/// is not aligned. Proof: such a window (the last call less than W after the first) lies in one
/// window of the clock, and has at most L, or in two, A and B, ending at E(A) and E(B). Let t be
/// the instant of its last call in B, so that at least one call in A is later than t - W: t <= E(A)
/// + W
/// - 2 = E(B) - 2. That call saw p >= a, the a >= 1 tokens of ours in A, so b <= L - ceil(a x 2 /
/// W) <= L - 1 tokens of ours in B; and a <= L. Attained: L at E(A) - 1, L - 1 at E(B) - 2. Where
/// they came early, it denies what a log would not: L at the beginning of A weigh until E(B), up to
/// W longer than they should. Bound: no window of the clock has more than L, so a span of s ns has
/// at most (ceil(s / W) + 1) x L; the mean over many windows is within L. bench_sliding_window
/// measures both errors on random traffic.
///
/// A word that comes back has the same meaning: it names one window and both its counts. Source:
/// the two-counter approximation as described by Cloudflare, "How we built rate limiting capable of
/// scaling to millions of domains" (2017).
#pragma once

#include "src/windows.hpp"

namespace rl {

/// The parameters of a sliding window, with what is derived from them once.
struct SlidingWindow {
  Windows windows;
  std::uint64_t limit = 0;  ///< L
  std::uint64_t radix = 1;  ///< R: counts are below it
  std::uint64_t radix_reciprocal = ~std::uint64_t{0};
  std::uint64_t floor = 0;  ///< tokens that calls of low priority leave

  /// Returns floor(sqrt(W)), bit by bit, for W at most Windows::kWindowMax.
  static constexpr std::uint64_t radix_of(std::uint64_t window_ns) noexcept {
    std::uint64_t root = 0;
    for (std::uint64_t bit = std::uint64_t{1} << 30; bit != 0; bit >>= 1) {
      if ((root + bit) * (root + bit) <= window_ns) root += bit;
    }
    return root;
  }
  /// Returns the largest limit that a window can hold: the nearest that fits to one that does not.
  static constexpr std::uint64_t limit_max(std::uint64_t window_ns) noexcept {
    return radix_of(std::max<std::uint64_t>(window_ns, 1)) - 1;
  }
  static constexpr bool is_valid(std::uint64_t window_ns, std::uint64_t limit) noexcept {
    return window_ns >= 1 && window_ns <= Windows::kWindowMax && limit >= 1 &&
           limit <= limit_max(window_ns);
  }
  /// Requires is_valid. `phase_ns`: Unix time at the segment's time 0, whole or modulo W.
  static constexpr SlidingWindow of(std::uint64_t window_ns, std::uint64_t limit,
                                    std::uint64_t phase_ns) noexcept {
    const std::uint64_t radix = radix_of(window_ns);
    return {Windows::of(window_ns, phase_ns), limit, radix, reciprocal_of(radix)};
  }
};

/// The largest cost that can ever pass.
constexpr std::uint64_t most_at_once(const SlidingWindow& window) noexcept {
  return window.limit;
}

/// Says whether a state names a window that no call can have seen.
constexpr bool is_beyond_horizon(const SlidingWindow& window, std::uint64_t state,
                                 std::uint64_t now_ns) noexcept {
  return window.windows.is_beyond(state, now_ns);
}

/// Brings a state beyond the horizon to a full window of now; leaves any other as it is.
constexpr std::uint64_t cut(const SlidingWindow& window, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
  return window.windows.cut(state, now_ns, window.limit);
}

/// A state as a call sees it.
struct SlidingWindowUse {
  std::uint64_t end_ns;        ///< E, of the window in which the call is decided
  std::uint64_t previous;      ///< p, below R
  std::uint64_t current;       ///< c, below R
  std::uint64_t fading;        ///< what p still weighs, in tokens, rounded up
  std::uint64_t left;          ///< of the limit, rounded down
  std::uint64_t until_end_ns;  ///< more than W when the clock is behind the state

  [[nodiscard]] constexpr bool is_idle() const noexcept { return previous == 0 && current == 0; }
};

/// Returns floor(a x b / divisor), which must fit 64 bits.
constexpr std::uint64_t multiply_divide(std::uint64_t a, std::uint64_t b,
                                        std::uint64_t divisor) noexcept {
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>(Wide{a} * b / divisor);
}

constexpr SlidingWindowUse use_of(const SlidingWindow& window, std::uint64_t state,
                                  std::uint64_t now_ns) noexcept {
  const std::uint64_t length = window.windows.window_ns;
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  std::uint64_t end = window.windows.end_of(now);
  if (state >= end + length) [[unlikely]] {
    state = cut(window, state, now);
    end = window.windows.end_named_by(state);
  }
  SlidingWindowUse use{end, 0, 0, 0, 0, end - now};

  const bool is_current = state >= end;
  const bool is_previous = !is_current && end > length && state >= end - length;
  if (is_current || is_previous) {
    const std::uint64_t packed = state - (is_current ? end : end - length);
    const std::uint64_t high = divide(packed, window.radix, window.radix_reciprocal);
    const std::uint64_t low = packed - high * window.radix;
    use.previous = is_current ? std::min(high, window.radix - 1) : low;  // R x R may be below W
    use.current = is_current ? low : 0;
  }
  if (use.previous != 0) {
    // Whoever is behind the window sees it as at its beginning.
    const std::uint64_t weight = std::min(use.until_end_ns, length);
    use.fading = use.previous - window.windows.share(use.previous, length - weight);
  }
  use.left = window.limit - std::min(use.fading + use.current, window.limit);
  return use;
}

/// Returns how long until the state is as good as never seen: a count weighs until the end of the
/// window after its own.
constexpr std::uint64_t reset_after_ns(const SlidingWindow& window,
                                       const SlidingWindowUse& use) noexcept {
  if (use.current != 0) return use.until_end_ns + window.windows.window_ns;
  return use.previous != 0 ? use.until_end_ns : 0;
}

/// Returns how long until a call of `cost` <= limit passes that does not pass now: not one
/// nanosecond earlier.
constexpr std::uint64_t retry_after_ns(const SlidingWindow& window, const SlidingWindowUse& use,
                                       std::uint64_t cost) noexcept {
  const std::uint64_t length = window.windows.window_ns;
  const std::uint64_t room = window.limit - cost;
  if (use.current <= room) {  // p has to fade until p x (E - t) <= (room - c) x W
    return use.until_end_ns - multiply_divide(room - use.current, length, use.previous);
  }
  // The next window, in which c is the p, and has to fade.
  return use.until_end_ns + length - multiply_divide(room, length, use.current);
}

/// Decides a call of `cost` >= 1. A state beyond the horizon counts as a full window.
[[gnu::always_inline]] constexpr Verdict acquire(const SlidingWindow& window, std::uint64_t state,
                                                 std::uint64_t now_ns,
                                                 std::uint64_t cost) noexcept {
  const SlidingWindowUse use = use_of(window, state, now_ns);
  if (cost <= use.left) [[likely]] {
    const std::uint64_t after = use.end_ns + use.previous * window.radix + use.current + cost;
    return {true, false, after, use.left - cost, 0, use.until_end_ns + window.windows.window_ns, 0};
  }
  const bool never = cost > window.limit;
  const std::uint64_t retry = never ? 0 : retry_after_ns(window, use, cost);
  return {false, never, state, use.left, retry, reset_after_ns(window, use), 0};
}

/// Says what acquire would answer, with `remaining` and `reset_after_ns` as they are before any
/// call.
constexpr Verdict peek(const SlidingWindow& window, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  Verdict verdict = acquire(window, state, now_ns, cost);
  const SlidingWindowUse use = use_of(window, state, now_ns);
  verdict.state = state;
  verdict.remaining = use.left;
  verdict.reset_after_ns = reset_after_ns(window, use);
  return verdict;
}

/// The window as a call of low priority sees it: without the tokens that it leaves.
constexpr SlidingWindow floored(const SlidingWindow& window) noexcept {
  return {window.windows, window.limit - window.floor, window.radix, window.radix_reciprocal};
}

/// A window has no line to stand in: passes now or not at all.
constexpr Verdict reserve(const SlidingWindow& window, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t) noexcept {
  return acquire(window, state, now_ns, cost);
}

/// Counts a call that has already happened, also above the limit, up to R - 1.
constexpr std::uint64_t charge(const SlidingWindow& window, std::uint64_t state,
                               std::uint64_t now_ns, std::uint64_t cost) noexcept {
  const SlidingWindowUse use = use_of(window, state, now_ns);
  const std::uint64_t count = use.current + std::min(cost, window.radix - 1 - use.current);
  return use.end_ns + use.previous * window.radix + count;
}

/// The largest charge that is not forgiven in part.
constexpr std::uint64_t charge_room(const SlidingWindow& window, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  return window.radix - 1 - use_of(window, state, now_ns).current;
}

/// Leaves `tokens` of the limit, or all of it, now: the window before is forgotten, and what is
/// used counts in this one.
constexpr std::uint64_t with_remaining(const SlidingWindow& window, std::uint64_t state,
                                       std::uint64_t now_ns, std::uint64_t tokens) noexcept {
  return use_of(window, state, now_ns).end_ns + window.limit - std::min(tokens, window.limit);
}

/// Takes back what a call of `cost` counted, `charged` being the state after it: only while its
/// window lasts, and never more than is counted there.
constexpr std::uint64_t refund(const SlidingWindow& window, std::uint64_t state,
                               std::uint64_t charged, std::uint64_t cost,
                               std::uint64_t now_ns) noexcept {
  if (is_beyond_horizon(window, state, now_ns)) return state;
  const SlidingWindowUse use = use_of(window, state, now_ns);
  const bool same = charged >= use.end_ns && charged - use.end_ns < window.windows.window_ns;
  return same ? state - std::min(cost, use.current) : state;
}

constexpr bool is_idle(const SlidingWindow& window, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  return use_of(window, state, now_ns).is_idle();
}

/// A window in which nothing was counted yet, nor in the one before: later than any word of a life
/// that time has ended.
constexpr std::uint64_t idle_state(const SlidingWindow& window, std::uint64_t now_ns) noexcept {
  return window.windows.end_of(std::min(now_ns, kTimeMax));
}

/// Tokens that count now, rounded up, also those beyond the limit: what an eviction would give
/// away.
constexpr std::uint64_t tokens_owed(const SlidingWindow& window, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  const SlidingWindowUse use = use_of(window, state, now_ns);
  return use.fading + use.current;
}

}  // namespace rl
