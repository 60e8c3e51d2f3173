#include <rl/limiter.hpp>

#include "shm/ahead.hpp"
#include "src/decide.hpp"
#include "src/forget.hpp"

namespace rl {
namespace {

/// A decision, whole: hash, find, clock, one CAS, count. Most calls end here.
template <class Algorithm, class Time>
[[gnu::always_inline]] inline Decision decide_by(const Algorithm& algorithm, const Binding& binding,
                                                 Time time, std::string_view key,
                                                 std::uint64_t cost) noexcept {
  View& view = *binding.view;
  if (!can_ask(view, key, cost)) [[unlikely]]
    return refused(view, key, cost);
  const shm::Hash128 hash = binding.hasher(key.data(), key.size());
  const auto who = shm::KeyHash::from(hash);
  if (view.table.is_large()) shm::prefetch_beside_home(view.table, who);
  const std::uint64_t tag = shm::make_tag(who.identity, binding.id);
  return decide_in_slot(algorithm, binding, time, key, hash, tag, view.table.look(who, tag), cost);
}

/// The same for an algorithm that is not the token bucket.
template <class Time>
[[gnu::noinline]] Decision decide_otherwise(const Binding& binding, Time time, std::string_view key,
                                            std::uint64_t cost) noexcept {
  if (!takes_calls(binding)) return {.reason = Reason::invalid};
  return std::visit(
      [&](const auto& algorithm) { return decide_by(algorithm, binding, time, key, cost); },
      binding.policy.parameters);
}

template <class Time>
[[gnu::always_inline]] inline Decision decide(const Binding& binding, Time time,
                                              std::string_view key, std::uint64_t cost) noexcept {
  const auto* const bucket = std::get_if<TokenBucket>(&binding.policy.parameters);
  return bucket != nullptr ? decide_by(*bucket, binding, time, key, cost)
                           : decide_otherwise(binding, time, key, cost);
}

/// A call of low priority, always by the whole protocol: only the others are in a hurry.
[[gnu::noinline]] Decision decide_low(const Binding& binding, std::string_view key,
                                      std::uint64_t cost) noexcept {
  View& view = *binding.view;
  if (!can_ask(binding, key, cost)) return refused(view, key, cost);
  return decide_with_retries(binding, OwnTime{&view.clock}, key,
                             binding.hasher(key.data(), key.size()), AcquireLow{cost});
}

/// Says what an operation would decide, and changes nothing.
template <class Operation>
Decision look(const Binding& binding, std::string_view key, const Operation& operation) noexcept {
  View& view = *binding.view;
  if (key.empty() || operation.cost == 0 || view.forsaken.load(std::memory_order_relaxed))
    return refused(view, key, operation.cost);
  if (!takes_calls(binding)) return {.reason = Reason::invalid};
  if (view.is_off()) return {.allowed = true, .reason = Reason::off, .cost = operation.cost};
  const shm::SlotWords words = view.table.read(hash_of(binding, key));
  CallRules<OwnTime, Operation> rules(binding, OwnTime{&view.clock}, operation);
  rules.look(shm::is_member(words.tag) ? shm::policy_of(words.tag) : binding.id, words.state);
  Decision seen = decision_of(rules, operation.cost, view.clock);
  seen.charged = 0;
  return seen;
}

}  // namespace

std::string_view to_string(Reason reason) noexcept {
  switch (reason) {
    case Reason::ok:
      return "ok";
    case Reason::limited:
      return "limited";
    case Reason::never:
      return "never";
    case Reason::banned:
      return "banned";
    case Reason::override_:
      return "override";
    case Reason::shadow:
      return "shadow";
    case Reason::full:
      return "full";
    case Reason::unavailable:
      return "unavailable";
    case Reason::invalid:
      return "invalid";
    case Reason::off:
      return "off";
  }
  return "unknown";
}

Decision Limiter::try_acquire(std::string_view key, std::uint64_t cost) noexcept {
  const Binding& binding = core_->binding();
  return decide(binding, OwnTime{&binding.view->clock}, key, cost);
}

Decision Limiter::try_acquire(std::string_view key, std::uint64_t cost,
                              Priority priority) noexcept {
  if (priority != Priority::low) return try_acquire(key, cost);
  return decide_low(core_->binding(), key, cost);
}

Decision Limiter::try_acquire_at(Instant now, std::string_view key, std::uint64_t cost) noexcept {
  const Binding& binding = core_->binding();
  const std::uint64_t ns = to_ns(now);
  if (!binding.view->clock.count_call(ns)) [[unlikely]]
    return {.reason = Reason::unavailable};
  return decide(binding, CallersTime{&binding.view->clock, ns}, key, cost);
}

Decision Limiter::peek(std::string_view key, std::uint64_t cost) const noexcept {
  return look(core_->binding(), key, Acquire{cost});
}

Decision Limiter::peek(std::string_view key, std::uint64_t cost, Priority priority) const noexcept {
  return priority == Priority::low ? look(core_->binding(), key, AcquireLow{cost})
                                   : look(core_->binding(), key, Acquire{cost});
}

bool Limiter::refund(std::string_view key, Decision& decision) noexcept {
  const Binding& binding = core_->binding();
  const std::uint64_t charged = take_charge(binding, key, decision);
  return charged != 0 && give_back(binding, key, decision, charged, decision.cost);
}

bool Limiter::reset(std::string_view key) noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (key.empty() || !view.mapping.writable() || is_asked_for_permits(binding)) return false;
  if (!binding.stands_alone()) reset_on_trial(binding, key);
  const shm::KeyHash hash = hash_of(binding, key);
  const std::uint64_t index = view.table.find(hash);
  return index != view.table.kNowhere && forget(view, index, hash.identity) != Forgotten::nothing;
}

Limit Limiter::limit() const {
  return core_->binding_in_force().policy.limit;
}

bool Limiter::differs() const noexcept {
  const Binding& binding = core_->binding_in_force();
  return core_->wanted() && *core_->wanted() != binding.policy.limit;
}

}  // namespace rl
