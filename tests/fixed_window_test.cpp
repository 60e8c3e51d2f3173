#include "src/fixed_window.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kHour = 3'600 * kSecond;

static_assert(!FixedWindow::is_valid(0, 1) && !FixedWindow::is_valid(10, 0));
static_assert(FixedWindow::is_valid(10, 9) && !FixedWindow::is_valid(10, 10));
static_assert(FixedWindow::limit_max(10) == 9 && FixedWindow::limit_max(0) == 0);
static_assert(!FixedWindow::is_valid(Windows::kWindowMax + 1, 1));

// The segment was made at 12:10:00 UTC, some day: the hour ends after fifty minutes.
constexpr std::uint64_t kTenPast = 493'000 * kHour + 600 * kSecond;
constexpr FixedWindow kThreeAnHour = FixedWindow::of(kHour, 3, kTenPast);
static_assert(idle_state(kThreeAnHour, 0) == 3'000 * kSecond);
static_assert(idle_state(kThreeAnHour, 3'000 * kSecond - 1) == 3'000 * kSecond);
static_assert(idle_state(kThreeAnHour, 3'000 * kSecond) == 3'000 * kSecond + kHour);

static_assert(acquire(kThreeAnHour, 0, 0, 3).allowed);
static_assert(acquire(kThreeAnHour, 0, 0, 4).never);
static_assert(acquire(kThreeAnHour, 0, 0, ~std::uint64_t{0}).never);

// At the far end of time nothing overflows.
constexpr FixedWindow kWidest = FixedWindow::of(Windows::kWindowMax, Windows::kWindowMax - 1, 1);
static_assert(acquire(kWidest, 0, kTimeMax, Windows::kWindowMax - 1).allowed);
static_assert(acquire(kWidest, 0, kTimeMax, Windows::kWindowMax - 1).state >> 63 == 0);

TEST_CASE("a_call_is_counted_as_the_table_says") {
  struct Row {
    const char* what;
    std::uint64_t state, now, cost;
    bool allowed;
    std::uint64_t state_after, remaining, retry_after, reset_after;
  };
  const std::uint64_t end = 3'000 * kSecond;  // of the first hour
  const std::vector<Row> rows{
      {"never seen", 0, 0, 1, true, end + 1, 2, 0, end},
      {"idle in this hour", end, 7, 1, true, end + 1, 2, 0, end - 7},
      {"the second", end + 1, 7, 1, true, end + 2, 1, 0, end - 7},
      {"the last", end + 2, 7, 1, true, end + 3, 0, 0, end - 7},
      {"one more", end + 3, 7, 1, false, end + 3, 0, end - 7, end - 7},
      {"two, one is left", end + 2, 7, 2, false, end + 2, 1, end - 7, end - 7},
      {"in the last nanosecond", end + 3, end - 1, 1, false, end + 3, 0, 1, 1},
      {"in the next hour", end + 3, end, 1, true, end + kHour + 1, 2, 0, kHour},
      {"all at once", end + 3, end, 3, true, end + kHour + 3, 0, 0, kHour},
      {"hours later", end + 3, end + 5 * kHour, 1, true, end + 6 * kHour + 1, 2, 0, kHour},
      {"the clock is behind the state", end + kHour + 2, end - 1, 1, true, end + kHour + 3, 0, 0,
       kHour + 1},
      {"and it is full", end + kHour + 3, end - 1, 1, false, end + kHour + 3, 0, kHour + 1,
       kHour + 1},
      {"charged above the limit", end + 9, 7, 1, false, end + 9, 0, end - 7, end - 7},
      {"cut, as no clock can have been there", end + 2 * kHour, 7, 1, false, end + 2 * kHour, 0,
       end - 7, end - 7},
      {"words before the first hour's end are nobody's", end - 1, 7, 3, true, end + 3, 0, 0,
       end - 7},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Verdict v = acquire(kThreeAnHour, row.state, row.now, row.cost);
    CHECK(v.allowed == row.allowed);
    CHECK(v.state == row.state_after);
    CHECK(v.remaining == row.remaining);
    CHECK(v.retry_after_ns == row.retry_after);
    CHECK(v.reset_after_ns == row.reset_after);
    CHECK(v.wait_ns == 0);
  }
}

/// Counts by the number of the hour in Unix time.
class Hours {
 public:
  Hours(std::uint64_t length, std::uint64_t limit, std::uint64_t unix_at_0)
      : length_(length), limit_(limit), unix_at_0_(unix_at_0) {}

  [[nodiscard]] std::uint64_t left(std::uint64_t now) const {
    const auto found = counts_.find((unix_at_0_ + now) / length_);
    return limit_ - (found != counts_.end() ? found->second : 0);
  }
  void count(std::uint64_t now, std::uint64_t cost) {
    counts_[(unix_at_0_ + now) / length_] += cost;
  }

 private:
  std::uint64_t length_, limit_, unix_at_0_;
  std::map<std::uint64_t, std::uint64_t> counts_;
};

TEST_CASE("counting_by_the_number_of_the_hour_decides_the_same") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t denied = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    const std::uint64_t length = 2 + random() % 200;
    const std::uint64_t limit = 1 + random() % std::min<std::uint64_t>(length - 1, 12);
    const std::uint64_t unix_at_0 = random() >> (random() % 8 + 2);
    const FixedWindow window = FixedWindow::of(length, limit, unix_at_0);
    Hours oracle(length, limit, unix_at_0);
    std::uint64_t state = 0;
    std::uint64_t now = random() % (2 * length);
    for (int call = 0; call < 40; ++call) {
      now += random() % (random() % 8 == 0 ? 3 * length : length / 2 + 1);
      const std::uint64_t cost = 1 + random() % std::min<std::uint64_t>(limit, 3);
      const bool admits = cost <= oracle.left(now);
      const Verdict v = acquire(window, state, now, cost);
      REQUIRE(v.allowed == admits);
      if (admits) oracle.count(now, cost);
      REQUIRE(v.remaining == oracle.left(now));
      if (!admits) {
        REQUIRE(cost > oracle.left(now + v.retry_after_ns - 1));
        REQUIRE(cost <= oracle.left(now + v.retry_after_ns));
        ++denied;
      }
      REQUIRE(oracle.left(now + v.reset_after_ns) == limit);
      REQUIRE((v.reset_after_ns == 0 || oracle.left(now + v.reset_after_ns - 1) < limit));
      state = v.state;
    }
  }
  CHECK(denied > 1'000);
}

TEST_CASE("A_every_span_has_at_most_the_limit_for_each_window_that_it_can_touch") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t doubled = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    const std::uint64_t length = 2 + random() % 60;
    const std::uint64_t limit = 1 + random() % std::min<std::uint64_t>(length - 1, 9);
    const FixedWindow window = FixedWindow::of(length, limit, random() >> 2);
    struct Admission {
      std::uint64_t at, cost;
    };
    std::vector<Admission> admitted;
    std::uint64_t state = 0;
    std::uint64_t now = random() % length;
    for (int call = 0; call < 60; ++call) {
      now += random() % (length / limit + 2);
      const std::uint64_t cost = 1 + random() % limit;
      const Verdict v = acquire(window, state, now, cost);
      state = v.state;
      if (v.allowed) admitted.push_back({now, cost});
    }
    for (std::size_t first = 0; first < admitted.size(); ++first) {
      std::uint64_t sum = 0;
      for (std::size_t last = first; last < admitted.size(); ++last) {
        sum += admitted[last].cost;
        const std::uint64_t span = admitted[last].at - admitted[first].at;
        REQUIRE(sum <= limit * ((span + length - 1) / length + 1));
        doubled += span < length && sum == 2 * limit ? 1 : 0;
      }
    }
  }
  CHECK(doubled > 100);  // the worst case occurs
}

