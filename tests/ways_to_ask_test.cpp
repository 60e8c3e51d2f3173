// Charges, reservations, holds and an operator's word through rl::Limiter, on a clock turned by
// hand.
#include <doctest/doctest.h>

#include <array>
#include <thread>

#include <rl/limiter.hpp>

#include "shm/policies.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLimits[] = {"10/s", "leaky 10/s queue=9 delay=9", "window 10/s",
                                   "sliding 10/s"};

SegmentOptions by_hand(std::uint64_t keys = 100) {
  return {.keys = keys, .clock = ClockSource::manual};
}

/// A limiter on a segment of its own, at the beginning of a second.
struct Bench {
  explicit Bench(const Limit& limit, const SegmentOptions& options = by_hand())
      : segment(options), api(segment->limiter("api", limit)) {
    segment->advance_clock(100s);
  }
  [[nodiscard]] Instant in(std::chrono::nanoseconds ns) { return segment->now() + ns; }
  test::Scratch segment;
  Limiter api;
};

// --- charge -------------------------------------------------------------------------------------

TEST_CASE("a_charge_goes_into_debt_that_time_works_off") {
  Bench bench(Limit::per_second(10).burst(3));
  const Decision d = bench.api.charge("k", 5);
  CHECK(d);
  CHECK(d.reason == Reason::ok);
  CHECK(d.limit == 3);
  CHECK(d.cost == 5);
  CHECK(d.remaining == 0);
  CHECK(d.wait == 0ns);
  CHECK(d.reset_after == 500ms);
  CHECK(d.retry_after == 300ms);
  CHECK(bench.api.peek("k").retry_after == 300ms);
  bench.segment->advance_clock(d.retry_after - 1ns);
  CHECK_FALSE(bench.api.try_acquire("k"));
  bench.segment->advance_clock(1ns);
  CHECK(bench.api.try_acquire("k"));
}

TEST_CASE("a_charge_within_the_limit_is_as_a_call") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    const Decision d = bench.api.charge("k", 4);
    CHECK(d.remaining == 6);
    CHECK(d.retry_after == 0ns);
    CHECK(bench.api.peek("k").remaining == 6);
    CHECK(bench.segment->find("api", "k")->allowed_count == 1);
    CHECK(bench.api.try_acquire("k", 6));
    CHECK_FALSE(bench.api.try_acquire("k"));
  }
}

TEST_CASE("what_a_window_is_charged_above_its_limit_ends_with_it") {
  Bench fixed(Limit::fixed_window(10, 1s));
  CHECK(fixed.api.charge("k", 25).remaining == 0);
  CHECK(fixed.api.charge("k", 1).retry_after == 1s);
  fixed.segment->advance_clock(1s);
  CHECK(fixed.api.peek("k").remaining == 10);
  Bench sliding(Limit::sliding_window(10, 1s));
  CHECK(sliding.api.charge("k", 20).retry_after == 1s + 550ms);  // then 9 of the 20 weigh still
  sliding.segment->advance_clock(1s + 550ms);
  CHECK(sliding.api.try_acquire("k"));
}

