/// \file
/// What is counted of a decision, and what is told of it: beside the key's slot, in the totals of
/// its policy, and as an event. Nothing that is decided depends on any of it.
#pragma once

#include <string_view>

#include <rl/decision.hpp>
#include <rl/events.hpp>

#include "shm/counts.hpp"
#include "shm/events.hpp"
#include "src/core.hpp"

namespace rl {

/// Writes an event of a policy, of which there is no more to tell than of whose call, and which key's.
[[gnu::cold]] void note_event(const View& view, EventKind kind, std::uint16_t policy,
                              std::string_view key) noexcept;

/// Writes an event of this process; of the key as much as the segment may keep.
[[gnu::cold]] void note_event(const View& view, EventKind kind, std::string_view key,
                              shm::EventImage image) noexcept;

/// The same of a decision. Returns the decision.
[[gnu::cold, gnu::noinline]] Decision noted(const View& view, EventKind kind, std::string_view key,
                                            const Decision& decision) noexcept;

/// Whether one that is the so many-th is told.
inline bool is_told(const View& view, std::uint64_t number) noexcept {
  // relaxed: says how much is told, and orders nothing.
  return (number & view.mapping.header().denials_mask.load(std::memory_order_relaxed)) == 0;
}

/// Counts a call that a policy has decided. Returns whether its denial is to be told.
[[gnu::always_inline]] inline bool count_total(View& view, std::uint16_t policy, const Limit& limit,
                                               bool allowed) noexcept {
  using shm::PolicyTally;
  if (allowed) [[likely]] {
    view.stripes.add(policy, PolicyTally::allowed);
    return false;
  }
  const auto which = limit.shadow() ? PolicyTally::would_deny : PolicyTally::denied;
  return is_told(view, view.stripes.add(policy, which));
}

/// The same, and beside the key's slot.
[[gnu::always_inline]] inline bool count(View& view, shm::Counts& counts, std::uint64_t identity,
                                         std::uint16_t policy, const Limit& limit,
                                         bool allowed) noexcept {
  bool is_first = false;
  if (allowed) [[likely]]
    shm::add_count(counts.allowed, identity);
  else
    is_first = shm::add_denial(counts, identity);
  if (count_total(view, policy, limit, allowed)) [[unlikely]]
    return true;
  return is_first && view.first_denials.may_be_told();
}

/// The same for a slot that is known by its index.
inline bool count(View& view, std::uint64_t slot_index, std::uint64_t identity,
                  std::uint16_t policy, const Limit& limit, bool allowed) noexcept {
  return count(view, view.table.counts(slot_index), identity, policy, limit, allowed);
}

/// Counts a call that has to wait for its turn.
inline void count_wait(View& view, std::uint16_t policy, std::uint64_t wait_ns) noexcept {
  view.stripes.add(policy, shm::PolicyTally::waits);
  view.stripes.add(policy, shm::PolicyTally::waited_ns, wait_ns);
}

/// Counts a try that a rival's success has undone.
[[gnu::noinline]] inline void count_rival(View& view) noexcept {
  view.stripes.add(shm::StripeHead::retries);
}

/// Counts what an update of the table has taken.
inline void count_update(View& view, const shm::KeyHash& hash, const shm::Update& update) noexcept {
  if (update.retries != 0) view.stripes.add(shm::StripeHead::retries, update.retries);
  if (update.promoted)
    view.stripes.add_insert(view.table.candidates(hash).line_of(update.slot_index));
}

}  // namespace rl
