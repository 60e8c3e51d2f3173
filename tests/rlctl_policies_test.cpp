// What rlctl does with the limits of a live segment, to the byte: changes, switches, history.
#include <algorithm>

#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

/// A segment with a limit, and what is done to it.
struct Policies : Made {
  Policies() { policy("api", "2/s burst=3"); }
  [[nodiscard]] Ran on(Words words) const {
    words.insert(words.begin() + (words[0] == "policy" ? 2 : 1), name());
    return rlctl(words);
  }
  [[nodiscard]] Ran acquire(const std::string& cost = "1") const {
    return on({"acquire", "api", "k", "--cost", cost});
  }
  [[nodiscard]] std::string limits() const {
    std::string text;
    for (const PolicyInfo& policy : Segment::open_read_only(name()).policies())
      text += policy.name + "=" + policy.limit->to_string() + ";";
    return text;
  }
};

/// Replaces times and users, and what they make of the width of columns.
std::string masked_history(std::string text) {
  text = masked(std::move(text), "  20", "0123456789-:TZ", "TIME");
  return masked(std::move(text), "20TIME ", "0123456789 ", "UID ");
}

TEST_CASE_FIXTURE(Policies, "policy_set_changes_a_limit_and_says_what_it_was") {
  REQUIRE(acquire("3").exit_code == 0);
  check_answer(on({"policy", "set", "api", "2/s burst=10"}), 0,
               "policy api is 2/s burst=10; it was 2/s burst=3\n");
  check_answer(acquire(), 0, "allowed: 6 of 10 left, full in 2 s\n");
  check_answer(on({"policy", "set", "api", "2/s burst=10"}), 0, "policy api is 2/s burst=10\n");
  const Ran set = on({"policy", "set", "api", "5/s", "--json"});
  CHECK(set.out == on({"policy", "list", "--json"}).out);
}

TEST_CASE_FIXTURE(Policies, "spent_says_what_becomes_of_what_keys_have_used") {
  REQUIRE(acquire("3").exit_code == 0);
  CHECK(on({"policy", "set", "api", "2/s burst=30"}).exit_code == 0);  // keep
  check_answer(on({"peek", "api", "k"}), 0, "would be allowed: 27 of 30 left, full in 1.5 s\n");
  CHECK(on({"policy", "set", "api", "2/s burst=10", "--spent", "scale"}).exit_code == 0);
  check_answer(on({"peek", "api", "k"}), 0, "would be allowed: 9 of 10 left, full in 500 ms\n");
  CHECK(on({"policy", "set", "api", "2/s burst=10", "--spent", "reset"}).exit_code == 0);
  check_answer(on({"peek", "api", "k"}), 0, "would be allowed: 10 of 10 left, full now\n");
}

TEST_CASE_FIXTURE(Policies, "a_list_grows_and_shrinks_and_its_parts_follow") {
  check_answer(on({"policy", "set", "api", "2/s burst=3, 5/h, 9/d"}), 0,
               "policy api is 2/s burst=3, 5/h, 9/d; it was 2/s burst=3\n"
               "programs that run ask for what the list has more when they start anew\n");
  CHECK(limits() == "api=2/s burst=3;api#2=5/h;api#3=9/d;");
  check_answer(on({"policy", "set", "api", "4/s, 5/h"}), 0,
               "policy api is 4/s, 5/h; it was 2/s burst=3, 5/h, 9/d\n");
  CHECK(limits() == "api=4/s;api#2=5/h;");
  check_answer(acquire(), 0, "allowed: 3 of 4 left of api, full in 250 ms\n");
  // A part that an operator took away is not made again by who asks for the longer list.
  Segment segment = Segment::open(name());
  const Limiters limiters = segment.limiters("api", Limits::parse("4/s, 5/h, 9/d"));
  CHECK(limiters.size() == 2);
  CHECK(limiters.differs());
  CHECK(limits() == "api=4/s;api#2=5/h;");
  // The whole list, which is gone, is made again by who starts.
  check_answer(on({"policy", "rm", "api"}), 0,
               "policy api is removed, and calls pass, until it is set or a program that asks for "
               "it starts; it was 4/s, 5/h\n");
  CHECK(limits() == "");
  CHECK(segment.limiters("api", Limits::parse("4/s, 5/h, 9/d")).size() == 3);
}

