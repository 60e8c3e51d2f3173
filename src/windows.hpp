/// \file
/// Windows that are aligned to the Unix epoch, and states that name one: what the algorithms that
/// count by windows share. Pure functions, no clock, no atomics.
///
/// A window is W long and begins where Unix time is a multiple of W, in UTC as it stood when the
/// segment was made; `phase` is that Unix time, at the segment's time 0, modulo W. So
///
///     end(now) = now + W - (now + phase) mod W,  the first instant after the window of `now`
///
/// A state is the end of a window plus what was counted in it, `packed` < W: the window's end is
/// the last one not after the state, so both are recovered, and no index of a window is stored that
/// could wrap. A later window makes a larger state, whatever was counted: states never decrease.
///
///     state     ... | end, packed 0 | end + 1, packed 1 | ... | end + W = the next window's | ...
///
/// In the first window there is no window before it, so a state below its end, 0 among them, counts
/// as never seen. Units: ns on the segment's clock. Overflow: W is at most 2^60 and an instant at
/// most 2^62 + 1 s, so a state stays below 2^63.
///
/// A call is decided in the window of `now`, but never in an earlier one than the state names: its
/// writer's clock may have been ahead of ours by some ns, or ours stepped back.
#pragma once

#include "src/verdict.hpp"

namespace rl {

struct Windows {
  std::uint64_t window_ns = 1;  ///< W
  std::uint64_t phase_ns = 0;
  std::uint64_t reciprocal = ~std::uint64_t{0};  ///< divides by W without a division

  static constexpr std::uint64_t kWindowMax = std::uint64_t{1} << 60;  // 36 years

  /// Requires 1 <= window_ns <= kWindowMax. A phase is taken modulo W.
  static constexpr Windows of(std::uint64_t window_ns, std::uint64_t phase_ns) noexcept {
    return {window_ns, phase_ns % window_ns, reciprocal_of(window_ns)};
  }

  /// Returns the end of the window that an instant, at most 2^62 + 2^61, lies in.
  [[nodiscard]] constexpr std::uint64_t end_of(std::uint64_t ns) const noexcept {
    const std::uint64_t since = ns + phase_ns;
    return ns + window_ns - (since - divide(since, window_ns, reciprocal) * window_ns);
  }

  /// Returns the end of the window that a state names. Requires a state of window 0 or later that
  /// is not beyond.
  [[nodiscard]] constexpr std::uint64_t end_named_by(std::uint64_t state) const noexcept {
    return end_of(state) - window_ns;
  }

  /// Says whether a state names a window that no clock can have seen begin.
  [[nodiscard]] constexpr bool is_beyond(std::uint64_t state, std::uint64_t now_ns) const noexcept {
    const std::uint64_t latest = std::min(now_ns, kTimeMax) + kHealSlackNs;
    if (state <= latest + window_ns) [[likely]]
      return false;  // end_of(latest) is later than latest
    return state >= end_of(latest) + window_ns;
  }

  /// Brings a state that is beyond to a full window of now; leaves any other as it is.
  [[nodiscard]] constexpr std::uint64_t cut(std::uint64_t state, std::uint64_t now_ns,
                                            std::uint64_t limit) const noexcept {
    if (!is_beyond(state, now_ns)) [[likely]]
      return state;
    return end_of(std::min(now_ns, kTimeMax)) + limit;
  }

  /// Returns floor(count x part / W), for part <= W; mostly without a division.
  [[nodiscard]] constexpr std::uint64_t share(std::uint64_t count,
                                              std::uint64_t part) const noexcept {
    __extension__ using Wide = unsigned __int128;
    const Wide product = Wide{count} * part;
    if (product >> 63 == 0) [[likely]]
      return divide(static_cast<std::uint64_t>(product), window_ns, reciprocal);
    return static_cast<std::uint64_t>(product / window_ns);
  }
};

}  // namespace rl
