// Several limits at once: all of them charge a call, or none.
#include <rl/all_of.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

SegmentOptions by_hand(std::uint64_t keys = 1'000) {
  return {.keys = keys, .clock = ClockSource::manual};
}

struct AllOfTest {
  test::Scratch segment{by_hand()};
  Limiter api = segment->limiter("api", Limit::per_second(1).burst(10));
  Limiter daily = segment->limiter("daily", Limit::per_day(7));
};

TEST_CASE_FIXTURE(AllOfTest, "all_asks_are_charged_and_the_scarcest_is_told") {
  const AllOf all = all_of({{api, "ip"}, {daily, "user", 5}});
  CHECK(all);
  CHECK(all.which == 1);
  CHECK(all.decision.reason == Reason::ok);
  CHECK(all.decision.remaining == 2);
  CHECK(all.decision.limit == 7);
  CHECK(all.each[0].remaining == 9);
  CHECK(api.peek("ip").remaining == 9);
  CHECK(daily.peek("user").remaining == 2);
  CHECK(all_of({{daily, "b"}, {daily, "a"}}).which == 0);  // the first, where they are alike
}

TEST_CASE_FIXTURE(AllOfTest, "a_denial_charges_nothing_and_names_who_denied") {
  REQUIRE(daily.try_acquire("user", 4));
  const AllOf all = all_of({{api, "ip"}, {daily, "user", 5}, {daily, "other"}});
  CHECK_FALSE(all);
  CHECK(all.which == 1);
  CHECK(all.decision.reason == Reason::limited);
  CHECK(all.decision.retry_after == daily.peek("user", 5).retry_after);
  CHECK(all.each[0].allowed);
  CHECK(api.peek("ip").remaining == 10);
  CHECK(daily.peek("other").remaining == 7);
  CHECK(segment->info().live == 1);
  CHECK(segment->find("daily", "user")->denied_count == 1);
}

TEST_CASE_FIXTURE(AllOfTest, "of_several_denials_the_longest_is_told_and_it_is_true") {
  REQUIRE(api.try_acquire("ip", 10));
  REQUIRE(daily.try_acquire("user", 7));
  const auto again = [&] { return all_of({{api, "ip"}, {daily, "user"}, {api, "other"}}); };
  const AllOf all = again();
  CHECK(all.which == 1);
  CHECK(all.each[0].retry_after == 1s);
  segment->advance_clock(all.decision.retry_after - 1ns);
  CHECK_FALSE(again());
  segment->advance_clock(1ns);
  CHECK(again());
  // No waiting helps: that is told above all that passes.
  REQUIRE(daily.try_acquire("late", 7));
  const AllOf never = all_of({{daily, "late"}, {api, "ip", 11}, {api, "", 1}});
  CHECK(never.which == 1);
  CHECK(never.decision.reason == Reason::never);
  CHECK(never.decision.retry_after == kNever);
}

TEST_CASE_FIXTURE(AllOfTest, "asks_for_one_key_of_one_policy_are_one_ask_for_the_sum") {
  Limiter again = segment->limiter("daily");
  Segment other_mapping = Segment::open(segment.name());
  Limiter mapped = other_mapping.limiter("daily");
  const AllOf all = all_of({{daily, "k", 2}, {api, "k"}, {again, "k", 3}, {mapped, "k"}});
  CHECK(all);
  CHECK(all.each[0].cost == 6);
  CHECK(all.each[2].remaining == 1);
  CHECK(daily.peek("k").remaining == 1);
  CHECK(api.peek("k").remaining == 9);
  CHECK_FALSE(all_of({{daily, "k"}, {daily, "k"}}));  // each would pass alone
  CHECK(daily.peek("k").remaining == 1);
  const AllOf huge = all_of({{api, "k", ~0ULL - 1}, {api, "k", ~0ULL - 1}});
  CHECK(huge.decision.reason == Reason::never);
  CHECK(all_of({{api, "k"}, {api, "k", 0}}).decision.reason == Reason::invalid);
}

