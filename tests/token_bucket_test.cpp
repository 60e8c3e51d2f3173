#include "src/token_bucket.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr TokenBucket kTenPerSecond = TokenBucket::of(100'000'000, 10);

// From idle the burst passes back to back, and not one more.
constexpr std::uint64_t passes_from_idle(const TokenBucket& bucket, std::uint64_t now) {
  std::uint64_t tat = 0;
  std::uint64_t passed = 0;
  for (;;) {
    const Verdict v = acquire(bucket, tat, now, 1);
    if (!v.allowed) return passed;
    tat = v.state;
    ++passed;
  }
}
static_assert(passes_from_idle(kTenPerSecond, 5 * kSecond) == 10);
static_assert(passes_from_idle(TokenBucket::of(1, 1), 1) == 1);
static_assert(passes_from_idle(TokenBucket::of(86'400 * kSecond, 1), 0) == 1);

// The reciprocal divides exactly, at both ends of its range.
static_assert(TokenBucket::of(1, 1).whole_tokens((std::uint64_t{1} << 63) - 1) ==
              (std::uint64_t{1} << 63) - 1);
static_assert(TokenBucket::of(3, 1).whole_tokens(8) == 2);
static_assert(TokenBucket::of(3, 1).whole_tokens(9) == 3);
static_assert(TokenBucket::of(std::uint64_t{1} << 61, 1).whole_tokens(std::uint64_t{1} << 62) == 2);

// A cost above the burst never passes, and says so, however idle the key.
static_assert(acquire(kTenPerSecond, 0, kSecond, 11).never);
static_assert(!acquire(kTenPerSecond, 0, kSecond, 11).allowed);
static_assert(acquire(kTenPerSecond, 0, kSecond, ~std::uint64_t{0}).never);
static_assert(acquire(kTenPerSecond, 0, kSecond, 10).allowed);

// A denial changes no state.
static_assert(acquire(kTenPerSecond, 3 * kSecond, 2 * kSecond, 1).state == 3 * kSecond);

// Nothing overflows at the far ends of time and tolerance.
constexpr TokenBucket kWidest = TokenBucket::of(1, TokenBucket::kToleranceMax);
constexpr std::uint64_t kLatest = std::uint64_t{1} << 62;
static_assert(acquire(kWidest, 0, kLatest, TokenBucket::kToleranceMax).allowed);
static_assert(acquire(kWidest, kLatest + kWidest.horizon_ns + kHealSlackNs, kLatest,
                      TokenBucket::kToleranceMax)
                  .retry_after_ns == TokenBucket::kToleranceMax + kHealSlackNs);
static_assert(is_beyond_horizon(kWidest, ~std::uint64_t{0}, kLatest));

static_assert(!TokenBucket::is_valid(0, 1) && !TokenBucket::is_valid(1, 0));
static_assert(!TokenBucket::is_valid(2, TokenBucket::kToleranceMax));
static_assert(TokenBucket::is_valid(2, TokenBucket::kToleranceMax / 2));

TEST_CASE("a_call_is_decided_as_the_table_says") {
  struct Row {
    const char* what;
    TokenBucket bucket;
    std::uint64_t tat, now, cost;
    bool allowed;
    std::uint64_t tat_after, remaining, retry_after, reset_after;
  };
  const TokenBucket slow = TokenBucket::of(86'400 * kSecond, 1);
  const TokenBucket fastest = TokenBucket::of(1, 1'000'000'000);
  const std::vector<Row> rows{
      {"never seen", kTenPerSecond, 0, kSecond, 1, true, 1'100'000'000, 9, 0, 100'000'000},
      {"idle for long", kTenPerSecond, kSecond, 9 * kSecond, 1, true, 9'100'000'000, 9, 0,
       100'000'000},
      {"whole burst at once", kTenPerSecond, 0, kSecond, 10, true, 2 * kSecond, 0, 0, kSecond},
      {"empty", kTenPerSecond, 2 * kSecond, kSecond, 1, false, 2 * kSecond, 0, 100'000'000,
       kSecond},
      {"a nanosecond early", kTenPerSecond, 2 * kSecond, 1'099'999'999, 1, false, 2 * kSecond, 0, 1,
       900'000'001},
      {"on time", kTenPerSecond, 2 * kSecond, 1'100'000'000, 1, true, 2'100'000'000, 0, 0, kSecond},
      {"half a token left is none", kTenPerSecond, 1'950'000'000, kSecond, 1, false, 1'950'000'000,
       0, 50'000'000, 950'000'000},
      {"the clock went back", kTenPerSecond, 2 * kSecond, kSecond / 2, 1, false, 2 * kSecond, 0,
       600'000'000, 1'500'000'000},
      {"one a day", slow, 0, 0, 1, true, 86'400 * kSecond, 0, 0, 86'400 * kSecond},
      {"one a day, second call", slow, 86'400 * kSecond, kSecond, 1, false, 86'400 * kSecond, 0,
       86'399 * kSecond, 86'399 * kSecond},
      {"a thousand million per second", fastest, 0, 7, 1, true, 8, 999'999'999, 0, 1},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Verdict v = acquire(row.bucket, row.tat, row.now, row.cost);
    CHECK(v.allowed == row.allowed);
    CHECK(v.state == row.tat_after);
    CHECK(v.remaining == row.remaining);
    CHECK(v.retry_after_ns == row.retry_after);
    CHECK(v.reset_after_ns == row.reset_after);
  }
}

TEST_CASE("waiting_exactly_retry_after_succeeds_and_a_nanosecond_less_does_not") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 200'000; ++i) {
    const std::uint64_t interval = 1 + (random() >> (random() % 62 + 1)) % 100'000'000'000;
    const std::uint64_t burst =
        1 + random() % std::min<std::uint64_t>(1'000, TokenBucket::kToleranceMax / interval);
    const TokenBucket bucket = TokenBucket::of(interval, burst);
    const std::uint64_t now = random() % (std::uint64_t{1} << 61);
    const std::uint64_t tat = now + random() % (bucket.tolerance_ns + 1);
    const std::uint64_t cost = 1 + random() % burst;
    const Verdict v = acquire(bucket, tat, now, cost);
    if (v.allowed) continue;
    REQUIRE(v.retry_after_ns > 0);
    REQUIRE(acquire(bucket, tat, now + v.retry_after_ns, cost).allowed);
    REQUIRE_FALSE(acquire(bucket, tat, now + v.retry_after_ns - 1, cost).allowed);
  }
}

TEST_CASE("whole_tokens_is_a_division") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  for (int i = 0; i < 1'000'000; ++i) {
    const std::uint64_t interval = 1 + (random() >> (random() % 62 + 2));
    const std::uint64_t ns = random() >> (random() % 63 + 1);
    REQUIRE(TokenBucket::of(interval, 1).whole_tokens(ns) == ns / interval);
  }
}

TEST_CASE("bound_A_holds_in_every_window_of_random_traffic") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  for (int run = 0; run < 300; ++run) {
    const std::uint64_t interval = 1 + random() % 50;
    const std::uint64_t burst = 1 + random() % 20;
    const TokenBucket bucket = TokenBucket::of(interval, burst);
    std::uint64_t tat = 0;
    std::uint64_t now = random() % 1'000;
    struct Admission {
      std::uint64_t at, cost;
    };
    std::vector<Admission> admitted;
    for (int call = 0; call < 300; ++call) {
      now += random() % (2 * interval);
      const std::uint64_t cost = 1 + random() % burst;
      const Verdict v = acquire(bucket, tat, now, cost);
      tat = v.state;
      if (v.allowed) admitted.push_back({now, cost});
    }
    REQUIRE(admitted.size() > 5);
    for (std::size_t first = 0; first < admitted.size(); ++first) {
      std::uint64_t sum = 0;
      for (std::size_t last = first; last < admitted.size(); ++last) {
        sum += admitted[last].cost;
        REQUIRE(sum <= burst + (admitted[last].at - admitted[first].at) / interval);
      }
    }
  }
}

TEST_CASE("peek_tells_what_is_left_before_any_call") {
  const Verdict v = peek(kTenPerSecond, 1'300'000'000, kSecond, 1);
  CHECK(v.allowed);
  CHECK(v.remaining == 7);
  CHECK(v.reset_after_ns == 300'000'000);
  CHECK(v.state == 1'300'000'000);
}

TEST_CASE("tokens_owed_is_rounded_up") {
  CHECK(tokens_owed(kTenPerSecond, kSecond, kSecond) == 0);
  CHECK(tokens_owed(kTenPerSecond, kSecond + 1, kSecond) == 1);
  CHECK(tokens_owed(kTenPerSecond, kSecond + 100'000'000, kSecond) == 1);
  CHECK(tokens_owed(kTenPerSecond, kSecond + 100'000'001, kSecond) == 2);
  CHECK(tokens_owed(kTenPerSecond, ~std::uint64_t{0}, kSecond) == 10);
}

TEST_CASE("tokens_owed_counts_all_of_a_debt_beyond_the_burst") {
  constexpr TokenBucket deep = kTenPerSecond.with_horizon(5 * kSecond);
  CHECK(tokens_owed(deep, charge(deep, 0, kSecond, 37), kSecond) == 37);
  CHECK(tokens_owed(deep, ~std::uint64_t{0}, kSecond) == 50);
}

TEST_CASE("a_refund_gives_back_what_is_still_owed_and_no_more") {
  const std::uint64_t charged = acquire(kTenPerSecond, 0, kSecond, 5).state;
  CHECK(refund(kTenPerSecond, charged, charged, 5, kSecond) == kSecond);
  CHECK(refund(kTenPerSecond, charged, charged, 2, kSecond) == charged - 200'000'000);
  CHECK(refund(kTenPerSecond, charged, charged, ~std::uint64_t{0}, kSecond) == kSecond);
  // 0.4 s later one of the five is owed.
  const std::uint64_t later = kSecond + 400'000'000;
  CHECK(refund(kTenPerSecond, charged, charged, 5, later) == later);
  const std::uint64_t more = acquire(kTenPerSecond, charged, later, 3).state;
  CHECK(refund(kTenPerSecond, more, charged, 5, later) == more - 100'000'000);
  CHECK(refund(kTenPerSecond, more, charged, 5, charged) == more);
  // What became of the key in between cannot make it owe less than nothing.
  CHECK(refund(kTenPerSecond, 0, charged, 5, kSecond) == 0);
  CHECK(refund(kTenPerSecond, later + 1, charged, 5, later) == later);
}

TEST_CASE("a_charge_counts_what_has_happened_up_to_the_horizon") {
  CHECK(charge(kTenPerSecond, 0, kSecond, 3) == kSecond + 300'000'000);
  CHECK(charge(kTenPerSecond, 2 * kSecond - 1, kSecond, 3) == 2 * kSecond);
  CHECK(charge(kTenPerSecond, 0, kSecond, ~std::uint64_t{0}) == 2 * kSecond);
  CHECK(charge(kTenPerSecond, 2 * kSecond + 7, kSecond, 1) == 2 * kSecond + 7);  // within the slack
}

}  // namespace
}  // namespace rl
