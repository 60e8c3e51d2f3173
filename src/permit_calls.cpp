/// \file
/// What a limiter answers who asks for a permit.
#include <rl/limiter.hpp>
#include <rl/permit.hpp>

#include "src/permit_taker.hpp"

namespace rl {

void Permit::belong_to(const std::shared_ptr<LimiterCore>& core) noexcept {
  core_ = core;
  process_ = shm::process_token();
  lease_end_ = Instant::max();
}

Permit::Permit(const std::shared_ptr<LimiterCore>& core, const Decision& decision) noexcept
    : decision_(decision) {
  if (decision_.allowed) belong_to(core);
}

Permit::Permit(const std::shared_ptr<LimiterCore>& core, PermitTaker& taker) noexcept
    : decision_(taker.take()) {
  if (decision_.allowed) belong_to(core);
  if (!taker.has_taken()) return;
  place_ = {&taker.view(), taker.slot_index(), taker.tag(), taker.state()};
  key_[0] = taker.hash().low;
  key_[1] = taker.hash().high;
  index_ = taker.index();
  lease_end_ = Instant(to_nanoseconds(taker.lease_end_ns()));
}

Permit Limiter::permit(std::string_view key) noexcept {
  const Binding& binding = core_->binding_in_force();
  View& view = *binding.view;
  if (!can_ask(view, key, 1)) [[unlikely]]
    return {core_, refused(view, key, 1)};
  if (!is_asked_for_permits(binding)) [[unlikely]]
    return {core_, decision_without_permits(binding.policy, binding.id, view.clock)};
  // Who has no seat cannot be asked whether he lives.
  const std::optional<shm::Sitter> sitter = view.participant.sitter();
  if (!sitter) [[unlikely]]
    return {core_, Decision{.reason = Reason::unavailable, .policy = binding.id}};
  PermitTaker taker(*core_, binding, *sitter, key);
  return {core_, taker};
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
