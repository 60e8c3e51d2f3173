/// \file
/// A drawing as SVG, which reads well on a light page and on a dark one: nothing behind it, and
/// colours of middle brightness.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rl::ctl {

class Svg {
 public:
  enum class Ink : std::uint8_t { text, grid, calm, alarm };
  enum class Anchor : std::uint8_t { start, middle, end };
  struct Point {
    double x;
    double y;
  };

  Svg(double width, double height, std::string_view title);

  void text(Point at, std::string_view words, Anchor anchor = Anchor::start, int size = 12);
  /// The same from below upwards, in the middle of `at`.
  void text_upwards(Point at, std::string_view words);
  void line(Point from, Point to, Ink ink, bool dashed = false);
  void rectangle(Point at, double width, double height, Ink ink);
  void polyline(const std::vector<Point>& points, Ink ink);
  void dot(Point at, double radius, Ink ink);

  /// Returns all of it, whole.
  [[nodiscard]] std::string finish() &&;

 private:
  std::string body_;
};

/// Returns about `count` round numbers from 0 to at least `greatest`, which is above 0.
std::vector<double> round_ticks(double greatest, int count);

}  // namespace rl::ctl