TEST_CASE("a_refund_is_for_the_window_that_counted_the_call") {
  const std::uint64_t end = 3'000 * kSecond;
  CHECK(refund(kThreeAnHour, end + 2, end + 1, 1, 7) == end + 1);
  CHECK(refund(kThreeAnHour, end + 2, end + 2, 9, 7) == end);
  CHECK(refund(kThreeAnHour, end + 2, end + 2, 1, end) == end + 2);  // over
  const std::uint64_t next = end + kHour;
  CHECK(refund(kThreeAnHour, next + 2, end + 2, 1, end) == next + 2);
  CHECK(refund(kThreeAnHour, end + 2, next + 2, 1, 7) == end + 2);
  CHECK(refund(kThreeAnHour, 0, end + 1, 1, 7) == 0);
  CHECK(refund(kThreeAnHour, next + 2, next + 1, 1, end - 1) == next + 1);  // our clock is behind
}

TEST_CASE("a_charge_counts_above_the_limit_in_its_window_alone") {
  const std::uint64_t end = 3'000 * kSecond;
  CHECK(charge(kThreeAnHour, 0, 7, 5) == end + 5);
  CHECK(charge(kThreeAnHour, end + 5, 7, 1) == end + 6);
  CHECK(charge(kThreeAnHour, end + 5, 7, ~std::uint64_t{0}) == end + kHour - 1);
  CHECK(charge(kThreeAnHour, end + 5, end, 1) == end + kHour + 1);
  CHECK(tokens_owed(kThreeAnHour, end + 5, 7) == 5);
}

}  // namespace
}  // namespace rl
