// bench/histogram.hpp: shares of times, told to within 1/64.
#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include <doctest/doctest.h>

#include "bench/histogram.hpp"
#include "tests/support.hpp"

namespace rl::test {
namespace {

using bench::Histogram;

TEST_CASE("an_empty_histogram_says_0") {
  const Histogram none;
  CHECK(none.total() == 0);
  CHECK(none.most() == 0);
  CHECK(none.at(0.5) == 0);
  CHECK(none.at(1) == 0);
}

TEST_CASE("each_time_alone_is_told_exactly_from_0_to_the_end_of_64_bits") {
  for (int bit = 0; bit < 64; ++bit) {
    for (const std::uint64_t around : {std::uint64_t{0}, std::uint64_t{1}, ~std::uint64_t{0}}) {
      const std::uint64_t ns = (std::uint64_t{1} << bit) + around;
      Histogram times;
      times.add(ns);
      CHECK(times.at(0.5) == ns);
      CHECK(times.most() == ns);
    }
  }
}

TEST_CASE("shares_are_told_exactly_below_128_and_at_most_one_64th_too_high_above") {
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  for (const int bits : {5, 7, 12, 30, 63}) {
    Histogram times;
    std::vector<std::uint64_t> all;
    for (int i = 0; i < 5'000; ++i) {
      const std::uint64_t ns = random() >> (64 - bits) >> random() % static_cast<unsigned>(bits);
      times.add(ns);
      all.push_back(ns);
    }
    std::sort(all.begin(), all.end());
    for (const double share : {0.0002, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      CAPTURE(share);
      const auto rank = static_cast<std::size_t>(std::ceil(share * 5'000)) - 1;
      const std::uint64_t exact = all[rank];
      CHECK(times.at(share) >= exact);
      CHECK(times.at(share) - exact <= (exact < 128 ? 0 : exact / 64));
    }
    CHECK(times.at(1) == all.back());
    CHECK(times.total() == 5'000);
  }
}

}  // namespace
}  // namespace rl::test
