// The keys that were denied most: ranked in one walk over the table, and round after round by a sweep.
#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <tuple>

#include "shm/counts.hpp"
#include "shm/mapping.hpp"
#include "src/core.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

const SegmentOptions kSmall{.keys = 500, .clock = ClockSource::manual};

struct Counted {
  std::uint64_t denied = 0;
  std::uint64_t allowed = 0;
};
using Model = std::map<std::pair<std::string, std::string>, Counted>;

/// Asks at random, and counts the answers.
Model ask_at_random(test::Scratch& scratch, std::mt19937_64& random) {
  Model model;
  const std::pair<const char*, const char*> policies[] = {
      {"a", "10/d"}, {"b", "window 3/d"}, {"c", "leaky 5/d queue=2"}};
  for (const auto& [name, limit] : policies) {
    Limiter limiter = scratch->limiter(name, Limit::parse(limit));
    for (int call = 0; call < 3'000; ++call) {
      // Some are asked for far more often than others, and many equally seldom.
      const std::uint64_t who = random() % (1 + random() % 100);
      const std::string key =
          (who % 2 == 0 ? "k" : "a-key-of-more-than-31-bytes-number-") + std::to_string(who);
      const bool allowed = limiter.try_acquire(key).allowed;
      Counted& counted = model[{name, key}];
      ++(allowed ? counted.allowed : counted.denied);
    }
  }
  return model;
}

/// Holds a ranking to the model, but for who of those was taken that were denied as often as the
/// last.
void check(const std::vector<DeniedKey>& ranking, const Model& model, std::size_t count) {
  std::vector<std::tuple<std::uint64_t, std::uint64_t, std::string>> expected;
  for (const auto& [name, counted] : model)
    if (counted.denied != 0) expected.emplace_back(counted.denied, counted.allowed, name.first);
  std::sort(expected.rbegin(), expected.rend());
  REQUIRE(ranking.size() == std::min(count, expected.size()));
  for (std::size_t i = 0; i < ranking.size(); ++i) {
    const DeniedKey& row = ranking[i];
    CHECK(row.denied == std::get<0>(expected[i]));
    REQUIRE(row.key);
    CHECK(row.key_truncated == row.key->starts_with("a-key"));
    if (row.key_truncated) continue;
    const auto at = model.find({row.policy, *row.key});
    REQUIRE(at != model.end());
    CHECK(at->second.denied == row.denied);
    CHECK(at->second.allowed == row.allowed);
    const auto is_same = [&](const DeniedKey& other) {
      return other.policy == row.policy && other.key == row.key;
    };
    CHECK(std::count_if(ranking.begin(), ranking.end(), is_same) == 1);
  }
}

TEST_CASE("a_ranking_is_that_of_a_plain_count_of_all_answers") {
  std::mt19937_64 random(test::seed());
  INFO("seed ", test::seed());
  for (int run = 0; run < 5; ++run) {
    test::Scratch scratch(kSmall);
    const Model model = ask_at_random(scratch, random);
    const Segment reader = Segment::open_read_only(scratch.name());
    for (const std::size_t count : {0, 1, 2, 10, 50, 1'000, 1'000'000}) {
      CAPTURE(count);
      check(scratch->most_denied(count), model, count);
      check(reader.most_denied(count), model, count);
      if (count > Reaper::kRankMax) continue;
      Reaper reaper(*scratch, 0s);
      reaper.rank_denied(count);
      const std::uint64_t rounds = scratch->reaper().rounds;
      while (scratch->reaper().rounds == rounds) (void)reaper.sweep(1 + random() % 500);
      check(reaper.most_denied(), model, count);
    }
  }
}

TEST_CASE("of_equals_those_that_are_known_come_by_name") {
  test::Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_day(1));
  for (const char* key : {"c", "a", "b", "a", "b", "c", "b"}) (void)api.try_acquire(key);
  const std::vector<DeniedKey> ranking = scratch->most_denied(10);
  REQUIRE(ranking.size() == 3);
  CHECK(ranking[0].key == "b");
  CHECK(ranking[0].denied == 2);
  CHECK(ranking[0].allowed == 1);
  CHECK(ranking[1].key == "a");
  CHECK(ranking[2].key == "c");
  CHECK(scratch->most_denied(2).size() == 2);
}

TEST_CASE("a_key_is_ranked_once_whatever_parts_it_has") {
  test::Scratch scratch(kSmall);
  Limiter up = scratch->limiter("up", Limit::concurrency(2, 30s));
  const Permit one = up.permit("k");
  Permit two = up.permit("k");
  REQUIRE(two.fence() != 0);
  for (int i = 0; i < 5; ++i) REQUIRE_FALSE(up.permit("k"));
  Limiter strict = scratch->limiter("strict", Limit::parse("1/d ban_after=3/m ban=1h"));
  for (int i = 0; i < 8; ++i) (void)strict.try_acquire("bot");
  REQUIRE(scratch->find("strict", "bot")->standing == Standing::ban);
  Limiter tried = scratch->limiter("tried", Limit::per_day(100));
  scratch->set_candidate("tried", Limit::per_day(1));  // would deny nine
  for (int i = 0; i < 10; ++i) REQUIRE(tried.try_acquire("user"));
  scratch->set_override("tried", "vip", Limit::per_day(1));
  for (int i = 0; i < 3; ++i) (void)tried.try_acquire("vip");

  const std::vector<DeniedKey> ranking = scratch->most_denied(10);
  REQUIRE(ranking.size() == 3);
  CHECK(ranking[0].policy == "strict");
  CHECK(ranking[0].key == "bot");
  CHECK(ranking[0].denied == 7);
  CHECK(ranking[1].policy == "up");
  CHECK(ranking[1].key == "k");
  CHECK(ranking[1].denied == 5);
  CHECK(ranking[2].policy == "tried");
  CHECK(ranking[2].key == "vip");
  CHECK(ranking[2].denied == 2);
}

