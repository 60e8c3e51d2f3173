#include "src/sliding_window.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMinute = 60 * kSecond;

// What fits: the radix squared is at most the window.
static_assert(SlidingWindow::radix_of(0) == 0 && SlidingWindow::radix_of(1) == 1);
static_assert(SlidingWindow::radix_of(8) == 2 && SlidingWindow::radix_of(9) == 3);
static_assert(SlidingWindow::radix_of(Windows::kWindowMax) == std::uint64_t{1} << 30);
static_assert(SlidingWindow::radix_of(Windows::kWindowMax - 1) == (std::uint64_t{1} << 30) - 1);
static_assert(SlidingWindow::limit_max(0) == 0 && SlidingWindow::limit_max(3) == 0);
static_assert(SlidingWindow::limit_max(1'000'000) == 999);  // a millisecond
static_assert(SlidingWindow::limit_max(kSecond) == 31'621);
static_assert(SlidingWindow::limit_max(kMinute) == 244'947);
static_assert(SlidingWindow::is_valid(kMinute, 244'947));
static_assert(!SlidingWindow::is_valid(kMinute, 244'948));
static_assert(!SlidingWindow::is_valid(kMinute, 0) && !SlidingWindow::is_valid(0, 1));
static_assert(!SlidingWindow::is_valid(Windows::kWindowMax + 1, 1));

// 10/m, in a segment made at the beginning of a minute.
constexpr SlidingWindow kTen = SlidingWindow::of(kMinute, 10, 28'000'000 * kMinute);
constexpr std::uint64_t kRadix = kTen.radix;
constexpr std::uint64_t state_of(std::uint64_t end, std::uint64_t previous, std::uint64_t current) {
  return end + previous * kRadix + current;
}

static_assert(acquire(kTen, 0, 0, 10).allowed);
static_assert(acquire(kTen, 0, 0, 11).never);
static_assert(acquire(kTen, 0, 0, ~std::uint64_t{0}).never);

// At the far end of time nothing overflows.
constexpr SlidingWindow kWidest =
    SlidingWindow::of(Windows::kWindowMax, SlidingWindow::limit_max(Windows::kWindowMax), 1);
static_assert(acquire(kWidest, 0, kTimeMax, kWidest.limit).allowed);
static_assert(acquire(kWidest, 0, kTimeMax, kWidest.limit).state >> 63 == 0);

TEST_CASE("a_call_is_weighed_as_the_table_says") {
  struct Row {
    const char* what;
    std::uint64_t state, now, cost;
    bool allowed;
    std::uint64_t state_after, remaining, retry_after, reset_after;
  };
  const std::uint64_t one = kMinute;
  const std::uint64_t two = 2 * kMinute;
  const std::uint64_t three = 3 * kMinute;
  const std::vector<Row> rows{
      {"never seen", 0, 0, 1, true, state_of(one, 0, 1), 9, 0, two},
      {"the last", state_of(one, 0, 9), 7, 1, true, state_of(one, 0, 10), 0, 0, two - 7},
      // In the next minute, as soon as a tenth of the ten has faded.
      {"one more", state_of(one, 0, 10), 7, 1, false, state_of(one, 0, 10), 0,
       one - 7 + kMinute / 10, two - 7},
      {"ten more", state_of(one, 0, 10), 7, 10, false, state_of(one, 0, 10), 0, two - 7, two - 7},
      {"a nanosecond early", state_of(one, 0, 10), one + kMinute / 10 - 1, 1, false,
       state_of(one, 0, 10), 0, 1, kMinute * 9 / 10 + 1},
      {"on time", state_of(one, 0, 10), one + kMinute / 10, 1, true, state_of(two, 10, 1), 0, 0,
       kMinute * 9 / 10 + kMinute},
      {"half of the minute before", state_of(two, 10, 1), one + kMinute / 2, 4, true,
       state_of(two, 10, 5), 0, 0, kMinute / 2 + kMinute},
      {"half, less a nanosecond", state_of(two, 10, 1), one + kMinute / 2 - 1, 4, false,
       state_of(two, 10, 1), 3, 1, kMinute / 2 + 1 + kMinute},
      {"a third is rounded up", state_of(two, 1, 0), one + 2 * kMinute / 3, 9, true,
       state_of(two, 1, 9), 0, 0, kMinute / 3 + kMinute},
      {"only the minute before is left", state_of(two, 1, 0), one + 7, 10, false,
       state_of(two, 1, 0), 9, kMinute - 7, kMinute - 7},
      {"two minutes later", state_of(one, 10, 10), two, 10, true, state_of(three, 0, 10), 0, 0,
       two},
      {"the clock is behind the state", state_of(two, 4, 1), one - 5, 5, true, state_of(two, 4, 6),
       0, 0, two + 5},
      {"and it has no room", state_of(two, 4, 1), one - 5, 6, false, state_of(two, 4, 1), 5,
       5 + kMinute / 4, two + 5},
      {"charged above the limit", state_of(one, 0, 40), 7, 1, false, state_of(one, 0, 40), 0,
       one - 7 + kMinute - kMinute * 9 / 40, two - 7},
      {"charged in the minute before", state_of(one, 0, 40), one + kMinute / 2, 1, false,
       state_of(one, 0, 40), 0, kMinute / 2 - kMinute * 9 / 40, kMinute / 2},
      {"words before the first minute's end are nobody's", 5, 7, 10, true, state_of(one, 0, 10), 0,
       0, two - 7},
      {"cut, as no clock can have been there", state_of(three, 0, 0), 7, 1, false,
       state_of(three, 0, 0), 0, one - 7 + kMinute / 10, two - 7},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    const Verdict v = acquire(kTen, row.state, row.now, row.cost);
    CHECK(v.allowed == row.allowed);
    CHECK(v.state == row.state_after);
    CHECK(v.remaining == row.remaining);
    CHECK(v.retry_after_ns == row.retry_after);
    CHECK(v.reset_after_ns == row.reset_after);
    CHECK(v.wait_ns == 0);
  }
}

struct Admission {
  std::uint64_t at, cost;
};

/// The rule as it is told: every call is kept, one of the window before weighs what is left of it.
class Minutes {
 public:
  Minutes(std::uint64_t length, std::uint64_t limit, std::uint64_t unix_at_0)
      : length_(length), limit_(limit), unix_at_0_(unix_at_0) {}

  [[nodiscard]] bool admits(std::uint64_t now, std::uint64_t cost) const {
    const std::uint64_t unix = unix_at_0_ + now;
    std::uint64_t weight = cost * length_;  // in tokens x ns
    for (const Admission& a : kept_) {
      const std::uint64_t then = unix_at_0_ + a.at;
      if (then / length_ == unix / length_) weight += a.cost * length_;
      if (then / length_ + 1 == unix / length_) weight += a.cost * (length_ - unix % length_);
    }
    return weight <= limit_ * length_;
  }
  void admit(std::uint64_t now, std::uint64_t cost) {
    std::erase_if(kept_, [&](const Admission& a) { return a.at + 2 * length_ < now; });
    kept_.push_back({now, cost});
  }

 private:
  std::uint64_t length_, limit_, unix_at_0_;
  std::vector<Admission> kept_;
};

struct Traffic {
  std::uint64_t length, limit, unix_at_0;
  SlidingWindow window;

  explicit Traffic(std::mt19937_64& random)
      : length(4 + random() % 300),
        limit(1 + random() % SlidingWindow::limit_max(length)),
        unix_at_0(random() >> (random() % 8 + 2)),
        window(SlidingWindow::of(length, limit, unix_at_0)) {}
};

TEST_CASE("a_list_of_all_calls_weighed_one_by_one_decides_the_same") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t this_window = 0;
  std::uint64_t next_window = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    const Traffic traffic(random);
    const auto [length, limit, unix_at_0, window] = traffic;
    Minutes oracle(length, limit, unix_at_0);
    std::uint64_t state = 0;
    std::uint64_t now = random() % (2 * length);
    for (int call = 0; call < 40; ++call) {
      now += random() % (random() % 8 == 0 ? 2 * length : length / limit + 1);
      const std::uint64_t cost = 1 + (random() % 4 == 0 ? random() % limit : 0);
      const bool admits = oracle.admits(now, cost);
      const Verdict v = acquire(window, state, now, cost);
      REQUIRE(v.allowed == admits);
      if (admits) oracle.admit(now, cost);
      REQUIRE((v.remaining == 0 || oracle.admits(now, v.remaining)));
      REQUIRE_FALSE(oracle.admits(now, v.remaining + 1));
      if (!admits) {
        REQUIRE_FALSE(oracle.admits(now + v.retry_after_ns - 1, cost));
        REQUIRE(oracle.admits(now + v.retry_after_ns, cost));
        ++(v.retry_after_ns <= use_of(window, state, now).until_end_ns ? this_window : next_window);
        if (call % 8 == 0) {
          for (std::uint64_t wait = 0; wait < v.retry_after_ns; ++wait) {
            REQUIRE_FALSE(oracle.admits(now + wait, cost));
          }
        }
      }
      // As good as never seen: the whole limit would pass, and not a nanosecond earlier.
      REQUIRE(oracle.admits(now + v.reset_after_ns, limit));
      REQUIRE((v.reset_after_ns == 0 || !oracle.admits(now + v.reset_after_ns - 1, limit)));
      state = v.state;
    }
  }
  CHECK(this_window > 1'000);
  CHECK(next_window > 1'000);
}

// The weights of real windows do not fit 64 bits: the same rule in another arithmetic.
TEST_CASE("weights_that_need_128_bits_are_exact") {
  __extension__ using Wide = unsigned __int128;
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t wide = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    const std::uint64_t length = 4 + (random() >> (random() % 55 + 4)) % (Windows::kWindowMax - 4);
    const std::uint64_t most = SlidingWindow::limit_max(length);
    const std::uint64_t limit = 1 + random() % most;
    const SlidingWindow window = SlidingWindow::of(length, limit, random());
    const std::uint64_t now = random() >> 3;
    const std::uint64_t end = window.windows.end_of(now);
    const std::uint64_t p = random() % (limit + 1);
    const std::uint64_t c = random() % (limit + 1);
    const std::uint64_t cost = 1 + random() % limit;
    const std::uint64_t state = end + p * window.radix + c;
    const auto passes = [&](std::uint64_t t) {
      const bool next = t >= end;
      const Wide before = next ? c : p;
      const Wide here = next ? 0 : c;
      const Wide part = next ? end + length - t : end - t;
      return before * part + (here + cost) * length <= Wide{limit} * length;
    };
    const Verdict v = acquire(window, state, now, cost);
    REQUIRE(v.allowed == passes(now));
    wide += (Wide{p} * length) >> 63 != 0 ? 1 : 0;
    if (v.allowed) continue;
    REQUIRE(v.retry_after_ns <= end + length - now);
    REQUIRE(passes(now + v.retry_after_ns));
    REQUIRE_FALSE(passes(now + v.retry_after_ns - 1));
    REQUIRE(acquire(window, state, now + v.retry_after_ns, cost).allowed);
    REQUIRE_FALSE(acquire(window, state, now + v.retry_after_ns - 1, cost).allowed);
  }
  CHECK(wide > 1'000);
}

/// The most tokens in any span shorter than `length`.
std::uint64_t most_in_any_window(const std::vector<Admission>& admitted, std::uint64_t length) {
  std::uint64_t most = 0;
  for (std::size_t first = 0; first < admitted.size(); ++first) {
    std::uint64_t sum = 0;
    for (std::size_t i = first; i < admitted.size() && admitted[i].at < admitted[first].at + length;
         ++i) {
      sum += admitted[i].cost;
    }
    most = std::max(most, sum);
  }
  return most;
}

TEST_CASE("A_any_window_has_less_than_twice_the_limit_and_every_span_its_windows_limits") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t above = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    const Traffic traffic(random);
    const auto [length, limit, unix_at_0, window] = traffic;
    std::vector<Admission> admitted;
    std::uint64_t state = 0;
    std::uint64_t now = random() % length;
    for (int call = 0; call < 80; ++call) {
      // Greedy around the ends of windows, where the rule knows least.
      const std::uint64_t left = window.windows.end_of(now) - now;
      now += random() % 3 == 0 ? left - std::min(left, 1 + random() % 2) : random() % 3;
      if (random() % 8 == 0) now += random() % length;
      const Verdict all = peek(window, state, now, 1);
      const std::uint64_t cost = std::max<std::uint64_t>(
          1, random() % 2 == 0 ? all.remaining : random() % (all.remaining + 1));
      const Verdict v = acquire(window, state, now, cost);
      state = v.state;
      if (v.allowed) admitted.push_back({now, cost});
    }
    const std::uint64_t most = most_in_any_window(admitted, length);
    REQUIRE(most <= 2 * limit - 1);
    above += most > limit ? 1 : 0;
    for (std::size_t first = 0; first < admitted.size(); ++first) {
      std::uint64_t sum = 0;
      for (std::size_t last = first; last < admitted.size(); ++last) {
        sum += admitted[last].cost;
        const std::uint64_t span = admitted[last].at - admitted[first].at;
        REQUIRE(sum <= limit * ((span + length - 1) / length + 1));
      }
    }
  }
  CHECK(above > 1'000);
}

TEST_CASE("the_worst_case_is_attained") {
  for (const std::uint64_t limit : {1U, 2U, 10U, 244'947U}) {
    const SlidingWindow window = SlidingWindow::of(kMinute, limit, 0);
    const Verdict late = acquire(window, 0, kMinute - 1, limit);
    REQUIRE(late.allowed);
    const std::uint64_t last = 2 * kMinute - 2;  // a minute less a nanosecond later
    if (limit > 1) CHECK(acquire(window, late.state, last, limit - 1).allowed);
    CHECK_FALSE(acquire(window, late.state, last, limit).allowed);
  }
}

TEST_CASE("a_refund_is_for_the_window_that_counted_the_call") {
  const std::uint64_t one = kMinute;
  const std::uint64_t two = 2 * kMinute;
  CHECK(refund(kTen, state_of(one, 3, 2), state_of(one, 3, 1), 1, 7) == state_of(one, 3, 1));
  CHECK(refund(kTen, state_of(one, 3, 2), state_of(one, 3, 2), 9, 7) == state_of(one, 3, 0));
  CHECK(refund(kTen, state_of(one, 3, 2), state_of(one, 3, 2), 1, one) == state_of(one, 3, 2));
  CHECK(refund(kTen, state_of(two, 2, 2), state_of(one, 3, 2), 1, one) == state_of(two, 2, 2));
  CHECK(refund(kTen, state_of(one, 3, 2), state_of(two, 2, 2), 1, 7) == state_of(one, 3, 2));
  CHECK(refund(kTen, 0, state_of(one, 0, 1), 1, 7) == 0);
}

TEST_CASE("a_charge_counts_above_the_limit_and_fades_like_a_call") {
  CHECK(charge(kTen, 0, 7, 25) == state_of(kMinute, 0, 25));
  CHECK(charge(kTen, state_of(kMinute, 4, 25), 7, 1) == state_of(kMinute, 4, 26));
  CHECK(charge(kTen, state_of(kMinute, 4, 25), 7, ~std::uint64_t{0}) ==
        state_of(kMinute, 4, kRadix - 1));
  CHECK(charge(kTen, state_of(kMinute, 4, 25), kMinute, 1) == state_of(2 * kMinute, 25, 1));
  CHECK(tokens_owed(kTen, state_of(kMinute, 0, 25), kMinute) == 25);
  CHECK(tokens_owed(kTen, state_of(kMinute, 4, 25), kMinute - 1) == 26);  // 25 and almost none of 4
  CHECK(tokens_owed(kTen, state_of(kMinute, 0, 25), 2 * kMinute - 1) == 1);  // rounded up
}

TEST_CASE("bytes_that_no_call_wrote_stay_in_the_window_that_they_name") {
  for (std::uint64_t length = 4; length < 300; ++length) {
    const SlidingWindow window = SlidingWindow::of(length, SlidingWindow::limit_max(length), 0);
    for (std::uint64_t packed = 0; packed < length; ++packed) {
      const SlidingWindowUse use = use_of(window, length + packed, 0);
      REQUIRE(use.previous < window.radix);
      REQUIRE(use.current < window.radix);
      REQUIRE(charge(window, length + packed, 0, ~std::uint64_t{0}) < 2 * length);
      REQUIRE(acquire(window, length + packed, 0, 1).state < 2 * length);
    }
  }
}

// Counts do not depend on the limit: a limit that changes within its window reads what it finds.
TEST_CASE("another_limit_of_the_same_window_reads_the_same_counts") {
  const SlidingWindow more = SlidingWindow::of(kMinute, 1'000, 28'000'000 * kMinute);
  const std::uint64_t state = acquire(more, state_of(kMinute, 3, 4), 7, 100).state;
  CHECK(use_of(kTen, state, 7).previous == 3);
  CHECK(use_of(kTen, state, 7).current == 104);
}

}  // namespace
}  // namespace rl
