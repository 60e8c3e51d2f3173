/// \file
/// What a limiter answers who asks for a permit.
#include <rl/limiter.hpp>
#include <rl/permit.hpp>

#include "src/permit_taker.hpp"

namespace rl {

Permit Limiter::permit(std::string_view key) noexcept {
  const Binding& binding = core_->binding_in_force();
  View& view = *binding.view;
  const auto without_permit = [&](const Decision& decision) noexcept {
    Permit none(decision);
    if (!decision.allowed) return none;
    none.core_ = core_;
    none.lease_end_ = Instant::max();
    none.process_ = shm::process_token();
    return none;
  };
  if (!can_ask(view, key, 1)) return without_permit(refused(view, key, 1));
  if (!is_asked_for_permits(binding))
    return without_permit(decision_without_permits(binding.policy, binding.id, view.clock));
  // Who has no seat cannot be asked whether he lives.
  const std::optional<shm::Sitter> sitter = view.participant.sitter();
  if (!sitter) return Permit({.reason = Reason::unavailable, .policy = binding.id});

  PermitTaker taker(*core_, binding, *sitter, key);
  Permit permit = without_permit(taker.take());
  if (!taker.has_taken()) return permit;
  permit.place_ = {&view, taker.slot_index(), taker.tag(), taker.state()};
  permit.key_[0] = taker.hash().low;
  permit.key_[1] = taker.hash().high;
  permit.index_ = taker.index();
  permit.lease_end_ = Instant(to_nanoseconds(taker.lease_end_ns()));
  return permit;
}

Decision Limiter::peek_permit(std::string_view key) const noexcept {
  const Binding& binding = core_->binding_in_force();
  View& view = *binding.view;
  if (key.empty()) return {.reason = Reason::invalid};
  if (view.forsaken.load(std::memory_order_relaxed)) return refused(view, key, 1);
  if (view.is_off()) return {.allowed = true, .reason = Reason::off, .cost = 1};
  if (!is_asked_for_permits(binding))
    return decision_without_permits(binding.policy, binding.id, view.clock);
  const auto& permits = std::get<Concurrency>(binding.policy.parameters);
  const bool is_lowered = has_permits_of_before(view, permits, view.clock.now());
  const std::uint64_t most = is_lowered ? std::max(permits.limit, permits.most) : permits.limit;
  PermitCount count(binding, binding.hasher(key.data(), key.size()));
  const PermitsSeen seen = count(0, static_cast<std::uint32_t>(most), nullptr);
  if (!seen.is_told) return {.reason = Reason::unavailable, .policy = binding.id};
  Verdict verdict{};
  verdict.remaining = permits.limit - std::min(seen.out, permits.limit);
  verdict.allowed = verdict.remaining != 0;
  verdict.retry_after_ns = verdict.allowed ? 0 : seen.wait_ns(permits.limit);
  verdict.reset_after_ns = seen.last_left_ns;
  Decision told =
      decision_of(verdict, binding.id, binding.policy.limit, permits.limit, 1, view.clock);
  told.charged = 0;
  return told;
}

}  // namespace rl
