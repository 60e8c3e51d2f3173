/// \file
/// Files whose locks must end with this process, also when it leaves forked children behind.
///
/// A lock of the kernel (OFD) belongs to the open file description, which a forked child shares: it
/// would live as long as the child. So each child, before fork() returns in it, puts a description
/// of its own behind every number noted here. The number still shows the file, which a rescue needs
/// when the name is gone, but there is no lock behind it.
///
/// Not covered, and then the lock lives on until the child calls the library, executes a program or
/// ends: children of _Fork, vfork or a bare clone, which run no handlers; more files than there is
/// room for here; and a fork that another thread makes in the few instructions between opening a
/// file and noting it. Where the file cannot be opened anew (no /proc, no right, no number left)
/// the child has no descriptor of it, and cannot bring a segment back whose name is gone.
#pragma once

#include <sys/types.h>

#include <atomic>

namespace rl::shm {

/// How many files of one process can be noted: one for each segment that it has open.
inline constexpr int kForkFilesMax = 64;

/// Where a file was noted, or kNotNoted.
using ForkFile = int;
inline constexpr ForkFile kNotNoted = -1;

/// Has each forked child run `handler` before fork() returns in it; asks the C library, which takes a
/// lock of its own, unless `registered` says that this was done. In the child there is one thread,
/// and the others' locks stay as they were: the handler calls nothing that is not
/// async-signal-safe. Two threads may both come through, and have it run twice. Not a guarded
/// static: a child that was forked inside one would wait for ever.
void in_forked_children(std::atomic<bool>& registered, void (*handler)()) noexcept;

/// Notes an open file, which `device` and `inode` tell from whatever gets its number later.
/// Progress: a walk over the places; the first call in a process registers the handler with the C
/// library, which takes a lock of its own. Threads: any.
[[nodiscard]] ForkFile note_for_forks(int fd, dev_t device, ino_t inode) noexcept;

/// Forgets a file, after it was closed.
void forget_for_forks(ForkFile file) noexcept;

}  // namespace rl::shm
