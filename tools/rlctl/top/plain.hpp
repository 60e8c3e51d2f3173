/// \file
/// `rlctl top` where standard output is no terminal: lines, and objects.
#pragma once

#include <string>

#include "tools/rlctl/top/rows.hpp"

namespace rl::ctl::live {

/// Returns the lines of what a look has found, with what was counted since the one before.
std::string text_of_look(const Look& look, const Wish& wish, bool json);

}  // namespace rl::ctl::live
