/// \file
/// What one decision costs in one process, beside its floor and a peer.
#include <fmt/format.h>

#include <chrono>
#include <vector>

#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/map_steps.hpp"
#include "bench/rounds.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"

namespace rl::bench {
namespace {

/// The same with the caller's own time.
struct TimedDecisions {
  Limiter limiter;
  HotKey keys;
  CallersClock<Segment> clock;
  void start(unsigned round) { keys.start(round); }
  bool operator()() {
    return limiter.try_acquire_at(clock.now(), KeyText(keys.next()).view()).allowed;
  }
};

/// Rows on one key, alone in a table of the default size.
template <class Clock>
void hot_rows(Report& report, Clock clock) {
  const SegmentOptions segment_options;
  Scratch segment(segment_options);
  Limiter generous = segment->limiter("generous", kGenerous);
  Limiter strict = segment->limiter("strict", kStrict);
  const FloorArray array(table_bytes(segment_options.keys));
  MutexMap map(64);
  const HotKey hot;

  report.add(compare(
      "one hot key, allowed",
      {contender("librl", Decisions<HotKey>{generous, hot, true}),
       contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock}),
       contender(MutexMap::kName, MutexMapDecisions<HotKey, Clock>{map, hot, clock, 1, kSecondNs})},
      report.options()));

  MutexMap strict_map(64);
  report.add(
      compare("one hot key, denied",
              {contender("librl", Decisions<HotKey>{strict, hot, false}),
               contender("floor without CAS", FloorLooks<HotKey, Clock>{array, hot, clock}),
               contender("floor with CAS", FloorSwaps<HotKey, Clock>{array, hot, clock}),
               contender(MutexMap::kName,
                         MutexMapDecisions<HotKey, Clock>{strict_map, hot, clock, kDayNs, kDayNs})},
              report.options()));

  using Callers = CallersClock<Clock>;
  report.add(compare(
      "one hot key, caller's own time",
      {contender("librl", TimedDecisions{generous, hot, CallersClock<Segment>(*segment)}),
       contender("floor without clock", FloorSwaps<HotKey, Callers>{array, hot, Callers(clock)}),
       contender("librl, its own clock", Decisions<HotKey>{generous, hot, true})},
      report.options()));
}

