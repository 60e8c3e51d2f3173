/// \file
/// Instants that share a word with something else are told in ticks of 2^26 ns (67 ms).
#pragma once

#include "src/verdict.hpp"

namespace rl {

inline constexpr int kTickBits = 26;
inline constexpr std::uint64_t kTickNs = std::uint64_t{1} << kTickBits;

/// With 36 bits a tick names an instant once and for all, up to kTimeMax. The last of them is no
/// instant: it says for ever.
inline constexpr int kWholeTickBits = 36;
inline constexpr std::uint64_t kTickForEver = (std::uint64_t{1} << kWholeTickBits) - 1;

/// Returns the first tick not before an instant; never the one that says for ever.
constexpr std::uint64_t tick_not_before(std::uint64_t ns) noexcept {
  const std::uint64_t tick = (std::min(ns, kTimeMax) + (kTickNs - 1)) >> kTickBits;
  return std::min(tick, kTickForEver - 1);
}

}  // namespace rl
