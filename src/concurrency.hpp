/// \file
/// Concurrency: at most so many permits of a key out at any instant. Pure functions, no clock, no
/// atomics.
///
/// A permit is no call that is counted and forgotten: it is taken, and given back
/// (src/permits.cpp). So nothing passes by acquire. What stands here is what everybody needs who
/// meets such a slot: whether it may be overwritten, and what to show of it.
///
/// A slot is worth nothing, idle, when its permit is not out: given back or over. Then the sequence
/// begins anew at the next take. A holder that has lost its permit does not mistake the new one for
/// its own all the same: it lost it to the end of its lease, so whoever takes the slot later gets a
/// later end; or because it was taken for dead, and then the words name another seat.
#pragma once

#include "src/permit_words.hpp"

namespace rl {

constexpr std::uint64_t most_at_once(const Concurrency& permits) noexcept {
  return permits.limit;
}

/// Returns how long a slot is worth something.
constexpr std::uint64_t worth_ns(const Concurrency& permits, std::uint64_t state,
                                 std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  switch (kind_of(state)) {
    case WordKind::permit:
      return lease_left_ns(permits, PermitWord::of(state), now);
    case WordKind::hint:
      return is_recent(HintWord::of(state), now) ? kHealSlackNs : 0;
    case WordKind::fence:
      return is_fence_overtaken(fence_of(state), now) ? 0 : fence_of(state) + kFenceKeptNs - now;
    case WordKind::none:
    case WordKind::conduct:
      break;
  }
  return 0;
}

constexpr bool is_idle(const Concurrency& permits, std::uint64_t state,
                       std::uint64_t now_ns) noexcept {
  return worth_ns(permits, state, now_ns) == 0;
}

/// Denies: permits are not taken by calls.
constexpr Verdict acquire(const Concurrency& permits, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t) noexcept {
  return {false, true, state, 0, 0, worth_ns(permits, state, now_ns), 0};
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

/// Never: each word says for itself that it makes no sense, and is idle then.
constexpr bool is_beyond_horizon(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return false;
}

constexpr std::uint64_t cut(const Concurrency&, std::uint64_t state, std::uint64_t) noexcept {
  return state;
}

/// A permit that nobody has. No two lives of a slot need to differ in it: whoever compares and
/// swaps a free permit may have any.
constexpr std::uint64_t idle_state(const Concurrency&, std::uint64_t) noexcept {
  return 0;
}

/// Nothing: what is out is never evicted.
constexpr std::uint64_t tokens_owed(const Concurrency&, std::uint64_t, std::uint64_t) noexcept {
  return 0;
}

}  // namespace rl
