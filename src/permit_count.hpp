/// \file
/// How many permits of a key are out: a look at each of them, that takes none.
#pragma once

#include <cstdint>

#include "src/follow.hpp"
#include "src/permit_slots.hpp"

namespace rl {

/// What such a look has found.
struct PermitsSeen {
  bool is_told = true;  ///< false: the clock says nothing
  std::uint64_t out = 0;
  std::uint64_t first_left_ns = 0;  ///< until the first lease is over, and whose it is
  std::uint64_t last_left_ns = 0;   ///< until the last one is, and whose it is
  std::uint32_t first = 0;
  std::uint32_t last = 0;

  void add(std::uint32_t index, std::uint64_t left_ns) noexcept {
    if (out == 0 || left_ns < first_left_ns) {
      first_left_ns = left_ns;
      first = index;
    }
    if (left_ns > last_left_ns) {
      last_left_ns = left_ns;
      last = index;
    }
    ++out;
  }
  /// Returns how long to wait for a permit of so many, alone; requires that no fewer are out. While
  /// more are, from before the limit was lowered, when all of them are over: later than need be,
  /// perhaps, but true.
  [[nodiscard]] std::uint64_t wait_ns(std::uint64_t limit) const noexcept {
    return out > limit ? last_left_ns : first_left_ns;
  }
  [[nodiscard]] std::uint32_t awaited(std::uint64_t limit) const noexcept {
    return out > limit ? last : first;
  }
};

/// Looks at the permits of a key. Each is judged by a clock that is read after its word.
class PermitCount {
 public:
  PermitCount(const Binding& binding, shm::Hash128 key) noexcept
      : binding_(binding), key_(key), follower_(*binding.view, binding.view->clock) {}

  /// Counts those of [from, to) that are out. Without `liveness` a holder is dead only if its seat
  /// has a successor.
  [[nodiscard]] PermitsSeen operator()(std::uint32_t from, std::uint32_t to,
                                       shm::Liveness* liveness) noexcept {
    PermitsSeen seen;
    for (std::uint32_t i = from; i < to && seen.is_told; ++i) look_at(i, liveness, seen);
    return seen;
  }

 private:
  void look_at(std::uint32_t index, shm::Liveness* liveness, PermitsSeen& seen) noexcept {
    const View& view = *binding_.view;
    const shm::SlotWords words = view.table.read(hash_of_permit(binding_.hasher, key_, index));
    const std::uint64_t now = view.clock.now();
    seen.is_told = now != shm::Clock::kNoTime;
    if (!shm::is_member(words.tag) || !seen.is_told) return;
    const Followed at = follower_.follow(shm::policy_of(words.tag), words.state, now, binding_.id);
    const Concurrency* const permits =
        at.policy != nullptr ? std::get_if<Concurrency>(&at.policy->parameters) : nullptr;
    if (permits == nullptr) return;
    const PermitWord word = PermitWord::of(at.state);
    const std::uint64_t left_ns = lease_left_ns(*permits, word, now);
    if (left_ns != 0 && !is_dead(view.participant, word, liveness)) seen.add(index, left_ns);
  }

  const Binding& binding_;
  const shm::Hash128 key_;
  Follower<View, shm::Clock> follower_;
};

}  // namespace rl
