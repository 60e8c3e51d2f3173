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

}  // namespace rl
