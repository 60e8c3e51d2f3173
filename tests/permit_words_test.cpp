#include "src/permit_words.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "src/concurrency.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kCircleNs = kTickNs << PermitWord::kEndBits;
constexpr Concurrency kTwenty{20, 30 * kSecond};
constexpr Concurrency kLongest{1, Concurrency::kLeaseMax};

static_assert(PermitWord::of(0) == PermitWord{} && !is_out(kTwenty, PermitWord{}, 0));
static_assert(kind_of(taken(kTwenty, {}, 1'023, 255, ~std::uint64_t{0} >> 1).state()) ==
              WordKind::permit);
static_assert(kind_of(HintWord{HintWord::saturated, 15, 4'095, 0x1f'ffff, 0x3f'ffff}.state()) ==
              WordKind::hint);
static_assert(kind_of(next_fence(0, kFenceMax - 1)) == WordKind::fence);
static_assert(kind_of(std::uint64_t{1} << 63) == WordKind::none);

/// When the lease is over that is taken at `t`: exactly, without a circle.
std::uint64_t over_at(const Concurrency& permits, std::uint64_t t) {
  return (t + permits.lease_ns + kTickNs - 1) / kTickNs * kTickNs;
}

Concurrency random_limit(std::mt19937_64& random) {
  constexpr std::uint64_t kMs = 1'000'000;
  const std::uint64_t most = random() % 2 == 0 ? 60 * kSecond : Concurrency::kLeaseMax;
  const std::uint64_t lease =
      Concurrency::kLeaseMin + random() % (most - kSecond + kMs) / kMs * kMs;
  return {1 + random() % Concurrency::kLimitMax, lease};
}

TEST_CASE("a_word_taken_apart_and_put_together_is_the_same") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t state = random() >> 1;
    CAPTURE(state);
    if (kind_of(state) == WordKind::permit) CHECK(PermitWord::of(state).state() == state);
    const bool is_hint = kind_of(state) == WordKind::hint && (state >> 59 & 3) != 3;
    if (is_hint) CHECK(HintWord::of(state).state() == state);
    if (kind_of(state) != WordKind::permit) CHECK(PermitWord::of(state) == PermitWord{});
    if (!is_hint) CHECK(HintWord::of(state) == HintWord{});
    if (kind_of(state) != WordKind::fence) CHECK(fence_of(state) == 0);
  }
}

TEST_CASE("A_a_lease_runs_from_its_take_to_its_end_and_not_a_nanosecond_longer") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 10'000; ++i) {
    const Concurrency permits = random_limit(random);
    const std::uint64_t t = random() >> (3 + random() % 20);
    const auto seat = static_cast<std::uint32_t>(random() % 1'024);
    const std::uint64_t generation = random();
    const PermitWord before = PermitWord::of(random() >> 3);
    const PermitWord word = taken(permits, before, seat, generation, t);
    const std::uint64_t end = over_at(permits, t);
    CAPTURE(i);
    CAPTURE(permits.lease_ns);
    CAPTURE(t);
    CHECK(word.holder == seat + 1);
    CHECK(word.generation == generation % 256);
    CHECK(word.sequence == (before.sequence + 1) % (1U << 18));
    // From a taker whose clock is behind, to the last nanosecond.
    const std::uint64_t during = t + random() % (end - t);
    for (const std::uint64_t now : {t - std::min(t, random() % kSecond), t, during, end - 1}) {
      CAPTURE(now);
      CHECK(lease_left_ns(permits, word, now) == end - now);
      CHECK_FALSE(is_idle(permits, word.state(), now));
    }
    // From its end to a circle later, less its reach.
    const std::uint64_t untouched = kCircleNs - permits.lease_ns - 2 * kSecond;
    const std::uint64_t later = end + random() % (untouched - (end - t));
    for (const std::uint64_t now : {end, end + 1, later, t + untouched}) {
      CAPTURE(now);
      CHECK(lease_left_ns(permits, word, now) == 0);
      CHECK(is_idle(permits, word.state(), now));
    }
    // Beyond, it may look as if it ran: for no longer than its reach.
    const std::uint64_t round = t + kCircleNs + permits.lease_ns + 2 * kTickNs;
    CHECK(lease_left_ns(permits, word, round) == 0);
  }
}

TEST_CASE("A_a_lease_that_was_given_before_leases_were_shortened_runs_to_its_end") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 10'000; ++i) {
    const Concurrency before = random_limit(random);
    Concurrency after = random_limit(random);
    after.longest_ns = before.lease_ns;
    const std::uint64_t t = random() >> (3 + random() % 20);
    const PermitWord word = taken(before, {}, 7, 3, t);
    const std::uint64_t end = over_at(before, t);
    CAPTURE(before.lease_ns);
    CAPTURE(after.lease_ns);
    CAPTURE(t);
    for (const std::uint64_t now : {t, t + random() % (end - t), end - 1})
      CHECK(lease_left_ns(after, word, now) == end - now);
    CHECK(lease_left_ns(after, word, end) == 0);
    // A new one is as long as it says now.
    CHECK(lease_left_ns(after, taken(after, word, 7, 3, t), t) == over_at(after, t) - t);
  }
}

