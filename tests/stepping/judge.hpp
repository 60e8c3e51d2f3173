/// \file
/// Says whether a segment is valid, and whether what several processes got can be explained by some
/// order of their operations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/stepping/steps.hpp"

namespace rl::test {

/// Guarantee S, read from the bytes: every slot is in one of its states, no key has two members,
/// every policy on the list is whole and no name is there twice. Returns what is wrong, or nothing.
std::string find_damage(const shm::Mapping& mapping);

/// What happened: a victim's one operation, which was stopped or killed in the middle, and the
/// rivals' script, which ran whole meanwhile.
struct Story {
  Model before;
  Step victim;
  std::optional<Outcome> victim_outcome;  ///< nothing: it was killed
  Script rivals;
  std::vector<Outcome> rival_outcomes;
  std::uint64_t evictions = 0;  ///< counted meanwhile
  std::uint64_t uncounted = 0;  ///< evictions of a victim that was killed before it counted them
  std::uint64_t gave_up = 0;
  char only_key = '\0';  ///< if given, what other keys owe does not matter
};

/// Guarantee A, and that operations are atomic: there is a place for the victim's operation among
/// the rivals' at which, done one after the other, all would have got what they got and all keys
/// would owe what they owe. A killed one may have no place, but if it has one it is the first.
/// (A reset of all keys is many operations, one for each key.) After evictions the single outcomes are not foretold; but no more keys may owe too little than
/// evictions were counted. Returns what is wrong, or nothing.
std::string find_contradiction(const Story& story, const shm::Mapping& mapping,
                               std::uint64_t now_ns);

}  // namespace rl::test
