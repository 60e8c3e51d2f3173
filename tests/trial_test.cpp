// A limit on trial beside the one in force.
#include <doctest/doctest.h>
#include <fmt/format.h>

#include <array>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

SegmentOptions by_hand(std::uint64_t keys = 200) {
  return {.keys = keys, .clock = ClockSource::manual};
}

struct TrialTest {
  test::Scratch segment{by_hand()};
  Limiter api = segment->limiter("api", Limit::per_second(1).burst(10));

  [[nodiscard]] Comparison comparison() { return segment->compare("api").value(); }
  void try_out(const char* limit) { segment->set_candidate("api", Limit::parse(limit)); }
};

TEST_CASE_FIXTURE(TrialTest, "both_decide_and_the_one_in_force_counts") {
  CHECK_FALSE(segment->compare("api"));
  try_out("1/s burst=4");
  for (int call = 0; call < 12; ++call) {
    const Decision d = api.try_acquire("k");
    CHECK(d.allowed == (call < 10));
    CHECK(d.limit == 10);
    CHECK(d.policy == segment->policies()[0].id);
  }
  CHECK(api.try_acquire("other", 5));
  const Comparison c = comparison();
  CHECK(c.live == Limit::per_second(1).burst(10));
  CHECK(c.candidate == Limit::per_second(1).burst(4));
  CHECK(c.by_live.allowed == 11);
  CHECK(c.by_live.denied == 2);
  CHECK(c.by_candidate.allowed == 4);
  CHECK(c.by_candidate.denied == 9);
  CHECK(c.keys_denied == 1);  // "other" asked for more than ever passes, and has no slot
  CHECK(segment->policies()[0].candidate == Limit::per_second(1).burst(4));
  CHECK(api.peek("k").remaining == 0);
  CHECK(segment->find("api", "k")->allowed_count == 10);
}

TEST_CASE_FIXTURE(TrialTest, "the_keys_of_a_trial_are_shown_as_such") {
  try_out("1/s burst=4");
  CHECK(api.try_acquire("k", 3));
  std::vector<KeyInfo> rows;
  segment->for_each_key([&](const KeyInfo& row) { rows.push_back(row); });
  REQUIRE(rows.size() == 2);
  const KeyInfo& tried = rows[rows[0].part == SlotPart::candidate ? 0 : 1];
  const KeyInfo& live = rows[rows[0].part == SlotPart::candidate ? 1 : 0];
  CHECK(tried.part == SlotPart::candidate);
  CHECK(tried.policy == "api");
  CHECK(tried.key == "k");
  CHECK(tried.remaining == 1);
  CHECK(tried.policy_id == segment->policies()[0].candidate_id);
  CHECK(live.part == SlotPart::key);
  CHECK(live.remaining == 7);
}

TEST_CASE_FIXTURE(TrialTest, "a_trial_ends_when_told_and_with_a_change_and_begins_with_nothing") {
  try_out("1/s burst=1");
  CHECK(api.try_acquire("k", 2));
  CHECK(comparison().by_candidate.denied == 1);
  try_out("1/s burst=2");  // in its place
  CHECK(comparison().by_candidate.denied == 0);
  CHECK(comparison().by_live.allowed == 0);
  CHECK(api.try_acquire("k", 2));
  CHECK(comparison().by_candidate.allowed == 1);
  CHECK(comparison().by_live.allowed == 1);
  CHECK(segment->clear_candidate("api"));
  CHECK_FALSE(segment->clear_candidate("api"));
  CHECK_FALSE(segment->compare("api"));
  try_out("1/s burst=3");
  segment->set_policy("api", Limit::per_second(2));
  CHECK_FALSE(segment->compare("api"));
  CHECK_FALSE(segment->policies()[0].candidate);
  CHECK(segment->info().policies == 5);  // two limits, and each trial has used an id
}

TEST_CASE_FIXTURE(TrialTest, "what_is_promoted_is_in_force_and_its_trial_is_over") {
  try_out("1/s burst=4");
  CHECK(api.try_acquire("k", 3));
  segment->promote_candidate("api");
  CHECK(api.limit() == Limit::per_second(1).burst(4));
  CHECK(api.peek("k").remaining == 1);
  CHECK_FALSE(segment->compare("api"));
  try_out("1/s burst=4");  // the one that is in force: nothing changes, but the trial ends
  segment->promote_candidate("api");
  CHECK_FALSE(segment->compare("api"));
  CHECK(segment->history("api").size() == 2);
  try_out("1/s burst=8");
  segment->promote_candidate("api", Spent::scale);
  CHECK(api.peek("k").remaining == 2);
}