TEST_CASE("a_permit_given_back_renewed_or_copied_is_what_the_table_says") {
  const PermitWord held = taken(kTwenty, {}, 7, 3, kSecond);
  CHECK(held ==
        PermitWord{8, 3, static_cast<std::uint32_t>(over_at(kTwenty, kSecond) / kTickNs), 1});
  const PermitWord back = given_back(held);
  CHECK(back == PermitWord{0, 0, 0, 2});
  CHECK_FALSE(is_out(kTwenty, back, kSecond));
  const PermitWord longer = renewed(kTwenty, held, 20 * kSecond);
  CHECK(lease_left_ns(kTwenty, longer, 20 * kSecond) ==
        over_at(kTwenty, 20 * kSecond) - 20 * kSecond);
  CHECK(longer.sequence == held.sequence);
  const PermitWord copy = copied(held);
  CHECK(copy.holder == PermitWord::kUnaskable);
  CHECK(lease_left_ns(kTwenty, copy, kSecond) == lease_left_ns(kTwenty, held, kSecond));
  CHECK(copied(back) == back);
  PermitWord last = held;
  last.sequence = PermitWord::kSequenceMask;
  CHECK(given_back(last).sequence == 0);
  CHECK(taken(kTwenty, last, 7, 3, kSecond).sequence == 0);
}

TEST_CASE("S_bytes_gone_wrong_hold_a_permit_for_no_longer_than_a_lease") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 10'000; ++i) {
    const Concurrency permits = random_limit(random);
    const std::uint64_t state = random();
    const std::uint64_t now = random() >> 3;
    CAPTURE(state);
    CAPTURE(now);
    const std::uint64_t left = lease_left_ns(permits, PermitWord::of(state), now);
    CHECK(left <= permits.lease_ns + kHealSlackNs + 3 * kTickNs);
    CHECK(worth_ns(permits, state, now) <= permits.lease_ns + kHealSlackNs + 3 * kTickNs);
    const std::uint64_t later = now + std::max(left, worth_ns(permits, state, now));
    CHECK_FALSE(is_out(permits, PermitWord::of(state), later));
  }
}

TEST_CASE("a_hint_is_true_for_its_ticks_and_kept_for_a_second") {
  const std::uint64_t t = 100 * kTickNs + 5;
  const HintWord mark = marked({}, t);
  CHECK(is_being_checked(mark, t));
  CHECK_FALSE(is_saturated(mark, t));
  const HintWord all_out = saturated(mark, 17, t, 3 * kTickNs);
  CHECK(all_out.index == 17);
  CHECK(all_out.checked == 100);
  CHECK(is_saturated(all_out, t));
  CHECK(is_saturated(all_out, t - kTickNs));  // a clock that is behind
  CHECK(is_saturated(all_out, 103 * kTickNs - 1));
  CHECK_FALSE(is_saturated(all_out, 103 * kTickNs));
  CHECK(saturated(mark, 17, t, 30 * kSecond).valid == HintWord::kValidMax);
  CHECK_FALSE(is_saturated(saturated(mark, 17, t, 0), t));
  CHECK_FALSE(is_being_checked(mark, 107 * kTickNs));
  // Whoever joined late says what is left; whoever is behind the marker, nothing.
  CHECK(saturated(mark, 17, t + 5 * kTickNs, kTickNs).valid == 6);
  CHECK(saturated(mark, 17, t - kTickNs, 1).valid == 0);

  const HintWord none = cleared(all_out, 5);
  CHECK(none.index == 5);
  CHECK(marked(none, t).index == 5);  // who looks then looks there first
  CHECK(none.mark == HintWord::clear);
  CHECK(none.releases == 1);
  CHECK(marked(none, t) != mark);  // within its tick, the releases tell two marks apart
  for (const HintWord& hint : {mark, all_out, none}) {
    CHECK_FALSE(is_idle(kTwenty, hint.state(), t));
    CHECK_FALSE(is_idle(kTwenty, hint.state(), t - kTickNs));
    CHECK_FALSE(is_idle(kTwenty, hint.state(), t + kSecond - kTickNs));
    CHECK(is_idle(kTwenty, hint.state(), t + kSecond + 2 * kTickNs));
  }
  HintWord full = mark;
  full.releases = HintWord::kReleasesMask;
  CHECK(cleared(full, 0).releases == 0);
}

