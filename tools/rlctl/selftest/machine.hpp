/// \file
/// What the guarantees stand on here: the machine's clock and its memory.
#pragma once

#include "tools/rlctl/selftest/part.hpp"
#include "tools/rlctl/selftest/processes.hpp"

namespace rl::selftest {

/// The clock: which one is used and why, that CPUs agree on it, that it keeps pace with
/// CLOCK_BOOTTIME; and what a decision costs, which is never judged. Throws Interrupted, Error.
Part check_clock(Nanoseconds length);

/// Memory: a segment is reserved when it is made, and one that is too large is refused with the
/// needed and the free size and leaves nothing. Throws Error.
Part check_memory();

}  // namespace rl::selftest
