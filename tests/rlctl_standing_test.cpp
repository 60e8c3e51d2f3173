// rlctl: overrides, bans, the allow-list and the journal.
#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

/// Replaces what differs from run to run in lists and in the journal.
std::string plain(const Made& segment, std::string text) {
  text = segment.masked(std::move(text));
  for (std::size_t at = 0; (at = text.find("20", at)) != text.npos; ++at) {
    if (text.size() < at + 20 || text[at + 4] != '-' || text[at + 19] != 'Z') continue;
    text.replace(at, 20, "TIME");
  }
  text = masked(text, "\"uid\":", kDigits, "N");
  return masked(text, "\"pid\":", kDigits, "N");
}

/// Columns apart by one blank, for tables whose width depends on who runs the test.
std::string narrow(const std::string& text) {
  std::string out;
  for (const char c : text)
    if (c != ' ' || !out.ends_with(' ')) out += c;
  return out;
}

std::string uid() {
  return std::to_string(::geteuid());
}

TEST_CASE("an_override_is_set_listed_and_unset") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  check_answer(rlctl({"override", "set", name, "api", "user:vip", "1000/s"}), 0,
               "user:vip has an override: 1k/s\n");
  check_answer(rlctl({"override", "set", name, "api", "user:vip", "1000/s"}), 0,
               "user:vip had that override before\n");
  check_answer(rlctl({"override", "set", name, "api", "user:2", "5/s", "burst=7"}), 0,
               "user:2 has an override: 5/s burst=7\n");
  check_answer(rlctl({"acquire", name, "api", "user:vip", "--cost", "999"}), 0,
               "allowed (override): 1 of 1000 left, full in 999 ms\n");
  check_answer(rlctl({"acquire", name, "api", "user:vip", "--cost", "2"}), 1,
               "denied (override), come back in 1 ms: 1 of 1000 left, full in 999 ms\n");
  const Ran list = rlctl({"override", "list", name});
  CHECK(narrow(plain(segment, list.out)) ==
        "policy key standing since uid reason\n"
        "api user:2 override 5/s burst=7 TIME " +
            uid() +
            "\n"
            "api user:vip override 1k/s TIME " +
            uid() + "\n");
  const Ran json = rlctl({"override", "list", name, "--json"});
  CHECK(plain(segment, json.out) ==
        R"({"policy":"api","key":"user:2","standing":"override","override":"5/s burst=7",)"
        R"("since":"TIME","uid":N,"reason":""})"
        "\n"
        R"({"policy":"api","key":"user:vip","standing":"override","override":"1k/s",)"
        R"("since":"TIME","uid":N,"reason":""})"
        "\n");
  check_answer(rlctl({"override", "unset", name, "api", "user:vip"}), 0,
               "user:vip is under the policy's limit again\n");
  check_answer(rlctl({"override", "unset", name, "api", "user:vip"}), 0,
               "user:vip had no override\n");
}

TEST_CASE("a_ban_is_set_listed_and_ended") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  check_answer(rlctl({"ban", name, "api", "bot", "--for", "10m", "--reason", "scraping"}), 0,
               "bot is banned for 10 min\n");
  check_answer(rlctl({"ban", name, "api", "bot", "--for", "5m"}), 0,
               "bot was banned for as long before, or longer\n");
  check_answer(rlctl({"ban", name, "api", "bot2", "--for", "ever"}), 0,
               "bot2 is banned for ever\n");
  check_answer(rlctl({"acquire", name, "api", "bot"}), 1,
               "denied (banned), come back in 10 min 1 s\n");
  check_answer(rlctl({"peek", name, "api", "bot2"}), 1, "would be denied (banned for ever)\n");
  const Ran denied = rlctl({"acquire", name, "api", "bot2", "--json"});
  CHECK(denied.exit_code == 1);
  CHECK(denied.out.starts_with(
      R"({"allowed":false,"reason":"banned","limit":0,"remaining":0,"retry_after_ns":null,)"));
  const Ran list = rlctl({"bans", name});
  CHECK(narrow(plain(segment, list.out)) ==
        "policy key standing since uid reason\n"
        "api bot banned for 10 min 1 s more TIME " +
            uid() +
            " scraping\n"
            "api bot2 banned for ever TIME " +
            uid() + "\n");
  const Ran json = rlctl({"bans", name, "--json"});
  CHECK(plain(segment, json.out) ==
        R"({"policy":"api","key":"bot","standing":"banned","left_ns":600020353024,"level":0,)"
        R"("since":"TIME","uid":N,"reason":"scraping"})"
        "\n"
        R"({"policy":"api","key":"bot2","standing":"banned","left_ns":null,"level":0,)"
        R"("since":"TIME","uid":N,"reason":""})"
        "\n");
  const Ran rows = rlctl({"list", name, "--match", "bot"});
  CHECK(rows.out.find("banned  10/s") != rows.out.npos);
  check_answer(rlctl({"unban", name, "api", "bot"}), 0, "bot is not banned any more\n");
  check_answer(rlctl({"unban", name, "api", "bot"}), 0, "bot was not banned\n");
  check_answer(rlctl({"unban", name, "api", "bot2", "--json"}), 0, "{\"changed\":true}\n");
  check_answer(rlctl({"acquire", name, "api", "bot"}), 0,
               "allowed: 9 of 10 left, full in 100 ms\n");
}

