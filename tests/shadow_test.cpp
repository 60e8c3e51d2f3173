// Limits that do not decide: in shadow, switched off, removed; by every way to ask.
#include <doctest/doctest.h>

#include <array>
#include <string>
#include <string_view>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr const char* kLimits[] = {"1/s burst=3", "leaky 1/s queue=2 delay=2", "window 3/s",
                                   "sliding 3/s"};

struct Watched {
  explicit Watched(const char* limit = "1/s burst=3")
      : api(segment->limiter("api", Limit::parse(limit).shadow(true))),
        strict(segment->limiter("strict", Limit::parse(limit))) {
    segment->advance_clock(1h);
  }

  /// Uses all that passes at once, of both.
  void exhaust() {
    REQUIRE(api.try_acquire("k", 3).reason == Reason::ok);
    REQUIRE(strict.try_acquire("k", 3).reason == Reason::ok);
  }
  [[nodiscard]] std::uint64_t denied_count() { return segment->find("api", "k")->denied_count; }

  test::Scratch segment{SegmentOptions{.keys = 100, .clock = ClockSource::manual}};
  Limiter api;
  Limiter strict;
};

/// A call that a limit in shadow would have denied as the strict one did.
void check_watched(const Decision& watched, const Decision& strict) {
  CHECK(watched.allowed);
  CHECK(watched.reason == Reason::shadow);
  CHECK(watched.charged == 0);
  CHECK(watched.wait == 0ns);
  CHECK_FALSE(strict.allowed);
  CHECK(watched.retry_after == strict.retry_after);
  CHECK(watched.remaining == strict.remaining);
  CHECK(watched.limit == strict.limit);
}

TEST_CASE("a_limit_in_shadow_allows_what_it_would_deny_charges_nothing_and_says_when_it_passes") {
  for (const char* limit : kLimits) {
    CAPTURE(limit);
    Watched w(limit);
    w.exhaust();
    const std::uint64_t remaining = w.api.peek("k").remaining;
    check_watched(w.api.try_acquire("k"), w.strict.try_acquire("k"));
    check_watched(w.api.try_acquire("k", 1, Priority::low),
                  w.strict.try_acquire("k", 1, Priority::low));
    check_watched(w.api.try_acquire_at(w.segment->now(), "k"),
                  w.strict.try_acquire_at(w.segment->now(), "k"));
    check_watched(w.api.hold("k", 2), w.strict.hold("k", 2));
    CHECK(w.denied_count() == 4);
    check_watched(w.api.peek("k"), w.strict.peek("k"));
    CHECK(w.denied_count() == 4);
    CHECK(w.api.peek("k").remaining == remaining);
    // And when it says so, it passes by itself.
    w.segment->advance_clock(w.api.peek("k").retry_after);
    CHECK(w.api.try_acquire("k").reason == Reason::ok);
  }
}

TEST_CASE("a_cost_that_never_passes_passes_a_limit_in_shadow_and_says_that_it_never_would") {
  Watched w;
  const Decision d = w.api.try_acquire("k", 4);
  CHECK(d.allowed);
  CHECK(d.reason == Reason::shadow);
  CHECK(d.retry_after == kNever);
}

TEST_CASE("each_key_of_a_batch_is_watched_for_itself") {
  Watched w;
  const std::string_view keys[] = {"a", "b", "a", "", "a"};
  std::array<Decision, 5> told;
  w.api.try_acquire_batch(keys, told, 2);
  CHECK(told[0].reason == Reason::ok);
  CHECK(told[1].reason == Reason::ok);
  CHECK(told[2].reason == Reason::shadow);
  CHECK(told[2].allowed);
  CHECK(told[3].reason == Reason::invalid);
  CHECK(told[4].reason == Reason::shadow);
  CHECK(w.segment->find("api", "a")->denied_count == 2);
}

TEST_CASE("a_reservation_that_a_limit_in_shadow_would_deny_goes_ahead_at_once") {
  for (const char* limit : kLimits) {
    CAPTURE(limit);
    Watched w(limit);
    w.exhaust();
    const Instant now = w.segment->now();
    const Reservation r = w.api.reserve("k", 1, now);
    check_watched(r, w.strict.reserve("k", 1, now));
    CHECK(r.at == now);
    check_watched(w.api.acquire_for("k", 1, 0ns), w.strict.acquire_for("k", 1, 0ns));
    CHECK(w.denied_count() == 2);
  }
}

