/// \file
/// Whether the table has room for a key that is not in it: what its first call would find.
#pragma once

#include <cstdint>
#include <string_view>

#include "src/core.hpp"

namespace rl::ctl {

enum class Room : std::uint8_t {
  there,     ///< the key has a slot, or there is one to be had
  evicting,  ///< only that of a key which owes something, and the policy takes it
  none,      ///< its list is full: what the policy says of that decides (Limit::when_full)
};

/// Looks at the 16 slots that the key could have, and changes nothing.
///
/// Accuracy: each slot is judged as of one instant after all were read. Others may fill the last
/// one, or leave one, at the next.
Room room_for(const Binding& binding, std::string_view key) noexcept;

}  // namespace rl::ctl
