/// \file
/// How many decisions several processes make together, on one key and on keys of their own, beside
/// the bare compare-and-swap loop, the floor and a peer with as many processes.
#include <fmt/format.h>

#include "bench/common.hpp"
#include "bench/crews.hpp"
#include "bench/loops.hpp"
#include "bench/map_steps.hpp"
#include "bench/mutex_map.hpp"
#include "bench/scratch.hpp"
#include "shm/geometry.hpp"

namespace rl::bench {
namespace {

/// What this program can be told beside the common options.
struct ProcessOptions {
  std::vector<unsigned> counts{2};
  double seconds = 0.2;
  bool pin = false;
};

/// Runs the crews in turns.
std::vector<Result> compare(const std::string& row, const std::vector<Crew>& crews,
                            unsigned processes, bool disjoint, const Report& report,
                            const ProcessOptions& options) {
  std::vector<Result> results;
  for (const Crew& crew : crews) results.push_back({row, crew.name, {}});
  const unsigned rounds = report.options().quick ? 3 : report.options().rounds;
  const unsigned cpus = options.pin ? report.machine().cores : 0;
  take_turns(results, rounds, [&](std::size_t i, unsigned) {
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
  Crew floor() { return crew_of_floor(array, clock); }
  Crew bare_cas() {
    return {"bare CAS loop",
            [this](Lane& lane, KeyRange) { lane.run([&] { array.swap_first(); }); }};
  }
  Crew mutex_map() { return crew_of_map(map, clock); }
};

template <class Clock>
void all_rows(Report& report, const ProcessOptions& options, Clock clock) {
  Arena<Clock> arena(clock);
  const std::vector<Crew> own = {arena.librl(), arena.floor(), arena.mutex_map()};
  const std::vector<Crew> shared = {arena.librl(), arena.bare_cas(), arena.floor(),
                                    arena.mutex_map()};
  const auto run = [&](const std::string& what, const std::vector<Crew>& crews, unsigned processes,
                       bool disjoint) {
    const std::string row =
        fmt::format("{} process{}, {}", processes, processes == 1 ? "" : "es", what);
    auto results = compare(row, crews, processes, disjoint, report, options);
    report.add(results);
    return results;
  };
  run("one key", shared, 1, false);
  const auto alone = run("keys of its own", own, 1, true);
  for (const unsigned processes : options.counts) {
    run("one key", shared, processes, false);
    const auto together = run("keys of their own", own, processes, true);
    std::string gains;
    for (std::size_t i = 0; i < own.size(); ++i) {
      gains += fmt::format("{}{} {:.2f}", i == 0 ? "" : ", ", own[i].name,
                           together[i].median() / alone[i].median());
    }
    report.note(fmt::format("{} processes on keys of their own do, of what one does: {}", processes,
                            gains));
  }
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
