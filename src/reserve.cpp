// Calls that can wait for their turn: an instant in a line that all processes stand in.
#include <rl/limiter.hpp>

#include "shm/wait.hpp"
#include "src/decide.hpp"

namespace rl {
namespace {

Instant to_instant(std::uint64_t ns) noexcept {
  return Instant(to_nanoseconds(std::min(ns, 2 * kTimeMax - 1)));
}

Reservation reserve_by(const Binding& binding, std::string_view key, std::uint64_t cost,
                       std::uint64_t deadline_ns,
                       std::uint64_t patience_max_ns = ~std::uint64_t{0}) noexcept {
  View& view = *binding.view;
  if (!can_ask(binding, key, cost)) {
    const Decision told = refused(view, key, cost);
    return {told, told.allowed ? to_instant(view.clock.now()) : Instant()};
  }
  CallRules<OwnTime, Reserve> rules(binding, OwnTime{&view.clock},
                                    Reserve{cost, deadline_ns, patience_max_ns});
  Reservation told{decide_by_rules(binding, key, hash_of(binding, key), rules)};
  if (is_by_a_limit(told)) {
    if (told.retry_after != kNever) told.at = to_instant(rules.operation().at_ns);
  } else if (told.allowed) {  // nothing was charged, so there is no line to stand in
    told.at = to_instant(view.clock.now());
  }
  return told;
}

std::uint64_t ns_of(std::chrono::nanoseconds duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

bool wait_for(const shm::Clock& clock, Instant at, std::chrono::nanoseconds wait) noexcept {
  return shm::wait_until(clock, ns_of(at.time_since_epoch()), ns_of(wait));
}

/// Whether windows decided: the policy's, or those of an override.
bool is_by_windows(const View& view, const Decision& told) noexcept {
  std::optional<Policy> spare;
  const KnownPolicy known = view.known.find(told.policy, spare);
  return known.policy != nullptr && counts_by_windows(known.policy->limit.algorithm());
}

/// Leaves the line again: nobody moves the clock by which its turn would come.
Decision give_up(const Binding& binding, std::string_view key, Decision told) noexcept {
  const std::uint64_t charged = take_charge(binding, key, told);
  if (charged != 0) (void)give_back(binding, key, told, charged, told.cost);
  told.allowed = false;
  told.reason = Reason::limited;
  told.retry_after = std::exchange(told.wait, {});
  return told;
}

}  // namespace

Reservation Limiter::reserve(std::string_view key, std::uint64_t cost, Instant deadline) noexcept {
  return reserve_by(core_->binding(), key, cost, to_ns(deadline));
}

Decision Limiter::acquire_for(std::string_view key, std::uint64_t cost,
                              std::chrono::nanoseconds timeout) noexcept {
  std::chrono::nanoseconds left = std::max(timeout, std::chrono::nanoseconds(0));
  for (;;) {
    const Binding& binding = core_->binding();  // anew: the segment may have moved while we slept
    const shm::Clock& clock = binding.view->clock;
    const std::uint64_t began = clock.now();
    const std::uint64_t deadline_ns = std::min(began, kTimeMax) + ns_of(left);
    const Reservation told = reserve_by(binding, key, cost, deadline_ns, ns_of(left));
    if (told.allowed) {
      if (wait_for(clock, told.at, told.wait)) return told;
      return give_up(binding, key, told);
    }
    // Windows have no line: whoever is first when there is room again passes.
    const std::uint64_t at_ns = ns_of(told.at.time_since_epoch());
    const auto wait = to_nanoseconds(at_ns > began ? std::min(at_ns - began, kTimeMax) : 0);
    const bool is_limit = told.reason == Reason::limited || told.reason == Reason::override_;
    const bool may_pass_later =
        is_limit && wait > wait.zero() && wait <= left && is_by_windows(*binding.view, told);
    if (!may_pass_later || !wait_for(clock, told.at, wait)) return told;
    // Whatever the clock says, each wait takes something of what is left: there is a last one.
    const std::uint64_t now = clock.now();
    const auto passed = to_nanoseconds(now > began ? std::min(now - began, kTimeMax) : 0);
    left -= std::min(left, std::max(passed, wait));
  }
}

}  // namespace rl
