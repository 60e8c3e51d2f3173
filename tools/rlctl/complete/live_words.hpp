/// \file
/// What is there to be typed: segments of this host, and policies and keys of one.
#pragma once

#include <vector>

#include "tools/rlctl/complete/completion.hpp"

namespace rl::ctl {

/// Returns what a place wants looked up, in order, as far as it can be typed as rlctl shows it: no key
/// with controls, of which only the beginning is known, or that would be taken for an option. At most
/// 1000 keys, and those that are found within 200 ms. Reads only; what cannot be read has none.
std::vector<Candidate> live_words(const Place& place);

}  // namespace rl::ctl
