#include "tools/rlctl/doctor/slot_judge.hpp"

#include "src/follow.hpp"

namespace rl::ctl {

using selftest::SlotFault;

JudgedSlot SlotJudge::judge(std::uint64_t index, shm::SlotWords words) noexcept {
  JudgedSlot judged;
  judged.fault = selftest::fault_of(words);
  if (judged.fault != SlotFault::none) {
    judged.use = SlotUse::faulty;
  } else if (shm::is_tentative(words.tag)) {
    judged.use = SlotUse::insert;
  } else if (shm::is_member(words.tag)) {
    judge_key(words, judged);
    const auto hash = lines_.hash_of(index, words.tag);
    if (!hash || judged.use == SlotUse::faulty) return judged;
    const std::size_t line = view_.table.candidates(*hash).line_of(index);
    if (line >= shm::CandidateList::kLines) return judged;  // a label gone wrong
    judged.line = line;
    if (is_second(index, words, *hash)) {
      judged.use = SlotUse::faulty;
      judged.fault = SlotFault::second_slot;
    }
  }
  return judged;
}

void SlotJudge::judge_key(shm::SlotWords words, JudgedSlot& judged) noexcept {
  const std::uint64_t time = view_.clock.now();  // after the words
  const bool has_time = time != shm::Clock::kNoTime;
  Follower follower(view_, view_.clock);
  const Followed at =
      follower.follow(shm::policy_of(words.tag), words.state, has_time ? time : 0, 0);
  if (at.policy == nullptr) {
    // An id that is none, as against one of a newer library, or one whose entry is damaged: who noted
    // it before goes on deciding by it.
    const bool is_known = at.id != 0 || shm::policy_of(words.tag) <= view_.policies.used();
    judged.use = is_known ? SlotUse::unknown : SlotUse::faulty;
    judged.fault = is_known ? SlotFault::none : SlotFault::unknown_policy;
    return;
  }
  const Parameters& parameters = at.policy->parameters;
  if (has_time && is_beyond_horizon(parameters, at.state, at.now_ns)) {
    judged.use = SlotUse::faulty;
    judged.fault = SlotFault::owes_too_much;
    judged.mended_policy = at.id;
    judged.mended_state = cut(parameters, at.state, at.now_ns);
  } else if (is_standing(at.policy->kind)) {
    judged.use = SlotUse::standing;
  } else if (has_time && is_idle(parameters, at.state, at.now_ns)) {
    judged.use = SlotUse::idle;
  } else {
    const bool is_permit =
        std::holds_alternative<Concurrency>(parameters) && kind_of(at.state) == WordKind::permit;
    judged.use = is_permit ? SlotUse::permit : SlotUse::live;
  }
}

/// A key is found in the first of its slots, so one behind that is in nobody's use. The words are
/// looked at again, as a key may have lost this slot, and come back in the other, in between.
bool SlotJudge::is_second(std::uint64_t index, shm::SlotWords words,
                          const shm::KeyHash& hash) const noexcept {
  const std::uint64_t first = view_.table.find(hash);
  return first != view_.table.kNowhere && first != index &&
         view_.table.settled(view_.table.slot(index)) == words && view_.table.find(hash) == first;
}

}  // namespace rl::ctl
