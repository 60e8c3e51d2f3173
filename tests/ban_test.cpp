// Bans and conduct as pure functions: words, rounding, and that no key gains by a ban.
#include "src/ban.hpp"

#include <array>
#include <random>

#include <doctest/doctest.h>

#include "src/carried_debt.hpp"
#include "src/conduct.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::uint64_t kS = 1'000'000'000;

TEST_CASE("tokens_are_rounded_up_by_less_than_4_in_a_million") {
  CHECK(RoundedTokens::up(0).tokens() == 0);
  CHECK(RoundedTokens::up((1 << 18) - 1).tokens() == (1 << 18) - 1);
  CHECK(RoundedTokens::up((1 << 19) - 1).tokens() == (1 << 19) - 1);
  CHECK(RoundedTokens::up((1 << 19) + 1).tokens() == (1 << 19) + 2);
  CHECK(RoundedTokens::up((1 << 20) - 1).tokens() == 1 << 20);  // carries into the exponent
  CHECK(RoundedTokens::most() == ((std::uint64_t{1} << 19) - 1) << 30);
  CHECK(RoundedTokens::up(~std::uint64_t{0}).tokens() == RoundedTokens::most());
  CHECK(RoundedTokens::up(RoundedTokens::most()).tokens() == RoundedTokens::most());
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t n = random() >> (15 + random() % 49);
    if (n > RoundedTokens::most()) continue;
    const std::uint64_t up = RoundedTokens::up(n).tokens();
    REQUIRE(up >= n);
    REQUIRE(up - n <= n >> 18);
    REQUIRE(RoundedTokens::up(up).tokens() == up);
  }
}

TEST_CASE("a_word_of_any_bits_is_taken_apart_and_put_together") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  for (int i = 0; i < 100'000; ++i) {
    const std::uint64_t state = random() >> 1;
    REQUIRE(BanWord::of(state).state() == state);
    REQUIRE((charge(Ban{}, state, random(), random()) >> 63) == 0);
    REQUIRE((ConductWord::of(state).state() >> 60) == 0);
    const Conduct conduct{1 + random() % 1'000'000, 1 + (random() >> 3), 1 + (random() >> 3)};
    const ConductStep step = after_denial(conduct, random(), random());
    REQUIRE((step.word.state() >> 60) == 0);
    REQUIRE(step.word.denials < conduct.denials);
  }
}

TEST_CASE("a_ban_denies_until_its_end_and_says_when_that_is") {
  const BanWord word{tick_not_before(100 * kS), RoundedTokens::up(7), 2};
  CHECK(word.until_ns() >= 100 * kS);
  CHECK(word.until_ns() < 100 * kS + kTickNs);
  const Verdict verdict = acquire(Ban{}, word.state(), 40 * kS, 1);
  CHECK_FALSE(verdict.allowed);
  CHECK_FALSE(verdict.never);
  CHECK(verdict.state == word.state());
  CHECK(verdict.remaining == 0);
  CHECK(verdict.retry_after_ns == word.until_ns() - 40 * kS);
  CHECK_FALSE(word.is_over(word.until_ns() - 1));
  CHECK(word.is_over(word.until_ns()));
  CHECK(tokens_owed(Ban{}, word.state(), 0) == 7);
  CHECK(BanWord::of(charge(Ban{}, word.state(), 0, 5)).owed.tokens() == 12);
  CHECK(BanWord::of(charge(Ban{}, word.state(), 0, ~std::uint64_t{0})).owed.tokens() ==
        RoundedTokens::most());
  CHECK(with_remaining(Ban{}, word.state(), 0, 3) == BanWord{word.until, {}, 2}.state());
}

TEST_CASE("a_ban_for_ever_is_never_over") {
  const BanWord word{kTickForEver, {}, 0};
  CHECK_FALSE(word.is_over(~std::uint64_t{0}));
  const Verdict verdict = acquire(Ban{}, word.state(), kTimeMax, 1);
  CHECK(verdict.never);
  CHECK_FALSE(verdict.allowed);
  CHECK(tick_not_before(~std::uint64_t{0}) < kTickForEver);
}

/// Limits of every kind that calls are asked of.
std::array<Parameters, 4> random_limits(std::mt19937_64& random) {
  const std::uint64_t interval = 1 + random() % (10 * kS);
  const std::uint64_t burst = 1 + random() % 100'000;
  const std::uint64_t horizon = interval * burst * 2;
  const std::uint64_t window = (1 + random() % 3'600'000) * 1'000'000;
  const std::uint64_t phase = random() % window;
  const std::uint64_t most = std::min(SlidingWindow::limit_max(window), burst);
  return {TokenBucket::of(interval, burst).with_horizon(horizon),
          LeakyBucket::of(interval, burst, burst / 2).with_horizon(horizon),
          FixedWindow::of(window, std::min(burst, window - 1), phase),
          SlidingWindow::of(window, most, phase)};
}

