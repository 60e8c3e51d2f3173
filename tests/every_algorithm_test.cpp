// Each operation under each algorithm, by several processes at once, or against random calls: what
// the tests of one operation or of one algorithm leave out.

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/in_processes.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kProcesses = 4;

/// Of each algorithm a limit of which 100 calls pass at once; time stands still.
constexpr const char* kHundred[] = {"1/h burst=100", "leaky 1/h queue=99", "window 100/h",
                                    "sliding 100/h"};

SegmentOptions by_hand() {
  return {.keys = 1'000, .clock = ClockSource::manual};
}

TEST_CASE("many_keys_and_many_limits_at_once_are_charged_as_one_by_one") {
  for (const char* text : kHundred) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    Limiter other = segment->limiter("other", Limit::parse(text));
    const std::array<std::string_view, 3> keys{"a", "b", "a"};
    std::array<Decision, 3> decisions;
    api.try_acquire_batch(keys, decisions, 60);
    CHECK(decisions[0].remaining == 40);
    CHECK(decisions[1].remaining == 40);
    CHECK_FALSE(decisions[2]);
    CHECK(decisions[2].remaining == 40);
    AllOf denied = all_of({{other, "a"}, {api, "a", 41}});
    CHECK_FALSE(denied);
    CHECK(denied.which == 1);
    CHECK(other.peek("a").remaining == 100);
    AllOf passed = all_of({{other, "a"}, {api, "a", 40}});
    CHECK(passed.which == 1);
    CHECK(passed.decision.remaining == 0);
    CHECK(refund({{other, "a"}, {api, "a"}}, passed));
    CHECK(other.peek("a").remaining == 100);
    CHECK(api.peek("a").remaining == 40);
  }
}

TEST_CASE("A_processes_that_bring_their_own_time_get_exactly_the_limit") {
  for (const char* text : kHundred) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<int>> admitted;
    test::in_processes(kProcesses, [&](std::size_t) {
      for (int call = 0; call < 50; ++call)
        admitted[0] += api.try_acquire_at(segment->now(), "hot") ? 1 : 0;
    });
    CHECK(admitted[0] == 100);
  }
}

TEST_CASE("A_what_a_peek_shows_beside_callers_only_falls_and_ends_with_what_is_left") {
  for (const char* text : kHundred) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::in_processes(kProcesses, [&](std::size_t which) {
      std::uint64_t seen = 100;
      for (int call = 0; call < 30; ++call) {
        if (which % 2 == 0) {
          if (!api.try_acquire("hot")) throw 1;
        } else {
          for (int look = 0; look < 100; ++look) {
            const std::uint64_t left = api.peek("hot").remaining;
            if (left > seen || left < 40) throw 2;
            seen = left;
          }
        }
      }
    });
    CHECK(api.peek("hot").remaining == 40);
  }
}

TEST_CASE("A_S_resets_beside_callers_give_the_limit_anew_as_often_as_they_say_and_no_more") {
  for (const char* text : kHundred) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<std::uint64_t>> counts(2);
    test::in_processes(kProcesses, [&](std::size_t) {
      for (int call = 0; call < 20'000; ++call) {
        counts[0] += api.try_acquire("hot") ? 1U : 0U;
        if (call % 500 == 0) counts[1] += api.reset("hot") ? 1U : 0U;
      }
    });
    CHECK(counts[1] > 1);
    CHECK(counts[0] <= 100 * (counts[1] + 1));
    CHECK(counts[0] >= 100);
    (void)api.reset("hot");
    CHECK(api.peek("hot").remaining == 100);
  }
}

TEST_CASE("A_windows_have_no_line_and_processes_reserve_exactly_what_passes_now") {
  for (const char* text : {"window 100/h", "sliding 100/h"}) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<int>> reserved;
    test::in_processes(kProcesses, [&](std::size_t) {
      for (int call = 0; call < 50; ++call) {
        const Reservation r = api.reserve("hot", 1, Instant::max());
        if (r && (r.wait != 0ns || r.at != segment->now())) throw 1;
        reserved[0] += r ? 1 : 0;
      }
    });
    CHECK(reserved[0] == 100);
    CHECK(api.peek("hot").remaining == 0);
  }
}

