/// \file
/// How a key is decided: by a first look at its slot, where most calls end, and else by the whole
/// protocol; and from a verdict to what the caller is told. For the sources behind
/// include/rl/limiter.hpp.
#pragma once

#include <rl/decision.hpp>

#include "src/counting.hpp"
#include "src/escalation.hpp"
#include "src/rules.hpp"
#include "src/trial.hpp"

namespace rl {

inline std::chrono::nanoseconds to_nanoseconds(std::uint64_t ns) noexcept {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
}

/// Clips a caller's instant to what the algorithms accept.
inline std::uint64_t to_ns(Instant instant) noexcept {
  const std::int64_t ns = instant.time_since_epoch().count();
  return ns < 0 ? 0 : std::min(static_cast<std::uint64_t>(ns), kTimeMax);
}

/// Returns a time to wait as the caller's clock has to see it pass.
[[gnu::always_inline]] inline std::chrono::nanoseconds for_a_waiter(
    std::uint64_t ns, const shm::Clock& clock) noexcept {
  return to_nanoseconds(ns + clock.drift_allowance(ns));
}

/// Returns the hash that names and places a key.
[[gnu::always_inline]] inline shm::KeyHash hash_of(const Binding& binding,
                                                   std::string_view key) noexcept {
  return shm::KeyHash::from(binding.hasher(key.data(), key.size()));
}

/// Says to the caller what an algorithm decided, and what a limit that only watches makes of it.
[[gnu::always_inline]] inline Decision decision_of(const Verdict& verdict, std::uint16_t policy,
                                                   const Limit& limit, std::uint64_t most,
                                                   std::uint64_t cost,
                                                   const shm::Clock& clock) noexcept {
  Decision d{.allowed = verdict.allowed,
             .reason = verdict.allowed ? Reason::ok : Reason::limited,
             .policy = policy,
             .limit = most,
             .remaining = verdict.remaining,
             .reset_after = to_nanoseconds(verdict.reset_after_ns),
             .wait = to_nanoseconds(verdict.wait_ns),
             .cost = cost,
             .charged = verdict.allowed ? verdict.state : 0};
  if (!verdict.allowed) {
    d.retry_after = for_a_waiter(verdict.retry_after_ns, clock);
    if (verdict.never) [[unlikely]] {
      d.reason = Reason::never;
      d.retry_after = kNever;
    }
    if (limit.shadow()) [[unlikely]] {
      d.allowed = true;
      d.reason = Reason::shadow;
    }
  }
  return d;
}

/// The same by the whole protocol, where the policy need not be one for all keys.
template <class Time, class Operation>
Decision decision_of(const CallRules<Time, Operation>& rules, std::uint64_t cost,
                     const shm::Clock& clock) noexcept {
  if (rules.is_unavailable()) return {.reason = Reason::unavailable, .policy = rules.decided_by()};
  const Policy& policy = rules.policy();
  Decision d =
      decision_of(rules.verdict(), rules.decided_by(), policy.limit, rules.limit(), cost, clock);
  switch (policy.kind) {
    case shm::PolicyKind::removed:
      d.reason = Reason::off;
      d.limit = d.remaining = 0;  // there is none
      break;
    case shm::PolicyKind::override_:
      if (d.reason != Reason::shadow) d.reason = Reason::override_;
      break;
    case shm::PolicyKind::allow:
      d.reason = Reason::override_;
      d.limit = d.remaining = 0;  // nothing is counted
      break;
    case shm::PolicyKind::ban:
      d.reason = Reason::banned;
      break;
    default:
      break;
  }
  return d;
}

/// Whether a limit, an override or a ban has decided: not when_full, and not that nobody could.
inline bool is_by_a_limit(const Decision& d) noexcept {
  switch (d.reason) {
    case Reason::ok:
    case Reason::limited:
    case Reason::never:
    case Reason::override_:
    case Reason::banned:
      return true;
    default:
      return false;
  }
}

/// The call found no slot and could not get one: the when_full of the policy in force decides,
/// counted; what only watches lets it pass.
[[gnu::noinline]] inline Decision decision_without_slot(const Binding& binding,
                                                        std::string_view key,
                                                        shm::Update::Outcome outcome) noexcept {
  View& view = *binding.view;
  const std::uint16_t id = view.policies.in_force(binding.id);
  if (id != binding.id) binding.note_outdated();  // it may have been no slot that told
  std::optional<Policy> spare;
  const Policy* const in_force = view.known.find(id, spare).policy;
  const Limit& limit = in_force != nullptr ? in_force->limit : binding.policy.limit;
  shm::Health& health = view.mapping.header().health;
  const bool passes = limit.when_full() == WhenFull::allow;
  const bool allow = passes || limit.shadow();
  // relaxed, all three: counts for people.
  const std::uint64_t before =
      (allow ? health.full_allowed : health.full_denied).fetch_add(1, std::memory_order_relaxed);
  (void)count_total(view, id, limit, passes);
  if (outcome == shm::Update::gave_up) health.gave_up.fetch_add(1, std::memory_order_relaxed);
  Decision d;
  d.allowed = allow;
  d.reason = passes || !allow ? Reason::full : Reason::shadow;
  d.policy = id;
  d.limit = limit.burst();
  if (!passes) d.retry_after = limit.interval();  // a guess: nobody can know
  return is_told(view, before) ? noted(view, EventKind::full, key, d) : d;
}

/// Whether a call makes sense, and the segment takes any.
[[gnu::always_inline]] inline bool can_ask(const View& view, std::string_view key,
                                           std::uint64_t cost) noexcept {
  return !key.empty() && cost != 0 && view.decides.load(std::memory_order_relaxed) &&
         !view.is_off();
}

/// A concurrency limit gives permits, and takes no calls. One that was removed may have become
/// another: then the next call knows.
inline bool is_asked_for_permits(const Binding& binding) noexcept {
  if (!std::holds_alternative<Concurrency>(binding.policy.parameters)) return false;
  if (!binding.stands_alone()) binding.note_outdated();
  return true;
}

/// Nor does a counter take calls.
inline bool is_asked_to_count(const Binding& binding) noexcept {
  if (!std::holds_alternative<Counter>(binding.policy.parameters)) return false;
  if (!binding.stands_alone()) binding.note_outdated();
  return true;
}

/// Whether a policy decides on calls: neither of the two.
inline bool takes_calls(const Binding& binding) noexcept {
  return !is_asked_for_permits(binding) && !is_asked_to_count(binding);
}

/// All that a call needs that is in no hurry.
inline bool can_ask(const Binding& binding, std::string_view key, std::uint64_t cost) noexcept {
  return can_ask(*binding.view, key, cost) && takes_calls(binding);
}

/// Whether what a key owes can be changed, also while limits are off.
inline bool can_change(const Binding& binding, std::string_view key) noexcept {
  // relaxed: says what the view is for; the view itself came with the binding.
  return !key.empty() && binding.view->decides.load(std::memory_order_relaxed) &&
         takes_calls(binding);
}

/// What is said to a call that cannot ask.
[[gnu::cold]] inline Decision refused(const View& view, std::string_view key,
                                      std::uint64_t cost) noexcept {
  if (key.empty() || cost == 0) return {.reason = Reason::invalid};
  if (view.forsaken.load(std::memory_order_relaxed))
    return view.stand_in != nullptr ? view.stand_in->answer()
                                    : Decision{.reason = Reason::unavailable};
  if (!view.is_off()) return {.reason = Reason::invalid};  // a read-only segment
  // relaxed: a count for people.
  if (view.mapping.writable())
    view.mapping.header().off_allowed.fetch_add(1, std::memory_order_relaxed);
  return {.allowed = true, .reason = Reason::off, .cost = cost};
}

/// Does what a call asks of the key by the whole protocol of the table, and decides nothing.
template <class Time, class Operation>
shm::Update apply(const Binding& binding, std::string_view key, const shm::KeyHash& hash,
                  CallRules<Time, Operation>& rules) noexcept {
  View& view = *binding.view;
  const shm::Update update = view.table.update(hash, rules);
  if (update.promoted) view.labels.write(update.slot_index, hash, key);
  count_update(view, hash, update);
  if (rules.has_evicted()) [[unlikely]]
    note_event(view, EventKind::evicted, binding.id, key);
  if (rules.healed()) view.mapping.header().health.clamped.fetch_add(1, std::memory_order_relaxed);
  return update;
}

/// The same as a decision, counted and told.
template <class Time, class Operation>
Decision decide_by_rules(const Binding& binding, std::string_view key, const shm::KeyHash& hash,
                         CallRules<Time, Operation>& rules) noexcept {
  View& view = *binding.view;
  const shm::Update update = apply(binding, key, hash, rules);
  if (update.outcome != shm::Update::decided)
    return decision_without_slot(binding, key, update.outcome);
  bool is_to_be_told = false;
  if (!rules.is_unavailable()) {
    const bool allowed = rules.verdict().allowed;
    const Limit& limit = rules.policy().limit;
    is_to_be_told = update.has_slot ? count(view, update.slot_index, hash.identity,
                                            rules.decided_by(), limit, allowed)
                                    : count_total(view, rules.decided_by(), limit, allowed);
    if (allowed && rules.verdict().wait_ns != 0)
      count_wait(view, rules.decided_by(), rules.verdict().wait_ns);
    if (!allowed && bans_for_denials(rules.policy())) [[unlikely]]
      note_denial(binding, rules.policy(), rules.decided_by(), key);
    try_candidate(binding, rules.decided_by(), key, rules.time(), as_asked(rules.operation()),
                  allowed);
  }
  const Decision d = decision_of(rules, rules.operation().cost, view.clock);
  return is_to_be_told ? noted(view, EventKind::denied, key, d) : d;
}

/// A decision for which the first look was not enough: the key is new, is under another policy, a
/// rival was faster, or the clock is odd.
template <class Time, class Operation>
[[gnu::noinline]] Decision decide_with_retries(const Binding& binding, Time time,
                                               std::string_view key, shm::Hash128 hash,
                                               Operation operation) noexcept {
  const auto who = shm::KeyHash::from(hash);
  CallRules<Time, Operation> rules(binding, time, operation);
  return decide_by_rules(binding, key, who, rules);
}

/// Takes the charge out of a decision, so that nobody gives it back again. Returns 0 where there is
/// nothing of `key` and a policy of this name to give back.
inline std::uint64_t take_charge(const Binding& binding, std::string_view key,
                                 Decision& decision) noexcept {
  const std::uint64_t charged = std::exchange(decision.charged, 0);
  const bool is_ours = decision.policy == binding.id ||
                       binding.view->policies.have_one_name(decision.policy, binding.id);
  return decision.allowed && is_ours && can_change(binding, key) ? charged : 0;
}

/// Gives back up to `cost` of what the decision that left the state `charged` still owes. Returns
/// whether anything was given back: not what was decided by another policy than that the key is
/// under, or that of before a change in which tokens did not stay tokens, or at which nothing of it was
/// owed. A call that had to wait stands in a line: it leaves only while nobody stands behind it, who
/// was promised an instant so much after its own.
inline bool give_back_in_slot(const Binding& binding, std::string_view key,
                              const Decision& decision, std::uint64_t charged,
                              std::uint64_t cost) noexcept {
  View& view = *binding.view;
  const bool stands_in_line = decision.wait.count() != 0;
  Follower follower(view, view.clock);
  Follower follower_of_charge(view, view.clock);
  bool given = false;
  // (h), as any decision: the clock is read after the slot.
  const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const std::uint64_t now = view.clock.now();
    given = false;
    if (now == shm::Clock::kNoTime) return shm::Transition{shm::Transition::keep, policy, state};
    const Followed at = follower.follow(policy, state, now, 0);
    const Followed was = follower_of_charge.follow(decision.policy, charged, now, 0);
    // A charge that no clock of this segment can explain was made on another.
    const bool can = at.policy != nullptr && at.id == was.id && was.is_as_charged &&
                     !is_beyond_horizon(at.policy->parameters, was.state, at.now_ns) &&
                     (!stands_in_line || (!was.has_moved && state == charged));
    if (!can) return shm::Transition{shm::Transition::keep, policy, state};
    const std::uint64_t after = refund(at.policy->parameters, at.state, was.state, cost, at.now_ns);
    given = after != at.state;
    return shm::Transition{given ? shm::Transition::store : shm::Transition::keep, at.id, after};
  };
  const bool was_done = view.table.step_member(hash_of(binding, key), step);
  if (was_done && given) view.stripes.add(decision.policy, shm::PolicyTally::refunds);
  return was_done && given;
}

