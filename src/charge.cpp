// What is counted beside the calls that ask first: charges after the fact, holds and their
// settlement, and what is to be left.
#include <rl/limiter.hpp>

#include "src/decide.hpp"

namespace rl {
namespace {

/// Does what is no decision, and counts among none. Returns whether it was done.
template <class Operation>
bool perform(const Binding& binding, std::string_view key, const Operation& operation) noexcept {
  CallRules<OwnTime, Operation> rules(binding, OwnTime{&binding.view->clock}, operation);
  const shm::Update update = apply(binding, key, hash_of(binding, key), rules);
  return update.outcome == shm::Update::decided && !rules.is_unavailable();
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
  return actual <= held.cost || perform(binding, key, Charge{actual - held.cost});
}

bool Limiter::set_remaining(std::string_view key, std::uint64_t tokens) noexcept {
  const Binding& binding = core_->binding();
  return can_ask(binding, key, 1) && perform(binding, key, SetRemaining{tokens});
}

}  // namespace rl
