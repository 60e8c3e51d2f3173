/// \file
/// The table's own code over a cell that counts what its compare-and-swaps come to (the library
/// does not: it would cost every decision), and that dawdles before some of them and some reads, so
/// that more rivals come in between than chance alone would send.
#pragma once

#include <sched.h>

#include <cstdint>
#include <string_view>

#include "shm/counts.hpp"
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

/// Returns the same memory, seen as slots of another type.
template <class Cell = WatchedSlot>
shm::Table<Cell> watched_table(const View& view) noexcept {
  static_assert(sizeof(shm::BasicPair<Cell>) == sizeof(shm::Pair));
  void* const pairs = &view.table.slot(0);
  return {static_cast<shm::BasicPair<Cell>*>(pairs), view.mapping.geometry().pair_count};
}

/// Binds a policy that exists, as LimiterCore does.
inline Binding bind(View& view, std::string_view policy_name) {
  const std::uint16_t id = view.policies.find(policy_name);
  const auto constants = view.policies.read(id);
  return {&view,
          id,
          hasher_for(view.mapping, policy_name),
          policy_from(constants.value()).value(),
          nullptr,
          &view.policies.links_word(id)};
}

/// Decides and counts as Limiter::try_acquire does (src/limiter.cpp), by the same rules and the
/// same table over slots of another type; only the Decision has no durations, and nothing goes into
/// totals and events. Both are held to the
/// same answers and the same bytes in tests/selftest_test.cpp.
template <class Cell = WatchedSlot>
Decision watched_acquire(const Binding& binding, std::string_view key) noexcept {
  View& view = *binding.view;
  shm::Health& health = view.mapping.header().health;
  const auto add = [](shm::Word& word) { word.fetch_add(1, std::memory_order_relaxed); };
  const auto hash = shm::KeyHash::from(binding.hasher(key.data(), key.size()));
  const auto count = [&](shm::Counts& counts, bool allowed) {
    if (allowed)
      shm::add_count(counts.allowed, hash.identity);
    else
      (void)shm::add_denial(counts, hash.identity);
  };
  const auto said = [](const Verdict& verdict, std::uint16_t policy, std::uint64_t limit) {
    const Reason denial = verdict.never ? Reason::never : Reason::limited;
    return Decision{.allowed = verdict.allowed,
                    .reason = verdict.allowed ? Reason::ok : denial,
                    .policy = policy,
                    .limit = limit,
                    .remaining = verdict.remaining};
  };
  const shm::Table<Cell> table = watched_table<Cell>(view);
  const OwnTime time{&view.clock};
  // selftest makes no other policies
  const TokenBucket& bucket = std::get<TokenBucket>(binding.policy.parameters);

  const std::uint64_t tag = shm::make_tag(hash.identity, binding.id);
  const auto seen = table.look(hash, tag);
  Verdict verdict{};
  const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    return first_step(bucket, binding, time, policy, state, 1, verdict);
  };
  std::uint32_t lost = 0;
  if (seen.words.tag == tag &&
      (table.try_step(seen, step) || table.step_among_rivals(*seen.cell, tag, lost, step))) {
    count(view.table.counts_beside(*seen.cell), verdict.allowed);
    return said(verdict, binding.id, bucket.burst);
  }

  CallRules<OwnTime> rules(binding, time, Acquire{1});
  const shm::Update update = table.update(hash, rules);
  if (update.outcome != shm::Update::decided) {
    const bool allow = binding.policy.limit.when_full() == WhenFull::allow;
    add(allow ? health.full_allowed : health.full_denied);
    if (update.outcome == shm::Update::gave_up) add(health.gave_up);
    return {.allowed = allow, .reason = Reason::full, .policy = binding.id, .limit = bucket.burst};
  }
  if (update.promoted) view.labels.write(update.slot_index, hash, key);
  if (update.has_slot && !rules.is_unavailable())
    count(view.table.counts(update.slot_index), rules.verdict().allowed);
  if (rules.healed()) add(health.clamped);
  if (rules.is_unavailable()) return {.reason = Reason::unavailable, .policy = rules.decided_by()};
  return said(rules.verdict(), rules.decided_by(), rules.limit());
}

}  // namespace rl::selftest
