/// \file
/// What a slot of a live table is, and what is wrong with it. Reads only.
#pragma once

#include <cstdint>
#include <optional>

#include "src/core.hpp"
#include "src/lines.hpp"
#include "tools/rlctl/selftest/slot_faults.hpp"

namespace rl::ctl {

enum class SlotUse : std::uint8_t {
  free,
  live,  ///< a key that owes something
  idle,
  standing,  ///< an override, a ban, an allowed key
  permit,    ///< one that is out, or was until a moment ago
  insert,    ///< under way, or abandoned
  unknown,   ///< of a newer library's policy: nobody here can tell
  faulty,
};

struct JudgedSlot {
  SlotUse use = SlotUse::free;
  selftest::SlotFault fault = selftest::SlotFault::none;
  std::optional<std::size_t> line;  ///< of its list, 0 to 3, where the key is known
  /// What the next decision would make of one that owes too much: its policy, and its state.
  std::uint16_t mended_policy = 0;
  std::uint64_t mended_state = 0;
};

/// Judges slots of one view. Threads: one at a time.
///
/// Accuracy: whoever is judged faulty was so at an instant after its words were read, also while
/// others decide: nothing that they do leads there. That a key has a second slot is only seen with
/// labels, as without one nobody knows where its list is.
class SlotJudge {
 public:
  explicit SlotJudge(const View& view) noexcept : view_(view), lines_(view) {}

  /// Judges a slot that held these words, which were settled.
  [[nodiscard]] JudgedSlot judge(std::uint64_t index, shm::SlotWords words) noexcept;

 private:
  void judge_key(shm::SlotWords words, JudgedSlot& judged) noexcept;
  [[nodiscard]] bool is_second(std::uint64_t index, shm::SlotWords words,
                               const shm::KeyHash& hash) const noexcept;

  const View& view_;
  Lines lines_;
};

}  // namespace rl::ctl