TEST_CASE_FIXTURE(TrialTest, "the_journal_says_when_a_trial_began_and_ended") {
  const auto journal_after = [&](auto&& change) {
    const std::size_t before = segment->journal().size();
    change();
    std::string text;
    const auto journal = segment->journal();
    for (std::size_t i = before; i < journal.size(); ++i) {
      CHECK(journal[i].policy == "api");
      text += fmt::format("{}: {} -> {}; ", to_string(journal[i].change), journal[i].before,
                          journal[i].after);
    }
    return text;
  };
  CHECK(journal_after([&] { try_out("4/s"); }) == "trial begun:  -> 4/s; ");
  CHECK(journal_after([&] { try_out("5/s"); }) == "trial ended: 4/s -> ; trial begun:  -> 5/s; ");
  CHECK(journal_after([&] { CHECK(segment->clear_candidate("api")); }) == "trial ended: 5/s -> ; ");
  CHECK(journal_after([&] { CHECK_FALSE(segment->clear_candidate("api")); }) == "");
  try_out("6/s");
  CHECK(journal_after([&] { segment->set_policy("api", Limit::per_second(1).burst(10)); }) == "");
  CHECK(journal_after([&] { segment->promote_candidate("api"); }) ==
        "policy set: 1/s burst=10 -> 6/s; trial ended: 6/s -> ; ");
  try_out("6/s");
  CHECK(journal_after([&] { segment->promote_candidate("api"); }) == "trial ended: 6/s -> ; ");
  try_out("7/s");
  CHECK(journal_after([&] { segment->remove_policy("api"); }) ==
        "policy removed: 6/s -> ; trial ended: 7/s -> ; ");
}

TEST_CASE_FIXTURE(TrialTest, "what_cannot_be_tried_is_refused") {
  CHECK_THROWS_WITH_AS(segment->set_candidate("other", Limit::per_second(1)),
                       doctest::Contains("no policy \"other\""), Error);
  CHECK_THROWS_WITH_AS(segment->set_candidate("api", Limit::concurrency(1)),
                       doctest::Contains("a concurrency limit has no trial"), Error);
  CHECK_THROWS_WITH_AS(segment->promote_candidate("api"), doctest::Contains("has no candidate"),
                       Error);
  (void)segment->limiter("up", Limit::concurrency(1));
  CHECK_THROWS_AS(segment->set_candidate("up", Limit::per_second(1)), Error);
  Segment reader = Segment::open_read_only(segment.name());
  CHECK_THROWS_AS(reader.set_candidate("api", Limit::per_second(1)), Error);
  CHECK_THROWS_AS((void)reader.clear_candidate("api"), Error);
  CHECK_THROWS_AS(reader.promote_candidate("api"), Error);
  CHECK_FALSE(reader.compare("api"));
  CHECK(segment->remove_policy("api"));
  CHECK_THROWS_AS(segment->set_candidate("api", Limit::per_second(1)), Error);
}

TEST_CASE_FIXTURE(TrialTest, "a_limit_in_shadow_is_compared_by_what_it_would_do") {
  segment->set_policy("api", Limit::per_second(1).burst(2).shadow(true));
  try_out("1/s burst=1");
  for (int call = 0; call < 3; ++call) CHECK(api.try_acquire("k"));
  CHECK(comparison().by_live.denied == 1);
  CHECK(comparison().by_candidate.denied == 2);
}

