/// \file
/// What others decide while a process is stopped in the middle of a call.
#pragma once

#include "bench/common.hpp"

namespace rl::bench {

/// Adds rows for decisions beside a process that is stopped inside of a call, and outside of one.
void add_beside_stopped(Report& report);

}  // namespace rl::bench
