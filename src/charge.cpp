// What is counted beside the calls that ask first: charges after the fact, holds and their
// settlement, and what is to be left.
#include <rl/limiter.hpp>

#include "src/decide.hpp"

namespace rl {
namespace {

struct Performed {
  bool is_done;
  bool is_limited;  ///< false: no limit is in force, so nothing came of it
};

/// Does what is no decision, and counts among none.
template <class Operation>
Performed perform(const Binding& binding, std::string_view key,
                  const Operation& operation) noexcept {
  CallRules<OwnTime, Operation> rules(binding, OwnTime{&binding.view->clock}, operation);
  const shm::Update update = apply(binding, key, hash_of(binding, key), rules);
  if (update.outcome != shm::Update::decided || rules.is_unavailable()) return {};
  const bool is_limited = rules.policy().kind != shm::PolicyKind::removed;
  try_candidate(binding, rules.decided_by(), key, rules.time(), operation, true);
  return {true, is_limited};
}

}  // namespace

Decision Limiter::charge(std::string_view key, std::uint64_t cost) noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (!can_ask(binding, key, cost)) return refused(view, key, cost);
  CallRules<OwnTime, Charge> rules(binding, OwnTime{&view.clock}, Charge{cost});
  Decision d = decide_by_rules(binding, key, hash_of(binding, key), rules);
  if (!d.allowed || !is_by_a_limit(d)) return d;
  d.cost = rules.operation().booked;
  if (const std::uint64_t ns = rules.verdict().retry_after_ns; ns != 0)
    d.retry_after = for_a_waiter(ns, view.clock);
  return d;
}

Decision Limiter::hold(std::string_view key, std::uint64_t estimate) noexcept {
  return try_acquire(key, estimate);
}

bool Limiter::settle(std::string_view key, Decision& held, std::uint64_t actual) noexcept {
  const Binding& binding = core_->binding();
  const std::uint64_t charged = take_charge(binding, key, held);
  if (charged == 0) return false;
  if (actual < held.cost) (void)give_back(binding, key, held, charged, held.cost - actual);
  if (actual <= held.cost || binding.view->is_off()) return true;
  return perform(binding, key, Charge{actual - held.cost}).is_done;
}

bool Limiter::set_remaining(std::string_view key, std::uint64_t tokens) noexcept {
  const Binding& binding = core_->binding();
  if (!can_change(binding, key)) return false;
  const Performed performed = perform(binding, key, SetRemaining{tokens});
  return performed.is_done && performed.is_limited;
}

}  // namespace rl
