#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "tests/support.hpp"
#include "tools/rlctl/key_columns.hpp"

namespace rl::ctl {
namespace {

/// What a row is in JSON, said by a library that knows nothing of columns.
Json reference(const KeyInfo& key, const std::string& policy_limit) {
  constexpr const char* kParts[] = {"key", "permit", "hint", "fence", "candidate", "conduct"};
  const bool for_ever = key.standing == Standing::ban && key.until == Instant::max();
  Json object{
      {"policy", key.policy.empty() ? Json(nullptr) : Json(escape(key.policy))},
      {"key", key.key ? Json(escape(*key.key)) : Json(nullptr)},
  };
  if (key.key_truncated) object["key_truncated"] = true;
  object["allowed_count"] = key.allowed_count;
  object["denied_count"] = key.denied_count;
  object["remaining"] = key.remaining;
  object["limit"] = key.limit;
  object["policy_limit"] = policy_limit.empty() ? Json(nullptr) : Json(policy_limit);
  object["reset_after_ns"] = for_ever ? Json(nullptr) : Json(key.reset_after.count());
  object["idle"] = key.idle;
  if (key.part != SlotPart::key) object["part"] = kParts[static_cast<int>(key.part)];
  if (key.holder_pid != 0) object["holder_pid"] = key.holder_pid;
  if (key.standing != Standing::none) object["standing"] = to_string(key.standing);
  return object;
}

std::string json_of(const KeyColumns& columns, const KeyInfo& key, const std::string& policy_limit,
                    const std::string& more = {}) {
  std::string line;
  columns.append_json(line, {key, policy_limit}, more);
  return line;
}

/// Bytes of all kinds: quotes, backslashes, controls, whole and broken UTF-8, marks without width.
std::string odd_text(std::mt19937_64& random) {
  static const std::vector<std::string> kPieces{"\"",
                                                "\\",
                                                "\\\"",
                                                "/",
                                                "\b",
                                                "\t",
                                                "\n",
                                                "\f",
                                                "\r",
                                                std::string(1, '\0'),
                                                "\x1b[31m",
                                                "\x7f",
                                                "\x80",
                                                "\xc3",
                                                "\xc3\xa9",
                                                "\xe2\x80\xae",
                                                "\xef\xbb\xbf",
                                                "\xf0\x9f\x98\x80",
                                                "\xed\xa0\x80",
                                                "\xf4\x90\x80\x80",
                                                "\xff",
                                                "\xc2\x85",
                                                "\xe6\x97\xa5",
                                                "user:",
                                                "42",
                                                " ",
                                                "'",
                                                "<",
                                                "{}",
                                                "\xf0\x9f"};
  std::string text;
  while (text.size() < random() % 40) text += kPieces[random() % kPieces.size()];
  return text;
}

KeyInfo odd_row(std::mt19937_64& random) {
  const auto number = [&] { return random() >> random() % 64; };
  KeyInfo row;
  row.policy_id = static_cast<std::uint16_t>(random());
  row.policy = odd_text(random);
  if (random() % 8 != 0) row.key = odd_text(random);
  row.key_truncated = random() % 2 == 0;
  row.allowed_count = number();
  row.denied_count = number();
  row.limit = number();
  row.remaining = number();
  row.reset_after = std::chrono::nanoseconds(static_cast<std::int64_t>(number() >> 1));
  row.idle = random() % 2 == 0;
  row.part = static_cast<SlotPart>(random() % 6);
  if (random() % 2 == 0) row.holder_pid = static_cast<std::uint32_t>(random());
  row.standing = static_cast<Standing>(random() % 4);
  if (random() % 2 == 0) row.until = Instant::max();
  return row;
}

TEST_CASE("json_is_byte_for_byte_what_a_json_library_writes") {
  const std::uint64_t seed = test::seed();
  INFO("seed " << seed);
  std::mt19937_64 random(seed);
  const KeyColumns usual = KeyColumns::usual(true);
  for (int i = 0; i < 20'000; ++i) {
    const KeyInfo row = odd_row(random);
    const std::string limit = random() % 4 == 0 ? "" : "100/s burst=200";
    REQUIRE(json_of(usual, row, limit) == reference(row, limit).dump());
  }
}

TEST_CASE("a_json_string_is_byte_for_byte_what_a_json_library_writes") {
  for (int first = 0; first < 0x80; ++first) {
    for (const char* rest : {"", "x", "\xc3\xa9", "\""}) {
      const std::string text = std::string(1, static_cast<char>(first)) + rest;
      std::string written;
      append_json(written, text);
      CAPTURE(first);
      CHECK(written == Json(text).dump());
    }
  }
}

TEST_CASE("what_is_added_to_each_object_stands_last") {
  KeyInfo row;
  row.policy = "api";
  CHECK(json_of(KeyColumns::parse("policy"), row, "", R"(,"off_since":"now")") ==
        R"({"policy":"api","off_since":"now"})");
}

TEST_CASE("columns_are_what_was_asked_for_in_that_order") {
  KeyInfo row;
  row.policy = "api";
  row.key = "user:42";
  row.denied_count = 7;
  row.limit = 10;
  row.remaining = 4;
  row.reset_after = std::chrono::seconds(90);
  row.idle = false;
  CHECK(json_of(KeyColumns::parse("denied,key"), row, "") ==
        R"({"denied_count":7,"key":"user:42"})");
  CHECK(json_of(KeyColumns::parse("state,used,own_limit,full_in"), row, "") ==
        R"({"state":"live","used":6,"own_limit":false,"reset_after_ns":90000000000})");
  CHECK(json_of(KeyColumns::parse("part"), row, "") == "{}");
  const KeyColumns all = KeyColumns::parse(
      "policy,key,allowed,denied,used,remaining,limit,full_in,state,idle,part,holder,standing,"
      "own_limit,policy_limit");
  Table table = all.table();
  Cells cells;
  all.fill(cells, {row, "10/s"});
  CHECK(cells == Cells{"api", "user:42", "0", "7", "6", "4", "10", "1 min 30 s", "live", "no",
                       "key", "-", "-", "no", "10/s"});
  table.measure(cells);
  CHECK(table.header() ==
        "policy  key      allowed  denied  used  remaining  limit     full in  state  idle  part  "
        "holder  standing  own limit  policy limit\n");
  CHECK(table.line(cells) ==
        "api     user:42        0       7     6          4     10  1 min 30 s  live   no    key   "
        "     -  -         no         10/s\n");
  // Each member of an object has one column that it comes from.
  row.key_truncated = true;
  row.part = SlotPart::permit;
  row.holder_pid = 42;
  row.standing = Standing::ban;
  const std::string object = json_of(all, row, "10/s");
  CHECK(Json::parse(object).size() ==
        static_cast<std::size_t>(std::count(object.begin(), object.end(), ':')) - 1);
}

TEST_CASE("a_column_that_there_is_not_and_one_that_is_there_twice_are_errors") {
  for (const char* names : {"", ",", "key,", ",key", "key,,denied", "keys", "KEY", "key,key",
                            "key denied", "key, denied"}) {
    CAPTURE(names);
    CHECK_THROWS_AS(KeyColumns::parse(names), Error);
  }
}

}  // namespace
}  // namespace rl::ctl
