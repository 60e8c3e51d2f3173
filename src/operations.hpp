/// \file
/// What a call can ask of a key, as values: each says what it makes of a state, whatever the
/// algorithm. CallRules (src/rules.hpp) applies one of them as often as the table needs.
///
///     act(parameters, state, now)    -> Verdict   the state after it, if it is allowed
///     look(parameters, state, now)   -> Verdict   what there is to say when it cannot act; only of
///                                                 what is asked at a caller's time
///
/// No clock, no atomics. What an operation notes of itself is of the last act: the one that holds.
/// Units: as in src/verdict.hpp.
#pragma once

#include <algorithm>
#include <cstdint>

#include "src/carried_debt.hpp"
#include "src/owed.hpp"
#include "src/parameters.hpp"

namespace rl {

/// Passes or does not: try_acquire.
struct Acquire {
  std::uint64_t cost;

  template <class Algorithm>
  [[nodiscard]] constexpr Verdict act(const Algorithm& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) const noexcept {
    return acquire(parameters, state, now_ns, cost);
  }
  template <class Algorithm>
  [[nodiscard]] constexpr Verdict look(const Algorithm& parameters, std::uint64_t state,
                                       std::uint64_t now_ns) const noexcept {
    return peek(parameters, state, now_ns, cost);
  }
};

/// The same of low priority: it leaves the floor to others.
struct AcquireLow {
  std::uint64_t cost;

  template <class Algorithm>
  [[nodiscard]] constexpr Verdict act(const Algorithm& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) const noexcept {
    return acquire(floored(parameters), state, now_ns, cost);
  }
  template <class Algorithm>
  [[nodiscard]] constexpr Verdict look(const Algorithm& parameters, std::uint64_t state,
                                       std::uint64_t now_ns) const noexcept {
    return peek(floored(parameters), state, now_ns, cost);
  }
};

/// Passes with `most`, for later calls, too, where that passes at once; else with its own cost, or not:
/// a lease of tokens (src/lease.cpp). What has a place in a line, and where nothing is counted, has
/// nothing to be taken ahead.
struct AcquireAhead {
  std::uint64_t cost;
  std::uint64_t most;
  std::uint64_t taken = 0;  ///< if it is allowed

  [[nodiscard]] constexpr Verdict act(const Parameters& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) noexcept {
    const bool has_no_line = std::holds_alternative<TokenBucket>(parameters) ||
                             std::holds_alternative<FixedWindow>(parameters) ||
                             std::holds_alternative<SlidingWindow>(parameters);
    taken = has_no_line ? most : cost;
    const Verdict verdict = acquire(parameters, state, now_ns, taken);
    if (verdict.allowed || taken == cost) return verdict;
    taken = cost;
    return acquire(parameters, state, now_ns, cost);
  }
};

/// What a candidate on trial is asked when a call decides by this operation: the call itself, and
/// nothing ahead of others.
template <class Operation>
constexpr const Operation& as_asked(const Operation& operation) noexcept {
  return operation;
}
constexpr Acquire as_asked(const AcquireAhead& operation) noexcept {
  return {operation.cost};
}

/// Passes now, or at an instant of its own that is not past the deadline, or does not: reserve.
struct Reserve {
  std::uint64_t cost;
  std::uint64_t deadline_ns;
  /// No longer than this, also where a clock that is set back puts the deadline far away.
  std::uint64_t patience_max_ns = ~std::uint64_t{0};
  std::uint64_t at_ns = 0;  ///< when it goes ahead; when denied, until when no such call passes

  template <class Algorithm>
  [[nodiscard]] constexpr Verdict act(const Algorithm& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) noexcept {
    const std::uint64_t until_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
    const std::uint64_t patience_ns = std::min(until_ns, patience_max_ns);
    const Verdict verdict = reserve(parameters, state, now_ns, cost, patience_ns);
    at_ns = now_ns + (verdict.allowed ? verdict.wait_ns : verdict.retry_after_ns);
    return verdict;
  }
};

/// Has already happened: charge.
struct Charge {
  std::uint64_t cost;
  std::uint64_t booked = 0;  ///< of the cost; the rest is forgiven

