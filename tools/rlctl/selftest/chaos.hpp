/// \file
/// Kills and stops: workers decide, insert, reset and reap on two segments that are too small for
/// their keys, while a supervisor kills and stops them at random instants and starts them anew.
/// Afterwards everything that they recorded is judged.
///
/// Nothing a victim leaves behind is cleaned up: what holds must hold as it lies there.
///
///     firm       nothing may be evicted here: each key is held to its own bound, with nothing on
///                top but its own resets; most keys are never reset
///       ledger   one key that every process charges all the time and that does not refill: what
///                it owes in the end is what was admitted, and one for each kill at most
///       hot      few keys that are always at their limit
///       crowd    keys that come and go: idle slots are overwritten, calls find the list full
///       guests   the same, under when_full=allow
///     yielding   more keys than room, under when_full=evict
///       flood    each key may break its bound once for each of its resets, and all together once
///                for each eviction and each kill (a victim may have evicted and not counted it).
///                That says something because evictions are few: the crowd moves on by one key in
///                so many calls, so a limiter that admits too much soon has no excuse left.
///
/// Every other worker uses the shipped Limiter; the rest drive the same rules and table over
/// watched cells (watched.hpp), which count lost races.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/rlctl/selftest/processes.hpp"

namespace rl::selftest {

/// What was tried, and how often the rare things were seen.
struct ChaosCounts {
  std::uint64_t rounds = 0;
  std::uint64_t kills = 0;  ///< of workers that were at work
  std::uint64_t stops = 0;
  std::uint64_t calls = 0;
  std::uint64_t admissions = 0;  ///< recorded and judged one by one
  std::uint64_t ledger = 0;      ///< admissions that were only counted
  std::uint64_t resets = 0;
  std::uint64_t reaped = 0;
  std::uint64_t idle_overwritten = 0;
  std::uint64_t evicted = 0;
  std::uint64_t flood_calls = 0;  ///< on keys that may be evicted
  std::uint64_t broken = 0;       ///< windows in which these broke the bound, but for resets
  std::uint64_t full = 0;         ///< calls that when_full decided, to allow or deny
  std::uint64_t tentatives_freed = 0;
  std::uint64_t tentatives_left = 0;  ///< inserts that a kill left unfinished to the end
  std::uint64_t gave_up = 0;
  std::uint64_t lost_races = 0;  ///< compare-and-swaps that a rival made fail
  std::uint64_t swaps = 0;       ///< compare-and-swaps that were watched
  std::uint64_t most_swaps = 0;  ///< in one call
  std::uint64_t longest_ns = 0;  ///< CPU time of one call, of every sixteenth
  std::uint64_t clock_left = 0;  ///< rounds whose bound was not judged: the TSC was left
  std::vector<std::string> faults;

  void add(const ChaosCounts& other);
};

enum class Crowd : std::uint8_t { ledger, hot, crowd, guests, flood };

/// Makes of a decision what a broken limiter would have decided.
using Fault = void (*)(Crowd, Decision&);

struct ChaosOptions {
  std::uint64_t seed;
  unsigned workers;       ///< at least 2; the first is never disturbed
  Nanoseconds length;     ///< of one round, on segments of its own; two seconds are plenty
  Fault fault = nullptr;  ///< planted by tests, to see that the judge finds it
};

/// Runs one round and judges it. Throws Interrupted, or Error when it cannot run.
ChaosCounts run_chaos(const ChaosOptions& options);

/// Returns how many workers suit this machine.
unsigned suitable_workers();

}  // namespace rl::selftest