TEST_CASE("what_lies_beyond_the_horizon_is_forgiven_and_said_so") {
  Bench bench(Limit::per_second(1).burst(2));
  Decision d = bench.api.charge("k", 5'000);
  CHECK(d);
  CHECK(d.cost == 3'602);  // the burst, and an hour more
  CHECK(d.reset_after == 3'602s);
  Decision more = bench.api.charge("k", 1);
  CHECK(more);
  CHECK(more.cost == 0);
  CHECK_FALSE(bench.api.refund("k", more));
  CHECK(bench.api.refund("k", d));
  CHECK(bench.api.peek("k").reset_after == 0ns);
}

TEST_CASE("a_charge_is_given_back_like_a_call") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK(bench.api.try_acquire("k", 2));
    Decision d = bench.api.charge("k", 30);
    CHECK(bench.api.refund("k", d));
    CHECK_FALSE(bench.api.refund("k", d));
    CHECK(bench.api.peek("k").remaining == 8);
  }
}

TEST_CASE("a_charge_that_finds_no_room_is_decided_by_when_full") {
  for (const WhenFull rule : {WhenFull::allow, WhenFull::deny}) {
    Bench bench(Limit::per_hour(2).when_full(rule));
    std::uint64_t full = 0;
    for (int i = 0; i < 1'000; ++i) {
      Decision d = bench.api.charge("k" + std::to_string(i), 7);
      if (d.reason != Reason::full) continue;
      ++full;
      CHECK(d.allowed == (rule == WhenFull::allow));
      CHECK(d.charged == 0);
      CHECK_FALSE(bench.api.settle("k" + std::to_string(i), d, 1));
      CHECK_FALSE(bench.api.set_remaining("k" + std::to_string(i), 1));
      CHECK(bench.api.reserve("k" + std::to_string(i), 1, bench.in(1h)).wait == 0ns);
    }
    CHECK(full > 500);
    const SegmentInfo info = bench.segment->info();
    CHECK((rule == WhenFull::allow ? info.full_allowed : info.full_denied) == 2 * full);
  }
}

// --- reserve ------------------------------------------------------------------------------------

TEST_CASE("each_reservation_has_an_instant_of_its_own_in_the_order_of_the_calls") {
  Bench bench(Limit::per_second(10).burst(2));
  const Instant now = bench.segment->now();
  for (const auto wait : {0ms, 0ms, 100ms, 200ms, 300ms}) {
    const Reservation r = bench.api.reserve("k", 1, now + 300ms);
    CHECK(r);
    CHECK(r.wait == wait);
    CHECK(r.at == now + wait);
    CHECK(r.reset_after == 200ms + (wait > 0ms ? wait : r.reset_after - 200ms));
  }
  const Reservation late = bench.api.reserve("k", 1, now + 400ms - 1ns);
  CHECK_FALSE(late);
  CHECK(late.reason == Reason::limited);
  CHECK(late.retry_after == 400ms);
  CHECK(late.at == now + 400ms);
  CHECK(late.wait == 0ns);
  const Reservation two = bench.api.reserve("k", 2, now + 500ms);
  CHECK(two.at == now + 500ms);
  CHECK(bench.api.reserve("l", 1, now).wait == 0ns);
}

TEST_CASE("who_only_tries_does_not_overtake_who_has_reserved") {
  Bench bench(Limit::per_second(10).burst(1));
  CHECK(bench.api.try_acquire("k"));
  const Reservation r = bench.api.reserve("k", 1, bench.in(1s));
  CHECK(r.wait == 100ms);
  CHECK(bench.api.try_acquire("k").retry_after == 200ms);
  bench.segment->advance_clock(100ms);
  CHECK_FALSE(bench.api.try_acquire("k"));  // this instant is the other's
  bench.segment->advance_clock(100ms);
  CHECK(bench.api.try_acquire("k"));
}

TEST_CASE("a_denied_reservation_charges_nothing") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK_FALSE(bench.api.reserve("new", 11, bench.in(1h)));
    CHECK(bench.api.reserve("new", 11, bench.in(1h)).reason == Reason::never);
    CHECK(bench.api.reserve("new", 11, bench.in(1h)).at == Instant{});
    CHECK_FALSE(bench.segment->find("api", "new"));
    CHECK(bench.api.try_acquire("k", 9));
    CHECK_FALSE(bench.api.reserve("k", 2, bench.in(0s)));
    CHECK(bench.api.peek("k").remaining == 1);
  }
}

TEST_CASE("with_a_deadline_that_is_past_a_reservation_passes_now_or_not_at_all") {
  Bench bench(Limit::per_second(10).burst(1));
  CHECK(bench.api.reserve("k", 1, bench.in(-1s)));
  CHECK_FALSE(bench.api.reserve("k", 1, bench.in(-1s)));
  CHECK_FALSE(bench.api.reserve("k", 1, Instant::min()));
  CHECK(bench.api.reserve("k", 1, Instant::max()));
}

