// Processes that ask for many keys, and for many limits, at once.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

TEST_CASE("A_S_batches_of_four_processes_admit_exactly_the_limit_of_every_key") {
  constexpr int kKeys = 100;
  constexpr int kLimit = 50;
  for (const char* text :
       {"50/3650d", "leaky 1/d queue=49", "window 50/3650d", "sliding 50/3650d"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = kKeys});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<int>> admitted(kKeys);
    std::vector<test::Child> children;
    for (int i = 0; i < 4; ++i) {
      children.emplace_back([&] {
        std::vector<std::string> names;
        for (int key = 0; key < kKeys; ++key) names.push_back("user:" + std::to_string(key));
        const std::vector<std::string_view> keys(names.begin(), names.end());
        std::array<Decision, kKeys> decisions;
        for (int round = 0; round < 2 * kLimit; ++round) {
          api.try_acquire_batch(keys, decisions);
          for (std::size_t key = 0; key < keys.size(); ++key)
            admitted[key] += decisions.at(key) ? 1 : 0;
        }
      });
    }
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
    for (std::size_t key = 0; key < kKeys; ++key) REQUIRE(admitted[key] == kLimit);
    test::check_that_no_key_has_two_slots(segment.path());
  }
}

TEST_CASE("A_all_of_by_eight_processes_passes_exactly_as_often_as_the_scarcer_limit_says") {
  for (const bool scarce_first : {false, true}) {
    CAPTURE(scarce_first);
    test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
    // They are charged in the order in which their policies were made.
    Limiter first = segment->limiter("first", Limit::per_day(scarce_first ? 700 : 1'000));
    Limiter last = segment->limiter("last", Limit::per_day(scarce_first ? 1'000 : 700));
    test::Shared<std::atomic<int>> passed;
    std::vector<test::Child> children;
    for (int i = 0; i < 8; ++i) {
      children.emplace_back([&] {
        for (int call = 0; call < 1'000; ++call) {
          const bool turned = call % 2 != 0;
          passed[0] += (turned ? all_of({{last, "user"}, {first, "ip"}})
                               : all_of({{first, "ip"}, {last, "user"}}))
                           ? 1
                           : 0;
        }
      });
    }
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
    CHECK(passed[0] == 700);
    const std::uint64_t left[] = {first.peek("ip").remaining, last.peek("user").remaining};
    CHECK(std::max(left[0], left[1]) == 300);
    CHECK(std::min(left[0], left[1]) == 0);
  }
}

TEST_CASE("A_P_S_what_killed_processes_leave_charged_is_no_more_than_what_they_had_under_way") {
  INFO("RL_TEST_SEED=" << test::seed());
  constexpr std::size_t kWorkers = 4;
  constexpr std::uint64_t kKills = 300;
  constexpr std::uint64_t kLimit = 1'000'000;
  test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
  // None comes back while the test runs, as its clock advances by less than an interval, 315 s.
  Limiter pages = segment->limiter("pages", Limit::parse("1000000/3650d"));
  Limiter bytes = segment->limiter("bytes", Limit::parse("1000000/3650d"));
  // One at a time, and charged last: rivals take it from each other after both have charged the
  // others, so these are undone, and some are killed while they do it.
  Limiter scarce = segment->limiter("scarce", Limit::per_second(1));

  test::Shared<std::atomic<std::uint64_t>> kept;
  test::Shared<std::atomic<std::uint64_t>> given_back;
  const auto work = [&](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    while (true) {
      const Ask asks[] = {{scarce, "k"}, {bytes, "k", 2}, {pages, "k"}};
      const bool all_three = random() % 1'024 != 0;
      AllOf all = all_of(all_three ? std::span(asks) : std::span(asks).subspan(1));
      if (!all) continue;
      if (!all_three) {
        ++kept[0];
      } else if (refund(asks, all)) {
        ++given_back[0];
      }
    }
  };
  std::mt19937_64 random(test::seed());
  std::vector<test::Child> workers;
  const auto start = [&] { return test::Child([&, seed = random()] { work(seed); }); };
  for (std::size_t i = 0; i < kWorkers; ++i) workers.push_back(start());
  for (std::uint64_t kill = 0; kill < kKills; ++kill) {
    const std::uint64_t until = given_back[0] + 1 + random() % 500;
    while (given_back[0] < until) std::this_thread::yield();
    test::Child& one = workers.at(random() % kWorkers);
    one.signal(SIGKILL);
    REQUIRE(one.wait() == 128 + SIGKILL);
    one = start();
    segment->advance_clock(std::chrono::seconds(1));  // gives back what was lost of the scarce one
  }
  workers.clear();

  const std::uint64_t charged[] = {kLimit - pages.peek("k").remaining,
                                   (kLimit - bytes.peek("k").remaining) / 2};
  for (const std::uint64_t n : charged) {
    CHECK(n >= kept[0]);
    CHECK(n <= kept[0] + kKills + kWorkers);
  }
  const std::uint64_t made = segment->find("pages", "k")->allowed_count;
  MESSAGE(kept[0].load() << " kept, " << given_back[0].load() << " given back, "
                         << made - kept[0] - given_back[0] << " undone, "
                         << charged[0] + charged[1] - 2 * kept[0] << " lost by " << kKills
                         << " kills");
  CHECK(made > kept[0] + given_back[0]);
  test::check_that_no_key_has_two_slots(segment.path());
  // And time heals.
  segment->advance_clock(std::chrono::hours(24 * 3'650));
  CHECK(pages.peek("k").remaining == kLimit);
  CHECK(bytes.peek("k").remaining == kLimit);
  CHECK(all_of({{scarce, "k"}, {bytes, "k"}, {pages, "k"}}));
}

}  // namespace
}  // namespace rl
