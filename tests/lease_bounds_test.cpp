// What leases of a hot key admit in any window, and what they leave of it: random holders against
// slow oracles.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tests/limited.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

using test::Limited;

constexpr std::uint64_t kRuns = 10'000;

std::uint64_t runs() {
  return test::is_deep() ? 50 * kRuns : kRuns;
}

/// Holders of all sizes and ordinary calls on one key, at random instants.
class Crowd {
 public:
  Crowd(Limited& l, const std::string& key, std::mt19937_64& random)
      : l_(l), key_(key), random_(random) {
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t tokens = 1 + random_() % 16;
      const std::chrono::nanoseconds length(1 + random_() % 20'000'000);
      leases_.emplace_back(l.api, key_, tokens, length);
      more_ += tokens - 1;
    }
  }

  /// One call at a later instant, or as soon. A denial is true for an ordinary call, too.
  void step() {
    if (random_() % 4 == 0)
      l_.segment->advance_clock(std::chrono::nanoseconds(1 + random_() % 9'000'000));
    const std::uint64_t cost = random_() % 3 == 0 ? 2 : 1;
    const std::size_t who = random_() % (leases_.size() + 1);
    const bool is_leased = who < leases_.size();
    const Decision d = is_leased ? leases_[who].try_acquire(cost) : l_.api.try_acquire(key_, cost);
    if (!d) REQUIRE_FALSE(l_.api.peek(key_, cost).allowed);
    if (is_leased && random_() % 20 == 0) (void)leases_[who].give_back();
    if (d) admitted_.insert(admitted_.end(), cost, l_.segment->now());
  }

  /// What its holders may have had before any window.
  [[nodiscard]] std::uint64_t more() const { return more_; }

  /// By how much the worst window exceeds what A says, from one call to another; no less than 0.
  [[nodiscard]] std::uint64_t worst_excess(auto&& most) const {
    std::uint64_t worst = 0;
    for (std::size_t i = 0; i < admitted_.size(); ++i) {
      for (std::size_t j = i; j < admitted_.size(); ++j) {
        const std::uint64_t fits = most(admitted_[i], admitted_[j]);
        worst = std::max(worst, std::max(j - i + 1, fits) - fits);
      }
    }
    return worst;
  }

 private:
  Limited& l_;
  std::string key_;
  std::mt19937_64& random_;
  std::vector<TokenLease> leases_;
  std::uint64_t more_ = 0;
  std::vector<Instant> admitted_;
};

/// `most` says what A says from one instant to another. Returns in how many runs somebody had more.
std::uint64_t check_crowds(Limited& l, auto&& most) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t exceeded = 0;
  for (std::uint64_t run = 0; run < runs(); ++run) {
    std::mt19937_64 random(test::seed() + run);
    Crowd crowd(l, "user:" + std::to_string(run), random);
    for (int call = 0; call < 80; ++call) crowd.step();
    const std::uint64_t excess = crowd.worst_excess(most);
    REQUIRE(excess <= crowd.more());
    exceeded += excess != 0 ? 1 : 0;
  }
  return exceeded;
}

/// The windows of 50 ms that limits go by.
class Windows {
 public:
  explicit Windows(Limited& l)
      : end_(l.segment->now() + l.segment->limiter("other", Limit::parse("window 1/50ms"))
                                    .try_acquire("k")
                                    .reset_after) {}

  /// Returns how many there are from one instant to another. Requires none before this was made.
  [[nodiscard]] std::uint64_t count(Instant first, Instant last) const {
    const auto number = [this](Instant at) { return (at - end_ + 50ms) / 50ms; };
    return static_cast<std::uint64_t>(number(last) - number(first) + 1);
  }

 private:
  Instant end_;  ///< of the one in which this was made
};

/// What leases add to A is seen, and no more.
constexpr std::uint64_t kSeen = kRuns / 100;

TEST_CASE("A_no_window_has_more_than_a_bucket_and_what_its_holders_had_before") {
  Limited l("1000/s burst=20");
  const auto most = [](Instant first, Instant last) {
    return 20 + static_cast<std::uint64_t>((last - first) / 1ms);
  };
  CHECK(check_crowds(l, most) > kSeen);
}

TEST_CASE("A_no_window_of_the_clock_has_more_than_its_limit_and_what_its_holders_had_before") {
  Limited l("window 20/50ms");
  const Windows windows(l);
  const auto most = [&](Instant first, Instant last) { return 20 * windows.count(first, last); };
  CHECK(check_crowds(l, most) > kSeen);
}

