// rlctl apply and export: a file of limits and a segment become one another.
#include <chrono>
#include <ctime>

#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

constexpr std::string_view kFile = R"([segment]
keys = 100
clock = "auto"

[policy.api]
limit = "100/s burst=200"

[policy.api.override]
"user:vip" = "1000/s"

[policy.api.allow]
"10.0.0.1" = "monitoring"

[policy.api.ban]
"203.0.113.9" = { reason = "scraper" }
"203.0.113.10" = { until = 2085-12-01T03:00:00Z, reason = "for a while" }

[policy.search]
limit = "5/s burst=10, 1000/d"
)";

constexpr std::string_view kAllChanges =
    "+ policy api: 100/s burst=200\n"
    "+ override api user:vip: 1k/s\n"
    "+ allow api 10.0.0.1: monitoring\n"
    "+ ban api 203.0.113.9: for ever (scraper)\n"
    "+ ban api 203.0.113.10: until 2085-12-01T03:00:00Z (for a while)\n"
    "+ policy search: 5/s burst=10\n"
    "+ policy search#2: 1k/d\n";

/// A segment's name that is free, and removed at the end.
struct Name {
  std::string text = unique_name();
  RemoveAtEnd end{text};
};

Ran apply_file(const std::string& segment, std::string_view file, Words more = {}) {
  Words words{"apply", segment, "-"};
  words.insert(words.end(), more.begin(), more.end());
  return rlctl(words, file);
}

std::string exported(const std::string& segment) {
  const Ran ran = rlctl({"export", segment});
  REQUIRE(ran.exit_code == 0);
  return ran.out;
}

TEST_CASE("apply_makes_what_the_file_says_and_a_second_time_changes_nothing") {
  const Name name;
  check_answer(apply_file(name.text, kFile), 0,
               "+ segment " + name.text + "\n" + std::string(kAllChanges) + "8 changes\n");
  check_answer(apply_file(name.text, kFile), 0, "nothing to change\n");
  check_answer(apply_file(name.text, kFile, {"--json"}), 0,
               "{\"created\":false,\"applied\":true,\"changes\":[]}\n");
  CHECK(rlctl({"acquire", name.text, "api", "203.0.113.9"}).exit_code == 1);
  CHECK(rlctl({"acquire", name.text, "api", "203.0.113.10"}).exit_code == 1);
  CHECK(rlctl({"acquire", name.text, "api", "10.0.0.1", "--cost", "5000"}).exit_code == 0);
  CHECK(rlctl({"acquire", name.text, "api", "user:vip", "--cost", "999"}).exit_code == 0);
  CHECK(rlctl({"acquire", name.text, "search", "a", "--cost", "11"}).exit_code == 1);
}

TEST_CASE("apply_tells_the_difference_and_makes_none_of_it_when_asked_so") {
  const Name name;
  check_answer(apply_file(name.text, kFile, {"--dry-run"}), 0,
               "+ segment " + name.text + "\n" + std::string(kAllChanges) +
                   "8 changes, none of them made\n");
  CHECK(apply_file(name.text, kFile, {"--dry-run", "--json"})
            .out.starts_with(R"({"creates":true,"applied":false,"changes":[{)"));
  check_error(rlctl({"info", name.text}), "no such segment");
}

