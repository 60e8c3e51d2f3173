// The floor of a limit, and processes of both priorities on one key.

#include <doctest/doctest.h>

#include "tests/in_processes.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr const char* kLimits[] = {"1/h burst=100 floor=30", "leaky 1/h queue=99 floor=30",
                                   "window 100/h floor=30", "sliding 100/h floor=30"};
constexpr std::size_t kProcesses = 4;
constexpr int kCalls = 100;  // of each: one process alone could use all

/// Every process makes kCalls calls of the priority that its number gives; returns what passed.
struct Passed {
  test::Shared<std::atomic<int>> of{2};

  void run(Limiter& api, auto priority_of) {
    test::in_processes(kProcesses, [&](std::size_t which) {
      const Priority priority = priority_of(which);
      for (int call = 0; call < kCalls; ++call) {
        if (api.try_acquire("hot", 1, priority)) ++of[priority == Priority::low ? 1 : 0];
      }
    });
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
      passed.run(api, [](std::size_t) { return Priority::low; });
      REQUIRE(passed.low() == 70);
      passed.run(api, [](std::size_t) { return Priority::normal; });
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
      passed.run(api, [](std::size_t i) { return i % 2 == 0 ? Priority::low : Priority::normal; });
      REQUIRE(passed.low() <= 70);
      REQUIRE(passed.low() + passed.normal() == 100);
    }
  }
}

}  // namespace
}  // namespace rl