/// A row for each other algorithm, with a limit that is never reached.
template <class Clock>
void algorithm_rows(Report& report, Clock clock) {
  constexpr std::uint64_t kMany = 1'000'000'000;
  const std::pair<const char*, Limit> algorithms[] = {
      {"leaky", Limit::leaky(kMany, std::chrono::seconds(1), kMany, kMany)},
      {"window", Limit::fixed_window(1'000 * kMany, std::chrono::hours(1))},
      {"sliding", Limit::sliding_window(kMany, std::chrono::hours(24 * 13'000))},
  };
  const SegmentOptions segment_options;
  Scratch segment(segment_options);
  const FloorArray array(table_bytes(segment_options.keys));
  const HotKey hot;
  for (const auto& [name, limit] : algorithms) {
    Limiter limiter = segment->limiter(name, limit);
    report.add(compare(fmt::format("one hot key, allowed, {}", name),
                       {contender("librl", Decisions<HotKey>{limiter, hot, true}),
                        contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock})},
                       report.options()));
  }
}

/// A key like any other, beside keys that stand apart: it must not pay for them. And one that does.
template <class Clock>
void standing_rows(Report& report, Clock clock) {
  Scratch alone(SegmentOptions{});
  Scratch crowd(SegmentOptions{});
  Limiter plain = alone->limiter("api", kGenerous);
  Limiter beside = crowd->limiter("api", kGenerous);
  for (int i = 0; i < 1'000; ++i) {
    const std::string key = fmt::format("apart:{}", i);
    if (i % 2 == 0) crowd->set_override("api", key, kGenerous);
    if (i % 2 == 1) crowd->ban("api", key, std::chrono::hours(1));
  }
  Limiter apart = crowd->limiter("other", kGenerous);
  for (std::uint32_t round = 0; round < 1'000; ++round)  // each has a key of its own
    crowd->set_override("other", KeyText(round).view(), kGenerous);
  const HotKey hot;
  const FloorArray array(table_bytes(SegmentOptions{}.keys));
  report.add(compare("a hot key beside 1,000 apart",
                     {contender("librl", Decisions<HotKey>{beside, hot, true}),
                      contender("librl, none beside it", Decisions<HotKey>{plain, hot, true}),
                      contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock})},
                     report.options()));
  report.add(compare("a hot key with an override",
                     {contender("librl", Decisions<HotKey>{apart, hot, true}),
                      contender("librl, without", Decisions<HotKey>{plain, hot, true})},
                     report.options()));
}

/// A permit taken and given back at once.
struct PermitsTaken {
  Limiter limiter;
  HotKey keys;
  void start(unsigned round) { keys.start(round); }
  bool operator()() { return bool(limiter.permit(KeyText(keys.next()).view())); }
};

/// A permit asked for when all are out.
struct PermitsDenied {
  Limiter limiter;
  HotKey keys;
  std::vector<Permit>& out;
  void start(unsigned round) {
    keys.start(round);
    out.clear();
    const KeyText key(keys.next());
    while (Permit permit = limiter.permit(key.view())) out.push_back(std::move(permit));
  }
  bool operator()() { return bool(limiter.permit(KeyText(keys.next()).view())); }
};

/// Taking and giving back is two compare-and-swaps of one slot, a denial looks at three.
template <class Clock>
void permit_rows(Report& report, Clock clock) {
  const SegmentOptions segment_options;
  Scratch segment(segment_options);
  Limiter limiter = segment->limiter("permits", Limit::concurrency(1'000));
  const FloorArray array(table_bytes(segment_options.keys));
  const HotKey hot;
  std::vector<Permit> out;
  report.add(
      compare("a permit of 1,000, taken and given back",
              {contender("librl", PermitsTaken{limiter, hot}),
               contender("floor of a decision", FloorSwaps<HotKey, Clock>{array, hot, clock})},
              report.options()));
  report.add(
      compare("a permit, with all 1,000 out",
              {contender("librl", PermitsDenied{limiter, hot, out}),
               contender("floor of a decision", FloorSwaps<HotKey, Clock>{array, hot, clock})},
              report.options()));
}

/// A row on so many keys at random, which all live in a table that promises room for just them.
template <class Clock>
void random_row(Report& report, Clock clock, std::uint32_t count, const std::string& name,
                double seconds) {
  Scratch segment({.keys = count});
  Limiter limiter = segment->limiter("generous", kGenerous);
  const FloorArray array(table_bytes(count));
  MutexMap map(count);
  for (std::uint32_t i = 0; i < count; ++i) {
    (void)limiter.try_acquire(KeyText(i).view());
    map.try_acquire(KeyText(i).view(), clock.now(), 1, kSecondNs);
  }
  const RandomKeys keys(count);
  report.add(
      compare(name,
              {contender("librl", Decisions<RandomKeys>{limiter, keys, true}),
               contender("floor", FloorSwaps<RandomKeys, Clock>{array, keys, clock}),
               contender(MutexMap::kName,
                         MutexMapDecisions<RandomKeys, Clock>{map, keys, clock, 1, kSecondNs})},
              report.options(), seconds));
}

template <class Clock>
void all_rows(Report& report, Clock clock) {
  hot_rows(report, clock);
  algorithm_rows(report, clock);
  standing_rows(report, clock);
  permit_rows(report, clock);
  random_row(report, clock, 1'000, "1,000 keys at random", 0.05);
  const bool quick = report.options().quick;
  const std::string name = quick ? "20,000 keys at random" : "1,000,000 keys at random";
  try {
    random_row(report, clock, quick ? 20'000 : 1'000'000, name, 0.25);
  } catch (const Error& e) {
    report.skip(name, e.what());
  } catch (const ipc::interprocess_exception& e) {
    report.skip(name, fmt::format("the peer found no room in /dev/shm: {}", e.what()));
  }
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times one decision in one process, beside its floor and a peer.");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  Report report(options, "One decision, one process: CPU time of a step, every contender in turns",
                "ns");
  with_bare_clock([&](auto clock) { all_rows(report, clock); });
  report.finish();
  return 0;
}

}  // namespace rl::bench