// A: what a key owes when its ban is over is what it would owe without one, and at most 0.001 % and
// a token more.
TEST_CASE("A_a_ban_is_no_refill_and_rounds_against_the_key_only") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t owing = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t now = kS * 1'000'000 + random() % (kS * 1'000'000);
    for (const Parameters& limit : random_limits(random)) {
      const std::uint64_t used = 1 + random() % most_at_once(limit);
      const std::uint64_t state = charge(limit, idle_state(limit, now), now, used);
      const std::uint64_t until = tick_not_before(now + random() % (20 * kS)) << kTickBits;
      const BanWord word{until >> kTickBits, RoundedTokens::up(all_owed(limit, state, until)), 0};
      const std::uint64_t after = state_owing(limit, BanWord::of(word.state()).owed, until);
      const std::uint64_t plain_owes = all_owed(limit, state, until);
      const std::uint64_t owes = all_owed(limit, after, until);
      REQUIRE(owes >= plain_owes);
      REQUIRE(owes - plain_owes <= plain_owes / 100'000 + 1);
      REQUIRE(peek(limit, after, until, 1).remaining <= peek(limit, state, until, 1).remaining);
      owing += plain_owes != 0 ? 1 : 0;
    }
  }
  CHECK(owing > 1'000);  // else nothing was tried
}

TEST_CASE("the_last_of_so_many_denials_bans_and_begins_anew") {
  const Conduct conduct{3, 10 * kS, 60 * kS};
  ConductStep step = after_denial(conduct, 0, 100 * kS);
  CHECK_FALSE(step.bans);
  CHECK(step.word.denials == 1);
  step = after_denial(conduct, step.word.state(), 105 * kS);
  CHECK_FALSE(step.bans);
  CHECK(step.word.denials == 2);
  const std::uint64_t two = step.word.state();
  step = after_denial(conduct, two, 109 * kS);
  CHECK(step.bans);
  CHECK(step.level == 0);
  CHECK(step.length_ns == 60 * kS);
  CHECK(step.word.denials == 0);
  // When the time is over, the count begins anew.
  step = after_denial(conduct, two, 111 * kS);
  CHECK_FALSE(step.bans);
  CHECK(step.word.denials == 1);
}

TEST_CASE("each_further_ban_is_twice_as_long_up_to_64_times") {
  const Conduct conduct{1, kS, 10 * kS};
  std::uint64_t now = 100 * kS;
  std::uint64_t state = 0;
  for (const std::uint64_t factor : {1, 2, 4, 8, 16, 32, 64, 64, 64}) {
    const ConductStep step = after_denial(conduct, state, now);
    REQUIRE(step.bans);
    CHECK(step.length_ns == factor * 10 * kS);
    state = step.word.state();
    now += step.length_ns + kS;
  }
}

TEST_CASE("a_level_is_remembered_for_64_bans_after_the_last_and_then_forgotten") {
  const Conduct conduct{1, kS, 10 * kS};
  const std::uint64_t state = after_denial(conduct, 0, 100 * kS).word.state();
  const std::uint64_t end = 100 * kS + 10 * kS + 640 * kS;
  CHECK(after_denial(conduct, state, end - kTickNs).level == 1);
  CHECK_FALSE(is_idle(conduct, state, end - kTickNs));
  CHECK(after_denial(conduct, state, end + kTickNs).level == 0);
  CHECK(is_idle(conduct, state, end + kTickNs));
  // And for as long after denials were counted last.
  const Conduct patient{2, kS, 10 * kS};
  const std::uint64_t counting = after_denial(patient, state, end - kS).word.state();
  CHECK(after_denial(patient, counting, end + 600 * kS).word.level == 1);
  CHECK(after_denial(patient, counting, end + 641 * kS).word.level == 0);
}

TEST_CASE("conduct_that_is_idle_stays_idle_and_owes_nothing") {
  const Conduct conduct{5, kS, kS};
  for (const std::uint64_t now : {std::uint64_t{0}, 5 * kS, kTimeMax}) {
    const std::uint64_t idle = idle_state(conduct, now);
    CHECK(is_idle(conduct, idle, now));
    CHECK(tokens_owed(conduct, idle, now) == 0);
    CHECK_FALSE(is_beyond_horizon(conduct, idle, now));
  }
  const std::uint64_t far = ConductWord{kTickForEver, 4, 6}.state();
  CHECK(is_beyond_horizon(conduct, far, kS));
  CHECK(is_idle(conduct, cut(conduct, far, kS), kS));
}

TEST_CASE("what_is_remembered_is_the_same_or_longer_by_a_tick_when_it_is_told_without_a_clock") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  for (int i = 0; i < 100'000; ++i) {
    const Conduct conduct{1 + random() % 1'000'000, 1 + random() % (1'000 * kS),
                          1 + random() % (1'000 * kS)};
    const std::uint64_t now = random() >> (2 + random() % 40);
    const std::uint64_t then = random() >> (2 + random() % 40);
    // Any numbers make a word that a denial could have made.
    const Remembered any{static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()),
                         random() >> random() % 64};
    const ConductWord word = word_of(conduct, any, now);
    REQUIRE_FALSE(is_beyond_horizon(conduct, word.state(), now));
    REQUIRE(ConductWord::of(word.state()).state() == word.state());
    REQUIRE(std::uint64_t{word.denials} < conduct.denials);
    const Remembered told = remembered_in(conduct, word, now);
    const Remembered again = remembered_in(conduct, word_of(conduct, told, then), then);
    if (std::max(now, then) > kTimeMax / 2) continue;  // ends are cut there
    REQUIRE(again.denials == told.denials);
    REQUIRE(again.level == told.level);
    const bool is_whole = any.left_ns <= std::min(conduct.within_ns, conduct.memory_ns());
    REQUIRE(again.left_ns + (is_whole ? 0 : kTickNs) >= told.left_ns);
    REQUIRE(again.left_ns <= told.left_ns + kTickNs);
  }
}

}  // namespace
}  // namespace rl
