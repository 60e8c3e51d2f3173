/// \file
/// Files that verbs read.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace rl::ctl {

/// Reads a file, or standard input for "-", to its end. Errors: Error (bad_option), beginning with
/// `what`, such as "--key-file".
std::string read_whole(std::string_view what, const std::string& file);

/// Reads what there is next of a file whose name is `name`; 0 at its end. Errors: Error, as of the
/// system call.
std::size_t read_some(int fd, std::span<char> to, const std::string& name);

}  // namespace rl::ctl
