/// \file
/// Forgetting what a key has consumed, and nothing else of it.
///
///     under a limit     its slot is freed
///     a permit, out     stays: its holder has not consumed, he is at work
///     an override       stays, idle
///     a ban, an allow   stays, and owes nothing when it is over
///     conduct           is freed
#pragma once

#include "src/core.hpp"
#include "src/follow.hpp"

namespace rl {

/// Forgets what a slot holds, if it is a member: of this identity, or of any for 0. Returns whether
/// there was anything to forget. Allocates nothing. Progress: at most kTriesMax tries; each but the
/// first is another's success.
inline bool forget(const View& view, std::uint64_t index, std::uint64_t identity) noexcept {
  const auto& table = view.table;
  Follower follower(view, view.clock);
  for (std::uint32_t tries = 0; tries < table.kTriesMax; ++tries) {
    const shm::SlotWords seen = table.slot(index).words();
    const bool is_meant = identity == 0 || shm::identity_of(seen.tag) == identity;
    if (!is_meant || !shm::is_member(seen.tag)) return false;
    // After the words were read: by an earlier reading, a permit that was taken since has a lease
    // that nobody can have begun.
    const std::uint64_t now = view.clock.now();
    const bool has_time = now != shm::Clock::kNoTime;
    const Followed at =
        follower.follow(shm::policy_of(seen.tag), seen.state, has_time ? now : 0, 0);
    const auto* const permits =
        at.policy != nullptr ? std::get_if<Concurrency>(&at.policy->parameters) : nullptr;
    if (permits != nullptr && (!has_time || !is_idle(*permits, at.state, now))) return false;
    if (at.policy == nullptr || !is_standing(at.policy->kind)) {
      if (table.free_if(index, [&](shm::SlotWords words) { return words == seen; })) return true;
      continue;
    }
    BanWord word = BanWord::of(at.state);
    word.owed = {};
    const std::uint64_t after = at.policy->kind != shm::PolicyKind::override_ ? word.state()
                                : has_time ? idle_state(at.policy->parameters, now)
                                           : at.state;
    if (after == at.state && !at.has_moved) return false;
    const auto step = [&](std::uint16_t, std::uint64_t state) noexcept {
      const bool is_same = state == seen.state;
      return shm::Transition{is_same ? shm::Transition::store : shm::Transition::pass, at.id,
                             after};
    };
    if (table.try_step(index, seen.tag, step)) return true;
  }
  return false;
}

}  // namespace rl
