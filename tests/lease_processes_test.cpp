// Leases of one hot key by processes: the bound, beside what ordinary calls get; and holders that die.
#include <doctest/doctest.h>
#include <signal.h>

#include <array>

#include "tests/in_processes.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr std::size_t kProcesses = 6;
constexpr std::uint64_t kTokens = 32;

TEST_CASE("A_processes_with_leases_get_no_more_than_the_limit_and_miss_at_most_their_leases") {
  constexpr std::uint64_t kBurst = 200'000;
  for (const char* text : {"1/h burst=200000", "window 200000/d", "sliding 200000/d"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
    Limiter api = segment->limiter("api", Limit::parse(text));
    segment->advance_clock(24h);
    std::array<std::uint64_t, 2> admitted{};
    for (const bool is_leased : {false, true}) {
      CAPTURE(is_leased);
      const std::string key = is_leased ? "leased" : "plain";
      test::Shared<std::atomic<std::uint64_t>> sum;
      test::in_processes(kProcesses, [&](std::size_t) {
        TokenLease lease(api, key, is_leased ? kTokens : 1, 10ms);
        while (lease.try_acquire()) ++sum[0];  // ends: the clock stands still
        // Who is denied holds nothing itself.
        if (lease.give_back() != 0) throw 1;
      });
      admitted.at(is_leased ? 1 : 0) = sum[0];
      CHECK(api.peek(key).remaining == kBurst - sum[0]);
    }
    CHECK(admitted[0] == kBurst);
    CHECK(admitted[1] <= kBurst);
    CHECK(admitted[1] + kProcesses * (kTokens - 1) >= admitted[0]);
    CHECK(segment->totals().policies.front().allowed == admitted[0] + admitted[1]);
  }
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
