/// \file
/// What rlctl says about itself, all of it made from the tables of verbs and of options.
#pragma once

#include <string>
#include <string_view>

namespace rl::ctl {

struct Verb;

/// Returns what can be done, a line for each verb.
std::string help();
/// Returns everything about one verb.
std::string help_on(const Verb& verb);
/// Returns a line for each verb that begins with this word, such as "policy".
std::string help_on_group(std::string_view word);

/// Returns "rlctl list SEGMENT [OPTIONS]".
std::string usage_of(const Verb& verb);

}  // namespace rl::ctl
