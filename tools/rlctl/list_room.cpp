#include "tools/rlctl/list_room.hpp"

#include <array>

#include "src/rules.hpp"

namespace rl::ctl {

Room room_for(const Binding& binding, std::string_view key) noexcept {
  const auto& table = binding.view->table;
  const auto hash = shm::KeyHash::from(binding.hasher(key.data(), key.size()));
  if (table.find(hash) != table.kNowhere) return Room::there;
  const shm::CandidateList list = table.candidates(hash);
  std::array<shm::SlotWords, shm::CandidateList::kSize> seen;
  for (int position = 0; position < shm::CandidateList::kSize; ++position)
    seen[static_cast<std::size_t>(position)] = table.settled(table.slot(list.slot_at(position)));

  CallRules<OwnTime> rules(binding, OwnTime{&binding.view->clock}, Acquire{1});
  rules.begin_judging();  // after all were read, as a call does
  bool is_one_owing = false;
  for (const shm::SlotWords& words : seen) {
    // An insert ends, or is displaced. What is corrupt is nobody's to take.
    if (shm::is_free(words) || shm::is_tentative(words.tag)) return Room::there;
    if (!shm::is_member(words.tag)) continue;
    const shm::Standing standing = rules.judge(shm::policy_of(words.tag), words.state);
    if (standing == shm::Standing::idle) return Room::there;
    is_one_owing |= standing == shm::Standing::owing;
  }
  return is_one_owing && rules.may_evict() ? Room::evicting : Room::none;
}

}  // namespace rl::ctl