TEST_CASE_FIXTURE(TrialTest, "of_all_of_what_no_other_limit_denies_is_compared") {
  Limiter daily = segment->limiter("daily", Limit::per_day(3));
  segment->set_candidate("api", Limit::per_second(1).burst(20));
  CHECK(all_of({{api, "k", 2}, {daily, "k", 3}}));
  CHECK(comparison().by_candidate.allowed == 1);
  CHECK_FALSE(all_of({{api, "k"}, {daily, "k"}}));  // denied by the other
  CHECK_FALSE(all_of({{api, "k", 9}, {daily, "k"}}));
  CHECK(comparison().by_candidate.allowed == 1);
  CHECK(comparison().by_live.denied == 0);
  CHECK_FALSE(all_of({{api, "k", 9}, {daily, "new"}}));  // by api alone
  CHECK(comparison().by_live.denied == 1);
  CHECK(comparison().by_candidate.allowed == 2);
  CHECK(comparison().by_candidate.denied == 0);
}

TEST_CASE("a_candidate_finds_room_or_none_and_takes_it_from_nobody") {
  test::Scratch segment(by_hand(16));
  Limiter api = segment->limiter("api", Limit::per_day(10));
  for (int i = 0; i < 100; ++i) (void)api.try_acquire("key" + std::to_string(i));
  const std::uint64_t evicted = segment->info().evicted;
  const std::uint64_t live = segment->info().live;
  CHECK(evicted > 0);
  segment->set_candidate("api", Limit::per_day(1));
  const auto ask_those_who_are_there = [&] {
    std::vector<std::string> keys;
    segment->for_each_key([&](const KeyInfo& row) {
      if (row.part == SlotPart::key) keys.push_back(row.key.value());
    });
    for (const std::string& key : keys) (void)api.try_acquire(key);
    return keys.size();
  };
  CHECK(ask_those_who_are_there() == live);
  CHECK(ask_those_who_are_there() == live);
  CHECK(segment->info().evicted == evicted);
  // Those that had no room are compared on neither side.
  const Comparison c = segment->compare("api").value();
  CHECK(c.by_live.allowed + c.by_live.denied == c.by_candidate.allowed + c.by_candidate.denied);
  CHECK(c.by_live.allowed + c.by_live.denied < 2 * live);
}

constexpr const char* kLimits[] = {"2/s burst=5", "1/s burst=9", "leaky 2/s queue=4 delay=1",
                                   "window 5/s",  "sliding 6/s", "window 7/2s"};

/// A limit in force with another on trial, and both of them alone; all by the same clock.
class Beside {
 public:
  explicit Beside(std::mt19937_64& random)
      : random_(random),
        live_(Limit::parse(kLimits[below(std::size(kLimits))])),
        candidate_(Limit::parse(kLimits[below(std::size(kLimits))])) {
    both_->set_candidate("api", candidate_);
  }

