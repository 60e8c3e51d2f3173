/// \file
/// The machine that figures were measured on.
#pragma once

#include <string>
#include <vector>

namespace rl::bench {

/// Where and with what a run was made.
struct Machine {
  std::string cpu;
  unsigned cores = 0;
  std::string kernel;
  std::string compiler;
  std::string commit;
  std::string build_type;
  std::string clock;  ///< what a segment made here would use
  double load = 0;    ///< processes that wanted a CPU in the last minute, at the start
  std::vector<std::string> warnings;
};

/// Reads the machine, and warns of what makes figures worth less. Of the build it says the compiler.
Machine read_machine();

}  // namespace rl::bench
