// Permits while their limit changes: lowered, raised, with other leases, removed, switched off.

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <random>
#include <vector>

#include "src/core.hpp"
#include "src/permit_slots.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr auto kTick = nanoseconds(kTickNs);

/// A limit on a manual clock, asked through handles of two that opened the segment.
struct Fixture {
  explicit Fixture(std::uint64_t permits, nanoseconds lease = 30s)
      : limiter(scratch->limiter("uploads", Limit::concurrency(permits, lease))),
        other(Segment::open(scratch.name()).limiter("uploads")),
        view(shm::Mapping::attach(scratch.path(), shm::Access::read_write, false), scratch.path()) {
    scratch->advance_clock(100s);
  }

  void set(std::uint64_t permits, nanoseconds lease = 30s) {
    scratch->set_policy("uploads", Limit::concurrency(permits, lease));
  }
  std::vector<Permit> take(std::size_t n) {
    std::vector<Permit> all;
    for (std::size_t i = 0; i < n; ++i) {
      all.push_back(limiter.permit("k"));
      REQUIRE(all.back());
    }
    return all;
  }
  std::uint64_t now_ns() {
    return static_cast<std::uint64_t>(scratch->now().time_since_epoch().count());
  }
  std::uint16_t in_force() { return view.policies.in_force(view.policies.find("uploads")); }
  /// Whether all that were ever had are still counted at each take.
  bool is_counting() {
    const auto policy = policy_from(*view.policies.read(in_force()));
    const auto& permits = std::get<Concurrency>(policy->parameters);
    return permits.most > permits.limit && has_permits_of_before(view, permits, now_ns());
  }

