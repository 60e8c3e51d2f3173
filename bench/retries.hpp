/// \file
/// How often a decision tries again because a rival was faster.
#pragma once

#include <vector>

#include "bench/common.hpp"

namespace rl::bench {

/// Adds a table of retries, for each number of processes on one key; runs last `seconds`, each process
/// on one of `cpus`, or where the kernel likes for 0.
void add_retries(Report& report, const std::vector<unsigned>& counts, double seconds,
                 unsigned cpus);

}  // namespace rl::bench