TEST_CASE_FIXTURE(AllOfTest, "what_makes_no_sense_denies_all_and_charges_nothing") {
  const auto nothing_charged = [&] { return segment->info().live == 0; };
  CHECK(all_of(std::span<const Ask>()).decision.reason == Reason::invalid);
  const std::vector<Ask> many(17, Ask{api, "k"});
  CHECK(all_of(many).decision.reason == Reason::invalid);
  CHECK(nothing_charged());
  for (const Ask& odd : {Ask{daily, ""}, Ask{daily, "k", 0}}) {
    const AllOf all = all_of({{api, "k"}, odd});
    CHECK(all.which == 1);
    CHECK(all.decision.reason == Reason::invalid);
    CHECK(nothing_charged());
  }
  Segment reader = Segment::open_read_only(segment.name());
  Limiter looking = reader.limiter("daily");
  CHECK(looking.peek("k"));
  CHECK(all_of({{api, "k"}, {looking, "k"}}).decision.reason == Reason::invalid);
  Limiter permits = segment->limiter("permits", Limit::concurrency(3));
  CHECK(all_of({{api, "k"}, {permits, "k"}}).decision.reason == Reason::invalid);
  CHECK(nothing_charged());
  CHECK(all_of(std::span(many).first(7)));
}

TEST_CASE_FIXTURE(AllOfTest, "the_longest_wait_of_a_leaky_bucket_is_told") {
  Limiter slow = segment->limiter("slow", Limit::leaky(1, 1s, 5, 0));
  CHECK(all_of({{slow, "k"}, {api, "k"}}).decision.wait == 0s);
  const AllOf all = all_of({{daily, "k"}, {slow, "k", 2}});
  CHECK(all.decision.wait == 1s);  // of the first of two places
  CHECK(all_of({{daily, "scarce", 7}, {slow, "k"}}).decision.wait == 3s);
}

TEST_CASE_FIXTURE(AllOfTest, "limits_of_several_segments_are_asked_together") {
  test::Scratch other(by_hand());
  Limiter far = other->limiter("daily", Limit::per_day(2));
  CHECK(all_of({{daily, "k"}, {far, "k"}}));
  CHECK(all_of({{far, "k"}, {daily, "k"}}));
  const AllOf all = all_of({{daily, "k"}, {far, "k"}});
  CHECK_FALSE(all);
  CHECK(all.which == 1);
  CHECK(daily.peek("k").remaining == 5);
}

TEST_CASE_FIXTURE(AllOfTest, "what_all_of_charged_can_be_given_back_once") {
  Limiter slow = segment->limiter("slow", Limit::leaky(1, 1s, 5, 0));
  Limiter hourly = segment->limiter("hourly", Limit::fixed_window(10, 1h));
  const std::vector<Ask> asks = {
      {api, "k", 2}, {slow, "k"}, {hourly, "k"}, {slow, "k", 2}, {api, "k"}};
  AllOf all = all_of(asks);
  REQUIRE(all);
  CHECK_FALSE(api.refund("k", all.decision));  // it is in `each`
  CHECK(refund(asks, all));
  CHECK(api.peek("k").remaining == 10);
  CHECK(slow.peek("k").remaining == 6);
  CHECK(hourly.peek("k").remaining == 10);
  CHECK_FALSE(refund(asks, all));
  AllOf denied = all_of({{api, "k"}, {slow, "k", 7}});
  CHECK_FALSE(refund({{api, "k"}, {slow, "k", 7}}, denied));
}

