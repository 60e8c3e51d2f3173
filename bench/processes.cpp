/// \file
/// How many decisions several processes make together, on one key and on keys of their own, beside
/// the bare compare-and-swap loop, the floor and a peer with as many processes.
#include <fmt/format.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <stdexcept>
#include <thread>

#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/mutex_map.hpp"
#include "bench/scratch.hpp"
#include "shm/geometry.hpp"

namespace rl::bench {
namespace {

using std::chrono::steady_clock;

/// What this program can be told beside the common options.
struct ProcessOptions {
  std::vector<unsigned> counts{2};
  double seconds = 0.2;
  bool pin = false;
};

/// Keys of one process: how many, and where they begin. One for all, or a thousand of its own.
struct KeyRange {
  std::uint32_t count;
  std::uint32_t first;
};

/// What the processes of a run share. Each line has one writer.
struct alignas(64) Signal {
  std::atomic<std::uint32_t> value;
};
struct alignas(64) Tally {
  std::atomic<std::uint64_t> steps;
};

/// One process's part in a run: says that it is ready, waits, and steps until told to stop.
class Lane {
 public:
  Lane(unsigned index, Signal& ready, const Signal& phase, Tally& tally)
      : index_(index), ready_(ready), phase_(phase), tally_(tally) {}
  [[nodiscard]] unsigned index() const noexcept { return index_; }

  template <class Step>
  void run(Step&& step) {
    step();                                                // a process's first call attaches
    ready_.value.fetch_add(1, std::memory_order_release);  // pairs with Run: it is counted in
    while (phase_.value.load(std::memory_order_acquire) == kWait) ::sched_yield();
    std::uint64_t steps = 0;
    // relaxed: the flag says no more than "stop"; a batch keeps its line out of the measurement.
    while (phase_.value.load(std::memory_order_relaxed) != kStop) {
      for (unsigned i = 0; i < kBatch; ++i) step();
      steps += kBatch;
    }
    tally_.steps.store(steps, std::memory_order_relaxed);  // published by the end of the process
  }

  static constexpr std::uint32_t kWait = 0;
  static constexpr std::uint32_t kGo = 1;
  static constexpr std::uint32_t kStop = 2;

 private:
  static constexpr unsigned kBatch = 32;
  unsigned index_;
  Signal& ready_;
  const Signal& phase_;
  Tally& tally_;
};

/// Somebody to be run by several processes at once.
struct Crew {
  std::string name;
  std::function<void(Lane& lane, KeyRange keys)> body;
};

void pin_to(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) throw std::runtime_error("cannot pin");
}

/// Runs a crew once. Returns million steps a second, all processes together.
double run_once(const Crew& crew, unsigned processes, bool disjoint, const ProcessOptions& options,
                unsigned cores) {
  SharedArray<Signal> signals(2);
  Signal& ready = signals[0];
  Signal& phase = signals[1];
  SharedArray<Tally> tallies(processes);
  Children children;
  for (unsigned i = 0; i < processes; ++i) {
    children.fork([&] {
      if (options.pin) pin_to(i % cores);
      Lane lane(i, ready, phase, tallies[i]);
      crew.body(lane, disjoint ? KeyRange{1'000, i * 1'000} : KeyRange{1, 0});
    });
  }
  const auto give_up = steady_clock::now() + std::chrono::seconds(20);
  while (ready.value.load(std::memory_order_acquire) < processes) {
    if (steady_clock::now() > give_up) throw std::runtime_error("a child does not start");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto begin = steady_clock::now();
  phase.value.store(Lane::kGo, std::memory_order_release);
  std::this_thread::sleep_for(std::chrono::duration<double>(options.seconds));
  phase.value.store(Lane::kStop, std::memory_order_relaxed);
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  children.wait_for_all();
  std::uint64_t steps = 0;
  for (unsigned i = 0; i < processes; ++i) {
    steps += tallies[i].steps.load(std::memory_order_relaxed);
  }
  return static_cast<double>(steps) / took.count() / 1e6;
}

/// Runs the crews in turns.
std::vector<Result> compare(const std::string& row, const std::vector<Crew>& crews,
                            unsigned processes, bool disjoint, const Report& report,
                            const ProcessOptions& options) {
  std::vector<Result> results;
  for (const Crew& crew : crews) results.push_back({row, crew.name, {}});
  const unsigned rounds = report.options().quick ? 3 : report.options().rounds;
  for (unsigned round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < crews.size(); ++i) {
      results[i].samples.push_back(
          run_once(crews[i], processes, disjoint, options, report.machine().cores));
    }
  }
  return results;
}

constexpr std::uint64_t kSecondNs = 1'000'000'000;

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

  Crew librl() {
    return {"librl", [this](Lane& lane, KeyRange range) {
              RandomKeys keys(range.count, range.first);
              keys.start(lane.index());
              lane.run([&] { (void)limiter.try_acquire(KeyText(keys.next()).view()); });
            }};
  }
  /// A decision that loses the race for its slot tries again, so the floor does, too.
  Crew floor() {
    return {"floor", [this](Lane& lane, KeyRange range) {
              RandomKeys keys(range.count, range.first);
              keys.start(lane.index());
              Clock mine = clock;
              lane.run([&] {
                const KeyText key(keys.next());
                while (!array.swap(key.view(), mine)) {
                }
              });
            }};
  }
  Crew bare_cas() {
    return {"bare CAS loop",
            [this](Lane& lane, KeyRange) { lane.run([&] { array.swap_first(); }); }};
  }
  Crew mutex_map() {
    return {
        MutexMap::kName, [this](Lane& lane, KeyRange range) {
          RandomKeys keys(range.count, range.first);
          keys.start(lane.index());
          Clock mine = clock;
          lane.run([&] { map.try_acquire(KeyText(keys.next()).view(), mine.now(), 1, kSecondNs); });
        }};
  }
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
