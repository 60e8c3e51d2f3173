/// \file
/// A permit that is held, found again in its slot, under whatever policy that has come since.
///
/// A change of the limit leaves a permit's word as it is; the slot's tag changes, in the
/// compare-and-swap of whoever comes by first. So a permit is known by its slot's identity and by
/// its word, both followed to the policy in force. What was given before the policy was removed is
/// none of the one that was made after: there its word has become nothing, also if a new permit has
/// the same by chance.
#pragma once

#include <cstdint>

#include "src/follow.hpp"
#include "src/permit_slots.hpp"

namespace rl {

/// Where a permit is, and what its holder wrote there.
struct HeldPermit {
  const View* view;
  std::uint64_t slot_index;
  shm::SlotWords words;
};

/// What has become of a permit.
struct PermitNow {
  bool is_same = false;  ///< what its holder wrote still stands there; else the rest says nothing
  bool is_out = false;   ///< and its lease runs
  std::uint16_t policy = 0;
  Concurrency permits;  ///< the limit in force
  std::uint64_t now_ns = 0;
};

/// Judges what stands in a permit's slot.
class PermitJudge {
 public:
  explicit PermitJudge(const HeldPermit& held) noexcept
      : held_(held),
        follower_(*held.view, held.view->clock),
        follower_of_held_(*held.view, held.view->clock) {}

  /// Judges words that were read before: by the clock as it is now. Without a clock the permit may
  /// be the same, but is not out.
  [[nodiscard]] PermitNow operator()(shm::SlotWords seen) noexcept {
    PermitNow now;
    const std::uint64_t ns = held_.view->clock.now();
    if (seen.state != held_.words.state ||
        !shm::is_member_of(seen.tag, shm::identity_of(held_.words.tag))) {
      return now;
    }
    const std::uint16_t ours = shm::policy_of(held_.words.tag);
    const std::uint64_t known_ns = ns != shm::Clock::kNoTime ? ns : 0;
    const Followed at = follower_.follow(shm::policy_of(seen.tag), seen.state, known_ns, ours);
    const Concurrency* const permits =
        at.policy != nullptr ? std::get_if<Concurrency>(&at.policy->parameters) : nullptr;
    if (permits == nullptr || at.state != seen.state || !follows(ours, known_ns)) return now;
    now.is_same = true;
    now.is_out = ns != shm::Clock::kNoTime && rl::is_out(*permits, PermitWord::of(at.state), ns);
    now.policy = at.id;
    now.permits = *permits;
    now.now_ns = ns;
    return now;
  }

 private:
  /// Whether the permit, as it was given, is one of the policy in force.
  [[nodiscard]] bool follows(std::uint16_t ours, std::uint64_t now_ns) noexcept {
    const Followed held = follower_of_held_.follow(ours, held_.words.state, now_ns, ours);
    return held.policy != nullptr && held.state == held_.words.state;
  }

  const HeldPermit& held_;
  Follower<View, shm::Clock> follower_;
  Follower<View, shm::Clock> follower_of_held_;
};

/// Replaces a permit's word by `change(what it is now)`, if it is still what its holder wrote, and
/// notes the new one in `held`; no word changes nothing. Returns what the permit was.
/// Progress: as shm::Table::update; each failure is the success of somebody who brought the slot
/// under the policy in force, or took the permit away.
template <class Change>
PermitNow replace(HeldPermit& held, Change&& change) noexcept {
  const auto& table = held.view->table;
  if (held.slot_index == table.kNowhere) return {};
  PermitJudge judge(held);
  for (std::uint32_t tries = 0; tries < table.kTriesMax; ++tries) {
    const std::uint64_t tag = table.slot(held.slot_index).tag();
    if (!shm::is_member_of(tag, shm::identity_of(held.words.tag))) return {};
    PermitNow now;
    shm::SlotWords after = held.words;
    const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
      now = judge({tag, state});
      const std::optional<PermitWord> word =
          now.is_same ? change(now, PermitWord::of(state)) : std::nullopt;
      if (!word) return shm::Transition{shm::Transition::keep, policy, state};
      after = {shm::make_tag(shm::identity_of(tag), now.policy), word->state()};
      return shm::Transition{shm::Transition::store, now.policy, after.state};
    };
    if (!table.try_step(held.slot_index, tag, step)) continue;
    held.words = after;
    return now;
  }
  return {};
}

/// Whether a slot under this policy may be one of permits.
[[gnu::noinline]] inline bool gives_permits(const View& view, std::uint16_t policy) noexcept {
  std::optional<Policy> spare;
  const Policy* const known = view.known.find(policy, spare).policy;
  return known != nullptr && std::holds_alternative<Concurrency>(known->parameters);
}

/// Tells those who are denied that they need not be any more. After the permit was given back: see
/// src/permits.cpp. Under any limit of permits: what was said under an old one is over anyhow.
inline void clear_hint(const View& view, shm::Hash128 key, std::uint32_t index) noexcept {
  const auto clear = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const HintWord hint = HintWord::of(state);
    const bool must = hint.mark != HintWord::clear && gives_permits(view, policy);
    return shm::Transition{must ? shm::Transition::store : shm::Transition::keep, policy,
                           must ? cleared(hint, index).state() : state};
  };
  (void)view.table.step_member(hash_of_hint(key), clear);
}

/// The first try to give a permit back: under the policy that it was taken under, while that is in
/// force: one look and one compare-and-swap. Nothing where that is not so, or a rival was faster;
/// then nothing has changed. Else whether its lease ran: the clock is asked only by who `is_asked`.
[[gnu::always_inline]] inline std::optional<bool> give_back_at_once(const Binding& binding,
                                                                    const HeldPermit& held,
                                                                    bool is_asked) noexcept {
  const auto& table = held.view->table;
  const bool is_ours = binding.view == held.view && shm::policy_of(held.words.tag) == binding.id;
  const auto* const permits = std::get_if<Concurrency>(&binding.policy.parameters);
  if (!is_ours || permits == nullptr || held.slot_index == table.kNowhere) return std::nullopt;
  const PermitWord word = PermitWord::of(held.words.state);
  bool was_out = true;
  const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const std::uint64_t now = is_asked ? binding.view->clock.now() : 0;
    if (state != held.words.state || now == shm::Clock::kNoTime || !binding.stands_alone())
      return shm::Transition{shm::Transition::pass, policy, state};
    was_out = !is_asked || is_out(*permits, word, now);
    return shm::Transition{shm::Transition::store, policy, given_back(word).state()};
  };
  return table.try_step(held.slot_index, held.words.tag, step) ? std::optional(was_out)
                                                               : std::nullopt;
}

/// Gives a permit back. Returns what it was.
inline PermitNow give_back(HeldPermit held, shm::Hash128 key, std::uint32_t index) noexcept {
  const PermitNow was = replace(held, [](const PermitNow&, const PermitWord& word) noexcept {
    return std::optional(given_back(word));
  });
  if (was.is_same) clear_hint(*held.view, key, index);
  return was;
}

/// Whether the policies of this one's name limit anything now: not while limits are off, nor when
/// it was removed.
inline bool is_limited(const View& view, std::uint16_t policy) noexcept {
  if (view.is_off()) return false;
  std::optional<Policy> spare;
  const Policy* const known = view.known.find(view.policies.in_force(policy), spare).policy;
  return known == nullptr || known->kind != shm::PolicyKind::removed;
}

}  // namespace rl
