/// \file
/// Lines on standard output, for people and for scripts that wait for them.
#pragma once

#include <cstdio>
#include <string>

namespace examples {

/// Writes at once: lines must not wait in a buffer that fork() would copy. That nobody reads is not
/// an error of ours.
inline void say(const std::string& line) {
  std::fputs((line + '\n').c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace examples
