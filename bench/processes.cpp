/// \file
/// How many decisions several processes make together, on one key and on keys of their own, beside
/// the bare compare-and-swap loop, the floor and a peer with as many processes.
#include <fmt/format.h>

#include "bench/common.hpp"
#include "bench/crews.hpp"
#include "bench/loops.hpp"
#include "bench/map_steps.hpp"
#include "bench/mutex_map.hpp"
#include "bench/retries.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"
#include "bench/stopped.hpp"
#include "shm/geometry.hpp"

namespace rl::bench {
namespace {

/// What this program can be told beside the common options.
struct ProcessOptions {
  std::vector<unsigned> counts{2, 4, 8, 16};
  double seconds = 0.2;
  bool pin = false;
};

/// Runs the crews in turns.
std::vector<Result> compare(const std::string& row, const std::vector<Crew>& crews,
                            unsigned processes, bool disjoint, const Report& report,
                            const ProcessOptions& options) {
  std::vector<Result> results;
  for (const Crew& crew : crews) results.push_back({row, crew.name, {}});
  const unsigned cpus = options.pin ? report.machine().cores : 0;
  take_turns(results, report.options().turns(), [&](std::size_t i, unsigned) {
    return run_crew(crews[i], processes, disjoint, options.seconds, cpus);
  });
  return results;
}

/// All that the crews work on.
template <class Clock>
struct Arena {
  static constexpr std::uint64_t kKeys = 65'536;

  Clock clock;
  Scratch segment{{.keys = kKeys}};
  Limiter limiter = segment->limiter("generous", Limit::per_second(1'000'000'000));
  FloorArray array{shm::geometry_for(kKeys, 1, 1, false).pair_count * sizeof(shm::Pair)};
  MutexMap map{kKeys};

  explicit Arena(Clock bare) : clock(bare) {}

  Crew librl() { return crew_of(limiter); }
  /// Of the first key only: a lease is of one.
  Crew leases() {
    return {"librl, leases of 32", [this](Lane& lane, KeyRange range) {
              RandomKeys keys(range.count, range.first);
              keys.start(lane.index());
              TokenLease lease(limiter, KeyText(keys.next()).view(), kLeaseTokens, kLeaseLength);
              lane.run([&] { (void)lease.try_acquire(); });
            }};
  }
  Crew floor() { return crew_of_floor(array, clock); }
  Crew bare_cas() {
    return {"bare CAS loop",
            [this](Lane& lane, KeyRange) { lane.run([&] { array.swap_first(); }); }};
  }
  Crew mutex_map() { return crew_of_map(map, clock); }
};

/// What a second process on keys of its own brings, beside what it brings the floor: one and two
/// processes take turns, too.
void add_gain(Report& report, const std::vector<Crew>& crews, const ProcessOptions& options) {
  const std::string row = "2 processes / 1, keys of their own";
  const unsigned cpus = options.pin ? report.machine().cores : 0;
  std::vector<Result> gains;
  std::vector<Result> runs;
  for (const Crew& crew : crews) {
    gains.push_back({row, crew.name, {}});
    runs.insert(runs.end(), {{row, "alone", {}}, {row, "together", {}}});
  }
  take_turns(runs, report.options().turns(), [&](std::size_t i, unsigned) {
    return run_crew(crews[i / 2], i % 2 == 0 ? 1 : 2, true, options.seconds, cpus);
  });
  for (std::size_t i = 0; i < gains.size(); ++i)
    gains[i].samples = quotients(runs[2 * i + 1], runs[2 * i]);
  report.add(gains, {{"floor", at_least(0.95)}});
}

template <class Clock>
void all_rows(Report& report, const ProcessOptions& options, Clock clock) {
  Arena<Clock> arena(clock);
  const std::vector<Crew> own = {arena.librl(), arena.floor(), arena.mutex_map()};
  const std::vector<Crew> shared = {arena.librl(), arena.leases(), arena.bare_cas(), arena.floor(),
                                    arena.mutex_map()};
  const auto run = [&](const std::string& what, const std::vector<Crew>& crews, unsigned processes,
                       bool disjoint, const std::vector<Goal>& goals) {
    report.add(compare(row_of(processes, what), crews, processes, disjoint, report, options),
               goals);
  };
  run("one key", shared, 1, false, {});
  run("keys of its own", own, 1, true, {});
  for (const unsigned processes : options.counts) {
    run("one key", shared, processes, false, {{"bare CAS loop", at_least(0.6)}});
    run("keys of their own", own, processes, true, {});
  }
  add_gain(report, {arena.librl(), arena.floor()}, options);
  add_retries(report, options.counts, options.seconds, options.pin ? report.machine().cores : 0);
  add_beside_stopped(report);
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Counts the decisions of several processes, beside the bare CAS loop and a peer.");
  Options common;
  ProcessOptions options;
  add_options(app, common);
  app.add_option("--processes", options.counts, "How many processes, one or more numbers")
      ->check(CLI::Range(1, 1'000))
      ->delimiter(',')
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "Length of a run")
      ->check(CLI::Range(0.001, 1.0))
      ->capture_default_str();
  app.add_flag("--pin", options.pin, "Pin process i to CPU i modulo the number of CPUs");
  CLI11_PARSE(app, argc, argv);
  if (common.quick) options.seconds = 0.01;
  Report report(common,
                fmt::format("Decisions of several processes together, {}; runs of {} s in turns",
                            options.pin ? "each pinned to a CPU" : "not pinned", options.seconds),
                "million/s");
  with_bare_clock([&](auto clock) { all_rows(report, options, clock); });
  report.finish();
  return 0;
}

}  // namespace rl::bench
