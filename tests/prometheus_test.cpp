// What stands in examples/monitoring, asked of a real Prometheus that scrapes a real rlreaper beside
// real workers.
#include <doctest/doctest.h>

#include <fstream>
#include <set>

#include <nlohmann/json.hpp>

#include "tests/rlreaper.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;
using Json = nlohmann::json;

bool is_here() {
  return shell("command -v prometheus promtool").exit_code == 0;
}

std::string monitoring(const std::string& file) {
  return std::string(program("RL_MONITORING")) + "/" + file;
}

void check_promtool(const Words& arguments) {
  Words command{"promtool"};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const Ran ran = run(command);
  CAPTURE(ran.out);
  CAPTURE(ran.err);
  CHECK(ran.exit_code == 0);
}

/// Returns a text with each `what` replaced.
std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (std::size_t at = 0; (at = text.find(what, at)) != text.npos; at += by.size())
    text.replace(at, what.size(), by);
  return text;
}

/// Returns what the panels of the dashboard ask, with Grafana's variables filled in.
std::vector<std::string> asked_by_the_dashboard() {
  std::vector<std::string> all;
  const Json dashboard = Json::parse(contents(monitoring("dashboard.json")));
  for (const Json& panel : dashboard.at("panels")) {
    for (const Json& target : panel.at("targets")) {
      std::string expr = target.at("expr").get<std::string>();
      expr = replaced(std::move(expr), "$__rate_interval", "10s");
      all.push_back(replaced(std::move(expr), "$segment", ".*"));
    }
  }
  return all;
}

/// Returns the names of numbers in a text.
std::set<std::string> names_in(const std::string& text) {
  std::set<std::string> names;
  for (std::size_t at = 0; (at = text.find("rl_", at)) != text.npos;) {  // ends: `at` grows
    const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz_", at);
    names.insert(text.substr(at, end - at));
    at = std::min(end, text.size());
  }
  return names;
}

TEST_CASE("the_configuration_and_the_alerts_are_ones_that_prometheus_takes") {
  if (!is_here()) return skip("no prometheus and promtool here");
  check_promtool({"check", "config", monitoring("prometheus.yml")});
  check_promtool({"check", "rules", monitoring("rules.yml")});
}

TEST_CASE("each_alert_fires_when_it_should_and_not_before") {
  if (!is_here()) return skip("no prometheus and promtool here");
  check_promtool({"test", "rules", program("RL_PROMETHEUS_RULES")});
}

TEST_CASE("the_dashboard_is_one_that_grafana_takes") {
  const Json dashboard = Json::parse(contents(monitoring("dashboard.json")));
  CHECK(dashboard.at("schemaVersion") >= 30);
  std::set<int> ids;
  for (const Json& panel : dashboard.at("panels")) {
    CHECK(ids.insert(panel.at("id").get<int>()).second);
    CHECK(panel.at("datasource").at("uid") == "${datasource}");
    CHECK_FALSE(panel.at("targets").empty());
    const Json& at = panel.at("gridPos");
    CHECK(at.at("x").get<int>() + at.at("w").get<int>() <= 24);
  }
  CHECK(ids.size() > 10);
}

/// Prometheus with the configuration of the example, but for the address and the pace.
class Prometheus {
 public:
  Prometheus(const Folder& folder, std::uint16_t target)
      : process_(folder,
                 {"prometheus", "--config.file=" + configuration(folder, target),
                  "--storage.tsdb.path=" + folder.at("data"), "--web.listen-address=127.0.0.1:0"}) {
    where_ = "http://127.0.0.1:" +
             std::to_string(number_after(process_, "msg=\"Listening on\" address=127.0.0.1:"));
  }
  /// Returns the answer; fails the test when there is none.
  [[nodiscard]] Json ask(const std::string& expr) const {
    const Ran ran = run({"promtool", "query", "-o", "json", "instant", where_, expr});
    CAPTURE(expr);
    CAPTURE(ran.err);
    REQUIRE(ran.exit_code == 0);
    return Json::parse(ran.out);
  }
  void check_has(const std::string& expr) const {
    CAPTURE(expr);
    const Json rows = ask(expr);
    CHECK(std::any_of(rows.begin(), rows.end(), [](const Json& row) {
      return row.at("value").at(1) != "NaN";  // as of policies without calls
    }));
  }