TEST_CASE_FIXTURE(Policies, "a_list_that_cannot_become_another_is_left_as_it_is") {
  policy("api#2", "concurrency 3");
  check_error(on({"policy", "set", "api", "7/s, 9/h"}),
              "policy \"api#2\" is concurrency 3, and cannot become 9/h");
  CHECK(limits() == "api=2/s burst=3;api#2=concurrency 3;");
  check_answer(on({"policy", "set", "api", "7/s"}), 0, "policy api is 7/s; it was 2/s burst=3\n");
  CHECK(limits() == "api=7/s;api#2=concurrency 3;");  // no part of a list
  check_error(on({"policy", "set", "api", "concurrency 3"}), "cannot become concurrency 3");
  check_error(on({"policy", "set", "api", "1/s", "--spent", "all"}),
              "--spent \"all\": give one of keep, scale, reset");
}

TEST_CASE_FIXTURE(Policies, "a_removed_policy_is_gone_for_who_asks_from_outside") {
  CHECK(on({"policy", "rm", "api", "--json"}).out ==
        R"({"policy":"api","removed":true,"policy_limit":"2/s burst=3"})"
        "\n");
  check_answer(on({"policy", "rm", "api"}), 0, "policy api was removed before\n");
  check_error(on({"policy", "rm", "never"}), "no policy \"never\"");
  check_error(acquire(), "no policy \"api\"");
  check_answer(on({"policy", "list"}), 0, "policy  id  limit  interval  policy limit\n");
  check_answer(on({"policy", "set", "api", "1/s"}), 0, "policy api is 1/s\n");
}

TEST_CASE_FIXTURE(Policies, "a_shadowed_limit_allows_and_says_what_it_would_do") {
  check_answer(on({"policy", "shadow", "api", "on"}), 0,
               "policy api is 2/s burst=3 shadow; it was 2/s burst=3\n");
  check_answer(acquire("3"), 0, "allowed: 0 of 3 left, full in 1.5 s\n");
  check_answer(acquire(), 0,
               "allowed, though the limit would deny (shadow) for 500 ms: 0 of 3 left, full in "
               "1.5 s\n");
  check_answer(on({"peek", "api", "k", "--cost", "4"}), 0,
               "would be allowed, though the limit would deny (shadow) at any time: 0 of 3 left, "
               "full in 1.5 s\n");
  CHECK(on({"peek", "api", "k", "--json"}).out ==
        R"({"allowed":true,"reason":"shadow","limit":3,"remaining":0,"retry_after_ns":500000000,)"
        R"("reset_after_ns":1500000000,"wait_ns":0})"
        "\n");
  check_answer(on({"policy", "shadow", "api", "off"}), 0,
               "policy api is 2/s burst=3; it was 2/s burst=3 shadow\n");
  CHECK(acquire().exit_code == 1);
  check_error(on({"policy", "shadow", "api", "maybe"}), "on|off \"maybe\": give one of on, off");
  check_error(on({"policy", "shadow", "api"}), "policy shadow: on|off is required");
  check_error(on({"policy", "shadow", "other", "on"}), "no policy \"other\"");
}

TEST_CASE_FIXTURE(Policies, "shadow_of_a_list_is_of_all_its_limits") {
  REQUIRE(on({"policy", "set", "api", "2/s, 3/h"}).exit_code == 0);
  check_answer(on({"policy", "shadow", "api", "on"}), 0,
               "policy api is 2/s shadow, 3/h shadow; it was 2/s, 3/h\n");
  REQUIRE(acquire("2").exit_code == 0);
  check_answer(
      acquire("2"), 0,
      "allowed, though api would deny (shadow) for 1 s: 0 of 2 left of api, full in 1 s\n");
}

