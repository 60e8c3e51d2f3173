#include "shm/policies.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

namespace rl::shm {
namespace {

bool is_root_of(const PolicyConstants& constants, std::string_view name) noexcept {
  return constants.kind == PolicyKind::limit && name_of(constants) == name;
}

}  // namespace

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
    if (constants && is_root_of(*constants, name)) found = id;
    return found != 0;
  });
  return found;
}

bool PolicyTable::have_one_name(std::uint16_t a, std::uint16_t b) const noexcept {
  const auto one = read(a);
  const auto other = read(b);
  return one && other && name_of(*one) == name_of(*other);
}

std::uint32_t PolicyTable::used() const noexcept {
  return std::min(mapping_.header().policy_next.load(std::memory_order_relaxed) - 1, capacity());
}

bool PolicyTable::can_be_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= kPolicyNameMax &&
         std::none_of(name.begin(), name.end(),
                      [](char c) { return static_cast<unsigned char>(c) <= ' ' || c == 0x7f; });
}

void PolicyTable::check_name(std::string_view name) {
  if (name.empty())
    throw Error(Errc::bad_name, "the policy's name is empty; give a name such as api");
  if (name.size() > kPolicyNameMax) {
    throw Error(Errc::bad_name, fmt::format("the policy's name has {} bytes; at most {} fit",
                                            name.size(), kPolicyNameMax));
  }
  if (!can_be_name(name)) {
    throw Error(
        Errc::bad_name,
        "the policy's name has a space or a control character; use letters, digits, - and _");
  }
}

std::uint32_t PolicyTable::claim_id(PolicyKind kind) const {
  const bool may_have_all = kind == PolicyKind::ban || kind == PolicyKind::allow;
  const std::uint32_t kept = may_have_all ? 0 : ids_kept(capacity());
  HalfWord& next = mapping_.header().policy_next;
  std::uint32_t id = next.load(std::memory_order_relaxed);
  do {  // ends: each failure is another's success, and there are only so many ids
    if (!is_id(id) || id > capacity() - kept) {
      throw Error(Errc::too_many,
                  fmt::format("all {} policy entries of the segment are used{}, and an id is never "
                              "used twice; create it anew with more room (--policies)",
                              capacity(),
                              kept == 0 ? ""
                                        : fmt::format(", but for the last {}, which are kept for "
                                                      "bans and allowed keys",
                                                      kept)));
    }
  } while (!next.compare_exchange_weak(id, id + 1, std::memory_order_relaxed));
  return id;
}

void PolicyTable::fill(std::uint32_t id, const PolicyConstants& wanted,
                       std::string_view name) const noexcept {
  PolicyConstants constants = wanted;
  std::memset(constants.name, 0, sizeof constants.name);
  std::memcpy(constants.name, name.data(), name.size());
  constants.name_bytes = static_cast<std::uint8_t>(name.size());
  entry(id).constants = constants;
  entry(id).checksum = checksum(id, constants);
}

void PolicyTable::refuse_damage() {
  throw Error(Errc::corrupt,
              "the segment's list of policies is damaged; remove the segment and create it anew");
}

std::uint16_t PolicyTable::find_or_publish(const PolicyConstants& constants,
                                           std::string_view name) const {
  return publish(constants, name,
                 [&](const PolicyConstants& there) { return is_root_of(there, name); });
}

std::uint16_t PolicyTable::in_force(std::uint16_t id) const noexcept {
  for (std::uint32_t steps = 0; steps < capacity(); ++steps) {
    const std::uint16_t next = successor(id);
    if (next == 0) break;
    id = next;
  }
  return id;
}

std::uint64_t PolicyTable::date(std::uint16_t id, std::uint64_t now_ns) const noexcept {
  std::uint64_t dated = 0;
  const std::uint64_t ours = std::max<std::uint64_t>(now_ns, 1);
  // release: pairs with changed_ns; nothing hangs on it but the word itself.
  const bool is_ours = entry(id).changed_ns.compare_exchange_strong(
      dated, ours, std::memory_order_acq_rel, std::memory_order_acquire);
  return is_ours ? ours : dated;
}

bool PolicyTable::set_candidate(std::uint16_t id, std::uint16_t last,
                                std::uint16_t candidate) const noexcept {
  std::uint64_t expected = links_of(0, last);
  // release: pairs with links; the candidate's entry. relaxed: what there is instead is not used.
  return entry(id).links.compare_exchange_strong(
      expected, links_of(0, candidate), std::memory_order_acq_rel, std::memory_order_relaxed);
}

}  // namespace rl::shm
