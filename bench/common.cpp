#include "bench/common.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "bench/commit.hpp"
#include "bench/scratch.hpp"

namespace rl::bench {
namespace {

/// The ratio of ours to another's.
double ratio(const std::vector<Result>& row, const Result& other) {
  return row.front().median() / other.median();
}

std::string figure(double value) {
  return value < 1'000 ? fmt::format("{:.2f}", value) : fmt::format("{:.0f}", value);
}

void print_aligned(const Grid& grid) {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < grid.columns.size(); ++i) {
    widths.push_back(grid.columns[i].size());
    for (const auto& row : grid.rows) widths[i] = std::max(widths[i], row[i].size());
  }
  const auto print_row = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i == 0) {
        fmt::print("{:<{}}", cells[i], widths[i]);
      } else {
        fmt::print("  {:>{}}", cells[i], widths[i]);
      }
    }
    fmt::print("\n");
  };
  fmt::print("{}\n", grid.title);
  print_row(grid.columns);
  for (const auto& row : grid.rows) print_row(row);
  fmt::print("\n");
}

void print_markdown_row(const std::vector<std::string>& cells) {
  for (const std::string& cell : cells) fmt::print("| {} ", cell);
  fmt::print("|\n");
}

void print_markdown_grid(const Grid& grid) {
  fmt::print("{}\n\n", grid.title);
  print_markdown_row(grid.columns);
  std::vector<std::string> rule(grid.columns.size(), "--:");
  rule.front() = "---";
  print_markdown_row(rule);
  for (const auto& row : grid.rows) print_markdown_row(row);
  fmt::print("\n");
}

nlohmann::json json_of(const Grid& grid) {
  return {{"title", grid.title}, {"columns", grid.columns}, {"rows", grid.rows}};
}

nlohmann::json json_of(const Held& held) {
  return {{"row", held.row},
          {"what", held.what},
          {"figure", held.figure},
          {"goal", held.bounds.text()},
          {"met", held.is_met()}};
}

nlohmann::json json_of(const Machine& machine) {
  return {{"cpu", machine.cpu},          {"cores", machine.cores},
          {"kernel", machine.kernel},    {"compiler", machine.compiler},
          {"commit", machine.commit},    {"build_type", machine.build_type},
          {"clock", machine.clock},      {"load", machine.load},
          {"warnings", machine.warnings}};
}

/// The machine, and what was built.
Machine describe_machine() {
  Machine machine = read_machine();
  machine.commit = RL_BENCH_COMMIT;
  machine.build_type = RL_BENCH_BUILD_TYPE;
  return machine;
}

}  // namespace

void add_options(CLI::App& app, Options& options) {
  app.add_option("--rounds", options.rounds, "Runs of each contender; the median counts")
      ->check(CLI::Range(1, 999))
      ->capture_default_str();
  app.add_option("--json", options.json_path, "Write everything to this file")->type_name("FILE");
  app.add_flag("--markdown", options.markdown, "Print the table as Markdown");
  app.add_flag("--quick", options.quick, "Only see that it runs; the figures mean nothing");
}

Report::Report(Options options, std::string title, std::string unit)
    : options_(std::move(options)),
      machine_(describe_machine()),
      title_(std::move(title)),
      unit_(std::move(unit)) {
  if (options_.quick) machine_.warnings.push_back("a quick run: its figures mean nothing");
  print_machine();
}

void Report::print_machine() const {
  if (options_.markdown) return;  // it comes with the table
  fmt::print("{}\n\n", title_);
  fmt::print("machine   {}, {} cores, {}\n", machine_.cpu, machine_.cores, machine_.kernel);
  fmt::print("build     {}, {}, commit {}\n", machine_.compiler, machine_.build_type,
             machine_.commit);
  fmt::print("clock     {}, load {:.2f}\n", machine_.clock, machine_.load);
  for (const std::string& warning : machine_.warnings) fmt::print("WARNING   {}\n", warning);
  fmt::print("\n");
  std::fflush(stdout);
}

void Report::print_header() {
  if (std::exchange(header_printed_, true)) return;
  fmt::print("{:<30} {:<24} {:>9} {:>9} {:>9}  {:<11}  {}\n", "row", unit_, "median", "min", "max",
             "ours / this", "goal");
}

std::optional<Held> Report::held_to(const Result& result) const {
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Held& held) {
    return held.row == result.row && held.what == result.contender;
  });
  return found == held_.end() ? std::nullopt : std::optional(*found);
}

