#include "src/counter.hpp"

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include "src/parameters.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr Counter kCounter;
constexpr std::uint64_t kTick = Counter::kTickNs;
constexpr std::uint64_t kSecond = 1'000'000'000;

constexpr std::uint64_t word(std::uint64_t end, std::uint64_t count) {
  return CounterWord{end, count}.state();
}

static_assert(CounterWord::of(word(5, 7)) == CounterWord{5, 7});
static_assert(word(Counter::kEndMax, Counter::kCountMax) == ~std::uint64_t{0} >> 1);

// An end is rounded up to a tick, and the last tick is the end of time.
static_assert(expiry_end_of(0, 1) == 1 && expiry_end_of(0, kTick) == 1);
static_assert(expiry_end_of(0, kTick + 1) == 2 && expiry_end_of(1, kTick) == 2);
static_assert(expiry_end_of(kTimeMax, ~std::uint64_t{0}) == Counter::kEndMax);
static_assert(expiry_end_of(Counter::kNowMax, 1) == Counter::kEndMax);

// Idle at exactly the end, and not before.
static_assert(use_of(kCounter, word(3, 9), 3 * kTick - 1).count == 9);
static_assert(use_of(kCounter, word(3, 9), 3 * kTick - 1).left_ns == 1);
static_assert(use_of(kCounter, word(3, 9), 3 * kTick).count == 0);
static_assert(use_of(kCounter, word(3, 9), 3 * kTick).left_ns == 0);
static_assert(is_idle(kCounter, 0, 0) && is_idle(kCounter, word(3, 0), 0));

// What is counted at the end of time stays.
static_assert(add(kCounter, 0, ~std::uint64_t{0}, 2, 1, false) == word(Counter::kEndMax, 2));
static_assert(use_of(kCounter, word(Counter::kEndMax, 2), ~std::uint64_t{0}).count == 2);
static_assert(is_idle(kCounter, word(Counter::kEndMax - 1, 2), Counter::kNowMax));
static_assert(!is_idle(kCounter, word(Counter::kEndMax - 1, 2), Counter::kNowMax - 1));

TEST_CASE("an_add_makes_of_a_word_what_the_table_says") {
  constexpr std::uint64_t kMost = Counter::kCountMax;
  struct Row {
    const char* what;
    std::uint64_t state, now, amount, expiry;
    bool each;
    std::uint64_t state_after;
  };
  const std::vector<Row> rows{
      {"never seen", 0, 0, 1, 10 * kTick, false, word(10, 1)},
      {"never seen, some", 0, 0, 7, 10 * kTick, true, word(10, 7)},
      {"an idle key of now", word(4, 0), 5 * kTick, 1, kTick, false, word(6, 1)},
      {"the second leaves the end", word(10, 1), 5 * kTick, 1, 10 * kTick, false, word(10, 2)},
      {"or begins it anew", word(10, 1), 5 * kTick, 1, 10 * kTick, true, word(15, 2)},
      {"in the last nanosecond", word(10, 1), 10 * kTick - 1, 1, 10 * kTick, false, word(10, 2)},
      {"at the end", word(10, 8), 10 * kTick, 1, 10 * kTick, false, word(20, 1)},
      {"long after", word(10, 8), 99 * kTick, 1, 10 * kTick, false, word(109, 1)},
      {"the shorter expiry holds", word(10, 8), 5 * kTick, 1, kTick, false, word(6, 9)},
      {"and the shorter one that begins anew", word(10, 8), 5 * kTick, 1, kTick, true, word(6, 9)},
      {"to the most", word(10, kMost - 1), 0, 1, 10 * kTick, false, word(10, kMost)},
      {"where it stays", word(10, kMost), 0, 1, 10 * kTick, false, word(10, kMost)},
      {"also by more than there is", word(10, 5), 0, ~std::uint64_t{0}, kTick * 10, false,
       word(10, kMost)},
      {"all at once", 0, 0, ~std::uint64_t{0}, kTick, false, word(1, kMost)},
      {"an end that nobody asked for comes near", word(Counter::kEndMax, 5), 0, 1, kTick, false,
       word(1, 6)},
      {"of a nonce only what is below it counts", std::uint64_t{1} << 63 | word(10, 5), 0, 1,
       10 * kTick, false, word(10, 6)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.what);
    CHECK(add(kCounter, row.state, row.now, row.amount, row.expiry, row.each) == row.state_after);
  }
}

/// What INCR and EXPIRE would do, with whole nanoseconds.
struct Oracle {
  std::uint64_t count = 0;
  std::uint64_t end_ns = 0;

  [[nodiscard]] bool is_live(std::uint64_t now) const { return count != 0 && now < end_ns; }
  void add(std::uint64_t now, std::uint64_t amount, std::uint64_t expiry, bool each) {
    const std::uint64_t end = (now + expiry + kTick - 1) / kTick * kTick;
    const bool begins = !is_live(now);
    count = begins ? amount : std::min(count + amount, Counter::kCountMax);
    end_ns = begins || each ? end : std::min(end, end_ns);
  }
};

