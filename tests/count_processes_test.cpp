// Counts between real processes: every call is in the count once (A), and none is lost to the dead (S).

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/in_processes.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kProcesses = 4;

TEST_CASE("A_what_processes_add_is_all_in_the_count_and_each_is_told_its_own") {
  constexpr std::size_t kCalls = 5'000;
  test::Scratch segment({.keys = 1'000});
  Limiter hits = segment->limiter("hits", Limit::counter());
  test::Shared<std::uint64_t> told(kProcesses * kCalls);
  test::in_processes(kProcesses, [&](std::size_t which) {
    for (std::size_t call = 0; call < kCalls; ++call) {
      const Expiry begins = call % 2 == 0 ? Expiry::first : Expiry::each;
      const Counted now = hits.count("hot", 1, 24h, begins);
      if (!now || now.expires_in < 23h) throw 1;
      told[which * kCalls + call] = now.count;
    }
  });
  CHECK(hits.peek_count("hot").count == kProcesses * kCalls);
  CHECK(segment->find("hits", "hot")->limit - segment->find("hits", "hot")->remaining ==
        kProcesses * kCalls);
  CHECK(segment->totals().policies[0].allowed == kProcesses * kCalls);
  // As if they had come one after the other.
  std::vector<std::uint64_t> all(&told[0], &told[0] + kProcesses * kCalls);
  std::sort(all.begin(), all.end());
  for (std::size_t i = 0; i < all.size(); ++i) REQUIRE(all[i] == i + 1);
}

TEST_CASE("A_random_amounts_on_random_keys_add_up_whatever_the_processes_do_between") {
  const std::uint64_t seed = test::seed();  // printed once, before there are others
  INFO("RL_TEST_SEED=" << seed);
  constexpr std::size_t kKeys = 8;
  test::Scratch segment({.keys = 100});
  Limiter hits = segment->limiter("hits", Limit::counter());
  test::Shared<std::atomic<std::uint64_t>> added(kKeys);
  test::in_processes(kProcesses, [&](std::size_t which) {
    for (std::uint64_t call = 0; call < 10'000; ++call) {
      std::mt19937_64 random(seed + 10'000 * which + call);
      const std::size_t key = random() % kKeys;
      const std::uint64_t amount = random() % 4;
      const Counted seen = hits.count("key:" + std::to_string(key), amount, 24h);
      if (!seen) throw 1;
      added[key] += amount;
    }
  });
  for (std::size_t key = 0; key < kKeys; ++key)
    CHECK(hits.peek_count("key:" + std::to_string(key)).count == added[key]);
}

TEST_CASE("A_a_look_beside_those_who_add_only_grows_and_ends_with_all") {
  constexpr std::uint64_t kCalls = 10'000;
  test::Scratch segment({.keys = 100});
  Limiter hits = segment->limiter("hits", Limit::counter());
  test::in_processes(kProcesses, [&](std::size_t which) {
    std::uint64_t seen = 0;
    for (std::uint64_t call = 0; call < kCalls; ++call) {
      const Counted now = which % 2 == 0 ? hits.count("hot", 1, 24h) : hits.peek_count("hot");
      if (!now || now.count < seen || now.count > kProcesses / 2 * kCalls) throw 1;
      seen = now.count;
    }
  });
  CHECK(hits.peek_count("hot").count == kProcesses / 2 * kCalls);
}

TEST_CASE("S_who_is_killed_loses_no_more_than_the_call_in_flight") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  test::Scratch segment({.keys = 100});
  Limiter hits = segment->limiter("hits", Limit::counter());
  constexpr std::uint64_t kKills = 100;
  // Told before a call and after it: what is between is in flight.
  test::Shared<std::atomic<std::uint64_t>> begun;
  test::Shared<std::atomic<std::uint64_t>> done;
  for (std::uint64_t kill = 0; kill < kKills; ++kill) {
    const std::uint64_t before = done[0];
    test::Child victim([&] {
      for (;;) {
        ++begun[0];
        if (!hits.count("k", 1, 24h)) throw 1;
        ++done[0];
      }
    });
    const auto end = std::chrono::steady_clock::now() + 10s;
    while (done[0] == before && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    REQUIRE(done[0] != before);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
    victim.signal(SIGKILL);
    REQUIRE(victim.wait() == 128 + SIGKILL);
    const std::uint64_t count = hits.peek_count("k").count;
    REQUIRE(count >= done[0]);
    REQUIRE(count <= begun[0]);
  }
  CHECK(begun[0] - done[0] <= kKills);
}

TEST_CASE("a_forked_child_counts_on_where_its_parent_was") {
  test::Scratch segment({.keys = 100});
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)hits.count("k", 2, 24h);
  test::Child child([&] {
    if (hits.count("k", 3, 24h).count != 5) throw 1;
  });
  REQUIRE(child.wait() == 0);
  CHECK(hits.count("k", 1, 24h).count == 6);
}

}  // namespace
}  // namespace rl
