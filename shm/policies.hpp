/// \file
/// The policies of a segment: entries that are immutable once published.
///
/// Publishing is one CAS at the end of a list: an entry is claimed (ids are counted up and never
/// used twice), filled while nobody can see it, and then hung on the last entry's `next`. A process
/// that was killed on the way has wasted an id and nothing else; of two that publish the same name
/// at once, the second sees the first's entry when its CAS fails and uses that one.
///
/// A change is a new entry that hangs on the one it replaces:
///
///     list       api ----> login ----> (override of api) ----> ...        next
///                 |
///     changes     +-> api 2 -> api 3                                      successor, dated
///
/// The first of a name is its root. The last of its chain is in force, and the chain is its
/// history. Of two that change a policy at once, the one whose CAS fails hangs his behind the
/// other's. A successor is dated AFTER it was hung up, by whoever sees it without a date: so no
/// change has an instant at which a process that looked could have missed it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>

#include "shm/mapping.hpp"

namespace rl::shm {

/// How many ids, the last, only bans and allowed keys may take: where limits have used up all others,
/// somebody who attacks can still be banned.
constexpr std::uint32_t ids_kept(std::uint32_t capacity) noexcept {
  return std::min(capacity / 8, 8U);
}

/// Reads and publishes entries. Every id, link and entry is checked where it is read.
/// Threads and processes: any.
class PolicyTable {
 public:
  explicit PolicyTable(const Mapping& mapping) noexcept : mapping_(mapping) {}

  /// Returns the entry of an id; nothing for one that is not published or whose checksum does not
  /// fit.
  [[nodiscard]] std::optional<PolicyConstants> read(std::uint16_t id) const noexcept;

  /// Returns the root of the policies with this name, or 0. Only limits are found: no override and
  /// no candidate.
  [[nodiscard]] std::uint16_t find(std::string_view name) const noexcept;

  /// Returns the root of this name, which is published if there was none.
  /// Errors: Error (too_many, bad_name, corrupt).
  std::uint16_t find_or_publish(const PolicyConstants& constants, std::string_view name) const;

  /// Publishes what is no root: an override, a ban, a candidate; unless `finds(constants)` of an
  /// entry that is there already, whose id is returned. Errors: as find_or_publish.
  template <class Finds>
  std::uint16_t publish(const PolicyConstants& constants, std::string_view name,
                        Finds&& finds) const;

  /// Returns the last of the chain that an entry is in: the one in force.
  /// Progress: as walk.
  [[nodiscard]] std::uint16_t in_force(std::uint16_t id) const noexcept;

  /// Hangs up a change behind the entry in force, and returns its id; whoever is faster is replaced
  /// in turn. `make(last)` says what replaces `last`; nothing: it stays, and so be it. Not dated
  /// yet. Errors: as find_or_publish.
  template <class Make>
  std::uint16_t succeed(std::uint16_t root, std::string_view name, Make&& make) const;

  /// Returns the links of an entry: zero when it is in force and has no candidate. acquire: pairs
  /// with the CAS that sets them; the entries that they name.
  [[nodiscard]] std::uint64_t links(std::uint16_t id) const noexcept {
    return is_id(id) ? entry(id).links.load(std::memory_order_acquire) : 0;
  }
  /// The same word itself, for who looks at it in every call. Requires an id that was found.
  [[nodiscard]] const Word& links_word(std::uint16_t id) const noexcept { return entry(id).links; }
  /// Returns the successor of an entry, or 0.
  [[nodiscard]] std::uint16_t successor(std::uint16_t id) const noexcept {
    const std::uint32_t next = successor_in(links(id));
    return is_id(next) ? static_cast<std::uint16_t>(next) : std::uint16_t{0};
  }

  /// Returns when the entry was replaced; 0 when nobody has dated that yet. acquire: pairs with
  /// date.
  [[nodiscard]] std::uint64_t changed_ns(std::uint16_t id) const noexcept {
    return is_id(id) ? entry(id).changed_ns.load(std::memory_order_acquire) : 0;
  }
  /// Dates the replacement of an entry, unless somebody has. `now_ns` was read after its successor
  /// was seen. Returns the date.
  std::uint64_t date(std::uint16_t id, std::uint64_t now_ns) const noexcept;

