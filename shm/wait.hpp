/// \file
/// Waiting for an instant of a segment's clock.
#pragma once

#include <cstdint>

#include "shm/clock.hpp"

namespace rl::shm {

/// Sleeps until the clock is at `at_ns`, which is `most_ns` away; signals do not cut it short.
/// Returns true then.
///
/// The clock's words are input, and may be set back while we sleep: true, too, when by the kernel's
/// own clock `most_ns` are over, with the drift allowed between the two, and a second. A manual
/// clock is looked at each millisecond; false when nobody has moved it on for as long as that.
/// Accuracy: never early by the two clocks; late by what the kernel takes to wake a process.
bool wait_until(const Clock& clock, std::uint64_t at_ns, std::uint64_t most_ns) noexcept;

}  // namespace rl::shm