TEST_CASE_FIXTURE(Policies, "off_lets_all_calls_pass_and_is_shown_everywhere_until_on") {
  REQUIRE(acquire("3").exit_code == 0);
  const std::string off = "limits of " + name() + " are off";
  check_answer(on({"off"}), 0, off + ": every call passes until `rlctl on " + name() + "`\n");
  check_answer(on({"off"}), 0,
               off + " already: every call passes until `rlctl on " + name() + "`\n");
  check_answer(acquire("9"), 0, "allowed (off): no limit is in force, and nothing is charged\n");
  check_answer(on({"peek", "api", "k"}), 0,
               "would be allowed (off): no limit is in force, and nothing is charged\n");
  for (const Words& words : {Words{"info"}, Words{"list"}, Words{"policy", "list"},
                             Words{"policy", "list", "--history"}, Words{"show", "api", "k"}}) {
    CAPTURE(words[0]);
    const Ran text = on(words);
    CHECK(text.out.starts_with("LIMITS ARE OFF since 2"));
    CHECK(text.out.find("Z: every call passes; `rlctl on " + name() + "` ends that\n") !=
          text.out.npos);
    Words in_json = words;
    in_json.emplace_back("--json");
    CHECK(on(in_json).out.find(R"("off_since":"2)") != std::string::npos);
  }
  CHECK(on({"info"}).out.ends_with("limits     OFF; calls that passed while they were off: 1\n"));
  check_answer(on({"on"}), 0,
               "limits of " + name() + " are on; calls that passed while they were off: 1\n");
  CHECK(on({"on", "--json"}).out ==
        R"({"name":")" + name() + R"(","off_since":null,"off_allowed":1,"changed":false})" + "\n");
  CHECK(acquire().exit_code == 1);
  CHECK(on({"list"}).out.find("OFF") == std::string::npos);
  CHECK(on({"list", "--json"}).out.find("off_since") == std::string::npos);
}

TEST_CASE_FIXTURE(Policies, "the_history_tells_who_changed_what_when_and_how_many_ids_are_left") {
  REQUIRE(on({"policy", "set", "api", "5/s", "--spent", "scale"}).exit_code == 0);
  REQUIRE(on({"policy", "rm", "api"}).exit_code == 0);
  policy("login", "1/m");
  Ran ran = on({"policy", "list", "--history"});
  ran.out = masked_history(ran.out);
  ran.out.erase(0, ran.out.find('\n') + 1);
  check_answer(ran, 0,
               "api      1  20TIME UID keep   2/s burst=3\n"
               "api      2  20TIME UID scale  5/s\n"
               "api      3  20TIME UID keep   removed\n"
               "login    4  20TIME UID keep   1/m\n"
               "1020 of 1024 ids are left; none is used twice\n");
  ran = on({"policy", "list", "--history", "--policy", "api", "--json"});
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 3);
  CHECK(ran.out.find(R"("creator_uid":)" + std::to_string(::geteuid()) +
                     R"(,"spent":"scale","removed":false})") != ran.out.npos);
  check_error(on({"policy", "list", "--history", "--policy", "other"}), "no policy \"other\"");
}

TEST_CASE_FIXTURE(Policies, "what_the_code_asks_for_is_shown_beside_what_is_in_force") {
  Segment segment = Segment::open(name());
  set_log([](Severity, std::string_view, void*) noexcept {});
  CHECK(segment.limiter("api", Limit::per_second(50)).differs());
  set_log(nullptr);
  check_answer(on({"policy", "list"}), 0,
               "policy  id  limit  interval  policy limit\n"
               "api      1      3    500 ms  2/s burst=3 (code asks for 50/s)\n");
  CHECK(on({"policy", "list", "--json"}).out.find(R"("asked":"50/s"})") != std::string::npos);
  REQUIRE(on({"policy", "set", "api", "50/s"}).exit_code == 0);
  CHECK(on({"policy", "list"}).out.find("code asks") == std::string::npos);
}