TEST_CASE("a_line_is_no_longer_than_a_debt_may_be") {
  Bench bench(Limit::per_hour(1).burst(1));
  CHECK(bench.api.reserve("k", 1, Instant::max()).wait == 0h);
  CHECK(bench.api.reserve("k", 1, Instant::max()).wait == 1h);
  const Reservation r = bench.api.reserve("k", 1, Instant::max());
  CHECK_FALSE(r);
  CHECK(r.reason == Reason::limited);
  CHECK(r.retry_after == 2h);
}

TEST_CASE("a_leaky_buckets_queue_is_its_line") {
  Bench bench(Limit::leaky(10, 1s, 3));
  for (const auto wait : {0ms, 100ms, 200ms}) {
    CHECK(bench.api.reserve("k", 1, bench.in(200ms)).wait == wait);
  }
  const Reservation impatient = bench.api.reserve("k", 1, bench.in(200ms));
  CHECK_FALSE(impatient);
  CHECK(impatient.retry_after == 300ms);
  CHECK(bench.api.try_acquire("k").wait == 300ms);
  CHECK_FALSE(bench.api.reserve("k", 1, Instant::max()));
}

TEST_CASE("a_window_has_no_line_to_stand_in") {
  for (const Limit& limit : {Limit::fixed_window(2, 1s), Limit::sliding_window(2, 1s)}) {
    CAPTURE(limit.to_string());
    Bench bench(limit);
    const Reservation r = bench.api.reserve("k", 2, bench.in(1h));
    CHECK(r.wait == 0ns);
    CHECK(r.at == bench.segment->now());
    const Reservation denied = bench.api.reserve("k", 1, bench.in(1h));
    CHECK_FALSE(denied);
    CHECK(denied.at == bench.segment->now() + denied.retry_after);
    bench.segment->advance_clock(denied.retry_after);
    CHECK(bench.api.reserve("k", 1, bench.in(0s)));
  }
}

TEST_CASE("a_reservation_is_cancelled_while_nobody_stands_behind_it") {
  for (const Limit& limit : {Limit::per_second(10).burst(1), Limit::leaky(10, 1s, 9)}) {
    CAPTURE(limit.to_string());
    Bench bench(limit);
    CHECK(bench.api.try_acquire("k"));
    Reservation first = bench.api.reserve("k", 1, bench.in(1s));
    Reservation second = bench.api.reserve("k", 1, bench.in(1s));
    CHECK(second.wait == 200ms);
    CHECK_FALSE(bench.api.refund("k", first));
    CHECK(bench.api.refund("k", second));
    CHECK_FALSE(bench.api.refund("k", second));
    CHECK_FALSE(bench.api.refund("k", first));  // it was emptied by the first attempt
    CHECK(bench.api.reserve("k", 1, bench.in(1s)).wait == 200ms);
  }
}

// --- acquire_for --------------------------------------------------------------------------------

TEST_CASE("acquire_for_with_no_time_tries") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK(bench.api.acquire_for("k", 10, 0s));
    CHECK_FALSE(bench.api.acquire_for("k", 1, 0s));
    CHECK_FALSE(bench.api.acquire_for("k", 1, -1s));
    CHECK_FALSE(bench.api.acquire_for("k", 1, std::chrono::nanoseconds::min()));
    CHECK(bench.api.acquire_for("k", 11, 1h).reason == Reason::never);
  }
}

TEST_CASE("acquire_for_denies_at_once_and_charges_nothing_when_the_turn_would_come_too_late") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK(bench.api.try_acquire("k", 10));
    const Decision d = bench.api.acquire_for("k", 10, 100ms);  // on a clock that stands still
    CHECK_FALSE(d);
    CHECK(d.reason == Reason::limited);
    CHECK(d.retry_after > 100ms);
    CHECK(bench.api.peek("k").remaining == 0);
  }
}

