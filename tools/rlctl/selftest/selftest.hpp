/// \file
/// The whole self-test, as rlctl runs it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tools/rlctl/selftest/chaos.hpp"
#include "tools/rlctl/selftest/part.hpp"

namespace rl::selftest {

/// Says what rounds of chaos came to.
Part tell_chaos(const ChaosCounts& counts, unsigned workers);

/// Runs the parts within about `seconds` and calls `tell` after each, when no segment and no
/// process of its own is left. Returns whether all hold. Throws Interrupted, or Error when it
/// cannot run.
bool run(std::uint64_t seconds, std::uint64_t seed, const std::function<void(const Part&)>& tell);

}  // namespace rl::selftest
