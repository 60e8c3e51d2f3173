// Totals are exact, whoever counts, and never less than before.
#include <doctest/doctest.h>
#include <pthread.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include <rl/rl.hpp>

#include "shm/mapping.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

PolicyTotals totals_of(const Segment& segment, std::string_view policy) {
  for (const PolicyTotals& totals : segment.totals().policies)
    if (totals.policy == policy) return totals;
  return {};
}

Limit no_limit() {
  return Limit::per_second(1'000'000).burst(1'000'000'000);
}

/// A limit of so many calls, none of which comes back while a test runs.
Limit so_many(std::uint64_t calls) {
  return Limit::per_hour(1).burst(calls);
}

TEST_CASE("A_each_way_to_ask_is_counted_under_the_name_of_its_policy") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(5));
  for (int i = 0; i < 4; ++i) CHECK(api.try_acquire("one"));
  CHECK(!api.try_acquire("one", 9));
  CHECK(!api.try_acquire("two", 9));  // has no slot
  std::vector<std::string_view> keys(40, "one");
  std::vector<Decision> decisions(keys.size());
  api.try_acquire_batch(keys, decisions);  // one more passes
  Decision charged = api.charge("three", 2);
  CHECK(charged.allowed);
  Decision held = api.hold("four", 2);
  CHECK(api.refund("four", held));

  const PolicyTotals totals = totals_of(*segment, "api");
  CHECK(totals.allowed == 4 + 1 + 1 + 1);
  CHECK(totals.denied == 2 + 39);
  CHECK(totals.would_deny == 0);
  CHECK(totals.refunds == 1);
  CHECK(totals.waits == 0);
}

TEST_CASE("A_what_a_limit_in_shadow_would_deny_is_counted_apart") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(3).shadow(true));
  for (int i = 0; i < 10; ++i) CHECK(api.try_acquire("k"));
  const PolicyTotals totals = totals_of(*segment, "api");
  CHECK(totals.allowed == 3);
  CHECK(totals.would_deny == 7);
  CHECK(totals.denied == 0);
}

TEST_CASE("A_waits_are_counted_with_their_length") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", Limit::per_second(10).burst(1));
  CHECK(api.reserve("k", 1, Instant::max()).wait == 0ns);
  const Reservation later = api.reserve("k", 1, Instant::max());
  CHECK(later.wait > 0ns);
  const PolicyTotals totals = totals_of(*segment, "api");
  CHECK(totals.allowed == 2);
  CHECK(totals.waits == 1);
  CHECK(totals.waited == later.wait);
}

TEST_CASE("A_permits_all_of_and_overrides_are_counted_too") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter jobs = segment->limiter("jobs", Limit::concurrency(2));
  const Permit one = jobs.permit("k");
  const Permit two = jobs.permit("k");
  CHECK(!jobs.permit("k"));
  CHECK(totals_of(*segment, "jobs").allowed == 2);
  CHECK(totals_of(*segment, "jobs").denied == 1);

  Limiter a = segment->limiter("a", so_many(1));
  Limiter b = segment->limiter("b", so_many(9));
  CHECK(all_of({{a, "k"}, {b, "k"}}));
  CHECK(!all_of({{a, "k"}, {b, "k"}}));  // denied at a look; b is not asked
  CHECK(totals_of(*segment, "a").allowed == 1);
  CHECK(totals_of(*segment, "a").denied == 1);
  CHECK(totals_of(*segment, "b").allowed == 1);

  (void)segment->set_override("a", "own", so_many(2));
  for (int i = 0; i < 3; ++i) (void)a.try_acquire("own");
  CHECK(totals_of(*segment, "a").allowed == 3);
  CHECK(totals_of(*segment, "a").denied == 2);
}

TEST_CASE("A_a_changed_limit_counts_on_under_its_name") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(2));
  for (int i = 0; i < 3; ++i) (void)api.try_acquire("k");
  segment->set_policy("api", so_many(3));
  for (int i = 0; i < 3; ++i) (void)api.try_acquire("other");
  const PolicyTotals totals = totals_of(*segment, "api");
  CHECK(totals.allowed == 2 + 3);
  CHECK(totals.denied == 1);
  CHECK(segment->totals().policies.size() == 1);
}

TEST_CASE("A_threads_lose_no_count_also_where_there_are_more_than_stripes") {
  constexpr int kThreads = shm::kStripes + 4;
  constexpr std::uint64_t kCalls = 2'000;
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", no_limit());
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&] {
      for (std::uint64_t i = 0; i < kCalls; ++i) (void)api.try_acquire("k");
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(totals_of(*segment, "api").allowed == kThreads * kCalls);
}

TEST_CASE("A_policies_beyond_those_that_stripes_have_cells_for_lose_no_count_either") {
  test::Scratch segment({.clock = ClockSource::manual});
  for (std::uint32_t i = 0; i < shm::kOwnPolicies + 5; ++i) {
    Limiter limiter = segment->limiter("p" + std::to_string(i), so_many(1));
    for (int call = 0; call < 3; ++call) (void)limiter.try_acquire("k");
  }
  const Totals totals = segment->totals();
  REQUIRE(totals.policies.size() == shm::kOwnPolicies + 5);
  for (const PolicyTotals& policy : totals.policies) {
    CHECK(policy.allowed == 1);
    CHECK(policy.denied == 2);
  }
}