void Report::add(const std::vector<Result>& row, const std::vector<Goal>& goals) {
  rows_.push_back(row);
  for (const Goal& goal : goals) {
    const auto other = std::find_if(row.begin() + 1, row.end(), [&](const Result& result) {
      return result.contender == goal.beside;
    });
    if (other == row.end())
      throw std::invalid_argument(fmt::format("{}: nobody is \"{}\"", row[0].row, goal.beside));
    held_.push_back({row[0].row, goal.beside, ratio(row, *other), goal.bounds});
  }
  if (options_.markdown) return;
  print_header();
  for (const Result& result : row) {
    const bool first = &result == &row.front();
    const auto held = held_to(result);
    const std::string line = fmt::format(
        "{:<30} {:<24} {:>9} {:>9} {:>9}  {:<11}  {}", first ? result.row : "", result.contender,
        figure(result.median()), figure(result.least()), figure(result.most()),
        first ? "" : fmt::format("{:.2f}", ratio(row, result)), held ? held->text() : "");
    fmt::print("{}\n", line.substr(0, line.find_last_not_of(' ') + 1));
  }
  std::fflush(stdout);
}

void Report::hold(const std::string& row, const std::string& what, double value,
                  const Bounds& bounds) {
  held_.push_back({row, what, value, bounds});
  note(fmt::format("{}: {} {}, goal {}", row, what, figure(value), held_.back().text()));
}

void Report::add(const Grid& grid) {
  grids_.push_back(grid);
  if (!options_.markdown) print_aligned(grid);
  std::fflush(stdout);
}

void Report::skip(const std::string& row, const std::string& why) {
  note(fmt::format("{}: skipped, {}", row, why));
}

void Report::note(const std::string& sentence) {
  notes_.push_back(sentence);
  if (!options_.markdown) fmt::print("{}\n", sentence);
  std::fflush(stdout);
}

void Report::print_markdown() const {
  fmt::print("{}\n\n", title_);
  fmt::print("{}, {} cores, {}; {}, {}, commit {}; clock {}; load {:.2f}.\n", machine_.cpu,
             machine_.cores, machine_.kernel, machine_.compiler, machine_.build_type,
             machine_.commit, machine_.clock, machine_.load);
  for (const std::string& warning : machine_.warnings) fmt::print("Warning: {}.\n", warning);
  fmt::print("\n");
  for (const Grid& grid : grids_) print_markdown_grid(grid);
  Grid race{unit_, {"row", "what", "median", "min", "max", "ours / this", "goal"}, {}};
  for (const auto& row : rows_) {
    for (const Result& result : row) {
      const bool first = &result == &row.front();
      const auto held = held_to(result);
      race.rows.push_back({first ? result.row : "", result.contender, figure(result.median()),
                           figure(result.least()), figure(result.most()),
                           first ? "" : fmt::format("{:.2f}", ratio(row, result)),
                           held ? held->text() : ""});
    }
  }
  if (!race.rows.empty()) print_markdown_grid(race);
  for (const std::string& sentence : notes_) fmt::print("{}\n\n", sentence);
}

void Report::write_json() const {
  nlohmann::json rows = nlohmann::json::array();
  for (const auto& row : rows_) {
    for (const Result& result : row) {
      rows.push_back({{"row", result.row},
                      {"contender", result.contender},
                      {"median", result.median()},
                      {"min", result.least()},
                      {"max", result.most()},
                      {"samples", result.samples}});
      if (&result != &row.front()) rows.back()["ratio"] = ratio(row, result);
      if (const auto held = held_to(result)) {
        rows.back()["goal"] = held->bounds.text();
        rows.back()["goal_met"] = held->is_met();
      }
    }
  }
  nlohmann::json goals = nlohmann::json::array();
  for (const Held& held : held_) goals.push_back(json_of(held));
  nlohmann::json grids = nlohmann::json::array();
  for (const Grid& grid : grids_) grids.push_back(json_of(grid));
  const nlohmann::json all = {{"title", title_}, {"machine", json_of(machine_)},
                              {"unit", unit_},   {"rows", rows},
                              {"grids", grids},  {"notes", notes_},
                              {"goals", goals}};
  std::ofstream file(options_.json_path);
  file << all.dump(2) << '\n';
  file.close();
  if (!file) {
    throw std::runtime_error(
        fmt::format("{}: cannot be written; choose another file for --json", options_.json_path));
  }
}

void Report::finish() {
  if (!held_.empty()) {
    const auto met =
        std::count_if(held_.begin(), held_.end(), [](const Held& held) { return held.is_met(); });
    note(fmt::format("{} of {} goals met", met, held_.size()));
  }
  if (options_.markdown) print_markdown();
  if (!options_.json_path.empty()) write_json();
}

}  // namespace rl::bench

int main(int argc, char** argv) {
  rl::bench::clean_up_on_signals();
  try {
    return rl::bench::run(argc, argv);
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
  }
  return 1;
}
