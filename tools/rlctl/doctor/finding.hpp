/// \file
/// What the doctor says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace rl::ctl {

enum class Harm : std::uint8_t {
  note,     ///< good to know
  warning,  ///< something is not as it should be, or will not be soon
  bad,      ///< limits do not hold, or calls fail
};

constexpr std::string_view to_string(Harm harm) noexcept {
  switch (harm) {
    case Harm::note:
      return "note";
    case Harm::warning:
      return "warning";
    case Harm::bad:
      break;
  }
  return "bad";
}

using Number = std::variant<std::uint64_t, std::int64_t, double, std::string>;

/// Its texts are sentences without their dots; what came from a segment is escaped in them.
struct Finding {
  Harm harm = Harm::note;
  std::string symptom;
  std::string cause;
  std::string fix;  ///< a command that a shell takes as it is, or what to set
  std::vector<std::pair<std::string, Number>> numbers = {};  ///< in base units
};

/// A finding with the check that made it.
struct Found {
  std::string_view check;
  Finding finding;
};

}  // namespace rl::ctl
