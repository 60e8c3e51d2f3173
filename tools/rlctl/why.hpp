/// \file
/// The answer of `rlctl why`, from facts alone: what holds for a key, in one sentence, and under each
/// policy.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/key_facts.hpp"

namespace rl::ctl {

/// What holds for a key, the strongest last.
enum class Holds : std::uint8_t {
  unknown,  ///< nothing is kept of it, so it passes
  nothing,  ///< all that is kept of it is idle
  in_use,   ///< it passes, and owes something
  apart,    ///< it passes, as it stands apart: on an allow-list, or under a limit that only watches
  off,      ///< it passes, as limits are off
  untold,   ///< it passes under all that can be read, and a policy cannot be
  limited,  ///< denied until a time
  full,     ///< denied, as no slot is to be had to count it in
  banned,
};
/// Returns the word for programs.
std::string_view to_string(Holds holds) noexcept;

/// Whether a call of cost 1 passes now.
constexpr bool passes(Holds holds) noexcept {
  return holds < Holds::untold;
}

/// Names the policies that cannot be read: "policy api", unescaped; requires one.
std::string names_of_unreadable(const KeyFacts& facts);

/// Returns what holds under one policy.
Holds holds_under(const PolicyFacts& facts) noexcept;
/// Says it, as the end of a sentence that begins with the key: "is limited by api: 0 of 200 left,
/// passes in 35 ms".
std::string sentence_of(const PolicyFacts& facts, Instant now);

struct Answer {
  Holds holds = Holds::unknown;
  std::string sentence;             ///< with the key, and without a dot
  const PolicyFacts* by = nullptr;  ///< whose word it is; null for nobody's
};
/// Requires that the facts outlive the answer.
Answer answer_from(const KeyFacts& facts);

}  // namespace rl::ctl
