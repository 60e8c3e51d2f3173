#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <rl/error.hpp>

#include "tests/support.hpp"
#include "tools/rlctl/key_order.hpp"

namespace rl::ctl {
namespace {

constexpr std::uint64_t kAll = ~std::uint64_t{0};

KeyInfo row(std::string policy, std::string key, std::uint64_t denied = 0) {
  KeyInfo made;
  made.policy_id = static_cast<std::uint16_t>(policy.front());
  made.policy = std::move(policy);
  made.key = std::move(key);
  made.denied_count = denied;
  return made;
}

std::vector<KeyInfo> sorted(std::string_view by, const std::vector<KeyInfo>& rows,
                            std::uint64_t most = kAll) {
  SortedKeys keys(KeyOrder::parse(by), most);
  for (const KeyInfo& one : rows) keys.add(one);
  std::vector<KeyInfo> in_order;
  keys.for_each([&](const KeyInfo& one) { in_order.push_back(one); });
  std::size_t again = 0;
  keys.for_each([&](const KeyInfo& one) { again += one.key == in_order[again].key ? 1U : 0U; });
  CHECK(again == in_order.size());
  return in_order;
}

std::string keys_of(const std::vector<KeyInfo>& rows) {
  std::string keys;
  for (const KeyInfo& one : rows) keys += one.key.value_or("?") + ' ';
  return keys;
}

TEST_CASE("a_row_comes_out_as_it_went_in") {
  KeyInfo in = row("a policy of some length", std::string(31, '\xff'), 3);
  in.key_truncated = true;
  in.allowed_count = kAll;
  in.limit = 5;
  in.remaining = 4;
  in.reset_after = std::chrono::nanoseconds::max();
  in.idle = false;
  in.part = SlotPart::conduct;
  in.holder_pid = 0xffff'ffff;
  in.standing = Standing::ban;
  in.until = Instant::max();
  in.own_limit = Limit::per_second(7);
  const KeyInfo out = sorted("key", {in}).front();
  CHECK(out.policy_id == in.policy_id);
  CHECK(out.policy == in.policy);
  CHECK(out.key == in.key);
  CHECK(out.key_truncated);
  CHECK(out.allowed_count == in.allowed_count);
  CHECK(out.denied_count == in.denied_count);
  CHECK(out.limit == in.limit);
  CHECK(out.remaining == in.remaining);
  CHECK(out.reset_after == in.reset_after);
  CHECK_FALSE(out.idle);
  CHECK(out.part == in.part);
  CHECK(out.holder_pid == in.holder_pid);
  CHECK(out.standing == in.standing);
  CHECK(out.until == in.until);
  CHECK(out.own_limit == in.own_limit);
}

TEST_CASE("counts_begin_with_the_most_and_what_remains_with_the_least") {
  std::vector<KeyInfo> rows{row("p", "a", 1), row("p", "b", 3), row("p", "c", 2)};
  CHECK(keys_of(sorted("denied", rows)) == "b c a ");
  CHECK(keys_of(sorted("-denied", rows)) == "a c b ");
  for (KeyInfo& one : rows) one.limit = one.remaining = one.denied_count;
  CHECK(keys_of(sorted("remaining", rows)) == "a c b ");
  CHECK(keys_of(sorted("-remaining", rows)) == "b c a ");
  CHECK(keys_of(sorted("limit", rows)) == "b c a ");
  for (KeyInfo& one : rows) one.reset_after = std::chrono::seconds(one.limit);
  CHECK(keys_of(sorted("full_in", rows)) == "b c a ");
  rows[2].standing = Standing::ban;
  rows[2].until = Instant::max();
  CHECK(keys_of(sorted("full_in", rows)) == "c b a ");
  CHECK(keys_of(sorted("state", rows)) == "a b c ");
  CHECK(keys_of(sorted("-state", rows)) == "c a b ");
}

TEST_CASE("texts_are_sorted_as_such_and_equals_by_key") {
  std::vector<KeyInfo> rows{row("z", "b", 1), row("a", "c", 1), row("a", "a", 1), row("m", "", 1)};
  rows[3].key.reset();
  CHECK(keys_of(sorted("key", rows)) == "a b c ? ");
  CHECK(keys_of(sorted("-key", rows)) == "? c b a ");
  CHECK(keys_of(sorted("policy", rows)) == "a c ? b ");
  CHECK(keys_of(sorted("-policy", rows)) == "b ? a c ");
  CHECK(keys_of(sorted("denied", rows)) == "a b c ? ");
  CHECK(keys_of(sorted("-denied", rows)) == "a b c ? ");
}

TEST_CASE("the_first_rows_are_the_first_of_all_rows") {
  const std::uint64_t seed = test::seed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  for (int round = 0; round < 200; ++round) {
    std::vector<KeyInfo> rows;
    for (std::uint64_t i = 0, count = random() % 60; i < count; ++i)
      rows.push_back(row("p", "k" + std::to_string(i), random() % 5));
    std::shuffle(rows.begin(), rows.end(), random);
    for (const char* by : {"denied", "-denied", "key", "-key"}) {
      std::vector<KeyInfo> all = sorted(by, rows);
      const std::uint64_t most = random() % 70;
      const std::vector<KeyInfo> some = sorted(by, rows, most);
      all.resize(std::min<std::size_t>(all.size(), most));
      CHECK(keys_of(some) == keys_of(all));
    }
  }
}

TEST_CASE("an_order_that_there_is_not_is_an_error") {
  for (const char* by : {"", "-", "--denied", "denied-", "age", "-age"}) {
    CAPTURE(by);
    CHECK_THROWS_AS(KeyOrder::parse(by), Error);
  }
}

}  // namespace
}  // namespace rl::ctl
