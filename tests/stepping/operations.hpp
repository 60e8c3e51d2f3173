/// \file
/// The two tables of every_instruction_test.cpp: what is stepped, and what rivals do meanwhile. A
/// new operation is a line.
#pragma once

#include <string_view>
#include <vector>

#include "tests/stepping/steps.hpp"

namespace rl::test {

/// An operation under the stepper.
struct Operation {
  const char* name;
  ClockSource clock = ClockSource::manual;
  Script before = {};  ///< what came earlier
  Step step;
  Algorithm algorithm = Algorithm::token_bucket;
  bool first_of_handle = false;  ///< the first decision looks at clock and name, too
  bool bans = false;             ///< its limit bans for denials
  /// Those of the scripts that are played, by their names; none: all that put no key apart.
  std::vector<std::string_view> rivals = {};
};

/// What rivals do meanwhile.
struct RivalScript {
  const char* name;
  Script steps;
  bool moves_time = false;
  bool changes = false;     ///< the policy
  bool puts_apart = false;  ///< a key: the operation's beginning has published the entries
  bool repairs = false;     ///< what the operation's beginning has spoilt
};

/// Operations on keys that all stand under their policy.
const std::vector<Operation>& operations();
/// Those on keys that are put apart, or beside others that are.
const std::vector<Operation>& operations_apart();
/// Those with leases of tokens.
const std::vector<Operation>& operations_leased();
const std::vector<RivalScript>& scripts();

/// Sixteen other keys, which fill the list of every key of a table of two pairs.
Script crowd(std::uint64_t cost, int count = 16);
Script operator+(Script a, const Script& b);

}  // namespace rl::test