TEST_CASE_FIXTURE(Policies, "a_limit_is_tried_compared_and_promoted") {
  check_error(on({"policy", "compare", "api"}),
              "policy \"api\" has no candidate; try one with `rlctl policy trial " + name() +
                  " api LIMIT`");
  check_error(on({"policy", "promote", "api"}), "has no candidate");
  check_answer(on({"policy", "trial", "api", "1/s", "burst=2"}), 0,
               "policy api is 2/s burst=3, and 1/s burst=2 is on trial beside it\n");
  check_answer(on({"policy", "list"}), 0,
               "policy  id  limit  interval  policy limit\n"
               "api      1      3    500 ms  2/s burst=3 (on trial: 1/s burst=2)\n");
  for (int i = 0; i < 4; ++i) (void)acquire();
  const std::string list = on({"list", "--policy", "api", "--sort", "denied"}).out;
  CHECK(list.find(" live candidate  1/s burst=2\n") != list.npos);
  Ran ran = on({"policy", "compare", "api"});
  ran.out = test::masked(test::masked(ran.out, "since ", "0123456789-:TZ", "TIME"), "uid ", kDigits,
                         "UID");
  check_answer(ran, 0,
               "          allowed  denied  share denied  policy limit\n"
               "in force        3       1        25.0 %  2/s burst=3\n"
               "on trial        2       2        50.0 %  1/s burst=2\n"
               "since TIME, by uid UID; keys that the one on trial would have denied: 1\n");
  ran = on({"policy", "compare", "api", "--json"});
  CHECK(ran.out.find(R"("live":{"policy_limit":"2/s burst=3","allowed":3,"denied":1},)"
                     R"("candidate":{"policy_limit":"1/s burst=2","allowed":2,"denied":2},)"
                     R"("keys_denied":1})") != ran.out.npos);
  check_answer(on({"policy", "promote", "api", "--spent", "reset"}), 0,
               "policy api is 1/s burst=2; it was 2/s burst=3\n");
  check_answer(on({"peek", "api", "k"}), 0, "would be allowed: 2 of 2 left, full now\n");
  check_error(on({"policy", "compare", "api"}), "has no candidate");
  const std::string history = on({"history", "--json"}).out;
  CHECK(history.find(R"("change":"trial begun","policy":"api","key":"","before":"",)"
                     R"("after":"1/s burst=2")") != history.npos);
  CHECK(history.find(R"("change":"trial ended","policy":"api","key":"","before":"1/s burst=2")") !=
        history.npos);
}

TEST_CASE_FIXTURE(Policies, "what_ends_a_trial_says_so") {
  const auto begin = [&] { CHECK(on({"policy", "trial", "api", "1/s"}).exit_code == 0); };
  begin();
  check_answer(
      on({"policy", "trial", "api", "3/s"}), 0,
      "policy api is 2/s burst=3, and 3/s is on trial beside it; no longer on trial: 1/s\n");
  check_answer(on({"policy", "shadow", "api", "on"}), 0,
               "policy api is 2/s burst=3 shadow; it was 2/s burst=3; no longer on trial: 3/s\n");
  begin();
  check_answer(on({"policy", "set", "api", "2/s burst=3 shadow"}), 0,
               "policy api is 2/s burst=3 shadow\n");  // which changes nothing
  CHECK(on({"policy", "set", "api", "5/s", "--json"})
            .out.ends_with(R"("trial_ended":"1/s"})"
                           "\n"));
  begin();
  check_answer(on({"policy", "rm", "api"}), 0,
               "policy api is removed, and calls pass, until it is set or a program that asks for "
               "it starts; it was 5/s; no longer on trial: 1/s\n");
}

TEST_CASE_FIXTURE(Policies, "what_a_trial_that_is_over_has_left_is_not_listed_nor_counted") {
  const auto candidates = [&] {
    const bool has = on({"list"}).out.find("candidate") != std::string::npos;
    CHECK((on({"list", "--sort", "key"}).out.find("candidate") != std::string::npos) == has);
    return has;
  };
  CHECK(on({"policy", "trial", "api", "1/h"}).exit_code == 0);
  CHECK(acquire().exit_code == 0);
  CHECK(candidates());
  CHECK(on({"policy", "trial", "api", "off"}).exit_code == 0);
  CHECK_FALSE(candidates());
  CHECK(on({"policy", "trial", "api", "2/h"}).exit_code == 0);
  CHECK(acquire().exit_code == 0);
  CHECK(candidates());
  check_answer(on({"reset", "--all"}), 0, "forgot what 1 key had consumed\n");
}

TEST_CASE_FIXTURE(Policies, "a_part_in_the_middle_of_a_list_is_not_removed") {
  REQUIRE(on({"policy", "set", "api", "2/s, 5/h, 9/d"}).exit_code == 0);
  check_error(on({"policy", "rm", "api#2"}),
              "policy \"api#2\" is in the middle of list \"api\" (2/s, 5/h, 9/d)");
  CHECK(limits() == "api=2/s;api#2=5/h;api#3=9/d;");
  CHECK(on({"policy", "rm", "api#3"}).exit_code == 0);
  CHECK(on({"policy", "rm", "api#2"}).exit_code == 0);
  CHECK(limits() == "api=2/s;");
}

