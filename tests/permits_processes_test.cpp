// Permits between real processes: never more out than the limit (A), no denial that is not true,
// none lost to the dead or the stopped (P, S).

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

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

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Tries until it has a permit, for as long as ten times what is promised.
Permit take_within(Limiter& limiter, std::string_view key, steady_clock::duration promised) {
  const auto end = steady_clock::now() + 10 * promised;
  for (;;) {
    Permit permit = limiter.permit(key);
    if (permit || steady_clock::now() > end) return permit;
  }
}

/// From when to when somebody had a permit, at the least.
struct Holding {
  std::int64_t from_ns;
  std::int64_t to_ns;
};

/// The most that overlap. Ends count before beginnings of the same instant.
int most_at_once(const std::vector<Holding>& holdings) {
  std::vector<std::pair<std::int64_t, int>> edges;
  for (const Holding& holding : holdings) {
    edges.emplace_back(holding.from_ns, 1);
    edges.emplace_back(holding.to_ns, -1);
  }
  std::sort(edges.begin(), edges.end());
  int out = 0;
  int most = 0;
  for (const auto& [at, step] : edges) most = std::max(most, out += step);
  return most;
}

TEST_CASE("A_eight_processes_never_have_more_permits_out_than_there_are") {
  constexpr std::size_t kProcesses = 8;
  constexpr std::size_t kTotal = 30'000;
  for (const int permits : {1, 3}) {
    CAPTURE(permits);
    test::Scratch segment({.keys = 100, .clock = ClockSource::boottime});
    Limiter limiter =
        segment->limiter("up", Limit::concurrency(static_cast<std::uint64_t>(permits)));
    test::Shared<std::atomic<int>> out;
    test::Shared<std::atomic<int>> too_many;
    test::Shared<Holding> holdings(kProcesses * kTotal);
    test::Shared<std::atomic<std::size_t>> total;
    test::Shared<std::size_t> counts(kProcesses);
    test::Shared<std::atomic<std::uint64_t>> denied;
    test::StartingGun gun;
    std::vector<test::Child> children;
    for (std::size_t p = 0; p < kProcesses; ++p) {
      children.emplace_back([&, p] {
        gun.wait();
        for (std::size_t mine = 0; total[0] < kTotal;) {  // ends: somebody always gets one
          Permit permit = limiter.permit("hot");
          if (!permit) {
            ++denied[0];
            continue;
          }
          if (++out[0] > permits) ++too_many[0];
          ++total[0];
          Holding& holding = holdings[p * kTotal + mine];
          holding.from_ns = segment->now().time_since_epoch().count();
          if (mine % 32 == 0) std::this_thread::yield();
          holding.to_ns = segment->now().time_since_epoch().count();
          counts[p] = ++mine;
          --out[0];
          if (!permit.release()) throw 1;
        }
      });
    }
    gun.fire();
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
    std::vector<Holding> all;
    for (std::size_t p = 0; p < kProcesses; ++p)
      for (std::size_t i = 0; i < counts[p]; ++i) all.push_back(holdings[p * kTotal + i]);
    CHECK(too_many[0] == 0);
    CHECK(most_at_once(all) <= permits);
    MESSAGE(all.size() << " permits, " << denied[0].load() << " denials, "
                       << segment->info().gave_up << " calls gave up");
    CHECK(all.size() >= kTotal);
    CHECK(denied[0] > 100);  // all were out again and again
    const auto busy =
        std::count_if(&counts[0], &counts[0] + kProcesses, [](auto n) { return n > 100; });
    CHECK(busy > 1);  // they met
    CHECK(limiter.peek_permit("hot").remaining == static_cast<std::uint64_t>(permits));
    test::check_that_no_key_has_two_slots(segment.path());
  }
}

TEST_CASE("P_who_shares_a_permit_for_each_is_never_told_that_all_are_out") {
  constexpr std::size_t kProcesses = 4;
  test::Scratch segment({.keys = 100});
  Limiter limiter = segment->limiter("up", Limit::concurrency(kProcesses));
  test::Shared<std::atomic<std::uint64_t>> wrong(2);
  test::Shared<std::atomic<std::uint64_t>> met;
  test::Shared<std::atomic<int>> out;
  test::StartingGun gun;
  std::vector<test::Child> children;
  for (std::size_t p = 0; p < kProcesses; ++p) {
    children.emplace_back([&] {
      std::mt19937 choose(static_cast<unsigned>(::getpid()));
      gun.wait();
      for (int call = 0; call < 50'000; ++call) {
        const Permit permit = limiter.permit("hot");
        if (permit.decision().reason == Reason::limited) ++wrong[0];
        if (permit.decision().reason == Reason::full) ++wrong[1];
        if (++out[0] == kProcesses) ++met[0];
        if (choose() % 16 == 0) std::this_thread::yield();
        --out[0];
      }
    });
  }
  gun.fire();
  for (test::Child& child : children) REQUIRE(child.wait() == 0);
  CHECK(wrong[0] == 0);
  // Others may be faster sixteen times in a row, and it is said so.
  CHECK(wrong[1] == segment->info().gave_up);
  CHECK(wrong[1] < 100);
  CHECK(met[0] > 0);  // all permits were out at once
}

