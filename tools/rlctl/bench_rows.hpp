/// \file
/// What `rlctl bench` measures: decisions beside the machine's floor (bench/loops.hpp), in interleaved
/// rounds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "bench/machine.hpp"
#include "bench/result.hpp"

namespace rl::ctl {

struct BenchOptions {
  double seconds = 10;  ///< about, for all of it
  unsigned processes = 2;
  std::uint32_t keys = 100'000;  ///< that are many
  static constexpr unsigned kRounds = 9;
};

/// What one decision, or its floor, took: a figure for each round, in ns.
struct Scores {
  bench::Result each;  ///< CPU time of one in a plain loop
  // Of those that were timed one by one, with what the machine did in between:
  bench::Result p50;
  bench::Result p99;
  bench::Result p999;
  bench::Result most;
};

struct DecisionRow {
  std::string name;
  Scores ours;
  Scores floor;
};

/// What several processes did together: a figure for each round, in million/s.
struct ProcessesRow {
  unsigned processes;
  bool is_one_key;
  bench::Result ours;
  bench::Result floor;
};

struct BenchReport {
  bench::Machine machine;
  bench::Result
      timing;  ///< what timing nothing takes (p50), in ns: each timed decision has it, too
  std::vector<DecisionRow> decisions;
  std::vector<ProcessesRow> processes;
};

/// Measures on this machine, on segments of its own, which are removed when it ends and when it is
/// killed. Errors: Error as Segment::create; std::runtime_error when processes cannot be started, or
/// a row is not what it says it is.
BenchReport run_bench(const BenchOptions& options, bench::Machine machine);

/// Returns ours / floor of what counts down, by medians.
inline double times_the_floor(const Scores& ours, const Scores& floor) {
  return ours.each.median() / floor.each.median();
}

/// Returns ours / floor of what counts up, by medians; nothing where the floor had nothing done in most
/// rounds, or too much more in one than in another.
std::optional<double> share_of_floor(const ProcessesRow& row);

std::string name_of(const ProcessesRow& row);

/// Returns a sentence for each row whose rounds differed so much that its figures say little.
std::vector<std::string> noise_in(const BenchReport& report);

}  // namespace rl::ctl