TEST_CASE("A_processes_that_wait_for_windows_all_pass_and_no_window_has_more_than_its_limit") {
  constexpr std::size_t kCalls = 15;
  constexpr std::uint64_t kLimit = 20;
  constexpr auto kWindow = 100ms;
  for (const char* text : {"window 20/100ms", "sliding 20/100ms"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100});
    Limiter api = segment->limiter("api", Limit::parse(text));
    // The state that a call left names its window, and what was counted there.
    test::Shared<std::atomic<std::uint64_t>> charged(kProcesses * kCalls);
    const Instant began = segment->now();
    test::in_processes(kProcesses, [&](std::size_t which) {
      for (std::size_t call = 0; call < kCalls; ++call) {
        const Decision d = api.acquire_for("hot", 1, 60s);
        if (!d) throw 1;
        charged[which * kCalls + call] = d.charged;
      }
    });
    std::vector<std::uint64_t> states;
    for (std::size_t i = 0; i < kProcesses * kCalls; ++i) states.push_back(charged[i]);
    std::sort(states.begin(), states.end());
    CHECK(std::adjacent_find(states.begin(), states.end()) == states.end());  // each its own place
    for (std::size_t i = 0; i + kLimit < states.size(); ++i)
      CHECK(states[i + kLimit] - states[i] > kLimit);  // so many more are in another window
    CHECK(segment->now() - began >= kWindow);          // three windows' worth
  }
}

TEST_CASE("A_what_processes_give_back_to_a_leaky_bucket_is_there_again_where_it_says_so") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::leaky(1, 1h, 99));
  test::Shared<std::atomic<int>> kept;
  test::Shared<std::atomic<int>> given;
  test::in_processes(kProcesses, [&](std::size_t) {
    for (int call = 0; call < 5'000; ++call) {
      Decision d = api.try_acquire("hot");
      if (!d) continue;
      if (api.refund("hot", d)) {
        ++given[0];
      } else {
        ++kept[0];  // somebody stands behind it
      }
    }
  });
  CHECK(given[0] > 0);
  CHECK(static_cast<int>(api.peek("hot").remaining) == 100 - kept[0]);
}

TEST_CASE("A_what_processes_hold_of_a_leaky_bucket_and_settle_for_more_is_owed_in_truth") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::leaky(1'000, 1s, 999'999));
  test::Shared<std::atomic<std::uint64_t>> worked;
  test::in_processes(kProcesses, [&](std::size_t which) {
    std::mt19937_64 random(which);
    for (int call = 0; call < 5'000; ++call) {
      const std::uint64_t estimate = 1 + random() % 9;
      const std::uint64_t actual = estimate + random() % 9;
      Decision held = api.hold("hot", estimate);
      if (!held || !api.settle("hot", held, actual) || api.settle("hot", held, 99)) throw 1;
      worked[0] += actual;
    }
  });
  CHECK(1'000'000 - api.peek("hot").remaining == worked[0]);
}

TEST_CASE("A_two_limits_of_any_algorithm_pass_together_as_often_as_the_scarcer_one") {
  const char* const scarce[] = {"1/h burst=70", "leaky 1/h queue=69", "window 70/h",
                                "sliding 70/h"};
  const char* const ample[] = {"1/h burst=100000", "leaky 1/s queue=99999", "window 100000/h",
                               "sliding 100000/h"};
  for (std::size_t i = 0; i < std::size(scarce); ++i) {
    CAPTURE(scarce[i]);
    test::Scratch segment(by_hand());
    Limiter first = segment->limiter("first", Limit::parse(ample[i]));
    Limiter last = segment->limiter("last", Limit::parse(scarce[i]));
    test::Shared<std::atomic<int>> passed;
    test::in_processes(kProcesses, [&](std::size_t) {
      for (int call = 0; call < 200; ++call)
        passed[0] += all_of({{first, "ip"}, {last, "user"}}) ? 1 : 0;
    });
    CHECK(passed[0] == 70);
    CHECK(last.peek("user").remaining == 0);
  }
}

TEST_CASE("A_after_a_reset_a_key_is_as_good_as_never_seen_whatever_was_called") {
  INFO("RL_TEST_SEED=" << test::seed());
  for (const char* text : kHundred) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    for (int run = 0; run < 10'000; ++run) {
      std::mt19937_64 random(test::seed() + static_cast<std::uint64_t>(run));
      const std::string key = "key:" + std::to_string(random() % 100);
      bool is_seen = api.peek(key).reset_after != 0ns;
      for (std::uint64_t call = random() % 4; call != 0; --call) {
        const std::uint64_t cost = 1 + random() % 120;
        is_seen |=
            random() % 4 == 0 ? bool(api.charge(key, cost)) : bool(api.try_acquire(key, cost));
      }
      if (random() % 4 == 0) segment->advance_clock(1min * static_cast<int>(random() % 90));
      const bool was_reset = api.reset(key);
      REQUIRE((was_reset || !is_seen));
      const Decision after = api.peek(key);
      REQUIRE(after.remaining == 100);
      REQUIRE(after.reset_after == 0ns);
      REQUIRE_FALSE(api.reset(key));
    }
  }
}

TEST_CASE("A_S_resets_beside_those_who_count_begin_it_anew_as_often_as_they_say") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  test::Shared<std::atomic<std::uint64_t>> counts(2);
  test::in_processes(kProcesses, [&](std::size_t) {
    for (int call = 0; call < 20'000; ++call) {
      const Counted now = hits.count("hot", 1, 1h);
      if (!now) throw 1;
      counts[0] += now.count == 1 ? 1U : 0U;
      if (call % 500 == 0) counts[1] += hits.reset("hot") ? 1U : 0U;
    }
  });
  CHECK(counts[0] > 1);
  CHECK(counts[0] <= counts[1] + 1);
}

