// What Prometheus is told, as text: pure, without a segment.
#include "tools/metrics/families.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>
#include <map>
#include <set>
#include <sstream>

#include "tests/numbers.hpp"

namespace rl::test {
namespace {

using metrics::Facts;
using metrics::Family;
using metrics::Known;
using metrics::Type;

/// A segment of which everything is known, no number twice.
Known all_known() {
  Known known;
  known.vitals.keys = 1'000;
  known.vitals.slots = 2'000;
  known.vitals.evicted = 3;
  known.vitals.created = std::chrono::system_clock::time_point(std::chrono::seconds(1'000'000'000));
  known.vitals.clock = ClockSource::tsc;
  known.vitals.clock_drift = std::chrono::milliseconds(-250);
  known.reaper = {
      .leads = true, .pid = 7, .beat_ago = std::chrono::seconds(1), .rounds = 5, .corrupt = 6};
  known.totals.policies.push_back({.policy = "api",
                                   .allowed = 11,
                                   .denied = 12,
                                   .would_deny = 4,
                                   .refunds = 13,
                                   .waits = 14,
                                   .waited = std::chrono::milliseconds(1'500)});
  known.totals.by_line = {100, 20, 3, 0};
  known.totals.idle_overwritten = 8;
  known.trials.emplace_back("api", Comparison{.live = Limit::per_second(1),
                                              .candidate = Limit::per_second(2),
                                              .since = {},
                                              .by_live = {21, 22},
                                              .by_candidate = {23, 24}});
  known.most_denied = {{.policy = "api", .key = "bot", .denied = 500},
                       {.policy = "api", .key = "a\"\n", .denied = 400},
                       {.policy = "api", .denied = 300},  // its text is not kept
                       {.policy = "api", .key = "bot", .key_truncated = true, .denied = 200}};
  known.slots = {.live = 100, .standing = 20, .permits_out = 30};
  return known;
}

std::string text_of(const std::vector<Facts>& facts) {
  return metrics::to_text(metrics::families_of(facts));
}

TEST_CASE("each_family_is_told_once_and_in_one_piece_for_all_segments") {
  const std::string text = text_of({{"web", all_known()}, {"api", all_known()}, {"gone", {}}});
  std::map<std::string, int> helps;
  std::map<std::string, int> types;
  std::set<std::string> ended;
  std::set<std::string> series;
  std::string now;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    CAPTURE(line);
    std::istringstream words(line);
    std::string first;
    std::string second;
    std::string name;
    words >> first >> second >> name;
    if (first == "#" && second == "HELP") {
      ++helps[name];
      ended.insert(now);
      now = name;
    } else if (first == "#") {
      CHECK(second == "TYPE");
      CHECK(name == now);
      ++types[name];
    } else {
      CHECK(line.starts_with(now));
      CHECK(series.insert(line.substr(0, line.rfind(' '))).second);
    }
    CHECK(ended.count(now) == 0);
  }
  CHECK(helps.size() > 30);
  for (const auto& [name, count] : helps) {
    CAPTURE(name);
    CHECK(count == 1);
    CHECK(types[name] == 1);
  }
}

TEST_CASE("of_a_segment_that_cannot_be_read_only_that_is_told") {
  CHECK(text_of({{"gone", {}}}) ==
        "# HELP rl_segment_up 1 when the segment can be read; when it cannot, 0 and no other "
        "number.\n"
        "# TYPE rl_segment_up gauge\n"
        "rl_segment_up{segment=\"gone\"} 0\n");
}

TEST_CASE("what_is_known_is_told_in_base_units") {
  const Numbers numbers(text_of({{"web", all_known()}}));
  const auto value = [&](const char* series) { return numbers.at(series); };
  CHECK(value("rl_segment_up{segment=\"web\"}") == 1);
  CHECK(value("rl_decisions_total{segment=\"web\",policy=\"api\",outcome=\"allowed\"}") == 11);
  CHECK(value("rl_decisions_total{segment=\"web\",policy=\"api\",outcome=\"denied\"}") == 12);
  CHECK(value("rl_decisions_total{segment=\"web\",policy=\"api\",outcome=\"would_deny\"}") == 4);
  CHECK(value("rl_wait_seconds_total{segment=\"web\",policy=\"api\"}") == 1.5);
  CHECK(value("rl_fill_ratio{segment=\"web\"}") == 0.075);
  CHECK(value("rl_evictions_total{segment=\"web\",rule=\"idle\"}") == 8);
  CHECK(value("rl_evictions_total{segment=\"web\",rule=\"owing\"}") == 3);
  CHECK(value("rl_clock_info{segment=\"web\",source=\"tsc\"}") == 1);
  CHECK(value("rl_clock_drift_seconds{segment=\"web\"}") == -0.25);
  CHECK(value("rl_segment_created_timestamp_seconds{segment=\"web\"}") == 1e9);
  CHECK(value("rl_trial_decisions_total{segment=\"web\",policy=\"api\",limit=\"on_trial\","
              "outcome=\"denied\"}") == 24);
  const auto now =
      std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch());
  CHECK(value("rl_reaper_last_sweep_timestamp_seconds{segment=\"web\"}") > now.count() - 60);
  CHECK(value("rl_reaper_last_sweep_timestamp_seconds{segment=\"web\"}") < now.count());
}

TEST_CASE("a_histograms_buckets_add_up") {
  const Numbers numbers(text_of({{"web", all_known()}}));
  const auto bucket = [&](const char* le) {
    return numbers.at(std::string("rl_lookup_lines_bucket{segment=\"web\",le=\"") + le + "\"}");
  };
  CHECK(bucket("1") == 100);
  CHECK(bucket("2") == 120);
  CHECK(bucket("3") == 123);
  CHECK(bucket("4") == 123);
  CHECK(bucket("+Inf") == 123);
  CHECK(numbers.at("rl_lookup_lines_count{segment=\"web\"}") == 123);
  CHECK(numbers.at("rl_lookup_lines_sum{segment=\"web\"}") == 149);
}

TEST_CASE("what_nobody_has_counted_is_left_out") {
  Known known = all_known();
  known.slots.reset();
  known.reaper = {};
  known.vitals.clock_drift.reset();
  const Numbers numbers(text_of({{"web", known}}));
  for (const char* name :
       {"rl_slots_live", "rl_slots_standing", "rl_permits_out", "rl_fill_ratio", "rl_corrupt_slots",
        "rl_reaper_last_sweep_timestamp_seconds", "rl_clock_drift_seconds"}) {
    CAPTURE(name);
    CHECK_FALSE(numbers.has(std::string(name) + "{segment=\"web\"}"));
  }
  CHECK(numbers.at("rl_reaper_leads{segment=\"web\"}") == 0);
}

TEST_CASE("labels_are_escaped_so_that_any_bytes_are_one_value") {
  const auto line_of = [](std::string value) {
    const Family family{"a", Type::gauge, "b\\c\nd", {{"", {{"l", std::move(value)}}, 1.5}}};
    const std::string text = metrics::to_text(std::span(&family, 1));
    CHECK(text.starts_with("# HELP a b\\\\c\\nd\n# TYPE a gauge\n"));
    CHECK(std::count(text.begin(), text.end(), '\n') == 3);
    return text.substr(text.find("a{"));
  };
  CHECK(line_of("user:42") == "a{l=\"user:42\"} 1.5\n");
  CHECK(line_of("a\"b") == "a{l=\"a\\\"b\"} 1.5\n");
  CHECK(line_of("a\\b") == "a{l=\"a\\\\\\\\b\"} 1.5\n");  // as rlctl shows it: a\\b
  CHECK(line_of("a\nb") == "a{l=\"a\\\\x0ab\"} 1.5\n");   // a\x0ab
  CHECK(line_of("\xff\xc3\xa4") == "a{l=\"\\\\xff\xc3\xa4\"} 1.5\n");
  CHECK(line_of(std::string("\0", 1)) == "a{l=\"\\\\x00\"} 1.5\n");
}

TEST_CASE("a_series_is_never_told_twice_whatever_a_segment_says") {
  Known known = all_known();
  known.totals.policies.push_back({.policy = "api", .allowed = 99});
  known.trials.push_back(known.trials.front());
  const std::string text = text_of({{"web", known}, {"web", all_known()}});
  CHECK(
      Numbers(text).at("rl_decisions_total{segment=\"web\",policy=\"api\",outcome=\"allowed\"}") ==
      11);  // which checks that no series comes twice
}

TEST_CASE("no_digit_of_a_count_is_lost_and_what_is_no_number_has_a_word") {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  CHECK(metrics::to_text(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
  CHECK(metrics::to_text(0.1) == "0.1");
  CHECK(metrics::to_text(std::nan("")) == "NaN");
  CHECK(metrics::to_text(kInfinity) == "+Inf");
  CHECK(metrics::to_text(-kInfinity) == "-Inf");
}

/// The table of the README: | `name` | type | labels | meaning |
std::set<std::string> rows_of_the_readme() {
  const char* const path = std::getenv("RL_README");
  REQUIRE(path != nullptr);
  std::ifstream file(path);
  std::set<std::string> rows;
  for (std::string line; std::getline(file, line);)
    if (line.starts_with("| `rl_")) rows.insert(line);
  return rows;
}

TEST_CASE("the_readme_has_every_number_with_its_type_labels_and_meaning") {
  const std::vector<Facts> facts{{"web", all_known()}};
  const std::set<std::string> in_readme = rows_of_the_readme();
  std::size_t count = 0;
  for (const Family& family : metrics::families_of(facts)) {
    std::string labels;
    REQUIRE_FALSE(family.samples.empty());
    for (const auto& [name, value] : family.samples.front().labels) {
      if (name == "segment" || name == "le") continue;
      labels += std::string(labels.empty() ? " " : ", ") + std::string(name);
    }
    std::string row = "| `" + std::string(family.name) + "` | ";
    row += std::string(metrics::to_string(family.type)) + " |" + labels + " | ";
    row += std::string(family.help) + " |";
    CAPTURE(row);
    CHECK(in_readme.count(row) == 1);
    ++count;
  }
  CHECK(in_readme.size() == count);
}

}  // namespace
}  // namespace rl::test
