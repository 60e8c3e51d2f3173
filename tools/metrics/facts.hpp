/// \file
/// What is known of a segment when somebody asks for its numbers.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rl/rl.hpp>

namespace rl::metrics {

/// What only somebody knows who has looked at all slots.
struct SlotCounts {
  std::uint64_t live = 0;
  std::uint64_t standing = 0;
  std::uint64_t permits_out = 0;
};

/// What is known of a segment that can be read.
struct Known {
  SegmentInfo vitals;
  ReaperInfo reaper;
  Totals totals;
  std::vector<std::pair<std::string, Comparison>> trials;  ///< by policy
  std::optional<SlotCounts> slots;
  std::vector<DeniedKey> most_denied;  ///< the most denied first
};

struct Facts {
  std::string segment;         ///< as it was asked for
  std::optional<Known> known;  ///< absent: it cannot be read
};

/// Asks a segment for all but the counts of its slots, none of which is looked at.
Known known_of(const Segment& segment);

/// Looks at every slot.
SlotCounts count_slots(const Segment& segment);

}  // namespace rl::metrics
