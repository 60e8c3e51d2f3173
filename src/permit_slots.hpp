/// \file
/// Which slots the permits of a key have, and what calls make of their words (as operations of
/// src/rules.hpp).
///
/// Permit i of a key is a slot with a hash of its own, and so is the key's fencing number: made of
/// the key's 128-bit hash, the number, and what it is for (of_part, shm/hash.hpp). The hint has the
/// key's own. No key of a user collides with them but by chance: nobody outside knows either hash,
/// as both hang on the segment's secret.
#pragma once

#include <cstdint>

#include "src/core.hpp"
#include "src/rules.hpp"

namespace rl {

inline shm::KeyHash hash_of_hint(shm::Hash128 key) noexcept {
  return shm::KeyHash::from(key);
}

inline shm::KeyHash hash_of_part(const shm::Hasher& hasher, shm::Hash128 key, WordKind kind,
                                 std::uint32_t index) noexcept {
  return shm::KeyHash::from(hasher.of_part(key, std::uint64_t{index} << 8 | std::uint8_t(kind)));
}

inline shm::KeyHash hash_of_permit(const shm::Hasher& hasher, shm::Hash128 key,
                                   std::uint32_t index) noexcept {
  return hash_of_part(hasher, key, WordKind::permit, index);
}

inline shm::KeyHash hash_of_fence(const shm::Hasher& hasher, shm::Hash128 key) noexcept {
  return hash_of_part(hasher, key, WordKind::fence, 0);
}

/// Whether permits may be out that were given before the limit was last changed: for a lease, as
/// none of them can be longer, and one that a lowered limit does not have is not renewed. From the
/// clock that dated the change; once it is false, it stays so. True when nobody has dated it.
inline bool has_permits_of_before(const View& view, const Concurrency& permits,
                                  std::uint64_t now_ns) noexcept {
  if (permits.before == 0) return false;
  const std::uint64_t changed_ns = view.policies.changed_ns(permits.before);
  const std::uint64_t over_after_ns =
      std::max(permits.lease_ns, permits.longest_ns) + kHealSlackNs + 2 * kTickNs;
  return changed_ns == 0 || now_ns == shm::Clock::kNoTime || now_ns < changed_ns ||
         now_ns - changed_ns <= over_after_ns;
}

/// Whether the holder of a permit is known to be dead: the kernel is asked if there is a `liveness`,
/// else its seat must have a successor.
inline bool is_dead(const shm::Participant& participant, const PermitWord& word,
                    shm::Liveness* liveness) noexcept {
  return liveness != nullptr ? !liveness->is_alive(sitter_of(word))
                             : participant.has_successor(sitter_of(word));
}

/// Takes a permit that is not out, or whose holder is dead. Allowed: the state is the permit.
/// Denied: `retry_after_ns` is what is left of its lease.
struct TakePermit {
  shm::Sitter sitter;
  shm::Participant& participant;
  shm::Liveness* liveness;  ///< see is_dead
  bool reclaims = false;    ///< it was taken from the dead

  [[nodiscard]] Verdict act(const Parameters& parameters, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
    const auto* const permits = std::get_if<Concurrency>(&parameters);
    reclaims = false;
    return permits != nullptr ? act(*permits, state, now_ns) : out_of_reach(state);
  }
  [[nodiscard]] Verdict act(const Concurrency& permits, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
    Verdict verdict{};
    verdict.state = state;
    const PermitWord word = PermitWord::of(state);
    const std::uint64_t left = lease_left_ns(permits, word, now_ns);
    reclaims = left != 0 && is_dead(participant, word, liveness);
    verdict.allowed = left == 0 || reclaims;
    verdict.retry_after_ns = verdict.allowed ? 0 : left;
    verdict.reset_after_ns = left;
    if (verdict.allowed) {
      const PermitWord ours = taken(permits, word, sitter.seat, sitter.generation, now_ns);
      verdict.state = ours.state();
      verdict.reset_after_ns = lease_left_ns(permits, ours, now_ns);
    }
    return verdict;
  }

 private:
  /// Bytes gone wrong put the slot under another policy. It is as good as out; when it will not be,
  /// nobody can know.
  [[nodiscard]] static Verdict out_of_reach(std::uint64_t state) noexcept {
    Verdict verdict{};
    verdict.state = state;
    verdict.retry_after_ns = Concurrency::kLeaseMin;
    return verdict;
  }
};

/// Marks the hint, unless it says that all permits are out, or somebody marked it just now: then
/// the state stays, and says so.
struct MarkHint {
  [[nodiscard]] Verdict act(const Parameters& parameters, std::uint64_t state,
                            std::uint64_t now_ns) const noexcept {
    const HintWord hint = HintWord::of(state);
    const bool stays = !std::holds_alternative<Concurrency>(parameters) ||
                       is_saturated(hint, now_ns) || is_being_checked(hint, now_ns);
    Verdict verdict{};
    verdict.allowed = !stays;
    verdict.state = stays ? state : marked(hint, now_ns).state();
    return verdict;
  }
};

/// Draws the next fencing number. Denied when they have run out.
struct DrawFence {
  [[nodiscard]] Verdict act(const Parameters&, std::uint64_t state,
                            std::uint64_t now_ns) const noexcept {
    Verdict verdict{};
    verdict.state = next_fence(state, now_ns);
    verdict.allowed = verdict.state != state;
    return verdict;
  }
};

}  // namespace rl
