#include "tools/rlctl/doctor/damage.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

namespace rl::ctl {
namespace {

using selftest::SlotFault;

/// As long as a sweep waits (src/sweep.hpp): an insert that is alive takes some microseconds.
constexpr std::chrono::seconds kUnchanged{1};

}  // namespace

std::vector<Damage> damage_of(const View& view) {
  std::vector<Damage> damage;
  bool has_inserts = false;
  SlotJudge judge(view);
  for (std::uint64_t index = 0; index < view.table.slot_count(); ++index) {
    const shm::SlotWords words = view.table.settled(view.table.slot(index));
    const JudgedSlot judged = judge.judge(index, words);
    if (judged.use != SlotUse::faulty && judged.use != SlotUse::insert) continue;
    has_inserts |= judged.use == SlotUse::insert;
    damage.push_back({index, words, judged});
  }
  if (!has_inserts) return damage;
  std::this_thread::sleep_for(kUnchanged);
  std::erase_if(damage, [&](const Damage& d) {
    return d.judged.use == SlotUse::insert && view.table.slot(d.index).words() != d.words;
  });
  return damage;
}

bool mend(View& view, const Damage& damage) {
  const shm::SlotWords words = view.table.settled(view.table.slot(damage.index));
  if (words != damage.words) return false;
  // Judged anew: a policy may have been published since, or time have come to explain a debt.
  const JudgedSlot now = SlotJudge(view).judge(damage.index, words);
  if (now.use != damage.judged.use || now.fault != damage.judged.fault) return false;
  if (now.fault != SlotFault::owes_too_much) {
    return view.table.free_if(damage.index,
                              [&](shm::SlotWords seen) { return seen == damage.words; });
  }
  const auto cut = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const bool is_same = policy == shm::policy_of(words.tag) && state == words.state;
    return shm::Transition{is_same ? shm::Transition::store : shm::Transition::keep,
                           is_same ? now.mended_policy : policy,
                           is_same ? now.mended_state : state};
  };
  const bool is_settled = view.table.step_member_at(damage.index, shm::identity_of(words.tag), cut);
  const bool is_cut = is_settled && view.table.slot(damage.index).words() != words;
  // relaxed: counted for people, as where a call cuts one.
  if (is_cut) view.mapping.header().health.clamped.fetch_add(1, std::memory_order_relaxed);
  return is_cut;
}

std::string_view mended_to(const Damage& damage) noexcept {
  return damage.judged.fault == SlotFault::owes_too_much ? "cut to its limit" : "freed";
}

std::string_view wrong_with(const Damage& damage) noexcept {
  return damage.judged.use == SlotUse::insert ? "an insert that was abandoned"
                                              : selftest::to_string(damage.judged.fault);
}

}  // namespace rl::ctl