TEST_CASE("a_ban_ends_by_itself_and_the_override_is_back") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  CHECK(rlctl({"override", "set", name, "api", "vip", "50/s"}).exit_code == 0);
  CHECK(rlctl({"ban", name, "api", "vip", "--for", "1m"}).exit_code == 0);
  CHECK(rlctl({"bans", name}).out.find("banned for 1 min 1 s more, then override 50/s") !=
        std::string::npos);
  CHECK(rlctl({"override", "list", name}).out.find("vip") != std::string::npos);
  CHECK(rlctl({"clock", name, "--advance", "61s"}).exit_code == 0);
  check_answer(rlctl({"acquire", name, "api", "vip"}), 0,
               "allowed (override): 49 of 50 left, full in 20 ms\n");
  CHECK(rlctl({"bans", name}).out == "policy  key  standing  since  uid  reason\n");
}

TEST_CASE("an_allowed_key_passes_until_it_is_taken_off") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  check_answer(rlctl({"allow", name, "api", "probe", "--reason", "monitoring"}), 0,
               "probe passes whatever it does\n");
  check_answer(rlctl({"allow", name, "api", "probe"}), 0, "probe was allowed before\n");
  check_answer(rlctl({"acquire", name, "api", "probe", "--cost", "1M"}), 0, "allowed (override)\n");
  check_error(rlctl({"ban", name, "api", "probe", "--for", "1m"}), "on the allow-list");
  CHECK(narrow(plain(segment, rlctl({"allows", name}).out)) ==
        "policy key standing since uid reason\n"
        "api probe allowed TIME " +
            uid() + " monitoring\n");
  check_answer(rlctl({"disallow", name, "api", "probe"}), 0, "probe is limited again\n");
  check_answer(rlctl({"disallow", name, "api", "probe"}), 0, "probe was not on the allow-list\n");
}

TEST_CASE("what_ends_a_ban_says_so") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  REQUIRE(rlctl({"ban", name, "api", "bot", "--for", "ever"}).exit_code == 0);
  check_answer(rlctl({"allow", name, "api", "bot"}), 0,
               "bot passes whatever it does; its ban is lifted\n");
  check_answer(rlctl({"allow", name, "api", "bot"}), 0, "bot was allowed before\n");
  REQUIRE(rlctl({"ban", name, "api", "bot2", "--for", "10m"}).exit_code == 0);
  check_answer(rlctl({"allow", name, "api", "bot2", "--json"}), 0,
               "{\"changed\":true,\"ban_lifted\":true}\n");
}

TEST_CASE("an_override_says_what_stands_above_it") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  REQUIRE(rlctl({"ban", name, "api", "bot", "--for", "ever"}).exit_code == 0);
  REQUIRE(rlctl({"ban", name, "api", "bot2", "--for", "10m"}).exit_code == 0);
  REQUIRE(rlctl({"allow", name, "api", "probe"}).exit_code == 0);
  check_answer(rlctl({"override", "set", name, "api", "bot", "5/s"}), 0,
               "bot has an override: 5/s; it stays banned for ever\n");
  check_answer(rlctl({"override", "set", name, "api", "bot2", "5/s"}), 0,
               "bot2 has an override: 5/s; it stays banned for 10 min 1 s more\n");
  check_answer(
      rlctl({"override", "set", name, "api", "probe", "5/s"}), 0,
      "probe has an override: 5/s; it is on the allow-list, and passes whatever it does\n");
  check_answer(rlctl({"override", "unset", name, "api", "bot", "--json"}), 0,
               "{\"changed\":true,\"standing\":\"banned\"}\n");
  CHECK(rlctl({"acquire", name, "api", "bot"}).exit_code == 1);
}

