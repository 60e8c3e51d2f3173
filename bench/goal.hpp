/// \file
/// What a figure is held to. Whether it keeps to that is said by what was measured, never by hand.
#pragma once

#include <fmt/format.h>

#include <limits>
#include <string>

namespace rl::bench {

/// The least and the most that a figure may be, both included.
struct Bounds {
  double least = 0;
  double most = std::numeric_limits<double>::infinity();

  [[nodiscard]] bool hold(double figure) const noexcept {
    return least <= figure && figure <= most;
  }
  [[nodiscard]] std::string text() const {
    if (least == 0) return fmt::format("<= {:.4g}", most);
    if (most == std::numeric_limits<double>::infinity()) return fmt::format(">= {:.4g}", least);
    return fmt::format("{:.4g} to {:.4g}", least, most);
  }
};

constexpr Bounds at_most(double most) noexcept {
  return {.most = most};
}
constexpr Bounds at_least(double least) noexcept {
  return {.least = least};
}

/// What a row is held to: bounds for the median of its first contender divided by that of another.
struct Goal {
  std::string beside;
  Bounds bounds;
};

/// A goal, and the figure that was held to it.
struct Held {
  std::string row;
  std::string what;
  double figure;
  Bounds bounds;

  [[nodiscard]] bool is_met() const noexcept { return bounds.hold(figure); }
  [[nodiscard]] std::string text() const {
    return fmt::format("{} {}", bounds.text(), is_met() ? "met" : "missed");
  }
};

}  // namespace rl::bench