TEST_CASE("A_threads_that_end_leave_their_stripes_to_others") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", no_limit());
  for (std::uint32_t i = 0; i < 3 * shm::kStripes; ++i)
    std::thread([&] { (void)api.try_acquire("k"); }).join();
  CHECK(totals_of(*segment, "api").allowed == 3 * shm::kStripes);
}

TEST_CASE("A_a_thread_that_goes_from_segment_to_segment_loses_no_count") {
  constexpr int kSegments = 40;  // more than a thread remembers
  std::vector<std::unique_ptr<test::Scratch>> segments;
  std::vector<Limiter> limiters;
  for (int i = 0; i < kSegments; ++i) {
    segments.push_back(std::make_unique<test::Scratch>(
        SegmentOptions{.keys = 10, .clock = ClockSource::manual, .policies = 8}));
    limiters.push_back((*segments.back())->limiter("api", no_limit()));
  }
  for (int round = 0; round < 5; ++round)
    for (Limiter& limiter : limiters) (void)limiter.try_acquire("k");
  for (const auto& segment : segments) CHECK(totals_of(**segment, "api").allowed == 5);
}

TEST_CASE("A_a_segment_that_was_removed_takes_its_totals_along") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(4));
  for (int i = 0; i < 6; ++i) (void)api.try_acquire("k");
  REQUIRE(::unlink(segment->path().c_str()) == 0);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (::access(segment->path().c_str(), F_OK) != 0 &&
         std::chrono::steady_clock::now() < deadline)
    (void)api.try_acquire("k");
  const PolicyTotals totals = totals_of(*segment, "api");
  CHECK(totals.allowed == 4);
  CHECK(totals.denied > 2);
}

TEST_CASE("a_thread_has_a_stripe_of_its_own_after_any_number_of_moves") {
  constexpr int kMoves = 20;  // more than a thread can have stripes
  test::Scratch segment({.keys = 10, .policies = 8});
  Limiter api = segment->limiter("api", no_limit());
  for (int move = 0; move < kMoves; ++move) {
    REQUIRE(api.try_acquire("k"));
    REQUIRE(::unlink(segment->path().c_str()) == 0);
    const auto deadline = std::chrono::steady_clock::now() + 10s;
    while (::access(segment->path().c_str(), F_OK) != 0 &&
           std::chrono::steady_clock::now() < deadline)
      (void)api.try_acquire("k");
    const auto mapping = shm::Mapping::attach(segment->path(), shm::Access::read_write, false);
    const auto owned = [&] {
      std::uint32_t count = 0;
      for (std::uint32_t i = 1; i < shm::kStripes; ++i)
        count += mapping.stripe_head(i).words[shm::StripeHead::owner].load() != 0 ? 1 : 0;
      return count;
    };
    while (owned() == 0 && std::chrono::steady_clock::now() < deadline) (void)api.try_acquire("k");
    REQUIRE(owned() == 1);
  }
}

namespace {

pthread_key_t late_key;
void count_late(void* limiter) {
  (void)static_cast<Limiter*>(limiter)->try_acquire("k");
}

}  // namespace

TEST_CASE("threads_whose_first_call_comes_as_they_end_leave_no_stripe_behind") {
  test::Scratch segment({.keys = 10, .clock = ClockSource::manual, .policies = 8});
  Limiter api = segment->limiter("api", no_limit());
  REQUIRE(::pthread_key_create(&late_key, count_late) == 0);
  constexpr std::uint32_t kThreads = 2 * shm::kStripes;
  for (std::uint32_t i = 0; i < kThreads; ++i)
    std::thread([&] { ::pthread_setspecific(late_key, &api); }).join();
  ::pthread_key_delete(late_key);
  const auto mapping = shm::Mapping::attach(segment->path(), shm::Access::read_write, false);
  std::uint32_t owned = 0;
  for (std::uint32_t i = 1; i < shm::kStripes; ++i)
    owned += mapping.stripe_head(i).words[shm::StripeHead::owner].load() != 0 ? 1 : 0;
  CHECK(owned <= 2);
  CHECK(totals_of(*segment, "api").allowed == kThreads);
}

TEST_CASE("keys_that_come_in_are_counted_by_line_and_tries_are_not_when_alone") {
  test::Scratch segment({.keys = 1'000, .clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(9));
  for (int i = 0; i < 500; ++i) (void)api.try_acquire("key " + std::to_string(i));
  const Totals totals = segment->totals();
  std::uint64_t keys = 0;
  for (const std::uint64_t in_line : totals.by_line) keys += in_line;
  CHECK(keys == 500);
  CHECK(totals.by_line[0] > keys / 2);
  CHECK(totals.retries == 0);
}

}  // namespace
}  // namespace rl
