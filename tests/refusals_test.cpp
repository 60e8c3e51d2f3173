// What an algorithm cannot do is refused: it says so, and changes nothing.

#include <doctest/doctest.h>

#include <array>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

SegmentOptions by_hand() {
  return {.keys = 100, .clock = ClockSource::manual};
}

/// Every way to ask a limit of calls says that it makes no sense.
void check_that_no_call_is_taken(Limiter& limiter, Instant now) {
  std::array<std::string_view, 1> keys{"k"};
  std::array<Decision, 1> batch;
  limiter.try_acquire_batch(keys, batch);
  TokenLease lease(limiter, "k", 8, 1h);
  for (const Decision& d :
       {limiter.try_acquire("k"), limiter.try_acquire("k", 1, Priority::low),
        limiter.try_acquire_at(now, "k"), limiter.peek("k"), limiter.charge("k", 1),
        Decision(limiter.reserve("k", 1, now + 1h)), limiter.acquire_for("k", 1, 1h),
        limiter.hold("k", 1), batch[0], all_of({{limiter, "k"}}).decision, lease.try_acquire()}) {
    CHECK_FALSE(d);
    CHECK(d.reason == Reason::invalid);
  }
  Decision never_made{.allowed = true, .policy = 1, .cost = 1, .charged = 1};
  Decision nor_this = never_made;
  CHECK_FALSE(limiter.refund("k", never_made));
  CHECK_FALSE(limiter.settle("k", nor_this, 2));
  CHECK_FALSE(limiter.set_remaining("k", 1));
  CHECK(lease.give_back() == 0);
}

TEST_CASE("a_concurrency_limit_takes_no_calls_of_any_kind") {
  test::Scratch segment(by_hand());
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(20));
  check_that_no_call_is_taken(uploads, segment->now());
  CHECK_FALSE(uploads.reset("k"));
  CHECK(segment->info().live + segment->info().idle == 0);
}

TEST_CASE("a_counter_takes_no_calls_of_any_kind") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)hits.count("k", 3, 1h);
  check_that_no_call_is_taken(hits, segment->now());
  CHECK(hits.peek_count("k").count == 3);
}

TEST_CASE("what_is_no_counter_counts_nothing") {
  for (const char* text :
       {"10/s", "leaky 10/s queue=5", "window 10/s", "sliding 10/s", "concurrency 5"}) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    for (const Counted& told :
         {api.count("k", 1, 1h), api.count("k", 0, 1h), api.peek_count("k")}) {
      CHECK_FALSE(told);
      CHECK(told.reason == Reason::invalid);
    }
    CHECK(segment->info().live + segment->info().idle == 0);
  }
}

TEST_CASE("a_limit_of_calls_gives_no_permits") {
  for (const char* text :
       {"10/s", "leaky 10/s queue=5", "window 10/s", "sliding 10/s", "counter"}) {
    CAPTURE(text);
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse(text));
    Permit none = api.permit("k");
    CHECK_FALSE(none);
    CHECK(none.decision().reason == Reason::invalid);
    CHECK(api.peek_permit("k").reason == Reason::invalid);
    CHECK_FALSE(none.holds());
    CHECK_FALSE(none.renew());
    CHECK(none.fence() == 0);
    CHECK_FALSE(none.release());
    CHECK(segment->info().live + segment->info().idle == 0);
  }
}

}  // namespace
}  // namespace rl