TEST_CASE("what_passed_in_shadow_has_nothing_to_be_refunded_or_settled") {
  Watched w;
  w.exhaust();
  Decision watched = w.api.try_acquire("k");
  CHECK_FALSE(w.api.refund("k", watched));
  Decision held = w.api.hold("k", 1);
  CHECK_FALSE(w.api.settle("k", held, 3));
  CHECK(w.api.peek("k").remaining == 0);
  CHECK(w.api.peek("k").reset_after == w.strict.peek("k").reset_after);
}

TEST_CASE("charges_count_in_shadow_as_ever") {
  Watched w;
  w.exhaust();
  const Decision charged = w.api.charge("k", 2);
  const Decision strict = w.strict.charge("k", 2);
  CHECK(charged.allowed);
  CHECK(charged.reason == Reason::ok);
  CHECK(charged.retry_after == strict.retry_after);
  CHECK(charged.reset_after == strict.reset_after);
  CHECK(charged.cost == 2);
  CHECK(w.api.set_remaining("k", 2));
  CHECK(w.api.try_acquire("k", 2).reason == Reason::ok);
}

TEST_CASE("a_limit_in_shadow_never_denies_the_others_and_is_charged_if_it_would_allow") {
  Watched w;
  Limiter other = w.segment->limiter("other", Limit::per_second(5));
  CHECK(all_of({{w.api, "k", 2}, {other, "k"}}).decision.reason == Reason::ok);
  CHECK(w.api.peek("k").remaining == 1);
  AllOf all = all_of({{w.api, "k", 2}, {other, "k"}});
  CHECK(all);
  CHECK(all.each[0].reason == Reason::shadow);
  CHECK(all.each[1].reason == Reason::ok);
  CHECK(w.api.peek("k").remaining == 1);
  CHECK(other.peek("k").remaining == 3);
  CHECK(w.denied_count() == 1);
  CHECK(refund({{w.api, "k", 2}, {other, "k"}}, all));
  CHECK(w.api.peek("k").remaining == 1);
  CHECK(other.peek("k").remaining == 4);
  // Where another denies, what this one would have said is counted all the same.
  all = all_of({{w.api, "k", 2}, {other, "k", 5}});
  CHECK_FALSE(all);
  CHECK(all.which == 1);
  CHECK(w.denied_count() == 2);
}

TEST_CASE("a_list_whose_first_limit_watches_denies_by_the_second") {
  Watched w;
  Limiters list = w.segment->limiters("list", Limits::parse("1/s burst=2 shadow, 3/h"));
  CHECK(list.try_acquire("k", 2));
  const AllOf watched = list.try_acquire("k");
  CHECK(watched);
  CHECK(watched.decision.reason == Reason::shadow);
  const AllOf denied = list.try_acquire("k");
  CHECK_FALSE(denied);
  CHECK(denied.which == 1);
}

TEST_CASE("a_key_without_room_passes_a_limit_in_shadow") {
  test::Scratch segment({.keys = 16, .clock = ClockSource::manual});
  Limiter strict = segment->limiter("strict", Limit::parse("1/d when_full=deny"));
  Limiter watched = segment->limiter("watched", Limit::parse("1/d when_full=deny shadow"));
  for (int i = 0; i < 200; ++i) (void)strict.try_acquire("key" + std::to_string(i));
  int without_room = 0;
  for (int i = 0; i < 200; ++i) {
    const Decision d = watched.try_acquire("other" + std::to_string(i));
    REQUIRE(d.allowed);
    without_room += d.reason == Reason::shadow ? 1 : 0;
    CHECK((d.reason == Reason::ok || d.retry_after > 0ns));
  }
  CHECK(without_room > 100);
}

TEST_CASE("of_a_list_that_was_made_shorter_what_is_in_force_is_told") {
  Watched w;
  Limiters list = w.segment->limiters("list", Limits::parse("1/s burst=2, 3/h"));
  w.segment->set_policy("list", Limits::parse("1/s burst=2"));
  const AllOf all = list.try_acquire("k");
  CHECK(all.which == 0);
  CHECK(all.decision.remaining == 1);
  CHECK(all.each[1].reason == Reason::off);
  CHECK(list.try_acquire("k"));
  CHECK_FALSE(list.try_acquire("k"));
}

