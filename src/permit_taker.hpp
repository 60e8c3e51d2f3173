/// \file
/// Taking a permit: what one call carries from try to try. The rules stand at the head of
/// src/permits.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "src/decide.hpp"
#include "src/permit_count.hpp"

namespace rl {

/// What is said under a policy that gives no permits: that was removed, or has become one of calls.
inline Decision decision_without_permits(const Policy& policy, std::uint16_t id,
                                         const shm::Clock& clock) noexcept {
  if (policy.kind != shm::PolicyKind::removed) return {.reason = Reason::invalid, .policy = id};
  const Verdict verdict = acquire(policy.parameters, 0, 0, 1);
  Decision decision =
      decision_of(verdict, id, policy.limit, most_at_once(policy.parameters), 1, clock);
  decision.reason = Reason::off;
  return decision;
}

/// One call's way to a permit. Threads: one.
class PermitTaker {
 public:
  /// All that is referred to must outlive it.
  PermitTaker(LimiterCore& core, const Binding& binding, const shm::Sitter& sitter,
              std::string_view key)
      : core_(core),
        binding_(binding),
        view_(*binding.view),
        sitter_(sitter),
        key_(key),
        hash_(binding.hasher(key.data(), key.size())) {}

  Decision take() noexcept;

  /// Whether there is a permit: else a call that is let through is so without one.
  [[nodiscard]] bool has_taken() const noexcept { return has_taken_; }
  [[nodiscard]] View& view() const noexcept { return view_; }
  [[nodiscard]] shm::Hash128 hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] std::uint64_t slot_index() const noexcept { return slot_index_; }
  [[nodiscard]] std::uint64_t tag() const noexcept { return tag_; }
  [[nodiscard]] std::uint64_t state() const noexcept { return verdict_.state; }
  [[nodiscard]] std::uint64_t lease_end_ns() const noexcept { return lease_end_ns_; }

 private:
  /// How a look at one permit, or at all, has ended. Elsewhere: a first look was not enough.
  enum class Seen { taken, out, again, no_room, no_time, elsewhere };

  /// Each try but the first means that a permit was given back while we looked, and that somebody
  /// else got it; or that we slept through a lease. Past that the call is told that it gave up.
  static constexpr int kTriesMax = 16;

  inline bool come_to_limit() noexcept;
  [[nodiscard]] bool may_have_more_out() noexcept;
  [[nodiscard]] inline bool is_in_force() const noexcept;
  inline Seen try_once() noexcept;
  Seen try_counted() noexcept;
  Seen take_counted(shm::Liveness& liveness) noexcept;
  [[nodiscard]] PermitsSeen count_if_above(std::uint64_t enough, shm::Liveness& liveness) noexcept;
  [[nodiscard]] bool is_still_out(std::uint32_t index) noexcept;
  Seen deny(const PermitsSeen& seen, const HintWord& mark, std::uint64_t began_ns) noexcept;
  inline Seen keep() noexcept;
  [[nodiscard]] bool is_one_too_many() noexcept;
  void give_back() noexcept;
  inline Seen look_by_hint() noexcept;
  Seen look_at_hinted(const HintWord& hint, const shm::SlotWords& seen) noexcept;
  Seen look_further() noexcept;
  template <class IsTrue>
  Seen look_at_home(std::uint32_t index, const shm::KeyHash& hash, const IsTrue& is_true) noexcept;
  Seen look_at(std::uint32_t index, shm::Liveness* liveness) noexcept;
  inline void note_look(std::uint32_t index, std::uint64_t slot_index, std::uint64_t tag,
                        const Verdict& verdict, bool reclaims) noexcept;
  [[nodiscard]] inline std::uint32_t in_limit(std::uint32_t index) const noexcept;
  Seen look_at_all(const HintWord& mark) noexcept;
  HintWord mark_hint() noexcept;
  Seen say_all_are_out(const HintWord& mark, std::uint64_t began_ns,
                       std::uint64_t first_left_ns) noexcept;
  [[nodiscard]] inline bool still_runs() noexcept;
  Decision denied() noexcept;
  void note_reclaimed() noexcept;
  [[nodiscard]] inline Decision decision() const noexcept;
  [[nodiscard]] Decision decision_without_room() const noexcept;
  [[nodiscard]] inline std::uint32_t first_index() const noexcept;

  LimiterCore& core_;
  const Binding& binding_;
  View& view_;
  const shm::Sitter& sitter_;
  const std::string_view key_;
  const shm::Hash128 hash_;

  // The policy in force, as of this try.
  std::optional<Follower<View, shm::Clock>> follower_;  ///< made when something is to be followed
  Followed at_;
  Concurrency permits_;
  bool is_lowered_ = false;   ///< more may be out than it has
  bool has_changed_ = false;  ///< it is in force no more

  // Of the permit that was looked at last; of all, the one whose lease ends first.
  std::uint32_t index_ = 0;
  std::uint64_t slot_index_ = 0;
  std::uint64_t tag_ = 0;
  std::uint64_t lease_end_ns_ = 0;
  Verdict verdict_{};
  std::uint64_t hint_slot_ = shm::Table<shm::Slot>::kNowhere;  ///< nowhere: no room for a hint
  bool has_taken_ = false;
};

}  // namespace rl
