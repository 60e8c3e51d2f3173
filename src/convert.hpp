/// \file
/// What a key has used, when its limit changes: a state written under one limit becomes one under
/// the next, as of the instant of the change. Pure functions, no clock, no atomics.
///
/// A debt is nanoseconds to a bucket and tokens to a window. So each limit has a unit, in which its
/// debts are measured, and one formula converts them all, rounded up:
///
///     debt' = ceil(debt x unit' / unit)
///
///                                      unit of a bucket     unit of a window    what stays spent
///     keep    a token                  T                    1                   tokens
///     scale   all that passes at once  T x burst            limit               share of it
///     reset                                                                     nothing
///
///     from      to                          keep                   scale
///     bucket    bucket                      ceil(d x T' / T)       ceil(d x tau' / tau)
///     bucket    window                      ceil(d / T)            ceil(d x L' / tau)
///     window    bucket                      n x T'                 ceil(n x tau' / L)
///     window    the same kind of the same   as it is               each count c: ceil(c x L' / L)
///               length and phase
///     window    another                     n                      ceil(n x L' / L)
///     permits   permits                     as they are, also with reset; hints are cleared
///     permits   another, or back            idle: such a change is refused where it is made
///     counter   counter                     as it is; idle with reset
///     counter   another, or back            idle: refused likewise
///
/// A bucket is a token bucket or a leaky one. d is what the TAT lies ahead of the change, n the
/// tokens_owed then, also those beyond what passes at once. They are charged to an idle key of the
/// new limit. What its horizon cannot hold is forgiven, as with every charge. A state beyond the
/// old horizon is no debt that anybody made, and is cut first. Idle keys stay idle; an idle stamp
/// is no debt as long as it is no later than the change.
///
/// (a) keep gives no token back. From bucket to bucket the debt in tokens is d / T before and
/// ceil(d x T' / T) / T' after: no less, and more by less than 1 / T', a nanosecond's worth. Into a
/// window it is rounded up to whole tokens, and out of a sliding window its fading count is: less
/// than a token more. A fixed window's count is whole, and the counts of windows that stay are as
/// they were: nothing more. As ceil(ceil(x) / T') = ceil(x / T') for whole T', tokens_owed is the
/// same before and after, in every row. Except what the new horizon cannot hold: after that the key
/// owes all that it can hold, which is no less than what passes at once.
///
/// (b) Nor do several changes. Follow the debt in tokens, unrounded: between two changes it falls
/// as the limit in force then says, as the debt is one of that limit; at a change it is no less
/// after, by (a). So at no time is it below the debt of a log that drains by the limits in force,
/// and above it by less than what (a) says, once for each change.
///
/// Bound: let the limits be buckets, changed with keep, T(t) and B(t) in force at t. A key is
/// admitted in a window [a, b] at most B(last) + integral of dt / T(t) from a to b, and what the
/// horizons forgave at changes in between; B(last) is what passes at once at the instant of the
/// window's last admitted call, so no more than the largest in force. Proof: let D be the debt in
/// tokens. Calls add their cost to it, charges and rounding add to it, time takes dt / T(t), and
/// horizons take what they forgive. Before the first call of the window D >= 0; after the last one
/// D <= B(last), or it had not passed. So the costs in between are at most B(last), and what time
/// and horizons took. Windows of one length and phase: a count stays, so each window of the clock
/// admits at most the limit in force at its last admitted call.
///
/// Units: nanoseconds on the segment's clock; tokens. Overflow: a debt and a unit are at most 2^61,
/// their product is made in 128 bits; instants are cut to 2^62, so a state stays below 2^63.
#pragma once

#include <concepts>

#include <rl/limit.hpp>

#include "src/parameters.hpp"

