// Leases of a hot key: what they admit to the nanosecond, what they give back, and what they leave to
// ordinary calls.
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "tests/limited.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kTokens = 32;
constexpr const char* kWithoutLine[] = {"1/h burst=100", "window 100/h", "sliding 100/h"};

struct Leased : test::Limited {
  explicit Leased(std::string_view limit = "1000/s burst=100") : Limited(limit) {}
  [[nodiscard]] TokenLease lease(std::chrono::nanoseconds length = 10ms) {
    return {api, "hot", kTokens, length};
  }
  [[nodiscard]] std::uint64_t left() { return api.peek("hot").remaining; }
  [[nodiscard]] PolicyTotals totals() { return segment->totals().policies.front(); }
};

/// Calls until one is denied; returns how many were not.
std::uint64_t drain(TokenLease& lease) {
  std::uint64_t admitted = 0;
  while (lease.try_acquire()) ++admitted;  // ends: the clock stands still
  return admitted;
}

TEST_CASE("A_a_holder_is_admitted_all_but_one_token_of_a_lease_beyond_the_limit_and_no_more") {
  Leased l;
  TokenLease lease = l.lease(100ms);
  CHECK(lease.try_acquire());
  // As late as can be: time has given back by now what the lease has taken.
  l.segment->advance_clock(100ms - 1ns);
  CHECK(l.left() == 100);
  CHECK(drain(lease) == 100 + kTokens - 1);
  CHECK_FALSE(l.api.try_acquire("hot"));
  l.segment->advance_clock(1ns);
  CHECK_FALSE(lease.try_acquire());
}

TEST_CASE("A_two_holders_are_admitted_as_much_more_each") {
  Leased l;
  TokenLease one = l.lease(100ms);
  TokenLease other = l.lease(100ms);
  CHECK(one.try_acquire());
  CHECK(other.try_acquire());
  l.segment->advance_clock(100ms - 1ns);
  const std::uint64_t admitted = drain(one) + drain(other);
  CHECK(admitted == 100 + 2 * (kTokens - 1));
}

TEST_CASE("A_a_short_lease_that_is_spent_admits_no_more_than_a_window_that_is_longer_by_it") {
  Leased l;
  TokenLease lease = l.lease(10ms);
  CHECK(lease.try_acquire());
  l.segment->advance_clock(10ms - 1ns);
  // A of 10 ms is 110: one call was at the beginning, and the last token is still to come.
  CHECK(drain(lease) == 110 - 2);
}

TEST_CASE("A_a_lease_is_over_to_the_nanosecond_and_gives_back_what_is_left_and_still_owed") {
  Leased l;
  TokenLease lease = l.lease(10ms);
  Decision d = lease.try_acquire();
  CHECK(d.remaining == 99);
  l.segment->advance_clock(10ms - 1ns);
  d = lease.try_acquire();
  CHECK(d.remaining == 98);  // as it was when the lease was taken
  CHECK(l.totals().refunds == 0);
  l.segment->advance_clock(1ns);
  d = lease.try_acquire();
  CHECK(l.totals().refunds == 1);
  // Ten of 32 are back by time, the others at once; and one of the next lease is spent.
  CHECK(d.remaining == 99);
  CHECK(l.left() == 100 - kTokens);
}

TEST_CASE("A_what_is_given_back_early_leaves_what_was_spent") {
  for (const char* limit : kWithoutLine) {
    CAPTURE(limit);
    Leased l(limit);
    {
      TokenLease lease = l.lease();
      for (int i = 0; i < 5; ++i) CHECK(lease.try_acquire());
      CHECK(l.left() == 100 - kTokens);
      CHECK(lease.give_back() == kTokens - 5);
      CHECK(l.left() == 95);
      CHECK(lease.give_back() == 0);
      CHECK(l.left() == 95);
      CHECK(lease.try_acquire(3));
    }
    CHECK(l.left() == 92);  // at the end of its life, too
  }
}

TEST_CASE("A_three_holders_get_the_limit_of_every_algorithm_to_the_last_call") {
  for (const char* limit : kWithoutLine) {
    CAPTURE(limit);
    Leased l(limit);
    std::vector<TokenLease> leases;
    for (int i = 0; i < 3; ++i) leases.push_back(l.lease());
    std::uint64_t admitted = 0;
    for (int i = 0; i < 150; ++i)
      admitted += leases[static_cast<std::size_t>(i % 3)].try_acquire() ? 1 : 0;
    CHECK(admitted == 100);
    CHECK(l.totals().allowed == 100);
    CHECK(l.totals().denied == 50);
  }
}

