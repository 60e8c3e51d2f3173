/// \file
/// The table's own code over a cell that counts what its compare-and-swaps come to (the library does
/// not: it would cost every decision), and that dawdles before some of them and some reads, so
/// that more rivals come in between than chance alone would send.
#pragma once

#include <sched.h>

#include <cstdint>
#include <string_view>

#include "src/rules.hpp"

namespace rl::selftest {

struct SwapTally {
  std::uint64_t dice = 0;
  std::uint64_t tries = 0;
  std::uint64_t lost = 0;  ///< to a rival that was faster
};

/// A slot whose compare-and-swap counts itself for the calls of one thread.
class WatchedSlot : public shm::Slot {
 public:
  bool compare_exchange(shm::SlotWords expected, shm::SlotWords desired) noexcept {
    dawdle(32);
    const bool done = Slot::compare_exchange(expected, desired);
    ++tally.tries;
    tally.lost += done ? 0U : 1U;
    return done;
  }
  [[nodiscard]] shm::SlotWords words() const noexcept {
    dawdle(512);
    return Slot::words();
  }
  static inline constinit thread_local SwapTally tally{};

 private:
  /// Gives way to others, one time of so many.
  static void dawdle(std::uint32_t one_of) noexcept {
    tally.dice = tally.dice * 0x5851'f42d'4c95'7f2d + 1;
    if ((tally.dice >> 32) % one_of == 0) (void)::sched_yield();
  }
};
static_assert(sizeof(WatchedSlot) == sizeof(shm::Slot));
static_assert(sizeof(shm::BasicPair<WatchedSlot>) == sizeof(shm::Pair));

/// Returns the same memory, seen as watched slots.
inline shm::Table<WatchedSlot> watched_table(const View& view) noexcept {
  void* const pairs = &view.table.slot(0);
  return {static_cast<shm::BasicPair<WatchedSlot>*>(pairs), view.mapping.geometry().pair_count};
}

/// Binds a policy that exists, as LimiterCore does.
inline Binding bind(View& view, std::string_view policy_name) {
  const std::uint16_t id = view.policies.find(policy_name);
  const auto constants = view.policies.read(id);
  return {&view, id, policy_from(constants.value()).value(), hasher_for(view.mapping, policy_name),
          nullptr};
}

/// Decides as Limiter::try_acquire does, through the same rules and the same table, watched.
inline Decision watched_acquire(const Binding& binding, std::string_view key) noexcept {
  View& view = *binding.view;
  const auto hash = shm::KeyHash::from(binding.hasher(key.data(), key.size()));
  TokenRules<OwnTime> rules(binding, OwnTime{&view.clock}, 1);
  const shm::Update update = watched_table(view).update(hash, rules);
  const bool decided = update.outcome == shm::Update::decided;
  if (update.promoted && decided) view.labels.write(update.slot_index, hash.identity, key);
  const bool allowed =
      decided ? rules.verdict().allowed : binding.policy.limit.when_full() == WhenFull::allow;
  const Reason reason = !decided ? Reason::full : allowed ? Reason::ok : Reason::limited;
  return {.allowed = allowed, .reason = reason, .policy = binding.id};
}

}  // namespace rl::selftest
