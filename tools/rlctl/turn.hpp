/// \file
/// Calls and permits that wait for their turn. As Limiter::acquire_for, but of lists and of permits,
/// too, and a signal ends the wait: what was charged for it is given back, as far as Limiter::refund can
/// (not what somebody has queued behind), and then the signal ends this process as if it had never been
/// held back.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include <rl/rl.hpp>

#include "tools/rlctl/held_signals.hpp"

namespace rl::ctl {

/// What is asked of whom, and how long it may wait.
struct Wish {
  const Segment& segment;
  Limiters& limiters;
  std::string_view key;
  std::uint64_t cost = 1;
  /// Without, the call is made once, and what it waits for is only what a leaky bucket with a delay
  /// tells it to.
  std::optional<std::chrono::nanoseconds> wait = {};
};

/// Makes a call; one that is allowed may go ahead when this returns. Denied at once when its turn
/// would not come in time; Decision::wait says how long it was waited, and Decision::reset_after
/// counts from there. One limit has a line, first come, first served (Limiter::reserve); for a window
/// and for a list it is tried again whenever all may have room.
///
/// Accuracy: never early. On a manual clock that nobody moves for as long as it was to wait, and a
/// second, the call is denied.
AllOf take_turn(const Wish& wish, const HeldSignals& signals);

/// Takes a permit of the first limiter, and looks again and again until one is had or the time is
/// over: there is no line, and nobody tells who waits that one was given back. A look is counted as
/// a denial twice a second at most; those of the dead are had again by these.
Permit take_permit(const Wish& wish, const HeldSignals& signals);

}  // namespace rl::ctl
