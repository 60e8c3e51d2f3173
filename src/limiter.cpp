#include <rl/limiter.hpp>

#include "shm/counts.hpp"
#include "src/core.hpp"
#include "src/rules.hpp"

namespace rl {
namespace {

using std::chrono::nanoseconds;

nanoseconds to_nanoseconds(std::uint64_t ns) noexcept {
  return nanoseconds(static_cast<std::int64_t>(ns));
}

/// Clips a caller's instant to what the algorithms accept.
std::uint64_t to_ns(Instant instant) noexcept {
  const std::int64_t ns = instant.time_since_epoch().count();
  return ns < 0 ? 0 : std::min(static_cast<std::uint64_t>(ns), std::uint64_t{1} << 62);
}

Decision decision_of(const TokenVerdict& verdict, std::uint16_t policy, std::uint64_t limit,
                     const shm::Clock& clock) noexcept {
  Decision d;
  d.allowed = verdict.allowed;
  d.reason = verdict.allowed ? Reason::ok : Reason::limited;
  d.policy = policy;
  d.limit = limit;
  d.remaining = verdict.remaining;
  d.reset_after = to_nanoseconds(verdict.reset_after_ns);
  if (!verdict.allowed) [[unlikely]] {
    if (verdict.never) {
      d.reason = Reason::never;
      d.retry_after = kNever;
    } else {
      d.retry_after =
          to_nanoseconds(verdict.retry_after_ns + clock.drift_allowance(verdict.retry_after_ns));
    }
  }
  return d;
}

/// The call found no slot and could not get one: the policy's when_full decides, counted.
[[gnu::noinline]] Decision decision_without_slot(const Binding& binding,
                                                 shm::Update::Outcome outcome) noexcept {
  shm::Health& health = binding.view->mapping.header().health;
  const bool allow = binding.policy.limit.when_full() == WhenFull::allow;
  (allow ? health.full_allowed : health.full_denied).fetch_add(1, std::memory_order_relaxed);
  if (outcome == shm::Update::gave_up) health.gave_up.fetch_add(1, std::memory_order_relaxed);
  Decision d;
  d.allowed = allow;
  d.reason = Reason::full;
  d.policy = binding.id;
  d.limit = binding.policy.bucket.burst;
  if (!allow)
    d.retry_after = to_nanoseconds(binding.policy.bucket.interval_ns);  // a guess: nobody can know
  return d;
}

/// A decision, whole: hash, find or insert, clock, CAS, count.
template <class Time>
[[gnu::always_inline]] inline Decision decide(const Binding& binding, const Time& time,
                                              std::string_view key, std::uint64_t cost) noexcept {
  View& view = *binding.view;
  if (key.empty() || cost == 0 || !view.mapping.writable()) [[unlikely]]
    return {};
  const auto hash = shm::KeyHash::from(binding.hasher(key.data(), key.size()));
  TokenRules<Time> rules(binding, time, cost);
  const shm::Update update = view.table.update(hash, rules);
  if (update.outcome != shm::Update::decided) [[unlikely]]
    return decision_without_slot(binding, update.outcome);
  if (update.has_slot) [[likely]] {
    shm::Counts& counts = view.table.counts(update.slot_index);
    shm::add_count(rules.verdict().allowed ? counts.allowed : counts.denied, hash.identity);
    if (update.promoted) [[unlikely]]
      view.labels.write(update.slot_index, hash.identity, key);
    if (rules.healed()) [[unlikely]]
      view.mapping.header().health.clamped.fetch_add(1, std::memory_order_relaxed);
  }
  return decision_of(rules.verdict(), rules.decided_by(), rules.limit(), view.clock);
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
  }
  return "unknown";
}

Decision Limiter::try_acquire(std::string_view key, std::uint64_t cost) noexcept {
  const Binding& binding = core_->binding();
  return decide(binding, OwnTime{binding.view->clock}, key, cost);
}

Decision Limiter::try_acquire_at(Instant now, std::string_view key, std::uint64_t cost) noexcept {
  const Binding& binding = core_->binding();
  binding.view->clock.count_call();
  return decide(binding, CallersTime{binding.view->clock, to_ns(now)}, key, cost);
}

Decision Limiter::peek(std::string_view key, std::uint64_t cost) const noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (key.empty() || cost == 0) return {};
  const auto hash = shm::KeyHash::from(binding.hasher(key.data(), key.size()));
  const shm::CandidateList list = view.table.candidates(hash);
  const int position = view.table.find(list, hash.identity);
  shm::SlotWords words;
  if (position >= 0) words = view.table.settled(view.table.slot(list.slot_at(position)));
  const bool has_slot = shm::is_member_of(words.tag, hash.identity);

  TokenRules<OwnTime> rules(binding, OwnTime{view.clock}, cost);
  rules.look(has_slot ? shm::policy_of(words.tag) : binding.id, has_slot ? words.state : 0);
  return decision_of(rules.verdict(), rules.decided_by(), rules.limit(), view.clock);
}

bool Limiter::reset(std::string_view key) noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (key.empty() || !view.mapping.writable()) return false;
  const auto hash = shm::KeyHash::from(binding.hasher(key.data(), key.size()));
  const shm::CandidateList list = view.table.candidates(hash);
  const int position = view.table.find(list, hash.identity);
  if (position < 0) return false;
  return view.table.free_if(list.slot_at(position), [&](shm::SlotWords words) {
    return shm::is_member_of(words.tag, hash.identity);
  });
}

Limit Limiter::limit() const {
  return core_->binding().policy.limit;
}

bool Limiter::differs() const noexcept {
  const Binding& binding = core_->binding();
  return core_->wanted() && *core_->wanted() != binding.policy.limit;
}

}  // namespace rl
