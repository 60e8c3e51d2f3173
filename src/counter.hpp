/// \file
/// Counter: a count that begins with its first call, grows with each, and is forgotten at once when it
/// expires. Pure functions, no clock, no atomics.
///
///      63 62                                  26 25                        0
///     +--+--------------------------------------+--------------------------+
///     |0 |        end (37), in ticks of 2^22 ns |        count (26)        |
///     +--+--------------------------------------+--------------------------+
///
///     live      count > 0 and now < end
///     idle      all else: as good as never seen, whatever the word
///
///     add n     idle:  { end of an expiry that begins now, n }
///               live:  { the sooner of its end and that one, count + n }
///               live, each call begins the expiry anew:  { that one, count + n }
///
/// Nothing is denied: who counts compares. So nothing passes by acquire, and a counter takes none of
/// the calls that other limits take.
///
/// How long an expiry is says the call, and not the policy. Where the calls of a key agree, its end
/// stays where the first has put it, as time only goes on. Where they do not, the shortest holds: a
/// word that bytes gone wrong or a clock that went back have put far ahead ends, too, by the next
/// call's own expiry. So an end may come nearer; but as it is ahead of the call's now, no word goes back
/// below an idle key of now, and a word is the whole truth about its key in any life of it
/// (src/verdict.hpp).
///
/// Units: nanoseconds on the segment's clock. Rounding: an end is the first tick not before it, so
/// that a count is kept for no less than it was asked to be, and for up to 4.2 ms more. Overflow: a
/// count stays at 67,108,863. The last tick is that of 18.3 years: an end beyond lies there, and time
/// stands still just before it, so what is counted then stays: it is kept for too long, and never
/// forgotten too early. Error: none in the count. Source: none; it is what INCR and EXPIRE of a key
/// would be, were they one.
#pragma once

#include "src/verdict.hpp"

namespace rl {

/// No parameters: what there is to say, each call says.
struct Counter {
  static constexpr int kCountBits = 26;
  static constexpr int kEndBits = 37;
  static constexpr int kTickBits = 22;
  static constexpr std::uint64_t kCountMax = (std::uint64_t{1} << kCountBits) - 1;
  static constexpr std::uint64_t kTickNs = std::uint64_t{1} << kTickBits;
  static constexpr std::uint64_t kEndMax = (std::uint64_t{1} << kEndBits) - 1;
  /// Where time stands still.
  static constexpr std::uint64_t kNowMax = (kEndMax - 1) << kTickBits;

  static_assert(kCountBits + kEndBits == 63, "nonces have bit 63");
  static_assert(kNowMax + kTickNs < kTimeMax);
};

/// A counter's word, taken apart.
struct CounterWord {
  std::uint64_t end = 0;  ///< in ticks
  std::uint64_t count = 0;
  friend constexpr bool operator==(const CounterWord&, const CounterWord&) = default;

  static constexpr CounterWord of(std::uint64_t state) noexcept {
    return {state >> Counter::kCountBits & Counter::kEndMax, state & Counter::kCountMax};
  }
  [[nodiscard]] constexpr std::uint64_t state() const noexcept {
    return end << Counter::kCountBits | count;
  }
};

/// Returns the tick at which an expiry that begins now is over.
constexpr std::uint64_t expiry_end_of(std::uint64_t now_ns, std::uint64_t expiry_ns) noexcept {
  const std::uint64_t end_ns = std::min(now_ns, Counter::kNowMax) + std::min(expiry_ns, kTimeMax);
  return std::min((end_ns + (Counter::kTickNs - 1)) >> Counter::kTickBits, Counter::kEndMax);
}

/// A state as a call sees it.
struct CounterUse {
  std::uint64_t count;    ///< 0 when idle
  std::uint64_t left_ns;  ///< until it is 0; 0 when it is
};

constexpr CounterUse use_of(const Counter&, std::uint64_t state, std::uint64_t now_ns) noexcept {
  const CounterWord word = CounterWord::of(state);
  const std::uint64_t end_ns = word.end << Counter::kTickBits;
  const std::uint64_t now = std::min(now_ns, Counter::kNowMax);
  if (word.count == 0 || end_ns <= now) return {0, 0};
  return {word.count, end_ns - now};
}

/// Returns the state after an add of `amount` >= 1 with an expiry of 1 ns and more, which begins with
/// the first call of a life, or anew with each.
constexpr std::uint64_t add(const Counter& counter, std::uint64_t state, std::uint64_t now_ns,
                            std::uint64_t amount, std::uint64_t expiry_ns, bool each) noexcept {
  const CounterUse use = use_of(counter, state, now_ns);
  CounterWord after{expiry_end_of(now_ns, expiry_ns),
                    use.count + std::min(amount, Counter::kCountMax - use.count)};
  if (use.count != 0 && !each) after.end = std::min(after.end, CounterWord::of(state).end);
  return after.state();
}

/// What it counts, at the most.
constexpr std::uint64_t most_at_once(const Counter&) noexcept {
  return Counter::kCountMax;
}

constexpr bool is_idle(const Counter& counter, std::uint64_t state, std::uint64_t now_ns) noexcept {
  return use_of(counter, state, now_ns).count == 0;
}

/// Denies: what is counted is added, and not asked for. What is left is of all that can be counted.
constexpr Verdict acquire(const Counter& counter, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t) noexcept {
  const CounterUse use = use_of(counter, state, now_ns);
  return {false, true, state, Counter::kCountMax - use.count, 0, use.left_ns, 0};
}

constexpr Verdict peek(const Counter& counter, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  return acquire(counter, state, now_ns, cost);
}

constexpr Verdict reserve(const Counter& counter, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t) noexcept {
  return acquire(counter, state, now_ns, cost);
}

constexpr Counter floored(const Counter& counter) noexcept {
  return counter;
}

constexpr std::uint64_t charge(const Counter&, std::uint64_t state, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t charge_room(const Counter&, std::uint64_t, std::uint64_t) noexcept {
  return 0;
}

constexpr std::uint64_t with_remaining(const Counter&, std::uint64_t state, std::uint64_t,
                                       std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t refund(const Counter&, std::uint64_t state, std::uint64_t, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

/// Never: a call may ask for any expiry, so there is no end that none can have written. The next call
/// brings it within its own.
constexpr bool is_beyond_horizon(const Counter&, std::uint64_t, std::uint64_t) noexcept {
  return false;
}

constexpr std::uint64_t cut(const Counter&, std::uint64_t state, std::uint64_t) noexcept {
  return state;
}

/// A count of 0 as of now: later than any word that was idle before.
constexpr std::uint64_t idle_state(const Counter&, std::uint64_t now_ns) noexcept {
  return CounterWord{std::min(now_ns, Counter::kNowMax) >> Counter::kTickBits, 0}.state();
}

/// What an eviction would forget.
constexpr std::uint64_t tokens_owed(const Counter& counter, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  return use_of(counter, state, now_ns).count;
}

}  // namespace rl
