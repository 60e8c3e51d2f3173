#include "tools/metrics/facts.hpp"

namespace rl::metrics {
namespace {

std::vector<std::pair<std::string, Comparison>> trials_of(const Segment& segment) {
  std::vector<std::pair<std::string, Comparison>> trials;
  for (const PolicyInfo& policy : segment.policies()) {
    if (!policy.candidate) continue;
    try {
      if (auto comparison = segment.compare(policy.name))
        trials.emplace_back(policy.name, std::move(*comparison));
    } catch (const Error&) {  // it was removed just now, or is damaged: nothing is known of it
    }
  }
  return trials;
}

}  // namespace

Known known_of(const Segment& segment) {
  return {.vitals = segment.vitals(),
          .reaper = segment.reaper(),
          .totals = segment.totals(),
          .trials = trials_of(segment),
          .slots = std::nullopt,
          .most_denied = {}};
}

SlotCounts count_slots(const Segment& segment) {
  SlotCounts counts;
  segment.for_each_key([&](const KeyInfo& key) {
    if (key.standing != Standing::none) {
      ++counts.standing;
    } else if (key.idle) {
      return;
    } else if (key.part == SlotPart::permit) {
      ++counts.permits_out;
    } else {
      ++counts.live;
    }
  });
  return counts;
}

}  // namespace rl::metrics
