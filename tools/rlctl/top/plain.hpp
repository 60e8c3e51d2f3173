/// \file
/// `rlctl top` where standard output is no terminal: lines, and objects.
#pragma once

#include "tools/rlctl/top/rows.hpp"

namespace rl::ctl::live {

/// Prints what a look has found, with what was counted since the one before.
void put_look(const Look& look, const Wish& wish, bool json);

}  // namespace rl::ctl::live
