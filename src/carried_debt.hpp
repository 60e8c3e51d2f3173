/// \file
/// What a key owes goes into the word of a ban or an allow, and comes out again as its state under
/// whatever limit it comes back to. Pure functions, no clock, no atomics.
///
/// Both ways round up: no key gains by a ban. The debt is carried in whole tokens, so it grows by
/// less than one of them and 0.0004 %.
#pragma once

#include "src/convert.hpp"

namespace rl {

/// Returns what is owed as of an instant, in tokens: all of it, also what passes at no time at once.
/// Requires a state that is not beyond the horizon.
constexpr std::uint64_t all_owed(const Parameters& parameters, std::uint64_t state,
                                 std::uint64_t at_ns) noexcept {
  const auto owed = [=](const auto& p) {
    return converted_up(debt_of(p, state, at_ns), unit_of(p, Spent::keep), 1);
  };
  return std::visit(owed, parameters);
}

/// Returns the state of a key that owes so many tokens as of an instant, and nothing else.
constexpr std::uint64_t state_owing(const Parameters& parameters, RoundedTokens owed,
                                    std::uint64_t at_ns) noexcept {
  const std::uint64_t idle = idle_state(parameters, at_ns);
  return owed.tokens() == 0 ? idle : charge(parameters, idle, at_ns, owed.tokens());
}

}  // namespace rl