TEST_CASE("counting_with_whole_nanoseconds_says_the_same") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t begun = 0;
  std::uint64_t full = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    std::mt19937_64 random(test::seed() + run);
    const bool agree = random() % 2 == 0;  // the calls, on an expiry
    const bool is_large = random() % 8 == 0;
    const std::uint64_t usual = 1 + random() % (20 * kTick);
    std::uint64_t now = random() >> (6 + random() % 40);
    std::uint64_t first_ns = now;
    std::uint64_t state = 0;
    Oracle oracle;
    for (int call = 0; call < 40; ++call) {
      now += random() % (random() % 8 == 0 ? 30 * kTick : 2 * kTick);
      const std::uint64_t amount = 1 + random() % (is_large ? Counter::kCountMax : 5);
      const std::uint64_t expiry = agree ? usual : 1 + random() % (20 * kTick);
      const bool each = random() % 3 == 0;
      if (!oracle.is_live(now)) {
        REQUIRE(is_idle(kCounter, state, now));
        first_ns = now;
        ++begun;
      }
      oracle.add(now, amount, expiry, each);
      state = add(kCounter, state, now, amount, expiry, each);
      const CounterUse use = use_of(kCounter, state, now);
      REQUIRE(use.count == oracle.count);
      REQUIRE(now + use.left_ns == oracle.end_ns);
      REQUIRE(use.left_ns < expiry + kTick);
      if (agree) REQUIRE(oracle.end_ns >= first_ns + expiry);  // never over too soon
      REQUIRE(is_idle(kCounter, state, oracle.end_ns));
      REQUIRE_FALSE(is_idle(kCounter, state, oracle.end_ns - 1));
      full += use.count == Counter::kCountMax ? 1U : 0U;
    }
  }
  CHECK(begun > 20'000);
  CHECK(full > 100);
}

TEST_CASE("S_no_word_and_no_clock_is_harmful") {
  INFO("RL_TEST_SEED=" << test::seed());
  const Parameters parameters = kCounter;
  std::mt19937_64 random(test::seed());
  for (int run = 0; run < 100'000; ++run) {
    const std::uint64_t state = random() >> (random() % 64);
    const std::uint64_t now = random() >> (random() % 64);
    const std::uint64_t amount = std::max<std::uint64_t>(random() >> (random() % 64), 1);
    const std::uint64_t expiry = std::max<std::uint64_t>(random() >> (random() % 64), 1);
    const CounterUse before = use_of(kCounter, state, now);
    REQUIRE((before.count == 0) == (before.left_ns == 0));
    REQUIRE(is_idle(kCounter, state, now) == (before.count == 0));
    const std::uint64_t after = add(kCounter, state, now, amount, expiry, random() % 2 == 0);
    const CounterUse use = use_of(kCounter, after, now);
    REQUIRE((after >> 63) == 0);
    REQUIRE(use.count == before.count + std::min(amount, Counter::kCountMax - before.count));
    REQUIRE(use.left_ns >= 1);
    REQUIRE(use.left_ns - 1 < std::min(expiry, kTimeMax) + kTick);
    const std::uint64_t idle = idle_state(parameters, now);
    REQUIRE(is_idle(kCounter, idle, now));
    REQUIRE((idle >> 63) == 0);
    REQUIRE(after > idle);
    // What other limits are asked changes nothing here.
    REQUIRE_FALSE(acquire(parameters, state, now, amount).allowed);
    REQUIRE(acquire(parameters, state, now, amount).state == state);
    REQUIRE(peek(parameters, state, now, 1).remaining == Counter::kCountMax - before.count);
    REQUIRE(charge(parameters, state, now, amount) == state);
    REQUIRE(with_remaining(parameters, state, now, amount) == state);
    REQUIRE(refund(parameters, state, state, amount, now) == state);
    REQUIRE_FALSE(is_beyond_horizon(parameters, state, now));
    REQUIRE(cut(parameters, state, now) == state);
    REQUIRE(tokens_owed(parameters, state, now) == before.count);
  }
}

TEST_CASE("time_alone_makes_a_count_as_good_as_never_seen") {
  const std::uint64_t state = add(kCounter, 0, kSecond, 3, 60 * kSecond, false);
  CHECK_FALSE(is_idle(kCounter, state, 61 * kSecond - 1));
  for (const std::uint64_t later :
       {61 * kSecond + kTick, 3'600 * kSecond, Counter::kNowMax, kTimeMax, ~std::uint64_t{0}}) {
    CAPTURE(later);
    CHECK(is_idle(kCounter, state, later));
  }
}

}  // namespace
}  // namespace rl
