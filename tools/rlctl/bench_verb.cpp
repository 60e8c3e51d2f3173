// `rlctl bench`: what a decision costs on this machine, beside the least that it could.
#include <thread>

#include "tools/rlctl/bench_rows.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

constexpr std::uint64_t kSecondsMost = 3'600;
constexpr std::uint64_t kProcessesMost = 1'000;
constexpr std::uint64_t kKeysMost = std::uint64_t{1} << 24;  ///< that bench::KeyText can write

std::uint64_t at_least_1(const Arguments& arguments, Arg arg, std::uint64_t otherwise,
                         std::uint64_t most) {
  const std::uint64_t count = arguments.count(arg, otherwise, most);
  if (count == 0)
    throw Error(Errc::bad_option, fmt::format("{} 0: give at least 1", spelling(arg)));
  return count;
}

BenchOptions options_of(const Arguments& arguments) {
  BenchOptions options;
  const unsigned cpus = std::max(std::thread::hardware_concurrency(), 2U);
  options.seconds = static_cast<double>(at_least_1(arguments, Arg::seconds, 10, kSecondsMost));
  options.processes =
      static_cast<unsigned>(at_least_1(arguments, Arg::processes, cpus, kProcessesMost));
  options.keys =
      static_cast<std::uint32_t>(at_least_1(arguments, Arg::many_keys, options.keys, kKeysMost));
  return options;
}

// --- for people -----------------------------------------------------------------------------------

std::string text_of(const bench::Machine& machine) {
  return fmt::format("machine  {}, {}, {}, clock {}, load {:.2f}\n", escape(machine.cpu),
                     counted(machine.cores, "CPU", "CPUs"), escape(machine.kernel), machine.clock,
                     machine.load);
}

std::string range_of(const bench::Result& result) {
  return fmt::format("{:.1f} to {:.1f}", result.least(), result.most());
}

std::string ns(const bench::Result& result) {
  return fmt::format("{:.0f}", result.median());
}

Cells cells_of(const std::string& name, std::string_view who, const Scores& scores,
               const std::string& ratio) {
  return {name,
          std::string(who),
          fmt::format("{:.1f} M", 1e3 / scores.each.median()),
          fmt::format("{:.1f}", scores.each.median()),
          range_of(scores.each),
          ratio,
          ns(scores.p50),
          ns(scores.p99),
          ns(scores.p999),
          human_duration(static_cast<std::uint64_t>(scores.most.most()))};
}

void put_table(Table table, const std::vector<Cells>& rows) {
  for (const Cells& cells : rows) table.measure(cells);
  put(paint(Paint::strong, table.header()));
  for (const Cells& cells : rows) put(table.line(cells));
}

void put_decisions(const BenchReport& report) {
  std::vector<Cells> rows;
  for (const DecisionRow& row : report.decisions) {
    const double ratio = times_the_floor(row.ours, row.floor);
    rows.push_back(cells_of(row.name, "librl", row.ours, fmt::format("{:.2f}", ratio)));
    rows.push_back(cells_of("", "floor", row.floor, ""));
  }
  put_table(Table({{"one process", Table::left},
                   {"", Table::left},
                   {"a second", Table::right},
                   {"ns each", Table::right},
                   {"of rounds", Table::right},
                   {"x floor", Table::right},
                   {"p50", Table::right},
                   {"p99", Table::right},
                   {"p99.9", Table::right},
                   {"longest", Table::right}}),
            rows);
  put(fmt::format("p50 to longest: each timed by itself, {} ns of which are the timing.\n\n",
                  ns(report.timing)));
}

void put_processes(const BenchReport& report) {
  std::vector<Cells> rows;
  const auto add = [&](const std::string& name, std::string_view who, const bench::Result& result,
                       const std::string& share) {
    rows.push_back({name, std::string(who), fmt::format("{:.1f} M", result.median()),
                    range_of(result), share});
  };
  for (const ProcessesRow& row : report.processes) {
    const std::optional<double> share = share_of_floor(row);
    add(name_of(row), "librl", row.ours, share ? fmt::format("{:.0f} %", 100 * *share) : "-");
    add("", "floor", row.floor, "");
  }
  put_table(Table({{"together", Table::left},
                   {"", Table::left},
                   {"a second", Table::right},
                   {"of rounds", Table::right},
                   {"of floor", Table::right}}),
            rows);
}

void put_text(const BenchReport& report) {
  for (const std::string& warning : noise_in(report))
    put(paint(Paint::warn, fmt::format("WARNING  {}\n", warning)));
  put("\n");
  put_decisions(report);
  put_processes(report);
}

// --- for programs ---------------------------------------------------------------------------------

Json json_of(const bench::Result& result) {
  return {{"median", result.median()}, {"min", result.least()}, {"max", result.most()}};
}

Json json_of(const Scores& scores) {
  return {{"decisions_per_s", 1e9 / scores.each.median()},
          {"each_ns", json_of(scores.each)},
          {"p50_ns", json_of(scores.p50)},
          {"p99_ns", json_of(scores.p99)},
          {"p99_9_ns", json_of(scores.p999)},
          {"longest_ns", json_of(scores.most)}};
}

Json json_of(const bench::Machine& machine) {
  return {{"part", "machine"},
          {"version", RL_VERSION},
          {"cpu", escape(machine.cpu)},
          {"cpus", machine.cores},
          {"kernel", escape(machine.kernel)},
          {"compiler", machine.compiler},
          {"clock", machine.clock},
          {"load", machine.load},
          {"warnings", machine.warnings}};
}

void put_objects(const BenchReport& report, const BenchOptions& options) {
  Json machine = json_of(report.machine);
  machine["seconds"] = options.seconds;
  machine["rounds"] = BenchOptions::kRounds;
  for (const std::string& warning : noise_in(report)) machine["warnings"].push_back(warning);
  machine["timing_ns"] = json_of(report.timing);
  put_json(machine);
  for (const DecisionRow& row : report.decisions) {
    put_json({{"part", "decision"},
              {"row", row.name},
              {"librl", json_of(row.ours)},
              {"floor", json_of(row.floor)},
              {"times_floor", times_the_floor(row.ours, row.floor)}});
  }
  for (const ProcessesRow& row : report.processes) {
    const std::optional<double> share = share_of_floor(row);
    put_json({{"part", "processes"},
              {"row", name_of(row)},
              {"processes", row.processes},
              {"keys_each", row.is_one_key ? 1 : 1'000},
              {"librl_million_per_s", json_of(row.ours)},
              {"floor_million_per_s", json_of(row.floor)},
              {"share_of_floor", share ? Json(*share) : Json()}});
  }
}

}  // namespace

int bench(const Arguments& arguments) {
  const BenchOptions options = options_of(arguments);
  const bench::Machine machine = bench::read_machine();
  const bool json = arguments.has(Arg::json);
  if (!json) {
    put(fmt::format("librl " RL_VERSION
                    ", bench of about {} s: {} interleaved rounds, their medians\n",
                    options.seconds, BenchOptions::kRounds));
    put(text_of(machine));
    for (const std::string& warning : machine.warnings)
      put(paint(Paint::warn, fmt::format("WARNING  {}\n", warning)));
    finish_output();  // the rest takes a while
  }
  const BenchReport report = run_bench(options, machine);
  if (json) {
    put_objects(report, options);
  } else {
    put_text(report);
  }
  return 0;
}

}  // namespace rl::ctl
