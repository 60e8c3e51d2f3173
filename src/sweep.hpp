/// \file
/// Sweeping a stretch of the table: what each slot is, and whether it may go.
///
///     a key that is idle         freed, when it was so for a while: its counts are worth a look
///     a permit, out              freed when the kernel says that its holder is dead
///     a permit whose lease is    freed
///     over
///     a permit given back,       freed when it stood unchanged for a second (it has no time in it)
///     an insert under way
///     a key of a trial that is   freed
///     over
///     an override, a ban, an     stays; a ban that is over is what its key is then
///     allow
///
/// Each is one compare-and-swap of the words that were judged, so whatever changed meanwhile stays.
/// Why that is safe at any time, for any number of sweepers:
///   - Idle is worth nothing, and is judged by an instant BEFORE the words were read: what time alone
///     makes idle was idle then. Permits are the exception, as their times lie on a circle: for
///     them the clock is read after the words.
///   - A permit given back has no time in it, so its words could come again if it were freed and
///     taken anew at once: then a copy of the old one, in a forked child, could give back the new
///     one. After a second a lease ends at another tick. (Who overwrites one in a full list does not
///     wait; and one that looks the same may have come and gone meanwhile.)
///   - An insert whose mark is gone starts over (shm/table.hpp: kill); the nonce never comes again.
#pragma once

#include <cstdint>
#include <vector>

#include <rl/reaper.hpp>

#include "shm/participant.hpp"
#include "src/core.hpp"
#include "src/follow.hpp"

namespace rl {

/// Sweeps one view. Threads: one at a time.
class Sweep {
 public:
  /// Keys that were idle for less than `idle_ns` stay.
  Sweep(View& view, std::uint64_t idle_ns)
      : view_(view),
        idle_ns_(idle_ns),
        seen_(kSeen),
        owes_above_(kPolicies, kNothing),
        may_be_over_(kPolicies) {}

  /// Sweeps `slots` slots from `first` on, to the end of the table at most. Allocates nothing.
  SweepReport run(std::uint64_t first, std::uint64_t slots) noexcept;

 private:
  /// Slots that are looked at together: the lines of a pair.
  static constexpr std::uint64_t kAtOnce = 8;
  static constexpr std::size_t kPolicies = std::size_t{1} << 16;
  /// No state lies above it.
  static constexpr std::uint64_t kNothing = ~std::uint64_t{0};

  void note_policies() noexcept;
  [[nodiscard]] std::uint64_t glance(std::uint64_t first, std::uint64_t end,
                                     SweepReport& report) const noexcept;
  void look_one_by_one(std::uint64_t first, std::uint64_t end, SweepReport& report) noexcept;
  void look_at(std::uint64_t index, shm::SlotWords words, SweepReport& report) noexcept;
  void look_at_key(std::uint64_t index, shm::SlotWords words, SweepReport& report) noexcept;
  void look_at_permit(std::uint64_t index, shm::SlotWords words, std::uint64_t state,
                      const Concurrency& permits, SweepReport& report) noexcept;
  [[nodiscard]] bool is_remembered_by_limit_in_force(const Followed& at) const noexcept;
  [[nodiscard]] bool free(std::uint64_t index, shm::SlotWords words) const noexcept;
  [[nodiscard]] bool stood_unchanged(std::uint64_t index, shm::SlotWords words) noexcept;

  /// Something that may go if it looks the same later. Where two share a place, the one that was seen
  /// first has it until it is gone.
  struct Seen {
    std::uint64_t index = 0;
    shm::SlotWords words;
    std::uint64_t since_ns = 0;
  };
  static constexpr std::size_t kSeen = 4'096;
  static constexpr std::uint64_t kUnchangedNs = 1'000'000'000;

  View& view_;
  std::uint64_t idle_ns_;
  std::vector<Seen> seen_;
  // Of one stretch.
  shm::Liveness* liveness_ = nullptr;
  std::uint64_t now_ns_ = 0;               ///< before any of its words was read
  std::uint64_t as_of_ns_ = 0;             ///< what was idle then may go
  std::vector<std::uint64_t> owes_above_;  ///< by policy: a state above it owes; else see look_at
  std::vector<bool> may_be_over_;          ///< by policy: a trial that has ended, or not begun
};

}  // namespace rl
