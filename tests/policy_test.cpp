#include "src/policy.hpp"

#include <doctest/doctest.h>

#include <iterator>
#include <string>

namespace rl {
namespace {

constexpr PolicyTimes kTimes{5, 1'700'000'000'000'000'000, 1'600'000'000'000'000'123};
constexpr std::uint64_t kMost = ~std::uint64_t{0};

constexpr const char* kLimits[] = {"100/s burst=200 when_full=allow",
                                   "leaky 10/s queue=50 delay=5",
                                   "window 1k/h when_full=deny",
                                   "sliding 100/m",
                                   "concurrency 20 lease=45s shadow",
                                   "5/m floor=99 shadow ban_after=20/90s ban=1h",
                                   "counter",
                                   "counter when_full=evict"};

TEST_CASE("a_policy_reads_back_as_it_was_written") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    const auto policy = policy_from(constants_of(Limit::parse(text), kTimes));
    REQUIRE(policy);
    CHECK(policy->limit == Limit::parse(text));
    CHECK(most_at_once(policy->parameters) == policy->limit.burst());
  }
}

TEST_CASE("an_entry_whose_numbers_make_no_limit_is_refused") {
  struct Row {
    const char* limit;
    const char* what;
    void (*spoil)(shm::PolicyConstants&);
  };
  constexpr Row kRows[] = {
      {"1/s", "no algorithm", [](auto& c) { c.algorithm = 0; }},
      {"1/s", "an algorithm to come", [](auto& c) { c.algorithm = 7; }},
      {"1/s", "another rule", [](auto& c) { c.when_full = 3; }},
      {"1/s", "another interval", [](auto& c) { ++c.interval_ns; }},
      {"1/s", "a period of 0", [](auto& c) { c.period_ns = 0; }},
      {"1/s", "a lease", [](auto& c) { c.lease_ns = 30'000'000'000; }},
      {"window 9/s", "another burst", [](auto& c) { ++c.burst; }},
      {"1/s", "a flag to come", [](auto& c) { c.flags = 2; }},
      {"1/s", "all flags", [](auto& c) { c.flags = ~0U; }},
      {"1/s", "a floor of all", [](auto& c) { c.floor_percent = 100; }},
      {"1/s", "a time for bans without one", [](auto& c) { c.ban_within_ns = 1'000'000; }},
      {"1/s", "a ban after nothing", [](auto& c) { c.ban_ns = 1'000'000; }},
      {"1/s ban_after=2/s ban=1s", "no number", [](auto& c) { c.ban_after = 0; }},
      {"1/s ban_after=2/s ban=1s", "too large a number", [](auto& c) { c.ban_after = ~0U; }},
      {"1/s ban_after=2/s ban=1s", "no time", [](auto& c) { c.ban_within_ns = 0; }},
      {"1/s ban_after=2/s ban=1s", "a time without end", [](auto& c) { c.ban_within_ns = kMost; }},
      {"1/s ban_after=2/s ban=1s", "a ban of nothing", [](auto& c) { c.ban_ns = 0; }},
      {"1/s ban_after=2/s ban=1s", "a ban without end", [](auto& c) { c.ban_ns = kMost; }},
      {"concurrency 20", "a floor", [](auto& c) { c.floor_percent = 20; }},
      {"concurrency 20", "no lease", [](auto& c) { c.lease_ns = 0; }},
      {"concurrency 20", "a lease without end", [](auto& c) { c.lease_ns = kMost; }},
      {"concurrency 20", "part of a millisecond", [](auto& c) { ++c.lease_ns; }},
      {"concurrency 20", "another lease than its interval", [](auto& c) { c.lease_ns *= 2; }},
      {"concurrency 20", "a period", [](auto& c) { c.period_ns = 1'000'000'000; }},
      {"concurrency 20", "none", [](auto& c) { c.count = c.burst = 0; }},
      {"concurrency 20", "too many", [](auto& c) { c.count = c.burst = 4'097; }},
      {"concurrency 20", "more than the count", [](auto& c) { ++c.burst; }},
      {"counter", "a count of its own", [](auto& c) { ++c.count; }},
      {"counter", "less at the most", [](auto& c) { --c.burst; }},
      {"counter", "a period", [](auto& c) { c.period_ns = 1'000'000'000; }},
      {"counter", "lets pass", [](auto& c) { c.when_full = 1; }},
      {"counter", "only watches", [](auto& c) { c.flags = shm::kPolicyShadow; }},
      {"counter", "a floor", [](auto& c) { c.floor_percent = 20; }},
      {"concurrency 20", "may evict", [](auto& c) { c.when_full = 0; }},
  };
  for (const Row& row : kRows) {
    CAPTURE(row.limit);
    CAPTURE(row.what);
    shm::PolicyConstants constants = constants_of(Limit::parse(row.limit), kTimes);
    row.spoil(constants);
    CHECK_FALSE(policy_from(constants));
  }
}

}  // namespace
}  // namespace rl
