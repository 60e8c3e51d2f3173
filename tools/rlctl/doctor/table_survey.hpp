/// \file
/// What the slots of a table are, counted: all of them, or some of a large one.
#pragma once

#include <array>
#include <cstdint>

#include "tools/rlctl/doctor/slot_judge.hpp"

namespace rl::ctl {

struct TableSurvey {
  std::uint64_t slots = 0;              ///< of the table
  std::uint64_t looked_at = 0;          ///< fewer: the others are taken to be like these
  std::array<std::uint64_t, 8> uses{};  ///< by SlotUse
  std::array<std::uint64_t, selftest::kSlotFaults> faults{};  ///< by SlotFault
  std::array<std::uint64_t, 4> by_line{};  ///< keys, by which line of their list they are in

  [[nodiscard]] std::uint64_t of(SlotUse use) const noexcept {
    return uses[static_cast<std::size_t>(use)];
  }
  [[nodiscard]] std::uint64_t of(selftest::SlotFault fault) const noexcept {
    return faults[static_cast<std::size_t>(fault)];
  }
  [[nodiscard]] bool is_sampled() const noexcept { return looked_at < slots; }
  /// Returns the slots that no new key may take for nothing, of those that were looked at.
  [[nodiscard]] std::uint64_t taken() const noexcept {
    return of(SlotUse::live) + of(SlotUse::standing) + of(SlotUse::permit);
  }
  /// Returns their share, 0 to 1.
  [[nodiscard]] double fill() const noexcept {
    return looked_at != 0 ? static_cast<double>(taken()) / static_cast<double>(looked_at) : 0;
  }
};

/// Looks at all slots, or at most at so many, in pairs that lie evenly.
TableSurvey survey(const View& view, std::uint64_t slots_max);

}  // namespace rl::ctl
