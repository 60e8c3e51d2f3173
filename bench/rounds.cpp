#include "bench/rounds.hpp"

#include <algorithm>
#include <numeric>
#include <stdexcept>
#include <utility>

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

/// A turn is taken in so many parts, with those of the others in between: a neighbour on the same
/// core comes and goes within a second, and is to meet everybody.
constexpr unsigned kParts = 5;

double time_once(const Contender& contender, unsigned part, benchmark::IterationCount steps) {
  benchmark::RegisterBenchmark(contender.name.c_str(), [&](benchmark::State& state) {
    contender.body(state, part);
  })->Iterations(steps);
  Stopwatch stopwatch;
  benchmark::RunSpecifiedBenchmarks(&stopwatch);
  benchmark::ClearRegisteredBenchmarks();
  return stopwatch.ns();
}

/// Makes one figure of the parts of each turn: all have as many steps.
void join_parts(Result& result) {
  const std::vector<double> parts = std::exchange(result.samples, {});
  for (auto part = parts.begin(); part != parts.end(); part += kParts)
    result.samples.push_back(std::accumulate(part, part + kParts, 0.0) / kParts);
}

}  // namespace

std::vector<Result> compare(const std::string& row, const std::vector<Contender>& contenders,
                            const Options& options, double seconds) {
  if (options.quick) seconds = 0.002;
  const double part_ns = seconds * 1e9 / kParts;
  std::vector<Result> results;
  std::vector<benchmark::IterationCount> steps;
  for (const Contender& contender : contenders) {
    results.push_back({row, contender.name, {}});
    // Twice: the first run is short and cold, and says little.
    double ns = time_once(contender, 0, 1'000);
    ns = time_once(contender, 0, std::max(1'000L, static_cast<long>(part_ns / ns)));
    steps.push_back(std::max(1'000L / kParts, static_cast<long>(part_ns / ns)));
  }
  take_turns(results, options.turns() * kParts, [&](std::size_t i, unsigned part) {
    return time_once(contenders[i], part, steps[i]);
  });
  std::for_each(results.begin(), results.end(), join_parts);
  return results;
}

}  // namespace rl::bench
