/// \file
/// Token bucket, as the generic cell rate algorithm (GCRA): pure functions, no clock, no atomics.
///
/// The state is one number, the theoretical arrival time (TAT): the instant at which the bucket
/// will be full again. A TAT in the past is a full bucket, so time alone turns every key into one
/// never seen.
///
///     T    interval between two tokens, ns         B    burst, tokens
///     tau  = B x T, the tolerance                  debt = max(TAT, now) - now
///
///     a call of cost c passes iff debt + c x T <= tau; then TAT' = max(TAT, now) + c x T
///
/// Units: nanoseconds on the segment's clock; tokens. Rounding: T is rounded up when the policy is
/// made, `remaining` down, `retry_after` not at all. Overflow: tau is at most 2^61 and now at most
/// 2^62, so every sum stays below 2^64; a TAT above the horizon is cut first (heal). Bound: in any
/// window of length W a key passes at most B + floor(W / T) cost (Guarantee A): after the first
/// call of the window TAT >= its instant, each cost adds T, and TAT never exceeds the last instant
/// + tau. Source: ITU-T I.371 (2004), annex A, virtual scheduling.
#pragma once

#include <algorithm>
#include <cstdint>

namespace rl {

/// The parameters of a token bucket, with what is derived from them once.
struct TokenBucket {
  std::uint64_t interval_ns = 1;   ///< T
  std::uint64_t burst = 1;         ///< B
  std::uint64_t tolerance_ns = 1;  ///< tau; also the horizon: no TAT is further ahead
  std::uint64_t reciprocal = 0;    ///< floor((2^64 - 1) / T): divides by T without a division

  static constexpr std::uint64_t kToleranceMax = std::uint64_t{1} << 61;  // 73 years

  static constexpr bool is_valid(std::uint64_t interval_ns, std::uint64_t burst) noexcept {
    return interval_ns >= 1 && burst >= 1 && burst <= kToleranceMax / interval_ns;
  }
  /// Requires is_valid.
  static constexpr TokenBucket of(std::uint64_t interval_ns, std::uint64_t burst) noexcept {
    return {interval_ns, burst, interval_ns * burst, ~std::uint64_t{0} / interval_ns};
  }

  /// Returns floor(ns / T) for ns below 2^63. The product with the reciprocal is at most one short.
  [[nodiscard]] constexpr std::uint64_t whole_tokens(std::uint64_t ns) const noexcept {
    __extension__ using Wide = unsigned __int128;
    const auto tokens = static_cast<std::uint64_t>(Wide{ns} * reciprocal >> 64);
    return tokens + (ns - tokens * interval_ns >= interval_ns ? 1 : 0);
  }
};

/// What a call gets: the TAT after it, and what to tell the caller.
struct TokenVerdict {
  bool allowed;
  bool never;                    ///< the cost is above the burst
  std::uint64_t tat_ns;          ///< unchanged by a denial
  std::uint64_t remaining;       ///< tokens left after the call
  std::uint64_t retry_after_ns;  ///< 0 when allowed
  std::uint64_t reset_after_ns;  ///< until the bucket is full again
};

/// What the key owes, as time.
constexpr std::uint64_t debt_ns(std::uint64_t tat_ns, std::uint64_t now_ns) noexcept {
  return tat_ns > now_ns ? tat_ns - now_ns : 0;
}

/// Decides a call of `cost` >= 1. Requires tat_ns <= now_ns + tolerance + slack (see heal).
constexpr TokenVerdict acquire(const TokenBucket& bucket, std::uint64_t tat_ns,
                               std::uint64_t now_ns, std::uint64_t cost) noexcept {
  const std::uint64_t debt = debt_ns(tat_ns, now_ns);
  if (cost > bucket.burst) [[unlikely]] {
    const std::uint64_t left = bucket.tolerance_ns - std::min(debt, bucket.tolerance_ns);
    return {false, true, tat_ns, bucket.whole_tokens(left), 0, debt};
  }
  const std::uint64_t after = debt + cost * bucket.interval_ns;
  if (after <= bucket.tolerance_ns) [[likely]] {
    return {true, false, now_ns + after, bucket.whole_tokens(bucket.tolerance_ns - after),
            0,    after};
  }
  const std::uint64_t left = bucket.tolerance_ns - std::min(debt, bucket.tolerance_ns);
  return {false, false, tat_ns, bucket.whole_tokens(left), after - bucket.tolerance_ns, debt};
}

/// Says what acquire would answer, with `remaining` and `reset_after_ns` as they are before any
/// call.
constexpr TokenVerdict peek(const TokenBucket& bucket, std::uint64_t tat_ns, std::uint64_t now_ns,
                            std::uint64_t cost) noexcept {
  TokenVerdict verdict = acquire(bucket, tat_ns, now_ns, cost);
  if (verdict.allowed) {
    verdict.tat_ns = tat_ns;
    verdict.remaining += cost;
    verdict.reset_after_ns -= cost * bucket.interval_ns;
  }
  return verdict;
}

/// How far a state may lie beyond the horizon before it is cut: more than any skew between CPUs.
inline constexpr std::uint64_t kHealSlackNs = 1'000'000'000;

/// Says whether a TAT lies further ahead than any call of this policy could have put it.
constexpr bool is_beyond_horizon(const TokenBucket& bucket, std::uint64_t tat_ns,
                                 std::uint64_t now_ns) noexcept {
  return tat_ns > now_ns + bucket.tolerance_ns + kHealSlackNs;
}

/// The most that a key can owe at `now`: where a TAT beyond the horizon is cut to.
constexpr std::uint64_t horizon(const TokenBucket& bucket, std::uint64_t now_ns) noexcept {
  return now_ns + bucket.tolerance_ns;
}

/// Tokens owed, rounded up: what an eviction would give away.
constexpr std::uint64_t tokens_owed(const TokenBucket& bucket, std::uint64_t tat_ns,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t debt = std::min(debt_ns(tat_ns, now_ns), bucket.tolerance_ns);
  return bucket.whole_tokens(debt + bucket.interval_ns - 1);
}

}  // namespace rl
