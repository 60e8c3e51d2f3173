// What calls get while there is no segment, and what becomes of a limit that each of so many
// processes keeps alone.
#include "src/stand_in.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <fstream>
#include <random>

#include "src/parameters.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

std::string divided_text(const char* limit, std::uint64_t share) {
  return divided(Limit::parse(limit), share).to_string();
}

TEST_CASE("a_limit_is_divided_by_a_longer_period_and_fewer_at_once_but_not_below_one") {
  CHECK(divided_text("100/s burst=200", 4) == "100/4s burst=50");
  CHECK(divided_text("5/s", 10) == "5/10s burst=1");
  CHECK(divided_text("1/d", 30'000) == "1/26687d");  // 73 years are the longest there is
  CHECK(divided_text("leaky 10/s queue=7 delay=3", 4) == "leaky 10/4s queue=1");
  CHECK(divided_text("leaky 10/s queue=7 delay=7", 2) == "leaky 10/2s queue=3 delay=3");
  CHECK(divided_text("window 1000/h", 3) == "window 333/h");
  CHECK(divided_text("window 2/h", 3) == "window 1/h");
  CHECK(divided_text("sliding 100/m", 8) == "sliding 12/m");
  CHECK(divided_text("concurrency 20 lease=10s", 6) == "concurrency 3 lease=10s");
  CHECK(divided_text("concurrency 2", 6) == "concurrency 1");
  CHECK(divided_text("counter when_full=evict", 6) == "counter when_full=evict");
}

TEST_CASE("what_else_a_limit_says_is_said_of_its_part_too") {
  CHECK(divided_text("100/s burst=200 floor=20 when_full=allow shadow ban_after=20/m ban=10m", 2) ==
        "100/2s when_full=allow floor=20 shadow ban_after=20/m ban=10m");
  CHECK(divided_text("100/s floor=20", 1) == "100/s floor=20");
}

Limit any_limit(std::mt19937_64& random) {
  const auto up_to = [&](std::uint64_t most) { return random() % most + 1; };
  const auto period = std::chrono::milliseconds(up_to(std::uint64_t{1} << random() % 32));
  for (;;) {
    try {
      switch (random() % 5) {
        case 0:
          return Limit::per(up_to(std::uint64_t{1} << random() % 40), period)
              .burst(up_to(std::uint64_t{1} << random() % 40));
        case 1: {
          const std::uint64_t queue = random() % 1'000;
          return Limit::leaky(up_to(100'000), period, queue, random() % (queue + 1));
        }
        case 2:
          return Limit::fixed_window(up_to(1'000'000), period);
        case 3:
          return Limit::sliding_window(up_to(1'000), period);
        default:
          return Limit::concurrency(up_to(4'096), 1s * up_to(86'400));
      }
    } catch (const Error&) {
      // no limit that can be held: another
    }
  }
}

TEST_CASE("A_the_parts_of_a_limit_are_together_no_more_than_the_limit_or_one_for_each_process") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  __extension__ using Wide = unsigned __int128;
  const auto ns = [](std::chrono::nanoseconds d) { return static_cast<std::uint64_t>(d.count()); };
  for (int i = 0; i < 10'000; ++i) {
    const Limit limit = any_limit(random);
    const std::uint64_t share = random() % (std::uint64_t{1} << random() % 20) + 1;
    const Limit part = divided(limit, share);
    INFO(limit.to_string() << " by " << share << " is " << part.to_string());
    REQUIRE(part.algorithm() == limit.algorithm());
    REQUIRE(Wide{part.burst()} * share <= std::max<Wide>(limit.burst(), share));
    REQUIRE(part.lease() == limit.lease());
    if (!counts_evenly(limit.algorithm())) continue;
    // A token comes that much later, but for times that no limit can have.
    const bool fits = Wide{ns(limit.period())} * share <= TokenBucket::kToleranceMax &&
                      Wide{ns(limit.interval())} * share <= TokenBucket::kToleranceMax;
    if (fits)
      REQUIRE(Wide{ns(part.interval())} * limit.count() >= Wide{ns(limit.period())} * share);
  }
}

/// A name where there is a file that is no segment.
class Garbage {
 public:
  Garbage() : path_("/dev/shm/" + test::unique_name()) {
    std::ofstream(path_) << std::string(5'000, 'x');
  }
  Garbage(const Garbage&) = delete;
  Garbage& operator=(const Garbage&) = delete;
  ~Garbage() { ::unlink(path_.c_str()); }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

/// A segment that is not to be had, on a clock that stands still.
Segment without(const Garbage& garbage, OnFailure what, std::uint64_t share = 1) {
  set_log([](Severity, std::string_view, void*) noexcept {});
  Segment segment = Segment::open_or(garbage.path(), {.keys = 100, .clock = ClockSource::manual},
                                     {.on_failure = what, .share = share});
  set_log(nullptr);
  return segment;
}

/// What every call must get that nothing counts.
void check_answer(const Decision& d, bool allowed) {
  CHECK(d.allowed == allowed);
  CHECK(d.reason == Reason::unavailable);
  CHECK(d.charged == 0);
  CHECK(d.wait == 0ns);
  CHECK(d.retry_after == (allowed ? 0ns : 1s));
}

void check_calls(Limiter& limiter, bool allowed) {
  check_answer(limiter.try_acquire("k"), allowed);
  check_answer(limiter.try_acquire("k", 1'000'000), allowed);
  check_answer(limiter.try_acquire("k", 1, Priority::low), allowed);
  check_answer(limiter.try_acquire_at(Instant(1s), "k"), allowed);
  check_answer(limiter.peek("k"), allowed);
  check_answer(limiter.peek("k", 1, Priority::low), allowed);
  check_answer(limiter.charge("k", 3), allowed);
  check_answer(limiter.acquire_for("k", 1, 1h), allowed);
  const Reservation reserved = limiter.reserve("k", 1, Instant(1h));
  check_answer(reserved, allowed);
  CHECK(reserved.at == Instant(0s));
  Decision held = limiter.hold("k", 5);
  check_answer(held, allowed);
  CHECK_FALSE(limiter.settle("k", held, 7));
  CHECK_FALSE(limiter.refund("k", held));
  CHECK_FALSE(limiter.set_remaining("k", 1));
  CHECK_FALSE(limiter.reset("k"));
  const std::string_view keys[] = {"a", "b", "c"};
  Decision decisions[3];
  limiter.try_acquire_batch(keys, decisions);
  for (const Decision& d : decisions) check_answer(d, allowed);
}

TEST_CASE("allow_and_deny_answer_every_call_alike_and_count_none") {
  for (const bool allowed : {true, false}) {
    CAPTURE(allowed);
    const Garbage garbage;
    Segment segment = without(garbage, allowed ? OnFailure::allow : OnFailure::deny, 4);
    for (const char* text : {"5/s", "leaky 5/s queue=3", "window 5/m", "sliding 5/m"}) {
      const Limit limit = Limit::parse(text);
      Limiter limiter = segment.limiter(std::to_string(static_cast<int>(limit.algorithm())), limit);
      check_calls(limiter, allowed);
      CHECK(limiter.limit() == limit);
      CHECK_FALSE(limiter.differs());
    }
    Limiter unknown = segment.limiter("nobody-said");
    check_calls(unknown, allowed);
    const SegmentInfo info = segment.info();
    CHECK(info.live + info.idle == 0);
    CHECK(info.path == garbage.path());
  }
}

TEST_CASE("what_makes_no_sense_is_invalid_without_a_segment_too") {
  const Garbage garbage;
  for (const OnFailure what : {OnFailure::allow, OnFailure::deny, OnFailure::local}) {
    Segment segment = without(garbage, what);
    Limiter api = segment.limiter("api", Limit::per_second(5));
    Limiter uploads = segment.limiter("uploads", Limit::concurrency(3));
    CHECK(api.try_acquire("").reason == Reason::invalid);
    CHECK(api.try_acquire("k", 0).reason == Reason::invalid);
    CHECK(api.peek("").reason == Reason::invalid);
    if (what == OnFailure::local)  // without it nobody knows what the policy gives
      CHECK(api.permit("k").decision().reason == Reason::invalid);
    CHECK(uploads.permit("").decision().reason == Reason::invalid);
    CHECK(uploads.try_acquire("k").reason == Reason::invalid);
    CHECK_THROWS_AS((void)segment.limiter("a name", Limit::per_second(1)), Error);
    CHECK_THROWS_AS((void)segment.limiter("a name"), Error);
  }
}

TEST_CASE("all_of_is_allowed_only_if_no_ask_is_denied_for_want_of_a_segment") {
  const Garbage garbage;
  test::Scratch real({.keys = 100, .clock = ClockSource::manual});
  Limiter counted = real->limiter("api", Limit::per_hour(10));
  for (const bool allowed : {true, false}) {
    Segment segment = without(garbage, allowed ? OnFailure::allow : OnFailure::deny);
    Limiter limiter = segment.limiter("api", Limit::per_hour(10));
    const std::uint64_t left = counted.peek("k").remaining;
    const AllOf all = all_of({{counted, "k"}, {limiter, "k"}});
    CHECK(all.decision.allowed == allowed);
    CHECK(all.decision.reason == Reason::unavailable);
    CHECK(all.which == 1);
    CHECK(counted.peek("k").remaining == left - (allowed ? 1 : 0));
    Limiters list = segment.limiters("list", Limits::parse("5/s, 100/h"));
    CHECK(list.try_acquire("k").decision.allowed == allowed);
    CHECK(list.peek("k").decision.reason == Reason::unavailable);
    Limiters unknown = segment.limiters("nobody-said");
    CHECK(unknown.try_acquire("k").decision.allowed == allowed);
  }
}

TEST_CASE("a_permit_that_nothing_counts_stands_for_none_and_is_held_until_it_is_given_back") {
  const Garbage garbage;
  Segment segment = without(garbage, OnFailure::allow);
  Limiter uploads = segment.limiter("uploads", Limit::concurrency(1, 10s));
  Limiter unknown = segment.limiter("nobody-said");
  for (Limiter* limiter : {&uploads, &unknown}) {
    check_answer(limiter->peek_permit("k"), true);
    Permit one = limiter->permit("k");
    Permit another = limiter->permit("k");
    check_answer(one.decision(), true);
    REQUIRE((one && another && one.holds() && another.holds()));
    CHECK(one.fence() == 0);
    CHECK(one.lease_end() == Instant::max());
    segment.advance_clock(11s);
    CHECK(one.renew());
    Permit moved = std::move(one);
    CHECK(moved.holds());
    CHECK(moved.release());
    CHECK_FALSE(moved.release());
    test::Child child([&, permit = limiter->permit("k")] {
      if (permit.holds()) throw 1;
    });
    CHECK(child.wait() == 0);
  }
}

TEST_CASE("deny_gives_no_permit") {
  const Garbage garbage;
  Segment segment = without(garbage, OnFailure::deny);
  for (Limiter limiter :
       {segment.limiter("uploads", Limit::concurrency(3)), segment.limiter("nobody-said")}) {
    check_answer(limiter.peek_permit("k"), false);
    Permit permit = limiter.permit("k");
    check_answer(permit.decision(), false);
    CHECK_FALSE(permit);
    CHECK_FALSE(permit.holds());
    CHECK_FALSE(permit.renew());
    CHECK_FALSE(permit.release());
  }
}

TEST_CASE("A_local_keeps_the_part_of_each_limit_that_it_says") {
  const Garbage garbage;
  for (const char* text : {"8/h burst=12", "leaky 8/h queue=11", "window 12/h", "sliding 12/h"}) {
    CAPTURE(text);
    Segment segment = without(garbage, OnFailure::local, 4);
    Limiter api = segment.limiter("api", Limit::parse(text));
    CHECK(api.limit() == divided(Limit::parse(text), 4));
    CHECK(api.differs());
    for (int i = 0; i < 3; ++i) CHECK(api.try_acquire("k").reason == Reason::ok);
    const Decision denied = api.try_acquire("k");
    CHECK(denied.reason == Reason::limited);
    CHECK(denied.limit == 3);
    segment.advance_clock(denied.retry_after);
    Decision again = api.try_acquire("k");
    CHECK(again.allowed);
    CHECK(api.refund("k", again));
    CHECK(api.try_acquire("k"));
    CHECK(segment.find("api", "k")->allowed_count == 5);
    CHECK(api.reset("k"));
    CHECK(api.peek("k").remaining == 3);
    CHECK(segment.policies().size() == 1);
  }
}

TEST_CASE("A_local_gives_the_part_of_the_permits_that_it_says") {
  const Garbage garbage;
  Segment segment = without(garbage, OnFailure::local, 4);
  Limiter uploads = segment.limiter("uploads", Limit::concurrency(12));
  Permit a = uploads.permit("k");
  Permit b = uploads.permit("k");
  Permit c = uploads.permit("k");
  REQUIRE((a && b && c));
  CHECK_FALSE(uploads.permit("k"));
  CHECK(a.renew());
  CHECK(a.fence() == 0);
  CHECK(a.release());
  CHECK(uploads.permit("k"));
}

TEST_CASE("local_denies_where_nobody_knows_what_to_divide_until_the_limit_is_named") {
  const Garbage garbage;
  Segment segment = without(garbage, OnFailure::local, 2);
  Limiter unknown = segment.limiter("api");
  check_answer(unknown.try_acquire("k"), false);
  Limiter named = segment.limiter("api", Limit::per_hour(10));
  CHECK(named.try_acquire("k").remaining == 4);
  Limiter known = segment.limiter("api");
  CHECK(known.try_acquire("k").remaining == 3);
}

TEST_CASE("each_call_that_is_answered_without_a_segment_is_counted") {
  const Garbage garbage;
  for (const OnFailure what : {OnFailure::allow, OnFailure::deny, OnFailure::local}) {
    Segment segment = without(garbage, what);
    Limiter api = segment.limiter("api", Limit::per_second(5));
    CHECK(segment.fallback().calls == 0);
    for (int i = 0; i < 100; ++i) (void)api.try_acquire(std::to_string(i));
    const FallbackInfo info = segment.fallback();
    CHECK(info.active);
    CHECK(info.calls == 100);
    CHECK(info.why.find("not a librl segment") != std::string::npos);
    CHECK(std::chrono::system_clock::now() - info.since < 1h);
  }
}

TEST_CASE("A_a_forked_child_keeps_a_part_of_its_own_that_begins_as_its_parents_was") {
  const Garbage garbage;
  Segment segment = without(garbage, OnFailure::local, 2);
  Limiter api = segment.limiter("api", Limit::per_hour(10));
  Limiter uploads = segment.limiter("uploads", Limit::concurrency(4));
  for (int i = 0; i < 3; ++i) CHECK(api.try_acquire("k"));
  for (int round = 0; round < 2; ++round) {  // as the parent had it, each
    test::Child child([&] {
      int admitted = 0;
      for (int i = 0; i < 10; ++i) admitted += api.try_acquire("k") ? 1 : 0;
      const Permit one = uploads.permit("k");
      const Permit two = uploads.permit("k");
      if (admitted != 2 || !one || !two || uploads.permit("k")) throw 1;
    });
    CHECK(child.wait() == 0);
  }
  CHECK(api.try_acquire("k").remaining == 1);
  CHECK(uploads.peek_permit("k").remaining == 2);
}

}  // namespace
}  // namespace rl