/// The same, and in that of a candidate beside the policy, which was asked the same call; not of a
/// lease, of which it was asked only the first call.
inline bool give_back(const Binding& binding, std::string_view key, const Decision& decision,
                      std::uint64_t charged, std::uint64_t cost) noexcept {
  const bool given = give_back_in_slot(binding, key, decision, charged, cost);
  if (!binding.stands_alone()) refund_on_trial(binding, key, cost);
  return given;
}

/// Counts, and says to the caller, what was decided in the key's own slot.
template <class Algorithm>
[[gnu::always_inline]] inline Decision told_in_slot(const Algorithm& algorithm,
                                                    const Binding& binding, std::string_view key,
                                                    std::uint64_t tag, shm::Slot& slot,
                                                    const Verdict& verdict,
                                                    std::uint64_t cost) noexcept {
  View& view = *binding.view;
  const Limit& limit = binding.policy.limit;
  const bool is_to_be_told = count(view, view.table.counts_beside(slot), shm::identity_of(tag),
                                   binding.id, limit, verdict.allowed);
  if (verdict.allowed && verdict.wait_ns != 0) [[unlikely]]
    count_wait(view, binding.id, verdict.wait_ns);
  if (!verdict.allowed && bans_for_denials(binding.policy)) [[unlikely]]
    note_denial(binding, binding.policy, binding.id, key);
  if (is_to_be_told) [[unlikely]] {
    return noted(
        view, EventKind::denied, key,
        decision_of(verdict, binding.id, limit, most_at_once(algorithm), cost, view.clock));
  }
  return decision_of(verdict, binding.id, limit, most_at_once(algorithm), cost, view.clock);
}