TEST_CASE("a_ban_for_ever_is_shown_as_such_and_not_as_a_time") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  REQUIRE(rlctl({"ban", name, "api", "bot", "--for", "ever"}).exit_code == 0);
  for (const Words& words : {Words{"list", name}, Words{"show", name, "api", "bot"}}) {
    CAPTURE(words[0]);
    CHECK(narrow(rlctl(words).out).find(" never banned for ever 10/s\n") != std::string::npos);
    Words in_json = words;
    in_json.emplace_back("--json");
    CHECK(rlctl(in_json).out.find(R"("reset_after_ns":null)") != std::string::npos);
  }
}

TEST_CASE("what_is_so_already_is_no_failure") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  for (const Words& words :
       {Words{"ban", name, "api", "k", "--for", "ever"}, Words{"unban", name, "api", "k"},
        Words{"allow", name, "api", "k"}, Words{"disallow", name, "api", "k"},
        Words{"override", "set", name, "api", "k", "2/s"},
        Words{"override", "unset", name, "api", "k"}, Words{"off", name}, Words{"on", name}}) {
    CAPTURE(words[0]);
    Words in_json = words;
    in_json.emplace_back("--json");
    const Ran first = rlctl(in_json);
    CHECK(first.exit_code == 0);
    CHECK(first.out.find(R"("changed":true)") != std::string::npos);
    const Ran again = rlctl(in_json);
    CHECK(again.exit_code == 0);
    CHECK(again.out.find(R"("changed":false)") != std::string::npos);
  }
}

TEST_CASE("a_key_of_a_list_is_allowed_and_banned_under_all_its_limits") {
  const Made segment;
  segment.policy("search", "5/s, 9/h, 9/d");
  const std::string& name = segment.name();
  const auto count_of = [&](const char* verb) {
    const Ran ran = rlctl({verb, name, "--json"});
    return std::count(ran.out.begin(), ran.out.end(), '\n');
  };
  check_answer(rlctl({"allow", name, "search", "probe", "--reason", "why"}), 0,
               "probe passes whatever it does\n");
  CHECK(count_of("allows") == 3);
  CHECK(rlctl({"acquire", name, "search", "probe", "--cost", "1M"}).exit_code == 0);
  check_error(rlctl({"ban", name, "search", "probe", "--for", "ever"}), "on the allow-list");
  check_answer(rlctl({"disallow", name, "search", "probe"}), 0, "probe is limited again\n");
  CHECK(count_of("allows") == 0);
  CHECK(rlctl({"acquire", name, "search", "probe", "--cost", "6"}).exit_code == 1);

  check_answer(rlctl({"ban", name, "search", "bot", "--for", "ever"}), 0,
               "bot is banned for ever\n");
  CHECK(count_of("bans") == 3);
  CHECK(rlctl({"peek", name, "search", "bot"}).exit_code == 1);
  check_answer(rlctl({"unban", name, "search", "bot"}), 0, "bot is not banned any more\n");
  CHECK(count_of("bans") == 0);
  check_answer(rlctl({"unban", name, "search", "bot"}), 0, "bot was not banned\n");
}

TEST_CASE("what_is_done_to_one_limit_of_a_list_is_said_to_be_of_that_limit") {
  const Made segment;
  segment.policy("search", "5/s, 9/h");
  const std::string& name = segment.name();
  check_answer(rlctl({"allow", name, "search#2", "probe"}), 0,
               "probe of search#2 passes whatever it does\n");
  CHECK(rlctl({"acquire", name, "search", "probe", "--cost", "6"}).exit_code == 1);
  check_error(rlctl({"ban", name, "search", "probe", "--for", "1m"}),
              "that is search#2 of search, and it was done for those before it");
  check_answer(rlctl({"unban", name, "search", "probe"}), 0, "probe is not banned any more\n");
  check_answer(rlctl({"allow", name, "search", "probe"}), 0, "probe passes whatever it does\n");
  check_answer(rlctl({"disallow", name, "search", "probe"}), 0, "probe is limited again\n");
  segment.policy("lone#2", "5/s");  // somebody's policy of that name, and no part
  check_answer(rlctl({"allow", name, "lone#2", "probe"}), 0, "probe passes whatever it does\n");
}

