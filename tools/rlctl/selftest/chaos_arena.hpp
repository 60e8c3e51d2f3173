/// \file
/// Where chaos takes place: both segments, the keys, and the memory in which workers note what they
/// did. Made by the supervisor before it forks.
#pragma once

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/selftest/admissions.hpp"
#include "tools/rlctl/selftest/chaos.hpp"
#include "tools/rlctl/selftest/watched.hpp"

namespace rl::selftest {

inline constexpr std::size_t kCrowds = 5;

/// A policy and its keys. Keys are numbered through all crowds.
struct CrowdSpec {
  std::string_view name;
  std::string_view limit;
  std::uint32_t keys;
  std::uint32_t first_key;
  bool firm;
};
inline constexpr std::array<CrowdSpec, kCrowds> kCrowdSpecs{{
    {"ledger", "1/m burst=30000000 when_full=deny", 1, 0, true},
    {"hot", "2000/s burst=20 when_full=deny", 4, 1, true},
    {"crowd", "100/s burst=3 when_full=deny", 240, 5, true},
    {"guests", "100/s burst=3 when_full=allow", 60, 245, true},
    {"flood", "2/s burst=2 when_full=evict", 300, 305, false},
}};
inline constexpr std::uint32_t kKeys = 605;
static_assert(kCrowdSpecs.back().first_key + kCrowdSpecs.back().keys == kKeys);

constexpr const CrowdSpec& spec_of(Crowd crowd) noexcept {
  return kCrowdSpecs[static_cast<std::size_t>(crowd)];
}

/// Only these are ever reset; the others must do without that refill.
constexpr bool may_be_reset(Crowd crowd, std::uint32_t nth) noexcept {
  return (crowd == Crowd::flood || crowd == Crowd::crowd) && nth % 4 == 3;
}

/// The flood: so many keys are called at once, and one of them gives way to the next after so many
/// calls. Each comes with an eviction or two, as those behind it owe for a second; called so often,
/// it would break its bound twenty times if it were let.
inline constexpr std::uint32_t kFloodAtOnce = 12;
inline constexpr std::uint64_t kFloodCallsPerKey = 64;

/// What a worker did, through all its lives. One writer at a time.
struct alignas(64) WorkerNotes {
  Word calls;
  Word flood_calls;
  Word ledger;
  Word full;
  Word reaped;
  Word swaps;
  Word lost_races;
  Word most_swaps;
  Word longest_ns;
};

/// One segment as the library's user sees it, and as its inside does.
struct Ground {
  explicit Ground(bool firm);
  ScratchSegment segment;
  View view;
};

struct Arena {
  explicit Arena(unsigned worker_count, Fault planted = nullptr);

  Ground& ground_of(Crowd crowd) noexcept { return spec_of(crowd).firm ? firm : yielding; }
  Limiter& limiter(Crowd crowd) noexcept { return limiters[static_cast<std::size_t>(crowd)]; }
  const Binding& binding(Crowd crowd) const noexcept {
    return bindings[static_cast<std::size_t>(crowd)];
  }
  const std::string& key(Crowd crowd, std::uint32_t nth) const noexcept {
    return key_texts[spec_of(crowd).first_key + nth];
  }

  /// Gives the flood its keys.
  void spread_flood();

  unsigned workers;
  Fault fault;
  Ground firm{true};
  Ground yielding{false};
  std::vector<Limiter> limiters;
  std::vector<Binding> bindings;
  std::vector<std::string> key_texts;
  SharedArray<WorkerNotes> notes;
  SharedArray<Word> resets;  ///< by key; noted before each reset, as its maker may not come back
  SharedArray<Word> stop;
  SharedArray<Word> flood_turn;  ///< calls on the flood, begun by anybody
  Records records;
};

/// The life of a worker: works until it is told to stop, or killed.
void work(Arena& arena, unsigned index, std::uint64_t seed);

/// Judges what workers that have all ended left behind, knowing the kills; adds counts and faults.
void judge(Arena& arena, ChaosCounts& counts);

}  // namespace rl::selftest