  test::Scratch scratch{{.keys = 1'000, .clock = ClockSource::manual}};
  Limiter limiter;
  Limiter other;
  View view;
};

TEST_CASE("A_after_a_limit_was_lowered_none_is_had_while_as_many_are_out") {
  for (const bool last_go_first : {false, true}) {
    CAPTURE(last_go_first);
    Fixture f(20);
    std::vector<Permit> all = f.take(9);
    if (last_go_first) std::reverse(all.begin(), all.end());
    f.set(5);
    for (int out = 9; out >= 5; --out) {
      CAPTURE(out);
      for (Limiter* limiter : {&f.limiter, &f.other}) {
        const Permit denied = limiter->permit("k");
        CHECK_FALSE(denied);
        CHECK(denied.decision().reason == Reason::limited);
        CHECK(denied.decision().limit == 5);
        CHECK(denied.decision().policy == f.in_force());
        const Decision seen = limiter->peek_permit("k");
        CHECK_FALSE(seen.allowed);
        CHECK(seen.remaining == 0);
        CHECK(seen.limit == 5);
      }
      CHECK(all.front().release());
      all.erase(all.begin());
    }
    CHECK(f.limiter.peek_permit("k").remaining == 1);
    const Permit fifth = f.limiter.permit("k");
    CHECK(fifth);
    CHECK(fifth.decision().limit == 5);
    CHECK_FALSE(f.other.permit("k"));
    CHECK_FALSE(f.limiter.permit("k"));
  }
}

TEST_CASE("P_a_limit_that_was_raised_is_had_at_once_whatever_was_said_before") {
  Fixture f(2);
  const std::vector<Permit> all = f.take(2);
  CHECK_FALSE(f.limiter.permit("k"));
  CHECK_FALSE(f.other.permit("k"));  // by the hint
  f.set(5);
  std::vector<Permit> more;
  for (int i = 0; i < 3; ++i) {
    more.push_back((i == 0 ? f.other : f.limiter).permit("k"));
    CHECK(more.back());
    CHECK(more.back().decision().limit == 5);
  }
  CHECK_FALSE(f.limiter.permit("k"));
  CHECK_FALSE(f.other.permit("k"));
  for (const Permit& permit : all) CHECK(permit.holds());
}

TEST_CASE("what_is_out_stays_and_can_be_told_renewed_fenced_and_given_back_under_each_limit") {
  Fixture f(4);
  std::vector<Permit> all = f.take(4);
  const std::uint64_t before = all[0].fence();
  f.set(6, 10s);
  const Permit another =
      f.other.permit("k");  // brings the slots that it looks at under the new one
  REQUIRE(another);
  for (Permit& permit : all) {
    CHECK(permit.holds());
    CHECK(permit.renew());
    CHECK(permit.lease_end() == another.lease_end());  // for as long as it says now
  }
  CHECK(all[1].fence() > before);
  f.set(4, 30s);
  f.set(4, 20s);
  for (Permit& permit : all) {
    CHECK(permit.holds());
    CHECK(permit.release());
    CHECK_FALSE(permit.release());
  }
  CHECK(f.limiter.peek_permit("k").remaining == 3);
}

TEST_CASE("A_a_lowered_limit_holds_after_one_lease_as_what_is_too_many_is_not_renewed") {
  Fixture f(6, 10s);
  std::vector<Permit> all = f.take(6);
  f.scratch->advance_clock(4s);
  f.set(2, 10s);
  CHECK(f.is_counting());
  const Instant end_of_before = all.front().lease_end();
  std::size_t renewed = 0;
  for (Permit& permit : all) {
    renewed += permit.renew() ? 1U : 0U;
    CHECK(permit.holds());
  }
  CHECK(renewed == 2);
  f.scratch->advance_clock(end_of_before - f.scratch->now());
  const auto held = [&] {
    return std::count_if(all.begin(), all.end(), [](const Permit& p) { return p.holds(); });
  };
  CHECK(held() == 2);
  CHECK_FALSE(f.limiter.permit("k"));
  // From then on it costs nothing more than any limit.
  f.scratch->advance_clock(6s);
  CHECK_FALSE(f.is_counting());
  all.clear();
  const std::vector<Permit> fresh = f.take(2);
  CHECK_FALSE(f.limiter.permit("k"));
  f.set(1, 10s);
  const auto policy = policy_from(*f.view.policies.read(f.in_force()));
  CHECK(std::get<Concurrency>(policy->parameters).most == 2);  // the six are forgotten
}

TEST_CASE("A_a_limit_that_is_lowered_again_and_again_counts_what_any_of_them_gave") {
  Fixture f(10);
  std::vector<Permit> all = f.take(10);
  f.set(7);
  f.set(9);
  f.set(3);
  while (all.size() >= 3) {
    CHECK_FALSE(f.limiter.permit("k"));
    CHECK(all.back().release());
    all.pop_back();
  }
  all.clear();
  all = f.take(3);
  f.set(8);  // raised under those that are out
  std::vector<Permit> more = f.take(5);
  CHECK_FALSE(f.limiter.permit("k"));
}

TEST_CASE("A_a_permit_of_a_longer_lease_is_out_until_its_end_when_leases_were_shortened") {
  Fixture f(1, 60s);
  const Permit permit = f.limiter.permit("k");
  REQUIRE(permit);
  f.set(1, 1s);
  f.scratch->advance_clock(30s);
  f.set(1, 2s);
  for (const nanoseconds later : {0ns, nanoseconds(permit.lease_end() - f.scratch->now()) - 1ns}) {
    f.scratch->advance_clock(later);
    CHECK(permit.holds());
    const Permit denied = f.other.permit("k");
    CHECK_FALSE(denied);
    CHECK(denied.decision().retry_after == permit.lease_end() - f.scratch->now());
  }
  f.scratch->advance_clock(1ns);
  CHECK_FALSE(permit.holds());
  const Permit next = f.other.permit("k");
  CHECK(next);
  CHECK(next.lease_end() - f.scratch->now() <= 2s + kTick);
  f.set(1, 60s);
  CHECK(next.holds());
}

TEST_CASE("P_a_denial_while_more_are_out_than_there_are_says_when_they_are_back_and_that_is_true") {
  Fixture f(4, 10s);
  std::vector<Permit> all;
  for (int i = 0; i < 4; ++i) {
    all.push_back(f.limiter.permit("k"));
    f.scratch->advance_clock(1s);
  }
  f.set(3, 10s);
  CHECK(f.limiter.permit("k").decision().retry_after == all[3].lease_end() - f.scratch->now());
  CHECK(f.other.permit("k").decision().retry_after == all[3].lease_end() - f.scratch->now());
  CHECK(f.limiter.peek_permit("k").retry_after == all[3].lease_end() - f.scratch->now());
  CHECK(all[1].release());
  const nanoseconds wait = f.limiter.permit("k").decision().retry_after;
  CHECK(wait == all[0].lease_end() - f.scratch->now());
  f.scratch->advance_clock(wait - 1ns);
  CHECK_FALSE(f.limiter.permit("k"));
  f.scratch->advance_clock(1ns);
  CHECK(f.limiter.permit("k"));
}

// What must be so of each step, by a list of what is out; all steps are taken by one thread.
TEST_CASE("A_P_at_random_a_permit_is_had_exactly_while_fewer_are_out_than_the_limit") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  for (int run = 0; run < 60; ++run) {
    CAPTURE(run);
    std::uint64_t limit = 1 + random() % 8;
    Fixture f(limit, 5s);
    std::vector<Permit> held;
    bool was_lowered = false;
    for (int step = 0; step < 300; ++step) {
      CAPTURE(step);
      const auto out =
          static_cast<std::uint64_t>(std::count_if(held.begin(), held.end(), [&](const Permit& p) {
            return p.lease_end() > f.scratch->now();
          }));
      REQUIRE(f.other.peek_permit("k").remaining == limit - std::min(out, limit));
      switch (random() % 8) {
        case 0: {
          const std::uint64_t next = 1 + random() % 8;
          was_lowered = was_lowered || next < limit;
          limit = next;
          f.set(limit, std::chrono::seconds(1 + random() % 9));
          break;
        }
        case 1:
          f.scratch->advance_clock(nanoseconds(random() % 3'000'000'000));
          break;
        case 2:
        case 3: {
          if (held.empty()) break;
          const auto which = held.begin() + static_cast<std::ptrdiff_t>(random() % held.size());
          REQUIRE(which->holds() == (which->lease_end() > f.scratch->now()));
          const bool was_out = which->holds();
          REQUIRE(which->release() == was_out);
          held.erase(which);
          break;
        }
        case 4: {
          if (held.empty()) break;
          Permit& permit = held[random() % held.size()];
          const bool was_out = permit.holds();
          const Instant end = permit.lease_end();
          if (permit.renew()) {
            REQUIRE(was_out);
          } else {
            REQUIRE((!was_out || was_lowered));
            REQUIRE(permit.lease_end() == end);
          }
          break;
        }
        default: {
          Permit permit = (random() % 2 == 0 ? f.limiter : f.other).permit("k");
          REQUIRE(bool(permit) == (out < limit));
          REQUIRE(permit.decision().limit == limit);
          if (permit) held.push_back(std::move(permit));
        }
      }
    }
  }
}

TEST_CASE("where_the_policy_was_removed_calls_pass_without_permits_and_holders_may_go_on") {
  Fixture f(1, 10s);
  Permit held = f.limiter.permit("k");
  REQUIRE(held);
  REQUIRE(f.scratch->remove_policy("uploads"));
  Permit free = f.limiter.permit("k");
  Permit also = f.other.permit("k");
  for (Permit* permit : {&free, &also}) {
    CHECK(*permit);
    CHECK(permit->decision().reason == Reason::off);
    CHECK(permit->holds());
    CHECK(permit->renew());
    CHECK(permit->fence() == 0);
    CHECK(permit->lease_end() == Instant::max());
  }
  CHECK(f.limiter.peek_permit("k").reason == Reason::off);
  CHECK(f.limiter.peek_permit("k").allowed);
  f.scratch->advance_clock(60s);
  CHECK(held.holds());  // its lease is over, and nobody minds
  CHECK(held.renew());
  CHECK(held.fence() == 0);
  CHECK(free.release());
  CHECK_FALSE(free.release());
  CHECK_FALSE(free.holds());
  CHECK(held.release());
  CHECK_FALSE(held.release());
}

TEST_CASE("A_a_limit_that_is_made_again_counts_anew") {
  Fixture f(2, 60s);
  std::vector<Permit> old = f.take(2);
  const std::uint64_t fence = old[0].fence();
  REQUIRE(f.scratch->remove_policy("uploads"));
  Permit none = f.limiter.permit("k");
  f.set(2, 60s);
  for (Permit& permit : old) {
    CHECK_FALSE(permit.holds());
    CHECK_FALSE(permit.renew());
    CHECK(permit.fence() == 0);
  }
  std::vector<Permit> fresh = f.take(2);
  CHECK_FALSE(f.other.permit("k"));
  for (Permit& permit : old) CHECK_FALSE(permit.release());
  CHECK(none.release());  // it stood for none
  CHECK_FALSE(f.other.permit("k"));
  for (Permit& permit : fresh) CHECK(permit.holds());
  CHECK(fresh[0].fence() > fence);
}

// The same seat, tick of the end, and sequence: the same word.
TEST_CASE("S_a_permit_from_before_a_removal_is_not_taken_for_a_new_one_with_the_same_word") {
  Fixture f(1, 20s);
  Permit old = f.limiter.permit("k");
  REQUIRE(old);
  REQUIRE(f.scratch->remove_policy("uploads"));
  f.set(1, 20s);
  Permit fresh = f.limiter.permit("k");
  REQUIRE(fresh);
  REQUIRE(fresh.lease_end() == old.lease_end());
  CHECK_FALSE(old.holds());
  CHECK_FALSE(old.renew());
  CHECK_FALSE(old.release());
  CHECK(fresh.holds());
  CHECK_FALSE(f.other.permit("k"));
  CHECK(fresh.release());
}

TEST_CASE("while_limits_are_off_calls_pass_without_permits_and_what_is_out_stays_out") {
  Fixture f(1, 10s);
  Permit held = f.limiter.permit("k");
  REQUIRE(f.scratch->switch_limits(false));
  Permit free = f.other.permit("k");
  CHECK(free);
  CHECK(free.decision().reason == Reason::off);
  CHECK(free.holds());
  CHECK(f.scratch->info().off_allowed == 1);
  CHECK(f.limiter.peek_permit("k").reason == Reason::off);
  CHECK(held.renew());
  REQUIRE(f.scratch->switch_limits(true));
  CHECK_FALSE(f.other.permit("k"));  // it was renewed, and is held
  CHECK(held.holds());
  CHECK(free.holds());  // as it was let through
  CHECK(free.release());
  CHECK(held.release());
  Permit next = f.limiter.permit("k");
  CHECK(next);
  REQUIRE(f.scratch->switch_limits(false));
  f.scratch->advance_clock(60s);
  CHECK(next.renew());  // nobody is stopped by a limit that is off
  CHECK(next.release());
}

TEST_CASE("a_limit_that_only_watches_lets_calls_pass_without_permits_when_all_are_out") {
  Fixture f(1);
  const Limit watching = Limit::parse("concurrency 2 shadow");
  f.scratch->set_policy("uploads", watching);
  const std::vector<Permit> all = f.take(2);
  CHECK(all[1].decision().reason == Reason::ok);
  Permit more = f.other.permit("k");
  CHECK(more);
  CHECK(more.decision().reason == Reason::shadow);
  CHECK(more.decision().retry_after > 0ns);
  CHECK(more.holds());
  CHECK(more.renew());
  CHECK(more.fence() == 0);
  CHECK(f.limiter.peek_permit("k").reason == Reason::shadow);
  CHECK(f.limiter.peek_permit("k").allowed);
  CHECK(more.release());
  CHECK_FALSE(more.release());
  for (const Permit& permit : all) CHECK(permit.holds());
  f.set(2);
  CHECK_FALSE(f.other.permit("k"));
}

TEST_CASE("a_name_that_became_one_of_calls_gives_no_permits_and_knows_its_old_ones_no_more") {
  Fixture f(1);
  Permit old = f.limiter.permit("k");
  CHECK(f.limiter.try_acquire("k").reason == Reason::invalid);
  CHECK_THROWS_AS(f.scratch->set_policy("uploads", Limit::per_second(10)), Error);
  REQUIRE(f.scratch->remove_policy("uploads"));
  f.scratch->set_policy("uploads", Limit::per_second(10));
  CHECK(f.limiter.permit("k").decision().reason == Reason::invalid);
  CHECK(f.other.peek_permit("k").reason == Reason::invalid);
  CHECK(f.limiter.try_acquire("k"));
  CHECK_FALSE(old.holds());
  CHECK_FALSE(old.renew());
  CHECK_FALSE(old.release());
}

TEST_CASE("S_a_change_that_nobody_dated_is_dated_by_who_takes_a_permit_next") {
  Fixture f(3, 10s);
  std::vector<Permit> all = f.take(3);
  // As an operator who is killed between the two.
  const std::uint16_t root = f.view.policies.find("uploads");
  const std::uint16_t next = f.view.policies.succeed(
      root, "uploads", [&](std::uint16_t last) -> std::optional<shm::PolicyConstants> {
        auto constants = constants_of(Limit::concurrency(1, 10s), {f.now_ns(), 1, 1});
        continue_permits(constants, Concurrency{3, 10'000'000'000}, last, false);
        return constants;
      });
  REQUIRE(f.view.policies.changed_ns(root) == 0);
  CHECK_FALSE(f.other.permit("k"));
  CHECK(f.view.policies.changed_ns(root) == f.now_ns());
  CHECK(f.in_force() == next);
  CHECK(f.is_counting());
  f.scratch->advance_clock(12s);
  CHECK_FALSE(f.is_counting());
  CHECK(f.take(1).size() == 1);
}

TEST_CASE("S_permits_come_along_into_a_copy_of_the_segment_that_was_made_after_a_change") {
  Fixture f(4);
  std::vector<Permit> all = f.take(4);
  f.set(2);
  REQUIRE(::unlink(f.scratch.path().c_str()) == 0);
  // A second of use later the process notices, and makes the segment anew from its contents.
  for (int i = 0; ::access(f.scratch.path().c_str(), F_OK) != 0 && i < 20'000'000; ++i)
    (void)f.limiter.permit("other");
  REQUIRE(::access(f.scratch.path().c_str(), F_OK) == 0);
  Limiter limiter = Segment::open(f.scratch.name()).limiter("uploads");
  CHECK(std::count_if(all.begin(), all.end(), [](Permit& permit) { return permit.renew(); }) == 2);
  for (const std::size_t i : {3U, 2U, 1U}) {
    CHECK_FALSE(limiter.permit("k"));
    CHECK(all[i].holds());
    CHECK(all[i].release());
  }
  CHECK(all[0].holds());
  const Permit next = limiter.permit("k");
  CHECK(next);
  CHECK_FALSE(limiter.permit("k"));
}

}  // namespace
}  // namespace rl
