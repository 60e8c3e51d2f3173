// Totals of many processes: exact, and never less than before, however they die.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <vector>

#include <rl/rl.hpp>

#include "shm/mapping.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

Limit no_limit() {
  return Limit::per_second(1'000'000).burst(1'000'000'000);
}

std::uint64_t allowed_in(const Segment& segment) {
  const Totals totals = segment.totals();
  return totals.policies.empty() ? 0 : totals.policies.front().allowed;
}

TEST_CASE("A_processes_and_their_children_lose_no_count") {
  constexpr std::size_t kProcesses = 8;
  constexpr std::uint64_t kEach = 50'000;
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", no_limit());
  (void)api.try_acquire("k");  // the parent has a stripe before it forks
  std::vector<test::Child> children;
  for (std::size_t p = 0; p < kProcesses; ++p)
    children.emplace_back([&] {
      for (std::uint64_t i = 0; i < kEach; ++i) (void)api.try_acquire("k");
      test::Child grandchild([&] {
        for (std::uint64_t i = 0; i < kEach; ++i) (void)api.try_acquire("k");
      });
      for (std::uint64_t i = 0; i < kEach; ++i) (void)api.try_acquire("k");
      if (grandchild.wait() != 0) throw 1;
    });
  for (std::uint64_t i = 0; i < kEach; ++i) (void)api.try_acquire("k");
  for (test::Child& child : children) REQUIRE(child.wait() == 0);
  CHECK(allowed_in(*segment) == 1 + kEach + kProcesses * 3 * kEach);
}

TEST_CASE("A_totals_never_run_backwards_while_workers_are_killed_and_lose_what_one_call_may") {
  constexpr int kDeaths = 70;
  // More deaths than stripes: those of the dead are needed again.
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", no_limit());
  test::Shared<std::atomic<std::uint64_t>> made(1);
  std::mt19937 random(test::seed());
  std::uint64_t before = 0;
  const auto look = [&] {
    const std::uint64_t now = allowed_in(*segment);
    CHECK(now >= before);
    before = now;
  };
  std::vector<test::Child> workers;
  const auto start = [&] {
    workers.emplace_back([&] {
      for (;;) {  // ends: it is killed
        if (api.try_acquire("k")) made[0].fetch_add(1);
      }
    });
  };
  for (int i = 0; i < 6; ++i) start();
  for (int death = 0; death < kDeaths; ++death) {
    for (int i = 0; i < 20; ++i) look();
    workers[random() % workers.size()].signal(SIGKILL);
    start();
  }
  for (test::Child& worker : workers) worker.signal(SIGKILL);
  for (test::Child& worker : workers) (void)worker.wait();
  look();
  // A call is counted here after it was counted there: of each that died one may be missing.
  const std::uint64_t counted = allowed_in(*segment);
  CHECK(counted >= made[0]);
  CHECK(counted <= made[0] + workers.size());
}

TEST_CASE("A_a_stopped_process_keeps_its_stripe") {
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", no_limit());
  test::Shared<std::atomic<std::uint64_t>> made(1);
  test::Child stopped([&] {
    for (int i = 0; i < 1'000; ++i) made[0] += api.try_acquire("k") ? 1 : 0;
    ::raise(SIGSTOP);
    for (int i = 0; i < 1'000; ++i) made[0] += api.try_acquire("k") ? 1 : 0;
  });
  int status = 0;
  REQUIRE(::waitpid(stopped.pid(), &status, WUNTRACED) == stopped.pid());
  std::vector<test::Child> others;
  for (std::uint32_t p = 0; p < 2 * shm::kStripes; ++p)
    others.emplace_back([&] {
      for (int i = 0; i < 300; ++i) made[0] += api.try_acquire("k") ? 1 : 0;
    });
  for (test::Child& other : others) REQUIRE(other.wait() == 0);
  stopped.signal(SIGCONT);
  REQUIRE(stopped.wait() == 0);
  CHECK(allowed_in(*segment) == made[0]);
}

TEST_CASE("a_sweep_frees_the_stripes_of_the_dead") {
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", no_limit());
  for (int i = 0; i < 5; ++i) {
    test::Child child([&] {
      (void)api.try_acquire("k");
      ::kill(::getpid(), SIGKILL);
    });
    REQUIRE(child.wait() == 128 + SIGKILL);
  }
  const shm::Mapping bytes = shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
  const auto owned = [&] {
    std::uint32_t count = 0;
    for (std::uint32_t i = 1; i < shm::kStripes; ++i)
      if (bytes.stripe_head(i).words[shm::StripeHead::owner].load() != 0) ++count;
    return count;
  };
  REQUIRE(owned() == 5);
  Reaper reaper(*segment);
  (void)reaper.sweep(reaper.round());
  CHECK(owned() == 0);
  CHECK(allowed_in(*segment) == 5);
}

}  // namespace
}  // namespace rl
