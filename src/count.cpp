// Counts for who compares: what a key has come to, and until when.
#include <rl/limiter.hpp>

#include "src/decide.hpp"

namespace rl {
namespace {

/// Why there is nothing to count by: a policy of another kind; or a counter that was removed.
Counted without_counter(const Binding& binding) noexcept {
  const bool is_removed = binding.policy.kind == shm::PolicyKind::removed;
  return {.reason = is_removed ? Reason::off : Reason::invalid};
}

/// Says what came of it. A slot under another policy than a counter is of bytes gone wrong.
Counted counted(const Decision& told, const CallRules<OwnTime, Add>& rules,
                const shm::Clock& clock) noexcept {
  const std::uint64_t rest_ns = rules.verdict().reset_after_ns;
  switch (told.reason) {
    case Reason::ok:
      return {true, Reason::ok, Counter::kCountMax - told.remaining,
              rest_ns != 0 ? for_a_waiter(rest_ns, clock) : std::chrono::nanoseconds(0)};
    case Reason::full:
    case Reason::unavailable:
    case Reason::off:
      return {.reason = told.reason};
    default:
      return {.reason = Reason::invalid};
  }
}

}  // namespace

Counted Limiter::count(std::string_view key, std::uint64_t amount, std::chrono::nanoseconds expiry,
                       Expiry begins) noexcept {
  if (amount == 0) return peek_count(key);
  const Binding& binding = core_->binding_in_force();
  View& view = *binding.view;
  if (!can_ask(view, key, amount)) return {.reason = refused(view, key, amount).reason};
  if (!is_asked_to_count(binding)) return without_counter(binding);
  if (expiry <= expiry.zero()) return {.reason = Reason::invalid};
  const auto expiry_ns = static_cast<std::uint64_t>(expiry.count());
  CallRules<OwnTime, Add> rules(binding, OwnTime{&view.clock},
                                Add{amount, expiry_ns, begins == Expiry::each});
  const Decision told = decide_by_rules(binding, key, hash_of(binding, key), rules);
  return counted(told, rules, view.clock);
}

Counted Limiter::peek_count(std::string_view key) const noexcept {
  const Binding& binding = core_->binding_in_force();
  View& view = *binding.view;
  if (key.empty()) return {.reason = Reason::invalid};
  // relaxed: says what the view is for; the view itself came with the binding.
  if (view.forsaken.load(std::memory_order_relaxed)) return {.reason = Reason::unavailable};
  if (view.is_off()) return {.reason = Reason::off};
  if (!is_asked_to_count(binding)) return without_counter(binding);
  const shm::SlotWords words = view.table.read(hash_of(binding, key));
  CallRules<OwnTime, Add> rules(binding, OwnTime{&view.clock}, Add{0, 0, false});
  rules.look(shm::is_member(words.tag) ? shm::policy_of(words.tag) : binding.id, words.state);
  return counted(decision_of(rules, 0, view.clock), rules, view.clock);
}

}  // namespace rl
