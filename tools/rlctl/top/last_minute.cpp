#include "tools/rlctl/top/last_minute.hpp"

#include <algorithm>
#include <cmath>

namespace rl::ctl::live {
namespace {

constexpr auto kPlaces = static_cast<std::int64_t>(LastMinute::kSeconds) + 1;

std::size_t place_of(std::int64_t second) {
  return static_cast<std::size_t>((second % kPlaces + kPlaces) % kPlaces);
}

}  // namespace

/// Goes on to a second; those in between had nothing.
void LastMinute::come_to(std::int64_t second) {
  const std::int64_t cleared = std::min<std::int64_t>(second - now_, kPlaces);
  for (std::int64_t i = 0; i < cleared; ++i) counts_[place_of(second - i)] = 0;
  now_ = std::max(now_, second);
}

void LastMinute::add(double from_s, double to_s, double count) {
  const double length = to_s - from_s;
  if (!(length > 0)) return;
  if (is_new_) {
    is_new_ = false;
    now_ = static_cast<std::int64_t>(std::floor(from_s));
    first_ = now_;
  }
  // What lies before the minute is over.
  double at = std::max(from_s, to_s - static_cast<double>(kPlaces));
  while (at < to_s) {  // ends: `at` comes to the next second each time
    const double second = std::floor(at);
    const double end = std::min(second + 1, to_s);
    come_to(static_cast<std::int64_t>(second));
    counts_[place_of(now_)] += static_cast<float>(count * (end - at) / length);
    at = end;
  }
  come_to(static_cast<std::int64_t>(std::floor(to_s)));
}

std::vector<double> LastMinute::rates(std::size_t most) const {
  std::vector<double> rates;
  const auto seconds = static_cast<std::int64_t>(std::min(most, kSeconds));
  for (std::int64_t second = std::max(first_, now_ - seconds); second < now_; ++second)
    rates.push_back(static_cast<double>(counts_[place_of(second)]));
  return rates;
}

}  // namespace rl::ctl::live
