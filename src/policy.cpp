#include "src/policy.hpp"

#include <unistd.h>

#include <rl/error.hpp>

namespace rl {

shm::PolicyConstants constants_of(const Limit& limit, std::uint64_t now_ns,
                                  std::uint64_t unix_ns) noexcept {
  const TokenBucket bucket =
      TokenBucket::of(static_cast<std::uint64_t>(limit.interval().count()), limit.burst());
  shm::PolicyConstants c{};
  c.algorithm = static_cast<std::uint32_t>(Algorithm::token_bucket);
  c.count = limit.count();
  c.period_ns = static_cast<std::uint64_t>(limit.period().count());
  c.interval_ns = bucket.interval_ns;
  c.burst = bucket.burst;
  c.horizon_ns = bucket.tolerance_ns;
  c.when_full = static_cast<std::uint32_t>(limit.when_full());
  c.creator_uid = ::geteuid();
  c.created_unix_ns = unix_ns;
  c.created_ns = now_ns;
  return c;
}

std::optional<Policy> policy_from(const shm::PolicyConstants& c) noexcept try {
  if (c.algorithm != static_cast<std::uint32_t>(Algorithm::token_bucket)) return std::nullopt;
  if (c.when_full > static_cast<std::uint32_t>(WhenFull::deny)) return std::nullopt;
  if (c.period_ns > TokenBucket::kToleranceMax) return std::nullopt;
  const Limit limit =
      Limit::per(c.count, std::chrono::nanoseconds(static_cast<std::int64_t>(c.period_ns)))
          .burst(c.burst)
          .when_full(static_cast<WhenFull>(c.when_full));
  if (static_cast<std::uint64_t>(limit.interval().count()) != c.interval_ns) return std::nullopt;
  return Policy{limit, TokenBucket::of(c.interval_ns, c.burst)};
} catch (...) {
  return std::nullopt;  // numbers that Limit refuses, or no memory to say so
}

}  // namespace rl
