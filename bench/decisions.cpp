/// \file
/// What one decision costs in one process, beside its floor and a peer.
#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include "bench/common.hpp"
#include "bench/from_c.hpp"
#include "bench/inserts.hpp"
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

/// The same with a lease, which each round begins anew.
struct LeasedDecisions {
  Limiter limiter;
  HotKey keys;
  std::shared_ptr<TokenLease> lease;
  void start(unsigned round) {
    keys.start(round);
    lease = std::make_shared<TokenLease>(limiter, KeyText(keys.next()).view(), kLeaseTokens,
                                         kLeaseLength);
  }
  bool operator()() { return lease->try_acquire().allowed; }
};

constexpr std::size_t kKeysOfMap = 256;  ///< each part of a turn has another

/// Rows on one key, alone in a table of the default size.
template <class Clock>
void hot_rows(Report& report, Clock clock) {
  const SegmentOptions segment_options;
  Scratch segment(segment_options);
  Limiter generous = segment->limiter("generous", kGenerous);
  Limiter strict = segment->limiter("strict", kStrict);
  const FloorArray array(table_bytes(segment_options.keys));
  MutexMap map(kKeysOfMap);
  const HotKey hot;

  report.add(compare("one hot key, allowed",
                     {contender("librl", Decisions<HotKey>{generous, hot, true}),
                      contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock}),
                      contender(MutexMap::kName,
                                MutexMapDecisions<HotKey, Clock>{map, hot, clock, 1, kSecondNs})},
                     report.options()),
             {{"floor", at_most(1.20)}});

  report.add(compare("one hot key, leased",
                     {contender("librl, leases of 32", LeasedDecisions{generous, hot, {}}),
                      contender("librl", Decisions<HotKey>{generous, hot, true}),
                      contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock})},
                     report.options()));

  MutexMap strict_map(kKeysOfMap);
  report.add(
      compare("one hot key, denied",
              {contender("librl", Decisions<HotKey>{strict, hot, false}),
               contender("floor without CAS", FloorLooks<HotKey, Clock>{array, hot, clock}),
               contender("floor with CAS", FloorSwaps<HotKey, Clock>{array, hot, clock}),
               contender(MutexMap::kName,
                         MutexMapDecisions<HotKey, Clock>{strict_map, hot, clock, kDayNs, kDayNs})},
              report.options()),
      {{"floor without CAS", at_most(1.20)}});
}

/// What is left out by a caller who has the time already, and what the bare clock costs in such a
/// loop: as much is to be saved.
template <class Clock>
void callers_time_rows(Report& report, Clock clock) {
  using Callers = CallersClock<Clock>;
  const SegmentOptions segment_options;
  Scratch segment(segment_options);
  Limiter generous = segment->limiter("generous", kGenerous);
  const FloorArray array(table_bytes(segment_options.keys));
  const HotKey hot;
  const std::vector<Result> row = compare(
      "one hot key, caller's own time",
      {contender("librl", TimedDecisions{generous, hot, CallersClock<Segment>(*segment)}),
       contender("floor without clock", FloorSwaps<HotKey, Callers>{array, hot, Callers(clock)}),
       contender("librl, its own clock", Decisions<HotKey>{generous, hot, true}),
       contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock})},
      report.options());
  report.add(row);
  const std::string name = "the clock, in that loop";
  report.add({{name, "librl, what it saves", differences(row[2], row[0])},
              {name, "bare clock", differences(row[3], row[1])}},
             {{"bare clock", {0.90, 1.10}}});
}

