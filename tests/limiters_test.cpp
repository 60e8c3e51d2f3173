// A list of limits under one name.
#include <rl/limiters.hpp>

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

std::vector<std::string> names_of(const Segment& segment) {
  std::vector<std::string> names;
  for (const PolicyInfo& policy : segment.policies()) names.push_back(policy.name);
  return names;
}

struct LimitersTest {
  test::Scratch segment{{.keys = 100, .clock = ClockSource::manual}};
  const Limits limits = Limits::parse("2/s burst=3, 5/h, window 7/d");
};

TEST_CASE_FIXTURE(LimitersTest, "a_call_passes_when_all_limits_of_the_list_allow_it") {
  Limiters api = segment->limiters("api", limits);
  CHECK(names_of(*segment) == std::vector<std::string>{"api", "api#2", "api#3"});
  CHECK(api.limits() == limits);
  CHECK_FALSE(api.differs());
  CHECK(api.try_acquire("k", 3));
  AllOf all = api.try_acquire("k");
  CHECK_FALSE(all);
  CHECK(all.which == 0);
  CHECK(all.decision.retry_after == 500ms);
  segment->advance_clock(10s);
  all = api.peek("k", 3);
  CHECK_FALSE(all);
  CHECK(all.which == 1);
  CHECK(api.policy(all.which) == "api#2");
  CHECK(api[1].peek("k").remaining == 2);
  CHECK(api[0].peek("k").remaining == 3);
  // The scarcest is told; each says its own.
  all = api.try_acquire("k", 2);
  CHECK(all);
  CHECK(all.which == 1);
  CHECK(all.decision.remaining == 0);
  CHECK(all.each[0].remaining == 1);
  CHECK(all.each[2].remaining == 2);
  CHECK(api.refund("k", all));
  CHECK_FALSE(api.refund("k", all));
  CHECK(api.peek("k").each[0].remaining == 3);
  CHECK(api.peek("k").each[1].remaining == 2);
  CHECK(api.peek("k").each[2].remaining == 4);
  CHECK(api.reset("k"));
  CHECK_FALSE(api.reset("k"));
  CHECK(api.peek("k").each[2].remaining == 7);
}

TEST_CASE_FIXTURE(LimitersTest, "a_list_that_somebody_died_making_is_completed_by_the_next") {
  (void)segment->limiter("api", limits[0]);  // and no more
  CHECK(segment->limiters("api").size() == 1);
  const Limiters api = segment->limiters("api", limits);
  CHECK_FALSE(api.differs());
  CHECK(segment->limiters("api").limits() == limits);
  CHECK(names_of(*segment).size() == 3);
}

TEST_CASE_FIXTURE(LimitersTest, "what_is_there_stands_and_the_caller_can_see_that_it_differs") {
  (void)segment->limiters("api", limits);
  CHECK_FALSE(segment->limiters("api").differs());
  const Limiters fewer = segment->limiters("api", Limits::parse("2/s burst=3, 5/h"));
  CHECK(fewer.differs());
  CHECK(fewer.limits() == limits);
  const Limiters other = segment->limiters("api", Limits::parse("2/s burst=3, 6/h, window 7/d"));
  CHECK(other.differs());
  CHECK(other.limits() == limits);
  const Limiters more =
      segment->limiters("api", Limits::parse("2/s burst=3, 5/h, window 7/d, 1/m"));
  CHECK_FALSE(more.differs());  // completed
  CHECK(segment->limiters("api").size() == 4);
  CHECK(segment->limiters("one", Limits::parse("5/h")).size() == 1);
}

TEST_CASE_FIXTURE(LimitersTest, "a_list_that_cannot_be_made_makes_nothing") {
  const auto code_of = [](const auto& make) {
    try {
      make();
    } catch (const Error& e) {
      return e.code();
    }
    return Errc::system;
  };
  CHECK(code_of([&] { (void)segment->limiters(std::string(62, 'x'), limits); }) == Errc::bad_name);
  CHECK(code_of([&] { (void)segment->limiters("", limits); }) == Errc::bad_name);
  CHECK(code_of([&] { (void)segment->limiters("api", Limits::parse("5/s, concurrency 3")); }) ==
        Errc::bad_limit);
  CHECK(code_of([&] { (void)segment->limiters("api"); }) == Errc::unknown_policy);
  CHECK(names_of(*segment).empty());
  CHECK(segment->limiters(std::string(61, 'x'), limits).size() == 3);
  Limiters permits = segment->limiters("permits", Limits::parse("concurrency 3"));
  CHECK(permits.try_acquire("k").decision.reason == Reason::invalid);
}

TEST_CASE_FIXTURE(LimitersTest, "a_list_whose_place_is_taken_by_permits_is_refused") {
  (void)segment->limiter("up", Limit::concurrency(2));
  CHECK_THROWS_AS((void)segment->limiters("up", Limits::parse("5/s, 100/h")), Error);
  CHECK(segment->policies().size() == 1);
  (void)segment->limiter("api", Limit::per_second(5));
  (void)segment->limiter("api#2", Limit::concurrency(2));
  CHECK(segment->limiters("api").size() == 1);  // no part of a list
}

TEST_CASE_FIXTURE(LimitersTest, "a_list_of_a_read_only_segment_can_be_peeked_at") {
  (void)segment->limiters("api", limits).try_acquire("k", 2);
  Segment reader = Segment::open_read_only(segment.name());
  Limiters api = reader.limiters("api", limits);
  CHECK(api.peek("k").decision.remaining == 1);
  CHECK(api.try_acquire("k").decision.reason == Reason::invalid);
  CHECK_THROWS_AS((void)reader.limiters("new", limits), Error);
}

}  // namespace
}  // namespace rl
