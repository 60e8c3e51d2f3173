#include "src/policy.hpp"

#include <unistd.h>

#include <algorithm>

#include <rl/error.hpp>

#include "src/limit_text.hpp"

namespace rl {
namespace {

constexpr std::uint64_t ns_of(std::chrono::nanoseconds duration) noexcept {
  return static_cast<std::uint64_t>(duration.count());
}

/// How far ahead of now the state of a key can lie. Of a bucket: what passes at once, and the debt
/// that charges after the fact and reservations may add: as much again, and at least an hour's.
std::uint64_t horizon_of(const Limit& limit) noexcept {
  constexpr std::uint64_t kDebtNs = 3'600'000'000'000;
  if (gives_permits(limit.algorithm())) return ns_of(limit.lease());
  if (limit.algorithm() == Algorithm::counter) return kTimeMax;  // each call says how far
  if (counts_by_windows(limit.algorithm())) return 2 * ns_of(limit.period());
  const std::uint64_t tolerance_ns = ns_of(limit.interval()) * limit.burst();
  return std::min(tolerance_ns + std::max(tolerance_ns, kDebtNs), TokenBucket::kToleranceMax);
}

Parameters without_floor(const Limit& limit, std::uint64_t phase_ns) noexcept {
  switch (limit.algorithm()) {
    case Algorithm::token_bucket:
      break;
    case Algorithm::leaky:
      return LeakyBucket::of(ns_of(limit.interval()), limit.queue(), limit.delay())
          .with_horizon(horizon_of(limit));
    case Algorithm::fixed_window:
      return FixedWindow::of(ns_of(limit.period()), limit.count(), phase_ns);
    case Algorithm::sliding_window:
      return SlidingWindow::of(ns_of(limit.period()), limit.count(), phase_ns);
    case Algorithm::concurrency:
      return Concurrency{limit.count(), ns_of(limit.lease())};
    case Algorithm::counter:
      return Counter{};
  }
  return TokenBucket::of(ns_of(limit.interval()), limit.burst()).with_horizon(horizon_of(limit));
}

Parameters parameters_of(const Limit& limit, shm::PolicyKind kind,
                         std::uint64_t phase_ns) noexcept {
  switch (kind) {
    case shm::PolicyKind::removed:
    case shm::PolicyKind::allow:
      return Unlimited{};
    case shm::PolicyKind::ban:
      return Ban{};
    case shm::PolicyKind::conduct:
      return Conduct{limit.ban_after(), ns_of(limit.ban_within()), ns_of(limit.ban())};
    case shm::PolicyKind::limit:
    case shm::PolicyKind::override_:
    case shm::PolicyKind::candidate:
    case shm::PolicyKind::asked:
      break;
  }
  Parameters parameters = without_floor(limit, phase_ns);
  const auto set_floor = [&](auto& algorithm) {
    if constexpr (requires { algorithm.floor; }) algorithm.floor = limit.floor_calls();
  };
  std::visit(set_floor, parameters);
  return parameters;
}

/// What may be out from before a concurrency limit was changed: see continue_permits.
void add_permits_of_before(const shm::PolicyConstants& c, Parameters& parameters) noexcept {
  auto* const permits = std::get_if<Concurrency>(&parameters);
  if (permits == nullptr) return;
  permits->longest_ns = std::min(c.horizon_ns, Concurrency::kLeaseMax);
  permits->most = std::min(c.queue, Concurrency::kLimitMax);
  permits->before = c.delay <= shm::kPoliciesMax ? static_cast<std::uint16_t>(c.delay) : 0;
}

/// Throws for a number that is no time that a limit can have.
std::chrono::nanoseconds time_from(std::uint64_t ns) {
  if (ns > TokenBucket::kToleranceMax) throw bad_limit("a time above 73 years");
  return std::chrono::nanoseconds(static_cast<std::int64_t>(ns));
}

/// Throws for numbers that make no limit, as do those below.
Limit quota_from(const shm::PolicyConstants& c) {
  const std::chrono::nanoseconds period = time_from(c.period_ns);
  switch (static_cast<Algorithm>(c.algorithm)) {
    case Algorithm::token_bucket:
      break;
    case Algorithm::leaky:
      return Limit::leaky(c.count, period, c.queue, c.delay);
    case Algorithm::fixed_window:
      return Limit::fixed_window(c.count, period);
    case Algorithm::sliding_window:
      return Limit::sliding_window(c.count, period);
    case Algorithm::concurrency:
      return Limit::concurrency(c.count, time_from(c.lease_ns));
    case Algorithm::counter:
      return Limit::counter();
  }
  return Limit::per(c.count, period).burst(c.burst);
}

Limit limit_from(const shm::PolicyConstants& c) {
  Limit limit = quota_from(c)
                    .when_full(static_cast<WhenFull>(c.when_full))
                    .shadow((c.flags & shm::kPolicyShadow) != 0);
  if (c.floor_percent != 0) limit = limit.floor(c.floor_percent);
  const bool bans = c.ban_after != 0 || c.ban_within_ns != 0 || c.ban_ns != 0;
  return bans ? limit.ban_after(c.ban_after, time_from(c.ban_within_ns), time_from(c.ban_ns))
              : limit;
}

}  // namespace

shm::PolicyConstants constants_of(const Limit& limit, const PolicyTimes& times) noexcept {
  shm::PolicyConstants c{};
  c.algorithm = static_cast<std::uint32_t>(limit.algorithm());
  c.flags = limit.shadow() ? shm::kPolicyShadow : 0;
  c.count = limit.count();
  c.period_ns = ns_of(limit.period());
  c.interval_ns = ns_of(limit.interval());
  c.burst = limit.burst();
  c.queue = limit.queue();
  c.delay = limit.delay();
  c.phase_ns = c.period_ns != 0 ? times.epoch_unix_ns % c.period_ns : 0;
  c.lease_ns = ns_of(limit.lease());
  c.floor_percent = static_cast<std::uint32_t>(limit.floor());
  c.ban_after = static_cast<std::uint32_t>(limit.ban_after());
  c.ban_within_ns = ns_of(limit.ban_within());
  c.ban_ns = ns_of(limit.ban());
  c.horizon_ns = horizon_of(limit);
  c.when_full = static_cast<std::uint32_t>(limit.when_full());
  c.creator_uid = ::geteuid();
  c.created_unix_ns = times.unix_ns;
  c.created_ns = times.now_ns;
  return c;
}

void continue_permits(shm::PolicyConstants& next, const Concurrency& last, std::uint16_t last_id,
                      bool only_its_own) noexcept {
  next.queue = only_its_own ? last.limit : std::max(last.limit, last.most);
  const std::uint64_t longest_ns =
      only_its_own ? last.lease_ns : std::max(last.lease_ns, last.longest_ns);
  next.horizon_ns = std::max(next.lease_ns, longest_ns);
  next.delay = last_id;
}

std::uint64_t state_in_copy(const shm::PolicyConstants& policy, std::uint64_t state) noexcept {
  const bool of_permits = policy.algorithm == static_cast<std::uint32_t>(Algorithm::concurrency);
  if (!of_permits || kind_of(state) != WordKind::permit) return state;
  return copied(PermitWord::of(state)).state();
}

std::optional<Policy> policy_from(const shm::PolicyConstants& c) noexcept try {
  if (c.algorithm < 1 || c.algorithm > static_cast<std::uint32_t>(Algorithm::counter))
    return std::nullopt;
  if (c.when_full > static_cast<std::uint32_t>(WhenFull::deny)) return std::nullopt;
  if ((c.flags & ~shm::kPolicyShadow) != 0) return std::nullopt;  // of a newer library
  if (c.kind > shm::PolicyKind::removed || c.parent > shm::kPoliciesMax) return std::nullopt;
  if (c.spent > static_cast<std::uint16_t>(Spent::reset)) return std::nullopt;
  const Limit limit = limit_from(c);
  const bool as_written = limit.count() == c.count && ns_of(limit.period()) == c.period_ns &&
                          ns_of(limit.interval()) == c.interval_ns && limit.burst() == c.burst &&
                          ns_of(limit.lease()) == c.lease_ns;
  if (!as_written) return std::nullopt;
  Parameters parameters = parameters_of(limit, c.kind, c.phase_ns);
  add_permits_of_before(c, parameters);
  return Policy{parameters, limit, c.kind, static_cast<Spent>(c.spent),
                static_cast<std::uint16_t>(c.parent)};
} catch (...) {
  return std::nullopt;  // numbers that Limit refuses, or no memory to say so
}

}  // namespace rl