TEST_CASE("A_nobody_is_denied_what_a_limit_has_that_is_smaller_than_a_lease") {
  Leased l("1/h burst=5");
  TokenLease lease = l.lease();
  for (std::uint64_t left = 5; left-- != 0;) {
    const Decision d = lease.try_acquire();
    CHECK(d.allowed);
    CHECK(d.remaining == left);
  }
  const Decision d = lease.try_acquire();
  CHECK(d.reason == Reason::limited);
  CHECK(d.retry_after == l.api.peek("hot").retry_after);
  CHECK(lease.try_acquire(6).reason == Reason::never);
  CHECK(l.totals().allowed == 5);
  CHECK(l.totals().denied == 2);  // what could not be taken ahead is no denial
}

TEST_CASE("A_each_call_counts_in_the_totals_and_each_lease_beside_the_key") {
  Leased l;
  TokenLease lease = l.lease();
  for (std::uint64_t i = 0; i < 2 * kTokens; ++i) CHECK(lease.try_acquire());
  CHECK(l.totals().allowed == 2 * kTokens);
  CHECK(l.totals().refunds == 0);
  CHECK(l.segment->find("api", "hot")->allowed_count == 2);
}

TEST_CASE("a_call_that_costs_more_than_is_left_gives_that_back_and_takes_another_lease") {
  Leased l("1/h burst=100");
  TokenLease lease = l.lease();
  CHECK(lease.try_acquire(30));
  CHECK(lease.try_acquire(5).remaining == 65);
  CHECK(l.left() == 100 - 30 - kTokens);
  CHECK(lease.give_back() == kTokens - 5);
  CHECK(l.left() == 65);
}

TEST_CASE("a_call_of_no_less_than_a_lease_is_an_ordinary_one_and_can_be_refunded") {
  Leased l("1/h burst=100");
  TokenLease lease = l.lease();
  for (const std::uint64_t cost : {kTokens, kTokens + 1}) {
    Decision d = lease.try_acquire(cost);
    CHECK(d.allowed);
    CHECK(l.left() == 100 - cost);
    CHECK(l.api.refund("hot", d));
    CHECK(l.left() == 100);
  }
  Decision leased = lease.try_acquire();
  CHECK_FALSE(l.api.refund("hot", leased));
  CHECK(lease.try_acquire(0).reason == Reason::invalid);
  CHECK(l.left() == 100 - kTokens);
}

TEST_CASE("a_line_gives_each_call_its_own_instant_also_of_an_override") {
  for (const bool is_override : {false, true}) {
    Leased l(is_override ? "1000/s burst=100" : "leaky 1/s queue=39");
    if (is_override) l.segment->set_override("api", "hot", Limit::parse("leaky 1/s queue=39"));
    TokenLease lease = l.lease();
    for (int i = 0; i < 40; ++i) {
      const Decision d = lease.try_acquire();
      CHECK(d.allowed);
      CHECK(d.wait == i * 1s);
    }
    CHECK_FALSE(lease.try_acquire());
    CHECK(lease.give_back() == 0);
    CHECK(l.api.peek("hot").retry_after == 1s);
  }
}

TEST_CASE("an_overrides_tokens_are_leased_and_those_of_an_allowed_key_need_not_be") {
  Leased l;
  l.segment->set_override("api", "hot", Limit::parse("1/h burst=40"));
  TokenLease lease = l.lease();
  CHECK(lease.try_acquire().reason == Reason::override_);
  CHECK(lease.try_acquire().reason == Reason::override_);
  CHECK(l.left() == 40 - kTokens);
  CHECK(drain(lease) == 38);
  l.segment->unset_override("api", "hot");
  l.segment->allow("api", "hot");
  CHECK(lease.try_acquire().reason == Reason::override_);
  CHECK(lease.give_back() == 0);
}

TEST_CASE("what_an_operator_does_is_noticed_when_the_lease_is_over_at_the_latest") {
  const auto check = [](auto&& change, Reason after) {
    Leased l;
    TokenLease lease = l.lease();
    CHECK(lease.try_acquire());
    change(*l.segment);
    l.segment->advance_clock(10ms - 1ns);
    CHECK(lease.try_acquire().reason == Reason::ok);
    l.segment->advance_clock(1ns);
    CHECK(lease.try_acquire(2).reason == after);
    CHECK(lease.give_back() == 0);
  };
  check([](Segment& s) { s.ban("api", "hot", 1h); }, Reason::banned);
  check([](Segment& s) { s.set_policy("api", Limit::parse("1/h burst=1")); }, Reason::never);
  check([](Segment& s) { s.switch_limits(false); }, Reason::off);
  check([](Segment& s) { s.remove_policy("api"); }, Reason::off);
}

TEST_CASE("what_only_watches_leases_what_it_would_allow_and_passes_the_rest_uncharged") {
  Leased l("1/h burst=40 shadow");
  TokenLease lease = l.lease();
  for (int i = 0; i < 40; ++i) CHECK(lease.try_acquire().reason == Reason::ok);
  CHECK(lease.try_acquire().reason == Reason::shadow);
  CHECK(l.totals().allowed == 40);
  CHECK(l.totals().would_deny == 1);
  CHECK(lease.give_back() == 0);
}

