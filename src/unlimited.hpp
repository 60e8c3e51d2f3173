/// \file
/// No limit: every call passes, and nothing is counted against it. A policy that was removed, and a
/// key that is let through whatever it does. Pure functions, no clock, no atomics.
///
/// The state is whatever it was; nothing reads it. But fencing numbers go on when a removed limit is
/// made again, so one that time has not overtaken is kept.
#pragma once

#include "src/permit_words.hpp"

namespace rl {

/// No parameters.
struct Unlimited {
  static constexpr std::uint64_t kMost = ~std::uint64_t{0};
};

constexpr std::uint64_t most_at_once(const Unlimited&) noexcept {
  return Unlimited::kMost;
}

constexpr Verdict acquire(const Unlimited&, std::uint64_t state, std::uint64_t,
                          std::uint64_t) noexcept {
  return {true, false, state, Unlimited::kMost, 0, 0, 0};
}

constexpr Verdict peek(const Unlimited& none, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  return acquire(none, state, now_ns, cost);
}

constexpr Unlimited floored(const Unlimited& none) noexcept {
  return none;
}

constexpr Verdict reserve(const Unlimited& none, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t) noexcept {
  return acquire(none, state, now_ns, cost);
}

constexpr std::uint64_t charge(const Unlimited&, std::uint64_t state, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t charge_room(const Unlimited&, std::uint64_t, std::uint64_t) noexcept {
  return Unlimited::kMost;
}

constexpr std::uint64_t with_remaining(const Unlimited&, std::uint64_t state, std::uint64_t,
                                       std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t refund(const Unlimited&, std::uint64_t state, std::uint64_t, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

constexpr bool is_beyond_horizon(const Unlimited&, std::uint64_t, std::uint64_t) noexcept {
  return false;
}

constexpr std::uint64_t cut(const Unlimited&, std::uint64_t state, std::uint64_t) noexcept {
  return state;
}

constexpr bool is_idle(const Unlimited&, std::uint64_t state, std::uint64_t now_ns) noexcept {
  return kind_of(state) != WordKind::fence || is_fence_overtaken(fence_of(state), now_ns);
}

constexpr std::uint64_t idle_state(const Unlimited&, std::uint64_t) noexcept {
  return 0;
}

constexpr std::uint64_t tokens_owed(const Unlimited&, std::uint64_t, std::uint64_t) noexcept {
  return 0;
}

}  // namespace rl
