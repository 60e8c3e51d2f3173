#include "bench/rounds.hpp"

#include <algorithm>
#include <stdexcept>

namespace rl::bench {
namespace {

/// Keeps the time of the one run it is shown.
class Stopwatch : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) {
      if (run.error_occurred) throw std::runtime_error(run.error_message);
      ns_ = run.cpu_accumulated_time * 1e9 / static_cast<double>(run.iterations);
    }
  }
  [[nodiscard]] double ns() const noexcept { return ns_; }

 private:
  double ns_ = 0;
};

double time_once(const Contender& contender, unsigned round, benchmark::IterationCount steps) {
  benchmark::RegisterBenchmark(contender.name.c_str(), [&](benchmark::State& state) {
    contender.body(state, round);
  })->Iterations(steps);
  Stopwatch stopwatch;
  benchmark::RunSpecifiedBenchmarks(&stopwatch);
  benchmark::ClearRegisteredBenchmarks();
  return stopwatch.ns();
}

}  // namespace

std::vector<Result> compare(const std::string& row, const std::vector<Contender>& contenders,
                            const Options& options, double seconds) {
  if (options.quick) seconds = 0.002;
  const double turn_ns = seconds * 1e9;
  std::vector<Result> results;
  std::vector<benchmark::IterationCount> steps;
  for (const Contender& contender : contenders) {
    results.push_back({row, contender.name, {}});
    // Twice: the first run is short and cold, and says little.
    double ns = time_once(contender, 0, 1'000);
    ns = time_once(contender, 0, std::max(1'000L, static_cast<long>(turn_ns / 10 / ns)));
    steps.push_back(std::max(1'000L, static_cast<long>(turn_ns / ns)));
  }
  take_turns(results, options.turns(), [&](std::size_t i, unsigned round) {
    return time_once(contenders[i], round, steps[i]);
  });
  return results;
}

}  // namespace rl::bench
