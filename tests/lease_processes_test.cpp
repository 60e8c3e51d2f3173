// Leases of one hot key by processes: the bound, beside what ordinary calls get; and holders that die.
#include <doctest/doctest.h>
#include <signal.h>

#include <array>

#include "tests/in_processes.hpp"
#include "tests/limited.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr std::size_t kProcesses = 6;
constexpr std::uint64_t kTokens = 32;

constexpr std::uint64_t kMost = 200'000;
constexpr const char* kWithoutLine[] = {"1/h burst=200000", "window 200000/d", "sliding 200000/d"};

TEST_CASE("A_processes_with_leases_get_no_more_than_the_limit_and_miss_at_most_their_leases") {
  for (const char* limit : kWithoutLine) {
    INFO("under " << limit);
    test::Limited l(limit, 24h);
    std::array<std::uint64_t, 2> admitted{};
    for (const bool is_leased : {false, true}) {
      CAPTURE(is_leased);
      const std::string key = is_leased ? "leased" : "plain";
      test::Shared<std::atomic<std::uint64_t>> sum;
      test::in_processes(kProcesses, [&](std::size_t) {
        TokenLease lease(l.api, key, is_leased ? kTokens : 1, 10ms);
        while (lease.try_acquire()) ++sum[0];  // ends: the clock stands still
        // Who is denied holds nothing itself.
        if (lease.give_back() != 0) throw 1;
      });
      admitted.at(is_leased ? 1 : 0) = sum[0];
      CHECK(l.api.peek(key).remaining == kMost - sum[0]);
    }
    CHECK(admitted[0] == kMost);
    CHECK(admitted[1] <= kMost);
    CHECK(admitted[1] + kProcesses * (kTokens - 1) >= admitted[0]);
    CHECK(l.segment->totals().policies.front().allowed == admitted[0] + admitted[1]);
  }
}

TEST_CASE("A_what_processes_give_back_of_their_leases_is_there_again_to_the_last_token") {
  for (const char* limit : kWithoutLine) {
    INFO("under " << limit);
    test::Limited l(limit, 24h);
    test::Shared<std::atomic<std::uint64_t>> spent;
    test::in_processes(kProcesses, [&](std::size_t who) {
      TokenLease lease(l.api, "hot", kTokens, 10ms);
      for (std::uint64_t round = 0; round < 3'000; ++round) {
        const std::uint64_t cost = 1 + (round + who) % 9;
        if (!lease.try_acquire(cost)) throw 1;
        spent[0] += cost;
        if (lease.give_back() != kTokens - cost) throw 2;
      }
    });
    CHECK(spent[0] > kMost / 3);
    CHECK(l.api.peek("hot").remaining == kMost - spent[0]);
  }
}

TEST_CASE("A_processes_that_ask_a_line_through_leases_get_each_place_in_it_once") {
  constexpr std::uint64_t kPlaces = 20'000;
  test::Limited l(Limit::leaky(1, 1s, kPlaces - 1));
  test::Shared<std::atomic<std::uint64_t>> callers(kPlaces);
  test::in_processes(kProcesses, [&](std::size_t) {
    TokenLease lease(l.api, "hot", kTokens, 10ms);
    while (const Decision d = lease.try_acquire()) ++callers[static_cast<std::size_t>(d.wait / 1s)];
    if (lease.give_back() != 0) throw 1;
  });
  for (std::size_t place = 0; place < kPlaces; ++place) REQUIRE(callers[place] == 1);
}

/// Windows of the segment's time, one after the other.
constexpr nanoseconds kWindow = 20ms;
constexpr std::size_t kWindows = 20;

TEST_CASE("A_in_every_window_leases_admit_at_most_all_but_one_of_their_tokens_more") {
  constexpr std::uint64_t kBurst = 64;
  constexpr nanoseconds kInterval = 10us;
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", Limit::parse("100k/s").burst(kBurst));
  test::Shared<std::atomic<std::uint64_t>> admitted(kWindows);
  test::Shared<std::atomic<std::uint64_t>> leased;
  const Instant began = segment->now() + 10ms;
  test::in_processes(kProcesses, [&](std::size_t) {
    TokenLease lease(api, "hot", kTokens, 5ms);
    Instant before = segment->now();
    while (before < began + kWindow * kWindows) {
      const Decision d = lease.try_acquire();
      const Instant after = segment->now();
      const auto window = static_cast<std::size_t>((before - began) / kWindow);
      // Only what lies whole in a window: a call in flight at its end is another matter.
      if (d && before >= began && after < began + kWindow * (window + 1)) ++admitted[window];
      leased[0] += d && d.charged == 0 ? 1 : 0;
      before = after;
    }
  });
  CHECK(leased[0] > kTokens);
  const std::uint64_t most =
      kBurst + static_cast<std::uint64_t>(kWindow / kInterval) + kProcesses * (kTokens - 1);
  for (std::size_t i = 0; i < kWindows; ++i) {
    CAPTURE(i);
    CHECK(admitted[i] <= most);
  }
}

TEST_CASE("S_a_killed_holder_loses_its_lease_until_time_has_given_it_back") {
  test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
  Limiter api = segment->limiter("api", Limit::per(1, 1ms).burst(100));
  segment->advance_clock(1h);
  test::Child holder([&] {
    TokenLease lease(api, "hot", kTokens, 10ms);
    if (!lease.try_acquire()) throw 1;
    ::raise(SIGKILL);
  });
  CHECK(holder.wait() == 128 + SIGKILL);
  CHECK(api.peek("hot").remaining == 100 - kTokens);
  segment->advance_clock(kTokens * 1ms);
  CHECK(api.peek("hot").remaining == 100);
}

}  // namespace
}  // namespace rl
