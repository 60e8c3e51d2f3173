#include "shm/policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace rl::shm {

std::uint64_t PolicyTable::checksum(std::uint32_t id,
                                    const PolicyConstants& constants) const noexcept {
  unsigned char bytes[sizeof id + sizeof constants];
  std::memcpy(bytes, &id, sizeof id);
  std::memcpy(bytes + sizeof id, &constants, sizeof constants);
  return Hasher(mapping_.constants().secret)(bytes, sizeof bytes).low;
}

std::optional<PolicyConstants> PolicyTable::read(std::uint16_t id) const noexcept {
  if (!is_id(id)) return std::nullopt;
  const PolicyEntry& from = entry(id);
  PolicyConstants constants;
  std::memcpy(&constants, &from.constants, sizeof constants);
  if (from.checksum != checksum(id, constants)) return std::nullopt;
  return constants;
}

std::uint16_t PolicyTable::find(std::string_view name) const noexcept {
  std::uint16_t found = 0;
  walk([&](std::uint16_t id) {
    const auto constants = read(id);
    if (constants && name_of(*constants) == name) found = id;
    return found != 0;
  });
  return found;
}

std::uint32_t PolicyTable::used() const noexcept {
  return std::min(mapping_.header().policy_next.load(std::memory_order_relaxed) - 1, capacity());
}

void PolicyTable::check_name(std::string_view name) {
  if (name.empty())
    throw Error(Errc::bad_name, "the policy's name is empty; give a name such as api");
  if (name.size() > kPolicyNameMax) {
    throw Error(Errc::bad_name, fmt::format("the policy's name has {} bytes; at most {} fit",
                                            name.size(), kPolicyNameMax));
  }
  if (std::any_of(name.begin(), name.end(),
                  [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; })) {
    throw Error(
        Errc::bad_name,
        "the policy's name has a space or a control character; use letters, digits, - and _");
  }
}

std::uint32_t PolicyTable::claim_id() const {
  HalfWord& next = mapping_.header().policy_next;
  std::uint32_t id = next.load(std::memory_order_relaxed);
  do {  // ends: each failure is another's success, and there are only so many ids
    if (!is_id(id)) {
      throw Error(Errc::too_many, fmt::format("all {} policy entries of the segment are used, and "
                                              "an id is never used twice; create "
                                              "it anew with more room (--policies)",
                                              capacity()));
    }
  } while (!next.compare_exchange_weak(id, id + 1, std::memory_order_relaxed));
  return id;
}

std::uint16_t PolicyTable::find_or_publish(const PolicyConstants& wanted,
                                           std::string_view name) const {
  check_name(name);
  PolicyConstants constants = wanted;
  std::memset(constants.name, 0, sizeof constants.name);
  std::memcpy(constants.name, name.data(), name.size());
  constants.name_bytes = static_cast<std::uint8_t>(name.size());

  std::uint32_t ours = 0;
  HalfWord* link = &mapping_.header().policy_first;
  for (std::uint32_t steps = 0; steps <= capacity(); ++steps) {
    std::uint32_t id = link->load(std::memory_order_acquire);
    if (id == 0) {
      if (ours == 0) {
        ours = claim_id();
        entry(ours).constants = constants;
        entry(ours).checksum = checksum(ours, constants);
      }
      // release: whoever reads this link, or a slot that carries the id, sees the whole entry.
      if (link->compare_exchange_strong(id, ours, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
        return static_cast<std::uint16_t>(ours);
      }
    }
    if (!is_id(id)) break;
    const auto there = read(static_cast<std::uint16_t>(id));
    if (there && name_of(*there) == name) return static_cast<std::uint16_t>(id);
    link = &entry(id).next;
  }
  throw Error(Errc::corrupt,
              "the segment's list of policies is damaged; remove the segment and create it anew");
}

}  // namespace rl::shm
