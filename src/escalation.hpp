/// \file
/// A limit that bans whoever is denied too often. No call pays for it but one that was denied by
/// such a limit.
///
/// The denials of a key are counted in a slot of their own (src/conduct.hpp), whose entry the limit
/// names. The compare-and-swap that counts the last of them also begins the next count, so it is
/// one caller's and no other's: that one bans the key. Killed in between, it leaves a key that is
/// not banned for those denials. A count never takes the room of a key that owes something: where
/// there is none, the denial is not counted. That one caller looks through the policies and may
/// allocate, once for each ban.
#pragma once

#include <cstdint>
#include <string_view>

#include "src/core.hpp"

namespace rl {

/// Whether a policy bans for denials. One that only watches denies nobody, and bans nobody.
[[nodiscard]] inline bool bans_for_denials(const Policy& policy) noexcept {
  return policy.limit.ban_after() != 0 && !policy.limit.shadow() && is_limit(policy.kind);
}

/// Counts a denial of a key by the policy `id`, and bans the key if that was one too many. Requires
/// bans_for_denials.
[[gnu::cold]] void note_denial(const Binding& binding, const Policy& policy, std::uint16_t id,
                               std::string_view key) noexcept;

/// Returns where a key's conduct is kept. `keys`: the hasher of its policy.
[[nodiscard]] shm::KeyHash hash_of_conduct(const shm::Hasher& keys, std::string_view key) noexcept;

/// Forgets how often a key was denied, and banned for it. `keys`: the hasher of its policy.
void forget_conduct(const View& view, const shm::Hasher& keys, std::string_view key) noexcept;

}  // namespace rl
