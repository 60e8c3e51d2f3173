// `rlctl replay` as the real program.
#include <doctest/doctest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

using Json = nlohmann::json;

std::string line_at(const std::string& who, int minute, int second) {
  char time[32];
  std::snprintf(time, sizeof time, "17/May/2015:10:%02d:%02d +0000", minute, second);
  return who + " - jo [" + time + "] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\"\n";
}

/// Ten calls of one client in a second, and one of another a minute later.
std::string small_log() {
  std::string log;
  for (int i = 0; i < 10; ++i) log += line_at("203.0.113.7", 5, 3);
  return log + line_at("2001:db8::1", 6, 3);
}

Json answer(const Ran& ran) {
  CAPTURE(ran.err);
  REQUIRE(ran.exit_code == 0);
  CHECK(ran.err == "");
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 1);
  return Json::parse(ran.out);
}

class LogFile {
 public:
  explicit LogFile(const std::string& bytes) : path(folder.at("access.log")) {
    std::ofstream(path, std::ios::binary) << bytes;
  }
  Folder folder;
  std::string path;
};

}  // namespace

TEST_CASE("replay_says_first_how_many_requests_are_denied") {
  const Ran ran = rlctl({"replay", "-", "2/s", "burst=4"}, small_log());
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  CHECK(ran.out.starts_with(
      "2/s burst=4 denies 6 of 11 requests (54.5 %), and 1 of 2 keys at least once\n"));
  CHECK(ran.out.find("2015-05-17T10:05:03Z to 2015-05-17T10:06:03Z, 1 min") != std::string::npos);
  CHECK(
      ran.out.ends_with("key          requests  denied   share\n"
                        "203.0.113.7        10       6  60.0 %\n"));
}

TEST_CASE("replay_says_of_a_limit_in_shadow_what_it_would_deny") {
  const Ran ran = rlctl({"replay", "-", "2/s", "burst=4", "shadow"}, small_log());
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.find(" would deny 6 of 11 requests") != std::string::npos);
}

TEST_CASE("replay_answers_in_one_object_of_json") {
  const Json json = answer(rlctl({"replay", "-", "2/s", "burst=4", "--json"}, small_log()));
  CHECK(json["requests"] == 11);
  CHECK(json["keys"] == 2);
  CHECK(json["denied"] == 6);
  CHECK(json["denied_share"].get<double>() == doctest::Approx(6.0 / 11));
  CHECK(json["keys_denied"] == 1);
  CHECK(json["top"] == Json::parse(R"([{"key":"203.0.113.7","requests":10,"denied":6}])"));
  CHECK(json["limit"] == "2/s burst=4");
  CHECK(json["unparsed"] == 0);
  CHECK(json["first"] == "2015-05-17T10:05:03Z");
}

TEST_CASE("replay_reads_plain_and_compressed_files_and_both_from_standard_input") {
  const LogFile log(small_log());
  REQUIRE(shell("gzip -k " + log.path).exit_code == 0);
  const Json expected = answer(rlctl({"replay", log.path, "3/m", "--json"}));
  CHECK(expected["denied"] == 7);
  for (const std::string& command :
       {"replay " + log.path + ".gz 3/m --json", "replay - 3/m --json <" + log.path,
        "replay - 3/m --json <" + log.path + ".gz"}) {
    CAPTURE(command);
    Json json = answer(shell("\"$RLCTL\" " + command));
    json["log"] = expected["log"];
    CHECK(json == expected);
  }
}

TEST_CASE("replay_counts_by_the_key_that_is_asked_for") {
  const auto keys = [](const std::string& key) {
    return answer(rlctl({"replay", "-", "1/s", "--key", key, "--json"}, small_log()))["keys"];
  };
  CHECK(keys("ip") == 2);
  CHECK(keys("user") == 1);
  CHECK(keys("path") == 1);
  const Json json = answer(rlctl({"replay", "-", "2/m", "--key", "user", "--json"},
                                 R"({"ts":1431857103,"user":"a"})"
                                 "\n"
                                 R"({"ts":1431857103.5,"user":"b"})"));
  CHECK(json["keys"] == 2);
  CHECK(json["format"] == "json");
}

