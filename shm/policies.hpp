/// \file
/// The policies of a segment: entries that are immutable once published.
///
/// Publishing is one CAS at the end of a list: an entry is claimed (ids are counted up and never
/// used twice), filled while nobody can see it, and then hung on the last entry's `next`. A process
/// that was killed on the way has wasted an id and nothing else; of two that publish the same name
/// at once, the second sees the first's entry when its CAS fails and uses that one.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "shm/mapping.hpp"

namespace rl::shm {

/// Reads and publishes entries. Every id, link and entry is checked where it is read.
/// Threads and processes: any.
class PolicyTable {
 public:
  explicit PolicyTable(const Mapping& mapping) noexcept : mapping_(mapping) {}

  /// Returns the entry of an id; nothing for one that is not published or whose checksum does not
  /// fit.
  [[nodiscard]] std::optional<PolicyConstants> read(std::uint16_t id) const noexcept;

  /// Returns the id of the policy with this name, or 0.
  [[nodiscard]] std::uint16_t find(std::string_view name) const noexcept;

  /// Returns the id of the policy with this name, which is published if there was none.
  /// Errors: Error (too_many, bad_name, corrupt).
  std::uint16_t find_or_publish(const PolicyConstants& constants, std::string_view name) const;

  /// Calls visit(id) for every published policy, in order; stops when visit returns true.
  /// Progress: takes at most one step for each entry, also on a list that bytes gone wrong made a
  /// ring.
  template <class Visit>
  void walk(Visit&& visit) const {
    std::uint32_t id = mapping_.header().policy_first.load(std::memory_order_acquire);
    for (std::uint32_t steps = 0; steps < capacity() && is_id(id); ++steps) {
      if (visit(static_cast<std::uint16_t>(id))) return;
      id = entry(id).next.load(std::memory_order_acquire);  // pairs with the CAS in find_or_publish
    }
  }

  [[nodiscard]] std::uint32_t used() const noexcept;
  [[nodiscard]] std::uint32_t capacity() const noexcept {
    return mapping_.geometry().policy_capacity;
  }

  /// Errors: Error (bad_name) for an empty name, one above 63 bytes, or with control bytes.
  static void check_name(std::string_view name);

 private:
  [[nodiscard]] bool is_id(std::uint32_t id) const noexcept { return id >= 1 && id <= capacity(); }
  [[nodiscard]] PolicyEntry& entry(std::uint32_t id) const noexcept {
    return mapping_.policies()[id - 1];
  }
  [[nodiscard]] std::uint64_t checksum(std::uint32_t id,
                                       const PolicyConstants& constants) const noexcept;
  [[nodiscard]] std::uint32_t claim_id() const;

  const Mapping& mapping_;
};

/// Returns the name in an entry.
inline std::string_view name_of(const PolicyConstants& constants) noexcept {
  return {constants.name, constants.name_bytes <= kPolicyNameMax ? constants.name_bytes : 0U};
}

}  // namespace rl::shm
