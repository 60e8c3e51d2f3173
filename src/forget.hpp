/// \file
/// Forgetting what a key has consumed, and nothing else of it.
///
///     under a limit     its slot is freed
///     a permit, out     stays: its holder has not consumed, he is at work
///     an override       stays, idle
///     a ban, an allow   stays, and owes nothing when it is over
///     conduct           is freed
#pragma once

#include <cstdint>

#include "src/core.hpp"
#include "src/follow.hpp"

namespace rl {

/// Returns the state of a key that stands apart once what it owes is forgotten.
inline std::uint64_t without_debt(const Followed& at) noexcept {
  if (at.policy->kind == shm::PolicyKind::override_)
    return idle_state(at.policy->parameters, at.now_ns);
  return with_remaining(Ban{}, at.state, at.now_ns, 0);
}

/// Whether a slot is a permit that is out, as far as one can tell.
inline bool is_permit_out(const Followed& at, bool has_time) noexcept {
  const auto* const permits =
      at.policy != nullptr ? std::get_if<Concurrency>(&at.policy->parameters) : nullptr;
  return permits != nullptr && (!has_time || !is_idle(*permits, at.state, at.now_ns));
}

/// Whose slot was forgotten.
enum class Forgotten : std::uint8_t {
  nothing,  ///< there was nothing to forget
  key,
  beside,  ///< a key's, but not its own slot: a candidate's, or its conduct
};

inline Forgotten whose(const Followed& at) noexcept {
  const bool is_beside = at.policy != nullptr && (at.policy->kind == shm::PolicyKind::candidate ||
                                                  at.policy->kind == shm::PolicyKind::conduct);
  return is_beside ? Forgotten::beside : Forgotten::key;
}

/// Forgets what a slot holds, if it is a member: of this identity, or of any for 0. Allocates
/// nothing. Progress: at most kTriesMax tries; each but the first is another's success.
inline Forgotten forget(const View& view, std::uint64_t index, std::uint64_t identity) noexcept {
  const auto& table = view.table;
  Follower follower(view, view.clock);
  for (std::uint32_t tries = 0; tries < table.kTriesMax; ++tries) {
    const shm::SlotWords seen = table.slot(index).words();
    const bool is_meant = identity == 0 || shm::identity_of(seen.tag) == identity;
    if (!is_meant || !shm::is_member(seen.tag)) return Forgotten::nothing;
    // After the words were read: by an earlier reading, a permit that was taken since has a lease
    // that nobody can have begun.
    const std::uint64_t now = view.clock.now();
    const bool has_time = now != shm::Clock::kNoTime;
    const Followed at =
        follower.follow(shm::policy_of(seen.tag), seen.state, has_time ? now : 0, 0);
    if (is_permit_out(at, has_time)) return Forgotten::nothing;
    if (at.policy == nullptr || !is_standing(at.policy->kind)) {
      if (table.free_if(index, [&](shm::SlotWords words) { return words == seen; }))
        return whose(at);
      continue;
    }
    // Without a time nobody can say what is idle.
    const std::uint64_t after = has_time ? without_debt(at) : at.state;
    if (after == at.state && !at.has_moved) return Forgotten::nothing;
    const auto step = [&](std::uint16_t, std::uint64_t state) noexcept {
      const auto kind = state == seen.state ? shm::Transition::store : shm::Transition::pass;
      return shm::Transition{kind, at.id, after};
    };
    if (table.try_step(index, seen.tag, step)) return whose(at);
  }
  return Forgotten::nothing;
}

}  // namespace rl
