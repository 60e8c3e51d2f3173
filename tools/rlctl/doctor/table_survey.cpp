#include "tools/rlctl/doctor/table_survey.hpp"

#include <algorithm>

namespace rl::ctl {

TableSurvey survey(const View& view, std::uint64_t slots_max) {
  constexpr std::uint64_t kPerPair = 8;
  TableSurvey found;
  found.slots = view.table.slot_count();
  const std::uint64_t pairs = found.slots / kPerPair;
  const std::uint64_t chosen = std::clamp<std::uint64_t>(slots_max / kPerPair, 1, pairs);
  SlotJudge judge(view);
  for (std::uint64_t i = 0; i < chosen; ++i) {
    const std::uint64_t pair = pairs / chosen * i + pairs % chosen * i / chosen;
    for (std::uint64_t index = pair * kPerPair; index < (pair + 1) * kPerPair; ++index) {
      const shm::SlotWords words = view.table.settled(view.table.slot(index));
      const JudgedSlot judged = judge.judge(index, words);
      ++found.looked_at;
      ++found.uses[static_cast<std::size_t>(judged.use)];
      ++found.faults[static_cast<std::size_t>(judged.fault)];
      if (judged.line) ++found.by_line[*judged.line];
    }
  }
  return found;
}

}  // namespace rl::ctl
