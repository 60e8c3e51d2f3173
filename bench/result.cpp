#include "bench/result.hpp"

#include <algorithm>
#include <functional>

namespace rl::bench {
namespace {

template <class Combine>
std::vector<double> by_round(const Result& a, const Result& b, Combine combine) {
  std::vector<double> all(a.samples.size());
  std::transform(a.samples.begin(), a.samples.end(), b.samples.begin(), all.begin(), combine);
  return all;
}

}  // namespace

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

std::vector<double> differences(const Result& more, const Result& less) {
  return by_round(more, less, std::minus<>());
}

std::vector<double> quotients(const Result& result, const Result& other) {
  return by_round(result, other, std::divides<>());
}

}  // namespace rl::bench