TEST_CASE("a_reaper_ranks_whole_rounds_and_forgets_what_a_round_did_not_see") {
  test::Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_day(1));
  for (int i = 0; i < 4; ++i) (void)api.try_acquire("k");
  Reaper reaper(*scratch);
  const std::uint64_t half = reaper.round() / 2;
  const std::uint64_t rest = reaper.round() - half;
  (void)reaper.sweep(reaper.round());
  CHECK(reaper.most_denied().empty());  // nobody asked for it

  (void)reaper.sweep(half);
  reaper.rank_denied(5);
  (void)reaper.sweep(rest);
  CHECK(reaper.most_denied().empty());  // half a round is none
  (void)reaper.sweep(half);
  CHECK(reaper.most_denied().empty());
  (void)reaper.sweep(rest);
  REQUIRE(reaper.most_denied().size() == 1);
  CHECK(reaper.most_denied()[0].denied == 3);

  (void)api.try_acquire("k");
  (void)reaper.sweep(half);
  CHECK(reaper.most_denied()[0].denied == 3);  // until the round is whole
  (void)reaper.sweep(rest);
  CHECK(reaper.most_denied()[0].denied == 4);
  api.reset("k");
  (void)reaper.sweep(reaper.round());
  CHECK(reaper.most_denied().empty());

  reaper.rank_denied(0);
  (void)api.try_acquire("k");
  (void)api.try_acquire("k");
  (void)reaper.sweep(reaper.round());
  CHECK(reaper.most_denied().empty());
  try {
    reaper.rank_denied(Reaper::kRankMax + 1);
    FAIL("it was taken");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::bad_option);
  }
}

TEST_CASE("a_key_without_a_label_is_ranked_without_its_text") {
  test::Scratch scratch({.keys = 100, .labels = false, .clock = ClockSource::manual});
  Limiter api = scratch->limiter("api", Limit::per_day(1));
  for (int i = 0; i < 4; ++i) (void)api.try_acquire("k");
  const std::vector<DeniedKey> ranking = scratch->most_denied(10);
  REQUIRE(ranking.size() == 1);
  CHECK_FALSE(ranking[0].key);
  CHECK(ranking[0].denied == 3);
}

TEST_CASE("bytes_gone_wrong_give_no_key_another_s_name_and_none_two_places") {
  std::mt19937_64 random(test::seed());
  INFO("seed ", test::seed());
  test::Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_day(1));
  for (int i = 0; i < 4; ++i) (void)api.try_acquire("k");
  shm::Mapping raw = shm::Mapping::attach(scratch.path(), shm::Access::read_write, false);
  const auto table = raw.table();
  const shm::Hasher hasher = hasher_for(raw, "api");
  const std::uint64_t index = table.find(shm::KeyHash::from(hasher("k", 1)));
  const shm::SlotWords words = table.slot(index).words();
  const std::uint64_t identity = shm::identity_of(words.tag);

  // Once more, with more denials; and a label there that is another's.
  const std::uint64_t other = (index + 1) % table.slot_count();
  REQUIRE(table.put_unseen(other, words));
  shm::set_count(table.counts(other).denied, identity, 1'000);
  raw.labels().write(other, {identity + 1, 0, 0}, "innocent");
  std::vector<DeniedKey> ranking = scratch->most_denied(10);
  REQUIRE(ranking.size() == 1);
  CHECK(ranking[0].denied == 1'000);
  CHECK_FALSE(ranking[0].key);

  // And anything anywhere.
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    shm::Counts& counts = table.counts(i);
    counts.denied.store(random(), std::memory_order_relaxed);
    const std::uint64_t tag = random() % 2 == 0 ? random() : shm::make_tag(random() >> 16, 1);
    (void)table.put_unseen(i, {tag, random()});
  }
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    const std::uint64_t whose = shm::identity_of(table.slot(i).tag());
    shm::set_count(table.counts(i).denied, whose, random());
  }
  ranking = scratch->most_denied(100);
  CHECK(ranking.size() >= 99);  // "k" is there twice, and ranked once
  CHECK(ranking.size() <= 100);
  const auto is_less = [](const DeniedKey& a, const DeniedKey& b) { return a.denied > b.denied; };
  CHECK(std::is_sorted(ranking.begin(), ranking.end(), is_less));
  for (const DeniedKey& row : ranking) CHECK(row.policy == "api");
}

}  // namespace
}  // namespace rl
