/// \file
/// Numbers as Prometheus would read them from a text.
#pragma once

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <sstream>
#include <string>

namespace rl::test {

/// The samples of a text in the exposition format, by series: name and labels as they are written.
/// Fails the test when one comes twice, or has no number.
class Numbers {
 public:
  explicit Numbers(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with('#')) continue;
      CAPTURE(line);
      const std::size_t space = line.rfind(' ');
      REQUIRE(space != line.npos);
      char* end = nullptr;
      const double value = std::strtod(line.c_str() + space, &end);
      CHECK(*end == '\0');
      CHECK(values_.emplace(line.substr(0, space), value).second);
    }
  }
  [[nodiscard]] bool has(const std::string& series) const { return values_.count(series) != 0; }
  [[nodiscard]] double at(const std::string& series) const {
    CAPTURE(series);
    REQUIRE(has(series));
    return values_.at(series);
  }
  [[nodiscard]] auto begin() const { return values_.begin(); }
  [[nodiscard]] auto end() const { return values_.end(); }

 private:
  std::map<std::string, double> values_;
};

}  // namespace rl::test
