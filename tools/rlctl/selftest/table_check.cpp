#include "tools/rlctl/selftest/table_check.hpp"

#include <fmt/format.h>

#include <unordered_map>

#include "src/core.hpp"

namespace rl::selftest {

TableCheck check_table(const std::string& path) {
  const View view(shm::Mapping::attach(path, shm::Access::read_only, false), path);
  const std::uint64_t now = view.clock.now();
  TableCheck check;
  std::unordered_map<std::uint64_t, std::uint64_t> slot_of;
  for (std::uint64_t i = 0; i < view.table.slot_count(); ++i) {
    const shm::SlotWords words = view.table.settled(view.table.slot(i));
    const auto fault = [&](std::string_view what) {
      check.faults.push_back(
          fmt::format("slot {} ({:016x} {:016x}): {}", i, words.tag, words.state, what));
    };
    if (shm::is_free(words)) continue;
    if (shm::is_tentative(words.tag)) {
      ++check.tentatives;
      if (words.state == 0) fault("an insert without a nonce");
      continue;
    }
    if (!shm::is_member(words.tag)) {
      fault("neither free, nor an insert, nor a key");
      continue;
    }
    ++check.members;
    const auto [other, is_new] = slot_of.try_emplace(shm::identity_of(words.tag), i);
    if (!is_new) fault(fmt::format("its key has slot {}, too", other->second));
    const auto constants = view.policies.read(shm::policy_of(words.tag));
    const auto policy = constants ? policy_from(*constants) : std::nullopt;
    if (!policy) {
      fault("its policy cannot be read");
    } else if (is_beyond_horizon(policy->bucket, words.state, now)) {
      fault("it owes more than its limit allows");
    }
  }
  return check;
}

}  // namespace rl::selftest
