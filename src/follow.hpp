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
///   - A ban that is over has ended at its own instant, whoever comes by first and when: the key
///     comes back under the limit that was in force then. A change that was made during the ban is
///     taken as made at its end, as nothing passed in between.
#pragma once

#include <cstdint>
#include <optional>

#include "shm/clock.hpp"
#include "src/carried_debt.hpp"
#include "src/known_policies.hpp"

namespace rl {

/// Where a key stands, and under what.
struct Followed {
  const Policy* policy = nullptr;  ///< none: of a newer library, or the clock says nothing
  std::uint16_t id = 0;
  std::uint64_t state = 0;
  std::uint64_t now_ns = 0;  ///< not before the last change on the way
  bool has_moved = false;
  /// Tokens that were charged before are tokens still, one by one, and were owed at each change.
  bool is_as_charged = true;
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
    KnownPolicy known = find(id);
    if (known.is_damaged && id != otherwise) {
      at.id = otherwise;
      known = find(otherwise);
    }
    at.policy = known.policy;
    if (at.policy == nullptr) return at;
    if (at.policy->kind == shm::PolicyKind::ban && BanWord::of(state).is_over(now_ns))
      come_back(at);
    follow_changes(at);
    return at;
  }

  /// Takes a key out of a ban, before its time is over, or of an allow: to where it stands then. Of
  /// a ban that is not over yet, the debt counts as of now. Requires a key that is under one.
  [[nodiscard]] Followed lifted(Followed at) noexcept {
    come_back(at);
    follow_changes(at);
    return at;
  }

 private:
  /// Finds a policy in memory that the last one found is not in.
  [[nodiscard]] KnownPolicy find(std::uint16_t id) noexcept {
    is_second_ = !is_second_;
    return view_.known.find(id, is_second_ ? second_ : first_);
  }

  /// Goes from limit to limit. What is none stands for itself: it has no successor.
  void follow_changes(Followed& at) noexcept {
    for (std::uint32_t hops = 0; at.policy != nullptr && hops < view_.policies.capacity(); ++hops) {
      const std::uint16_t next = view_.policies.successor(at.id);
      if (next == 0 || !is_limit(at.policy->kind)) return;
      const KnownPolicy successor = find(next);
      if (successor.is_damaged) return;
      if (successor.policy == nullptr) {
        at.policy = nullptr;
      } else if (is_limit(successor.policy->kind)) {
        hop(at, next, *successor.policy);
      } else {
        return;  // bytes gone wrong
      }
    }
  }

  /// Brings a key back under the limit that its ban or allow stands before: the one that was in
  /// force when that was over, charged with what was owed as of then. Stays where the limit is
  /// damaged.
  void come_back(Followed& at) noexcept {
    const BanWord word = BanWord::of(at.state);
    const std::uint64_t over_ns =
        word.is_for_ever() ? at.now_ns : std::min(word.until_ns(), at.now_ns);
    std::uint16_t id = at.policy->parent;
    for (std::uint32_t hops = 0; hops < view_.policies.capacity(); ++hops) {
      const std::uint16_t next = view_.policies.successor(id);
      if (next == 0 || date_of(id, at.now_ns) > over_ns) break;
      id = next;
    }
    const KnownPolicy limit = find(id);
    if (limit.policy == nullptr || !is_limit(limit.policy->kind)) {
      is_second_ = !is_second_;  // where the policy is that we stay under
      return;
    }
    at.state = state_owing(limit.policy->parameters, word.owed, over_ns);
    at.id = id;
    at.policy = limit.policy;
    at.has_moved = true;
    at.is_as_charged = false;
  }

  void hop(Followed& at, std::uint16_t next, const Policy& to) noexcept {
    const std::uint64_t changed_ns = date_of(at.id, at.now_ns);
    // What was over then is owed no more; what no clock of this segment can explain never was.
    const bool owes = !is_idle(at.policy->parameters, at.state, changed_ns) &&
                      !is_beyond_horizon(at.policy->parameters, at.state, changed_ns);
    const bool keeps = owes && to.spent == Spent::keep && count_alike(at.policy->limit, to.limit);
    at.state = converted(at.policy->parameters, at.state, to.parameters, to.spent, changed_ns);
    at.is_as_charged = at.is_as_charged && keeps;
    at.policy = &to;
    at.id = next;
    at.now_ns = std::max(at.now_ns, changed_ns);
    at.has_moved = true;
  }

  /// Whether a token that was charged under one limit is a token under the other: in buckets, and in
  /// windows that are the same.
  static bool count_alike(const Limit& a, const Limit& b) noexcept {
    if (counts_evenly(a.algorithm())) return counts_evenly(b.algorithm());
    return a.algorithm() == b.algorithm() && a.period() == b.period();
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
  std::optional<Policy> first_;  // two members: an array of them would be zeroed in every call
  std::optional<Policy> second_;
  bool is_second_ = false;
};

}  // namespace rl
