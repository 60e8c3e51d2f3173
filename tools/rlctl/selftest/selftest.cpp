#include "tools/rlctl/selftest/selftest.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/selftest/exactness.hpp"
#include "tools/rlctl/selftest/machine.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::selftest {
namespace {

Json counts_of(const ChaosCounts& c, unsigned workers) {
  return {{"workers", workers},
          {"rounds", c.rounds},
          {"kills", c.kills},
          {"stops", c.stops},
          {"calls", c.calls},
          {"admissions_judged", c.admissions},
          {"admissions_counted", c.ledger},
          {"resets", c.resets},
          {"reaped", c.reaped},
          {"idle_overwritten", c.idle_overwritten},
          {"evicted", c.evicted},
          {"calls_on_keys_that_may_be_evicted", c.flood_calls},
          {"windows_broken_by_evictions", c.broken},
          {"full", c.full},
          {"inserts_of_others_freed", c.tentatives_freed},
          {"inserts_left_unfinished", c.tentatives_left},
          {"gave_up", c.gave_up},
          {"swaps_watched", c.swaps},
          {"swaps_lost", c.lost_races},
          {"most_swaps_in_a_call", c.most_swaps},
          {"longest_call_cpu_ns", c.longest_ns},
          {"rounds_not_judged", c.clock_left}};
}

Part check_chaos(std::uint64_t seed, Nanoseconds length) {
  constexpr Nanoseconds kRound = std::chrono::seconds(2);
  const unsigned workers = suitable_workers();
  ChaosCounts all;
  const auto end = std::chrono::steady_clock::now() + length;
  while (all.faults.empty()) {
    const Nanoseconds left = end - std::chrono::steady_clock::now();
    if (all.rounds > 0 && left < std::chrono::milliseconds(100)) break;
    const Nanoseconds least = std::chrono::milliseconds(100);
    all.add(run_chaos({seed + all.rounds, workers, std::clamp(left, least, kRound)}));
  }
  return tell_chaos(all, workers);
}

}  // namespace

Part tell_chaos(const ChaosCounts& c, unsigned workers) {
  Part part{"chaos", {}, counts_of(c, workers), c.faults};
  const bool holds = c.faults.empty();
  part.text = fmt::format("{} workers, {} kills, {} stops, {} calls; {} admissions {} ", workers,
                          c.kills, c.stops, c.calls, c.admissions + c.ledger,
                          holds ? "keep the bound, tables are valid" : "judged");
  part.text += fmt::format(
      "({} idle overwritten, {} reaped, {} reset, {} evicted, {} found it full); longest call {} "
      "of "
      "CPU, {} compare-and-swaps",
      c.idle_overwritten, c.reaped, c.resets, c.evicted, c.full, ctl::human_duration(c.longest_ns),
      c.most_swaps);
  if (c.clock_left > 0)
    part.text += fmt::format("; {} rounds not judged, as the clock changed", c.clock_left);
  return part;
}

bool run(std::uint64_t seconds, std::uint64_t seed, const std::function<void(const Part&)>& tell) {
  const NotedSignals signals;
  const Nanoseconds all = std::chrono::seconds(seconds);
  bool holds = true;
  const auto judge = [&](const Part& part) {
    NotedSignals::look();
    holds = holds && part.faults.empty();
    tell(part);
  };
  judge(check_exactness(suitable_workers(), all * 3 / 10));
  judge(check_chaos(seed, all * 45 / 100));
  judge(check_clock(all * 15 / 100));
  judge(check_memory());
  return holds;
}

}  // namespace rl::selftest
