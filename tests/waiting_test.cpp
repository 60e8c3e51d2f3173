// Real processes that wait for their turn on one key, are interrupted and killed; and what several
// processes charge, settle and set, to the last token.
#include <doctest/doctest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

#include <rl/rl.hpp>

#include "tests/in_processes.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using test::StartingGun;
using namespace std::chrono_literals;

constexpr std::size_t kProcesses = 4;
constexpr std::size_t kCallsMax = 4'000;
constexpr auto kInterval = 5ms;
constexpr const char* kLines[] = {"200/s burst=1", "leaky 200/s queue=99"};

/// What came of a call.
struct Turn {
  Instant at;     ///< its own
  Instant woken;  ///< when it returned
  std::uint64_t asked;
  std::uint64_t told;  ///< its place in the order of all beginnings and ends of calls
};

/// What the processes of a test write down together.
struct Book {
  std::atomic<std::uint64_t> order;
  std::atomic<std::size_t> turns;
  std::array<Turn, kCallsMax> turn;
  std::array<std::atomic<bool>, kCallsMax> is_written;  ///< whole: its writer may be killed
  std::atomic<std::size_t> ready;
  std::atomic<std::size_t> finished;
  std::atomic<std::uint64_t> signals;

  void write(const Turn& done) {
    const std::size_t line = turns++;
    turn.at(line) = done;
    is_written.at(line) = true;
  }
  /// All turns, by their instants.
  [[nodiscard]] std::vector<Turn> in_line() const {
    std::vector<Turn> all;
    for (std::size_t i = 0; i < turns; ++i) {
      if (is_written.at(i)) all.push_back(turn.at(i));
    }
    std::sort(all.begin(), all.end(), [](const Turn& a, const Turn& b) { return a.at < b.at; });
    return all;
  }
};

/// One more call in the book. Where one passes at once, the key's state after a call is an interval
/// after the call's instant.
void take_a_turn(Limiter& api, Segment& segment, Book& book) {
  const std::uint64_t asked = book.order++;
  const Decision d = api.acquire_for("hot", 1, 30s);
  const Instant woken = segment.now();
  if (!d) throw 1;
  const Instant at = Instant(std::chrono::nanoseconds(d.charged)) - kInterval;
  book.write({at, woken, asked, book.order++});
}

/// Nobody went ahead before its instant, nor within an interval of another.
void require_a_line(const Book& book) {
  const std::vector<Turn> line = book.in_line();
  for (std::size_t i = 0; i < line.size(); ++i) {
    REQUIRE(line[i].woken >= line[i].at);
    REQUIRE((i == 0 || line[i].at - line[i - 1].at >= kInterval));
  }
}

TEST_CASE("A_reservations_of_four_processes_are_an_interval_apart_first_come_first_served") {
  for (const char* text : {"1000/s burst=1", "leaky 1000/s queue=3999"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<Book> book;
    test::in_processes(kProcesses, [&](std::size_t) {
      for (std::size_t call = 0; call < kCallsMax / kProcesses; ++call) {
        const std::uint64_t asked = book[0].order++;
        const Reservation r = api.reserve("hot", 1, Instant::max());
        if (!r) throw 1;
        book[0].write({r.at, r.at, asked, book[0].order++});
      }
    });
    const std::vector<Turn> line = book[0].in_line();
    REQUIRE(line.size() == kCallsMax);
    std::uint64_t last_asked = 0;  // of those before in the line
    for (std::size_t i = 0; i < line.size(); ++i) {
      REQUIRE(line[i].at == segment->now() + i * 1ms);
      // Whoever had his answer before another asked stands before him.
      REQUIRE(line[i].told > last_asked);
      last_asked = std::max(last_asked, line[i].asked);
    }
  }
}

TEST_CASE("A_four_processes_that_wait_for_their_turns_go_ahead_one_interval_apart") {
  for (const char* text : kLines) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<Book> book;
    const Instant began = segment->now();
    test::in_processes(kProcesses, [&](std::size_t) {
      for (int call = 0; call < 50; ++call) take_a_turn(api, *segment, book[0]);
    });
    REQUIRE(book[0].turns == 50 * kProcesses);
    require_a_line(book[0]);
    CHECK(segment->now() - began < 10 * 50 * kProcesses * kInterval);
  }
}

std::atomic<std::uint64_t>* signals_seen = nullptr;

TEST_CASE("A_signals_neither_wake_a_waiter_early_nor_cost_him_his_turn") {
  for (const char* text : kLines) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<Book> book;
    StartingGun gun;
    std::vector<test::Child> children;
    for (std::size_t i = 0; i < kProcesses; ++i) {
      children.emplace_back([&] {
        signals_seen = &book[0].signals;
        struct sigaction action {};
        action.sa_handler = [](int) { ++*signals_seen; };
        ::sigaction(SIGUSR1, &action, nullptr);  // without SA_RESTART
        ++book[0].ready;
        gun.wait();
        for (int call = 0; call < 30; ++call) take_a_turn(api, *segment, book[0]);
        ++book[0].finished;
        for (;;) ::pause();  // so that no signal reaches a process that is not there any more
      });
    }
    while (book[0].ready < kProcesses) ::sched_yield();
    gun.fire();
    const Instant began = segment->now();
    while (book[0].finished < kProcesses) {
      for (const test::Child& child : children) child.signal(SIGUSR1);
      ::sched_yield();
      REQUIRE(segment->now() - began < 10 * 30 * kProcesses * kInterval);
    }
    CHECK(book[0].signals > 1'000);
    REQUIRE(book[0].turns == 30 * kProcesses);
    require_a_line(book[0]);
  }
}

