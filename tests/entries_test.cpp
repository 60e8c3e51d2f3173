// How many policy entries changes take is told before they are made: exactly.
#include "src/entries.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>

#include <rl/rl.hpp>

#include "shm/mapping.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

EntryCount count_of(const Segment& segment) {
  const shm::Mapping mapping = shm::Mapping::attach(segment.path(), shm::Access::read_only, false);
  return EntryCount(shm::PolicyTable(mapping));
}

TEST_CASE("what_takes_an_entry_is_counted_as_it_is_taken_whatever_was_changed_before") {
  const char* const limits[] = {"1/h", "5/h", "5/h ban_after=20/m ban=10m",
                                "5/h ban_after=20/m ban=20m", "9/h ban_after=20/m ban=10m shadow"};
  const std::uint64_t seed = test::seed();
  INFO("RL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  const auto any_limit = [&] { return Limit::parse(limits[random() % std::size(limits)]); };
  test::Scratch segment({.keys = 1'000, .clock = ClockSource::manual, .policies = 8'000});
  for (int round = 0; round < 400; ++round) {
    EntryCount entries = count_of(*segment);
    const std::uint32_t before = segment->info().policies;
    REQUIRE(entries.left() == 8'000 - before);
    // Several at once, as the second may need what the first has made.
    for (std::uint64_t change = 1 + random() % 3; change-- > 0;) {
      const std::string policy = "p" + std::to_string(random() % 3);
      const std::string key = "k" + std::to_string(random() % 4);
      const auto policies = segment->policies();
      const auto at = std::find_if(policies.begin(), policies.end(),
                                   [&](const PolicyInfo& info) { return info.name == policy; });
      const bool is_there = at != policies.end();
      const KeyInfo is = segment->find(policy, key).value_or(KeyInfo{});
      const Limit limit = any_limit();
      switch (is_there ? random() % 6 : 0) {
        case 0:
          if (is_there && *at->limit == limit) break;
          entries.set_policy(policy, limit);
          segment->set_policy(policy, limit);
          break;
        case 1:
          entries.remove_policy();
          segment->remove_policy(policy);
          break;
        case 2:
          entries.set_override(policy, limit);
          if (is.standing == Standing::ban) entries.put_apart(policy, shm::PolicyKind::ban, limit);
          if (is.standing == Standing::allow)
            entries.put_apart(policy, shm::PolicyKind::allow, limit);
          (void)segment->set_override(policy, key, limit);
          break;
        case 3:
          if (is.standing == Standing::allow) break;
          entries.put_apart(policy, shm::PolicyKind::ban, is.own_limit);
          (void)segment->ban(policy, key, kNever);
          break;
        case 4:
          entries.put_apart(policy, shm::PolicyKind::allow, is.own_limit);
          (void)segment->allow(policy, key);
          break;
        default:
          (void)segment->unban(policy, key);
          (void)segment->disallow(policy, key);
      }
    }
    CAPTURE(round);
    REQUIRE(segment->info().policies == before + entries.needed());
  }
}

TEST_CASE("a_list_for_which_there_are_too_few_entries_is_not_begun") {
  test::Scratch segment({.keys = 100, .policies = 5});
  segment->set_policy("api", Limits::parse("1/s, 5/h"));
  CHECK_THROWS_WITH_AS(
      segment->set_policy("api", Limits::parse("2/s, 6/h, 1/d ban_after=20/m ban=10m")),
      doctest::Contains("this takes 5 policy entries, and 3 of 5 are left; nothing was changed"),
      Error);
  CHECK(segment->limiters("api").limits().to_string() == "1/s, 5/h");
  CHECK(segment->info().policies == 2);
  segment->set_policy("api", Limits::parse("2/s, 6/h, 1/d"));
  CHECK(segment->info().policies == 5);
  segment->set_policy("api", Limits::parse("2/s, 6/h, 1/d"));  // it is so: nothing is needed
  CHECK_THROWS_WITH_AS(segment->set_policy("api", Limits::parse("2/s")),
                       doctest::Contains("takes 2"), Error);
  CHECK(segment->limiters("api").size() == 3);
}

}  // namespace
}  // namespace rl
