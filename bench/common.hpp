/// \file
/// What all benchmarks share: the machine they ran on, their options, and how results are printed.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/goal.hpp"
#include "bench/machine.hpp"
#include "bench/result.hpp"

namespace rl::bench {

/// What every benchmark can be told.
struct Options {
  unsigned rounds = 9;
  std::string json_path;
  bool markdown = false;
  bool quick = false;  ///< whether it runs, not how fast

  /// Returns how often each contender runs.
  [[nodiscard]] unsigned turns() const noexcept { return quick ? 3 : rounds; }
};

/// Adds the common options to a program's own.
void add_options(CLI::App& app, Options& options);

/// A table of its own columns, for what is not a race.
struct Grid {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;
};

/// Collects results and prints them: text as they come, Markdown or JSON in the end.
///
/// The first contender of a row is the one in question; the others carry the ratio of its median to
/// theirs.
class Report {
 public:
  /// `title` is a sentence; `unit` names the figures ("ns", "M/s").
  Report(Options options, std::string title, std::string unit);

  /// Adds a row's results, the one in question first, and what its ratios are held to. Errors:
  /// std::invalid_argument for a goal beside nobody of the row.
  void add(const std::vector<Result>& row, const std::vector<Goal>& goals = {});
  /// Holds a figure to bounds that is no ratio of a row.
  void hold(const std::string& row, const std::string& what, double figure, const Bounds& bounds);
  /// Adds a row that could not be run here, with the reason.
  void skip(const std::string& row, const std::string& why);
  /// Adds a table that is printed as it stands.
  void add(const Grid& grid);
  /// Adds a sentence with something that follows from the rows.
  void note(const std::string& sentence);
  /// Writes what was asked for. Errors: std::runtime_error when the JSON file cannot be written.
  void finish();

  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] const Machine& machine() const noexcept { return machine_; }

 private:
  [[nodiscard]] std::optional<Held> held_to(const Result& result) const;
  void print_machine() const;
  void print_header();
  void print_markdown() const;
  void write_json() const;

  Options options_;
  Machine machine_;
  std::string title_;
  std::string unit_;
  std::vector<std::vector<Result>> rows_;
  std::vector<Held> held_;
  std::vector<Grid> grids_;
  std::vector<std::string> notes_;
  bool header_printed_ = false;
};

/// The program itself, which each benchmark defines. main() is common: it cleans up on signals and
/// turns what this throws into a sentence and an exit code.
int run(int argc, char** argv);

}  // namespace rl::bench