TEST_CASE("an_override_of_a_list_has_as_many_limits_as_the_list") {
  const Made segment;
  segment.policy("search", "5/s, 9/h");
  const std::string& name = segment.name();
  check_answer(rlctl({"override", "set", name, "search", "vip", "50/s, 1000/h"}), 0,
               "vip has an override: 50/s, 1k/h\n");
  check_answer(rlctl({"override", "set", name, "search", "vip", "50/s, 1000/h"}), 0,
               "vip had that override before\n");
  CHECK(rlctl({"acquire", name, "search", "vip", "--cost", "50"}).exit_code == 0);
  check_answer(rlctl({"peek", name, "search#2", "vip"}), 0,
               "would be allowed (override): 950 of 1000 left, full in 3 min\n");
  check_error(
      rlctl({"override", "set", name, "search", "vip", "70/s"}),
      "policy search is 5/s, 9/h, and 1 limit is given: 70/s; give one for each, with commas");
  check_error(rlctl({"override", "set", name, "search", "vip", "70/s, concurrency 2"}),
              "gives permits");
  check_error(rlctl({"override", "set", name, "search#2", "vip", "1/s, 2/s"}),
              "policy search#2 is 9/h, and 2 limits are given: 1/s, 2/s");
  const Ran list = rlctl({"override", "list", name});
  CHECK(narrow(list.out).find("search vip override 50/s ") != std::string::npos);
  CHECK(narrow(list.out).find("search#2 vip override 1k/h ") != std::string::npos);
  check_answer(rlctl({"override", "unset", name, "search", "vip"}), 0,
               "vip is under the policy's limit again\n");
  CHECK(rlctl({"override", "list", name, "--json"}).out == "");
}

TEST_CASE("history_says_who_changed_what") {
  const Made segment;
  segment.policy("api", "10/s");
  const std::string& name = segment.name();
  CHECK(rlctl({"override", "set", name, "api", "vip", "50/s"}).exit_code == 0);
  CHECK(rlctl({"ban", name, "api", "vip", "--for", "1m", "--reason", "a\nb"}).exit_code == 0);
  const Ran json = rlctl({"history", name, "--json"});
  CHECK(plain(segment, json.out)
            .find(R"({"number":2,"when":"TIME","uid":N,"pid":N,"change":"banned","policy":"api",)"
                  R"("key":"vip","before":"50/s","after":"for 1m","reason":"a\\x0ab"})"
                  "\n") != std::string::npos);
  const Ran table = rlctl({"history", name});
  CHECK(table.exit_code == 0);
  CHECK(std::count(table.out.begin(), table.out.end(), '\n') == 4);
  CHECK(narrow(table.out).find(" override set api vip 50/s\n") != std::string::npos);
}

TEST_CASE("what_is_typed_wrong_is_explained") {
  const Made segment;
  segment.policy("api", "10/s");
  segment.policy("jobs", "concurrency 3");
  const std::string& name = segment.name();
  check_error(rlctl({"ban", name, "api", "bot"}), "--for 10m");
  check_error(rlctl({"ban", name, "api", "bot", "--for", "soon"}), "--for");
  check_error(rlctl({"ban", name, "api", "--for", "1m"}), "no key is given");
  check_error(rlctl({"ban", name, "nobody", "bot", "--for", "1m"}), "no policy \"nobody\"");
  check_error(rlctl({"ban", name, "job", "bot", "--for", "1m"}),
              "no policy \"job\"; did you mean \"jobs\"?\n");
  check_error(rlctl({"override", "set", name, "pai", "bot", "1/s"}), "did you mean \"api\"?\n");
  check_error(rlctl({"acquire", name, "ap", "bot"}), "did you mean \"api\"?\n");
  check_error(rlctl({"policy", "list", name, "--history", "--policy", "jbos"}), "\"jobs\"?\n");
  check_error(rlctl({"ban", name, "jobs", "bot", "--for", "1m"}), "concurrency 3");
  check_error(rlctl({"ban", name, "api", "bot", "--for", "0s"}), "longer than nothing");
  check_error(rlctl({"override", "set", name, "api", "vip"}), "LIMIT");
  check_error(rlctl({"override", "set", name, "api", "vip", "10/w"}), "10/w");
  check_error(rlctl({"override", "set", name, "api", "vip", "concurrency 2"}), "gives permits");
  check_error(rlctl({"override"}), "set, unset, list");
  check_error(rlctl({"unban", "no-such-segment-" + name, "api", "bot"}), "no-such-segment");
}

}  // namespace
}  // namespace rl::test
