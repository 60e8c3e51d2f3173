/// \file
/// Where hostile files lie: one path for a program and its children, one file after the other. And
/// nothing stays of them when the program ends, however it ends: a janitor, a process in a session
/// of its own, waits for the end of them all and removes what is left, also after a SIGKILL. A
/// program that ends by itself and has left something is a failure: its exit code is 1.
#pragma once

#include <string>

namespace rl::hostile {

/// Returns a path that no other program has: tools/test removes leftovers by its prefix.
const std::string& scratch_path();

/// Removes the scratch file, and the copy of it, which a trial that failed may have left.
void remove_scratch() noexcept;

/// Makes this process, a child, end with its parent: what never ends by itself would go on for
/// ever, and the janitor would wait for it.
void end_with_parent() noexcept;

}  // namespace rl::hostile