 private:
  static std::string configuration(const Folder& folder, std::uint16_t target) {
    const std::string file = folder.at("prometheus.yml");
    std::string text = contents(monitoring("prometheus.yml"));
    REQUIRE(text.find("127.0.0.1:9464") != text.npos);
    text = replaced(std::move(text), "127.0.0.1:9464", "127.0.0.1:" + std::to_string(target));
    text = replaced(std::move(text), "_interval: 15s", "_interval: 500ms");
    text = replaced(std::move(text), "rules.yml", monitoring("rules.yml"));
    std::ofstream(file) << text;
    return file;
  }

  Started process_;
  std::string where_;
};

/// Asks in each way that is counted, for ever.
[[noreturn]] void work(const std::string& segment_name) {
  Segment segment = Segment::open(segment_name);
  Limiter api = segment.limiter("api");
  Limiter line = segment.limiter("line");
  Limiter watched = segment.limiter("watched");
  for (std::uint64_t round = 0;; ++round) {  // ends: killed
    for (int i = 0; i < 50; ++i) {
      const std::string key = "key-" + std::to_string(i);
      Decision decision = api.try_acquire(key);
      if (i == 0) (void)api.refund(key, decision);
      (void)watched.try_acquire(key);
    }
    (void)watched.try_acquire("new-" + std::to_string(round));
    (void)line.acquire_for("k", 1, 1s);
  }
}

TEST_CASE("every_expression_finds_numbers_under_real_traffic") {
  if (!is_here()) return skip("no prometheus and promtool here");
  const Folder folder;
  Scratch scratch({.keys = 1'000});
  (void)scratch->limiter("api", Limit::parse("2/s burst=5"));
  (void)scratch->limiter("line", Limit::parse("leaky 50/s queue=20"));
  (void)scratch->limiter("watched", Limit::parse("1/s shadow"));
  scratch->set_candidate("api", Limit::parse("1/s"));
  const Permit permit = scratch->limiter("up", Limit::concurrency(2, 1h)).permit("k");
  Running reaper(folder, {scratch.name(), "--prometheus", "127.0.0.1:0"});
  const Prometheus prometheus(folder, number_after(reaper, "metrics at http://127.0.0.1:"));
  std::vector<Child> workers;
  for (int i = 0; i < 2; ++i) workers.emplace_back([&] { work(scratch.name()); });
  REQUIRE(poll_until([&] {
    return !prometheus.ask("min(count_over_time(rl_decisions_total[10s])) >= 8").empty() &&
           !prometheus.ask("rl_fill_ratio > 0 and rl_permits_out > 0").empty();
  }));
  const std::vector<std::string> asked = asked_by_the_dashboard();
  CHECK(asked.size() > 20);
  for (const std::string& expr : asked) prometheus.check_has(expr);
  const std::string rules = contents(monitoring("rules.yml"));
  const std::set<std::string> names = names_in(rules);
  CHECK(names.size() > 8);
  for (const std::string& name : names) prometheus.check_has(name);
  CHECK(prometheus.ask("ALERTS{alertstate=\"firing\"}").empty());
  // All that is decided is told, by outcome.
  for (const char* outcome : {"allowed", "denied"})
    prometheus.check_has("rate(rl_decisions_total{policy=\"api\",outcome=\"" +
                         std::string(outcome) + "\"}[10s]) > 0");
  prometheus.check_has(
      "rate(rl_decisions_total{policy=\"watched\",outcome=\"would_deny\"}[10s]) > 0");
  prometheus.check_has("rate(rl_trial_decisions_total{limit=\"on_trial\"}[10s]) > 0");
  prometheus.check_has("rate(rl_refunds_total{policy=\"api\"}[10s]) > 0");
}

}  // namespace
}  // namespace rl::test
