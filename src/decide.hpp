/// \file
/// How a key is decided: by a first look at its slot, where most calls end, and else by the whole
/// protocol; and from a verdict to what the caller is told. For the sources behind
/// include/rl/limiter.hpp.
#pragma once

#include <rl/decision.hpp>

#include "shm/counts.hpp"
#include "src/core.hpp"
#include "src/rules.hpp"

namespace rl {

inline std::chrono::nanoseconds to_nanoseconds(std::uint64_t ns) noexcept {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
}

/// Returns the hash that names and places a key.
[[gnu::always_inline]] inline shm::KeyHash hash_of(const Binding& binding,
                                                   std::string_view key) noexcept {
  return shm::KeyHash::from(binding.hasher(key.data(), key.size()));
}

/// Says to the caller what an algorithm decided.
[[gnu::always_inline]] inline Decision decision_of(const Verdict& verdict, std::uint16_t policy,
                                                   std::uint64_t limit, std::uint64_t cost,
                                                   const shm::Clock& clock) noexcept {
  Decision d{.allowed = verdict.allowed,
             .reason = verdict.allowed ? Reason::ok : Reason::limited,
             .policy = policy,
             .limit = limit,
             .remaining = verdict.remaining,
             .reset_after = to_nanoseconds(verdict.reset_after_ns),
             .wait = to_nanoseconds(verdict.wait_ns),
             .cost = cost,
             .charged = verdict.allowed ? verdict.state : 0};
  if (!verdict.allowed) {
    d.retry_after =
        to_nanoseconds(verdict.retry_after_ns + clock.drift_allowance(verdict.retry_after_ns));
    if (verdict.never) [[unlikely]] {
      d.reason = Reason::never;
      d.retry_after = kNever;
    }
  }
  return d;
}

template <class Time, class Operation>
Decision decision_of(const CallRules<Time, Operation>& rules, std::uint64_t cost,
                     const shm::Clock& clock) noexcept {
  if (rules.is_unavailable()) return {.reason = Reason::unavailable, .policy = rules.decided_by()};
  return decision_of(rules.verdict(), rules.decided_by(), rules.limit(), cost, clock);
}

/// Counts a decision beside the key's slot.
[[gnu::always_inline]] inline void count(const View& view, std::uint64_t index,
                                         std::uint64_t identity, bool allowed) noexcept {
  shm::Counts& counts = view.table.counts(index);
  shm::add_count(allowed ? counts.allowed : counts.denied, identity);
}

/// The call found no slot and could not get one: the policy's when_full decides, counted.
[[gnu::noinline]] inline Decision decision_without_slot(const Binding& binding,
                                                        shm::Update::Outcome outcome) noexcept {
  shm::Health& health = binding.view->mapping.header().health;
  const bool allow = binding.policy.limit.when_full() == WhenFull::allow;
  (allow ? health.full_allowed : health.full_denied).fetch_add(1, std::memory_order_relaxed);
  if (outcome == shm::Update::gave_up) health.gave_up.fetch_add(1, std::memory_order_relaxed);
  Decision d;
  d.allowed = allow;
  d.reason = Reason::full;
  d.policy = binding.id;
  d.limit = most_at_once(binding.policy.parameters);
  if (!allow) d.retry_after = binding.policy.limit.interval();  // a guess: nobody can know
  return d;
}

/// A concurrency limit gives permits, and takes no calls.
inline bool is_asked_for_permits(const Binding& binding) noexcept {
  return std::holds_alternative<Concurrency>(binding.policy.parameters);
}

/// The call makes no sense, or the segment or the policy takes none.
[[gnu::cold]] inline Decision refused(const View& view, std::string_view key,
                                      std::uint64_t cost) noexcept {
  const bool sound = !key.empty() && cost != 0 && view.forsaken.load(std::memory_order_relaxed);
  return {.reason = sound ? Reason::unavailable : Reason::invalid};
}

/// What a call asks of the key, by the whole protocol of the table: the key is new, is not at home,
/// is under another policy, a rival was faster, or the clock is odd.
template <class Time, class Operation>
[[gnu::noinline]] Decision decide_with_retries(const Binding& binding, Time time,
                                               std::string_view key, const shm::KeyHash hash,
                                               const Operation& operation) noexcept {
  View& view = *binding.view;
  CallRules<Time, Operation> rules(binding, time, operation);
  const shm::Update update = view.table.update(hash, rules);
  if (update.outcome != shm::Update::decided) return decision_without_slot(binding, update.outcome);
  if (update.promoted) view.labels.write(update.slot_index, hash.identity, key);
  if (update.has_slot && !rules.is_unavailable())
    count(view, update.slot_index, hash.identity, rules.verdict().allowed);
  if (rules.healed()) view.mapping.header().health.clamped.fetch_add(1, std::memory_order_relaxed);
  return decision_of(rules, operation.cost, view.clock);
}

/// A call on the slot with this tag that was found at `index`, or kNowhere: clock, one CAS, count. Most
/// calls end here; what does not is decided anew.
template <class Algorithm, class Time>
[[gnu::always_inline]] inline Decision decide_in_slot(const Algorithm& algorithm,
                                                      const Binding& binding, Time time,
                                                      std::string_view key, const shm::KeyHash hash,
                                                      std::uint64_t tag, std::uint64_t index,
                                                      std::uint64_t cost) noexcept {
  View& view = *binding.view;
  Verdict verdict{};
  const bool decided =
      index != view.table.kNowhere &&
      view.table.try_step(index, tag, [&](std::uint16_t policy, std::uint64_t state) noexcept {
        return first_step(algorithm, time, policy, state, cost, verdict);
      });
  if (!decided) [[unlikely]]
    return decide_with_retries(binding, time_of_retries(time), key, hash, Acquire{cost});
  count(view, index, hash.identity, verdict.allowed);
  return decision_of(verdict, binding.id, most_at_once(algorithm), cost, view.clock);
}

}  // namespace rl