TEST_CASE("what_was_charged_before_a_denial_that_no_peek_could_see_is_given_back") {
  // So small that all keys have the same slots. When they are taken, a peek of a new key says that
  // it would pass, as nobody has looked for room.
  test::Scratch segment(by_hand(1));
  Limiter first = segment->limiter("first", Limit::per_day(5));
  Limiter line = segment->limiter("line", Limit::leaky(1, 24h, 5, 5));
  Limiter last = segment->limiter("last", Limit::per_day(5).when_full(WhenFull::deny));
  REQUIRE(first.try_acquire("k"));
  REQUIRE(line.try_acquire("k"));
  for (int i = 0; segment->info().full_denied == 0; ++i) {
    REQUIRE(i < 1'000);
    (void)last.try_acquire("filler:" + std::to_string(i));
  }
  REQUIRE(last.peek("new"));
  for (const bool forward : {true, false}) {
    const std::uint64_t full = segment->info().full_denied;
    const AllOf all = forward ? all_of({{first, "k"}, {line, "k", 2}, {last, "new"}})
                              : all_of({{last, "new"}, {line, "k", 2}, {first, "k"}});
    CHECK_FALSE(all);
    CHECK(all.which == (forward ? 2 : 0));
    CHECK(all.decision.reason == Reason::full);
    CHECK(segment->info().full_denied == full + 1);
    CHECK(first.peek("k").remaining == 4);
    CHECK(line.peek("k").remaining == 5);
    CHECK(segment->find("first", "k")->allowed_count == (forward ? 2 : 3));  // it was charged
  }
}

/// A limit of any algorithm, small enough to be reached.
Limit any_limit(std::mt19937_64& random) {
  const std::uint64_t count = 1 + random() % 8;
  switch (random() % 4) {
    case 0:
      return Limit::per_second(count).burst(1 + random() % 8);
    case 1: {
      const std::uint64_t queue = random() % 8;
      return Limit::leaky(count, 1s, queue, random() % (queue + 1));
    }
    case 2:
      return Limit::fixed_window(count, 1s);
    default:
      return Limit::sliding_window(count, 1s);
  }
}

/// A segment in step with another: what all_of charges there is charged here one by one, and only
/// where each ask would pass by itself.
class Oracle {
 public:
  Oracle(Segment& theirs, std::mt19937_64& random) : segment_(by_hand(2'000)) {
    for (int i = 0; i < 12; ++i) {
      const Limit limit = any_limit(random);
      const std::string name = "limit-" + std::to_string(i);
      limiters_.emplace_back(theirs.limiter(name, limit), segment_->limiter(name, limit));
    }
  }

  /// Asks both; returns what all_of said.
  AllOf ask(std::mt19937_64& random) {
    std::vector<Ask> asks;
    std::map<std::pair<std::size_t, std::string_view>, std::uint64_t> costs;
    for (std::uint64_t n = 1 + random() % 5; n > 0; --n) {
      const std::size_t limiter = random() % limiters_.size();
      const std::string_view key = kKeys.at(random() % kKeys.size());
      const std::uint64_t cost = random() % 3 == 0 ? 1 + random() % 4 : 1;
      asks.push_back({limiters_[limiter].first, key, cost});
      costs[{limiter, key}] += cost;
    }
    bool passes = true;
    std::chrono::nanoseconds longest{0};
    for (const auto& [what, cost] : costs) {
      const Decision d = limiters_[what.first].second.peek(what.second, cost);
      passes = passes && d;
      longest = std::max(longest, d.retry_after);
    }
    const AllOf all = all_of(asks);
    REQUIRE(all.decision.allowed == passes);
    REQUIRE(all.decision.retry_after == longest);
    std::uint64_t least = ~std::uint64_t{0};
    std::chrono::nanoseconds wait{0};
    for (const auto& [what, cost] : costs) {
      if (!passes) break;
      const Decision d = limiters_[what.first].second.try_acquire(what.second, cost);
      REQUIRE(d);
      least = std::min(least, d.remaining);
      wait = std::max(wait, d.wait);
    }
    REQUIRE((!passes || all.decision.remaining == least));
    REQUIRE(all.decision.wait == wait);
    return all;
  }

  /// Compares what is left of every key.
  void compare() {
    for (auto& [theirs, ours] : limiters_) {
      for (const std::string_view key : kKeys) {
        REQUIRE(theirs.peek(key).remaining == ours.peek(key).remaining);
        REQUIRE(theirs.peek(key).reset_after == ours.peek(key).reset_after);
      }
    }
  }

  void advance(std::chrono::nanoseconds by) { segment_->advance_clock(by); }

 private:
  static constexpr std::array<std::string_view, 4> kKeys = {"a", "b", "c", "d"};
  test::Scratch segment_;
  std::vector<std::pair<Limiter, Limiter>> limiters_;
};

TEST_CASE("A_all_are_charged_or_none_as_if_one_had_looked_and_then_charged_alone") {
  INFO("RL_TEST_SEED=" << test::seed());
  test::Scratch segment(by_hand(2'000));
  std::mt19937_64 limits(test::seed());
  Oracle oracle(*segment, limits);
  std::uint64_t passed = 0;
  std::uint64_t denied = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    (oracle.ask(random) ? passed : denied) += 1;
    oracle.compare();
    const std::chrono::nanoseconds by(random() % (random() % 8 == 0 ? 3'000'000'000 : 60'000'000));
    segment->advance_clock(by);
    oracle.advance(by);
  }
  CHECK(passed > 500);
  CHECK(denied > 500);
}

}  // namespace
}  // namespace rl
