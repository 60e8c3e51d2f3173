/// \file
/// How many bytes of each kind a segment has (shm/layout.hpp), and where.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/layout.hpp"

namespace rl::shm {

/// Slots for N promised keys: 16 for every 9 keys, which leaves a full list to fewer than 1 of
/// 1,000,000 inserts at N live keys (measured by bench/candidates).
inline constexpr std::uint64_t kSlotsPer = 16;
inline constexpr std::uint64_t kKeysPer = 9;

inline constexpr std::uint64_t kKeysMax = std::uint64_t{1} << 30;
inline constexpr std::uint32_t kPoliciesMax = 65'535;
inline constexpr std::uint32_t kSeatsMax = 1'024;

/// The first stripe, which all threads share, has a cell for each policy; the others, which are a
/// thread's alone, for the first of them, as most segments never have more.
inline constexpr std::uint32_t kStripes = 64;
inline constexpr std::uint32_t kOwnPolicies = 64;

constexpr std::uint32_t own_policies(std::uint32_t policies) noexcept {
  return policies < kOwnPolicies ? policies : kOwnPolicies;
}
constexpr std::uint64_t stripe_bytes(std::uint32_t policies) noexcept {
  return sizeof(StripeHead) + std::uint64_t{policies} * sizeof(PolicyTally);
}
/// Returns where a stripe begins among the others.
constexpr std::uint64_t stripe_offset(std::uint32_t policies, std::uint32_t index) noexcept {
  if (index == 0) return 0;
  return stripe_bytes(policies) + (index - 1) * stripe_bytes(own_policies(policies));
}

/// Where everything lies, derived from four numbers. Made by geometry_for, copied at attach.
struct Geometry {
  std::uint64_t keys = 0;
  std::uint64_t pair_count = 0;
  std::uint32_t policy_capacity = 0;
  std::uint32_t seat_capacity = 0;
  std::uint32_t label_bytes = 0;
  std::uint64_t seats_offset = 0;
  std::uint64_t policies_offset = 0;
  std::uint64_t journal_offset = 0;
  std::uint64_t events_offset = 0;
  std::uint64_t stripes_offset = 0;
  std::uint64_t pairs_offset = 0;
  std::uint64_t labels_offset = 0;
  std::uint64_t total_bytes = 0;
  friend bool operator==(const Geometry&, const Geometry&) = default;
};

constexpr std::uint64_t round_to_page(std::uint64_t bytes) noexcept {
  return (bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
}

/// Lays a segment out. The arguments must lie within their maxima.
constexpr Geometry geometry_for(std::uint64_t keys, std::uint32_t policies, std::uint32_t seats,
                                bool labels) noexcept {
  Geometry g;
  g.keys = keys;
  const std::uint64_t slots = (keys * kSlotsPer + kKeysPer - 1) / kKeysPer;
  g.pair_count = (slots + 7) / 8 < 2 ? 2 : (slots + 7) / 8;
  g.policy_capacity = policies;
  g.seat_capacity = seats;
  g.label_bytes = labels ? sizeof(Label) : 0;
  g.seats_offset = sizeof(Header);
  g.policies_offset = g.seats_offset + round_to_page(std::uint64_t{seats} * sizeof(Seat));
  g.journal_offset =
      g.policies_offset + round_to_page(std::uint64_t{policies} * sizeof(PolicyEntry));
  g.events_offset = g.journal_offset + round_to_page(kJournalRecords * sizeof(JournalRecord));
  g.stripes_offset = g.events_offset + round_to_page(kEventRings * sizeof(EventRing));
  g.pairs_offset = g.stripes_offset + round_to_page(stripe_offset(policies, kStripes));
  g.labels_offset = g.pairs_offset + round_to_page(g.pair_count * sizeof(Pair));
  g.total_bytes = g.labels_offset + round_to_page(g.pair_count * 8 * g.label_bytes);
  return g;
}

/// Changes whenever a size, an alignment, a count or the hash does, even if somebody forgot to
/// raise the version.
constexpr std::uint64_t layout_fingerprint() noexcept {
  std::uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const std::uint64_t fact : {std::uint64_t{sizeof(Header)},
                                   std::uint64_t{sizeof(Seat)},
                                   std::uint64_t{sizeof(PolicyEntry)},
                                   std::uint64_t{sizeof(Pair)},
                                   std::uint64_t{sizeof(Label)},
                                   std::uint64_t{alignof(Pair)},
                                   std::uint64_t{offsetof(Header, health)},
                                   std::uint64_t{offsetof(PolicyConstants, name)},
                                   std::uint64_t{offsetof(PolicyConstants, kind)},
                                   std::uint64_t{offsetof(PolicyEntry, links)},
                                   std::uint64_t{sizeof(JournalRecord)},
                                   kJournalRecords,
                                   std::uint64_t{sizeof(EventRing)},
                                   std::uint64_t{kEventRings},
                                   std::uint64_t{kStripes},
                                   std::uint64_t{kOwnPolicies},
                                   std::uint64_t{offsetof(Pair, counts)},
                                   kSlotsPer,
                                   kKeysPer,
                                   kHashId}) {
    hash = (hash ^ fact) * 0x0000'0100'0000'01b3;
  }
  return hash;
}

}  // namespace rl::shm