/// A call that a rival undid, or that passed: again where it was looked at, then by the protocol.
template <class Algorithm, class Time>
[[gnu::noinline]] Decision decide_among_rivals(const Algorithm& algorithm, const Binding& binding,
                                               Time time, std::string_view key, shm::Hash128 hash,
                                               shm::Slot& slot, std::uint64_t cost) noexcept {
  View& view = *binding.view;
  const std::uint64_t tag = shm::make_tag(shm::KeyHash::from(hash).identity, binding.id);
  Verdict verdict{};
  std::uint32_t lost = 0;
  const bool decided = view.table.step_among_rivals(
      slot, tag, lost, [&](std::uint16_t policy, std::uint64_t state) noexcept {
        return first_step(algorithm, binding, time, policy, state, cost, verdict);
      });
  if (lost != 0) view.stripes.add(shm::StripeHead::retries, lost);
  if (decided) return told_in_slot(algorithm, binding, key, tag, slot, verdict, cost);
  return decide_with_retries(binding, time_of_retries(time), key, hash, Acquire{cost});
}

/// A call on the slot that was looked for by this tag: clock, one CAS, count. Most calls end here.
/// What does not, as when what was seen has another tag, or a rival was faster, is decided anew.
template <class Algorithm, class Time>
[[gnu::always_inline]] inline Decision decide_in_slot(const Algorithm& algorithm,
                                                      const Binding& binding, Time time,
                                                      std::string_view key, shm::Hash128 hash,
                                                      std::uint64_t tag,
                                                      const shm::Table<shm::Slot>::Seen& seen,
                                                      std::uint64_t cost) noexcept {
  // Nothing is counted where there is no limit, and what is said of it is not the algorithm's.
  constexpr bool kIsLimited = !std::is_same_v<Algorithm, Unlimited>;
  if (!kIsLimited || seen.words.tag != tag) [[unlikely]]
    return decide_with_retries(binding, time_of_retries(time), key, hash, Acquire{cost});
  View& view = *binding.view;
  Verdict verdict{};
  const bool decided =
      view.table.try_step(seen, [&](std::uint16_t policy, std::uint64_t state) noexcept {
        return first_step(algorithm, binding, time, policy, state, cost, verdict);
      });
  if (!decided) [[unlikely]] {
    if (verdict.allowed) count_rival(view);
    return decide_among_rivals(algorithm, binding, time, key, hash, *seen.cell, cost);
  }
  return told_in_slot(algorithm, binding, key, tag, *seen.cell, verdict, cost);
}

}  // namespace rl
