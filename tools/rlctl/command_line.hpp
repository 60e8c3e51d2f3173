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

/// Errors: Error (bad_option) with a sentence for whatever cannot be understood.
Command parse(std::span<const Verb> verbs, int argc, const char* const* argv);

}  // namespace rl::ctl
