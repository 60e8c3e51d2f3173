/// \file
/// What tests of leases ask: one limit, by a clock that is moved by hand.
#pragma once

#include <chrono>
#include <string_view>

#include "tests/support.hpp"

namespace rl::test {

/// The policy "api" of a segment of its own, whose clock stands at `now`.
struct Limited {
  explicit Limited(const Limit& limit, std::chrono::nanoseconds now = std::chrono::hours(1))
      : api(segment->limiter("api", limit)) {
    segment->advance_clock(now);
  }
  explicit Limited(std::string_view limit, std::chrono::nanoseconds now = std::chrono::hours(1))
      : Limited(Limit::parse(limit), now) {}
  Scratch segment{SegmentOptions{.keys = 100, .clock = ClockSource::manual}};
  Limiter api;
};

}  // namespace rl::test
