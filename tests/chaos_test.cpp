// Chaos: the engine of `rlctl selftest` (tools/rlctl/selftest/chaos.hpp), driven until it has seen
// everything that may go wrong go wrong. Random kills are a smoke test: they show that the whole
// holds together under real signals. That no instruction is a bad one to die at is shown by
// stepping (tests/stepping) and by the models.
//
// RL_DEEP=1 goes on for minutes.

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include "tests/support.hpp"
#include "tools/rlctl/selftest/chaos.hpp"

namespace rl::selftest {
namespace {

using namespace std::chrono_literals;

struct Seen {
  const char* what;
  std::uint64_t count;
};

/// What a run must have met with before it proves anything.
std::vector<Seen> all_seen(const ChaosCounts& c) {
  return {{"kills in the middle of work", c.kills},
          {"stops in the middle of work", c.stops},
          {"failed compare-and-swaps", c.lost_races},
          {"reaped slots", c.reaped},
          {"resets", c.resets},
          {"idle slots overwritten", c.idle_overwritten},
          {"evictions", c.evicted},
          {"bounds broken by evictions", c.broken},
          // Had each of these calls been admitted, evictions and kills would not have excused it.
          {"calls on keys that may be evicted, three for each excuse",
           c.flood_calls / 3 / (c.evicted + c.kills + 1)},
          {"full lists", c.full},
          {"admissions judged", c.admissions}};
}

bool is_enough(const ChaosCounts& counts) {
  const std::vector<Seen> seen = all_seen(counts);
  return std::all_of(seen.begin(), seen.end(), [](const Seen& s) { return s.count > 0; });
}

TEST_CASE(
    "A_P_S_workers_killed_and_stopped_at_random_break_no_bound_and_no_table_and_stop_nobody") {
  const Nanoseconds least = test::is_deep() ? Nanoseconds(180s) : Nanoseconds(8s);
  const Nanoseconds most = test::is_deep() ? Nanoseconds(400s) : Nanoseconds(120s);
  MESSAGE("RL_TEST_SEED=" << test::seed());
  const NotedSignals signals;  // Ctrl-C removes the segments
  ChaosCounts all;
  ActiveTime time;
  const auto start = std::chrono::steady_clock::now();
  const auto ran = [&] { return std::chrono::steady_clock::now() - start; };
  while (all.faults.empty() && (ran() < least || (!is_enough(all) && ran() < most))) {
    // Rounds differ in how many fight for the CPUs.
    const unsigned workers = suitable_workers() + static_cast<unsigned>(all.rounds % 3);
    all.add(run_chaos({test::seed() + all.rounds, workers, 2s}));
  }
  for (const std::string& fault : all.faults) FAIL_CHECK(fault);
  for (const Seen& seen : all_seen(all)) CHECK_MESSAGE(seen.count > 0, "not seen: ", seen.what);
  CHECK(all.gave_up == 0);
  CHECK(all.clock_left < all.rounds);
  MESSAGE(
      all.kills << " kills, " << all.stops << " stops, " << all.calls << " calls in " << all.rounds
                << " rounds; judged " << all.admissions + all.ledger << " admissions; "
                << all.lost_races << " of " << all.swaps << " watched compare-and-swaps failed, "
                << all.most_swaps << " in one call at most; " << all.idle_overwritten
                << " idle overwritten, " << all.reaped << " reaped, " << all.resets << " resets, "
                << all.evicted << " evicted (in " << all.flood_calls << " calls, which broke "
                << all.broken << " windows), " << all.full << " full, " << all.tentatives_freed
                << " inserts of others freed, " << all.tentatives_left << " left unfinished tried");
}

}  // namespace
}  // namespace rl::selftest
