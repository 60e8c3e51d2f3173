#include "tools/rlctl/bench_rows.hpp"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <set>
#include <utility>

#include "bench/crews.hpp"
#include "bench/histogram.hpp"
#include "bench/last_will.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"
#include "tools/rlctl/common.hpp"

namespace rl::ctl {
namespace {

using bench::Histogram;
using bench::HotKey;
using bench::RandomKeys;
using std::chrono::steady_clock;

/// How much of a turn goes before it, untimed, to bring its data into the caches.
constexpr double kWarming = 0.25;
/// How many slices of time a round has: a turn, timed and not, of each contender on one process, one of
/// the timing itself, and those of the processes.
constexpr double kSlices = 8 * (2 + kWarming) + 1 + 8;

/// Seconds that this thread has run.
double cpu_seconds() noexcept {
  timespec now{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// Steps in a plain loop for that long. Returns the ns of CPU time of one step.
template <class Step>
double each_of(Step& step, double seconds) {
  constexpr int kBatch = 1'024;
  const double begin = cpu_seconds();
  double took = 0;
  std::uint64_t steps = 0;
  do {
    for (int i = 0; i < kBatch; ++i) (void)bench::opaque(step());
    steps += kBatch;
    took = cpu_seconds() - begin;
  } while (took < seconds);
  return took * 1e9 / static_cast<double>(steps);
}

/// Reads the clock neither before what came earlier is done, nor after what comes has begun.
template <class Clock>
std::uint64_t fenced_now(Clock& clock) noexcept {
#if defined(__x86_64__)
  __builtin_ia32_lfence();
  const std::uint64_t now = clock.now();
  __builtin_ia32_lfence();
  return now;
#else
  return clock.now();
#endif
}

/// Times steps one by one, for that long.
template <class Step, class Clock>
Histogram times_of(Step& step, Clock clock, double seconds) {
  constexpr int kBatch = 256;
  Histogram times;
  const auto end = steady_clock::now() + std::chrono::duration<double>(seconds);
  do {
    for (int i = 0; i < kBatch; ++i) {
      const std::uint64_t before = fenced_now(clock);
      (void)bench::opaque(step());
      const std::uint64_t after = fenced_now(clock);
      times.add(after > before ? after - before : 0);
    }
  } while (steady_clock::now() < end);
  return times;
}

void add(Scores& scores, double each, const Histogram& times) {
  scores.each.samples.push_back(each);
  scores.p50.samples.push_back(static_cast<double>(times.at(0.5)));
  scores.p99.samples.push_back(static_cast<double>(times.at(0.99)));
  scores.p999.samples.push_back(static_cast<double>(times.at(0.999)));
  scores.most.samples.push_back(static_cast<double>(times.most()));
}

/// How many keys a segment has room for: the many, and those of the processes (bench/crews.hpp).
std::uint32_t room_for(const BenchOptions& options) {
  return std::max(options.keys, 1'000 * options.processes);
}

/// Both kinds of keys under both kinds of limits, and the floor's array of the same size.
struct Ground {
  Ground(std::uint32_t keys, std::uint32_t room)
      : many(keys),
        generous({.keys = room}),
        strict({.keys = room}),
        allows(generous->limiter("allows", bench::kGenerous)),
        denies(strict->limiter("denies", bench::kStrict)),
        array(bench::table_bytes(room)) {
    for (std::uint32_t i = 0; i < keys; ++i) {
      (void)allows.try_acquire(bench::KeyText(i).view());
      (void)denies.try_acquire(bench::KeyText(i).view());
    }
  }
  RandomKeys many;
  bench::Scratch generous;
  bench::Scratch strict;
  Limiter allows;
  Limiter denies;
  bench::FloorArray array;
};

/// One turn of somebody, in a round.
using Turn = std::function<void(unsigned round)>;

template <class Step, class Clock>
Turn turn_of(Step step, Clock clock, Scores& scores, double seconds) {
  return [step, clock, &scores, seconds](unsigned round) {
    Step mine = step;
    mine.start(round);
    (void)each_of(mine, seconds * kWarming);
    const double each = each_of(mine, seconds);
    add(scores, each, times_of(mine, clock, seconds));
  };
}

/// Makes the rows of one process. The turns hold on to them.
template <class Clock>
std::vector<Turn> decision_turns(Ground& ground, Clock clock, std::vector<DecisionRow>& rows,
                                 double seconds) {
  rows.resize(4);
  const std::string many = fmt::format("{} keys", ground.many.count());
  const char* const one = "one hot key";
  rows[0].name = fmt::format("{}, allowed", one);
  rows[1].name = fmt::format("{}, denied", one);
  rows[2].name = fmt::format("{}, allowed", many);
  rows[3].name = fmt::format("{}, denied", many);
  std::vector<Turn> turns;
  const auto add_rows = [&]<class Keys>(Keys keys, DecisionRow& allowed, DecisionRow& denied) {
    using bench::Decisions;
    turns.push_back(
        turn_of(Decisions<Keys>{ground.allows, keys, true}, clock, allowed.ours, seconds));
    turns.push_back(turn_of(bench::FloorSwaps<Keys, Clock>{ground.array, keys, clock}, clock,
                            allowed.floor, seconds));
    turns.push_back(
        turn_of(Decisions<Keys>{ground.denies, keys, false}, clock, denied.ours, seconds));
    turns.push_back(turn_of(bench::FloorLooks<Keys, Clock>{ground.array, keys, clock}, clock,
                            denied.floor, seconds));
  };
  add_rows(HotKey(), rows[0], rows[1]);
  add_rows(ground.many, rows[2], rows[3]);
  return turns;
}

template <class Clock>
Turn timing_turn(Clock clock, bench::Result& timing, double seconds) {
  return [clock, &timing, seconds](unsigned) {
    const auto nothing = [] { return true; };
    timing.samples.push_back(static_cast<double>(times_of(nothing, clock, seconds).at(0.5)));
  };
}

template <class Clock>
std::vector<Turn> process_turns(Ground& ground, Clock clock, std::vector<ProcessesRow>& rows,
                                const BenchOptions& options, double seconds) {
  for (const unsigned processes : std::set{1U, options.processes})
    for (const bool is_one_key : {true, false}) rows.push_back({processes, is_one_key, {}, {}});
  std::vector<Turn> turns;
  for (ProcessesRow& row : rows) {
    const auto add_turn = [&](bench::Crew crew, bench::Result& result) {
      turns.push_back([crew = std::move(crew), &row, &result, seconds](unsigned) {
        result.samples.push_back(bench::run_crew(crew, row.processes, !row.is_one_key, seconds, 0));
      });
    };
    add_turn(bench::crew_of(ground.allows), row.ours);
    add_turn(bench::crew_of_floor(ground.array, clock), row.floor);
  }
  return turns;
}

template <class Clock>
void measure(BenchReport& report, const BenchOptions& options, Clock clock) {
  Ground ground(options.keys, room_for(options));
  const double slice = options.seconds / (BenchOptions::kRounds * kSlices);
  std::vector<Turn> turns = decision_turns(ground, clock, report.decisions, slice);
  turns.push_back(timing_turn(clock, report.timing, slice));
  for (Turn& turn : process_turns(ground, clock, report.processes, options, slice))
    turns.push_back(std::move(turn));
  for (unsigned round = 0; round < BenchOptions::kRounds; ++round)
    for (const Turn& turn : turns) turn(round);
}

/// Whether its rounds differ so much that it says little.
bool is_noisy(const bench::Result& result) {
  constexpr double kQuiet = 1.3;
  return result.most() > kQuiet * result.least();
}

/// Tells of the floor first: what disturbs it is not librl.
void add_noise(std::vector<std::string>& noise, const std::string& row, const bench::Result& ours,
               const bench::Result& floor, const char* verb, const char* unit) {
  const bool is_floors = is_noisy(floor);
  const bench::Result& worse = is_floors ? floor : ours;
  if (!is_noisy(worse)) return;
  noise.push_back(fmt::format(
      "{}: {} {} from {:.1f} to {:.1f} {} in the rounds: this machine is noisy, or busy", row,
      is_floors ? "the floor itself" : "librl", verb, worse.least(), worse.most(), unit));
}

}  // namespace

BenchReport run_bench(const BenchOptions& options, bench::Machine machine) {
  BenchReport report;
  report.machine = std::move(machine);
  bench::clean_up_on_signals();
  const bench::LastWill will;
  bench::with_bare_clock([&](auto clock) { measure(report, options, clock); });
  return report;
}

std::optional<double> share_of_floor(const ProcessesRow& row) {
  if (row.floor.median() == 0 || is_noisy(row.floor)) return std::nullopt;
  return row.ours.median() / row.floor.median();
}

std::string name_of(const ProcessesRow& row) {
  return fmt::format("{}, {}", counted(row.processes, "process", "processes"),
                     row.is_one_key       ? "one key"
                     : row.processes == 1 ? "1000 keys"
                                          : "1000 keys each");
}

std::vector<std::string> noise_in(const BenchReport& report) {
  std::vector<std::string> noise;
  for (const DecisionRow& row : report.decisions)
    add_noise(noise, row.name, row.ours.each, row.floor.each, "took", "ns");
  for (const ProcessesRow& row : report.processes)
    add_noise(noise, name_of(row), row.ours, row.floor, "did", "million/s");
  return noise;
}

}  // namespace rl::ctl
