/// \file
/// The arguments that a verb was given.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "tools/rlctl/options.hpp"

namespace rl::ctl {

/// What was given, as text; each verb reads the numbers that it needs.
class Arguments {
 public:
  void set(Arg arg, std::string text) { texts_[index(arg)] = std::move(text); }
  [[nodiscard]] bool has(Arg arg) const noexcept { return texts_[index(arg)].has_value(); }
  /// Returns the text, empty when it was not given.
  [[nodiscard]] const std::string& text(Arg arg) const noexcept;
  /// Errors: Error (bad_option) for what is no number or above `most`.
  [[nodiscard]] std::uint64_t count(
      Arg arg, std::uint64_t otherwise,
      std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) const;

 private:
  static std::size_t index(Arg arg) noexcept { return static_cast<std::size_t>(arg); }
  std::array<std::optional<std::string>, kArgCount> texts_;
};

}  // namespace rl::ctl