constexpr std::size_t kKeys = 4;

/// Which keys each worker knows to hold, and who is about to be killed.
struct Book {
  struct Entry {
    std::array<std::atomic<bool>, kKeys> holds;
    std::atomic<bool> is_dying;
  };
  std::array<Entry, 3> workers;
  std::array<std::atomic<std::uint64_t>, 3> taken;
  std::atomic<std::uint64_t> doubled;
  std::atomic<std::uint64_t> not_given_back;

  /// Whether another holds the key for certain: it says so, and is not dying.
  bool is_held_by_another(std::size_t me, std::size_t key) {
    for (std::size_t other = 0; other < workers.size(); ++other) {
      if (other == me || !workers[other].holds[key]) continue;
      if (!workers[other].is_dying) return true;
    }
    return false;
  }

  [[noreturn]] void work(std::size_t me, Limiter& limiter) {
    std::mt19937 choose(static_cast<unsigned>(::getpid()));
    for (;;) {
      const std::size_t key = choose() % kKeys;
      Permit permit = limiter.permit("k" + std::to_string(key));
      if (!permit) continue;
      workers[me].holds[key] = true;
      if (is_held_by_another(me, key)) ++doubled;
      if (choose() % 8 == 0) std::this_thread::yield();
      if (choose() % 16 == 0 && permit.fence() == 0) ++not_given_back;
      if (is_held_by_another(me, key)) ++doubled;
      workers[me].holds[key] = false;
      if (!permit.release()) ++not_given_back;
      ++taken[me];
    }
  }
};

TEST_CASE("S_of_1000_holders_killed_at_random_no_permit_is_lost_or_doubled") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  test::Scratch segment({.keys = 100});
  Limiter limiter = segment->limiter("up", Limit::concurrency(1, 1h));
  test::Shared<Book> shared;
  Book& book = shared[0];
  std::vector<test::Child> survivors;
  for (const std::size_t me : {0U, 1U}) survivors.emplace_back([&, me] { book.work(me, limiter); });
  constexpr int kKills = test::kSanitized ? 100 : 1'000;
  // On a busy machine fewer, so that it does not take minutes.
  const auto enough = steady_clock::now() + 60s;
  int kills = 0;
  for (; kills < kKills && (kills < 100 || steady_clock::now() < enough); ++kills) {
    Book::Entry& entry = book.workers[2];
    const std::uint64_t before = book.taken[2];
    test::Child victim([&] { book.work(2, limiter); });
    const auto end = steady_clock::now() + 10s;
    while (book.taken[2] == before && steady_clock::now() < end) std::this_thread::yield();
    REQUIRE(book.taken[2] != before);  // permits of its killed predecessors came back, too
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
    entry.is_dying = true;
    victim.signal(SIGKILL);
    REQUIRE(victim.wait() == 128 + SIGKILL);
    for (auto& holds : entry.holds) holds = false;
    entry.is_dying = false;
  }
  const std::uint64_t taken = book.taken[0] + book.taken[1];
  for (test::Child& survivor : survivors) {
    survivor.signal(SIGKILL);
    (void)survivor.wait();
  }
  CHECK(book.doubled == 0);
  CHECK(book.not_given_back == 0);
  CHECK(taken > 1'000);
  MESSAGE(kills << " kills, " << taken + book.taken[2] << " permits taken");
  // None is lost: leases would keep them for an hour.
  std::vector<Permit> all;
  for (std::size_t key = 0; key < kKeys; ++key) {
    all.push_back(take_within(limiter, "k" + std::to_string(key), 1s));
    CHECK(all.back());
  }
  test::check_that_no_key_has_two_slots(segment.path());
}

TEST_CASE("A_a_stopped_holder_loses_its_lease_and_learns_it") {
  test::Scratch segment({.keys = 100});
  Limiter limiter = segment->limiter("up", Limit::concurrency(1, 1s));
  test::Shared<std::atomic<std::uint64_t>> fence;
  test::Child holder([&] {
    Permit permit = limiter.permit("k");
    fence[0] = permit.fence();
    ::raise(SIGSTOP);
    const bool lost = !permit.holds() && !permit.renew() && permit.fence() == 0;
    ::_exit(lost && !permit.release() ? 0 : 1);
  });
  int status = 0;
  REQUIRE(::waitpid(holder.pid(), &status, WUNTRACED) == holder.pid());
  REQUIRE(fence[0] != 0);
  CHECK_FALSE(limiter.permit("k"));  // it lives, and its lease runs
  Permit next = take_within(limiter, "k", 1s);
  REQUIRE(next);
  CHECK(next.fence() > fence[0]);
  holder.signal(SIGCONT);
  CHECK(holder.wait() == 0);
  CHECK(next.holds());  // the other has not given it back
}

