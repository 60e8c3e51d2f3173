// bench/goal.hpp: whether a figure keeps to its bounds is computed, and said as it is.
#include <limits>

#include <doctest/doctest.h>

#include "bench/goal.hpp"

namespace rl::test {
namespace {

using bench::at_least;
using bench::at_most;
using bench::Bounds;
using bench::Held;

TEST_CASE("bounds_hold_what_lies_between_them_and_themselves") {
  CHECK(at_most(1.2).hold(1.2));
  CHECK_FALSE(at_most(1.2).hold(1.2001));  // prints as 1.20 all the same
  CHECK(at_most(0).hold(0));
  CHECK(at_least(0.95).hold(0.95));
  CHECK_FALSE(at_least(0.95).hold(0.9499));
  CHECK(Bounds{0.9, 1.1}.hold(1));
  CHECK_FALSE(Bounds{0.9, 1.1}.hold(1.11));
  CHECK_FALSE(Bounds{0.9, 1.1}.hold(0.89));
}

TEST_CASE("what_is_no_number_is_held_by_no_bounds") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_FALSE(at_most(1).hold(nan));
  CHECK_FALSE(at_least(0).hold(nan));
}

TEST_CASE("a_held_figure_says_its_bounds_and_whether_they_were_met") {
  CHECK(Held{"row", "floor", 1.1, at_most(1.15)}.text() == "<= 1.15 met");
  CHECK(Held{"row", "floor", 1.2, at_most(1.15)}.text() == "<= 1.15 missed");
  CHECK(Held{"row", "floor", 0.5, at_least(0.6)}.text() == ">= 0.6 missed");
  CHECK(Held{"row", "floor", 1, Bounds{0.9, 1.1}}.text() == "0.9 to 1.1 met");
}

}  // namespace
}  // namespace rl::test