TEST_CASE("A_P_waiters_that_are_killed_keep_their_places_and_nobody_waits_for_them") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  for (const char* text : kLines) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<Book> book;
    const auto wait_often = [&] {
      for (;;) take_a_turn(api, *segment, book[0]);
    };
    std::vector<test::Child> survivors;
    for (int i = 0; i < 2; ++i) {
      survivors.emplace_back([&] {
        for (int call = 0; call < 60; ++call) take_a_turn(api, *segment, book[0]);
        ++book[0].finished;
      });
    }
    const Instant began = segment->now();
    int kills = 0;
    while (book[0].finished < survivors.size()) {
      test::Child victim(wait_often);
      const std::size_t seen = book[0].turns;
      const std::size_t enough = seen + 1 + random() % 6;
      while (book[0].turns < enough && book[0].finished < survivors.size()) ::sched_yield();
      victim.signal(SIGKILL);
      REQUIRE(victim.wait() == 128 + SIGKILL);
      ++kills;
      REQUIRE(segment->now() - began < 10 * (2 * 60 + 60 * 6) * kInterval);
    }
    for (test::Child& child : survivors) REQUIRE(child.wait() == 0);
    CHECK(kills > 5);
    require_a_line(book[0]);
    // A killed one's place is taken, once: nobody was given it, and no more than it is gone.
    const std::vector<Turn> line = book[0].in_line();
    std::size_t gone = 0;
    for (std::size_t i = 1; i < line.size(); ++i) {
      const auto places = (line[i].at - line[i - 1].at) / kInterval;
      const bool came_behind = line[i].at - line[i - 1].at == places * kInterval;
      gone += came_behind ? static_cast<std::size_t>(places - 1) : 0;
    }
    CHECK(gone <= static_cast<std::size_t>(kills));
    CHECK(gone > 0);
  }
}

/// What is used of a key of this limit that nobody has called before, in tokens: also what is
/// beyond the limit, where there is such a thing.
std::uint64_t used(Limiter& api) {
  const Limit limit = api.limit();
  const Decision now = api.peek("hot");
  return counts_evenly(limit.algorithm())
             ? static_cast<std::uint64_t>(now.reset_after / limit.interval())
             : now.limit - now.remaining;
}

TEST_CASE("A_what_four_processes_charge_is_owed_to_the_last_token") {
  INFO("RL_TEST_SEED=" << test::seed());
  for (const char* text :
       {"1000/s burst=10", "leaky 1000/s queue=9", "window 1000000/h", "sliding 1000000/h"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<std::uint64_t>> booked;
    test::in_processes(kProcesses, [&](std::size_t which) {
      std::mt19937_64 random(test::seed() + which);
      for (int call = 0; call < 10'000; ++call) {
        const Decision d = api.charge("hot", 1 + random() % 9);
        if (!d) throw 1;
        booked[0] += d.cost;
      }
    });
    CHECK(booked[0] > kProcesses * 10'000);
    CHECK(used(api) == booked[0]);
  }
}

TEST_CASE("A_what_four_processes_hold_and_settle_is_owed_as_it_was_in_truth") {
  INFO("RL_TEST_SEED=" << test::seed());
  for (const char* text : {"1000/s burst=1000000", "window 1000000/h", "sliding 1000000/h"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<std::uint64_t>> worked;
    test::in_processes(kProcesses, [&](std::size_t which) {
      std::mt19937_64 random(test::seed() + which);
      for (int call = 0; call < 10'000; ++call) {
        Decision held = api.hold("hot", 1 + random() % 9);
        const std::uint64_t actual = random() % 15;
        if (!held || !api.settle("hot", held, actual) || api.settle("hot", held, 9)) throw 1;
        worked[0] += actual;
      }
    });
    CHECK(worked[0] > 0);
    CHECK(used(api) == worked[0]);
  }
}

TEST_CASE("A_what_four_processes_set_to_be_left_passes_to_the_last_call") {
  for (const char* text :
       {"1/h burst=100", "leaky 1/h queue=99", "window 100/h", "sliding 100/h"}) {
    CAPTURE(text);
    for (std::uint64_t left = 0; left <= 100; left += 5) {
      test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
      Limiter api = segment->limiter("api", Limit::parse(text));
      test::Shared<std::atomic<std::uint64_t>> admitted;
      test::Shared<std::atomic<std::size_t>> set;
      test::in_processes(kProcesses, [&](std::size_t) {
        (void)api.try_acquire("hot", 3);
        if (!api.set_remaining("hot", left)) throw 1;
        ++set[0];
        while (set[0] < kProcesses) ::sched_yield();
        for (int call = 0; call < 100; ++call) admitted[0] += api.try_acquire("hot") ? 1 : 0;
      });
      REQUIRE(admitted[0] == left);
    }
  }
}

}  // namespace
}  // namespace rl
