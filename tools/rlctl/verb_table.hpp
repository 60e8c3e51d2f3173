/// \file
/// What rlctl can do: one table of verbs, from which the command line is read, and help, completion
/// of shells and the check of the manual pages are made.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "tools/rlctl/options.hpp"

namespace rl::ctl {

class Arguments;

/// What help puts together.
enum class Group : std::uint8_t {
  look,     ///< reads, and changes nothing
  limits,   ///< policies
  single,   ///< what changes single keys
  state,    ///< whole segments
  machine,  ///< this host, and rlctl itself
};

/// One thing that rlctl can do. Its exit code is 0 for yes and 1 for no, or its command's; errors are
/// thrown.
struct Verb {
  Group group;
  std::string_view name;     ///< one word, or two such as "policy set"
  std::string_view summary;  ///< for help, a sentence without its dot
  std::vector<Arg> needs;    ///< in order; the segment is the first, where there is one
  std::vector<Arg> takes;    ///< optional
  std::string_view example;  ///< a whole command
  int (*run)(const Arguments&);
  int error_code = 2;  ///< the exit code after an error
};

std::span<const Verb> verbs();

/// Returns what of the verb is known by its place and stands behind --; nothing for most.
std::optional<Arg> behind_dashes(const Verb& verb) noexcept;

}  // namespace rl::ctl
