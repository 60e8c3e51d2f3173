#include "tools/rlctl/selftest/table_check.hpp"

#include <fmt/format.h>

#include <set>
#include <unordered_map>

#include "src/core.hpp"
#include "tools/rlctl/selftest/admissions.hpp"
#include "tools/rlctl/selftest/slot_faults.hpp"

namespace rl::selftest {
namespace {

/// The policies that the list holds, by their ids.
std::set<std::uint16_t> check_policies(const shm::Mapping& mapping, bool is_ours,
                                       TableCheck& check) {
  const shm::PolicyTable policies(mapping);
  std::set<std::uint16_t> ids;
  std::set<std::string> names;
  policies.walk([&](std::uint16_t id) {
    const auto fault = [&](std::string_view what) {
      check.faults.push_back(fmt::format("policy {}: {}", id, what));
    };
    if (!ids.insert(id).second) {
      fault("the list of policies is a ring");
      return true;
    }
    const auto constants = policies.read(id);
    if (!constants) {
      fault("it is on the list and not whole");
    } else if (is_ours && !policy_from(*constants)) {
      fault("its numbers make no limit");
    } else if (is_ours && !names.emplace(shm::name_of(*constants)).second) {
      fault("another has its name");
    }
    // What replaced it; a chain of successors ends, or it is a ring.
    for (std::uint16_t next = policies.successor(id); next != 0; next = policies.successor(next)) {
      if (!ids.insert(next).second) {
        fault(fmt::format("its successor {} is on the list or a successor already", next));
        break;
      }
    }
    return false;
  });
  const std::uint32_t next = mapping.header().policy_next.load(std::memory_order_relaxed);
  if (!ids.empty() && next <= *ids.rbegin())
    check.faults.push_back(fmt::format("the id {} of a policy would be given out again", next));
  check.policies = ids.size();
  return ids;
}

/// A debt is held to what passes at once, as nobody here charges or reserves more; a window that is
/// named, to what a clock may be ahead.
bool owes_too_much(const Parameters& parameters, std::uint64_t state, std::uint64_t latest_ns) {
  const auto* const bucket = std::get_if<TokenBucket>(&parameters);
  return bucket != nullptr ? state > latest_ns + bucket->tolerance_ns
                           : is_beyond_horizon(parameters, state, latest_ns);
}

}  // namespace

TableCheck check_table(const shm::Mapping& mapping, std::optional<std::uint64_t> latest_ns) {
  TableCheck check;
  const shm::PolicyTable policies(mapping);
  const std::set<std::uint16_t> ids = check_policies(mapping, latest_ns.has_value(), check);
  const shm::Table<shm::Slot> table = mapping.table();
  std::unordered_map<std::uint64_t, std::uint64_t> slot_of;
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    const shm::SlotWords words = table.settled(table.slot(i));
    const auto fault = [&](std::string_view what) {
      check.faults.push_back(
          fmt::format("slot {} ({:016x} {:016x}): {}", i, words.tag, words.state, what));
    };
    if (const SlotFault of_words = fault_of(words); of_words != SlotFault::none)
      fault(to_string(of_words));
    if (shm::is_tentative(words.tag)) ++check.tentatives;
    if (!shm::is_member(words.tag)) continue;
    ++check.members;
    const auto [other, is_new] = slot_of.try_emplace(shm::identity_of(words.tag), i);
    if (!is_new) fault(fmt::format("its key has slot {}, too", other->second));
    const std::uint16_t id = shm::policy_of(words.tag);
    if (!ids.contains(id)) {
      fault(to_string(SlotFault::unknown_policy));
      continue;
    }
    const auto constants = policies.read(id);
    const auto policy = constants ? policy_from(*constants) : std::nullopt;
    if (latest_ns && policy && owes_too_much(policy->parameters, words.state, *latest_ns))
      fault(to_string(SlotFault::owes_too_much));
  }
  return check;
}

TableCheck check_table(const std::string& path) {
  const View view(shm::Mapping::attach(path, shm::Access::read_only, false), path);
  const std::uint64_t slack = view.clock.left_tsc() ? kHealSlackNs : std::uint64_t{kSkewNs};
  return check_table(view.mapping, view.clock.now() + slack);
}

}  // namespace rl::selftest