TEST_CASE("A_acquire_for_returns_when_the_clock_says_so_and_not_before") {
  for (const char* text : {"10/s burst=1", "leaky 10/s queue=9", "window 1/s", "sliding 1/s"}) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK(bench.api.try_acquire("k"));
    const Decision denied = bench.api.reserve("k", 1, bench.in(0s));
    const Instant turn = bench.segment->now() + denied.retry_after;
    std::atomic<bool> is_over{false};
    Decision d;
    Instant called;
    Instant woken;
    std::thread waiter([&] {
      called = bench.segment->now();
      d = bench.api.acquire_for("k", 1, 5s);
      woken = bench.segment->now();
      is_over = true;
    });
    while (!is_over) {  // however often it looks meanwhile
      bench.segment->advance_clock(denied.retry_after / 10);
      std::this_thread::yield();
    }
    waiter.join();
    CHECK(d.allowed);
    CHECK(woken >= turn);
    CHECK(woken >= called + d.wait);
  }
}

TEST_CASE("A_on_the_real_clock_acquire_for_comes_at_its_instant_or_later") {
  for (const char* text : {"200/s burst=1", "leaky 200/s queue=9", "window 1/5ms"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100});
    Limiter api = segment->limiter("api", Limit::parse(text));
    const Instant began = segment->now();
    for (int i = 0; i < 20; ++i) {
      const Instant called = segment->now();
      const Decision d = api.acquire_for("k", 1, 10s);
      REQUIRE(d);
      REQUIRE(segment->now() >= called + d.wait);
    }
    CHECK(segment->now() - began >= 18 * 5ms);
  }
}

TEST_CASE("P_a_clock_that_somebody_sets_back_does_not_hold_up_who_waits") {
  test::Scratch segment({.keys = 100});
  if (segment->info().clock != ClockSource::tsc) {
    test::skip("the segment's clock has no word to scribble on");
    return;
  }
  const shm::Mapping mapping = shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
  const auto set_clock = [&](std::chrono::nanoseconds ns) {
    mapping.header().boottime_offset_ns.store(
        static_cast<std::uint64_t>(ns.count()) - shm::read_boottime_ns(),
        std::memory_order_relaxed);
  };
  set_clock(1h);
  Limiter api = segment->limiter("api", Limit::per_second(5).burst(1));
  CHECK(api.try_acquire("k"));
  std::atomic<bool> is_over{false};
  std::thread waiter([&] {
    (void)api.acquire_for("k", 1, 1h);
    is_over = true;
  });
  while (api.peek("k").retry_after < 201ms && !is_over) std::this_thread::yield();
  const std::uint64_t began = shm::read_boottime_ns();
  set_clock(1s);
  waiter.join();
  CHECK(shm::read_boottime_ns() - began < 12'000'000'000);
}

TEST_CASE("P_a_manual_clock_that_nobody_moves_is_not_waited_for") {
  for (const char* text : {"10/s burst=1", "leaky 10/s queue=9", "window 1/s"}) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK(bench.api.try_acquire("k"));
    const auto owed = bench.api.peek("k").reset_after;
    Decision d = bench.api.acquire_for("k", 1, 1s);
    CHECK_FALSE(d);
    CHECK(d.reason == Reason::limited);
    CHECK(d.wait == 0ns);
    CHECK(d.charged == 0);
    CHECK(bench.api.peek("k").reset_after == owed);
  }
}

// --- hold and settle
// ------------------------------------------------------------------------------

