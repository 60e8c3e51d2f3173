// What rlctl answers, verb by verb, to the byte.
#include <algorithm>
#include <fstream>

#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

TEST_CASE("create_says_where_and_how_much") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const Ran ran = rlctl({"create", name, "--keys", "1k"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.starts_with("created /dev/shm/rl." + name + ": room for 1000 keys, "));
  CHECK(ran.err == "");
}

TEST_CASE("create_takes_every_option_whatever_the_umask") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const Ran ran = shell("umask 077; $RLCTL create " + name +
                        " --mode 0640 --labels off --policies 7 --clock boottime --keys 50 --json"
                        " --owner $(id -u) --group $(id -g)");
  CHECK(ran.err == "");
  CHECK(ran.exit_code == 0);
  for (const char* part : {R"("labels":false,)", R"("policy_room":7,)", R"("clock":"boottime",)",
                           R"("keys":50,)", R"("attached":0,)"}) {
    CAPTURE(part);
    CHECK(ran.out.find(part) != ran.out.npos);
  }
  struct stat st {};
  REQUIRE(::stat(("/dev/shm/rl." + name).c_str(), &st) == 0);
  CHECK((st.st_mode & 0777U) == 0640U);
}

TEST_CASE("info_begins_with_version_creator_and_age") {
  const Made segment;
  segment.policy("api", "1/s");
  REQUIRE(rlctl({"acquire", segment.name(), "api", "a"}).exit_code == 0);
  Ran ran = rlctl({"info", segment.name()});
  ran.out = segment.masked(ran.out);
  check_answer(ran, 0,
               "librl " RL_VERSION
               ", layout 1; made by process N, AGE ago\n"
               "name       NAME\n"
               "path       /dev/shm/rl.NAME\n"
               "created    TIME\n"
               "clock      manual\n"
               "labels     on\n"
               "size       SIZE\n"
               "pages      small ones\n"
               "keys       1 live; room for 100\n"
               "slots      1 live, 0 idle, N in all\n"
               "policies   1 of 1024 ids used, 1023 left, the last 8 for bans and allowed keys "
               "only\n"
               "attached   0 processes; 0 found no seat\n"
               "when full  0 evicted, 0 allowed, 0 denied, 0 gave up\n"
               "repaired   0 states clamped, 0 inserts of dead processes freed\n"
               "reaper     none\n"
               "limits     on; calls that passed while they were off: 0\n");
}

TEST_CASE("info_in_json_is_exact") {
  const Made segment;
  Ran ran = rlctl({"info", segment.name(), "--json"});
  const std::string bytes = std::to_string(std::filesystem::file_size(segment.path()));
  ran.out = segment.masked(ran.out);
  check_answer(
      ran, 0,
      R"({"name":"NAME","path":"/dev/shm/rl.NAME","layout_version":1,"creator_version":")" RL_VERSION
      R"(","creator_pid":N,"created":"TIME","clock":"manual",)"
      R"("tsc_left":false,"labels":true,"keys":100,"slots":N,"live":0,"idle":0,"bytes":)" +
          bytes +
          R"(,"huge_bytes":0,"attached":0,"anonymous":0,"policies":0,"policy_room":1024,"policies_left":1024,"policies_kept":8,)"
          R"("evicted":0,)"
          R"("full_allowed":0,"full_denied":0,"gave_up":0,"clamped":0,)"
          "\"tentatives_freed\":0,\"off_since\":null,\"off_allowed\":0,"
          R"("reaper":{"leads":false,"pid":0,"beat_ago_ns":null,"rounds":0,"idle_freed":0,)"
          R"("permits_freed":0,"tentatives_freed":0,"corrupt":0}})"
          "\n");
}

TEST_CASE("policy_set_makes_a_limit_and_says_it_again") {
  const Made segment;
  const Words set{"policy", "set", segment.name(), "api"};
  const auto with = [&](std::initializer_list<std::string> more) {
    Words words = set;
    words.insert(words.end(), more);
    return words;
  };
  check_answer(rlctl(with({"100/s burst=200"})), 0, "policy api is 100/s burst=200\n");
  check_answer(rlctl(with({"100/s", "burst=200"})), 0, "policy api is 100/s burst=200\n");
  CHECK(rlctl(with({"100/s burst=200", "--json"})).out ==
        rlctl({"policy", "list", segment.name(), "--json"}).out);
}

