/// \file
/// What no slot of a table can hold (shm/table.hpp): names for it, and what the words alone tell.
#pragma once

#include <cstdint>
#include <string_view>

#include "shm/slot.hpp"

namespace rl::selftest {

enum class SlotFault : std::uint8_t {
  none,
  no_state,        ///< no transition leads there
  no_nonce,        ///< an insert that nobody can have begun
  unknown_policy,  ///< a key of nobody knows what limit
  owes_too_much,   ///< a debt that no clock explains
  second_slot,     ///< its key is found in another slot
};
inline constexpr std::size_t kSlotFaults = 6;

constexpr std::string_view to_string(SlotFault fault) noexcept {
  switch (fault) {
    case SlotFault::no_state:
      return "neither free, nor an insert, nor a key";
    case SlotFault::no_nonce:
      return "an insert without a nonce";
    case SlotFault::unknown_policy:
      return "its policy is none of the list";
    case SlotFault::owes_too_much:
      return "it owes more than its limit allows";
    case SlotFault::second_slot:
      return "its key has another slot, too";
    case SlotFault::none:
      break;
  }
  return "sound";
}

/// Judges words that were settled: a torn reading may look like any of this.
constexpr SlotFault fault_of(shm::SlotWords words) noexcept {
  if (shm::is_free(words) || shm::is_member(words.tag)) return SlotFault::none;
  if (!shm::is_tentative(words.tag)) return SlotFault::no_state;
  return words.state == 0 ? SlotFault::no_nonce : SlotFault::none;
}

}  // namespace rl::selftest