namespace rl {

template <class P>
concept IsBucket = std::same_as<P, TokenBucket> || std::same_as<P, LeakyBucket>;

/// Returns ceil(n x to / from), or the largest number if it is above that.
constexpr std::uint64_t converted_up(std::uint64_t n, std::uint64_t from,
                                     std::uint64_t to) noexcept {
  __extension__ using Wide = unsigned __int128;
  const Wide after = (Wide{n} * to + (from - 1)) / from;
  return static_cast<std::uint64_t>(std::min(after, Wide{~std::uint64_t{0}}));
}

/// What debts are measured in: a token, or with scale all that passes at once.
template <IsBucket P>
constexpr std::uint64_t unit_of(const P& bucket, Spent spent) noexcept {
  return spent == Spent::scale ? bucket.tolerance_ns : bucket.interval_ns;
}
template <class P>
constexpr std::uint64_t unit_of(const P& window, Spent spent) noexcept {
  return spent == Spent::scale ? most_at_once(window) : 1;
}

/// All that is owed: time to a bucket, tokens to a window.
template <IsBucket P>
constexpr std::uint64_t debt_of(const P& bucket, std::uint64_t tat_ns,
                                std::uint64_t at_ns) noexcept {
  return std::min(debt_ns(tat_ns, at_ns), bucket.horizon_ns);
}
template <class P>
constexpr std::uint64_t debt_of(const P& window, std::uint64_t state,
                                std::uint64_t at_ns) noexcept {
  return tokens_owed(window, state, at_ns);
}

/// A key that owes that and nothing else, as far as the horizon goes.
template <IsBucket P>
constexpr std::uint64_t with_debt(const P& bucket, std::uint64_t debt,
                                  std::uint64_t at_ns) noexcept {
  return at_ns + std::min(debt, bucket.horizon_ns);
}
template <class P>
constexpr std::uint64_t with_debt(const P& window, std::uint64_t debt,
                                  std::uint64_t at_ns) noexcept {
  return charge(window, idle_state(window, at_ns), at_ns, debt);
}

/// The same window of the clock with its counts scaled.
constexpr std::uint64_t scaled(const FixedWindow& from, std::uint64_t state, const FixedWindow& to,
                               std::uint64_t at_ns) noexcept {
  const FixedWindowUse use = use_of(from, state, at_ns);
  const std::uint64_t count = converted_up(use.count, from.limit, to.limit);
  return use.end_ns + std::min(count, to.windows.window_ns - 1);
}
constexpr std::uint64_t scaled(const SlidingWindow& from, std::uint64_t state,
                               const SlidingWindow& to, std::uint64_t at_ns) noexcept {
  const SlidingWindowUse use = use_of(from, state, at_ns);
  const auto count = [&](std::uint64_t n) {
    return std::min(converted_up(n, from.limit, to.limit), to.radix - 1);
  };
  return use.end_ns + count(use.previous) * to.radix + count(use.current);
}

/// Converts what a key owes as of at_ns, by the table above. Requires a state that is neither idle
/// nor beyond the horizon of `from`, and keep or scale. A kind of limit that does it otherwise has
/// an overload.
template <class From, class To>
constexpr std::uint64_t debt_converted(const From& from, std::uint64_t state, const To& to,
                                       Spent spent, std::uint64_t at_ns) noexcept {
  if constexpr (std::same_as<From, To> && requires { from.windows; }) {
    const bool is_same_window = from.windows.window_ns == to.windows.window_ns &&
                                from.windows.phase_ns == to.windows.phase_ns;
    if (is_same_window) return spent == Spent::scale ? scaled(from, state, to, at_ns) : state;
  }
  const std::uint64_t debt = debt_of(from, state, at_ns);
  return with_debt(to, converted_up(debt, unit_of(from, spent), unit_of(to, spent)), at_ns);
}

/// Converts any state. A kind of limit that keeps it otherwise has an overload: permits are out,
/// whatever is said of them.
template <class From, class To>
constexpr std::uint64_t state_converted(const From& from, std::uint64_t state, const To& to,
                                        Spent spent, std::uint64_t at_ns) noexcept {
  const std::uint64_t at = std::min(at_ns, kTimeMax);
  if constexpr (std::same_as<From, Counter> || std::same_as<To, Counter>)
    return std::same_as<From, To> && spent != Spent::reset ? state : idle_state(to, at);
  const std::uint64_t within = cut(from, state, at);
  if (spent == Spent::reset || is_idle(from, within, at)) return idle_state(to, at);
  return debt_converted(from, within, to, spent, at);
}
/// But a hint says how things stood under the limit of before: it is cleared.
constexpr std::uint64_t state_converted(const Concurrency&, std::uint64_t state, const Concurrency&,
                                        Spent, std::uint64_t) noexcept {
  if (kind_of(state) != WordKind::hint) return state;
  const HintWord hint = HintWord::of(state);
  return cleared(hint, hint.index).state();
}
/// Where there is no limit for a while, permits are forgotten, and fencing numbers go on.
constexpr std::uint64_t state_converted(const Concurrency&, std::uint64_t state, const Unlimited&,
                                        Spent, std::uint64_t) noexcept {
  return kind_of(state) == WordKind::fence ? state : 0;
}
constexpr std::uint64_t state_converted(const Unlimited&, std::uint64_t state, const Concurrency&,
                                        Spent, std::uint64_t) noexcept {
  return kind_of(state) == WordKind::fence ? state : 0;
}

/// Returns what a key's state, written under the limit `from`, is under the limit `to` that
/// followed it at the instant at_ns. Requires parameters of valid limits; the state may be any
/// word. An unknown `spent` is taken for keep. Never beyond the horizon of `to` at at_ns.
constexpr std::uint64_t converted(const Parameters& from, std::uint64_t state, const Parameters& to,
                                  Spent spent, std::uint64_t at_ns) noexcept {
  const auto convert = [=](const auto& a, const auto& b) {
    return state_converted(a, state, b, spent, at_ns);
  };
  return std::visit(convert, from, to);
}

}  // namespace rl
