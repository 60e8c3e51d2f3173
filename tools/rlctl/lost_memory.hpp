/// \file
/// What is left to do when a segment's memory goes away while it is looked at.
#pragma once

namespace rl::ctl {

/// Who may write a segment's file may cut it short while it is mapped, which no reader can prevent:
/// touching what is gone is SIGBUS. From here on that is an error as any other, one sentence and this
/// exit code, and not a crash. What was not written by then is not.
void say_when_memory_is_lost(int exit_code = 2) noexcept;

/// Has this file removed at such an end, as it will not be finished; null: none. One at a time. The text
/// has to stay where it is until then.
void remove_as_memory_is_lost(const char* path) noexcept;

/// Says so at once, and ends. Only what a handler of signals may do.
[[noreturn]] void end_as_memory_is_lost() noexcept;

}  // namespace rl::ctl
