#include "bench/result.hpp"

#include <algorithm>

namespace rl::bench {

double Result::median() const {
  std::vector<double> sorted = samples;
  std::sort(sorted.begin(), sorted.end());
  return sorted.empty() ? 0 : sorted[sorted.size() / 2];
}

double Result::least() const {
  return samples.empty() ? 0 : *std::min_element(samples.begin(), samples.end());
}

double Result::most() const {
  return samples.empty() ? 0 : *std::max_element(samples.begin(), samples.end());
}

}  // namespace rl::bench
