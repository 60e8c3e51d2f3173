// `rlctl metrics`: the numbers of segments, for the textfile collector of Prometheus's node exporter.
#include <doctest/doctest.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "tests/numbers.hpp"
#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

TEST_CASE("the_numbers_of_several_segments_are_one_text") {
  const Made web;
  const Made api;
  web.policy("a", "2/s");
  REQUIRE(rlctl({"acquire", web.name(), "a", "k", "--cost", "2"}).exit_code == 0);
  REQUIRE(rlctl({"acquire", web.name(), "a", "k"}).exit_code == 1);
  const Ran ran = rlctl({"metrics", web.name(), api.name()});
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  const Numbers numbers(ran.out);
  for (const Made* made : {&web, &api})
    CHECK(numbers.at("rl_segment_up{segment=\"" + made->name() + "\"}") == 1);
  const std::string of = "{segment=\"" + web.name() + "\",policy=\"a\",outcome=\"";
  CHECK(numbers.at("rl_decisions_total" + of + "allowed\"}") == 1);
  CHECK(numbers.at("rl_decisions_total" + of + "denied\"}") == 1);
  CHECK(numbers.at("rl_clock_info{segment=\"" + web.name() + "\",source=\"manual\"}") == 1);
  CHECK_FALSE(numbers.has("rl_slots_live{segment=\"" + web.name() + "\"}"));
}

TEST_CASE("what_is_in_the_slots_is_counted_when_it_is_asked_for") {
  const Made web;
  web.policy("a", "2/h");
  web.policy("up", "concurrency 3 lease=1h");
  for (const char* key : {"k1", "k2", "k3"})
    REQUIRE(rlctl({"acquire", web.name(), "a", key}).exit_code == 0);
  REQUIRE(rlctl({"ban", web.name(), "a", "bad", "--for", "1h"}).exit_code == 0);
  Segment segment = Segment::open(web.name());
  const Permit permit = segment.limiter("up").permit("k");
  REQUIRE(permit);
  const Numbers numbers(rlctl({"metrics", web.name(), "--count"}).out);
  const std::string of = "{segment=\"" + web.name() + "\"}";
  CHECK(numbers.at("rl_slots_live" + of) == 3);
  CHECK(numbers.at("rl_slots_standing" + of) == 1);
  CHECK(numbers.at("rl_permits_out" + of) == 1);
  CHECK(numbers.at("rl_fill_ratio" + of) == doctest::Approx(5 / numbers.at("rl_slots" + of)));
}

TEST_CASE("a_segment_that_cannot_be_read_is_told_beside_those_that_can") {
  const Made web;
  const Ran ran = rlctl({"metrics", web.name(), "test-no-such"});
  CHECK(ran.exit_code == 1);
  CHECK(ran.err.find("no such segment") != ran.err.npos);
  const Numbers numbers(ran.out);
  CHECK(numbers.at("rl_segment_up{segment=\"" + web.name() + "\"}") == 1);
  CHECK(numbers.at("rl_segment_up{segment=\"test-no-such\"}") == 0);
  check_error(rlctl({"metrics", "a/b"}), "a/b: a name has no slash");
  check_error(rlctl({"metrics"}), "metrics: SEGMENT is required");
}

TEST_CASE("a_file_is_replaced_whole_and_may_be_read_by_a_collector") {
  const Folder folder;
  const Made web;
  const std::string file = folder.at("web.prom");
  check_answer(rlctl({"metrics", web.name(), "--output", file}), 0, "");
  CHECK(Numbers(contents(file)).at("rl_segment_up{segment=\"" + web.name() + "\"}") == 1);
  struct stat before {};
  REQUIRE(::stat(file.c_str(), &before) == 0);
  CHECK((before.st_mode & 0444U) == 0444U);
  check_answer(rlctl({"metrics", web.name(), "--output", file}), 0, "");
  struct stat after {};
  REQUIRE(::stat(file.c_str(), &after) == 0);
  CHECK(after.st_ino != before.st_ino);
  check_error(rlctl({"metrics", web.name(), "--output", folder.at("no/such")}), "No such file");
}

TEST_CASE("as_json_each_sample_is_a_line") {
  const Made web;
  const Ran ran = rlctl({"metrics", web.name(), "--json"});
  CHECK(ran.exit_code == 0);
  std::istringstream lines(ran.out);
  std::size_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const auto object = nlohmann::json::parse(line);
    CHECK(object.at("labels").at("segment") == web.name());
    CHECK(object.at("value").is_number());
    CHECK(object.at("name").get<std::string>().starts_with("rl_"));
  }
  CHECK(count > 30);
}

TEST_CASE("promtool_finds_nothing_to_mend") {
  if (shell("command -v promtool").exit_code != 0) return skip("no promtool here");
  const Made web;
  web.policy("a", "2/s");
  REQUIRE(rlctl({"acquire", web.name(), "a", "k"}).exit_code == 0);
  REQUIRE(rlctl({"policy", "trial", web.name(), "a", "1/s"}).exit_code == 0);
  const Ran numbers = rlctl({"metrics", web.name(), "--count"});
  REQUIRE(numbers.out.find("rl_trial_decisions_total") != numbers.out.npos);
  const Ran ran = run({"promtool", "check", "metrics"}, numbers.out);
  CAPTURE(ran.err);
  CAPTURE(ran.out);
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
}

}  // namespace
}  // namespace rl::test
