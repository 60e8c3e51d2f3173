/// \file
/// From the policy that a slot is under to the one in force. Whoever reads a slot goes this way
/// first: a call that decides, and one that judges whether the slot may be taken.
///
/// Rules (searched exhaustively by spin: tests/model/policy_switch.pml):
///   - A call reads the slot, then the clock, then the links. Where it finds none, it counts before
///     any change to come, as that is dated after it was hung up.
///   - A change without a date is dated first, by a clock read now.
///   - A call whose clock is behind the change counts at the instant of the change: it was under
///     way then, and the new limit decides on it.
///   - Debt is converted as of the change, hop by hop (src/convert.hpp). What is used under the old
///     policy lies before that instant, so its horizon is told as of then.
///   - The tag changes in the compare-and-swap that stores what the call makes of the key.
#pragma once

#include <cstdint>
#include <optional>

#include "shm/clock.hpp"
#include "src/convert.hpp"
#include "src/known_policies.hpp"

namespace rl {

/// Where a key stands, and under what.
struct Followed {
  const Policy* policy = nullptr;  ///< none: of a newer library, or the clock says nothing
  std::uint16_t id = 0;
  std::uint64_t state = 0;
  std::uint64_t now_ns = 0;  ///< not before the last change on the way
  bool has_moved = false;
  bool is_as_charged = true;  ///< tokens that were charged before are tokens still, one by one
};

/// Follows links on a view (src/core.hpp), or a double of one. Holds what it found: ask again, and
/// the last answer's policy may be gone.
template <class View, class Clock>
class Follower {
 public:
  Follower(const View& view, const Clock& clock) noexcept : view_(view), clock_(clock) {}

  /// Follows the links of a slot that held `state` under policy `id`, by a clock that was read after
  /// the slot. A policy that is damaged says nothing about the state: it is as `otherwise` has it.
  /// Progress: at most one hop for each entry of the segment, also where bytes gone wrong made a
  /// ring.
  [[nodiscard]] Followed follow(std::uint16_t id, std::uint64_t state, std::uint64_t now_ns,
                                std::uint16_t otherwise) noexcept {
    Followed at{nullptr, id, state, now_ns, false, true};
    KnownPolicy known = view_.known.find(id, spares_[0]);
    if (known.is_damaged && id != otherwise) {
      at.id = otherwise;
      known = view_.known.find(otherwise, spares_[0]);
    }
    at.policy = known.policy;
    for (std::uint32_t hops = 0; at.policy != nullptr && hops < view_.policies.capacity(); ++hops) {
      const std::uint16_t next = view_.policies.successor(at.id);
      if (next == 0) break;
      // The other spare: the one that we come from may lie in this one.
      const KnownPolicy successor = view_.known.find(next, spares_[1 - hops % 2]);
      if (successor.is_damaged) break;
      if (successor.policy == nullptr) return {nullptr, at.id, state, now_ns};
      hop(at, next, *successor.policy);
    }
    return at;
  }

 private:
  void hop(Followed& at, std::uint16_t next, const Policy& to) noexcept {
    const std::uint64_t changed_ns = date_of(at.id, at.now_ns);
    const bool keeps = to.spent == Spent::keep && counts_evenly(at.policy->limit.algorithm()) &&
                       counts_evenly(to.limit.algorithm());
    at.state = converted(at.policy->parameters, at.state, to.parameters, to.spent, changed_ns);
    at.is_as_charged = at.is_as_charged && keeps;
    at.policy = &to;
    at.id = next;
    at.now_ns = std::max(at.now_ns, changed_ns);
    at.has_moved = true;
  }

  /// Returns the instant at which an entry was replaced: no later than the clock's now, so that
  /// bytes gone wrong do not put it where all debts are over.
  [[nodiscard]] std::uint64_t date_of(std::uint16_t id, std::uint64_t now_ns) noexcept {
    const std::uint64_t dated = view_.policies.changed_ns(id);
    if (dated != 0 && dated <= now_ns) return dated;
    const std::uint64_t clocks = clock_.now();
    if (clocks == shm::Clock::kNoTime) return now_ns;
    if (dated != 0) return std::min(dated, std::max(clocks, now_ns));
    return view_.mapping.writable() ? view_.policies.date(id, clocks) : clocks;
  }

  const View& view_;
  const Clock& clock_;
  std::optional<Policy> spares_[2];
};

}  // namespace rl