TEST_CASE("a_list_of_limits_is_set_asked_shown_and_reset_as_one") {
  const Made segment;
  const std::string& name = segment.name();
  check_answer(rlctl({"policy", "set", name, "api", "2/s burst=3, 5/h"}), 0,
               "policy api is 2/s burst=3, 5/h\n");
  check_answer(rlctl({"policy", "set", name, "api", "2/s", "burst=3,", "5/h"}), 0,
               "policy api is 2/s burst=3, 5/h\n");
  check_answer(rlctl({"policy", "list", name}), 0,
               "policy  id  limit  interval  policy limit\n"
               "api      1      3    500 ms  2/s burst=3\n"
               "api#2    2      5    12 min  5/h\n");
  CHECK(rlctl({"policy", "set", name, "api", "2/s burst=3, 5/h", "--json"}).out ==
        rlctl({"policy", "list", name, "--json"}).out);
  check_error(rlctl({"policy", "set", name, "other", "5/h, concurrency 3"}),
              "a concurrency limit gives permits and takes no calls; ");

  const auto ask = [&](const char* verb, const char* cost) {
    return Words{verb, name, "api", "k", "--cost", cost};
  };
  check_answer(rlctl(ask("acquire", "3")), 0, "allowed: 0 of 3 left of api, full in 1.5 s\n");
  check_answer(rlctl(ask("acquire", "2")), 1,
               "denied by api, come back in 1 s: 0 of 3 left, full in 1.5 s\n");
  REQUIRE(rlctl({"clock", name, "--advance", "2s"}).exit_code == 0);
  check_answer(
      rlctl(ask("peek", "3")), 1,
      "would be denied by api#2, come back in 11 min 58 s: 2 of 5 left, full in 35 min 58 s\n");
  check_answer(rlctl(ask("peek", "1")), 0,
               "would be allowed: 2 of 5 left of api#2, full in 35 min 58 s\n");
  CHECK(rlctl({"--json", "peek", name, "api", "k", "--cost", "3"})
            .out.find(R"("wait_ns":0,"policy":"api#2"})") != std::string::npos);
  const Ran never = rlctl(ask("acquire", "4"));
  CHECK(never.exit_code == 1);
  CHECK(never.err.find("policy \"api\" and can never pass; ask for at most 3") != never.err.npos);
  check_answer(rlctl({"show", name, "api", "k"}), 0,
               "policy  key  allowed  denied  remaining  limit      full in  state  policy limit\n"
               "api     k          1       2          3      3          now  idle   2/s burst=3\n"
               "api#2   k          1       1          2      5  35 min 58 s  live   5/h\n");
  check_answer(rlctl({"reset", name, "api", "k"}), 0, "forgot what the key had consumed\n");
  check_answer(rlctl({"reset", name, "api", "k"}), 0, "the key had consumed nothing\n");
  check_answer(rlctl(ask("peek", "1")), 0, "would be allowed: 3 of 3 left of api, full now\n");
}

TEST_CASE("policy_list_aligns_its_columns") {
  const Made segment;
  segment.policy("api", "100/s burst=200");
  segment.policy("a-longer-name", "3/d when_full=deny");
  check_answer(rlctl({"policy", "list", segment.name()}), 0,
               "policy         id  limit  interval  policy limit\n"
               "api             1    200     10 ms  100/s burst=200\n"
               "a-longer-name   2      3       8 h  3/d when_full=deny\n");
  Ran ran = rlctl({"policy", "list", segment.name(), "--json"});
  ran.out = segment.masked(ran.out);
  check_answer(ran, 0,
               R"({"policy":"api","id":1,"policy_limit":"100/s burst=200","limit":200,)"
               R"("interval_ns":10000000,"when_full":"evict","created":"TIME","creator_uid":N})"
               "\n"
               R"({"policy":"a-longer-name","id":2,"policy_limit":"3/d when_full=deny","limit":3,)"
               R"("interval_ns":28800000000000,"when_full":"deny","created":"TIME",)"
               R"("creator_uid":N})"
               "\n");
}

TEST_CASE("acquire_exits_1_when_denied_and_says_when_to_come_back") {
  const Made segment;
  segment.policy("api", "2/s burst=3");
  const Words acquire{"acquire", segment.name(), "api", "user:42"};
  const Words acquire_json{"--json", "acquire", segment.name(), "api", "user:42"};
  check_answer(rlctl(acquire), 0, "allowed: 2 of 3 left, full in 500 ms\n");
  check_answer(rlctl(acquire_json), 0,
               R"({"allowed":true,"reason":"ok","limit":3,"remaining":1,"retry_after_ns":0,)"
               "\"reset_after_ns\":1000000000,\"wait_ns\":0}\n");
  check_answer(rlctl({"acquire", segment.name(), "api", "user:42", "--cost", "2"}), 1,
               "denied, come back in 500 ms: 1 of 3 left, full in 1 s\n");
  check_answer(rlctl(acquire), 0, "allowed: 0 of 3 left, full in 1.5 s\n");
  check_answer(rlctl(acquire_json), 1,
               R"({"allowed":false,"reason":"limited","limit":3,"remaining":0,)"
               R"("retry_after_ns":500000000,"reset_after_ns":1500000000,"wait_ns":0})"
               "\n");
  REQUIRE(rlctl({"clock", segment.name(), "--advance", "500ms"}).exit_code == 0);
  check_answer(rlctl(acquire), 0, "allowed: 0 of 3 left, full in 1.5 s\n");
}

TEST_CASE("a_limit_that_is_refused_makes_nothing") {
  const Made segment;
  segment.policy("api", "100/s");
  segment.policy("up", "concurrency 2");
  check_error(rlctl({"policy", "set", segment.name(), "api", "50/s, concurrency 7"}),
              "a concurrency limit gives permits and takes no calls; ");
  check_error(rlctl({"policy", "set", segment.name(), "up", "5/s, 100/h"}),
              "policy \"up\" is concurrency 2, and cannot become 5/s while programs ask for it");
  CHECK(Segment::open(segment.name()).policies().size() == 2);
}

TEST_CASE("the_name_of_a_list_stands_for_all_of_its_limits_in_list_too") {
  const Made segment;
  segment.policy("s", "5/s, 9/h");
  segment.policy("sl", "5/s");
  CHECK(rlctl({"acquire", segment.name(), "s", "k"}).exit_code == 0);
  CHECK(rlctl({"acquire", segment.name(), "sl", "k"}).exit_code == 0);
  const std::string rows = rlctl({"list", segment.name(), "--policy", "s"}).out;
  CHECK(std::count(rows.begin(), rows.end(), '\n') == 3);
  CHECK(rows.find("\ns#2 ") != rows.npos);
}

TEST_CASE("acquire_takes_a_permit_and_gives_it_back_and_list_says_who_has_one") {
  const Made segment;
  segment.policy("up", "concurrency 1 lease=1m");
  const Words acquire{"acquire", segment.name(), "up", "user:42"};
  check_answer(rlctl(acquire), 0,
               "took a permit, one of 1, for up to 1 min; it is given back now\n");
  CHECK(rlctl(acquire).exit_code == 0);
  check_error(rlctl({"acquire", segment.name(), "up", "user:42", "--cost", "2"}), "no cost");
  check_answer(rlctl({"peek", segment.name(), "up", "user:42"}), 0,
               "would be allowed: 1 of 1 left, full now\n");

  Limiter limiter = Segment::open(segment.name()).limiter("up");
  const Permit permit = limiter.permit("user:42");
  REQUIRE(permit);
  const Ran denied = rlctl(acquire);
  CHECK(denied.exit_code == 1);
  CHECK(denied.out.starts_with("denied, come back in 1 min 1 s: 0 of 1 left"));
  CHECK(rlctl({"--json", "acquire", segment.name(), "up", "user:42"})
            .out.starts_with(R"({"allowed":false,"reason":"limited","limit":1,"remaining":0,)"));
  CHECK(rlctl({"peek", segment.name(), "up", "user:42"}).exit_code == 1);
  const Ran shown = rlctl({"--json", "show", segment.name(), "up", "user:42"});
  CHECK(shown.out.find(R"("remaining":0,"limit":1,)") != shown.out.npos);
  CHECK(shown.out.find(R"("idle":false)") != shown.out.npos);
  const std::string pid = std::to_string(::getpid());
  const std::string list = rlctl({"list", segment.name()}).out;
  CHECK(list.find("live permit of process " + pid + " ") != list.npos);
  CHECK(list.find("live hint ") != list.npos);
  const std::string json = rlctl({"--json", "list", segment.name()}).out;
  CHECK(json.find(R"("idle":false,"part":"permit","holder_pid":)" + pid) != json.npos);

  CHECK(rlctl({"reset", segment.name(), "--all", "--force"}).exit_code == 0);
  check_error(rlctl({"reset", segment.name(), "up", "user:42"}), "out until they are given back");
  check_error(rlctl({"peek", segment.name(), "up", "user:42", "--cost", "2"}), "no cost");
  CHECK(permit.holds());
  CHECK(rlctl(acquire).exit_code == 1);
}

TEST_CASE("a_cost_above_the_burst_exits_1_with_a_sentence_and_null") {
  const Made segment;
  segment.policy("api", "2/s burst=3");
  for (const char* verb : {"acquire", "peek"}) {
    const Ran ran = rlctl({verb, segment.name(), "api", "k", "--cost", "4", "--json"});
    CHECK(ran.exit_code == 1);
    CHECK(ran.out ==
          R"({"allowed":false,"reason":"never","limit":3,"remaining":3,"retry_after_ns":null,)"
          "\"reset_after_ns\":0,\"wait_ns\":0}\n");
    CHECK(ran.err ==
          "rlctl: a cost of 4 is above the most that may pass at once under policy \"api\" and can "
          "never pass; ask for at "
          "most 3\n");
  }
  CHECK(rlctl({"acquire", segment.name(), "api", "k", "--cost", "4"}).out ==
        "denied (never): 3 of 3 left, full now\n");
}

TEST_CASE("peek_says_what_acquire_would_answer_and_charges_nothing") {
  const Made segment;
  segment.policy("api", "1/s");
  const Words peek{"peek", segment.name(), "api", "k"};
  for (int i = 0; i < 3; ++i)
    check_answer(rlctl(peek), 0, "would be allowed: 1 of 1 left, full now\n");
  REQUIRE(rlctl({"acquire", segment.name(), "api", "k"}).exit_code == 0);
  check_answer(rlctl(peek), 1, "would be denied, come back in 1 s: 0 of 1 left, full in 1 s\n");
  CHECK(rlctl({"peek", segment.name(), "api", "k", "--json"}).out ==
        rlctl({"acquire", segment.name(), "api", "k", "--json"}).out);
}

TEST_CASE("show_of_a_key_without_a_slot_is_idle") {
  const Made segment;
  segment.policy("api", "1/s burst=2");
  check_answer(rlctl({"show", segment.name(), "api", "k", "--json"}), 0,
               R"({"policy":"api","key":"k","allowed_count":0,"denied_count":0,"remaining":2,)"
               R"("limit":2,"policy_limit":"1/s burst=2","reset_after_ns":0,"idle":true})"
               "\n");
  REQUIRE(rlctl({"acquire", segment.name(), "api", "k"}).exit_code == 0);
  check_answer(rlctl({"show", segment.name(), "api", "k"}), 0,
               "policy  key  allowed  denied  remaining  limit  full in  state  policy limit\n"
               "api     k          1       0          1      2      1 s  live   1/s burst=2\n");
  REQUIRE(rlctl({"clock", segment.name(), "--advance", "1s"}).exit_code == 0);
  check_answer(rlctl({"show", segment.name(), "api", "k"}), 0,
               "policy  key  allowed  denied  remaining  limit  full in  state  policy limit\n"
               "api     k          1       0          2      2      now  idle   1/s burst=2\n");
}

/// user:1 with 3 allowed and 1 denied, user:2 with 2 allowed, host with 1 under another policy.
struct ThreeKeys : Made {
  ThreeKeys() {
    policy("api", "1/s burst=3");
    policy("login", "1/h burst=5");
    for (const char* key : {"user:1", "user:1", "user:1", "user:1", "user:2", "user:2"})
      REQUIRE(rlctl({"acquire", name(), "api", key}).exit_code < 2);
    REQUIRE(rlctl({"acquire", name(), "login", "host"}).exit_code == 0);
  }
};

/// The keys of a listing, in its order.
std::string keys_in(const std::string& json_lines) {
  std::string keys;
  constexpr std::string_view kBefore = "\"key\":\"";
  for (std::size_t at = 0; (at = json_lines.find(kBefore, at)) != json_lines.npos;) {
    at += kBefore.size();
    keys += json_lines.substr(at, json_lines.find('"', at) - at) + ' ';
  }
  return keys;
}

TEST_CASE("list_shows_a_row_for_every_key") {
  const ThreeKeys segment;
  check_answer(rlctl({"list", segment.name(), "--sort", "key"}), 0,
               "policy  key     allowed  denied  remaining  limit  full in  state  policy limit\n"
               "login   host          1       0          4      5      1 h  live   1/h burst=5\n"
               "api     user:1        3       1          0      3      3 s  live   1/s burst=3\n"
               "api     user:2        2       0          1      3      2 s  live   1/s burst=3\n");
  check_answer(rlctl({"list", segment.name(), "--policy", "api", "--match", "*1", "--json"}), 0,
               R"({"policy":"api","key":"user:1","allowed_count":3,"denied_count":1,)"
               R"("remaining":0,"limit":3,"policy_limit":"1/s burst=3",)"
               R"("reset_after_ns":3000000000,"idle":false})"
               "\n");
}

TEST_CASE("list_heavy_shows_who_was_denied_most") {
  const Made segment;
  segment.policy("api", "1/h");
  segment.policy("web", "1/h");
  check_answer(rlctl({"list", segment.name(), "--heavy", "3"}), 0,
               "policy  key  denied  allowed\n");
  const auto ask = [&](const char* policy, const std::string& key, int times) {
    for (int i = 0; i < times; ++i) (void)rlctl({"acquire", segment.name(), policy, key});
  };
  ask("api", "user:1", 3);
  ask("web", "user:1", 5);
  ask("api", "bell\a-and-more-than-31-bytes-of-text", 2);
  ask("api", "calm", 1);
  check_answer(rlctl({"list", segment.name(), "--heavy", "10"}), 0,
               "policy  key                            denied  allowed\n"
               "web     user:1                              4        1\n"
               "api     user:1                              2        1\n"
               "api     bell\\x07-and-more-than-31-...       1        1\n");
  check_answer(rlctl({"list", segment.name(), "--heavy", "2", "--json"}), 0,
               R"({"policy":"web","key":"user:1","denied_count":4,"allowed_count":1})"
               "\n"
               R"({"policy":"api","key":"user:1","denied_count":2,"allowed_count":1})"
               "\n");
  check_error(rlctl({"list", segment.name(), "--heavy", "0"}), "at least 1");
  check_error(rlctl({"list", segment.name(), "--heavy", "3", "--rows", "2"}), "--rows");
}

TEST_CASE("list_sorts_filters_and_cuts") {
  const ThreeKeys segment;
  const auto listed = [&](std::initializer_list<std::string> options) {
    Words words{"list", segment.name(), "--json"};
    words.insert(words.end(), options);
    const Ran ran = rlctl(words);
    CHECK(ran.exit_code == 0);
    return keys_in(ran.out);
  };
  CHECK(listed({"--sort", "key"}) == "host user:1 user:2 ");
  CHECK(listed({"--sort", "allowed"}) == "user:1 user:2 host ");
  CHECK(listed({"--sort", "denied"}) == "user:1 host user:2 ");
  CHECK(listed({"--sort", "remaining"}) == "user:1 user:2 host ");
  CHECK(listed({"--sort", "allowed", "--rows", "2"}) == "user:1 user:2 ");
  CHECK(listed({"--sort", "key", "--match", "user:?"}) == "user:1 user:2 ");
  CHECK(listed({"--sort", "key", "--policy", "login"}) == "host ");
  CHECK(listed({"--match", "nobody"}) == "");
  const std::string one = listed({"--rows", "1"});
  CHECK(std::count(one.begin(), one.end(), ' ') == 1);
}

TEST_CASE("any_bytes_are_a_key_and_are_shown_without_doubt") {
  const Made segment;
  segment.policy("api", "1/s");
  const std::string bytes("\x1b[31m\xff\\\0\n\xc3\xa9\xe2\x80\xae", 14);
  const std::string shown = R"(\x1b[31m\xff\\\x00\x0a)"
                            "\xc3\xa9"
                            R"(\xe2\x80\xae)";
  check_answer(rlctl({"acquire", segment.name(), "api", "--key-file", "-"}, bytes), 0,
               "allowed: 0 of 1 left, full in 1 s\n");
  const Folder folder;
  std::ofstream(folder.at("key"), std::ios::binary) << bytes;
  CHECK(rlctl({"peek", segment.name(), "api", "--key-file", folder.at("key")}).exit_code == 1);
  const Ran text = rlctl({"show", segment.name(), "api", "--key-file", folder.at("key")});
  CHECK(text.out.find("\napi     " + shown + "  ") != text.out.npos);
  const Ran json = rlctl({"list", segment.name(), "--json"});
  std::string quoted;
  for (const char c : shown) quoted += std::string(c == '\\' ? 2 : 1, c);
  CHECK(json.out.find("\"key\":\"" + quoted + "\",") != json.out.npos);
  check_answer(rlctl({"reset", segment.name(), "api", "--key-file", "-"}, bytes), 0,
               "forgot what the key had consumed\n");
}

TEST_CASE("columns_stay_aligned_beside_wide_characters") {
  const Made segment;
  segment.policy("api", "1/s");
  for (const char* key : {"\xe6\x97\xa5\xe6\x9c\xac", "caf\xc3\xa9"})  // 2 x 2 columns, 4 columns
    REQUIRE(rlctl({"acquire", segment.name(), "api", key}).exit_code == 0);
  check_answer(
      rlctl({"list", segment.name(), "--sort", "key"}), 0,
      "policy  key   allowed  denied  remaining  limit  full in  state  policy limit\n"
      "api     caf\xc3\xa9        1       0          0      1      1 s  live   1/s\n"
      "api     \xe6\x97\xa5\xe6\x9c\xac        1       0          0      1      1 s  live   1/s\n");
}

TEST_CASE("keys_that_look_like_something_else_are_keys") {
  const Made segment;
  segment.policy("api", "1/s");
  for (const char* key : {"[a,b]", "{}", "list", "-5", "::1", "a b", "%%"}) {
    CAPTURE(key);
    CHECK(rlctl({"acquire", segment.name(), "api", key}).exit_code == 0);
    CHECK(rlctl({"acquire", segment.name(), "api", key}).exit_code == 1);
  }
  CHECK(rlctl({"acquire", segment.name(), "api", "--", "--json"}).exit_code == 0);
  CHECK(rlctl({"list", segment.name(), "--match", "--js*"}).out.find("\napi     --json  ") !=
        std::string::npos);
}

TEST_CASE("a_long_key_is_hashed_whole_and_its_label_is_cut") {
  const Made segment;
  segment.policy("api", "1/s");
  const std::string key(100'000, 'x');
  CHECK(rlctl({"acquire", segment.name(), "api", "--key-file", "-"}, key).exit_code == 0);
  CHECK(rlctl({"acquire", segment.name(), "api", "--key-file", "-"}, key + "y").exit_code == 0);
  CHECK(rlctl({"acquire", segment.name(), "api", "--key-file", "-"}, key).exit_code == 1);
  const std::string label(23, 'x');
  for (const char* last : {"", "y", "z"}) {  // z has no slot
    const Ran json =
        rlctl({"show", segment.name(), "api", "--key-file", "-", "--json"}, key + last);
    CHECK(json.out.find("\"key\":\"" + label + "\",\"key_truncated\":true,") != json.out.npos);
  }
  const Ran text = rlctl({"list", segment.name()});
  CHECK(text.out.find("\napi     " + label + "...  ") != text.out.npos);
}

TEST_CASE("without_labels_keys_are_null") {
  const Made segment({"--labels", "off"});
  segment.policy("api", "1/s");
  REQUIRE(rlctl({"acquire", segment.name(), "api", "secret"}).exit_code == 0);
  const std::string rest = R"(,"allowed_count":1,"denied_count":0,"remaining":0,"limit":1,)"
                           R"("policy_limit":"1/s","reset_after_ns":1000000000,"idle":false})"
                           "\n";
  check_answer(rlctl({"list", segment.name(), "--json"}), 0,
               R"({"policy":"api","key":null)" + rest);
  check_answer(rlctl({"show", segment.name(), "api", "secret", "--json"}), 0,
               R"({"policy":"api","key":null)" + rest);
  CHECK(rlctl({"show", segment.name(), "api", "another", "--json"})
            .out.starts_with(R"({"policy":"api","key":null,"allowed_count":0,)"));
  CHECK(rlctl({"list", segment.name()}).out.find("secret") == std::string::npos);
  check_error(rlctl({"list", segment.name(), "--match", "s*"}), "keeps no labels");
}

TEST_CASE("reset_forgets_one_key_or_all") {
  const ThreeKeys segment;
  check_answer(rlctl({"reset", segment.name(), "api", "user:1"}), 0,
               "forgot what the key had consumed\n");
  check_answer(rlctl({"reset", segment.name(), "api", "user:1", "--json"}), 0,
               "{\"forgotten\":0}\n");
  CHECK(rlctl({"peek", segment.name(), "api", "user:1"}).exit_code == 0);
  check_answer(rlctl({"reset", segment.name(), "--all"}), 0, "forgot what 2 keys had consumed\n");
  check_answer(rlctl({"list", segment.name(), "--json"}), 0, "");
}

TEST_CASE("reset_all_and_rm_want_force_while_processes_are_attached") {
  Scratch segment({.keys = 100, .clock = ClockSource::manual});
  Limiter limiter = segment->limiter("api", Limit::per_second(1));
  REQUIRE(limiter.try_acquire("k"));
  check_error(rlctl({"reset", segment.name(), "--all"}), "1 process is attached");
  CHECK_FALSE(limiter.peek("k"));
  check_answer(rlctl({"reset", segment.name(), "--all", "--force", "--json"}), 0,
               "{\"forgotten\":1}\n");
  CHECK(limiter.peek("k"));
  {
    const Segment second = Segment::open(segment.name());
    check_error(rlctl({"rm", segment.name()}), "2 processes are attached");
  }
  check_answer(rlctl({"rm", segment.name(), "--force", "--json"}), 0,
               "{\"name\":\"" + segment.name() + "\",\"removed\":true,\"attached\":1}\n");
  CHECK_FALSE(std::filesystem::exists(segment.path()));
}

TEST_CASE("rm_by_force_says_what_becomes_of_those_attached") {
  Scratch segment({.keys = 100});
  Limiter limiter = segment->limiter("api", Limit::per_hour(1));
  CHECK(limiter.try_acquire("k"));
  check_answer(rlctl({"rm", segment.name(), "--force"}), 0,
               "removed " + segment.name() +
                   "; 1 process is still attached, and goes on with what is there until the next "
                   "segment of that name\n");
  CHECK_FALSE(limiter.try_acquire("k"));
}

TEST_CASE("rm_removes_what_nobody_uses") {
  const Made segment;
  check_answer(rlctl({"rm", segment.name()}), 0, "removed " + segment.name() + "\n");
  check_error(rlctl({"rm", segment.name()}), "no such segment");
}

TEST_CASE("clock_tells_and_moves_a_manual_clock_only") {
  const Made segment;
  check_answer(rlctl({"clock", segment.name()}), 0, "0 s (0 ns)\n");
  check_answer(rlctl({"clock", segment.name(), "--advance", "90s"}), 0,
               "1 min 30 s (90000000000 ns)\n");
  check_answer(rlctl({"clock", segment.name(), "--advance", "1ns", "--json"}), 0,
               "{\"name\":\"" + segment.name() + "\",\"now_ns\":90000000001}\n");
  const Scratch other({.keys = 100, .clock = ClockSource::boottime});
  CHECK(rlctl({"clock", other.name()}).exit_code == 0);
  check_error(rlctl({"clock", other.name(), "--advance", "1s"}), "its clock is not manual");
}

TEST_CASE("A_the_time_of_a_new_segment_begins_when_it_says_so_that_windows_keep_to_the_clock") {
  // Made by a process of its own, which measures its CPU's clock first. An interruption makes a try
  // worse, never better.
  std::chrono::nanoseconds least = std::chrono::hours(1);
  for (int tries = 0; tries < 10; ++tries) {
    const std::string name = unique_name();
    const RemoveAtEnd cleanup(name);
    REQUIRE(rlctl({"create", name, "--keys", "100"}).exit_code == 0);
    const Segment segment = Segment::open(name);
    const auto said = segment.info().created + segment.now().time_since_epoch();
    const auto off = std::chrono::system_clock::now() - said;
    least = std::min(least, std::chrono::nanoseconds(off < off.zero() ? -off : off));
  }
  CHECK(least < std::chrono::milliseconds(3));
}

TEST_CASE("version_and_help_exit_0") {
  check_answer(rlctl({"--version"}), 0, "rlctl " RL_VERSION "\n");
  check_answer(rlctl({"--version", "--json"}), 0, "{\"version\":\"" RL_VERSION "\"}\n");
  for (const Words& words : {Words{"--help"}, Words{"list", "--help"}, Words{"policy", "-h"}}) {
    const Ran ran = rlctl(words);
    CHECK(ran.exit_code == 0);
    CHECK(ran.out.find("Usage: rlctl ") != ran.out.npos);
    CHECK(ran.err == "");
  }
}

}  // namespace
}  // namespace rl::test
