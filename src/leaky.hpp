/// \file
/// Leaky bucket: as the token bucket, but calls queue. An admitted call is told how long to wait,
/// so that calls go ahead evenly, as behind nginx's `limit_req ... burst=QUEUE delay=DELAY`. Pure
/// functions, no clock, no atomics.
///
/// The state is one number, the theoretical arrival time (TAT): the instant at which all that was
/// admitted has been served, and the next call could go ahead at once.
///
///     T    interval between two calls, ns          debt = max(TAT, now) - now
///     Q    queue, D <= Q delay, in calls           tau  = (Q + 1) x T, the tolerance
///
///     a call of cost c passes iff debt + c x T <= tau; then TAT' = max(TAT, now) + c x T,
///     and it goes ahead at its grant, now + wait, wait = max(0, debt - D x T)
///
/// One call may be under way and Q wait; the first D of those go ahead at once, too (D = Q is
/// nginx's `nodelay`). A call of cost c takes the place of c calls.
///
/// Units: nanoseconds on the segment's clock; calls of cost 1. Rounding: T is rounded up when the
/// policy is made, `remaining` down, `wait` and `retry_after` not at all. Overflow: tau is at most
/// 2^61 and now is cut to 2^62, so a TAT stays below 2^63; one above the horizon is cut first.
/// Error: none; D = 0 spaces grants exactly, also when the clock steps back.
///
/// Bounds, for calls of cost 1 (with costs, the 1 is the cost of the last): let s = max(TAT, now)
/// be where an admitted call stands in line; each s is at least T after the one before.
///   Grants: s - D x T <= grant <= s, so in any window of length W at most D + 1 + floor(W / T) go
///     ahead. With D = 0 a grant is s: grants are distinct and at least T apart.
///   Admissions: now <= s <= now + Q x T, so any window of length W has at most
///     Q + 1 + floor(W / T), as Guarantee A says for a burst of Q + 1.
/// A reservation is a call that would rather be denied than wait too long: the same bounds.
/// Source: ITU-T I.371 (2004), annex A, virtual scheduling; nginx, ngx_http_limit_req_module.
#pragma once

#include "src/verdict.hpp"

namespace rl {

/// The parameters of a leaky bucket, with what is derived from them once.
struct LeakyBucket {
  std::uint64_t interval_ns = 1;   ///< T
  std::uint64_t places = 1;        ///< Q + 1: one under way, and the queue
  std::uint64_t delay_ns = 0;      ///< D x T: a debt up to here makes nobody wait
  std::uint64_t tolerance_ns = 1;  ///< tau
  std::uint64_t horizon_ns = 1;    ///< no TAT is further ahead: tau, or what charges may add to it
  std::uint64_t reciprocal = 0;    ///< divides by T without a division
  std::uint64_t floor = 0;         ///< places that calls of low priority leave

  static constexpr std::uint64_t kToleranceMax = std::uint64_t{1} << 61;  // 73 years

  static constexpr bool is_valid(std::uint64_t interval_ns, std::uint64_t queue,
                                 std::uint64_t delay) noexcept {
    return interval_ns >= 1 && queue < kToleranceMax / interval_ns && delay <= queue;
  }
  /// Requires is_valid.
  static constexpr LeakyBucket of(std::uint64_t interval_ns, std::uint64_t queue,
                                  std::uint64_t delay) noexcept {
    const std::uint64_t tolerance_ns = interval_ns * (queue + 1);
    return {interval_ns,  queue + 1,    interval_ns * delay,
            tolerance_ns, tolerance_ns, reciprocal_of(interval_ns)};
  }
  /// Returns this bucket with room for charges after the fact: a debt of up to `horizon_ns`, from
  /// tolerance to kToleranceMax.
  [[nodiscard]] constexpr LeakyBucket with_horizon(std::uint64_t ns) const noexcept {
    LeakyBucket bucket = *this;
    bucket.horizon_ns = std::clamp(ns, tolerance_ns, kToleranceMax);
    return bucket;
  }

  /// Returns floor(ns / T) for ns below 2^63.
  [[nodiscard]] constexpr std::uint64_t whole_calls(std::uint64_t ns) const noexcept {
    return divide(ns, interval_ns, reciprocal);
  }
};

/// The largest cost that can ever pass.
constexpr std::uint64_t most_at_once(const LeakyBucket& bucket) noexcept {
  return bucket.places;
}

/// Says whether a TAT lies further ahead than any call of this policy could have put it.
constexpr bool is_beyond_horizon(const LeakyBucket& bucket, std::uint64_t tat_ns,
                                 std::uint64_t now_ns) noexcept {
  return tat_ns > std::min(now_ns, kTimeMax) + bucket.horizon_ns + kHealSlackNs;
}

/// Makes of a TAT beyond the horizon a full queue; leaves any other as it is.
constexpr std::uint64_t cut(const LeakyBucket& bucket, std::uint64_t tat_ns,
                            std::uint64_t now_ns) noexcept {
  if (!is_beyond_horizon(bucket, tat_ns, now_ns)) [[likely]]
    return tat_ns;
  return std::min(now_ns, kTimeMax) + bucket.tolerance_ns;
}

/// Decides a call of `cost` >= 1. A TAT beyond the horizon counts as a full queue.
[[gnu::always_inline]] constexpr Verdict acquire(const LeakyBucket& bucket, std::uint64_t tat_ns,
                                                 std::uint64_t now_ns,
                                                 std::uint64_t cost) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t debt = debt_ns(cut(bucket, tat_ns, now), now);
  const std::uint64_t left = bucket.tolerance_ns - std::min(debt, bucket.tolerance_ns);
  if (cost > bucket.places) [[unlikely]]
    return {false, true, tat_ns, bucket.whole_calls(left), 0, debt, 0};
  const std::uint64_t work = cost * bucket.interval_ns;
  if (work > left)
    return {false, false, tat_ns, bucket.whole_calls(left), debt + work - bucket.tolerance_ns,
            debt,  0};
  const std::uint64_t wait = debt > bucket.delay_ns ? debt - bucket.delay_ns : 0;
  return {true, false, now + debt + work, bucket.whole_calls(left - work), 0, debt + work, wait};
}

