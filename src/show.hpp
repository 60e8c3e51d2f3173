/// \file
/// Times of a segment as people get to see them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace rl {

/// What no clock and no limit of ours can reach is cut, so that nothing is before its beginning.
inline std::chrono::nanoseconds to_shown(std::uint64_t ns) noexcept {
  constexpr auto kMost = static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count());
  return std::chrono::nanoseconds(static_cast<std::int64_t>(std::min(ns, kMost)));
}

inline std::chrono::system_clock::time_point to_wall_time(std::uint64_t unix_ns) noexcept {
  return std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(to_shown(unix_ns)));
}

}  // namespace rl
