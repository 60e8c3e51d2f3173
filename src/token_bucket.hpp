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
/// made, `remaining` down, `retry_after` not at all. Overflow: tau and the horizon are at most 2^61
/// and now at most 2^62, so every sum stays below 2^64; a TAT above the horizon is cut first.
/// Bound: in any window of length W a key passes at most B + floor(W / T) cost (Guarantee A): after
/// the first call of the window TAT >= its instant, each cost adds T, and no call that passes
/// leaves TAT later than its instant + tau.
///
/// A reservation that does not fit stands in line: its TAT' may pass now + tau, and it goes ahead
/// at its grant g = max(now, TAT' - tau), where TAT' <= g + tau again. The bound holds for grants:
/// of those in a window [t, t + W], let the first to be decided be of cost c, and s = max(TAT, now)
/// in its decision. Either its g is now, so s >= now >= t; or g = s + c x T - tau >= t, so s >= t
/// as c <= B. Each decision adds its c x T to TAT, none makes TAT less, and the last leaves TAT' <=
/// t + W + tau: what was added is at most W + tau. Grants never come earlier than those decided
/// before, but for what refunds give back in between.
///
/// Source: ITU-T I.371 (2004), annex A, virtual scheduling.
#pragma once

#include "src/verdict.hpp"

namespace rl {

/// The parameters of a token bucket, with what is derived from them once.
struct TokenBucket {
  std::uint64_t interval_ns = 1;   ///< T
  std::uint64_t burst = 1;         ///< B
  std::uint64_t tolerance_ns = 1;  ///< tau
  std::uint64_t horizon_ns = 1;    ///< no TAT is further ahead: tau, or what charges may add to it
  std::uint64_t reciprocal = 0;    ///< divides by T without a division
  std::uint64_t floor = 0;         ///< tokens that calls of low priority leave; at most B

  static constexpr std::uint64_t kToleranceMax = std::uint64_t{1} << 61;  // 73 years

  static constexpr bool is_valid(std::uint64_t interval_ns, std::uint64_t burst) noexcept {
    return interval_ns >= 1 && burst >= 1 && burst <= kToleranceMax / interval_ns;
  }
  /// Requires is_valid.
  static constexpr TokenBucket of(std::uint64_t interval_ns, std::uint64_t burst) noexcept {
    const std::uint64_t tolerance_ns = interval_ns * burst;
    return {interval_ns, burst, tolerance_ns, tolerance_ns, reciprocal_of(interval_ns)};
  }
  /// Returns this bucket with room for charges after the fact and reservations: a debt of up to
  /// `horizon_ns`, from tolerance to kToleranceMax.
  [[nodiscard]] constexpr TokenBucket with_horizon(std::uint64_t ns) const noexcept {
    TokenBucket bucket = *this;
    bucket.horizon_ns = std::clamp(ns, tolerance_ns, kToleranceMax);
    return bucket;
  }