TEST_CASE("A_after_a_reset_a_count_begins_anew_whatever_was_counted") {
  INFO("RL_TEST_SEED=" << test::seed());
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  for (int run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + static_cast<std::uint64_t>(run));
    const std::string key = "key:" + std::to_string(random() % 100);
    for (std::uint64_t call = random() % 4; call != 0; --call)
      (void)hits.count(key, 1 + random() % 120, 1ms * static_cast<int>(1 + random() % 90'000),
                       random() % 2 == 0 ? Expiry::first : Expiry::each);
    if (random() % 4 == 0) segment->advance_clock(1ms * static_cast<int>(random() % 90'000));
    const bool is_any = hits.peek_count(key).count != 0;
    const bool was_reset = hits.reset(key);
    REQUIRE((was_reset || !is_any));
    REQUIRE(hits.peek_count(key).count == 0);
    REQUIRE_FALSE(hits.reset(key));
    REQUIRE(hits.count(key, 7, 1min).count == 7);
  }
}

TEST_CASE("A_a_peek_at_permits_counts_those_that_are_out") {
  INFO("RL_TEST_SEED=" << test::seed());
  constexpr std::size_t kPermits = 5;
  test::Scratch segment(by_hand());
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(kPermits));
  std::map<std::string, std::vector<Permit>> out;
  for (int run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + static_cast<std::uint64_t>(run));
    const std::string key = "key:" + std::to_string(random() % 20);
    std::vector<Permit>& held = out[key];
    if (random() % 2 == 0) {
      Permit permit = uploads.permit(key);
      REQUIRE(bool(permit) == (held.size() < kPermits));
      if (permit) held.push_back(std::move(permit));
    } else if (!held.empty()) {
      const auto which = static_cast<std::ptrdiff_t>(random() % held.size());
      REQUIRE(held[static_cast<std::size_t>(which)].release());
      held.erase(held.begin() + which);
    }
    const Decision seen = uploads.peek_permit(key);
    REQUIRE(seen.remaining == kPermits - held.size());
    REQUIRE(seen.allowed == (held.size() < kPermits));
  }
}

TEST_CASE("A_a_permit_is_held_until_the_lease_that_was_begun_last_is_over") {
  INFO("RL_TEST_SEED=" << test::seed());
  test::Scratch segment(by_hand());
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(1, 10s));
  int lost = 0;
  for (int run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + static_cast<std::uint64_t>(run));
    Permit permit = uploads.permit("k");
    REQUIRE(permit);
    for (std::uint64_t step = random() % 4; step != 0; --step) {
      segment->advance_clock(1ms * static_cast<int>(random() % 6'000));
      const bool runs = segment->now() < permit.lease_end();
      REQUIRE(permit.holds() == runs);
      REQUIRE(bool(uploads.peek_permit("k")) == !runs);
      if (random() % 2 == 0) {
        REQUIRE(permit.renew() == runs);
        if (runs) REQUIRE(permit.lease_end() >= segment->now() + 10s);
      }
      lost += runs ? 0 : 1;
    }
    const bool runs = segment->now() < permit.lease_end();
    REQUIRE(permit.release() == runs);
  }
  CHECK(lost > 300);
}

TEST_CASE("A_S_holders_that_follow_each_other_renew_and_draw_rising_numbers") {
  test::Scratch segment({.keys = 1'000});
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(1));
  test::Shared<std::atomic<std::uint64_t>> highest;
  test::Shared<std::atomic<int>> turns;
  test::in_processes(kProcesses, [&](std::size_t) {
    for (int call = 0; call < 20'000; ++call) {
      Permit permit = uploads.permit("k");
      if (!permit) continue;
      if (!permit.renew()) throw 1;
      const std::uint64_t fence = permit.fence();
      if (highest[0].exchange(fence) >= fence) throw 2;
      ++turns[0];
      if (!permit.release()) throw 3;
    }
  });
  CHECK(turns[0] > static_cast<int>(kProcesses));
}

TEST_CASE("A_a_peek_at_permits_beside_takers_never_shows_more_than_there_are") {
  test::Scratch segment({.keys = 1'000});
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(4));
  test::in_processes(kProcesses, [&](std::size_t which) {
    for (int call = 0; call < 2'000; ++call) {
      if (which % 2 == 0) {
        Permit permit = uploads.permit("k");
        if (permit && !permit.release()) throw 1;
      } else if (const Decision seen = uploads.peek_permit("k"); seen.remaining < 2) {
        throw 2;  // two processes take, one each
      }
    }
  });
  CHECK(uploads.peek_permit("k").remaining == 4);
}

}  // namespace
}  // namespace rl
