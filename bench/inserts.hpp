/// \file
/// What a decision takes on a key that was never seen before.
#pragma once

#include <cstdint>
#include <string>

#include "bench/common.hpp"

namespace rl::bench {

/// Adds a row for new keys beside known ones, both at random, in a table that promises room for so
/// many and has half of them. `of` names the row that it goes with; turns last `seconds`.
void add_insert_row(Report& report, const std::string& of, std::uint32_t promised, double seconds);

}  // namespace rl::bench