  template <class Algorithm>
  [[nodiscard]] constexpr Verdict act(const Algorithm& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) noexcept {
    booked = std::min(cost, charge_room(parameters, state, now_ns));
    const std::uint64_t after = charge(parameters, state, now_ns, cost);
    Verdict verdict = peek(parameters, after, now_ns, 1);
    verdict.allowed = true;
    verdict.wait_ns = 0;  // that would be another call's
    return verdict;
  }
};

/// Makes so many tokens left: set_remaining. Not allowed where that is so, as nothing was used.
struct SetRemaining {
  std::uint64_t tokens;

  template <class Algorithm>
  [[nodiscard]] constexpr Verdict act(const Algorithm& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) const noexcept {
    const bool is_so = tokens >= most_at_once(parameters) && is_idle(parameters, state, now_ns);
    Verdict verdict{};
    verdict.allowed = !is_so;
    verdict.state = is_so ? state : with_remaining(parameters, state, now_ns, tokens);
    return verdict;
  }
};

/// Adds to a count: count. What is left of all that can be counted says what it is. Allowed also where
/// there is no limit, and nothing is added; not of what is no counter, by bytes gone wrong.
struct Add {
  std::uint64_t cost;
  std::uint64_t expiry_ns;
  bool each;  ///< begins the expiry anew

  [[nodiscard]] constexpr Verdict act(const Parameters& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) const noexcept {
    const auto* const counter = std::get_if<Counter>(&parameters);
    const bool adds = counter != nullptr;
    return look(parameters, adds ? add(*counter, state, now_ns, cost, expiry_ns, each) : state,
                now_ns);
  }
  [[nodiscard]] constexpr Verdict look(const Parameters& parameters, std::uint64_t state,
                                       std::uint64_t now_ns) const noexcept {
    Verdict verdict = peek(parameters, state, now_ns, 1);
    verdict.allowed = std::holds_alternative<Counter>(parameters) ||
                      std::holds_alternative<Unlimited>(parameters);
    verdict.never = false;
    return verdict;
  }
};

/// Owes what a dump says that the key owed under `from`, whatever it owes now. Not allowed where
/// neither is anything.
struct SetOwed {
  Parameters from;
  Owed owed;
  bool is_any = false;  ///< whether the key owes something after the last act

  [[nodiscard]] constexpr Verdict act(const Parameters& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) noexcept {
    Verdict verdict{};
    const std::uint64_t owing = state_owing(from, owed, now_ns);
    if (std::holds_alternative<Ban>(parameters)) {  // the ban stays: it is owed at its end
      BanWord word = BanWord::of(state);
      word.owed = RoundedTokens::up(all_owed(from, owing, now_ns));
      is_any = true;
      verdict.allowed = true;
      verdict.state = word.state();
      return verdict;
    }
    verdict.state = converted(from, owing, parameters, Spent::keep, now_ns);
    is_any = !is_idle(parameters, verdict.state, now_ns);
    verdict.allowed = is_any || !is_idle(parameters, state, now_ns);
    if (!verdict.allowed) verdict.state = state;
    return verdict;
  }
};

/// Remembers of a key what a dump says, whatever is remembered of it now. Not allowed where neither
/// is anything, nor in a slot that keeps no conduct, by bytes gone wrong.
struct SetRemembered {
  Remembered what;
  bool is_any = false;  ///< whether something is remembered after the last act

  [[nodiscard]] constexpr Verdict act(const Parameters& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) noexcept {
    Verdict verdict{};
    verdict.state = state;
    const auto* const conduct = std::get_if<Conduct>(&parameters);
    is_any = false;
    if (conduct == nullptr) return verdict;
    const std::uint64_t after = word_of(*conduct, what, now_ns).state();
    is_any = !is_idle(*conduct, after, now_ns);
    verdict.allowed = is_any || !is_idle(*conduct, state, now_ns);
    if (verdict.allowed) verdict.state = after;
    return verdict;
  }
};

/// The most that may pass at once, as far as an operation may use it.
template <class Operation>
[[nodiscard]] constexpr std::uint64_t most_for(const Operation&,
                                               const Parameters& parameters) noexcept {
  return most_at_once(parameters);
}
[[nodiscard]] constexpr std::uint64_t most_for(const AcquireLow&,
                                               const Parameters& parameters) noexcept {
  return most_at_once(floored(parameters));
}

}  // namespace rl
