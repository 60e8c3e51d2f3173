// Dumps and loads beside processes that decide.
#include <rl/dump.hpp>

#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <charconv>
#include <random>
#include <string>
#include <vector>

#include "tests/dumps.hpp"
#include "tests/in_processes.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::size_t kProcesses = 4;
constexpr std::size_t kKeys = 40;
constexpr std::uint64_t kIntervalNs = 1'000'000'000;

std::string key_of(std::size_t i) {
  return "key-" + std::to_string(i);
}

/// Returns what stands behind `"member":` in a line.
std::uint64_t number_in(const std::string& line, const std::string& member) {
  const std::size_t at = line.find("\"" + member + "\":");
  REQUIRE(at != line.npos);
  std::uint64_t value = 0;
  const char* const begin = line.data() + at + member.size() + 3;
  REQUIRE(std::from_chars(begin, line.data() + line.size(), value).ec == std::errc());
  return value;
}

/// Calls on each key, noted before and after: what a key owed at any instant lies in between.
struct Recorded {
  test::Shared<std::atomic<std::uint64_t>> begun{kKeys};
  test::Shared<std::atomic<std::uint64_t>> done{kKeys};
  test::Shared<std::atomic<bool>> is_over;
};

/// Starts four that charge the keys of policy "api" until it is over. None may be denied.
std::vector<test::Child> start_calling(Segment& segment, Recorded& calls, std::uint64_t seed) {
  std::vector<test::Child> children;
  for (std::size_t which = 0; which < kProcesses; ++which) {
    children.emplace_back([&, which] {
      Limiter api = Segment::open(segment.name()).limiter("api");
      std::mt19937_64 random(seed + which);
      while (!calls.is_over[0].load()) {
        const std::size_t i = random() % kKeys;
        const std::uint64_t cost = 1 + random() % 3;
        calls.begun[i].fetch_add(cost);
        if (!api.try_acquire(key_of(i), cost)) throw std::runtime_error("denied");
        calls.done[i].fetch_add(cost);
      }
    });
  }
  return children;
}

