/// \file
/// Guarantee A without disturbance: processes hammer limits that they share.
#pragma once

#include "tools/rlctl/selftest/part.hpp"
#include "tools/rlctl/selftest/processes.hpp"

namespace rl::selftest {

/// Two things, each for half of `length`. Bursts: all call one fresh key until it denies; admitted
/// must be exactly the burst. Streams: all call keys that refill and record every admission; each
/// key must keep its bound in every window. Throws Interrupted, or Error when it cannot run.
Part check_exactness(unsigned process_count, Nanoseconds length);

}  // namespace rl::selftest
