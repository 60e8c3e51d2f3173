/// \file
/// What somebody scored in interleaved rounds.
#pragma once

#include <string>
#include <vector>

namespace rl::bench {

/// What one contender scored in one row: a figure for each round.
struct Result {
  std::string row;
  std::string contender;
  std::vector<double> samples;

  [[nodiscard]] double median() const;
  [[nodiscard]] double least() const;
  [[nodiscard]] double most() const;
};

/// Returns what one scored more than another, round by round.
std::vector<double> differences(const Result& more, const Result& less);
/// Returns how many times another's it was, round by round.
std::vector<double> quotients(const Result& result, const Result& other);

/// Has them take turns, round by round, so that what disturbs the machine disturbs them alike:
/// `run(i, round)` returns the figure of results[i].
template <class Run>
void take_turns(std::vector<Result>& results, unsigned rounds, Run&& run) {
  for (unsigned round = 0; round < rounds; ++round)
    for (std::size_t i = 0; i < results.size(); ++i) results[i].samples.push_back(run(i, round));
}

}  // namespace rl::bench