TEST_CASE("what_is_exported_is_to_be_had_as_json") {
  const Name name;
  REQUIRE(apply_file(name.text,
                     "[policy.api]\nlimit = \"10/h\"\n[policy.api.allow]\n"
                     "\"a\\u0001\\\"b\" = \"why\"\n[policy.api.ban]\n"
                     "bot = { reason = \"x\", until = 2090-01-01T00:00:00Z }\n")
              .exit_code == 0);
  const Ran ran = rlctl({"export", name.text, "--json"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.starts_with(R"({"policy":{"api":{"allow":{"a\u0001\"b":"why"},"ban":{"bot":{)"
                            R"("reason":"x","until":"2090-01-01T00:00:0)"));
  CHECK(ran.out.find(R"("limit":"10/h")") != ran.out.npos);
  CHECK(ran.out.find(R"("segment":{)") != ran.out.npos);
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 1);
}

TEST_CASE("apply_changes_a_limit_while_it_is_in_use") {
  const Name name;
  REQUIRE(apply_file(name.text, "[segment]\nclock = \"manual\"\n[policy.api]\nlimit = \"10/h\"\n")
              .exit_code == 0);
  REQUIRE(rlctl({"acquire", name.text, "api", "k", "--cost", "4"}).exit_code == 0);
  check_answer(apply_file(name.text, "[policy.api]\nlimit = \"20/h\"\nspent = \"scale\"\n"), 0,
               "~ policy api: 10/h -> 20/h\n1 change\n");
  check_answer(rlctl({"peek", name.text, "api", "k", "--cost", "12"}), 0,
               rlctl({"peek", name.text, "api", "k", "--cost", "12"}).out);
  CHECK(rlctl({"peek", name.text, "api", "k", "--cost", "13"}).exit_code == 1);
}

TEST_CASE("what_is_exported_is_applied_again_as_no_change_here_and_as_the_same_there") {
  const Name name;
  const Name other;
  REQUIRE(apply_file(name.text, kFile).exit_code == 0);
  const std::string file = exported(name.text);
  check_answer(apply_file(name.text, file), 0, "nothing to change\n");
  REQUIRE(apply_file(other.text, file).exit_code == 0);
  CHECK(exported(other.text) == file);
}

TEST_CASE("prune_takes_away_what_the_file_does_not_name") {
  const Name name;
  REQUIRE(apply_file(name.text, kFile).exit_code == 0);
  const std::string_view less = "[policy.api]\nlimit = \"100/s burst=200\"\n";
  check_answer(apply_file(name.text, less), 0, "nothing to change\n");
  const Ran ran = apply_file(name.text, less, {"--prune"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  for (const char* part :
       {"- allow api 10.0.0.1", "- ban api 203.0.113.9", "- ban api 203.0.113.10",
        "- override api user:vip: 1k/s", "- policy search: 5/s burst=10", "- policy search#2: 1k/d",
        "6 changes"}) {
    CAPTURE(ran.out);
    CHECK(ran.out.find(part) != ran.out.npos);
  }
  CHECK(exported(name.text).ends_with("[policy.\"api\"]\nlimit = \"100/s burst=200\"\n"));
  check_answer(apply_file(name.text, less, {"--prune"}), 0, "nothing to change\n");
}

TEST_CASE("an_error_in_any_line_is_named_and_nothing_is_changed") {
  const std::string long_name = "[policy." + std::string(62, 'a') + "]\nlimit = \"1/s, 2/m\"\n";
  struct {
    std::string_view file;
    std::string_view says;
  } const wrong[] = {
      {"[policy.s]\nlimit = \"1/s, concurrency 5\"\n",
       ":2: a concurrency limit gives permits and takes no calls"},
      {long_name, ":2: the policy's name has 64 bytes"},
      {"[policy.api]\nlimit = \"100/s\n", ":2: "},
      {"[policy.api]\nlimit = \"100/parsec\"\n", ":2: "},
      {"[policy.api]\nlimit = 100\n", ":2: limit has to be a text in quotes"},
      {"[policy.api]\nlimits = \"100/s\"\n", ":2: \"limits\" is not known here; there are limit,"},
      {"[policy.api]\nspent = \"keep\"\n", ":1: policy api has no limit"},
      {"[policy.api]\nlimit = \"1/s\"\nspent = \"some\"\n",
       ":3: spent \"some\": give one of keep, scale, reset"},
      {"[policies.api]\nlimit = \"1/s\"\n", ":1: \"policies\" is not known here"},
      {"policy = 3\n", ":1: policy has to be a table"},
      {"[segment]\nkeys = 0\n", ":2: keys has to be a whole number"},
      {"[segment]\nmode = \"rw\"\n", ":2: mode"},
      {"[segment]\nlabels = \"yes\"\n", ":2: labels has to be true or false"},
      {"[segment]\nclock = \"sun\"\n", ":2: clock \"sun\": give one of auto, tsc"},
      {"[segment]\npolicies = 70000\n", ":2: policies is at most 65535"},
      {"[policy.\"a b\"]\nlimit = \"1/s\"\n", ":1: the policy's name has a space"},
      {"[policy.api]\nlimit = \"1/s\"\n[policy.api.override]\n\"\" = \"1/s\"\n",
       ":4: the key is empty"},
      {"[policy.api]\nlimit = \"1/s\"\n[policy.api.override]\na = \"concurrency 2\"\n",
       ":4: an override of calls cannot be"},
      {"[policy.s]\nlimit = \"1/s, 5/h\"\n[policy.s.override]\nk = \"2/s\"\n",
       ":4: policy s is 1/s, 5/h, and 1 limit is given: 2/s; give one for each, with commas"},
      {"[policy.s]\nlimit = \"1/s\"\n[policy.s.override]\nk = \"2/s, 9/h\"\n",
       ":4: policy s is 1/s, and 2 limits are given: 2/s, 9/h"},
      {"[policy.up]\nlimit = \"concurrency 2\"\n[policy.up.allow]\na = \"why\"\n",
       ":4: a concurrency limit has no overrides"},
      {"[policy.up]\nlimit = \"counter\"\n[policy.up.allow]\na = \"why\"\n",
       ":4: a counter has no overrides"},
      {"[policy.s]\nlimit = \"1/s, counter\"\n", ":2: a counter only counts and takes no calls"},
      {"[policy.api]\nlimit = \"1/s\"\n[policy.api.ban]\na = \"why\"\n",
       ":4: a ban has to be a table"},
      {"[policy.api]\nlimit = \"1/s\"\n[policy.api.ban]\na = { until = 2125-01-01 }\n",
       ":4: until has to be a time with its offset"},
      {"[policy.api]\nlimit = \"1/s\"\n[policy.api.ban]\na = { until = 2225-01-01T00:00:00Z }\n",
       ":4: a ban lasts no longer than 73 years"},
      {"[policy.api]\nlimit = \"1/s\"\n[policy.api.ban]\na = { for = \"1h\" }\n",
       ":4: \"for\" is not known here; there are until, reason"},
      {"[policy.api]\nlimit = \"1/s\"\n[policy.api.allow]\na = \"\"\n[policy.api.ban]\na = {}\n",
       ":6: key \"a\" is both allowed and banned"},
      {"[policy.api]\nlimit = \"1/s, 5/h\"\n[policy.\"api#2\"]\nlimit = \"1/s\"\n",
       ":3: policy api#2 is made by line 1, too"},
  };
  const Name name;
  REQUIRE(apply_file(name.text, kFile).exit_code == 0);
  const std::string before = exported(name.text);
  for (const auto& [file, says] : wrong) {
    CAPTURE(file);
    // A change that is right stands before it.
    const std::string whole = "[policy.first]\nlimit = \"7/h\"\n";
    check_error(apply_file(name.text, file), says);
    check_error(apply_file(name.text, file), "nothing was changed");
    check_error(apply_file(name.text, std::string(file) + whole), "nothing was changed");
  }
  CHECK(exported(name.text) == before);
}

TEST_CASE("what_the_segment_refuses_is_refused_before_anything_is_changed") {
  const Name name;
  REQUIRE(
      apply_file(name.text, "[segment]\npolicies = 4\nkeys = 100\n[policy.api]\nlimit = \"1/s\"\n")
          .exit_code == 0);
  const std::string before = exported(name.text);
  check_error(
      apply_file(name.text,
                 "[policy.first]\nlimit = \"1/s\"\n[policy.api]\nlimit = \"concurrency 2\"\n"),
      "-:3: policy api is 1/s in the segment, and calls, permits and counts do not become each "
      "other");
  check_error(apply_file(name.text,
                         "[policy.a]\nlimit = \"1/s\"\n[policy.b]\nlimit = \"1/s\"\n"
                         "[policy.c]\nlimit = \"1/s\"\n[policy.d]\nlimit = \"1/s\"\n"),
              "this takes 4 policy entries, and 3 of 4 are left; nothing was changed");
  check_error(apply_file(name.text,
                         "[policy.first]\nlimit = \"1/s\"\n[policy.many]\n"
                         "limit = \"concurrency 4000\"\n[segment]\nkeys = 9000\n"),
              "-:3: policy many is concurrency 4k, and each permit takes the room of a key, of "
              "which the segment has 100; nothing was changed");
  CHECK(exported(name.text) == before);
  check_error(rlctl({"apply", name.text, "/no/such/file"}), "FILE /no/such/file: No such file");
  check_error(rlctl({"apply", name.text}), "FILE");
  check_error(rlctl({"export", "no-such-segment"}), "no such segment");
}

TEST_CASE("a_segment_is_not_made_that_would_have_no_room_for_what_the_file_says") {
  const Name name;
  const std::string policies = "[policy.a]\nlimit = \"1/s\"\n[policy.b]\nlimit = \"1/s, 5/h\"\n";
  const auto with_room_for = [&](int entries) {
    return policies + "[segment]\nkeys = 100\npolicies = " + std::to_string(entries) + "\n";
  };
  check_error(
      apply_file(name.text, with_room_for(2)),
      "-:7: the file takes 3 policy entries, and the segment would have room for 2; give it "
      "more with policies = in [segment]; nothing was changed");
  check_error(apply_file(name.text, with_room_for(2), {"--dry-run"}), "-:7: the file takes 3");
  check_error(
      apply_file(name.text, "[policy.up]\nlimit = \"concurrency 200\"\n[segment]\nkeys = 100\n"),
      "-:1: policy up is concurrency 200, and each permit takes the room of a key");
  check_error(rlctl({"info", name.text}), "no such segment");
  CHECK(apply_file(name.text, with_room_for(3)).exit_code == 0);
  CHECK(Segment::open_read_only(name.text).info().policies == 3);
}

TEST_CASE("a_ban_beyond_what_a_clock_can_hold_is_refused_with_its_line") {
  const Name name;
  for (const char* until : {"2200-01-01", "2262-05-01", "2400-01-01", "9999-12-31"}) {
    check_error(apply_file(name.text, std::string("[policy.api]\nlimit = \"1/s\"\n"
                                                  "[policy.api.ban]\nx = { until = ") +
                                          until + "T00:00:00Z }\n"),
                ":4: a ban lasts no longer than 73 years");
  }
  check_error(apply_file(name.text, "[segment]\nkeys = 99999999999999\n"), ":2: keys is at most");
}

TEST_CASE("what_a_change_ends_is_told_before_it_is_made") {
  const Name name;
  REQUIRE(apply_file(name.text, "[policy.api]\nlimit = \"9/h\"\n[policy.api.ban]\nk = {}\n")
              .exit_code == 0);
  REQUIRE(rlctl({"policy", "trial", name.text, "api", "5/h"}).exit_code == 0);
  const std::string file = "[policy.api]\nlimit = \"8/h\"\n[policy.api.allow]\nk = \"why\"\n";
  check_answer(apply_file(name.text, file), 0,
               "~ policy api: 9/h -> 8/h; no longer on trial: 5/h\n"
               "~ allow api k: banned for ever -> why\n2 changes\n");
}

TEST_CASE("a_ban_that_is_longer_than_the_files_stays_and_says_so_unless_it_is_pruned") {
  const Name name;
  const std::string policy = "[policy.api]\nlimit = \"9/h\"\n[policy.api.ban]\nk = ";
  REQUIRE(apply_file(name.text, policy + "{}\n").exit_code == 0);
  const std::string shorter = policy + "{ until = 2085-12-01T03:00:00Z }\n";
  const Ran ran = apply_file(name.text, shorter);
  CHECK(ran.exit_code == 0);
  CHECK(ran.out == "nothing to change\n");
  CHECK(ran.err ==
        "rlctl: ban api k: banned for ever in the segment, which is longer than in the file, and "
        "stays; --prune shortens it\n");
  check_answer(apply_file(name.text, shorter, {"--prune"}), 0,
               "~ ban api k: banned for ever -> until 2085-12-01T03:00:00Z\n1 change\n");
  check_answer(apply_file(name.text, shorter, {"--prune"}), 0, "nothing to change\n");
}

TEST_CASE("what_shares_a_policy_entry_is_counted_once_and_what_fits_is_not_refused") {
  std::string file =
      "[segment]\nkeys = 1000\npolicies = 10\n[policy.api]\nlimit = \"1/s\"\n"
      "[policy.bans]\nlimit = \"1/s ban_after=20/m ban=1h\"\n[policy.api.override]\n";
  for (int key = 0; key < 50; ++key) file += "o" + std::to_string(key) + " = \"9/s\"\n";
  file += "[policy.api.ban]\n";
  for (int key = 0; key < 50; ++key) file += "b" + std::to_string(key) + " = {}\n";
  file += "o1 = {}\n[policy.api.allow]\n";  // it comes back under its override: one entry more
  for (int key = 0; key < 50; ++key) file += "a" + std::to_string(key) + " = \"\"\n";
  file += "[policy.bans.ban]\nb = {}\n";  // had already: its limit bans for denials
  const Name name;
  CHECK(apply_file(name.text, file).err == "");
  // A limit; one that bans, with its conduct and its bans; an override; bans under the limit and
  // under the override; allowed keys.
  CHECK(Segment::open_read_only(name.text).info().policies == 8);
  check_answer(apply_file(name.text, file), 0, "nothing to change\n");
  CHECK(apply_file(name.text, "[policy.api.ban]\nx = {}\n[policy.api]\nlimit = \"2/s\"\n")
            .exit_code == 0);
  CHECK(Segment::open_read_only(name.text).info().policies == 9);
  check_error(
      apply_file(name.text, "[policy.api]\nlimit = \"3/s\"\n"),
      "this takes 1 policy entry, and 0 of 10 are left (and 1 kept for bans and allowed keys)");
}

TEST_CASE("what_is_pruned_makes_way_for_what_the_file_wants_of_the_same_key") {
  const Name name;
  const std::string policy = "[segment]\nkeys = 100\n[policy.api]\nlimit = \"1/s\"\n";
  REQUIRE(apply_file(name.text, policy + "[policy.api.allow]\nk = \"why\"\n").exit_code == 0);
  const std::string bans = policy + "[policy.api.ban]\nk = {}\n";
  check_error(apply_file(name.text, bans), "is on the allow-list of the segment");
  check_answer(apply_file(name.text, bans, {"--prune"}), 0,
               "- allow api k: allowed\n+ ban api k: for ever\n2 changes\n");
  check_answer(apply_file(name.text, bans, {"--prune"}), 0, "nothing to change\n");
}

TEST_CASE("the_longest_ban_of_a_file_is_the_longest_that_there_is") {
  const auto in = [](std::chrono::nanoseconds length) {
    const std::time_t at = std::chrono::system_clock::to_time_t(
        std::chrono::system_clock::now() +
        std::chrono::duration_cast<std::chrono::system_clock::duration>(length));
    char text[32];
    std::tm utc{};
    (void)std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", ::gmtime_r(&at, &utc));
    return "[segment]\nkeys = 100\n[policy.api]\nlimit = \"1/s\"\n[policy.api.ban]\nk = { until "
           "= " +
           std::string(text) + " }\n";
  };
  const Name name;
  check_error(apply_file(name.text, in(kBanMax + std::chrono::hours(1))),
              "-:6: a ban lasts no longer than 73 years");
  CHECK(apply_file(name.text, in(kBanMax - std::chrono::hours(1))).exit_code == 0);
}

TEST_CASE("what_a_file_says_of_a_key_holds_for_each_limit_of_a_list_and_comes_back_by_export") {
  constexpr std::string_view kList =
      "[segment]\nkeys = 100\n[policy.s]\nlimit = \"5/s, 1000/d\"\n[policy.s.override]\n"
      "vip = \"50/s, 9000/d\"\n[policy.s.allow]\nprobe = \"why\"\n[policy.s.ban]\nbot = {}\n";
  const Name name;
  const Name other;
  check_answer(apply_file(name.text, kList), 0,
               "+ segment " + name.text +
                   "\n+ policy s: 5/s\n+ policy s#2: 1k/d\n+ override s vip: 50/s\n"
                   "+ override s#2 vip: 9k/d\n+ allow s probe: why\n+ allow s#2 probe: why\n"
                   "+ ban s bot: for ever\n+ ban s#2 bot: for ever\n9 changes\n");
  CHECK(rlctl({"acquire", name.text, "s", "probe", "--cost", "5000"}).exit_code == 0);
  CHECK(rlctl({"acquire", name.text, "s", "vip", "--cost", "50"}).exit_code == 0);
  check_answer(apply_file(name.text, kList, {"--prune"}), 0, "nothing to change\n");
  check_answer(apply_file(name.text, exported(name.text), {"--prune"}), 0, "nothing to change\n");
  // What holds for one limit only comes back, too, as each has a table of its own there.
  REQUIRE(rlctl({"disallow", name.text, "s#2", "probe"}).exit_code == 0);
  REQUIRE(rlctl({"override", "set", name.text, "s#2", "vip", "8/d"}).exit_code == 0);
  REQUIRE(apply_file(other.text, exported(name.text)).exit_code == 0);
  CHECK(exported(other.text) == exported(name.text));
  check_answer(apply_file(name.text, kList, {"--prune"}), 0,
               "~ override s#2 vip: 8/d -> 9k/d\n+ allow s#2 probe: why\n2 changes\n");
}

TEST_CASE("a_list_is_made_shorter_from_its_end_and_what_is_no_part_of_it_stays") {
  const Name name;
  const auto with = [](const char* limits) {
    return std::string("[segment]\nkeys = 100\n[policy.s]\nlimit = \"") + limits + "\"\n";
  };
  REQUIRE(apply_file(name.text, with("1/s, 2/m, 3/h, 4/d")).exit_code == 0);
  REQUIRE(rlctl({"policy", "set", name.text, "s#5", "concurrency 3"}).exit_code == 0);
  check_answer(apply_file(name.text, with("1/s, 2/m")), 0,
               "- policy s#4: 4/d\n- policy s#3: 3/h\n2 changes\n");
  CHECK(exported(name.text).find("[policy.\"s#5\"]") != std::string::npos);
}

TEST_CASE("keys_of_any_text_survive_and_others_are_left_out_loudly") {
  const Name name;
  REQUIRE(apply_file(name.text,
                     "[segment]\nclock = \"manual\"\n[policy.api]\nlimit = \"1/h\"\n"
                     "[policy.api.override]\n\"a \\\"quoted\\\" \\\\ \\u0007 \\u00e9\" = \"2/h\"\n")
              .exit_code == 0);
  const std::string file = exported(name.text);
  check_answer(apply_file(name.text, file), 0, "nothing to change\n");
  const std::string longer(40, 'x');
  REQUIRE(rlctl({"override", "set", name.text, "api", longer, "3/h"}).exit_code == 0);
  const Ran ran = rlctl({"export", name.text});
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.find("# left out, as its text is not known or no UTF-8: xxxx") != ran.out.npos);
  CHECK(ran.err == "rlctl: 1 thing was left out, as comments say; `rlctl dump` keeps them\n");
}

}  // namespace
}  // namespace rl::test
