#include <fmt/format.h>

#include "tools/rlctl/selftest/chaos_arena.hpp"
#include "tools/rlctl/selftest/table_check.hpp"

namespace rl::selftest {
namespace {

void add_health(Ground& ground, ChaosCounts& counts) {
  constexpr auto relaxed = std::memory_order_relaxed;
  const shm::Health& health = ground.view.mapping.header().health;
  counts.evicted += health.evicted.load(relaxed);
  counts.gave_up += health.gave_up.load(relaxed);
  counts.tentatives_freed += health.tentatives_freed.load(relaxed);
  counts.idle_overwritten += health.idle_overwritten.load(relaxed);
}

void add_notes(const Arena& arena, ChaosCounts& counts) {
  constexpr auto relaxed = std::memory_order_relaxed;
  for (unsigned i = 0; i < arena.workers; ++i) {
    const WorkerNotes& notes = arena.notes[i];
    counts.calls += notes.calls.load(relaxed);
    counts.flood_calls += notes.flood_calls.load(relaxed);
    counts.ledger += notes.ledger.load(relaxed);
    counts.full += notes.full.load(relaxed);
    counts.reaped += notes.reaped.load(relaxed);
    counts.swaps += notes.swaps.load(relaxed);
    counts.lost_races += notes.lost_races.load(relaxed);
    counts.most_swaps = std::max(counts.most_swaps, notes.most_swaps.load(relaxed));
    counts.longest_ns = std::max(counts.longest_ns, notes.longest_ns.load(relaxed));
  }
}

void judge_table(Ground& ground, ChaosCounts& counts) {
  TableCheck check = check_table(ground.segment->path());
  counts.tentatives_left += check.tentatives;
  for (std::string& fault : check.faults)
    counts.faults.push_back(fmt::format("{}: {}", ground.segment->name(), fault));
}

/// The library's own counts say what its callers were told, but for one call of each worker that
/// was killed.
void judge_health(const Arena& arena, ChaosCounts& counts) {
  std::uint64_t counted = 0;
  for (const Ground* ground : {&arena.firm, &arena.yielding}) {
    const shm::Health& health = ground->view.mapping.header().health;
    counted += health.full_allowed.load(std::memory_order_relaxed) +
               health.full_denied.load(std::memory_order_relaxed);
  }
  if (counts.full > counted || counted > counts.full + counts.kills) {
    counts.faults.push_back(fmt::format(
        "{} calls were told that the table is full, but {} are counted and {} workers were killed",
        counts.full, counted, counts.kills));
  }
}

/// Both sides of exactness: nothing that was admitted is missing from the debt, and nothing is in
/// it that was not admitted, but for one call of each worker that was killed.
void judge_ledger(Arena& arena, ChaosCounts& counts) {
  const Decision last = arena.limiter(Crowd::ledger).peek(arena.key(Crowd::ledger, 0));
  const std::uint64_t spent = last.limit - last.remaining;
  const std::uint64_t noted = counts.ledger + 1;  // the first call was ours
  const std::uint64_t minutes = arena.firm.view.clock.now() / 60'000'000'000 + 1;
  if (noted > spent + minutes || spent > noted + counts.kills) {
    counts.faults.push_back(fmt::format(
        "the ledger owes {}, but {} calls were admitted and {} workers killed in {} min", spent,
        noted, counts.kills, minutes));
  }
}

/// Guarantee A of every key, from the recorded decisions alone.
void judge_bounds(const Arena& arena, ChaosCounts& counts) {
  const auto by_key = arena.records.by_key(arena.workers, kKeys);
  for (const CrowdSpec& spec : kCrowdSpecs) {
    const Limit limit = Limit::parse(spec.limit);
    for (std::uint32_t key = spec.first_key; key < spec.first_key + spec.keys; ++key) {
      const std::uint64_t resets = arena.resets[key].load();
      counts.resets += resets;
      counts.admissions += by_key[key].size();
      if (!spec.firm) {
        const std::uint64_t refills = refills_needed(limit, by_key[key]);
        counts.broken += refills - std::min(refills, resets);
      } else if (auto fault = bound_fault(arena.key_texts[key], limit, by_key[key], resets)) {
        counts.faults.push_back(std::move(*fault));
      }
    }
  }
  if (counts.broken > counts.evicted + counts.kills) {
    counts.faults.push_back(fmt::format(
        "the keys that may be evicted broke their bounds in {} windows besides their resets, but "
        "there were only {} evictions and {} kills",
        counts.broken, counts.evicted, counts.kills));
  }
}

}  // namespace

void judge(Arena& arena, ChaosCounts& counts) {
  add_notes(arena, counts);
  add_health(arena.firm, counts);
  if (counts.evicted != 0)
    counts.faults.push_back(
        fmt::format("{} slots were evicted where no policy evicts", counts.evicted));
  add_health(arena.yielding, counts);
  judge_table(arena.firm, counts);
  judge_table(arena.yielding, counts);
  judge_health(arena, counts);
  judge_ledger(arena, counts);
  if (arena.firm.view.clock.left_tsc() || arena.yielding.view.clock.left_tsc()) {
    counts.clock_left = 1;  // readings of before and after are not on one scale
  } else {
    judge_bounds(arena, counts);
  }
}

}  // namespace rl::selftest
