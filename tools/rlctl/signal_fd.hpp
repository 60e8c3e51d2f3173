/// \file
/// Signals that are read, between two pieces of work, rather than obeyed in the middle of one.
#pragma once

#include <initializer_list>

#include "shm/os.hpp"

namespace rl::ctl {

/// Blocks these signals for this thread and those that it starts, and returns a descriptor that is
/// readable when one has come; reading waits for none. Errors: Error (system).
shm::Fd signals_to_read(std::initializer_list<int> signals);

}  // namespace rl::ctl
