/// \file
/// Says whether a segment is valid, and whether what several processes got can be explained by some
/// order of their operations.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tests/stepping/model.hpp"

namespace rl::test {

/// Guarantee S, read from the bytes: every slot is in one of its states, no key has two members,
/// every entry on the list is whole and none is there twice, and each that a key comes back from
/// leads to a limit. Returns what is wrong, or nothing.
std::string find_damage(const shm::Mapping& mapping);

/// What a victim that stands still has done, nobody else having done anything.
struct AtStop {
  Model model;                  ///< what was before, without the debtor that it has evicted
  std::uint64_t uncounted = 0;  ///< evictions that it had no time to count: one at most
  std::string wrong;            ///< guarantee A: or nothing
};

/// Finds the debtor that is gone, if one is: only an insert evicts, only when all slots owe, and
/// one that is not counted yet has left the victim's tentative behind and no more.
AtStop at_stop(const Model& before, const Step& victim, const shm::Mapping& mapping,
               std::uint64_t now_ns, std::uint64_t counted);

/// What happened: a victim's one operation, which was stopped or killed in the middle, and the
/// rivals' script, which ran whole meanwhile.
struct Story {
  Model before;  ///< as of the stop: without what the victim had evicted by then
  Step victim;
  std::optional<Outcome> victim_outcome;  ///< nothing: it was killed
  Script rivals;
  std::vector<Outcome> rival_outcomes;
  std::uint64_t evictions = 0;  ///< counted since the stop, but for one that was made before it
  std::uint64_t gave_up = 0;
  char only_key = '\0';  ///< if given, what other keys owe does not matter
};

/// Guarantee A, and that operations are atomic: there is a place for the victim's operation among
/// the rivals' at which, done one after the other, all would have got what they got and all keys
/// would owe what they owe. A killed one may have no place, but if it has one it is the first.
/// (A reset of all keys is many operations, one for each key.)
///
/// Evictions are explained, too. A key whose debt is gone was evicted since it was seen last, by an
/// insert of another key into slots that all owe or stay; an insert evicts one key; and there are
/// as many as were counted. What is put apart is never evicted. Returns what is wrong, or nothing.
std::string find_contradiction(const Story& story, const shm::Mapping& mapping,
                               std::uint64_t now_ns);

}  // namespace rl::test
