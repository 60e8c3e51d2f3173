/// \file
/// Concurrency: at most so many permits of a key out at any instant. Pure functions, no clock, no
/// atomics.
///
/// A permit is no call that is counted and forgotten: it is taken, and given back. So nothing passes
/// by acquire, and no slot of a call is ever under such a policy.
#pragma once

#include "src/verdict.hpp"

namespace rl {

/// The parameters of a concurrency limit.
struct Concurrency {
  std::uint64_t limit = 1;  ///< permits out at once
  std::uint64_t lease_ns = kLeaseMin;

  static constexpr std::uint64_t kLimitMax = 4'096;
  static constexpr std::uint64_t kLeaseMin = 1'000'000'000;
  static constexpr std::uint64_t kLeaseMax = 86'400'000'000'000;
};

constexpr std::uint64_t most_at_once(const Concurrency& permits) noexcept {
  return permits.limit;
}

/// Denies: permits are not taken by calls.
constexpr Verdict acquire(const Concurrency&, std::uint64_t state, std::uint64_t,
                          std::uint64_t) noexcept {
  return {false, true, state, 0, 0, 0, 0};
}

constexpr Verdict peek(const Concurrency& permits, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  return acquire(permits, state, now_ns, cost);
}

constexpr Verdict reserve(const Concurrency& permits, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t) noexcept {
  return acquire(permits, state, now_ns, cost);
}

constexpr std::uint64_t charge(const Concurrency&, std::uint64_t state, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t charge_room(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return 0;
}

constexpr std::uint64_t with_remaining(const Concurrency&, std::uint64_t state, std::uint64_t,
                                       std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t refund(const Concurrency&, std::uint64_t state, std::uint64_t,
                               std::uint64_t, std::uint64_t) noexcept {
  return state;
}

constexpr bool is_beyond_horizon(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return false;
}

constexpr std::uint64_t cut(const Concurrency&, std::uint64_t state, std::uint64_t) noexcept {
  return state;
}

/// No call writes a state, so whatever stands in a slot owes nothing.
constexpr bool is_idle(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return true;
}

constexpr std::uint64_t idle_state(const Concurrency&, std::uint64_t) noexcept {
  return 0;
}

constexpr std::uint64_t tokens_owed(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return 0;
}

}  // namespace rl
