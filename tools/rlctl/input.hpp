/// \file
/// Files that verbs read.
#pragma once

#include <string>
#include <string_view>

namespace rl::ctl {

/// Reads a file, or standard input for "-", to its end. Errors: Error (bad_option), beginning with
/// `what`, such as "--key-file".
std::string read_whole(std::string_view what, const std::string& file);

}  // namespace rl::ctl