  /// Puts a candidate (0: none) beside the entry in force, in the place of `last`. False when there is
  /// another by now, or the entry has a successor.
  [[nodiscard]] bool set_candidate(std::uint16_t id, std::uint16_t last,
                                   std::uint16_t candidate) const noexcept;
  [[nodiscard]] Tallies& tallies(std::uint16_t id) const noexcept { return entry(id).tallies; }

  /// Calls visit(id) for every published policy, in order; stops when visit returns true.
  /// Progress: takes at most one step for each entry, also on a list that bytes gone wrong made a
  /// ring.
  template <class Visit>
  void walk(Visit&& visit) const {
    std::uint32_t id = mapping_.header().policy_first.load(std::memory_order_acquire);
    for (std::uint32_t steps = 0; steps < capacity() && is_id(id); ++steps) {
      if (visit(static_cast<std::uint16_t>(id))) return;
      id = entry(id).next.load(std::memory_order_acquire);  // pairs with the CAS in publish
    }
  }

  /// Whether two entries are of one name.
  [[nodiscard]] bool have_one_name(std::uint16_t a, std::uint16_t b) const noexcept;

  [[nodiscard]] std::uint32_t used() const noexcept;
  [[nodiscard]] std::uint32_t capacity() const noexcept {
    return mapping_.geometry().policy_capacity;
  }

  /// Errors: Error (bad_name) for an empty name, one above 63 bytes, or with control bytes.
  static void check_name(std::string_view name);
  /// Whether check_name takes it: a name in a segment need not be one.
  [[nodiscard]] static bool can_be_name(std::string_view name) noexcept;

 private:
  [[nodiscard]] bool is_id(std::uint32_t id) const noexcept { return id >= 1 && id <= capacity(); }
  [[nodiscard]] PolicyEntry& entry(std::uint32_t id) const noexcept {
    return mapping_.policies()[id - 1];
  }
  [[nodiscard]] std::uint64_t checksum(std::uint32_t id,
                                       const PolicyConstants& constants) const noexcept;
  [[nodiscard]] std::uint32_t claim_id(PolicyKind kind) const;
  void fill(std::uint32_t id, const PolicyConstants& constants,
            std::string_view name) const noexcept;
  [[noreturn]] static void refuse_damage();

  const Mapping& mapping_;
};

template <class Finds>
std::uint16_t PolicyTable::publish(const PolicyConstants& constants, std::string_view name,
                                   Finds&& finds) const {
  check_name(name);
  std::uint32_t ours = 0;
  HalfWord* link = &mapping_.header().policy_first;
  for (std::uint32_t steps = 0; steps <= capacity(); ++steps) {
    std::uint32_t id = link->load(std::memory_order_acquire);
    if (id == 0) {
      if (ours == 0) {
        ours = claim_id(constants.kind);
        fill(ours, constants, name);
      }
      // release: whoever reads this link, or a slot that carries the id, sees the whole entry.
      if (link->compare_exchange_strong(id, ours, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
        return static_cast<std::uint16_t>(ours);
      }
    }
    if (!is_id(id)) break;
    const auto there = read(static_cast<std::uint16_t>(id));
    if (there && finds(*there)) return static_cast<std::uint16_t>(id);
    link = &entry(id).next;
  }
  refuse_damage();
}

template <class Make>
std::uint16_t PolicyTable::succeed(std::uint16_t root, std::string_view name, Make&& make) const {
  std::uint32_t ours = 0;
  // Ends: each failure is another's success, and there are only so many ids.
  for (std::uint32_t tries = 0; tries <= 2 * capacity(); ++tries) {
    const std::uint16_t last = in_force(root);
    const std::optional<PolicyConstants> constants = make(last);
    if (!constants) return last;
    if (ours == 0) ours = claim_id(constants->kind);
    fill(ours, *constants, name);
    std::uint64_t seen = links(last);
    if (successor_in(seen) != 0 && !is_id(successor_in(seen))) refuse_damage();
    if (successor_in(seen) != 0) continue;
    // release: whoever reads this link sees the whole entry. A candidate ends with what it was tried
    // beside.
    if (entry(last).links.compare_exchange_strong(
            seen, links_of(ours, 0), std::memory_order_acq_rel, std::memory_order_relaxed)) {
      return static_cast<std::uint16_t>(ours);
    }
  }
  refuse_damage();
}

/// Returns the name in an entry.
inline std::string_view name_of(const PolicyConstants& constants) noexcept {
  return {constants.name, constants.name_bytes <= kPolicyNameMax ? constants.name_bytes : 0U};
}

}  // namespace rl::shm