TEST_CASE("replay_says_how_many_lines_name_no_address") {
  const std::string log = small_log() + line_at("a.example", 7, 0);
  CHECK(rlctl({"replay", "-", "2/s"}, log).out.find("1 line names no address; they count by") !=
        std::string::npos);
  CHECK(answer(rlctl({"replay", "-", "2/s", "--json"}, log))["without_address"] == 1);
  CHECK(rlctl({"replay", "-", "2/s"}, small_log()).out.find("address") == std::string::npos);
}

TEST_CASE("replay_takes_the_limit_that_is_in_force") {
  const Made segment;
  segment.policy("api", "2/s burst=4");
  segment.policy("both", "2/s burst=4, 3/h");
  const auto denied = [&](const std::string& name) {
    return answer(rlctl({"replay", "-", "--policy", segment.name() + "/" + name, "--json"},
                        small_log()))["denied"];
  };
  CHECK(denied("api") == 6);
  CHECK(denied("both") == 7);
  check_error(rlctl({"replay", "-", "--policy", segment.name() + "/none"}, small_log()), "none");
  check_error(rlctl({"replay", "-", "--policy", "web"}, small_log()), "such as web/api");
}

TEST_CASE("replay_leaves_no_segment_behind_and_needs_none") {
  const auto segments = [] { return shell("ls -A /dev/shm | grep -c replay").out; };
  const std::string before = segments();
  CHECK(rlctl({"replay", "-", "1/s"}, small_log()).exit_code == 0);
  CHECK(segments() == before);
}

TEST_CASE("replay_suggests_the_smallest_limit_that_denies_few_enough") {
  const Json json =
      answer(rlctl({"replay", "-", "2/s", "burst=4", "--suggest", "10%", "--json"}, small_log()));
  // One of eleven is under 10 %: a burst of nine will do, and one of eight will not.
  CHECK(json["suggested"]["limit"] == "5/s burst=10");
  CHECK(json["suggested"]["denied"] == 0);
  CHECK(json["suggested"]["next_smaller"] == "4/s burst=8");
  CHECK(json["suggested"]["next_smaller_denied"] == 2);
  const Ran text = rlctl({"replay", "-", "leaky", "2/s", "--suggest", "0%"}, small_log());
  CHECK(text.out.find("suggested: none found that denies at most 0%, as calls") !=
        std::string::npos);
  check_error(rlctl({"replay", "-", "1/s", "--suggest", "0.1"}, small_log()), "in percent");
}

TEST_CASE("replay_suggests_a_limit_without_a_queue_however_fast_calls_come") {
  std::string log;  // three calls, a millisecond apart
  for (const char* time : {"1431857103.001", "1431857103.002", "1431857103.003"})
    log += std::string("time:") + time + "\thost:1.2.3.4\n";
  const Json json =
      answer(rlctl({"replay", "-", "leaky", "2/s", "--suggest", "0%", "--json"}, log));
  CHECK(json["denied"] == 2);
  CHECK(json["suggested"]["limit"] == "leaky 1k/s");
  CHECK(json["suggested"]["denied"] == 0);
}

TEST_CASE("replay_draws_a_whole_picture_or_none") {
  const LogFile log(small_log());
  const std::string file = log.folder.at("replay.svg");
  CHECK(rlctl({"replay", log.path, "2/s", "--plot", file}).exit_code == 0);
  const std::string svg = run({"cat", file}).out;
  CHECK(svg.starts_with("<svg "));
  CHECK(svg.ends_with("</svg>\n"));
  CHECK(svg.find("2/s, by ip (IPv6 by /64): denies 8 of 11 requests (72.7 %)") !=
        std::string::npos);
  for (const std::string& wrong : {std::string("-"), log.folder.path()})
    check_error(rlctl({"replay", log.path, "2/s", "--plot", wrong}), "goes to a file");
  const std::string other = log.folder.at("other.svg");
  check_error(rlctl({"replay", log.folder.at("none"), "2/s", "--plot", other}), "none");
  CHECK(run({"ls", "-A", log.folder.path()}).out == "access.log\nreplay.svg\n");
}