  void step() {
    switch (below(10)) {
      case 0:
        return advance();
      case 1: {
        const Priority low = Priority::low;
        return ask([&](Limiter& l) { return l.try_acquire(key_, cost_, low); });
      }
      case 2: {
        const Instant at = both_->now() - std::chrono::nanoseconds(below(300'000'000));
        if (at < Instant{}) return;
        return ask([&](Limiter& l) { return l.try_acquire_at(at, key_, cost_); });
      }
      case 3: {
        const Instant deadline = both_->now() + std::chrono::nanoseconds(below(2'000'000'000));
        return ask([&](Limiter& l) -> Decision { return l.reserve(key_, cost_, deadline); });
      }
      case 4:
        return ask([&](Limiter& l) { return l.acquire_for(key_, cost_, 0ns); });
      case 5:
        return many();
      case 6:
        return change();
      case 7:
        return ask_and_settle();
      default:
        return ask([&](Limiter& l) { return l.try_acquire(key_, cost_); });
    }
  }

  void check() {
    const Comparison c = both_->compare("api").value();
    REQUIRE(c.by_live.allowed == allowed_[0]);
    REQUIRE(c.by_live.denied == denied_[0]);
    REQUIRE(c.by_candidate.allowed == allowed_[1]);
    REQUIRE(c.by_candidate.denied == denied_[1]);
    REQUIRE(c.keys_denied >= denied_keys_.size());
    REQUIRE(c.keys_denied <= denied_keys_.size() + resets_);
  }
  [[nodiscard]] std::uint64_t denials_apart() const noexcept { return apart_; }

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  void choose() {
    key_ = std::string(1, static_cast<char>('a' + below(4)));
    cost_ = 1 + below(3);
  }

  void advance() {
    const std::chrono::nanoseconds by(below(1'500'000'000));
    for (test::Scratch* segment : {&both_, &alone_[0], &alone_[1]}) (*segment)->advance_clock(by);
  }

  /// Notes what was said of a call, which must not depend on the trial. True when all three allow.
  bool note(const std::string& key, const Decision& both, const Decision& live,
            const Decision& candidate) {
    REQUIRE(both.allowed == live.allowed);
    REQUIRE(both.remaining == live.remaining);
    REQUIRE(both.retry_after == live.retry_after);
    REQUIRE(both.wait == live.wait);
    ++(live ? allowed_ : denied_)[0];
    ++(candidate ? allowed_ : denied_)[1];
    if (!candidate) denied_keys_.insert(key);
    apart_ += live.allowed != candidate.allowed ? 1 : 0;
    return live && candidate;
  }

  template <class Asked>
  void ask(Asked&& asked) {
    choose();
    Decision both = asked(api_);
    Decision live = asked(alone_api_[0]);
    Decision candidate = asked(alone_api_[1]);
    // What the candidate had denied, it would give back all the same: not exact, and said so.
    if (!note(key_, both, live, candidate) || below(4) != 0) return;
    REQUIRE(api_.refund(key_, both) == alone_api_[0].refund(key_, live));
    (void)alone_api_[1].refund(key_, candidate);
  }

  void ask_and_settle() {
    choose();
    Decision both = api_.hold(key_, cost_);
    Decision live = alone_api_[0].hold(key_, cost_);
    Decision candidate = alone_api_[1].hold(key_, cost_);
    if (!note(key_, both, live, candidate)) return;
    const std::uint64_t actual = below(6);
    REQUIRE(api_.settle(key_, both, actual) == alone_api_[0].settle(key_, live, actual));
    (void)alone_api_[1].settle(key_, candidate, actual);
  }

  void many() {
    std::vector<std::string> keys;
    for (int i = 0; i < 5; ++i) {
      choose();
      keys.push_back(key_);
    }
    const std::vector<std::string_view> views(keys.begin(), keys.end());
    std::array<std::array<Decision, 5>, 3> said;
    api_.try_acquire_batch(views, said[0], cost_);
    alone_api_[0].try_acquire_batch(views, said[1], cost_);
    alone_api_[1].try_acquire_batch(views, said[2], cost_);
    for (std::size_t i = 0; i < keys.size(); ++i)
      (void)note(keys[i], said[0][i], said[1][i], said[2][i]);
  }

  /// What is no question, and is done to both.
  void change() {
    choose();
    const std::uint64_t what = below(3);
    resets_ += what == 0 ? 1 : 0;
    for (Limiter* limiter : {&api_, &alone_api_[0], &alone_api_[1]}) {
      if (what == 0) (void)limiter->reset(key_);
      if (what == 1) (void)limiter->set_remaining(key_, cost_);
      if (what == 2) (void)limiter->charge(key_, cost_);
    }
  }

  std::mt19937_64& random_;
  Limit live_;
  Limit candidate_;
  test::Scratch both_{by_hand()};
  test::Scratch alone_[2]{test::Scratch(by_hand()), test::Scratch(by_hand())};
  Limiter api_ = both_->limiter("api", live_);
  Limiter alone_api_[2]{alone_[0]->limiter("api", live_), alone_[1]->limiter("api", candidate_)};
  std::string key_;
  std::uint64_t cost_ = 1;
  std::uint64_t allowed_[2] = {};
  std::uint64_t denied_[2] = {};
  std::set<std::string> denied_keys_;
  std::uint64_t resets_ = 0;
  std::uint64_t apart_ = 0;
};

TEST_CASE("A_a_candidate_decides_as_a_limiter_of_that_limit_alone_would_on_the_same_calls") {
  const std::uint64_t seed = test::seed();
  INFO("seed " << seed);
  std::uint64_t apart = 0;
  for (std::uint64_t round = 0; round < 300; ++round) {
    CAPTURE(round);
    std::mt19937_64 random(seed + round);
    Beside beside(random);
    for (int step = 0; step < 100; ++step) {
      beside.step();
      beside.check();
    }
    apart += beside.denials_apart();
  }
  CHECK(apart > 300);  // the limits did differ
}

}  // namespace
}  // namespace rl