  /// Returns floor(ns / T) for ns below 2^63.
  [[nodiscard]] constexpr std::uint64_t whole_tokens(std::uint64_t ns) const noexcept {
    return divide(ns, interval_ns, reciprocal);
  }
};

/// Decides a call of `cost` >= 1. Requires a TAT that is not beyond the horizon (see cut).
[[gnu::always_inline]] constexpr Verdict acquire(const TokenBucket& bucket, std::uint64_t tat_ns,
                                                 std::uint64_t now_ns,
                                                 std::uint64_t cost) noexcept {
  const std::uint64_t debt = debt_ns(tat_ns, now_ns);
  if (cost > bucket.burst) [[unlikely]] {
    const std::uint64_t left = bucket.tolerance_ns - std::min(debt, bucket.tolerance_ns);
    return {false, true, tat_ns, bucket.whole_tokens(left), 0, debt, 0};
  }
  const std::uint64_t after = debt + cost * bucket.interval_ns;
  if (after <= bucket.tolerance_ns) [[likely]] {
    return {true,  false, now_ns + after, bucket.whole_tokens(bucket.tolerance_ns - after), 0,
            after, 0};
  }
  const std::uint64_t left = bucket.tolerance_ns - std::min(debt, bucket.tolerance_ns);
  return {false, false, tat_ns, bucket.whole_tokens(left), after - bucket.tolerance_ns, debt, 0};
}

/// Says what acquire would answer, with `remaining` and `reset_after_ns` as they are before any
/// call.
constexpr Verdict peek(const TokenBucket& bucket, std::uint64_t tat_ns, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  Verdict verdict = acquire(bucket, tat_ns, now_ns, cost);
  if (verdict.allowed) {
    verdict.state = tat_ns;
    verdict.remaining += cost;
    verdict.reset_after_ns -= cost * bucket.interval_ns;
  }
  return verdict;
}

/// The bucket as a call of low priority sees it: without the tokens that it leaves. It only decides
/// there, and by the same debt; what a key can owe, all else says of the whole bucket.
constexpr TokenBucket floored(const TokenBucket& bucket) noexcept {
  TokenBucket low = bucket;
  low.burst -= bucket.floor;
  low.tolerance_ns -= bucket.floor * bucket.interval_ns;
  low.floor = 0;
  return low;
}

/// Decides a call that may wait for up to `patience_ns`: behind all that were decided before, and
/// no further ahead than the horizon. Requires what acquire does.
constexpr Verdict reserve(const TokenBucket& bucket, std::uint64_t tat_ns, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t patience_ns) noexcept {
  Verdict verdict = acquire(bucket, tat_ns, now_ns, cost);
  if (verdict.allowed || verdict.never) return verdict;
  const std::uint64_t wait = verdict.retry_after_ns;
  const std::uint64_t after = bucket.tolerance_ns + wait;
  if (wait > patience_ns || after > bucket.horizon_ns) return verdict;
  return {true, false, now_ns + after, 0, 0, after, wait};
}

/// Says whether a TAT lies further ahead than any call of this policy could have put it.
constexpr bool is_beyond_horizon(const TokenBucket& bucket, std::uint64_t tat_ns,
                                 std::uint64_t now_ns) noexcept {
  return tat_ns > now_ns + bucket.horizon_ns + kHealSlackNs;
}

/// Makes of a TAT beyond the horizon an empty bucket; leaves any other as it is.
constexpr std::uint64_t cut(const TokenBucket& bucket, std::uint64_t tat_ns,
                            std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  return is_beyond_horizon(bucket, tat_ns, now) ? now + bucket.tolerance_ns : tat_ns;
}

/// The largest cost that can ever pass.
constexpr std::uint64_t most_at_once(const TokenBucket& bucket) noexcept {
  return bucket.burst;
}

/// Counts a call that has already happened. The debt stays within the horizon; what would lie
/// beyond it is forgiven.
constexpr std::uint64_t charge(const TokenBucket& bucket, std::uint64_t tat_ns,
                               std::uint64_t now_ns, std::uint64_t cost) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t debt = debt_ns(cut(bucket, tat_ns, now), now);
  const std::uint64_t room = bucket.horizon_ns - std::min(debt, bucket.horizon_ns);
  return now + debt + (cost > bucket.whole_tokens(room) ? room : cost * bucket.interval_ns);
}

/// The largest charge that is not forgiven in part.
constexpr std::uint64_t charge_room(const TokenBucket& bucket, std::uint64_t tat_ns,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t debt = debt_ns(cut(bucket, tat_ns, now), now);
  return bucket.whole_tokens(bucket.horizon_ns - std::min(debt, bucket.horizon_ns));
}

/// Leaves `tokens` of the burst, or all of it, from now on: any debt is forgotten.
constexpr std::uint64_t with_remaining(const TokenBucket& bucket, std::uint64_t,
                                       std::uint64_t now_ns, std::uint64_t tokens) noexcept {
  const std::uint64_t used = bucket.burst - std::min(tokens, bucket.burst);
  return std::min(now_ns, kTimeMax) + used * bucket.interval_ns;
}

/// Gives back what a call of `cost` still owes, `charged` being the TAT after it: at most cost x T,
/// and at most what is left of charged - now. To give back what time has given already would let
/// burst + 1 pass at once. A key that had one refund owes no less than if the call had never been;
/// where calls that were charged after it are refunded, too, each gives back at most its cost.
constexpr std::uint64_t refund(const TokenBucket& bucket, std::uint64_t tat_ns,
                               std::uint64_t charged, std::uint64_t cost,
                               std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  if (is_beyond_horizon(bucket, tat_ns, now)) return tat_ns;
  const std::uint64_t owed = std::min(debt_ns(charged, now), debt_ns(tat_ns, now));
  return tat_ns - (cost > bucket.whole_tokens(owed) ? owed : cost * bucket.interval_ns);
}

constexpr bool is_idle(const TokenBucket&, std::uint64_t tat_ns, std::uint64_t now_ns) noexcept {
  return tat_ns <= std::min(now_ns, kTimeMax);
}

/// Idle as of now, not as of 0: no life of a key begins earlier than the one before ended, so a TAT
/// that comes back is the same instant, and means the same.
constexpr std::uint64_t idle_state(const TokenBucket&, std::uint64_t now_ns) noexcept {
  return std::min(now_ns, kTimeMax);
}

/// Tokens owed, rounded up, also those beyond the burst: what an eviction would give away.
constexpr std::uint64_t tokens_owed(const TokenBucket& bucket, std::uint64_t tat_ns,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t debt = std::min(debt_ns(tat_ns, now_ns), bucket.horizon_ns);
  return bucket.whole_tokens(debt + bucket.interval_ns - 1);
}

}  // namespace rl