TEST_CASE("a_hold_is_settled_once_with_what_the_work_really_cost") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    for (const std::uint64_t actual : {6U, 2U, 0U, 9U}) {
      CAPTURE(actual);
      const std::uint64_t left = 10 - actual;
      Decision held = bench.api.hold("k", 6);
      REQUIRE(held);
      CHECK(bench.api.settle("k", held, actual));
      CHECK(bench.api.peek("k").remaining == left);
      CHECK_FALSE(bench.api.settle("k", held, actual + 1));
      CHECK_FALSE(bench.api.refund("k", held));
      CHECK(bench.api.peek("k").remaining == left);
      CHECK(bench.api.reset("k") == (actual != 0 || bench.segment->find("api", "k")));
    }
    Decision held = bench.api.hold("k", 6);
    CHECK(bench.api.settle("k", held, 30));
    CHECK(bench.api.peek("k").remaining == 0);
    CHECK(bench.segment->find("api", "k")->allowed_count <= 6);  // a settlement is no call
  }
}

TEST_CASE("a_hold_that_time_has_paid_gives_nothing_back") {
  Bench bench(Limit::per_second(10).burst(10));
  Decision held = bench.api.hold("k", 10);
  bench.segment->advance_clock(900ms);
  CHECK(bench.api.settle("k", held, 0));
  CHECK(bench.api.peek("k").remaining == 10);
  CHECK(bench.api.try_acquire("k", 10));
  CHECK_FALSE(bench.api.try_acquire("k"));
}

TEST_CASE("a_denied_hold_settles_nothing") {
  Bench bench(Limit::per_second(10));
  CHECK(bench.api.try_acquire("k", 5));
  Decision held = bench.api.hold("k", 6);
  CHECK_FALSE(held);
  CHECK_FALSE(bench.api.settle("k", held, 3));
  Decision never = bench.api.hold("k", 11);
  CHECK_FALSE(bench.api.settle("k", never, 3));
  Decision none;
  CHECK_FALSE(bench.api.settle("k", none, 3));
  CHECK(bench.api.peek("k").remaining == 5);
}

TEST_CASE("a_refunded_hold_cannot_be_settled") {
  Bench bench(Limit::per_second(10));
  Decision held = bench.api.hold("k", 6);
  CHECK(bench.api.refund("k", held));
  CHECK_FALSE(bench.api.settle("k", held, 9));
  CHECK(bench.api.peek("k").remaining == 10);
}

TEST_CASE("a_reservation_is_settled_like_a_hold_while_nobody_stands_behind_it") {
  Bench bench(Limit::per_second(10).burst(4));
  CHECK(bench.api.try_acquire("k", 4));
  Reservation last = bench.api.reserve("k", 4, bench.in(1s));
  CHECK(bench.api.settle("k", last, 1));
  CHECK(bench.api.peek("k").reset_after == 500ms);
  Reservation first = bench.api.reserve("k", 2, bench.in(1s));
  CHECK(bench.api.reserve("k", 1, bench.in(1s)));
  CHECK(bench.api.settle("k", first, 1));  // settled, but nothing moves
  CHECK(bench.api.peek("k").reset_after == 800ms);
}

// --- set_remaining
// --------------------------------------------------------------------------------

TEST_CASE("set_remaining_makes_so_many_left_of_whatever_there_was") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK(bench.api.charge("k", 15));
    for (const std::uint64_t left : {4U, 9U, 0U, 10U, 1U}) {
      CHECK(bench.api.set_remaining("k", left));
      CHECK(bench.api.peek("k").remaining == left);
      CHECK(bench.api.try_acquire("k", left == 0 ? 1 : left).allowed == (left != 0));
      CHECK_FALSE(bench.api.try_acquire("k"));
    }
    CHECK(bench.api.set_remaining("k", ~0ULL));
    CHECK(bench.segment->find("api", "k")->idle);
    CHECK(bench.segment->find("api", "k")->denied_count == 6);  // an operator's word is no call
  }
}

TEST_CASE("set_remaining_gives_a_key_a_slot_only_if_something_is_to_be_kept") {
  for (const char* text : kLimits) {
    CAPTURE(text);
    Bench bench(Limit::parse(text));
    CHECK(bench.api.set_remaining("all", 10));
    CHECK(bench.api.set_remaining("more", 11));
    CHECK(bench.segment->info().live + bench.segment->info().idle == 0);
    CHECK(bench.api.set_remaining("some", 3));
    CHECK(bench.segment->find("api", "some")->remaining == 3);
    CHECK(bench.segment->find("api", "some")->key == "some");
  }
}

