// Segments in private memory: Segment::create_private.
#include <doctest/doctest.h>

#include <filesystem>
#include <thread>

#include <rl/rl.hpp>

#include "tests/support.hpp"

namespace rl::test {

using namespace std::chrono_literals;

TEST_CASE("a_private_segment_decides_as_any_other") {
  Segment segment = Segment::create_private({.keys = 100, .clock = ClockSource::manual});
  Limiter api = segment.limiter("api", Limit::per_second(2));
  CHECK(api.try_acquire("a"));
  CHECK(api.try_acquire("a"));
  CHECK(api.try_acquire("a").reason == Reason::limited);
  CHECK(api.try_acquire("b"));
  segment.advance_clock(500ms);
  CHECK(api.try_acquire("a"));
  CHECK(!api.try_acquire("a"));
  REQUIRE(segment.find("api", "a"));
  CHECK(segment.find("api", "a")->denied_count == 2);
  CHECK(segment.info().live == 1);  // b has its call back
}

TEST_CASE("it_gives_permits_and_takes_changes") {
  Segment segment = Segment::create_private();
  Limiter jobs = segment.limiter("jobs", Limit::concurrency(1));
  {
    const Permit permit = jobs.permit("a");
    CHECK(permit);
    CHECK(!jobs.permit("a"));
  }
  CHECK(jobs.permit("a"));
  Limiter api = segment.limiter("api", Limit::per_hour(1));
  CHECK(api.try_acquire("a"));
  segment.set_policy("api", Limit::per_hour(2));
  CHECK(api.try_acquire("a"));
  CHECK(!api.try_acquire("a"));
}

TEST_CASE("it_has_no_file_and_two_of_them_have_nothing_in_common") {
  Segment first = Segment::create_private();
  Segment second = Segment::create_private();
  CHECK(!std::filesystem::exists(first.path()));
  CHECK(!std::filesystem::exists("/dev/shm/rl." + first.name()));
  CHECK(first.limiter("api", Limit::per_hour(1)).try_acquire("a"));
  CHECK(second.limiter("api", Limit::per_hour(1)).try_acquire("a"));
}

TEST_CASE("nobody_misses_its_name") {
  static bool said = false;
  set_log([](Severity, std::string_view, void*) noexcept { said = true; });
  Segment segment = Segment::create_private({.keys = 100, .clock = ClockSource::boottime});
  Limiter api = segment.limiter("api", Limit::per_hour(1));
  // Beyond a second, after which calls look at the name of a segment that has one.
  const auto end = std::chrono::steady_clock::now() + 1'200ms;
  CHECK(api.try_acquire("a"));
  while (std::chrono::steady_clock::now() < end) {
    if (api.try_acquire("a")) break;
  }
  CHECK(!api.try_acquire("a"));
  CHECK(!said);
  set_log(nullptr);
}

TEST_CASE("a_forked_child_goes_on_with_a_copy_of_its_own") {
  Segment segment = Segment::create_private();
  Limiter api = segment.limiter("api", Limit::per_hour(2));
  CHECK(api.try_acquire("a"));
  Child child([&] {
    if (!api.try_acquire("a") || api.try_acquire("a")) throw 1;
  });
  CHECK(child.wait() == 0);
  CHECK(api.try_acquire("a"));
  CHECK(!api.try_acquire("a"));
}

TEST_CASE("its_options_are_checked") {
  CHECK_THROWS_AS(Segment::create_private({.keys = 0}), Error);
  CHECK_THROWS_AS(Segment::create_private({.policies = 0}), Error);
}

}  // namespace rl::test
