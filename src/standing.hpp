/// \file
/// Overrides, bans and the allow-list: what an operator makes of single keys.
///
/// A key that stands apart has a slot under an entry of its own: an override (a limit), a ban, or an
/// allow. To put it there is one compare-and-swap on its slot, or the slot's insert; so is to take
/// it back. Its debt comes along, converted as of that instant.
///
///     entry      parent                        the slot's word
///     override   -                             as under any limit
///     ban        the root, or an override      until, and what is owed then (src/ban.hpp)
///     allow      the root, or an override      since, and what was owed then
///
/// What a change makes of where the key stands:
///
///                  under the limit      under an override   banned              allowed
///     ban          banned               banned, parent it   the later end       refused
///     unban        -                    -                   under its parent    -
///     allow        allowed              allowed, parent it  allowed             -
///     disallow     -                    -                   -                   under its parent
///     override     under it             under it            banned, parent it   allowed, parent it
///     unset        -                    under the limit     banned, parent the  allowed, parent the
///                                                           root                root
///
/// Such slots stay (Rules::judge): no flood takes them. So that a list keeps room for others, at
/// most 8 of a key's 16 candidates may be taken by what stays. That is looked at before a key is
/// put there; two operators at the same instant may both be the eighth.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/change.hpp"

namespace rl {

/// How many of a key's candidates may be taken by what stays.
inline constexpr int kStandingsMax = 8;

/// How often a change begins anew because somebody else was faster.
inline constexpr int kStandingTriesMax = 64;

enum class StandingAct : std::uint8_t { ban, unban, allow, disallow, set_override, unset_override };

/// What is to be made of a key.
struct StandingChange {
  StandingAct act;
  std::uint64_t length_ns = 0;    ///< of a ban
  bool is_for_ever = false;       ///< the ban
  std::uint32_t level = 0;        ///< of a ban
  std::uint16_t override_id = 0;  ///< of the override's entry
};

/// Whose.
struct StandingKey {
  std::uint16_t root;     ///< of its policy
  std::string_view name;  ///< of its policy
  std::string_view key;
  std::optional<shm::KeyHash> hash = {};  ///< of a key whose text is known in part only
};

/// Makes the change, and notes it in the journal. Returns whether there was anything to change.
/// `path` names the segment in errors. Progress: bounded; publishes an entry at most once for each
/// limit that the key could come back under.
/// Errors: Error (read_only, too_many, no_space, bad_option for a ban of a key on the allow-list,
/// system for a clock that cannot be read).
bool change_standing(View& view, const std::string& path, const StandingKey& who,
                     const StandingChange& change, std::string_view reason);

}  // namespace rl
