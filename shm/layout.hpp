/// \file
/// The bytes of a segment. Nothing else in the project knows an offset; where the regions lie is in
/// shm/geometry.hpp.
///
///     0          header      one page
///     4096       seats       64 bytes each: the attached processes
///     ...        policies    256 bytes each
///     ...        journal     256 bytes for each of the last changes by hand
///     ...        events      rings of the last events, 128 bytes each
///     ...        stripes     64 bytes for each policy, many times: what threads count
///     ...        pairs       256 bytes each: eight slots and their counts
///     ...        labels      36 bytes for each slot, or none
///
/// Each region begins on a page. Nothing is a pointer; every integer has its width; every struct is
/// drawn, and the drawing is asserted. The header's first four lines never change after publication
/// and carry a checksum; the geometry in them is copied at attach and never read again.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "shm/hash.hpp"
#include "shm/slot.hpp"

namespace rl::shm {

inline constexpr std::uint32_t kLayoutVersion = 1;
inline constexpr std::uint64_t kMagic = 0x6765'736c'7262'696c;  // "librlseg", little-endian
inline constexpr std::size_t kPageBytes = 4096;

using Word = std::atomic<std::uint64_t>;
using HalfWord = std::atomic<std::uint32_t>;

/// What is fixed at creation: 256 bytes of the header.
///
///       +0               +8               +16              +24
///     0 magic            version|header   fingerprint      total bytes
///    32 generation       created unix ns  uid|pid          creator version
///    64 keys             pair count       policies|seats   label bytes|clock kind
///    96 seats at         policies at      pairs at         labels at
///   128 secret                            boot id
///   160 time namespace   epoch boottime   epoch tsc        ns per tick, 32.32
///   192 epoch unix       journal at       events at        stripes at
///   224 (0)              (0)              (0)              checksum of all above
struct HeaderConstants {
  std::uint64_t magic;
  std::uint32_t layout_version;
  std::uint32_t header_bytes;
  std::uint64_t fingerprint;
  std::uint64_t total_bytes;
  std::uint64_t generation;  ///< random; tells a segment from its successor under the same name
  std::uint64_t created_unix_ns;
  std::uint32_t creator_uid;
  std::uint32_t creator_pid;
  char creator_version[8];
  std::uint64_t keys;
  std::uint64_t pair_count;
  std::uint32_t policy_capacity;
  std::uint32_t seat_capacity;
  std::uint32_t label_bytes;
  std::uint32_t clock_kind;
  std::uint64_t seats_offset;
  std::uint64_t policies_offset;
  std::uint64_t pairs_offset;
  std::uint64_t labels_offset;
  Hash128 secret;
  std::uint64_t boot_id[2];
  std::uint64_t time_namespace;  ///< inode of /proc/self/ns/time; 0 when unknown
  std::uint64_t epoch_boottime_ns;
  std::uint64_t epoch_tsc;
  std::uint64_t ns_per_tick_32;
  std::uint64_t epoch_unix_ns;
  std::uint64_t journal_offset;
  std::uint64_t events_offset;
  std::uint64_t stripes_offset;
  std::uint64_t reserved[3];
  std::uint64_t checksum;
};
static_assert(sizeof(HeaderConstants) == 256);
static_assert(offsetof(HeaderConstants, keys) == 64);
static_assert(offsetof(HeaderConstants, seats_offset) == 96);
static_assert(offsetof(HeaderConstants, secret) == 128);
static_assert(offsetof(HeaderConstants, time_namespace) == 160);
static_assert(offsetof(HeaderConstants, epoch_unix_ns) == 192);
static_assert(offsetof(HeaderConstants, checksum) == 248);
static_assert(std::is_trivially_copyable_v<HeaderConstants>);

/// Things that go wrong seldom and are counted for the operator; relaxed adds, no order needed.
struct alignas(64) Health {
  Word evicted;
  Word full_allowed;
  Word full_denied;
  Word gave_up;
  Word clamped;
  Word tentatives_freed;
  Word anonymous;
  Word idle_overwritten;
};
static_assert(sizeof(Health) == 64);

/// What the reaper did, for people; relaxed, no order needed. Nothing depends on it.
struct alignas(64) Reaping {
  Word beat_ns;  ///< when it last swept, by CLOCK_BOOTTIME; 0 = never
  Word pid;
  Word rounds;  ///< how often it came to the end of the table
  Word idle_freed;
  Word permits_freed;
  Word tentatives_freed;
  Word corrupt;  ///< slots in none of the states, when it last went round
  Word reserved;
};
static_assert(sizeof(Reaping) == 64);

/// The first page.
///
///     0    constants (four lines)
///     256  clock: boottime_offset (0 = the TSC holds), manual time; off   read by every decision
///          of denials, which bring an event                               read by denials
///     320  clock anchor: both clocks at one instant, {tsc, boottime}
///     384  policies: next free id, first of the published list; retired; next record of the journal;
///          whether it was said that the TSC was left
///     448  health counters
///     512  calls that passed while limits were off
///     576  what the reaper did
struct alignas(kPageBytes) Header {
  HeaderConstants constants;
  alignas(64) Word boottime_offset_ns;
  Word manual_ns;
  Word off_unix_ns;   ///< since when all calls pass; 0 = limits are on
  Word denials_mask;  ///< a denial whose number of its thread has none of these bits is an event
  alignas(64) Slot clock_anchor;  ///< replaced whole, about once a second (shm/clock.hpp)
  alignas(64) HalfWord policy_next;
  HalfWord policy_first;
  /// Not 0: removed on purpose, or succeeded by another segment. Its contents are never copied
  /// again.
  HalfWord retired;
  Word journal_next;
  HalfWord said_tsc_left;
  Health health;
  alignas(64) Word off_allowed;
  Reaping reaping;
};
static_assert(sizeof(Header) == kPageBytes);
static_assert(offsetof(Header, boottime_offset_ns) == 256);
static_assert(offsetof(Header, clock_anchor) == 320);
static_assert(offsetof(Header, policy_next) == 384);
static_assert(offsetof(Header, off_unix_ns) == 272);
static_assert(offsetof(Header, journal_next) == 400);
static_assert(offsetof(Header, health) == 448);
static_assert(offsetof(Header, off_allowed) == 512);
static_assert(offsetof(Header, reaping) == 576);

/// The entry of an attached process. Who holds it is told by a lock of the kernel on its first byte
/// in the file, never by its contents.
///
///     0 generation   8 next nonce   16 pid|0   24 since unix ns   32 (0)
struct alignas(64) Seat {
  Word generation;  ///< goes up under the lock before the seat is used; 0 = never used
  Word nonce;       ///< counts on for ever, whoever sits here: a nonce is never given twice
  HalfWord pid;     ///< for people only
  HalfWord reserved0;
  Word since_unix_ns;
  Word reserved[4];
};
static_assert(sizeof(Seat) == 64);

inline constexpr std::size_t kPolicyNameMax = 63;

inline constexpr std::uint32_t kPolicyShadow = 1;  ///< it only watches

/// What an entry is there for. Numbers are for ever: segments hold them.
enum class PolicyKind : std::uint16_t {
  limit = 0,      ///< a limit that is, or was, in force for all keys of its name
  override_ = 1,  ///< one for single keys
  allow = 2,      ///< single keys pass whatever they use
  ban = 3,        ///< single keys are denied until an instant
  conduct = 4,    ///< what is kept of keys that are denied too often
  candidate = 5,  ///< a limit on trial: it counts, and decides nothing
  asked = 6,      ///< what a program asked for, and did not get
  removed = 7,    ///< the name limits nothing any more
};

/// What is fixed when a policy is published: most of its entry.
struct PolicyConstants {
  std::uint32_t algorithm;
  std::uint32_t flags;  ///< kPolicyShadow; any other is of a library to come
  std::uint64_t count;
  std::uint64_t period_ns;
  std::uint64_t interval_ns;
  std::uint64_t burst;
  std::uint64_t horizon_ns;  ///< no state of this policy lies further ahead than this
  std::uint32_t when_full;
  std::uint32_t creator_uid;
  std::uint64_t created_unix_ns;
  std::uint64_t created_ns;  ///< on the segment's clock
  std::uint64_t queue;       ///< of a leaky bucket; of permits: the most that were given before
  std::uint64_t delay;       ///< of a leaky bucket; of permits: the id of the policy before
  std::uint64_t phase_ns;    ///< of windows: Unix time at the segment's time 0, modulo the period
  std::uint64_t lease_ns;    ///< of permits
  std::uint32_t floor_percent;
  std::uint32_t ban_after;      ///< denials; 0 = never
  std::uint64_t ban_within_ns;  ///< the time in which they count
  std::uint64_t ban_ns;
  PolicyKind kind;
  std::uint16_t spent;  ///< what becomes of debts under the policies before it (rl::Spent)
  /// Of a ban or an allow: the policy that the key comes back under. Of a limit that bans: the entry
  /// that its keys' conduct is kept under.
  std::uint32_t parent;
  std::uint8_t name_bytes;
  char name[kPolicyNameMax];
};
static_assert(sizeof(PolicyConstants) == 200);
static_assert(offsetof(PolicyConstants, lease_ns) == 96);
static_assert(offsetof(PolicyConstants, kind) == 128);
static_assert(offsetof(PolicyConstants, name_bytes) == 136);

/// What a candidate would have done so far. Relaxed adds; only while there is one.
struct Tallies {
  Word allowed;
  Word denied;
  Word keys;  ///< that it denied at least once
};

/// A policy: immutable once it hangs on the published list or on its predecessor. Only these words
/// change: the links, once each, but for the candidate; and the tallies.
///
///     0 next|(0)   8 successor|candidate   16 changed at   24 constants ...   224 tallies
///     248 checksum
struct alignas(64) PolicyEntry {
  HalfWord next;  ///< the policy published after this one; 0 = none yet; set once, by CAS
  HalfWord reserved;
  /// Low half: the policy that replaced this one, set once. High half: the candidate that is tried
  /// beside it. Both 0: in force, and alone; all that a decision has to know.
  Word links;
  Word changed_ns;  ///< the instant of the replacement; 0 = nobody has dated it yet; set once
  PolicyConstants constants;
  Tallies tallies;
  std::uint64_t checksum;  ///< of the constants, keyed with the secret
};
static_assert(sizeof(PolicyEntry) == 256);
static_assert(offsetof(PolicyEntry, links) == 8);
static_assert(offsetof(PolicyEntry, constants) == 24);
static_assert(offsetof(PolicyEntry, tallies) == 224);
static_assert(offsetof(PolicyEntry, checksum) == 248);

constexpr std::uint32_t successor_in(std::uint64_t links) noexcept {
  return static_cast<std::uint32_t>(links);
}
constexpr std::uint32_t candidate_in(std::uint64_t links) noexcept {
  return static_cast<std::uint32_t>(links >> 32);
}
constexpr std::uint64_t links_of(std::uint32_t successor, std::uint32_t candidate) noexcept {
  return std::uint64_t{candidate} << 32 | successor;
}

/// Who changed what by hand: the last kJournalRecords of such changes. Words; a reader trusts the
/// checksum, as with labels.
struct alignas(64) JournalRecord {
  Word words[32];
};
static_assert(sizeof(JournalRecord) == 256);
inline constexpr std::uint64_t kJournalRecords = 256;

/// Something that happened. Words; a reader trusts the checksum, as with the journal.
struct alignas(128) EventRecord {
  Word words[16];
};
static_assert(sizeof(EventRecord) == 128);
inline constexpr std::uint64_t kEventsPerRing = 128;

/// The last events of the processes whose seats fall to this ring (shm/events.hpp).
///
///     0 next   8 read to   16 lost   128 records
struct EventRing {
  alignas(128) Word next;  ///< the number of the next event
  Word read_to;            ///< consumers have read those before this number
  Word lost;               ///< overwritten before that
  EventRecord records[kEventsPerRing];
};
static_assert(sizeof(EventRing) == 128 + kEventsPerRing * sizeof(EventRecord));
static_assert(offsetof(EventRing, records) == 128);
inline constexpr std::uint32_t kEventRings = 16;
inline constexpr std::uint64_t kDenialsPerEvent = 1'024;  ///< in a new segment; a power of two

/// What one thread has counted of a policy: it alone adds, so plain loads and stores are exact. In
/// the first stripe, which is for all, adds are locked.
///
///     0 allowed   8 denied   16 would deny   24 refunds   32 waits   40 waited ns   48 (0)
struct alignas(64) PolicyTally {
  enum Which : std::uint32_t { allowed, denied, would_deny, refunds, waits, waited_ns };
  Word words[8];
};
static_assert(sizeof(PolicyTally) == 64);

/// The beginning of a stripe: whose it is, and what was counted of no policy (shm/stripes.hpp).
///
///     0 owner: seat + 1 (16), generation (48); 0 = free   8 retries   16 inserts by line (32)
///     48 permits reclaimed   56 (0)
struct alignas(64) StripeHead {
  enum Which : std::uint32_t { owner, retries, first_line, permits_reclaimed = 6 };
  Word words[8];
};
static_assert(sizeof(StripeHead) == sizeof(PolicyTally));

/// How often a slot's key was allowed and denied: 16 bits of its identity, 48 bits of count, of which
/// the highest of `allowed` says that a denial came last. Advisory: plain loads and stores, so
/// contention may lose some (shm/counts.hpp).
struct Counts {
  Word allowed;
  Word denied;
};
static_assert(sizeof(Counts) == 16);

/// Eight slots, then their counts: slots of one pair lie in one 128-byte block, which the CPU
/// fetches together, and the counts share their page, so a decision has one TLB miss.
template <class Cell>
struct alignas(256) BasicPair {
  Cell slots[8];
  Counts counts[8];
};
using Pair = BasicPair<Slot>;
static_assert(sizeof(Pair) == 256);
static_assert(offsetof(Pair, counts) == 128);

/// The readable text of a key.
///
///     0 checksum (4)   4 length (1)   5 text (31), or of a longer key: text (23)   28 place (8)
///
/// The length also tells longer keys, and which sides of its pairs such a key has first.
/// Written without any lock after the slot was claimed, so a slow writer can put it on a slot that
/// has changed hands: it counts only where the checksum fits the slot's identity (shm/labels.hpp).
struct Label {
  HalfWord words[9];
};
static_assert(sizeof(Label) == 36);
inline constexpr std::size_t kLabelTextBytes = 31;

}  // namespace rl::shm