TEST_CASE_FIXTURE(Policies, "a_list_is_tried_compared_and_promoted_limit_by_limit") {
  policy("api", "2/s burst=3, 5/h");
  check_error(on({"policy", "trial", "api", "1/s"}),
              "policy api is 2/s burst=3, 5/h, and 1 limit is given: 1/s; give one for each");
  check_error(on({"policy", "trial", "api", "1/s, concurrency 3"}), "gives permits");
  check_answer(on({"policy", "trial", "api", "1/s burst=2, 4/h"}), 0,
               "policy api is 2/s burst=3, 5/h, and 1/s burst=2, 4/h is on trial beside it\n");
  for (int i = 0; i < 3; ++i) (void)acquire();
  Ran ran = on({"policy", "compare", "api"});
  ran.out = test::masked(test::masked(ran.out, "since ", "0123456789-:TZ", "TIME"), "uid ", kDigits,
                         "UID");
  check_answer(ran, 0,
               "api:\n"
               "          allowed  denied  share denied  policy limit\n"
               "in force        3       0         0.0 %  2/s burst=3\n"
               "on trial        2       1        33.3 %  1/s burst=2\n"
               "since TIME, by uid UID; keys that the one on trial would have denied: 1\n"
               "api#2:\n"
               "          allowed  denied  share denied  policy limit\n"
               "in force        3       0         0.0 %  5/h\n"
               "on trial        3       0         0.0 %  4/h\n"
               "since TIME, by uid UID; keys that the one on trial would have denied: 0\n");
  const std::string json = on({"policy", "compare", "api", "--json"}).out;
  CHECK(std::count(json.begin(), json.end(), '\n') == 2);
  CHECK(json.find("\n{\"policy\":\"api#2\"") != json.npos);
  check_answer(on({"policy", "trial", "api#2", "off"}), 0,
               "policy api#2 is 5/h; 4/h is no longer on trial\n");
  check_answer(on({"policy", "promote", "api"}), 0,
               "policy api is 1/s burst=2, 5/h; it was 2/s burst=3, 5/h\n");
  check_answer(on({"policy", "trial", "api", "off"}), 0,
               "policy api is 1/s burst=2, 5/h; nothing was on trial beside it\n");
  CHECK(on({"policy", "trial", "api", "1/s, 9/h"}).exit_code == 0);
  check_answer(on({"policy", "trial", "api", "off"}), 0,
               "policy api is 1/s burst=2, 5/h; 1/s, 9/h is no longer on trial\n");
}

TEST_CASE_FIXTURE(Policies, "a_trial_is_ended_and_what_cannot_be_tried_is_refused") {
  CHECK(on({"policy", "trial", "api", "1/s", "--json"}).out ==
        R"({"policy":"api","policy_limit":"2/s burst=3","candidate":"1/s"})"
        "\n");
  CHECK(on({"policy", "list", "--json"}).out.find(R"("candidate":"1/s"})") != std::string::npos);
  check_answer(on({"policy", "trial", "api", "off"}), 0,
               "policy api is 2/s burst=3; 1/s is no longer on trial\n");
  check_answer(on({"policy", "trial", "api", "off"}), 0,
               "policy api is 2/s burst=3; nothing was on trial beside it\n");
  CHECK(on({"policy", "trial", "api", "off", "--json"}).out ==
        R"({"policy":"api","policy_limit":"2/s burst=3","candidate":null,"changed":false})"
        "\n");
  check_error(on({"policy", "trial", "other", "off"}), "no policy \"other\"");
  check_error(on({"policy", "trial", "other", "1/s"}), "no policy \"other\"");
  check_error(on({"policy", "compare", "other"}), "no policy \"other\"");
  check_error(on({"policy", "trial", "api", "1/s, 5/h"}),
              "policy api is 2/s burst=3, and 2 limits are given: 1/s, 5/h");
  check_error(on({"policy", "trial", "api", "concurrency 2"}), "a concurrency limit has no trial");
  check_error(on({"policy", "trial", "api"}), "policy trial: LIMIT is required");
  check_error(on({"policy", "promote", "api", "--spent", "all"}), "give one of keep, scale, reset");
}

}  // namespace
}  // namespace rl::test
