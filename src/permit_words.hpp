/// \file
/// What the slots of a concurrency limit hold: pure functions, no clock, no atomics.
///
///          62 61   60          50 49         42 41             18 17           0
///         +-------+--------------+-------------+-----------------+--------------+
///  PERMIT |   0   |  holder (11) | generation 8|  lease end (24) | sequence (18)|
///         +-------+------+-------+----+--------+-----+-----------+---+----------+
///  HINT   |   1   | mark | valid (4)  | index (12)   | checked (21)  | releases |
///         +-------+------+------------+--------------+---------------+   (22)   |
///  FENCE  |   2   |               number (61), as time in ns                    |
///         +-------+-------------------------------------------------------------+
///
/// Bit 63 is never set: nonces have it. A word 0 is a permit that nobody ever took.
///
/// PERMIT: one of the limit's permits of a key. The holder is a seat and 1; 0, nobody; 1025,
/// somebody who cannot be asked whether he lives: the permit came here in a copy of its segment,
/// and is out until its lease is over. A take and a give-back each add 1 to the sequence.
///
/// HINT: of the key itself, so that a denial need not look at every permit. How it is kept true
/// stands in src/permits.cpp.
///
/// FENCE: the last fencing number given out. The next is above it, and above the clock, so that a
/// number that time has overtaken need not be kept.
///
/// Times of permits and hints are ticks of 2^26 ns (67 ms) on a circle. Rounding: a lease ends at
/// the first tick not before it, so it is never shorter than said.
///
/// Whether a lease still runs is told from where its end lies, ahead of now on the circle: it runs
/// if that is at least one tick, and no more than the policy's lease, a second for clocks that
/// disagree, and two ticks of rounding (`reach`). Where a lease was shortened, those that were given
/// before are longer, and so is the reach until they are over. Proof that this errs on the safe side only: a
/// lease granted at t ends within lease + 1 tick of t, so until then its end lies within reach and
/// it is seen to run. Its end over, it lies behind by the time since, which on a circle of 13.03
/// days is ahead by 13.03 days less that: beyond reach, so seen to be over, for the first 13.03
/// days less reach, 12 days with the longest lease. Only then, and if nobody touched the slot in
/// all that time, can it look as if it ran, and for no longer than reach: a permit is missed, none
/// is given twice. An end further ahead than reach is no lease that anybody took: bytes gone wrong
/// free a permit, or hold one for a lease.
#pragma once

#include <algorithm>
#include <cstdint>

#include "src/ticks.hpp"

namespace rl {

/// The parameters of a concurrency limit.
struct Concurrency {
  std::uint64_t limit = 1;  ///< permits out at once
  std::uint64_t lease_ns = kLeaseMin;
  // Of the limits that this one replaced, as far as their permits may still be out.
  std::uint64_t longest_ns = 0;  ///< the longest lease; what is no longer than ours is no matter
  std::uint64_t most = 0;        ///< the largest limit; likewise
  std::uint16_t before = 0;      ///< the last of them: it says when; 0, none

  static constexpr std::uint64_t kLimitMax = 4'096;
  static constexpr std::uint64_t kLeaseMin = 1'000'000'000;
  static constexpr std::uint64_t kLeaseMax = 86'400'000'000'000;
};

/// Returns how far `later` lies after `earlier` on a circle of 2^bits ticks.
constexpr std::uint64_t ticks_from(std::uint64_t earlier, std::uint64_t later, int bits) noexcept {
  return (later - earlier) & ((std::uint64_t{1} << bits) - 1);
}

/// The last is no word of a permit: what is kept of a key's conduct has a slot of its own, too.
enum class WordKind : std::uint8_t { permit, hint, fence, none, conduct };

constexpr WordKind kind_of(std::uint64_t state) noexcept {
  return state >> 63 != 0 ? WordKind::none : static_cast<WordKind>(state >> 61);
}

// --- PERMIT
// ---------------------------------------------------------------------------------------

/// A permit's word, taken apart.
struct PermitWord {
  std::uint32_t holder = 0;     ///< seat + 1; 0, nobody; kUnaskable
  std::uint8_t generation = 0;  ///< the low bits of the seat's
  std::uint32_t lease_end = 0;  ///< in ticks
  std::uint32_t sequence = 0;
  friend constexpr bool operator==(const PermitWord&, const PermitWord&) = default;

  static constexpr std::uint32_t kUnaskable = 1'025;
  static constexpr int kEndBits = 24;
  static constexpr std::uint32_t kSequenceMask = (1U << 18) - 1;

