/// \file
/// What a decision takes beside a sweep, each one timed: a sweep must not be felt by those who ask.
#pragma once

#include "bench/common.hpp"

namespace rl::bench {

/// Adds rows for the median and the 99th percentile of decisions, beside a sweep and without.
void add_beside_sweep(Report& report);

}  // namespace rl::bench
