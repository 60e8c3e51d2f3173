/// \file
/// One decision beside what processes of one host share a limit with today: locks in shared memory.
#include <fmt/format.h>

#include <algorithm>

#include "bench/common.hpp"
#include "bench/crews.hpp"
#include "bench/loops.hpp"
#include "bench/map_steps.hpp"
#include "bench/mutex_map.hpp"
#include "bench/peers/robust_bucket.hpp"
#include "bench/rounds.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"

namespace rl::bench {
namespace {

/// The clock and the lock are the work; it has no key.
template <class Clock>
struct RobustDecisions {
  const RobustBucket& bucket;
  Clock clock;
  void start(unsigned) {}
  bool operator()() { return bucket.try_acquire(clock.now(), 1, kSecondNs); }
};

/// All that is asked for one hot key.
struct Hot {
  Scratch segment{SegmentOptions{}};
  Limiter limiter = segment->limiter("generous", kGenerous);
  const FloorArray array{table_bytes(SegmentOptions{}.keys)};
  MutexMap one{64};
  StripedMap striped{64};
  const RobustBucket bucket{};
};

template <class Clock>
void hot_row(Report& report, Clock clock) {
  Hot all;
  const HotKey hot;
  using Striped = MapDecisions<StripedMap, HotKey, Clock>;
  report.add(
      compare("one hot key",
              {contender("librl", Decisions<HotKey>{all.limiter, hot, true}),
               contender("floor", FloorSwaps<HotKey, Clock>{all.array, hot, clock}),
               contender(MutexMap::kName,
                         MutexMapDecisions<HotKey, Clock>{all.one, hot, clock, 1, kSecondNs}),
               contender(StripedMap::kName, Striped{all.striped, hot, clock, 1, kSecondNs}),
               contender(RobustBucket::kName, RobustDecisions<Clock>{all.bucket, clock})},
              report.options()));
}

/// All keys live, in as much room as they were promised.
template <class Clock>
void random_row(Report& report, Clock clock, const std::string& row, std::uint32_t count) {
  Scratch segment({.keys = count});
  Limiter limiter = segment->limiter("generous", kGenerous);
  const FloorArray array(table_bytes(count));
  MutexMap one(count);
  StripedMap striped(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const KeyText key(i);
    (void)limiter.try_acquire(key.view());
    one.try_acquire(key.view(), clock.now(), 1, kSecondNs);
    striped.try_acquire(key.view(), clock.now(), 1, kSecondNs);
  }
  const RandomKeys keys(count);
  using Striped = MapDecisions<StripedMap, RandomKeys, Clock>;
  report.add(
      compare(row,
              {contender("librl", Decisions<RandomKeys>{limiter, keys, true}),
               contender("floor", FloorSwaps<RandomKeys, Clock>{array, keys, clock}),
               contender(MutexMap::kName,
                         MutexMapDecisions<RandomKeys, Clock>{one, keys, clock, 1, kSecondNs}),
               contender(StripedMap::kName, Striped{striped, keys, clock, 1, kSecondNs})},
              report.options(), 0.25));
}

/// Everybody on one key, which no number of stripes can part. What passes on the clock between two
/// decisions of a process, whoever makes it wait: a lock's holder that is not on a CPU, too.
template <class Clock>
void crew_row(Report& report, Clock clock, unsigned processes) {
  Hot all;
  const Crew robust = {RobustBucket::kName, [&](Lane& lane, KeyRange) {
                         RobustDecisions<Clock> step{all.bucket, clock};
                         lane.run(step);
                       }};
  const std::vector<Crew> crews = {crew_of(all.limiter), crew_of_floor(all.array, clock),
                                   crew_of_map(all.one, clock), crew_of_map(all.striped, clock),
                                   robust};
  std::vector<Result> results;
  for (const Crew& crew : crews) results.push_back({row_of(processes, "one key"), crew.name, {}});
  const double seconds = report.options().quick ? 0.01 : 0.2;
  take_turns(results, report.options().turns(), [&](std::size_t i, unsigned) {
    // Where nobody got to the end of his first 32 steps, it took that long at least.
    const double millions =
        std::max(run_crew(crews[i], processes, false, seconds, 0), 32e-6 / seconds);
    return 1e3 * processes / millions;
  });
  report.add(results);
}

template <class Clock>
void all_rows(Report& report, Clock clock) {
  hot_row(report, clock);
  const std::uint32_t many = report.options().quick ? 20'000 : 1'000'000;
  const std::string row = report.options().quick ? "20,000 keys" : "1,000,000 keys";
  try {
    random_row(report, clock, row, many);
  } catch (const Error& e) {
    report.skip(row, e.what());
  } catch (const ipc::interprocess_exception& e) {
    report.skip(row, fmt::format("a peer found no room in /dev/shm: {}", e.what()));
  }
  crew_row(report, clock, 2);
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times a decision beside locks in shared memory, in one process and in two.");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  Report report(
      options,
      "A decision, and locks in shared memory: CPU time in one process, the clock's in two", "ns");
  with_bare_clock([&](auto clock) { all_rows(report, clock); });
  report.finish();
  return 0;
}

}  // namespace rl::bench
