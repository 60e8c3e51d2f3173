/// \file
/// The chart that `explain` draws of a limit.
#pragma once

#include "tools/rlctl/admission_curve.hpp"

namespace rl::ctl {

/// Prints how much is admitted over time to a client that always asks; nothing for permits.
void put_admissions(const Limit& limit);

}  // namespace rl::ctl
