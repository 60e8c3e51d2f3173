/// \file
/// Which numbers there are, by name. The README's table of them is held to these.
#pragma once

#include <span>
#include <vector>

#include "tools/metrics/exposition.hpp"
#include "tools/metrics/facts.hpp"

namespace rl::metrics {

/// Returns the numbers of all segments, each family once. What is not known is left out.
std::vector<Family> families_of(std::span<const Facts> segments);

}  // namespace rl::metrics