TEST_CASE("A_what_a_dump_says_of_a_key_is_what_it_owed_at_some_instant_of_the_dump") {
  test::Scratch segment({.keys = 1'000, .clock = ClockSource::manual});
  const Limit limit = Limit::parse("1/s burst=1000000");
  (void)segment->limiter("api", limit);
  Recorded calls;
  const std::uint64_t seed = test::seed();  // before there are children
  INFO("RL_TEST_SEED=" << seed);
  std::vector<test::Child> children = start_calling(*segment, calls, seed);
  std::size_t seen = 0;
  std::size_t moved = 0;  // keys that were charged while they were dumped
  for (int round = 0; round < 300 || moved < 100; ++round) {
    std::array<std::uint64_t, kKeys> least;
    for (std::size_t i = 0; i < kKeys; ++i) least[i] = calls.done[i].load();
    const std::vector<std::string> lines = test::lines_of(test::dumped(*segment));
    for (std::size_t i = 0; i < kKeys; ++i) {
      const std::uint64_t most = calls.begun[i].load();
      std::size_t found = 0;
      for (const std::string& line : lines) {
        if (line.find("\"key\":\"" + key_of(i) + "\"") == line.npos) continue;
        ++found;
        const std::uint64_t debt_ns = number_in(line, "debt_ns");
        REQUIRE(debt_ns % kIntervalNs == 0);
        REQUIRE(debt_ns / kIntervalNs >= least[i]);
        REQUIRE(debt_ns / kIntervalNs <= most);
      }
      REQUIRE(found <= 1);
      REQUIRE((found == 1 || least[i] == 0));
      seen += found;
      moved += most != least[i] ? 1U : 0U;
    }
  }
  calls.is_over[0].store(true);
  for (test::Child& child : children) CHECK(child.wait() == 0);
  CHECK(seen > 0);
  // And at rest: exactly.
  for (const std::string& line : test::lines_of(test::dumped(*segment))) {
    for (std::size_t i = 0; i < kKeys; ++i) {
      if (line.find("\"key\":\"" + key_of(i) + "\"") == line.npos) continue;
      CHECK(number_in(line, "debt_ns") == calls.done[i].load() * kIntervalNs);
    }
  }
}

/// Dumps under calls, round by round, and holds what each key owes in a segment that was made of it
/// to what it owed at the instant of its line: what was charged, without what time had paid by then.
/// Nobody else moves the clock, so that is known to the token.
void dump_under_calls(const char* limit, bool time_pays) {
  constexpr std::uint64_t kBefore =
      100'000;  // so that no key is idle, which would hide what is paid
  test::Scratch segment({.keys = 1'000, .clock = ClockSource::manual});
  Limiter api = segment->limiter("api", Limit::parse(limit));
  Recorded calls;
  for (std::size_t i = 0; i < kKeys; ++i) {
    calls.begun[i] = calls.done[i] = kBefore;
    REQUIRE(api.try_acquire(key_of(i), kBefore));
  }
  const std::uint64_t seed = test::seed();
  INFO("RL_TEST_SEED=" << seed);
  std::vector<test::Child> children = start_calling(*segment, calls, seed);
  std::size_t moved = 0;  // keys that were charged while they were dumped
  for (std::uint64_t round = 1; round <= 20 || moved < 100; ++round) {  // ends: they call on
    segment->advance_clock(std::chrono::seconds(1));
    std::array<std::uint64_t, kKeys> least;
    for (std::size_t i = 0; i < kKeys; ++i) least[i] = calls.done[i].load();
    const Dump dump = test::read(test::dumped(*segment));
    std::array<std::uint64_t, kKeys> most;
    for (std::size_t i = 0; i < kKeys; ++i) most[i] = calls.begun[i].load();
    const std::string name = test::unique_name();
    const test::RemoveAtEnd end(name);
    const std::uint64_t keys = round % 2 == 0 ? kKeys : 20'000;
    const LoadReport report = dump.create(name, {.keys = keys, .clock = ClockSource::manual});
    REQUIRE(report.is_whole());
    REQUIRE(report.keys == kKeys);
    Limiter loaded = Segment::open(name).limiter("api");
    const std::uint64_t paid = time_pays ? round : 0;
    for (std::size_t i = 0; i < kKeys; ++i) {
      const Decision owes = loaded.peek(key_of(i));
      const std::uint64_t used = owes.limit - owes.remaining;
      REQUIRE(used + paid >= least[i]);
      REQUIRE(used + paid <= most[i]);
      moved += most[i] != least[i] ? 1U : 0U;
    }
  }
  calls.is_over[0].store(true);
  for (test::Child& child : children) CHECK(child.wait() == 0);
}

TEST_CASE("A_a_dump_under_four_callers_loses_no_debt_in_a_smaller_and_a_larger_segment") {
  dump_under_calls("1/s burst=100000000", true);
  dump_under_calls("leaky 1/s queue=99999999", true);
  dump_under_calls("window 100000000/d", false);
  dump_under_calls("sliding 9000000/d", false);
}

/// Loads a dump again and again beside three that use up its keys, and others.
void load_beside_calls(const char* text, bool labels) {
  test::Scratch segment({.keys = 1'000, .labels = labels, .clock = ClockSource::manual});
  Limiter api = segment->limiter("api", Limit::parse(text));
  for (std::size_t i = 0; i < kKeys; ++i) REQUIRE(api.try_acquire(key_of(i), 40));
  const Dump dump = test::read(test::dumped(*segment));
  test::Shared<std::atomic<std::uint64_t>> admitted;
  test::in_processes(kProcesses, [&](std::size_t which) {
    Segment ours = Segment::open(segment.name());
    Limiter calls = ours.limiter("api");
    for (int round = 0; round < 200; ++round) {
      if (which == 0) {
        if (!dump.load(ours).is_whole()) throw std::runtime_error("not whole");
        continue;
      }
      for (std::size_t i = 0; i < kKeys; ++i) {
        (void)calls.try_acquire(key_of(i), 1 + i % 3);
        // A key that is known by its slot only has to stay there.
        if (labels && i % 8 == 0) (void)calls.reset(key_of(i));
        admitted[0] += calls.try_acquire("other-" + std::to_string(i)) ? 1U : 0U;
      }
    }
  });
  CHECK(admitted[0].load() == 100 * kKeys);
  test::check_that_no_key_has_two_slots(segment.path());
  CHECK(dump.load(*segment).keys == kKeys);
  for (std::size_t i = 0; i < kKeys; ++i) CHECK(api.peek(key_of(i)).remaining == 60);
}

TEST_CASE("A_S_a_load_beside_four_processes_gives_no_key_two_slots_and_takes_no_call_of_another") {
  for (const char* text :
       {"1/h burst=100", "leaky 1/h queue=99", "window 100/h", "sliding 100/h"}) {
    CAPTURE(text);
    load_beside_calls(text, true);
    load_beside_calls(text, false);
  }
}

}  // namespace
}  // namespace rl
