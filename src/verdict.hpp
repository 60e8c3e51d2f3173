/// \file
/// What every algorithm says to a call, and the little arithmetic that they share.
///
/// An algorithm is a struct of parameters and pure functions of the same names, so that whoever
/// dispatches between them can treat them alike:
///
///     acquire(params, state, now, cost)        -> Verdict     decides a call
///     peek(params, state, now, cost)           -> Verdict     says what acquire would, before it
///     reserve(params, state, now, cost, patience) -> Verdict  acquire, but a call may wait that long
///     charge(params, state, now, cost)         -> state       counts what has already happened
///     charge_room(params, state, now)          -> tokens      the largest charge that counts whole
///     refund(params, state, charged, cost, now)-> state       takes a charge back, while it is owed
///     with_remaining(params, state, now, n)    -> state       n tokens left now, whatever was used
///     is_idle(params, state, now)              -> bool        as good as never seen
///     idle_state(params, now)                  -> state       an idle key, as of now
///     tokens_owed(params, state, now)          -> tokens      all of the debt, rounded up: what an
///                                                             eviction would give away
///     is_beyond_horizon(params, state, now)    -> bool        no call can have written that
///     cut(params, state, now)                  -> state       if so, all used that passes at once
///     most_at_once(params)                     -> tokens      no larger cost ever passes
///     floored(params)                          -> params      by which calls of low priority are
///                                                             decided, and nothing else
///
/// A state is one 64-bit word. 0 is a key never seen; bit 63 is never set (nonces have it); calls
/// that pass, charges and idle stamps never make it less, so a word that a slow caller has read
/// does not come back with another meaning. Only refund and with_remaining go back, and not below
/// an idle key of now. A word above that is the whole truth about its key, in any life of it: an
/// instant at which all is paid, or a window with its counts. So who finds again the word that he
/// read adds to what it says now. Whether a key is idle follows from state, time and parameters
/// alone.
///
/// Units: nanoseconds on the segment's clock, below 2^63; tokens (calls of cost 1).
#pragma once

#include <algorithm>
#include <cstdint>

namespace rl {

/// What a call gets: the state after it, and what to tell the caller.
struct Verdict {
  bool allowed;
  bool never;                    ///< the cost is above what can ever pass at once
  std::uint64_t state;           ///< unchanged by a denial
  std::uint64_t remaining;       ///< tokens left after the call
  std::uint64_t retry_after_ns;  ///< until it passes without a wait; 0 when allowed, and when never
  std::uint64_t reset_after_ns;  ///< until the key is as good as never seen
  std::uint64_t wait_ns;         ///< how long an allowed call has to wait before it goes ahead
};

/// The latest instant that algorithms know, 146 years: a later one is taken for it.
inline constexpr std::uint64_t kTimeMax = std::uint64_t{1} << 62;

/// How far a state may lie beyond the horizon before it is cut: more than any skew between CPUs.
inline constexpr std::uint64_t kHealSlackNs = 1'000'000'000;

/// What a theoretical arrival time (TAT) that lies ahead amounts to: the debt, as time.
constexpr std::uint64_t debt_ns(std::uint64_t tat_ns, std::uint64_t now_ns) noexcept {
  return tat_ns > now_ns ? tat_ns - now_ns : 0;
}

/// Returns what `divide` needs to know of a divisor.
constexpr std::uint64_t reciprocal_of(std::uint64_t divisor) noexcept {
  return ~std::uint64_t{0} / divisor;
}

/// Returns floor(n / divisor) for n below 2^63, without a division. The product with the reciprocal
/// is at most one short.
constexpr std::uint64_t divide(std::uint64_t n, std::uint64_t divisor,
                               std::uint64_t reciprocal) noexcept {
  __extension__ using Wide = unsigned __int128;
  const auto quotient = static_cast<std::uint64_t>(Wide{n} * reciprocal >> 64);
  return quotient + (n - quotient * divisor >= divisor ? 1 : 0);
}

}  // namespace rl
