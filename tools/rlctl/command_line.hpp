/// \file
/// The command line: which verb it asks for, and with what.
#pragma once

#include <span>
#include <string>

#include "tools/rlctl/arguments.hpp"

namespace rl::ctl {

struct Verb;

/// What the command line asks for: a verb, or a text to print.
struct Command {
  const Verb* verb = nullptr;
  Arguments arguments;
  std::string text;
};

/// Returns the verb that a command line names, whatever stands behind it; null for none. Words that
/// begin with a dash are passed over.
const Verb* verb_named(std::span<const Verb> verbs, int argc, const char* const* argv);

/// Errors: Error (bad_option) with a sentence for whatever cannot be understood.
Command parse(std::span<const Verb> verbs, int argc, const char* const* argv);

}  // namespace rl::ctl