TEST_CASE("S_a_fencing_number_that_nobody_can_have_drawn_is_not_counted_on_from") {
  const std::uint64_t now = 1'000 * kSecond;
  const std::uint64_t wild = std::uint64_t{2} << 61 | (now + 10 * kHealSlackNs);
  CHECK(fence_of(next_fence(wild, now)) == now + 1);
  CHECK(fence_of(next_fence(std::uint64_t{2} << 61 | kFenceMax, now)) == now + 1);
  CHECK_FALSE(is_fence_overtaken(now, now + kFenceKeptNs - 1));
}

TEST_CASE("a_hint_counts_its_ticks_across_the_end_of_their_circle") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 10'000; ++i) {
    const std::uint64_t t = random() >> 2;
    const std::uint64_t ticks = random() % 16;
    const HintWord hint = saturated(marked({}, t), 0, t, ticks * kTickNs);
    const std::uint64_t later = std::min(t + random() % (2 * kSecond), kTimeMax);
    const std::uint64_t since = later / kTickNs - t / kTickNs;
    CAPTURE(t);
    CAPTURE(later);
    CHECK(ticks_since(hint, later) == since);
    CHECK(is_saturated(hint, later) == (since < std::min<std::uint64_t>(ticks, 7)));
  }
}

TEST_CASE("A_each_fencing_number_is_above_all_before_whatever_became_of_the_slot") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  std::uint64_t state = 0;
  std::uint64_t last = 0;
  std::uint64_t now = 0;
  for (int i = 0; i < 10'000; ++i) {
    now += random() % (2 * kFenceKeptNs) * (random() % 4 == 0 ? 1 : 0);
    if (is_idle(kTwenty, state, now)) state = 0;                     // overwritten
    const std::uint64_t seen = now - std::min(now, random() % 200);  // CPUs' clocks differ
    state = next_fence(state, seen);
    CHECK(fence_of(state) > last);
    last = fence_of(state);
  }
  CHECK(next_fence(next_fence(0, kFenceMax - 1), kFenceMax) == next_fence(0, kFenceMax - 1));
  CHECK(next_fence(0, kFenceMax) == 0);  // no number is left
  CHECK(is_fence_overtaken(kFenceMax, 0));
}

TEST_CASE("by_acquire_nothing_passes_and_a_slot_shows_how_long_it_is_worth_something") {
  const std::uint64_t held = taken(kLongest, {}, 0, 1, kSecond).state();
  for (const std::uint64_t state : {std::uint64_t{0}, held}) {
    const Verdict verdict = acquire(kLongest, state, kSecond, 1);
    CHECK_FALSE(verdict.allowed);
    CHECK(verdict.never);
    CHECK(verdict.state == state);
  }
  CHECK(peek(kLongest, held, kSecond, 1).reset_after_ns == over_at(kLongest, kSecond) - kSecond);
  CHECK(peek(kLongest, 0, kSecond, 1).reset_after_ns == 0);
  CHECK(refund(kLongest, held, held, 1, kSecond) == held);
  CHECK(is_idle(kLongest, idle_state(kLongest, kSecond), kSecond));
  CHECK(most_at_once(kTwenty) == 20);
}

}  // namespace
}  // namespace rl
