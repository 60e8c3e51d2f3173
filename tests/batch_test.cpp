// Many keys at once answer as they would one by one.
#include <rl/limiter.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

SegmentOptions by_hand(std::uint64_t keys = 1'000) {
  return {.keys = keys, .clock = ClockSource::manual};
}

/// All that a decision says.
auto told(const Decision& d) {
  return std::tuple(d.allowed, d.reason, d.policy, d.limit, d.remaining, d.retry_after,
                    d.reset_after, d.wait, d.cost, d.charged);
}

std::vector<Decision> batch(Limiter& limiter, const std::vector<std::string_view>& keys,
                            std::uint64_t cost = 1) {
  std::vector<Decision> decisions(keys.size());
  limiter.try_acquire_batch(keys, decisions, cost);
  return decisions;
}

TEST_CASE("each_key_of_a_batch_is_charged_in_its_order_also_one_that_comes_twice") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_second(1).burst(2));
  const auto first = batch(api, {"a", "b", "a", "a", "", "c"});
  const bool allowed[] = {true, true, true, false, false, true};
  for (std::size_t i = 0; i < first.size(); ++i) CHECK(first[i].allowed == allowed[i]);
  CHECK(first[0].remaining == 1);
  CHECK(first[2].remaining == 0);
  CHECK(first[3].reason == Reason::limited);
  CHECK(first[3].retry_after == 1s);
  CHECK(first[4].reason == Reason::invalid);
  const auto second = batch(api, {"a", "b", "c"});
  CHECK_FALSE(second[0]);
  CHECK(second[1].remaining == 0);
  CHECK(segment->find("api", "a")->denied_count == 2);
  CHECK(segment->find("api", "b")->allowed_count == 2);
}

TEST_CASE("the_shorter_of_keys_and_decisions_says_how_many_are_decided") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(2));
  const std::string_view keys[] = {"a", "b", "c"};
  std::vector<Decision> decisions(5);
  api.try_acquire_batch(keys, decisions);
  CHECK(decisions[2].allowed);
  CHECK(told(decisions[3]) == told(Decision{}));
  api.try_acquire_batch(keys, std::span(decisions).first(2));
  CHECK(api.peek("b").remaining == 0);
  CHECK(api.peek("c").remaining == 1);
  api.try_acquire_batch({}, {});
}

TEST_CASE("a_batch_that_makes_no_sense_is_denied_key_by_key") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(2));
  for (const Decision& d : batch(api, {"a", "", "b"}, 0)) CHECK(d.reason == Reason::invalid);
  for (const Decision& d : batch(api, {"a", "b"}, 3)) CHECK(d.reason == Reason::never);
  Limiter permits = segment->limiter("permits", Limit::concurrency(3));
  for (const Decision& d : batch(permits, {"a", "b"})) CHECK(d.reason == Reason::invalid);
  CHECK(segment->info().live == 0);
  Segment reader = Segment::open_read_only(segment.name());
  Limiter looking = reader.limiter("api");
  for (const Decision& d : batch(looking, {"a", "b"})) CHECK(d.reason == Reason::invalid);
}

TEST_CASE("a_batch_of_any_length_decides_each_key_once") {
  test::Scratch segment(by_hand(10'000));
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  std::vector<std::string> names(500);
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = "user:" + std::to_string(i);
  for (const std::size_t size : {1U, 31U, 32U, 33U, 64U, 100U, 500U}) {
    CAPTURE(size);
    segment->reset_all();
    const std::vector<std::string_view> keys(names.begin(),
                                             names.begin() + static_cast<std::ptrdiff_t>(size));
    for (const Decision& d : batch(api, keys)) CHECK(d.reason == Reason::ok);
    for (const Decision& d : batch(api, keys)) CHECK(d.reason == Reason::limited);
    CHECK(segment->info().live == size);
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

TEST_CASE("A_a_batch_answers_what_one_by_one_answers_under_every_algorithm") {
  INFO("RL_TEST_SEED=" << test::seed());
  // Two segments in step, as full as they promise to be, so that many keys are not at home.
  test::Scratch batches(by_hand(1'200));
  test::Scratch singles(by_hand(1'200));
  std::uint64_t denied = 0;
  std::uint64_t waited = 0;
  std::vector<std::pair<Limiter, Limiter>> limiters;
  std::mt19937_64 limits(test::seed());
  for (int i = 0; i < 40; ++i) {
    const Limit limit = any_limit(limits).when_full(WhenFull::deny);
    const std::string name = "limit-" + std::to_string(i);
    limiters.emplace_back(batches->limiter(name, limit), singles->limiter(name, limit));
  }
  std::vector<std::string> names;
  for (int i = 0; i < 30; ++i) names.push_back("key:" + std::to_string(i));
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    auto& [together, apart] = limiters[random() % limiters.size()];
    std::vector<std::string_view> keys;
    for (std::uint64_t i = random() % 70; i > 0; --i)
      keys.push_back(random() % 50 == 0 ? std::string_view() : names[random() % names.size()]);
    const std::uint64_t cost = 1 + (random() % 4 == 0 ? random() % 9 : 0);
    const std::vector<Decision> decisions = batch(together, keys, cost);
    for (std::size_t i = 0; i < keys.size(); ++i) {
      const Decision one = apart.try_acquire(keys[i], cost);
      REQUIRE(decisions[i].allowed == one.allowed);
      REQUIRE(decisions[i].reason == one.reason);
      denied += one.reason == Reason::limited ? 1U : 0U;
      waited += one.wait != 0ns ? 1U : 0U;
      REQUIRE(told(decisions[i]) == told(one));
    }
    const std::chrono::nanoseconds by(random() % (random() % 4 == 0 ? 3'000'000'000 : 30'000'000));
    batches->advance_clock(by);
    singles->advance_clock(by);
  }
  CHECK(denied > 1'000);
  CHECK(waited > 1'000);
}

TEST_CASE("A_a_denial_of_a_batch_says_when_to_come_back_to_the_nanosecond") {
  test::Scratch segment(by_hand());
  for (const char* text : {"3/s", "leaky 3/s queue=2 delay=1", "window 3/s", "sliding 3/s"}) {
    CAPTURE(text);
    Limiter api = segment->limiter(std::string(1, *text), Limit::parse(text));
    const auto decisions = batch(api, {"k", "k", "k", "k"});
    REQUIRE(decisions[2].allowed);
    REQUIRE(decisions[3].reason == Reason::limited);
    segment->advance_clock(decisions[3].retry_after - 1ns);
    CHECK_FALSE(batch(api, {"k"})[0]);
    segment->advance_clock(1ns);
    CHECK(batch(api, {"k"})[0]);
    segment->advance_clock(10s);
  }
}

TEST_CASE("a_key_under_another_policy_is_decided_by_that_one") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  Limiter once = segment->limiter("once", Limit::per_hour(1));
  std::vector<Decision> decisions = batch(api, {"k"});
  // A decision of a batch can be given back as any other, once, where it came from.
  CHECK_FALSE(once.refund("k", decisions[0]));
  decisions = batch(once, {"k"});
  CHECK(once.refund("k", decisions[0]));
  CHECK_FALSE(once.refund("k", decisions[0]));
  CHECK(batch(once, {"k"})[0]);
  CHECK_FALSE(batch(api, {"k"})[0]);
}

}  // namespace
}  // namespace rl
