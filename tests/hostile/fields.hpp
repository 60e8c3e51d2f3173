/// \file
/// Every byte of a segment by name: one table for each struct of shm/layout.hpp. A field that is
/// added to the layout is added here in one line; until then the static_asserts do not hold.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "shm/layout.hpp"

namespace rl::hostile {

struct Field {
  std::string_view name;
  std::size_t offset;
  std::size_t size;
  bool used = true;  ///< false for bytes that are there only to fill up: always 0
};

/// Whether the fields, in their order, cover all bytes of a struct, none of them twice.
template <std::size_t kCount>
constexpr bool cover(const std::array<Field, kCount>& fields, std::size_t bytes) {
  std::size_t at = 0;
  for (const Field& field : fields) {
    if (field.offset != at) return false;
    at += field.size;
  }
  return at == bytes;
}

// offsetof and a text of the name cannot be had without a macro.
#define RL_FIELD(type, member)                                                \
  Field {                                                                     \
#type "." #member, offsetof(shm::type, member), sizeof(shm::type::member) \
  }
#define RL_RESERVED(type, member)                                                    \
  Field {                                                                            \
#type "." #member, offsetof(shm::type, member), sizeof(shm::type::member), false \
  }
constexpr Field gap(std::size_t from, std::size_t to) {
  return {"(gap)", from, to - from, false};
}

inline constexpr std::array kConstantsFields{
    RL_FIELD(HeaderConstants, magic),
    RL_FIELD(HeaderConstants, layout_version),
    RL_FIELD(HeaderConstants, header_bytes),
    RL_FIELD(HeaderConstants, fingerprint),
    RL_FIELD(HeaderConstants, total_bytes),
    RL_FIELD(HeaderConstants, generation),
    RL_FIELD(HeaderConstants, created_unix_ns),
    RL_FIELD(HeaderConstants, creator_uid),
    RL_FIELD(HeaderConstants, creator_pid),
    RL_FIELD(HeaderConstants, creator_version),
    RL_FIELD(HeaderConstants, keys),
    RL_FIELD(HeaderConstants, pair_count),
    RL_FIELD(HeaderConstants, policy_capacity),
    RL_FIELD(HeaderConstants, seat_capacity),
    RL_FIELD(HeaderConstants, label_bytes),
    RL_FIELD(HeaderConstants, clock_kind),
    RL_FIELD(HeaderConstants, seats_offset),
    RL_FIELD(HeaderConstants, policies_offset),
    RL_FIELD(HeaderConstants, pairs_offset),
    RL_FIELD(HeaderConstants, labels_offset),
    RL_FIELD(HeaderConstants, secret),
    RL_FIELD(HeaderConstants, boot_id),
    RL_FIELD(HeaderConstants, time_namespace),
    RL_FIELD(HeaderConstants, epoch_boottime_ns),
    RL_FIELD(HeaderConstants, epoch_tsc),
    RL_FIELD(HeaderConstants, ns_per_tick_32),
    RL_FIELD(HeaderConstants, epoch_unix_ns),
    RL_FIELD(HeaderConstants, journal_offset),
    RL_FIELD(HeaderConstants, events_offset),
    RL_FIELD(HeaderConstants, stripes_offset),
    RL_RESERVED(HeaderConstants, reserved),
    RL_FIELD(HeaderConstants, checksum),
};
static_assert(cover(kConstantsFields, sizeof(shm::HeaderConstants)));

inline constexpr std::array kHealthFields{
    RL_FIELD(Health, evicted),     RL_FIELD(Health, full_allowed),
    RL_FIELD(Health, full_denied), RL_FIELD(Health, gave_up),
    RL_FIELD(Health, clamped),     RL_FIELD(Health, tentatives_freed),
    RL_FIELD(Health, anonymous),   RL_FIELD(Health, idle_overwritten),
};
static_assert(cover(kHealthFields, sizeof(shm::Health)));

/// The header; its constants and its health have tables of their own.
inline constexpr std::array kHeaderFields{
    RL_FIELD(Header, constants),
    RL_FIELD(Header, boottime_offset_ns),
    RL_FIELD(Header, manual_ns),
    RL_FIELD(Header, off_unix_ns),
    RL_FIELD(Header, denials_mask),
    gap(288, 320),
    RL_FIELD(Header, clock_anchor),
    gap(336, 384),
    RL_FIELD(Header, policy_next),
    RL_FIELD(Header, policy_first),
    RL_FIELD(Header, retired),
    gap(396, 400),
    RL_FIELD(Header, journal_next),
    RL_FIELD(Header, said_tsc_left),
    gap(412, 448),
    RL_FIELD(Header, health),
    RL_FIELD(Header, off_allowed),
    gap(520, sizeof(shm::Header)),
};
static_assert(cover(kHeaderFields, sizeof(shm::Header)));

inline constexpr std::array kSeatFields{
    RL_FIELD(Seat, generation),   RL_FIELD(Seat, nonce),         RL_FIELD(Seat, pid),
    RL_RESERVED(Seat, reserved0), RL_FIELD(Seat, since_unix_ns), RL_RESERVED(Seat, reserved),
};
static_assert(cover(kSeatFields, sizeof(shm::Seat)));

inline constexpr std::array kPolicyConstantsFields{
    RL_FIELD(PolicyConstants, algorithm),   RL_FIELD(PolicyConstants, flags),
    RL_FIELD(PolicyConstants, count),       RL_FIELD(PolicyConstants, period_ns),
    RL_FIELD(PolicyConstants, interval_ns), RL_FIELD(PolicyConstants, burst),
    RL_FIELD(PolicyConstants, horizon_ns),  RL_FIELD(PolicyConstants, when_full),
    RL_FIELD(PolicyConstants, creator_uid), RL_FIELD(PolicyConstants, created_unix_ns),
    RL_FIELD(PolicyConstants, created_ns),  RL_FIELD(PolicyConstants, queue),
    RL_FIELD(PolicyConstants, delay),       RL_FIELD(PolicyConstants, phase_ns),
    RL_FIELD(PolicyConstants, lease_ns),    RL_FIELD(PolicyConstants, floor_percent),
    RL_FIELD(PolicyConstants, ban_after),   RL_FIELD(PolicyConstants, ban_within_ns),
    RL_FIELD(PolicyConstants, ban_ns),      RL_FIELD(PolicyConstants, kind),
    RL_FIELD(PolicyConstants, spent),       RL_FIELD(PolicyConstants, parent),
    RL_FIELD(PolicyConstants, name_bytes),  RL_FIELD(PolicyConstants, name),
};
static_assert(cover(kPolicyConstantsFields, sizeof(shm::PolicyConstants)));

/// A policy; its constants have a table of their own.
inline constexpr std::array kPolicyFields{
    RL_FIELD(PolicyEntry, next),      RL_RESERVED(PolicyEntry, reserved),
    RL_FIELD(PolicyEntry, links),     RL_FIELD(PolicyEntry, changed_ns),
    RL_FIELD(PolicyEntry, constants), RL_FIELD(PolicyEntry, tallies),
    RL_FIELD(PolicyEntry, checksum),
};
static_assert(cover(kPolicyFields, sizeof(shm::PolicyEntry)));

// The parts of a slot and of a label are private to them.
inline constexpr std::array kSlotFields{
    Field{"Slot.policy", 0, 2},
    Field{"Slot.identity", 2, 6},
    Field{"Slot.state", 8, 8},
};
static_assert(cover(kSlotFields, sizeof(shm::Slot)));

inline constexpr std::array kCountsFields{
    RL_FIELD(Counts, allowed),
    RL_FIELD(Counts, denied),
};
static_assert(cover(kCountsFields, sizeof(shm::Counts)));

inline constexpr std::array kLabelFields{
    Field{"Label.checksum", 0, 4},
    Field{"Label.length", 4, 1},
    Field{"Label.text", 5, 31},
};
static_assert(cover(kLabelFields, sizeof(shm::Label)));

#undef RL_FIELD
#undef RL_RESERVED

}  // namespace rl::hostile