  /// A word of another kind is a permit that nobody has.
  static constexpr PermitWord of(std::uint64_t state) noexcept {
    if (kind_of(state) != WordKind::permit) return {};
    return {static_cast<std::uint32_t>(state >> 50), static_cast<std::uint8_t>(state >> 42),
            static_cast<std::uint32_t>(state >> 18) & ((1U << kEndBits) - 1),
            static_cast<std::uint32_t>(state) & kSequenceMask};
  }
  [[nodiscard]] constexpr std::uint64_t state() const noexcept {
    return std::uint64_t{holder} << 50 | std::uint64_t{generation} << 42 |
           std::uint64_t{lease_end} << 18 | sequence;
  }
};

/// Returns the tick at which a lease that begins now is over.
constexpr std::uint32_t lease_end_of(const Concurrency& permits, std::uint64_t now_ns) noexcept {
  const std::uint64_t end_ns = std::min(now_ns, kTimeMax) + permits.lease_ns + (kTickNs - 1);
  return static_cast<std::uint32_t>(ticks_from(0, end_ns >> kTickBits, PermitWord::kEndBits));
}

/// Returns the ticks until a lease is over, from the beginning of the one that now lies in; 0 when
/// it is over, or nobody has the permit.
constexpr std::uint64_t ticks_left(const Concurrency& permits, const PermitWord& word,
                                   std::uint64_t now_ns) noexcept {
  const std::uint64_t longest_ns = std::max(permits.lease_ns, permits.longest_ns);
  const std::uint64_t reach = ((longest_ns + kHealSlackNs) >> kTickBits) + 2;
  const std::uint64_t ahead =
      ticks_from(std::min(now_ns, kTimeMax) >> kTickBits, word.lease_end, PermitWord::kEndBits);
  return word.holder != 0 && ahead <= reach ? ahead : 0;
}

/// Whether a permit is out, as far as its word tells: what its holder's death makes of it is for
/// the seats to say.
constexpr bool is_out(const Concurrency& permits, const PermitWord& word,
                      std::uint64_t now_ns) noexcept {
  return ticks_left(permits, word, now_ns) != 0;
}

/// Returns how long a permit stays out at most; 0 when it is not.
constexpr std::uint64_t lease_left_ns(const Concurrency& permits, const PermitWord& word,
                                      std::uint64_t now_ns) noexcept {
  const std::uint64_t ticks = ticks_left(permits, word, now_ns);
  return ticks == 0 ? 0 : ticks * kTickNs - (std::min(now_ns, kTimeMax) & (kTickNs - 1));
}

/// The permit as whoever sits there takes it now, after `previous`.
constexpr PermitWord taken(const Concurrency& permits, const PermitWord& previous,
                           std::uint32_t seat, std::uint64_t generation,
                           std::uint64_t now_ns) noexcept {
  return {seat + 1, static_cast<std::uint8_t>(generation), lease_end_of(permits, now_ns),
          (previous.sequence + 1) & PermitWord::kSequenceMask};
}

constexpr PermitWord given_back(const PermitWord& held) noexcept {
  return {0, 0, 0, (held.sequence + 1) & PermitWord::kSequenceMask};
}

/// The same permit, with a lease that begins now.
constexpr PermitWord renewed(const Concurrency& permits, PermitWord held,
                             std::uint64_t now_ns) noexcept {
  held.lease_end = lease_end_of(permits, now_ns);
  return held;
}

/// The permit in a copy of its segment, whose seats are new.
constexpr PermitWord copied(PermitWord word) noexcept {
  if (word.holder != 0) word.holder = PermitWord::kUnaskable;
  return word;
}

// --- HINT
// -----------------------------------------------------------------------------------------

/// A hint's word, taken apart.
struct HintWord {
  enum Mark : std::uint8_t { clear, checking, saturated };
  Mark mark = clear;
  std::uint32_t valid = 0;     ///< ticks from `checked` for which it is saturated
  std::uint32_t index = 0;     ///< the permit whose lease ends first, or that was given back last
  std::uint32_t checked = 0;   ///< the tick when it was marked
  std::uint32_t releases = 0;  ///< how often a mark was cleared
  friend constexpr bool operator==(const HintWord&, const HintWord&) = default;

  static constexpr std::uint32_t kValidMax = 7;  ///< 0.47 s
  static constexpr int kCheckedBits = 21;
  static constexpr std::uint32_t kReleasesMask = (1U << 22) - 1;

