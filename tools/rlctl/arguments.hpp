/// \file
/// The arguments that a verb was given.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "tools/rlctl/options.hpp"

namespace rl::ctl {

/// What was given, as text; each verb reads the numbers that it needs.
class Arguments {
 public:
  using Values = std::vector<std::string>;

  void set(Arg arg, std::string value) { set(arg, Values{std::move(value)}); }
  /// For what takes many values, each as it stood on the command line.
  void set(Arg arg, Values values);
  [[nodiscard]] bool has(Arg arg) const noexcept { return given_[index(arg)].has_value(); }
  /// Returns all that was given, with a space between values; empty when nothing was.
  [[nodiscard]] const std::string& text(Arg arg) const noexcept;
  /// Returns the values one by one; none when none was given.
  [[nodiscard]] const Values& values(Arg arg) const noexcept;
  /// Errors: Error (bad_option) for what is no number or above `most`.
  [[nodiscard]] std::uint64_t count(
      Arg arg, std::uint64_t otherwise,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const;

 private:
  static std::size_t index(Arg arg) noexcept { return static_cast<std::size_t>(arg); }

  struct Given {
    Values values;
    std::string text;
  };
  std::array<std::optional<Given>, kArgCount> given_;
};

}  // namespace rl::ctl