TEST_CASE("replay_counts_what_it_cannot_read_and_shows_it_escaped") {
  const Ran ran =
      rlctl({"replay", "-", "1/s"}, small_log() + "\x1b[31mred\n" + line_at("203.0.113.8", 5, 59));
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.find("left out   1 not of this format") != std::string::npos);
  CHECK(ran.out.find("  line 12  \\x1b[31mred\n") != std::string::npos);
  CHECK(ran.out.find("backwards  1 line, by up to 4 s") != std::string::npos);
}

TEST_CASE("replay_draws_names_that_xml_cannot_hold_escaped") {
  const LogFile log("{\"ts\":1,\"a\xef\xbf\xbe\":\"x\"}\n");
  const std::string file = log.folder.at("replay.svg");
  CHECK(rlctl({"replay", log.path, "1/m", "--key", "a\xef\xbf\xbe", "--plot", file}).exit_code ==
        0);
  const std::string svg = run({"cat", file}).out;
  CHECK(svg.find("by a\\xef\\xbf\\xbe") != std::string::npos);
  CHECK(svg.find('\xef') == std::string::npos);
}

TEST_CASE("replay_shows_keys_of_logs_escaped") {
  const Ran ran = rlctl({"replay", "-", "1/m", "--key", "user"},
                        "{\"ts\":1,\"user\":\"\\u001b[2J\"}\n{\"ts\":1,\"user\":\"\\u001b[2J\"}\n");
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.find('\x1b') == std::string::npos);
  CHECK(ran.out.find("\\x1b[2J") != std::string::npos);
}

TEST_CASE("replay_says_in_one_sentence_what_cannot_be_replayed") {
  const LogFile empty("");
  const LogFile binary(
      std::string("\x7f"
                  "ELF\0\0\1\2",
                  8));
  check_error(rlctl({"replay", empty.path, "1/s"}), "empty");
  check_error(rlctl({"replay", binary.path, "1/s"}),
              "neither combined, JSON nor LTSV, such as \".ELF....\"; say which");
  check_error(rlctl({"replay", empty.folder.path(), "1/s"}), "it is a directory");
  check_error(rlctl({"replay", empty.folder.at("no"), "1/s"}), "No such file");
  check_error(rlctl({"replay", "-"}, small_log()), "--policy SEGMENT/NAME");
  check_error(rlctl({"replay", "-", "1/s", "--policy", "web/api"}, small_log()), "not both");
  check_error(rlctl({"replay", "-", "concurrency", "5"}, small_log()),
              "permits cannot be replayed");
  check_error(rlctl({"replay", "-", "1/x"}, small_log()), "cannot read on");
  check_error(rlctl({"replay", "-", "1/s", "--format", "xml"}, small_log()),
              "give one of combined");
  check_error(rlctl({"replay", "-", "1/s", "--format", "json"}, small_log()),
              "line 1 is not of the format json");
  check_error(rlctl({"replay", "-", "1/s", "--key", "tenant"}, small_log()),
              "no field of that name");
  check_error(rlctl({"replay", "-", "1/s", "--key", "referer"}, small_log()), "name nobody");
  check_error(rlctl({"replay", "-", "1/s", "--time", "ts"}, small_log()), "leave it out");
  const Ran ran = shell("gzip -c <\"$RLCTL\" 2>/dev/null | head -c 60 | \"$RLCTL\" replay - 1/s");
  check_error(ran, "ends in the middle");
}

}  // namespace rl::test