/// What C adds: a call through librl.so, and a decision that is copied into the program's structure.
void c_rows(Report& report) {
  Scratch segment(SegmentOptions{});
  Limiter generous = segment->limiter("generous", kGenerous);
  const LibraryForC library;
  const LimiterForC in_c(library, segment->path(), "generous");
  const HotKey hot;
  const std::vector<Result> row =
      compare("one hot key, C ABI",
              {contender("librl, from C", DecisionsFromC<HotKey>{in_c.get(), in_c.acquire(), hot}),
               contender("librl", Decisions<HotKey>{generous, hot, true})},
              report.options());
  report.add(row);
  const Result added{"the C ABI, in that loop", "what it adds", differences(row[0], row[1])};
  report.add({added});
  report.hold(added.row, added.contender, added.median(), at_most(3));
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
  Limiter bucket = segment->limiter("bucket", kGenerous);
  const FloorArray array(table_bytes(segment_options.keys));
  const HotKey hot;
  for (const auto& [name, limit] : algorithms) {
    Limiter limiter = segment->limiter(name, limit);
    report.add(compare(fmt::format("one hot key, allowed, {}", name),
                       {contender("librl", Decisions<HotKey>{limiter, hot, true}),
                        contender("token bucket", Decisions<HotKey>{bucket, hot, true}),
                        contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock})},
                       report.options()),
               {{"token bucket", at_most(1.15)}});
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
    if (i % 3 == 0) crowd->set_override("api", key, kGenerous);
    if (i % 3 == 1) crowd->set_override("api", key, kGenerous.shadow(true));
    if (i % 3 == 2) crowd->ban("api", key, std::chrono::hours(1));
  }
  Limiter watched = crowd->limiter("watched", kStrict.shadow(true));
  Limiter apart = crowd->limiter("other", kGenerous);
  for (std::uint32_t round = 0; round < 1'000; ++round)  // each has a key of its own
    crowd->set_override("other", KeyText(round).view(), kGenerous);
  const HotKey hot;
  const FloorArray array(table_bytes(SegmentOptions{}.keys));
  report.add(compare("a hot key beside 1,000 apart",
                     {contender("librl", Decisions<HotKey>{beside, hot, true}),
                      contender("librl, none beside it", Decisions<HotKey>{plain, hot, true}),
                      contender("floor", FloorSwaps<HotKey, Clock>{array, hot, clock})},
                     report.options()),
             {{"librl, none beside it", at_most(1.03)}});
  report.add(compare("a hot key with an override",
                     {contender("librl", Decisions<HotKey>{apart, hot, true}),
                      contender("librl, without", Decisions<HotKey>{plain, hot, true})},
                     report.options()));
  report.add(compare("a hot key, used up, in shadow",
                     {contender("librl", Decisions<HotKey>{watched, hot, true}),
                      contender("librl, within its limit", Decisions<HotKey>{plain, hot, true})},
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

/// The floor of a permit: that of its taking, and that of its giving back.
template <class Clock>
struct FloorTwice {
  FloorSwaps<HotKey, Clock> swaps;
  void start(unsigned part) { swaps.start(part); }
  bool operator()() { return swaps() && swaps(); }
};

/// Taking and giving back is two compare-and-swaps of one slot, a denial looks at two.
template <class Clock>
void permit_rows(Report& report, Clock clock) {
  const SegmentOptions segment_options;
  Scratch segment(segment_options);
  Limiter limiter = segment->limiter("permits", Limit::concurrency(1'000));
  Limiter bucket = segment->limiter("bucket", kGenerous);
  const FloorArray array(table_bytes(segment_options.keys));
  const HotKey hot;
  std::vector<Permit> out;
  report.add(compare("a permit of 1,000, taken and given back",
                     {contender("librl", PermitsTaken{limiter, hot}),
                      contender("token bucket", Decisions<HotKey>{bucket, hot, true}),
                      contender("floor, twice",
                                FloorTwice<Clock>{FloorSwaps<HotKey, Clock>{array, hot, clock}})},
                     report.options()),
             {{"token bucket", at_most(2.3)}});
  report.add(
      compare("a permit, with all 1,000 out",
              {contender("librl", PermitsDenied{limiter, hot, out}),
               contender("floor of a decision", FloorSwaps<HotKey, Clock>{array, hot, clock})},
              report.options()));
}

/// Many keys.
struct Crowd {
  std::string name;
  std::uint32_t keys;
  double seconds;  ///< of a turn
  double goal;     ///< at most so many times the floor
  bool with_peer;
};

/// A row on so many keys at random, which all live in a table that promises room for just them.
template <class Clock>
void random_row(Report& report, Clock clock, const Crowd& crowd) {
  Scratch segment({.keys = crowd.keys});
  Limiter limiter = segment->limiter("generous", kGenerous);
  const FloorArray array(table_bytes(crowd.keys));
  const RandomKeys keys(crowd.keys);
  std::vector<Contender> contenders{
      contender("librl", Decisions<RandomKeys>{limiter, keys, true}),
      contender("floor", FloorSwaps<RandomKeys, Clock>{array, keys, clock})};
  for (std::uint32_t i = 0; i < crowd.keys; ++i) (void)limiter.try_acquire(KeyText(i).view());
  std::optional<MutexMap> map;
  if (crowd.with_peer) {
    map.emplace(crowd.keys);
    for (std::uint32_t i = 0; i < crowd.keys; ++i)
      map->try_acquire(KeyText(i).view(), clock.now(), 1, kSecondNs);
    contenders.push_back(contender(
        MutexMap::kName, MutexMapDecisions<RandomKeys, Clock>{*map, keys, clock, 1, kSecondNs}));
  }
  report.add(compare(crowd.name, contenders, report.options(), crowd.seconds),
             {{"floor", at_most(crowd.goal)}});
}

/// The rows on many keys. Of as many as there may be keys in a text, only with `deep`: the peer would
/// take a minute to fill.
template <class Clock>
void random_rows(Report& report, Clock clock, bool deep) {
  std::vector<Crowd> crowds{{"1,000 keys at random", 1'000, 0.05, 1.5, true}};
  if (report.options().quick) {
    crowds.push_back({"20,000 keys at random", 20'000, 0.25, 1.15, true});
  } else {
    crowds.push_back({"1,000,000 keys at random", 1'000'000, 0.25, 1.15, true});
  }
  const Crowd most{"16,000,000 keys at random", 16'000'000, 0.25, 1.15, false};
  if (deep) crowds.push_back(most);
  for (const Crowd& crowd : crowds) {
    try {
      random_row(report, clock, crowd);
      if (crowd.keys > 1'000) add_insert_row(report, crowd.name, crowd.keys, crowd.seconds);
    } catch (const Error& e) {
      report.skip(crowd.name, e.what());
    } catch (const ipc::interprocess_exception& e) {
      report.skip(crowd.name, fmt::format("the peer found no room in /dev/shm: {}", e.what()));
    }
  }
  if (!deep) report.skip(most.name, "--deep has it");
}

template <class Clock>
void all_rows(Report& report, Clock clock, bool deep) {
  hot_rows(report, clock);
  callers_time_rows(report, clock);
  c_rows(report);
  algorithm_rows(report, clock);
  standing_rows(report, clock);
  permit_rows(report, clock);
  random_rows(report, clock, deep);
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times one decision in one process, beside its floor and a peer.");
  Options options;
  bool deep = false;
  add_options(app, options);
  app.add_flag("--deep", deep, "16,000,000 keys, too: 3.6 GiB of memory");
  CLI11_PARSE(app, argc, argv);
  Report report(options, "One decision, one process: CPU time of a step, every contender in turns",
                "ns");
  with_bare_clock([&](auto clock) { all_rows(report, clock, deep); });
  report.finish();
  return 0;
}

}  // namespace rl::bench