TEST_CASE("S_a_forked_child_has_the_object_but_not_the_permit") {
  test::Scratch segment({.keys = 100});
  Limiter limiter = segment->limiter("up", Limit::concurrency(1));
  Permit permit = limiter.permit("k");
  REQUIRE(permit);
  test::Child child([&] {
    const bool none = !permit.holds() && !permit.renew() && permit.fence() == 0;
    const Permit mine = limiter.permit("k");  // the parent's is out
    const Permit moved = std::move(permit);   // and given back by nobody, at the end of this scope
    if (!none || mine || moved.holds()) throw 1;
  });
  CHECK(child.wait() == 0);
  test::Child releasing([&] {
    if (permit.release()) throw 1;
  });
  CHECK(releasing.wait() == 0);
  CHECK(permit.holds());
  CHECK(permit.release());
}

TEST_CASE("P_the_permits_of_a_dead_process_are_back_within_a_second_also_when_its_child_lives_on") {
  test::Scratch segment({.keys = 100});
  Limiter limiter = segment->limiter("up", Limit::concurrency(20, 24h));
  std::array<int, 2> until_end{};
  REQUIRE(::pipe(until_end.data()) == 0);
  test::Shared<std::atomic<int>> taken;
  test::Child holder([&] {
    std::vector<Permit> all;
    for (int i = 0; i < 20; ++i) {
      all.push_back(limiter.permit("k"));
      if (all.back()) ++taken[0];
    }
    if (::fork() == 0) {  // never calls the library
      ::close(until_end[1]);
      char c;
      (void)!::read(until_end[0], &c, 1);
      ::_exit(0);
    }
    ++taken[0];
    for (;;) ::pause();
  });
  while (taken[0] < 21) std::this_thread::yield();
  CHECK(limiter.permit("k").decision().reason ==
        Reason::limited);  // and the hint says so from now on
  holder.signal(SIGKILL);
  REQUIRE(holder.wait() == 128 + SIGKILL);
  std::vector<Permit> all;
  all.push_back(take_within(limiter, "k", 1s));
  REQUIRE(all.back());
  for (int i = 1; i < 20; ++i) {
    all.push_back(limiter.permit("k"));
    CHECK(all.back());
  }
  CHECK_FALSE(limiter.permit("k"));
  ::close(until_end[0]);
  ::close(until_end[1]);
}

// The copy has the permit, held by somebody who cannot be asked: who gives it back in the old
// segment gives it back there, too.
TEST_CASE("P_a_permit_given_back_while_its_segment_is_made_anew_is_free_in_the_new_one") {
  for (const bool others_move_first : {false, true}) {
    CAPTURE(others_move_first);
    test::Scratch segment({.keys = 100});
    Limiter ours = segment->limiter("uploads", Limit::concurrency(1, 1h));
    Limiter theirs = Segment::open(segment.name()).limiter("uploads");
    Permit permit = ours.permit("k");
    REQUIRE(permit);
    REQUIRE(::unlink(segment.path().c_str()) == 0);
    const auto exists = [&] { return ::access(segment.path().c_str(), F_OK) == 0; };
    const Instant began = segment->now();
    while (others_move_first && !exists()) {
      REQUIRE_FALSE(theirs.permit("k"));
      REQUIRE(segment->now() - began < 10s);
    }
    while (!others_move_first && segment->now() - began < 1100ms) ::sched_yield();
    CHECK(permit.release());
    while (!theirs.permit("k")) REQUIRE(segment->now() - began < 20s);
    CHECK(exists());
  }
}

TEST_CASE("P_a_stopped_taker_stops_nobody") {
  test::Scratch segment({.keys = 100});
  Limiter limiter = segment->limiter("up", Limit::concurrency(2));
  test::Shared<std::atomic<std::uint64_t>> calls;
  for (int stop = 0; stop < 20; ++stop) {
    const std::uint64_t before = calls[0];
    test::Child worker([&] {
      for (;; ++calls[0]) {
        const Permit first = limiter.permit("k");
        const Permit second = limiter.permit("k");
        if (calls[0] % 2 == 0) (void)limiter.permit("k");  // denied: it marks the hint
      }
    });
    while (calls[0] < before + 100) std::this_thread::yield();
    worker.signal(SIGSTOP);
    int status = 0;
    REQUIRE(::waitpid(worker.pid(), &status, WUNTRACED) == worker.pid());
    // Whatever it has, the answer is yes or a true no: never "others were faster".
    for (int i = 0; i < 10; ++i) CHECK(limiter.permit("k").decision().reason != Reason::full);
    worker.signal(SIGKILL);
    (void)worker.wait();
    std::vector<Permit> both;
    for (int i = 0; i < 2; ++i) both.push_back(take_within(limiter, "k", 1s));
    for (const Permit& permit : both) CHECK(permit);
  }
}

}  // namespace
}  // namespace rl