// --- what makes no sense
// --------------------------------------------------------------------------

TEST_CASE("an_empty_key_and_a_cost_of_0_ask_nothing") {
  Bench bench(Limit::per_second(10));
  Limiter& api = bench.api;
  const Instant later = bench.in(1s);
  for (const Decision& d :
       {api.charge("", 1), api.charge("k", 0), static_cast<Decision>(api.reserve("", 1, later)),
        static_cast<Decision>(api.reserve("k", 0, later)), api.acquire_for("", 1, 1s),
        api.acquire_for("k", 0, 1s), api.hold("", 1), api.hold("k", 0)}) {
    CHECK_FALSE(d);
    CHECK(d.reason == Reason::invalid);
    CHECK(d.charged == 0);
  }
  CHECK_FALSE(api.set_remaining("", 1));
  Decision held = api.hold("k", 3);
  CHECK_FALSE(api.settle("", held, 1));
  CHECK_FALSE(api.settle("k", held, 1));  // it was emptied
  CHECK(api.peek("k").remaining == 7);
}

TEST_CASE("a_read_only_segment_takes_no_question_that_changes_it") {
  Bench bench(Limit::per_second(10));
  Decision held = bench.api.hold("k", 3);
  Segment reader = Segment::open_read_only(bench.segment.name());
  Limiter api = reader.limiter("api");
  CHECK(api.charge("k", 1).reason == Reason::invalid);
  CHECK(api.reserve("k", 1, bench.in(1s)).reason == Reason::invalid);
  CHECK(api.acquire_for("k", 1, 1s).reason == Reason::invalid);
  CHECK(api.hold("k", 1).reason == Reason::invalid);
  CHECK_FALSE(api.set_remaining("k", 1));
  CHECK_FALSE(api.settle("k", held, 1));
  CHECK(bench.api.peek("k").remaining == 7);
}

TEST_CASE("what_another_policy_charged_is_settled_and_refunded_there") {
  Bench bench(Limit::per_second(10));
  Limiter other = bench.segment->limiter("other", Limit::per_second(10));
  Decision held = bench.api.hold("k", 6);
  Decision same = held;
  CHECK(other.hold("k", 6));
  CHECK_FALSE(other.settle("k", held, 1));
  CHECK_FALSE(other.refund("k", same));
  CHECK(other.peek("k").remaining == 4);
  CHECK(bench.api.peek("k").remaining == 4);
}

TEST_CASE("a_key_that_came_under_another_policy_is_asked_by_its_rules") {
  Bench bench(Limit::per_second(10));
  (void)bench.segment->limiter("slow", Limit::leaky(1, 1s, 4));
  Decision held = bench.api.hold("k", 1);
  {
    const shm::Mapping mapping =
        shm::Mapping::attach(bench.segment.path(), shm::Access::read_write, false);
    const shm::Table<shm::Slot> table = mapping.table();
    for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
      const shm::SlotWords words = table.slot(i).words();
      if (!shm::is_member(words.tag)) continue;
      REQUIRE(table.slot(i).compare_exchange(
          words, {shm::make_tag(shm::identity_of(words.tag), 2), words.state}));
    }
  }
  CHECK_FALSE(bench.api.refund("k", held));
  CHECK(bench.api.set_remaining("k", 5));
  CHECK(bench.segment->find("api", "k")->policy == "slow");
  Decision d = bench.api.charge("k", 2);
  CHECK(d.policy == 2);
  CHECK(d.limit == 5);
  CHECK(d.remaining == 3);
  CHECK_FALSE(bench.api.refund("k", d));
  CHECK(bench.api.reserve("k", 1, bench.in(2s)).wait == 2s);
  CHECK(bench.api.reserve("k", 1, bench.in(2s)).retry_after == 3s);
}

}  // namespace
}  // namespace rl
