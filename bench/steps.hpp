/// \file
/// One decision, and the floor of one, as steps of a measured loop.
#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>

#include <rl/rl.hpp>

#include "bench/loops.hpp"
#include "shm/geometry.hpp"

namespace rl::bench {

// A limit that nobody reaches here, and one that everybody has reached after the first call.
inline const Limit kGenerous = Limit::per_second(1'000'000'000);
inline const Limit kStrict = Limit::per_day(1);

// What a lease takes here, and for how long at most.
inline constexpr std::uint64_t kLeaseTokens = 32;
inline constexpr std::chrono::milliseconds kLeaseLength{10};

/// Limiter::try_acquire, one call a step.
template <class Keys>
struct Decisions {
  Limiter limiter;
  Keys keys;
  bool expected;

  void start(unsigned round) {
    keys.start(round);
    (void)limiter.try_acquire(KeyText(keys.next()).view());  // a strict limit's one admission
    if ((*this)() != expected) throw std::runtime_error("a row is not what it says it is");
    keys.start(round);
  }
  bool operator()() { return limiter.try_acquire(KeyText(keys.next()).view()).allowed; }
};

/// The floor of an admission.
template <class Keys, class Clock>
struct FloorSwaps {
  const FloorArray& array;
  Keys keys;
  Clock clock;
  void start(unsigned round) { keys.start(round); }
  bool operator()() { return array.swap(KeyText(keys.next()).view(), clock); }
};

/// The floor of a denial.
template <class Keys, class Clock>
struct FloorLooks {
  const FloorArray& array;
  Keys keys;
  Clock clock;
  void start(unsigned round) { keys.start(round); }
  std::uint64_t operator()() { return array.look(KeyText(keys.next()).view(), clock); }
};

/// The bytes of slots and counts of a segment with room for so many keys.
inline std::uint64_t table_bytes(std::uint64_t keys) {
  return shm::geometry_for(keys, 1, 1, false).pair_count * sizeof(shm::Pair);
}

}  // namespace rl::bench