TEST_CASE("a_candidate_on_trial_sees_each_call") {
  Leased l;
  l.segment->set_candidate("api", Limit::parse("1/h burst=3"));
  TokenLease lease = l.lease();
  for (int i = 0; i < 10; ++i) CHECK(lease.try_acquire());
  const Comparison seen = l.segment->compare("api").value();
  CHECK(seen.by_live.allowed == 10);
  CHECK(seen.by_candidate.allowed == 3);
  CHECK(seen.by_candidate.denied == 7);
}

TEST_CASE("a_candidate_is_given_nothing_back_of_a_lease_from_before_its_trial") {
  Leased l;
  TokenLease lease = l.lease();
  CHECK(lease.try_acquire());
  l.segment->set_candidate("api", Limit::parse("1/h burst=3"));
  for (int i = 0; i < 3; ++i) CHECK(l.api.try_acquire("hot"));
  CHECK(lease.give_back() == kTokens - 1);
  CHECK(l.api.try_acquire("hot"));
  const Comparison seen = l.segment->compare("api").value();
  CHECK(seen.by_candidate.allowed == 3);
  CHECK(seen.by_candidate.denied == 1);
}

TEST_CASE("a_read_only_segment_leases_nothing") {
  Leased l;
  Segment reader = Segment::open_read_only(l.segment.name());
  TokenLease lease(reader.limiter("api"), "hot", kTokens, 10ms);
  CHECK(lease.try_acquire().reason == Reason::invalid);
}

TEST_CASE("S_a_forked_child_takes_a_lease_of_its_own_and_leaves_its_parents") {
  Leased l("1/h burst=100");
  TokenLease lease = l.lease();
  CHECK(lease.try_acquire());
  test::Child child([&] {
    if (!lease.try_acquire() || l.left() != 100 - 2 * kTokens) throw 1;
    if (lease.give_back() != kTokens - 1 || l.left() != 100 - kTokens - 1) throw 2;
    if (lease.give_back() != 0) throw 3;
  });
  CHECK(child.wait() == 0);
  test::Child idle([&] { TokenLease(std::move(lease)); });
  CHECK(idle.wait() == 0);
  CHECK(l.left() == 100 - kTokens - 1);
  CHECK(lease.give_back() == kTokens - 1);
  CHECK(l.left() == 98);
}

TEST_CASE("S_a_lease_that_was_moved_is_given_back_once") {
  Leased l("1/h burst=100");
  TokenLease lease = l.lease();
  CHECK(lease.try_acquire());
  TokenLease moved = std::move(lease);
  CHECK(lease.try_acquire().reason == Reason::invalid);
  CHECK(moved.try_acquire());
  CHECK(l.left() == 100 - kTokens);
  TokenLease target(l.api, "other", kTokens, 10ms);
  CHECK(target.try_acquire());
  target = std::move(moved);
  CHECK(moved.try_acquire().reason == Reason::invalid);
  CHECK(l.api.peek("other").remaining == 99);  // what it held before was given back
  CHECK(target.give_back() == kTokens - 2);
  CHECK(l.left() == 98);
}

TEST_CASE("a_lease_of_nothing_is_refused") {
  Leased l;
  CHECK_THROWS_AS(TokenLease(l.api, "", kTokens, 10ms), Error);
  CHECK_THROWS_AS(TokenLease(l.api, "hot", 0, 10ms), Error);
  CHECK_THROWS_AS(TokenLease(l.api, "hot", kTokens, 0ns), Error);
  CHECK_THROWS_AS(TokenLease(l.api, "hot", kTokens, -1ns), Error);
}

TEST_CASE("S_a_lease_does_not_outlive_its_segment") {
  constexpr std::uint64_t kTaken = 300'000'000;  // more than are asked for in the second or so
  Leased l;
  Limiter wide = l.segment->limiter("wide", Limit::per_second(1'000'000).burst(kTaken + 1));
  TokenLease lease(wide, "hot", kTaken, 1h);
  CHECK(lease.try_acquire());
  CHECK(Segment::remove(l.segment.name()));
  Segment fresh = Segment::create(l.segment.name(), {.keys = 100, .clock = ClockSource::manual});
  fresh.advance_clock(1h);  // by its clock the lease would still last
  Limiter narrow = fresh.limiter("wide", Limit::parse("1/h burst=10"));
  // The process looks for the name once a second; then the new segment's limit is what there is.
  std::uint64_t admitted = 0;
  while (lease.try_acquire()) ++admitted;
  CHECK(admitted >= 10);
  CHECK(admitted < kTaken);
  CHECK(narrow.peek("hot").remaining == 0);
}

}  // namespace
}  // namespace rl