/// All ways to ask of a limit that does not decide: each passes, and charges nothing.
void check_that_all_pass(Segment& segment, Limiter& api) {
  const auto passes = [](const Decision& d) {
    CHECK(d.allowed);
    CHECK(d.reason == Reason::off);
    CHECK(d.charged == 0);
    CHECK(d.wait == 0ns);
    CHECK(d.retry_after == 0ns);
    CHECK(d.limit == 0);
    CHECK(d.remaining == 0);
  };
  passes(api.try_acquire("k", 9));
  passes(api.try_acquire("k", 9, Priority::low));
  passes(api.try_acquire_at(segment.now(), "k", 9));
  passes(api.peek("k", 9));
  passes(api.charge("k", 9));
  const Reservation r = api.reserve("k", 9, segment.now());
  passes(r);
  CHECK(r.at == segment.now());
  passes(api.acquire_for("k", 9, 0ns));
  Decision held = api.hold("k", 9);
  passes(held);
  CHECK_FALSE(api.settle("k", held, 20));
  const std::string_view keys[] = {"k", "new"};
  std::array<Decision, 2> told;
  api.try_acquire_batch(keys, told, 9);
  for (const Decision& d : told) passes(d);
  Limiter other = segment.limiter("other", Limit::per_second(5));
  CHECK(all_of({{api, "k", 9}, {other, "k"}}));
  CHECK(api.try_acquire("", 1).reason == Reason::invalid);
  CHECK(api.try_acquire("k", 0).reason == Reason::invalid);
}

TEST_CASE("while_limits_are_off_every_way_to_ask_passes_and_charges_nothing") {
  for (const char* limit : kLimits) {
    CAPTURE(limit);
    Watched w(limit);
    Decision first = w.strict.hold("k", 1);
    Decision second = w.strict.hold("k", 2);
    const auto reset_after = w.strict.peek("k").reset_after;
    CHECK(w.segment->switch_limits(false));
    check_that_all_pass(*w.segment, w.strict);
    CHECK(w.segment->info().off_allowed == 11);  // but not what was only peeked at
    CHECK(w.segment->switch_limits(true));
    CHECK(w.strict.peek("k").reset_after == reset_after);
    // What was charged before can be given back while they are off; more is not charged.
    CHECK(w.segment->switch_limits(false));
    CHECK(w.strict.settle("k", second, 1));
    CHECK(w.strict.settle("k", first, 3));
    CHECK(w.segment->switch_limits(true));
    CHECK(w.strict.peek("k").remaining == 1);
    Decision taken = w.strict.try_acquire("k");
    CHECK(w.segment->switch_limits(false));
    CHECK(w.strict.refund("k", taken));
    CHECK(w.segment->switch_limits(true));
    CHECK(w.strict.peek("k").remaining == 1);
    CHECK(w.segment->switch_limits(false));
    CHECK(w.strict.set_remaining("k", 2));
    CHECK(w.segment->switch_limits(true));
    CHECK(w.strict.peek("k").remaining == 2);
    CHECK(w.segment->switch_limits(false));
    CHECK(w.strict.reset("k"));
    CHECK(w.segment->switch_limits(true));
    CHECK(w.strict.peek("k").remaining == 3);
  }
}

TEST_CASE("a_removed_policy_lets_every_way_to_ask_pass_and_charges_nothing") {
  for (const char* limit : kLimits) {
    CAPTURE(limit);
    Watched w(limit);
    Decision taken = w.strict.try_acquire("k", 2);
    Decision held = w.strict.hold("k", 1);
    CHECK(w.segment->remove_policy("strict"));
    check_that_all_pass(*w.segment, w.strict);
    CHECK(w.strict.settle("k", held, 3));
    CHECK_FALSE(w.strict.refund("k", taken));
    CHECK_FALSE(w.strict.set_remaining("k", 1));
    // Its keys begin anew under the next limit of the name.
    w.segment->set_policy("strict", Limit::parse(limit));
    CHECK(w.strict.try_acquire("k", 3).reason == Reason::ok);
    CHECK(w.segment->info().off_allowed == 0);
  }
}

}  // namespace
}  // namespace rl