/// Says what acquire would answer, with `remaining` and `reset_after_ns` as they are before any
/// call.
constexpr Verdict peek(const LeakyBucket& bucket, std::uint64_t tat_ns, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  Verdict verdict = acquire(bucket, tat_ns, now_ns, cost);
  if (verdict.allowed) {
    verdict.state = tat_ns;
    verdict.remaining += cost;
    verdict.reset_after_ns -= cost * bucket.interval_ns;
  }
  return verdict;
}

/// The bucket as a call of low priority sees it: without the places that it leaves free.
constexpr LeakyBucket floored(const LeakyBucket& bucket) noexcept {
  LeakyBucket low = bucket;
  low.places -= bucket.floor;
  low.tolerance_ns -= bucket.floor * bucket.interval_ns;
  low.floor = 0;
  return low;
}

/// Decides a call that does not wait for longer than `patience_ns`. A denial says how long until it
/// would not have to wait at all.
constexpr Verdict reserve(const LeakyBucket& bucket, std::uint64_t tat_ns, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t patience_ns) noexcept {
  const Verdict verdict = acquire(bucket, tat_ns, now_ns, cost);
  if (verdict.never || (verdict.allowed && verdict.wait_ns <= patience_ns)) return verdict;
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t debt = debt_ns(cut(bucket, tat_ns, now), now);
  const std::uint64_t wait = debt > bucket.delay_ns ? debt - bucket.delay_ns : 0;
  const std::uint64_t left = bucket.tolerance_ns - std::min(debt, bucket.tolerance_ns);
  return {false, false, tat_ns, bucket.whole_calls(left), std::max(wait, verdict.retry_after_ns),
          debt,  0};
}

/// Counts a call that has already happened: later ones queue behind it. The debt stays within the
/// horizon; what would lie beyond it is forgiven.
constexpr std::uint64_t charge(const LeakyBucket& bucket, std::uint64_t tat_ns,
                               std::uint64_t now_ns, std::uint64_t cost) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t debt = debt_ns(cut(bucket, tat_ns, now), now);
  const std::uint64_t room = bucket.horizon_ns - std::min(debt, bucket.horizon_ns);
  return now + debt + (cost > bucket.whole_calls(room) ? room : cost * bucket.interval_ns);
}

/// The largest charge that is not forgiven in part.
constexpr std::uint64_t charge_room(const LeakyBucket& bucket, std::uint64_t tat_ns,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t debt = debt_ns(cut(bucket, tat_ns, now), now);
  return bucket.whole_calls(bucket.horizon_ns - std::min(debt, bucket.horizon_ns));
}

/// Leaves `calls` of the places, or all of them, from now on: who waits already keeps its grant,
/// and who comes next does not stand behind it.
constexpr std::uint64_t with_remaining(const LeakyBucket& bucket, std::uint64_t,
                                       std::uint64_t now_ns, std::uint64_t calls) noexcept {
  const std::uint64_t used = bucket.places - std::min(calls, bucket.places);
  return std::min(now_ns, kTimeMax) + used * bucket.interval_ns;
}

/// Gives the place in line back that a call of `cost` took, `charged` being the TAT after it. Only
/// the last in line can: were a place in the middle given back, the next call would get a grant
/// less than T beside one that was promised to somebody.
constexpr std::uint64_t refund(const LeakyBucket& bucket, std::uint64_t tat_ns,
                               std::uint64_t charged, std::uint64_t cost,
                               std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  if (tat_ns != charged || is_beyond_horizon(bucket, tat_ns, now)) return tat_ns;
  const std::uint64_t owed = debt_ns(tat_ns, now);
  return tat_ns - (cost > bucket.whole_calls(owed) ? owed : cost * bucket.interval_ns);
}

constexpr bool is_idle(const LeakyBucket&, std::uint64_t tat_ns, std::uint64_t now_ns) noexcept {
  return tat_ns <= std::min(now_ns, kTimeMax);
}

/// Idle as of now, not as of 0: no life of a key begins earlier than the one before ended, so a TAT
/// that comes back is the same instant, and means the same.
constexpr std::uint64_t idle_state(const LeakyBucket&, std::uint64_t now_ns) noexcept {
  return std::min(now_ns, kTimeMax);
}

/// Calls owed, rounded up, also those beyond the queue: what an eviction would give away.
constexpr std::uint64_t tokens_owed(const LeakyBucket& bucket, std::uint64_t tat_ns,
                                    std::uint64_t now_ns) noexcept {
  const std::uint64_t debt = debt_ns(tat_ns, std::min(now_ns, kTimeMax));
  return bucket.whole_calls(std::min(debt, bucket.horizon_ns) + bucket.interval_ns - 1);
}

}  // namespace rl
