// The floor of a limit, and processes of both priorities on one key.

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

constexpr const char* kLimits[] = {"1/h burst=100 floor=30", "leaky 1/h queue=99 floor=30",
                                   "window 100/h floor=30", "sliding 100/h floor=30"};
constexpr int kProcesses = 4;
constexpr int kCalls = 100;  // of each: one process alone could use all

/// Every process makes kCalls calls of the priority that its number gives; returns what passed.
struct Passed {
  test::Shared<std::atomic<int>> of{2};

  void run(Limiter& api, auto priority_of) {
    test::StartingGun gun;
    std::vector<test::Child> children;
    for (int i = 0; i < kProcesses; ++i) {
      children.emplace_back([&, i] {
        const Priority priority = priority_of(i);
        gun.wait();
        for (int call = 0; call < kCalls; ++call) {
          if (api.try_acquire("hot", 1, priority)) ++of[priority == Priority::low ? 1 : 0];
        }
      });
    }
    gun.fire();
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
  }
  [[nodiscard]] int normal() { return of[0].load(); }
  [[nodiscard]] int low() { return of[1].load(); }
};

TEST_CASE(
    "A_four_processes_of_low_priority_leave_exactly_the_floor_and_four_others_get_exactly_that") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    for (int repeat = 0; repeat < 20; ++repeat) {
      test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
      Limiter api = segment->limiter("api", Limit::parse(text));
      Passed passed;
      passed.run(api, [](int) { return Priority::low; });
      REQUIRE(passed.low() == 70);
      passed.run(api, [](int) { return Priority::normal; });
      REQUIRE(passed.normal() == 30);
    }
  }
}

TEST_CASE(
    "A_processes_of_both_priorities_at_once_get_exactly_the_limit_and_low_ones_never_the_floor") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    for (int repeat = 0; repeat < 20; ++repeat) {
      test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
      Limiter api = segment->limiter("api", Limit::parse(text));
      Passed passed;
      passed.run(api, [](int i) { return i % 2 == 0 ? Priority::low : Priority::normal; });
      REQUIRE(passed.low() <= 70);
      REQUIRE(passed.low() + passed.normal() == 100);
    }
  }
}

}  // namespace
}  // namespace rl
