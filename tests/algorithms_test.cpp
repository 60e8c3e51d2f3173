// What src/verdict.hpp promises of every algorithm, held by each of them.
#include <doctest/doctest.h>

#include <concepts>

#include "tests/lives.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using test::any_state;
using test::any_up_to;
using test::Kind;
using test::kNonces;
using test::Life;
using test::Random;

template <class P>
concept Algorithm = requires(const P& params, std::uint64_t word) {
  requires noexcept(acquire(params, word, word, word));
  { acquire(params, word, word, word) }
  noexcept->std::same_as<Verdict>;
  { peek(params, word, word, word) }
  noexcept->std::same_as<Verdict>;
  { reserve(params, word, word, word, word) }
  noexcept->std::same_as<Verdict>;
  { charge(params, word, word, word) }
  noexcept->std::same_as<std::uint64_t>;
  { charge_room(params, word, word) }
  noexcept->std::same_as<std::uint64_t>;
  { with_remaining(params, word, word, word) }
  noexcept->std::same_as<std::uint64_t>;
  { refund(params, word, word, word, word) }
  noexcept->std::same_as<std::uint64_t>;
  { is_idle(params, word, word) }
  noexcept->std::same_as<bool>;
  { idle_state(params, word) }
  noexcept->std::same_as<std::uint64_t>;
  { tokens_owed(params, word, word) }
  noexcept->std::same_as<std::uint64_t>;
  { is_beyond_horizon(params, word, word) }
  noexcept->std::same_as<bool>;
  { cut(params, word, word) }
  noexcept->std::same_as<std::uint64_t>;
  { most_at_once(params) }
  noexcept->std::same_as<std::uint64_t>;
  { floored(params) }
  noexcept->std::same_as<P>;
};

