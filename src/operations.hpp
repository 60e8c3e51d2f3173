/// \file
/// What a call can ask of a key, as values: each says what it makes of a state, whatever the
/// algorithm. CallRules (src/rules.hpp) applies one of them as often as the table needs.
///
///     act(parameters, state, now)    -> Verdict   the state after it, if it is allowed
///     look(parameters, state, now)   -> Verdict   what there is to say when it cannot act
///
/// Pure functions, no clock, no atomics. Units: as in src/verdict.hpp.
#pragma once

#include <cstdint>

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