TEST_CASE("A_no_window_has_more_than_a_sliding_one_and_what_its_holders_had_before") {
  Limited l("sliding 20/50ms");
  const Windows windows(l);
  const auto most = [&](Instant first, Instant last) {
    const std::uint64_t by_clock = 20 * windows.count(first, last);
    if (last - first >= 50ms) return by_clock;
    const std::chrono::nanoseconds span = std::max(last - first - 1ns, 0ns);
    return std::min(by_clock, 20 + static_cast<std::uint64_t>(20 * span / 50ms));
  };
  CHECK(check_crowds(l, most) > kSeen);
}

TEST_CASE("A_no_window_has_more_than_a_line_that_is_asked_through_leases") {
  Limited l("leaky 1000/s queue=19");
  const auto most = [](Instant first, Instant last) {
    return 20 + static_cast<std::uint64_t>((last - first) / 1ms);
  };
  CHECK(check_crowds(l, most) == 0);  // nothing is taken ahead
}

/// Two keys that are asked alike: one through a lease, and the other by hand, by a call of all its
/// tokens that is settled for what was spent.
class Twins {
 public:
  Twins(Limited& l, std::uint64_t run, bool has_line)
      : l_(l),
        random_(test::seed() + run),
        has_line_(has_line),
        tokens_(2 + random_() % 9),
        leased_("leased:" + std::to_string(run)),
        by_hand_("by hand:" + std::to_string(run)),
        lease_(l.api, leased_, tokens_, 1h) {}

  void step() {
    if (random_() % 3 == 0)
      l_.segment->advance_clock(std::chrono::nanoseconds(random_() % 9'000'000));
    const std::uint64_t cost = 1 + random_() % 3;
    switch (random_() % 4) {
      case 0:
        give_back();
        break;
      case 1:
        REQUIRE(l_.api.try_acquire(leased_, cost).allowed ==
                l_.api.try_acquire(by_hand_, cost).allowed);
        break;
      default:
        REQUIRE(lease_.try_acquire(cost).allowed == spend(cost));
    }
    const Decision a = l_.api.peek(leased_);
    const Decision b = l_.api.peek(by_hand_);
    REQUIRE(a.remaining == b.remaining);
    REQUIRE(a.retry_after == b.retry_after);
    REQUIRE(a.reset_after == b.reset_after);
    REQUIRE(a.wait == b.wait);
  }

  [[nodiscard]] std::uint64_t given() const { return given_; }

 private:
  bool spend(std::uint64_t cost) {
    if (cost <= left_) {
      left_ -= cost;
      return true;
    }
    settle();
    if (!has_line_ && cost < tokens_ && (held_ = l_.api.hold(by_hand_, tokens_))) {
      left_ = tokens_ - cost;
      return true;
    }
    return l_.api.try_acquire(by_hand_, cost).allowed;
  }

  void give_back() {
    REQUIRE(lease_.give_back() == left_);
    settle();
  }

  void settle() {
    const std::uint64_t before = l_.api.peek(by_hand_).remaining;
    if (left_ != 0) (void)l_.api.settle(by_hand_, held_, tokens_ - std::exchange(left_, 0));
    given_ += l_.api.peek(by_hand_).remaining - before;
  }

  Limited& l_;
  std::mt19937_64 random_;
  bool has_line_;
  std::uint64_t tokens_;
  std::string leased_;
  std::string by_hand_;
  TokenLease lease_;
  Decision held_;
  std::uint64_t left_ = 0;
  std::uint64_t given_ = 0;
};

TEST_CASE(
    "A_a_lease_leaves_its_key_as_a_hold_of_its_tokens_does_that_is_settled_for_what_was_spent") {
  INFO("RL_TEST_SEED=" << test::seed());
  for (const char* limit :
       {"1000/s burst=20", "leaky 1000/s queue=19", "window 20/50ms", "sliding 20/50ms"}) {
    INFO("under " << limit);
    const bool has_line = limit[0] == 'l';
    Limited l(limit);
    std::uint64_t given = 0;
    for (std::uint64_t run = 0; run < runs(); ++run) {
      Twins twins(l, run, has_line);
      for (int call = 0; call < 20; ++call) twins.step();
      given += twins.given();
    }
    CHECK((given > 1'000) == !has_line);
  }
}

}  // namespace
}  // namespace rl