TEST_CASE_TEMPLATE("any_bytes_get_an_answer_in_range", P, TokenBucket, LeakyBucket, FixedWindow,
                   SlidingWindow) {
  static_assert(Algorithm<P>);
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t cut_ones = 0;
  std::uint64_t allowed = 0;
  for (std::uint64_t run = 0; run < 100'000; ++run) {
    Random random(test::seed() + run);
    P params = Kind<P>::any(random, Kind<P>::kMax);
    params.floor = any_up_to(random, most_at_once(params));
    const std::uint64_t scale = Kind<P>::scale(params);
    const std::uint64_t now = any_up_to(random, ~std::uint64_t{0} >> 1);
    const std::uint64_t raw = any_state(random, now, scale);
    const std::uint64_t most = most_at_once(params);
    const std::uint64_t cost =
        1 + (random() % 8 == 0 ? random() >> 1 : any_up_to(random, most + 1));

    const std::uint64_t when =
        std::min(now, kTimeMax);  // the clock that algorithms know ends there
    const std::uint64_t state = cut(params, raw, now);
    REQUIRE(state < kNonces);
    REQUIRE_FALSE(is_beyond_horizon(params, state, when));
    REQUIRE((state == raw) != is_beyond_horizon(params, raw, when));
    cut_ones += state != raw ? 1 : 0;

    const Verdict v = acquire(params, state, when, cost);
    const std::uint64_t far = 2 * std::max(Kind<P>::kMax, scale) + 2 * kHealSlackNs;
    REQUIRE(v.state < kNonces);
    REQUIRE_FALSE(is_beyond_horizon(params, v.state, when));
    REQUIRE(v.remaining <= most);
    REQUIRE(v.retry_after_ns <= far);
    REQUIRE(v.reset_after_ns <= far);
    REQUIRE(v.wait_ns <= far);
    REQUIRE(v.never == (cost > most));
    REQUIRE((v.allowed || v.state == state));
    REQUIRE((v.allowed || v.never) == (v.retry_after_ns == 0));
    allowed += v.allowed ? 1 : 0;

    const Verdict low = acquire(floored(params), state, when, cost);
    REQUIRE((v.allowed || !low.allowed));
    REQUIRE((!low.allowed || low.state == v.state));
    REQUIRE((low.allowed || low.state == state));
    const std::uint64_t left = peek(params, state, when, 1).remaining;
    REQUIRE(peek(floored(params), state, when, 1).remaining == left - std::min(params.floor, left));
    REQUIRE(low.allowed == (left >= params.floor && left - params.floor >= cost));
    REQUIRE(low.never == (cost > most - params.floor));
    REQUIRE((low.allowed || low.never) == (low.retry_after_ns == 0));
    REQUIRE(low.retry_after_ns <= far);

    const std::uint64_t patience = random() % 2 == 0 ? any_up_to(random, 3 * scale) : random();
    const Verdict r = reserve(params, state, when, cost, patience);
    REQUIRE(r.state < kNonces);
    REQUIRE_FALSE(is_beyond_horizon(params, r.state, when));
    REQUIRE(r.remaining <= most);
    REQUIRE(r.wait_ns <= (r.allowed ? patience : 0));
    REQUIRE(r.retry_after_ns <= far);
    REQUIRE(r.never == v.never);
    REQUIRE((r.allowed || r.state == state));
    REQUIRE((r.allowed || r.never) == (r.retry_after_ns == 0));
    REQUIRE((r.allowed || v.allowed == (v.wait_ns > patience)));

    REQUIRE(std::min(tokens_owed(params, state, when), most) == most - left);
    REQUIRE((tokens_owed(params, state, when) == 0) == is_idle(params, state, when));
    REQUIRE(is_idle(params, idle_state(params, now), now));
    REQUIRE(idle_state(params, now) < kNonces);
    const std::uint64_t charged = charge(params, raw, now, cost);
    REQUIRE(charged < kNonces);
    REQUIRE_FALSE(is_beyond_horizon(params, charged, now));
    const std::uint64_t room = charge_room(params, raw, now);
    REQUIRE(tokens_owed(params, charged, when) >=
            tokens_owed(params, state, when) + std::min(cost, room));
    REQUIRE((cost >= room || charge(params, raw, now, room) > charged));
    const std::uint64_t set = with_remaining(params, state, when, cost);
    REQUIRE(set < kNonces);
    REQUIRE(set >= idle_state(params, when));
    REQUIRE_FALSE(is_beyond_horizon(params, set, when));
    REQUIRE(peek(params, set, when, 1).remaining == std::min(cost, most));
    const std::uint64_t other = any_state(random, now, scale);
    REQUIRE(refund(params, state, other, cost, now) < kNonces);
    REQUIRE(refund(params, state, other, cost, now) <= state);
    REQUIRE(refund(params, state, state, cost, now) <= state);
    (void)refund(params, raw, other, cost, now);
  }
  CHECK(cut_ones > 1'000);
  CHECK(allowed > 1'000);
}

TEST_CASE_TEMPLATE("A_no_call_charge_or_idle_stamp_makes_a_state_less", P, TokenBucket, LeakyBucket,
                   FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t lives = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t state = 0;
    for (int call = 0; call < 40; ++call) {
      key.now += key.random() % (key.random() % 8 == 0 ? 3 * key.scale : key.scale / 4 + 2);
      if (is_idle(key.params, state, key.now) && key.random() % 2 == 0) {
        const std::uint64_t next = idle_state(key.params, key.now);
        REQUIRE(next >= state);
        state = next;
        ++lives;
      }
      const Verdict v = acquire(key.params, state, key.now, key.cost());
      REQUIRE((v.allowed ? v.state > state : v.state == state));
      state = v.state;
      if (key.random() % 8 == 0) {
        const std::uint64_t charged = charge(key.params, state, key.now, key.cost());
        REQUIRE(charged >= state);
        state = charged;
      }
    }
  }
  CHECK(lives > 1'000);
}

TEST_CASE_TEMPLATE("A_waiting_exactly_retry_after_succeeds_and_a_nanosecond_less_does_not", P,
                   TokenBucket, LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t denied = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t state = 0;
    for (int call = 0; call < 40; ++call) {
      key.step(4, 8);
      if (key.random() % 8 == 0) state = charge(key.params, state, key.now, key.cost());
      const std::uint64_t cost = key.cost();
      const Verdict v = acquire(key.params, state, key.now, cost);
      if (!v.allowed) {
        ++denied;
        REQUIRE(acquire(key.params, state, key.now + v.retry_after_ns, cost).allowed);
        REQUIRE_FALSE(acquire(key.params, state, key.now + v.retry_after_ns - 1, cost).allowed);
      }
      state = v.state;
    }
  }
  CHECK(denied > 1'000);
}

// Also where calls of normal priority, or charges, have gone below the floor.
TEST_CASE_TEMPLATE(
    "A_calls_of_low_priority_leave_the_floor_and_are_denied_no_longer_than_they_must", P,
    TokenBucket, LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t passed = 0;
  std::uint64_t denied = 0;
  std::uint64_t below = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    const std::uint64_t most = most_at_once(key.params);
    key.params.floor = key.random() % (most + 1);
    const P low = floored(key.params);
    const auto left = [&](std::uint64_t state) {
      return peek(key.params, state, key.now, 1).remaining;
    };
    std::uint64_t state = 0;
    for (int call = 0; call < 40; ++call) {
      key.step(4, 8);
      if (key.random() % 8 == 0) state = charge(key.params, state, key.now, key.cost());
      const std::uint64_t cost = key.cost();
      if (key.random() % 2 == 0) {
        state = acquire(key.params, state, key.now, cost).state;
        continue;
      }
      const std::uint64_t before = left(state);
      const Verdict v = acquire(low, state, key.now, cost);
      REQUIRE(v.allowed == (before >= cost + key.params.floor));
      REQUIRE(v.never == (cost + key.params.floor > most));
      if (v.allowed) {
        ++passed;
        REQUIRE(left(v.state) == before - cost);
        REQUIRE(v.remaining == before - cost - key.params.floor);
      } else if (!v.never) {
        ++denied;
        below += before < key.params.floor ? 1 : 0;
        REQUIRE(acquire(low, state, key.now + v.retry_after_ns, cost).allowed);
        REQUIRE_FALSE(acquire(low, state, key.now + v.retry_after_ns - 1, cost).allowed);
      }
      state = v.state;
    }
  }
  CHECK(passed > 1'000);
  CHECK(denied > 1'000);
  CHECK(below > 1'000);
}

TEST_CASE_TEMPLATE("a_key_is_idle_exactly_after_reset_after_and_then_as_good_as_never_seen", P,
                   TokenBucket, LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t state = 0;
    for (int call = 0; call < 20; ++call) {
      key.now += key.random() % (key.scale / 4 + 2);
      const Verdict v = acquire(key.params, state, key.now, key.cost());
      state = v.state;
      const std::uint64_t then = key.now + v.reset_after_ns;
      REQUIRE(is_idle(key.params, state, then));
      REQUIRE((v.reset_after_ns == 0 || !is_idle(key.params, state, then - 1)));
      for (const std::uint64_t same : {std::uint64_t{0}, idle_state(key.params, then)}) {
        const std::uint64_t cost = key.cost();
        const Verdict idle = acquire(key.params, state, then, cost);
        const Verdict fresh = acquire(key.params, same, then, cost);
        REQUIRE(idle.allowed);
        REQUIRE(idle.state == fresh.state);
        REQUIRE(idle.remaining == fresh.remaining);
        REQUIRE(idle.reset_after_ns == fresh.reset_after_ns);
        REQUIRE(idle.wait_ns == 0);
      }
    }
  }
}

TEST_CASE_TEMPLATE("peek_says_what_acquire_would_and_changes_nothing", P, TokenBucket, LeakyBucket,
                   FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t state = 0;
    for (int call = 0; call < 20; ++call) {
      key.now += key.random() % (key.scale / 4 + 2);
      const std::uint64_t cost = key.cost();
      const Verdict before = peek(key.params, state, key.now, cost);
      const Verdict v = acquire(key.params, state, key.now, cost);
      REQUIRE(before.state == state);
      REQUIRE(before.allowed == v.allowed);
      REQUIRE(before.retry_after_ns == v.retry_after_ns);
      REQUIRE(before.wait_ns == v.wait_ns);
      REQUIRE(before.remaining == v.remaining + (v.allowed ? cost : 0));
      REQUIRE((before.reset_after_ns == 0) == is_idle(key.params, state, key.now));
      REQUIRE(is_idle(key.params, state, key.now + before.reset_after_ns));
      REQUIRE(tokens_owed(key.params, state, key.now) ==
              most_at_once(key.params) - before.remaining);
      state = v.state;
    }
  }
}

// A refund takes back no more than its call: whatever came after it, and however late.
TEST_CASE_TEMPLATE("A_after_a_refund_a_key_owes_no_less_than_if_the_call_had_never_been", P,
                   TokenBucket, LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t refunded = 0;
  std::uint64_t at_once = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t state = 0;
    for (int call = 0; call < 10; ++call) {
      key.now += key.random() % (key.scale / 8 + 2);
      state = acquire(key.params, state, key.now, key.cost()).state;
    }
    const std::uint64_t cost = key.cost();
    const Verdict ours = acquire(key.params, state, key.now, cost);
    if (!ours.allowed) continue;
    const std::uint64_t back = refund(key.params, ours.state, ours.state, cost, key.now);
    REQUIRE(peek(key.params, back, key.now, 1).remaining ==
            peek(key.params, state, key.now, 1).remaining);
    ++at_once;

    std::uint64_t with = ours.state;
    std::uint64_t without = state;
    for (std::uint64_t call = key.random() % 2 * (key.random() % 8); call != 0; --call) {
      key.now += key.random() % (key.scale / 4 + 2);
      const std::uint64_t more = key.cost();
      const Verdict v = acquire(key.params, with, key.now, more);
      with = v.state;
      if (v.allowed) without = acquire(key.params, without, key.now, more).state;
    }
    key.now += key.random() % (key.scale / 2 + 2);
    const std::uint64_t after = refund(key.params, with, ours.state, cost, key.now);
    refunded += after != with ? 1 : 0;
    REQUIRE(after <= with);
    REQUIRE(peek(key.params, after, key.now, 1).remaining <=
            peek(key.params, without, key.now, 1).remaining);
    REQUIRE(peek(key.params, after, key.now, 1).reset_after_ns >=
            peek(key.params, without, key.now, 1).reset_after_ns);
  }
  CHECK(at_once > 1'000);
  CHECK(refunded > 300);
}

}  // namespace
}  // namespace rl
