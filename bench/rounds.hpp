/// \file
/// Rounds A B A B: contenders take turns, so that what disturbs the machine disturbs them alike.
///
/// Google Benchmark runs and times each turn. The time is the CPU's: what other processes take is
/// not counted, what they do to the caches is.
#pragma once

#include <benchmark/benchmark.h>

#include <functional>
#include <string>
#include <vector>

#include "bench/common.hpp"

namespace rl::bench {

/// Somebody to be timed.
struct Contender {
  std::string name;
  std::function<void(benchmark::State& state, unsigned part)>
      body;  ///< the so many-th of its turns
};

/// Makes a contender of an object with start(part) and operator(), whose result is kept alive.
/// Each part of a turn begins with untimed steps that bring its data into the caches.
template <class Step>
Contender contender(std::string name, Step step) {
  return {std::move(name), [step](benchmark::State& state, unsigned part) {
            Step mine = step;
            mine.start(part);
            for (benchmark::IterationCount i = 0; i < state.max_iterations / 8; ++i) {
              benchmark::DoNotOptimize(mine());
            }
            for ([[maybe_unused]] auto _ : state) benchmark::DoNotOptimize(mine());
          }};
}

/// Runs the contenders in turns of `seconds` each, a fifth of one after a fifth of the other. Units:
/// nanoseconds a step.
std::vector<Result> compare(const std::string& row, const std::vector<Contender>& contenders,
                            const Options& options, double seconds = 0.05);

}  // namespace rl::bench