  /// A word of another kind is a hint that says nothing.
  static constexpr HintWord of(std::uint64_t state) noexcept {
    const std::uint64_t bits = state >> 59 & 3;
    if (kind_of(state) != WordKind::hint || bits > saturated) return {};
    return {static_cast<Mark>(bits), static_cast<std::uint32_t>(state >> 55) & 0xfU,
            static_cast<std::uint32_t>(state >> 43) & 0xfffU,
            static_cast<std::uint32_t>(state >> 22) & ((1U << kCheckedBits) - 1),
            static_cast<std::uint32_t>(state) & kReleasesMask};
  }
  [[nodiscard]] constexpr std::uint64_t state() const noexcept {
    return std::uint64_t{1} << 61 | std::uint64_t{mark} << 59 | std::uint64_t{valid} << 55 |
           std::uint64_t{index} << 43 | std::uint64_t{checked} << 22 | releases;
  }
};

/// Returns the ticks since the hint was marked. A clock that is one tick behind the marker's sees
/// 0: CPUs need not agree to the nanosecond.
constexpr std::uint64_t ticks_since(const HintWord& hint, std::uint64_t now_ns) noexcept {
  const std::uint64_t since = ticks_from(
      hint.checked, (std::min(now_ns, kTimeMax) >> kTickBits) + 1, HintWord::kCheckedBits);
  return since == 0 ? 0 : since - 1;
}

/// Whether the hint says that all permits are out.
constexpr bool is_saturated(const HintWord& hint, std::uint64_t now_ns) noexcept {
  return hint.mark == HintWord::saturated && ticks_since(hint, now_ns) < hint.valid;
}

/// Whether somebody is looking through the permits, recently enough to join him.
constexpr bool is_being_checked(const HintWord& hint, std::uint64_t now_ns) noexcept {
  return hint.mark == HintWord::checking && ticks_since(hint, now_ns) < HintWord::kValidMax;
}

/// The hint while somebody looks through the permits.
constexpr HintWord marked(const HintWord& hint, std::uint64_t now_ns) noexcept {
  const std::uint64_t tick = std::min(now_ns, kTimeMax) >> kTickBits;
  return {HintWord::checking, 0, hint.index,
          static_cast<std::uint32_t>(ticks_from(0, tick, HintWord::kCheckedBits)), hint.releases};
}

/// The hint when all permits were seen to be out since it was marked, and no lease ends for
/// `first_left_ns` from now, that of the permit `index` first. True until then, but for no longer
/// than kValidMax: the dead do not say that they are.
constexpr HintWord saturated(const HintWord& checking, std::uint32_t index, std::uint64_t now_ns,
                             std::uint64_t first_left_ns) noexcept {
  constexpr std::uint64_t kWithinNs = kTickNs * HintWord::kValidMax;
  const std::uint64_t until =
      (std::min(now_ns, kTimeMax) + std::min(first_left_ns, kWithinNs)) >> kTickBits;
  const std::uint64_t ticks = ticks_from(checking.checked, until, HintWord::kCheckedBits);
  // More than twice as far is behind, for a clock that is behind the marker's: then it is over.
  const std::uint64_t valid = ticks > 2 * HintWord::kValidMax ? 0 : ticks;
  return {HintWord::saturated,
          static_cast<std::uint32_t>(std::min<std::uint64_t>(valid, HintWord::kValidMax)), index,
          checking.checked, checking.releases};
}

/// The hint after the permit `index` was given back.
constexpr HintWord cleared(const HintWord& hint, std::uint32_t index) noexcept {
  return {HintWord::clear, 0, index, hint.checked, (hint.releases + 1) & HintWord::kReleasesMask};
}

/// Whether the hint was marked so recently that it must stay: whoever marked it may still be
/// looking, and must not find the words of his mark again in a slot that was cleared, overwritten
/// and marked anew. Later, the tick of a new mark differs; within a tick, the releases do, as 2^22
/// of them take longer.
constexpr bool is_recent(const HintWord& hint, std::uint64_t now_ns) noexcept {
  constexpr std::uint64_t kTicks = kHealSlackNs >> kTickBits;
  return ticks_since(hint, now_ns) <= kTicks;
}

// --- FENCE
// ----------------------------------------------------------------------------------------

inline constexpr std::uint64_t kFenceMax = (std::uint64_t{1} << 61) - 1;

/// For how long after its instant a fencing number is kept: longer than a clock steps back when the
/// TSC is left, and than CPUs' clocks differ.
inline constexpr std::uint64_t kFenceKeptNs = kHealSlackNs;

/// Returns the last fencing number; 0 in a word of another kind.
constexpr std::uint64_t fence_of(std::uint64_t state) noexcept {
  return kind_of(state) == WordKind::fence ? state & kFenceMax : 0;
}

/// Returns the state with the next number, above all before; the same state when they have run out,
/// after 73 years or by bytes gone wrong.
constexpr std::uint64_t next_fence(std::uint64_t state, std::uint64_t now_ns) noexcept {
  // One that is far ahead nobody was given.
  const std::uint64_t given = fence_of(state) <= now_ns + kHealSlackNs ? fence_of(state) : 0;
  const std::uint64_t last = std::max(given, now_ns);
  return last < kFenceMax ? std::uint64_t{2} << 61 | (last + 1) : state;
}

/// Whether the clock has overtaken the last number, so that the next is above it anyhow. One that
/// is far ahead nobody was given.
constexpr bool is_fence_overtaken(std::uint64_t number, std::uint64_t now_ns) noexcept {
  return number + kFenceKeptNs <= now_ns || number > now_ns + kHealSlackNs;
}

}  // namespace rl
