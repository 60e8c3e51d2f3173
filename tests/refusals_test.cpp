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

TEST_CASE("a_concurrency_limit_takes_no_calls_of_any_kind") {
  test::Scratch segment(by_hand());
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(20));
  const Instant now = segment->now();
  std::array<std::string_view, 1> keys{"k"};
  std::array<Decision, 1> batch;
  uploads.try_acquire_batch(keys, batch);
  for (const Decision& d :
       {uploads.try_acquire("k"), uploads.try_acquire_at(now, "k"), uploads.peek("k"),
        uploads.charge("k", 1), Decision(uploads.reserve("k", 1, now + 1h)),
        uploads.acquire_for("k", 1, 1h), uploads.hold("k", 1), batch[0],
        all_of({{uploads, "k"}}).decision}) {
    CHECK_FALSE(d);
    CHECK(d.reason == Reason::invalid);
  }
  Decision never_made{.allowed = true, .policy = 1, .cost = 1, .charged = 1};
  Decision nor_this = never_made;
  CHECK_FALSE(uploads.refund("k", never_made));
  CHECK_FALSE(uploads.settle("k", nor_this, 2));
  CHECK_FALSE(uploads.set_remaining("k", 1));
  CHECK_FALSE(uploads.reset("k"));
  CHECK(segment->info().live + segment->info().idle == 0);
}

TEST_CASE("a_limit_of_calls_gives_no_permits") {
  for (const char* text : {"10/s", "leaky 10/s queue=5", "window 10/s", "sliding 10/s"}) {
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
