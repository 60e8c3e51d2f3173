/// \file
/// A limit on trial: it decides the same calls as the limit in force beside it, on slots of its own,
/// and nobody is told.
///
///     links of the entry in force ----> candidate      a trial begins and ends with this word
///     hash of a key's slot on trial:    keyed with (key of the policy's hash, candidate's id)
///
/// A call sees that word where it looks for a change (src/follow.hpp), leaves the first look, and is
/// decided by the whole protocol, twice. Both are counted by the same reading of the word, so they
/// are the same calls. A candidate takes room that is free or idle and evicts nobody.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <variant>

#include "shm/counts.hpp"
#include "src/rules.hpp"

namespace rl {

struct Place;

/// Puts a limit on trial beside the policy in force, in the place of another that is. False when
/// there is no such policy by now. Requires two limits of calls. Errors: Error (too_many, corrupt).
bool begin_trial(const Place& place, std::string_view name, const Limit& limit);

/// Returns the candidate beside a policy, or 0.
inline std::uint16_t candidate_of(const View& view, std::uint16_t policy) noexcept {
  const std::uint32_t id = shm::candidate_in(view.policies.links(policy));
  return id <= view.policies.capacity() ? static_cast<std::uint16_t>(id) : std::uint16_t{0};
}

/// Returns the hash of a candidate's keys, which no policy's is: those are keyed with another hash.
inline shm::Hasher hasher_on_trial(const Binding& live, std::uint16_t candidate) noexcept {
  return shm::Hasher(live.hasher(&candidate, sizeof candidate));
}

/// Calls use(binding) with the candidate beside a policy, if there is one. The binding is made anew
/// each time, without memory from anybody: a trial may begin and end between any two calls.
template <class Use>
void with_candidate(const Binding& live, std::uint16_t policy, Use&& use) noexcept {
  View& view = *live.view;
  const std::uint16_t id = candidate_of(view, policy);
  if (id == 0) [[likely]]
    return;
  std::optional<Policy> spare;
  const Policy* const on_trial = view.known.find(id, spare).policy;
  const bool can_decide = on_trial != nullptr && on_trial->kind == shm::PolicyKind::candidate &&
                          takes_calls(on_trial->limit.algorithm());
  if (!can_decide) return;
  const Binding binding{&view,     id,      hasher_on_trial(live, id),
                        *on_trial, nullptr, &view.policies.links_word(id)};
  use(binding);
}

/// Returns where a key of the candidate has its slot.
inline shm::KeyHash hash_on_trial(const Binding& trial, std::string_view key) noexcept {
  return shm::KeyHash::from(trial.hasher(key.data(), key.size()));
}

/// Counts what a limit said of a call. relaxed: counts for people.
inline void tally(shm::Tallies& tallies, bool allowed) noexcept {
  (allowed ? tallies.allowed : tallies.denied).fetch_add(1, std::memory_order_relaxed);
}

/// Has a candidate decide what `policy` decided, and counts both. What is no question is only done.
template <class Time, class Operation>
[[gnu::noinline]] void decide_on_trial(const Binding& trial, std::uint16_t policy,
                                       std::string_view key, const Time& time,
                                       const Operation& operation, bool allowed) noexcept {
  View& view = *trial.view;
  const shm::KeyHash hash = hash_on_trial(trial, key);
  CallRules<Time, Operation> rules(trial, time, operation);
  const shm::Update update = view.table.update(hash, rules);
  if (update.promoted) view.labels.write(update.slot_index, hash, key);
  constexpr bool kIsAsked =
      !std::is_same_v<Operation, Charge> && !std::is_same_v<Operation, SetRemaining>;
  const bool is_decided = update.outcome == shm::Update::decided && !rules.is_unavailable();
  if (!kIsAsked || !is_decided) return;

  const bool would_allow = rules.verdict().allowed;
  tally(view.policies.tallies(policy), allowed);
  shm::Tallies& tallies = view.policies.tallies(trial.id);
  tally(tallies, would_allow);
  if (!update.has_slot) return;
  shm::Counts& counts = view.table.counts(update.slot_index);
  if (!would_allow && shm::read_count(counts.denied, hash.identity) == 0)
    tallies.keys.fetch_add(1, std::memory_order_relaxed);  // as in tally
  shm::add_count(would_allow ? counts.allowed : counts.denied, hash.identity);
}

/// Has the candidate beside `policy`, if there is one, decide what that has decided.
template <class Time, class Operation>
void try_candidate(const Binding& live, std::uint16_t policy, std::string_view key,
                   const Time& time, const Operation& operation, bool allowed) noexcept {
  with_candidate(live, policy, [&](const Binding& trial) noexcept {
    decide_on_trial(trial, policy, key, time, operation, allowed);
  });
}

/// Gives back to the candidate's key what a call cost, as far as that is owed: which calls it had
/// charged, nobody has noted.
inline void refund_on_trial(const Binding& live, std::string_view key,
                            std::uint64_t cost) noexcept {
  const View& view = *live.view;
  with_candidate(live, view.policies.in_force(live.id), [&](const Binding& trial) noexcept {
    const Parameters& parameters = trial.policy.parameters;
    // (h), as any decision: the clock is read after the slot.
    const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
      const std::uint64_t now = view.clock.now();
      const bool can = policy == trial.id && now != shm::Clock::kNoTime &&
                       !is_beyond_horizon(parameters, state, now);
      const std::uint64_t after = can ? refund(parameters, state, state, cost, now) : state;
      return shm::Transition{after != state ? shm::Transition::store : shm::Transition::keep,
                             policy, after};
    };
    (void)view.table.step_member(hash_on_trial(trial, key), step);
  });
}

/// Forgets what the candidate's key has used.
inline void reset_on_trial(const Binding& live, std::string_view key) noexcept {
  const View& view = *live.view;
  with_candidate(live, view.policies.in_force(live.id), [&](const Binding& trial) noexcept {
    const shm::KeyHash hash = hash_on_trial(trial, key);
    const std::uint64_t index = view.table.find(hash);
    if (index == view.table.kNowhere) return;
    (void)view.table.free_if(
        index, [&](shm::SlotWords words) { return shm::is_member_of(words.tag, hash.identity); });
  });
}

}  // namespace rl
