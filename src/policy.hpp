/// \file
/// A policy's bytes and what they mean: the only place that knows both.
#pragma once

#include <cstdint>
#include <optional>

#include <rl/limit.hpp>
#include <rl/standing.hpp>

#include "shm/policies.hpp"
#include "src/parameters.hpp"

namespace rl {

/// A policy, read and checked, in private memory.
struct Policy {
  Parameters parameters;  // first, as every decision reads them
  Limit limit;            ///< of what is no limit itself: the one that it stands for
  shm::PolicyKind kind = shm::PolicyKind::limit;
  Spent spent = Spent::keep;  ///< what becomes of debts under the policies before it
  /// Of a ban or an allow: the policy that the key comes back under. Of a limit that bans: what it
  /// keeps of conduct.
  std::uint16_t parent = 0;
};

/// How a key under such an entry stands to its policy.
constexpr Standing standing_of(shm::PolicyKind kind) noexcept {
  switch (kind) {
    case shm::PolicyKind::override_:
      return Standing::override_;
    case shm::PolicyKind::allow:
      return Standing::allow;
    case shm::PolicyKind::ban:
      return Standing::ban;
    default:
      return Standing::none;
  }
}

/// Whether keys under such an entry stay there until they are taken out, or their time is over.
constexpr bool is_standing(shm::PolicyKind kind) noexcept {
  return standing_of(kind) != Standing::none;
}

/// Whether such an entry is a limit, which a key can come back under.
constexpr bool is_limit(shm::PolicyKind kind) noexcept {
  using enum shm::PolicyKind;
  return kind == limit || kind == removed || kind == override_;
}

/// The instants that go into a policy's entry.
struct PolicyTimes {
  std::uint64_t now_ns;         ///< of its creation, on the segment's clock
  std::uint64_t unix_ns;        ///< the same as people count
  std::uint64_t epoch_unix_ns;  ///< Unix time at the segment's time 0: windows are aligned by it
};

/// Writes a limit into an entry's constants (all but the name): one in force for all keys.
shm::PolicyConstants constants_of(const Limit& limit, const PolicyTimes& times) noexcept;

/// Says whether a limit can become another while callers run: calls, permits and counts are asked for
/// in different ways.
inline bool can_become(const Limit& from, const Limit& to) noexcept {
  const bool is_of_calls = takes_calls(from.algorithm());
  return is_of_calls ? takes_calls(to.algorithm()) : from.algorithm() == to.algorithm();
}

/// Writes into a concurrency limit's constants what may be out of the one that it replaces: so many
/// permits, with leases of that length; `only_its_own` when what was before that is over.
void continue_permits(shm::PolicyConstants& next, const Concurrency& last, std::uint16_t last_id,
                      bool only_its_own) noexcept;

/// Says what becomes of a state in a copy of its segment (shm::Mapping::StateInCopy): permits stay
/// out, held by somebody who cannot be asked whether he lives.
std::uint64_t state_in_copy(const shm::PolicyConstants& policy, std::uint64_t state) noexcept;

/// Reads a policy; nothing when the numbers make no limit that this library can hold.
std::optional<Policy> policy_from(const shm::PolicyConstants& constants) noexcept;

}  // namespace rl
