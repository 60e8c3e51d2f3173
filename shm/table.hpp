/// \file
/// The table: which slot a key has, and how it gets one. The whole idea of librl is on this page.
///
/// # States of a slot
///
///     FREE       tag 0, state 0
///     TENTATIVE  identity | policy 0, state = a nonce    somebody is about to insert this key
///     MEMBER     identity | policy,   state = its debt   the key's one and only slot
///
/// Anything else (no identity, but not FREE) is corrupt: it matches no key, and is never judged.
///
/// # Transitions
///
/// Each is ONE compare-and-swap of all 16 bytes, so a process that is killed or stopped between any
/// two instructions leaves one of the states above, and nobody has anything to clean up or to wait
/// for.
///
///     who            from                      to                     why one CAS suffices
///     (a) claim      FREE                      TENTATIVE(own nonce)   no charge is in it yet
///     (b) overwrite  MEMBER of another, idle   TENTATIVE(own nonce)   idle is worth nothing, and a
///                                                                     charge in between fails it
///     (c) displace   TENTATIVE of another key  TENTATIVE(own nonce)   its owner notices, restarts
///     (d) evict      MEMBER of another, owing  TENTATIVE(own nonce)   that debt is lost: counted
///     (e) withdraw   TENTATIVE(own nonce)      FREE
///     (f) kill       TENTATIVE, same key       FREE                   its owner notices, restarts
///     (g) promote    TENTATIVE                 MEMBER                 own: with the first charge
///                                                                     in it; another's: idle
///     (h) step       MEMBER(s)                 MEMBER(s')             a decision; a permit taken,
///                                                                     renewed or given back; a
///                                                                     debt that is loaded
///     (i) free       MEMBER                    FREE                   reset; reap, when idle
///                    TENTATIVE, or corrupt     FREE                   abandoned: as (f); a repair
///
/// A segment that nobody else sees yet is filled outside of all this (put_unseen).
///
/// # The candidate list
///
/// A key's 16 candidate slots are four lines of four: its home line A, the other line A' of the
/// same pair, and likewise B and B' of a second pair, which is never the first. The order is the
/// same for everybody who looks for the key, and all 16 are distinct.
///
/// # Finding and inserting
///
/// Find: the first MEMBER with our identity. Most keys are in their home line: one cache line. (The
/// first look of a decision, look(), is for the very tag. What it misses, as a key that is under another
/// policy, or moves meanwhile, is found by the whole protocol.)
///
/// Insert, when there is none:
///   1. Scan the list. A member: use it. A tentative of our key, anybody's: the candidate c.
///      Else claim a slot for ourselves (a, b, c or d above): that is c.
///   2. Scan the list again, all but c:
///        a member         -> withdraw our own tentative (e) and use the member;
///        a tentative of our key EARLIER on the list -> withdraw ours; that one is c; again from 2;
///        a tentative of our key LATER on the list   -> kill it (f); if that fails, again from 2.
///   3. Promote c (g); if that fails, start over.
/// Anyone may finish anyone's insert, so an owner that died or sleeps is waited for by nobody.
///
/// # Guarantees
///
/// S (safety): at most one MEMBER per key, whatever dies or stops where.
///   Proof. Take two members a and b, b promoted last; sa and sb the instants of their claims, pa
///   and pb the starts of their last scans (pa > sa, pb > sb). b's scan cannot have read a's slot
///   after sa: it would have withdrawn, deferred or killed. So sb < pb < sa < pa: a's scan began
///   after b's claim, saw b's tentative, and deferred to it or killed it. Contradiction. It needs:
///   nonces that never repeat (else a failed kill looks like a success) and equal no debt (else a
///   torn reading may equal a tentative to come), promote as the only way to become a member, and a
///   claim that is ordered before the loads of the scan that follows it (a full barrier: slot.hpp).
///   Freeing, overwriting and evicting by anybody do not enter into it.
/// P (progress): the number of steps of a call is bounded: every retry takes one of kTriesInPlace or kTriesMax. A
/// CAS
///   on a member fails only because another call succeeded; that inserts do not kill each other for
///   ever needs one order of the list for all. Past the bound the call gets the verdict of its
///   policy's when_full and is counted (gave_up).
/// A (exactness) is the algorithm's, held by (g) and (h): one charge, one CAS, on the one slot of
/// the
///   key. The clock is read after the slot for (h), and after the last scan for (g), so what was
///   charged before, in any slot the key ever had, lies before that instant. (A batch reads it before
///   the slots, once for many keys: such a reading admits, but never denies; SharedTime, src/rules.hpp.)
///
/// # Evidence
///
/// Searched exhaustively by spin (tests/model; there, loads and CAS have one order for all):
///   insert.pml     S: any number of calls and of others' steps; torn readings with two callers
///   two_keys.pml   A and S: find and scan as one step, burst 1, a clock of two instants
///   lifecycle.pml  A: one slot, beside a bucket kept apart
///   progress.pml   P: two processes, no bound on retries; two keys at speeds up to six to one
/// This very code, with others let in between its accesses: tests/interleaving (seeded schedules,
/// and relacy for weak memory), tests/table_test.cpp. Its instructions, one by one: tests/stepping.
/// Each rule above, left out, makes these fail: tests/model, tests/mutants.
///
/// The table knows no algorithm and no clock: it is driven by a Rules object (below), and takes its
/// slots as a type, so tests can put a scheduler between any two accesses of this very code.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>

#include "shm/backoff.hpp"
#include "shm/hash.hpp"
#include "shm/layout.hpp"
#include "shm/slot.hpp"

namespace rl::shm {

/// A key as the table knows it: 48 bits that name it and 66 that place it, from different parts of
/// the hash. (Were the place derived from the name, a million keys would meet a namesake in hours.)
struct KeyHash {
  std::uint64_t identity;  ///< 48 bits, never 0
  std::uint64_t place;
  std::uint32_t sides;  ///< two bits: which line of each pair comes first

  static constexpr KeyHash from(Hash128 hash) noexcept {
    const std::uint64_t identity = hash.low >> 16;
    return {identity != 0 ? identity : 1, hash.high, static_cast<std::uint32_t>(hash.low & 3)};
  }
};

/// The slots of a key are named by their position on its list, 0 to 15, or as an index into the
/// table.
struct CandidateList {
  std::uint64_t lines[4];  ///< where A, A', B and B' begin

  static constexpr CandidateList of(std::uint64_t first_pair, std::uint64_t second_pair,
                                    std::uint32_t sides) noexcept {
    const std::uint64_t home = first_pair * 8 + (sides & 1U) * kPerLine;
    const std::uint64_t second = second_pair * 8 + (sides >> 1 & 1U) * kPerLine;
    return {{home, home ^ kPerLine, second, second ^ kPerLine}};
  }

  static constexpr int kSize = 16;
  static constexpr int kPerLine = 4;
  /// Where the lines begin, in the order in which a member is looked for: A, B, A', B', as most that
  /// are not at home are in B. All look in this order, so that of two slots that bytes gone wrong gave
  /// to a key the same one is used by everybody.
  static constexpr int kLookOrder[] = {0, 8, 4, 12};
  static constexpr std::span<const int> kBeyondHome = std::span(kLookOrder).subspan<1>();

  /// Returns the table's index of the slot at `position`.
  [[nodiscard]] constexpr std::uint64_t slot_at(int position) const noexcept {
    const auto at = static_cast<std::uint32_t>(position);
    return lines[at / kPerLine] + at % kPerLine;
  }
  static constexpr std::uint32_t kLines = kSize / kPerLine;
  /// Returns in which of the lines a slot is, the first being 0; kLines when it is not on the list.
  [[nodiscard]] constexpr std::uint32_t line_of(std::uint64_t slot) const noexcept {
    std::uint32_t line = 0;
    while (line < kLines && slot / kPerLine != lines[line] / kPerLine) ++line;
    return line;
  }
};

/// What becomes of a member's state.
struct Transition {
  enum Kind : std::uint8_t {
    store,  ///< the state is replaced
    keep,   ///< nothing changes: a denial
    pass,   ///< not for this step to say: go on with update()
  } kind;
  std::uint16_t policy;  ///< the policy in whose units `state` is written
  std::uint64_t state;
};

/// What the rules think of another key's slot, when room is needed.
enum class Standing : std::uint8_t {
  idle,    ///< it is worth nothing, and may be overwritten
  owing,   ///< it may be evicted, if the policy of the new key says so
  sticky,  ///< it stays
};

/// Drives the table: an algorithm, a policy and a clock, seen as pure steps.
template <class R>
concept Rules = requires(R rules, std::uint16_t policy, std::uint64_t state, std::uint64_t index) {
  /// What this call makes of the key's state. Called again whenever a CAS failed.
  { rules.step(policy, state) }
  noexcept->std::same_as<Transition>;
  /// What this call makes of a key never seen. When it stores nothing, no slot is taken.
  { rules.first() }
  noexcept->std::same_as<Transition>;
  /// The policy, and the state of a key in it that is idle as of now: with the instant in it, so
  /// that no two lives of a key begin with the same words.
  { rules.idle() }
  noexcept->std::same_as<Transition>;
  /// Takes the instant as of which judge() speaks, after the words that it will judge were read.
  { rules.begin_judging() }
  noexcept;
  /// Whether another key's slot may be taken.
  { rules.judge(policy, state) }
  noexcept->std::same_as<Standing>;
  /// What an owing key owes, in tokens, rounded up. Asked only to choose whom to evict.
  { rules.tokens_owed(policy, state) }
  noexcept->std::same_as<std::uint64_t>;
  /// Whether a key that owes something may be evicted.
  { rules.may_evict() }
  noexcept->std::same_as<bool>;
  /// Asks for the line of what is written beside a slot that is about to be claimed. Reads nothing.
  { rules.prefetch_beside(index) }
  noexcept;
  /// A number that was never returned before, to anybody, and is not 0.
  { rules.nonce() }
  noexcept->std::same_as<std::uint64_t>;
  { rules.on_evicted() }
  noexcept;
  { rules.on_idle_overwritten() }
  noexcept;
  { rules.on_tentative_freed() }
  noexcept;
};

/// How an update ended.
struct Update {
  enum Outcome {
    decided,  ///< the last transition of the rules holds
    full,     ///< no slot could be had
    gave_up,  ///< kTriesMax tries were not enough
  } outcome;
  std::uint64_t slot_index;  ///< of the key; meaningless unless `has_slot`
  bool has_slot;
  bool promoted;  ///< this call made the slot a member, so it writes the label
  std::uint32_t retries = 0;
};

/// The table over the pairs of a segment. A view: it owns nothing and is cheap to copy.
template <class Cell>
class Table {
 public:
  /// Bounds every call. A try costs a few nanoseconds on a hot key and a scan of 16 slots while
  /// inserting, so the worst call takes some milliseconds.
  static constexpr std::uint32_t kTriesMax = 4096;

  /// Of a decision that a rival undid, before the whole protocol: twice what one of 100,000 took.
  static constexpr std::uint32_t kTriesInPlace = 32;

  /// A foreign tentative that stands unchanged over so many of our scans is displaced. One that is
  /// alive needs only one scan of its own to be gone.
  static constexpr std::uint32_t kStaleScans = 3;

  Table(BasicPair<Cell>* pairs, std::uint64_t pair_count) noexcept
      : pairs_(pairs),
        pair_count_(pair_count),
        is_large_(pair_count > kLargeBytes / sizeof(BasicPair<Cell>)) {}

  [[nodiscard]] std::uint64_t slot_count() const noexcept { return pair_count_ * 8; }
  [[nodiscard]] Cell& slot(std::uint64_t index) const noexcept {
    return pairs_[index / 8].slots[index % 8];
  }
  [[nodiscard]] std::uint64_t index_of(const Cell& slot) const noexcept {
    const auto bytes = static_cast<std::uint64_t>(reinterpret_cast<const char*>(&slot) -
                                                  reinterpret_cast<const char*>(pairs_));
    constexpr std::uint64_t kPairBytes = sizeof(BasicPair<Cell>);
    return bytes / kPairBytes * 8 + bytes % kPairBytes / sizeof(Cell);
  }
  [[nodiscard]] Counts& counts(std::uint64_t index) const noexcept {
    return pairs_[index / 8].counts[index % 8];
  }
  /// The counts beside a slot: as far behind it as those of any other.
  [[nodiscard]] static Counts& counts_beside(Cell& slot) noexcept {
    static_assert(sizeof(Cell) == sizeof(Counts));
    return *reinterpret_cast<Counts*>(reinterpret_cast<char*>(&slot) +
                                      offsetof(BasicPair<Cell>, counts));
  }

  /// Whether the lines of a table do not stay in a cache, so that it pays to ask for them early.
  [[nodiscard]] bool is_large() const noexcept { return is_large_; }
  static constexpr std::uint64_t kLargeBytes = std::uint64_t{16} << 20;

  [[nodiscard]] CandidateList candidates(const KeyHash& key) const noexcept {
    const std::uint64_t a = first_pair(key);
    const std::uint64_t b = scale(key.place & 0xffff'ffffU, pair_count_ - 1);
    return CandidateList::of(a, b + (b >= a ? 1U : 0U), key.sides);
  }

  /// Returned where a key has no slot.
  static constexpr std::uint64_t kNowhere = ~std::uint64_t{0};

  /// Returns the index of the key's member, the first in the order of looking, or kNowhere.
  [[nodiscard]] std::uint64_t find(const KeyHash& key) const noexcept {
    const CandidateList list = candidates(key);
    for (const int position : CandidateList::kLookOrder) {
      const std::uint64_t first = list.slot_at(position);
      const Cell* const line = &slot(first);
      const auto is_ours = [&](std::uint64_t i) noexcept {
        return is_member_of(line[i].tag(), key.identity);
      };
      static_assert(CandidateList::kPerLine == 4);
      if (is_ours(0)) return first;
      if (is_ours(1)) return first + 1;
      if (is_ours(2)) return first + 2;
      if (is_ours(3)) return first + 3;
    }
    return kNowhere;
  }

  /// A slot, and what it held when it was looked at.
  struct Seen {
    Cell* cell;
    SlotWords words;
  };

  /// Looks for the slot with this very tag: the first look of a decision, which finds all keys that
  /// are under the policy that is asked. Where there is none, what is seen has another tag.
  [[nodiscard, gnu::always_inline]] Seen look(const KeyHash& key,
                                              std::uint64_t tag) const noexcept {
    const Seen seen = look_at_home(key, tag);
    if (seen.words.tag == tag) [[likely]]
      return seen;
    return look_further(key.place, key.sides, tag);
  }
  /// The same in its home line, where most keys are.
  [[nodiscard, gnu::always_inline]] Seen look_at_home(const KeyHash& key,
                                                      std::uint64_t tag) const noexcept {
    Cell* const home = pairs_[first_pair(key)].slots + (key.sides & 1U) * CandidateList::kPerLine;
    return look_in_line(home, tag);
  }
  /// The same in the other lines, which were asked for.
  [[nodiscard]] Seen look_beyond_home(const KeyHash& key, std::uint64_t tag) const noexcept {
    const CandidateList list = candidates(key);
    Seen seen{};
    for (const int first : CandidateList::kBeyondHome) {
      seen = look_in_line(&slot(list.slot_at(first)), tag);
      if (seen.words.tag == tag) break;
    }
    return seen;
  }
  /// Asks for these lines, so that they come side by side. Reads nothing. (Inlined: g++ leaves out
  /// calls of functions that do nothing but prefetch.)
  [[gnu::always_inline]] void prefetch_beyond_home(const KeyHash& key) const noexcept {
    const CandidateList list = candidates(key);
    for (const int first : CandidateList::kBeyondHome)
      __builtin_prefetch(&slot(list.slot_at(first)), 1);
  }

  /// Applies a step to the member that was seen: one CAS. False when the step passes, a rival's was
  /// faster, or the slot is not what it was; then nothing has changed: go on with update().
  template <class Step>
  [[nodiscard, gnu::always_inline]] static bool try_step(const Seen& seen, Step&& step) noexcept {
    const Transition next = step(policy_of(seen.words.tag), seen.words.state);
    if (next.kind == Transition::store) [[likely]] {  // (h)
      return seen.cell->compare_exchange(
          seen.words, {make_tag(identity_of(seen.words.tag), next.policy), next.state});
    }
    // Two readings agree: what was denied was really there.
    return next.kind == Transition::keep && seen.cell->words() == seen.words;
  }
  /// The same if the slot has this tag of a member now.
  template <class Step>
  [[nodiscard, gnu::always_inline]] bool try_step(std::uint64_t index, std::uint64_t tag,
                                                  Step&& step) const noexcept {
    Cell& cell = slot(index);
    const Seen seen{&cell, cell.words()};
    return seen.words.tag == tag && try_step(seen, step);
  }

  /// Applies a step to a member that rivals want, too: where it was seen, while it has that tag, until
  /// it is done or kTriesInPlace were not enough; adds to `lost` how often a rival was faster. False
  /// also when the step passes. Then nothing has changed: go on with update().
  ///
  /// It is what update() does, but between its reading and its compare-and-swap lie some ten
  /// nanoseconds, there a hundred, in which one who is at it all the time is mostly faster
  /// (bench/README.md: retries).
  template <class Step>
  [[nodiscard]] static bool step_among_rivals(Cell& cell, std::uint64_t tag, std::uint32_t& lost,
                                              Step&& step) noexcept {
    Backoff backoff;
    for (std::uint32_t tries = 0; tries < kTriesInPlace; ++tries) {
      const Seen seen{&cell, cell.words()};
      if (seen.words.tag != tag) return false;
      bool passes = false;
      const auto noted = [&](std::uint16_t policy, std::uint64_t state) noexcept {
        const Transition next = step(policy, state);
        passes = next.kind == Transition::pass;
        return next;
      };
      if (try_step(seen, noted)) return true;
      if (passes) return false;
      ++lost;
      backoff.pause();
    }
    return false;
  }

  /// Applies the rules to the key's slot, which is inserted if the key has none, as often as it
  /// takes.
  template <Rules R>
  Update update(const KeyHash& key, R& rules) const noexcept {
    Attempt attempt;
    while (attempt.another()) {
      const std::uint64_t index = find(key);
      if (index == kNowhere) {
        const Insert insert = insert_absent(candidates(key), key.identity, rules, attempt);
        if (insert.outcome != Insert::retry) return finished(insert, attempt);
        continue;
      }
      const std::uint64_t tag = slot(index).tag();
      const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
        return rules.step(policy, state);
      };
      if (is_member_of(tag, key.identity) && try_step(index, tag, step)) {
        return {Update::decided, index, true, attempt.promoted, attempt.tries - 1};
      }
    }
    return {Update::gave_up, 0, false, false, kTriesMax};
  }

  /// Applies a step to the key's slot, as often as it takes; false when it has none, or when
  /// kTriesMax were not enough. For what is worth nothing to a key that is not there.
  template <class Step>
  bool step_member(const KeyHash& key, Step&& step) const noexcept {
    for (std::uint32_t tries = 0; tries < kTriesMax; ++tries) {
      const std::uint64_t index = find(key);
      if (index == kNowhere) return false;
      const std::uint64_t tag = slot(index).tag();
      if (is_member_of(tag, key.identity) && try_step(index, tag, step)) return true;
    }
    return false;
  }

  /// The same for a key of which no more is known than its identity and where it is: as long as it
  /// is there.
  template <class Step>
  bool step_member_at(std::uint64_t index, std::uint64_t identity, Step&& step) const noexcept {
    for (std::uint32_t tries = 0; tries < kTriesMax; ++tries) {
      const std::uint64_t tag = slot(index).tag();
      if (!is_member_of(tag, identity)) return false;
      if (try_step(index, tag, step)) return true;
    }
    return false;
  }

  /// Puts a member into a free slot of a table that nobody else sees yet, so no protocol is needed;
  /// false where there is something. For the caller to know that the key has no other slot.
  [[nodiscard]] bool put_unseen(std::uint64_t index, SlotWords member) const noexcept {
    return slot(index).compare_exchange(SlotWords{}, member);
  }

  /// Reads a slot until two readings agree.
  /// Progress: each disagreement is another process's success; after kTriesMax the last one is
  /// taken.
  [[nodiscard]] static SlotWords settled(const Cell& cell) noexcept {
    SlotWords seen = cell.words();
    for (std::uint32_t tries = 0; tries < kTriesMax; ++tries) {
      const SlotWords again = cell.words();
      if (again == seen) break;
      seen = again;
    }
    return seen;
  }

  /// Returns what the key's slot holds, settled; zeros when it has none.
  [[nodiscard]] SlotWords read(const KeyHash& key) const noexcept {
    const std::uint64_t index = find(key);
    if (index == kNowhere) return {};
    const SlotWords words = settled(slot(index));
    return is_member_of(words.tag, key.identity) ? words : SlotWords{};
  }

  /// Frees the key's slot if the predicate agrees with its words; returns whether it did.
  template <class Predicate>
  bool free_if(std::uint64_t index, Predicate&& agrees) const noexcept {
    Cell& cell = slot(index);
    for (std::uint32_t tries = 0; tries < kTriesMax; ++tries) {
      const SlotWords seen = cell.words();
      if (!agrees(seen)) return false;
      if (cell.compare_exchange(seen, SlotWords{})) return true;  // (i)
    }
    return false;
  }

 private:
  /// What one call carries from try to try.
  struct Attempt {
    std::uint32_t tries = 0;
    bool promoted = false;
    std::uint64_t stale_nonce = 0;
    std::uint32_t stale_scans = 0;
    [[nodiscard]] bool another() noexcept { return tries++ < kTriesMax; }
  };

  /// The list as one scan saw it.
  struct Survey {
    int member = -1;
    int tentative = -1;  ///< the first of our key
    SlotWords tentative_words;
    std::uint32_t free = 0;  ///< a bit for each position
  };

  /// What a list's slots held, word by word: copies of 16 bytes would wait for their two halves.
  struct Readings {
    std::uint64_t tags[CandidateList::kSize];
    std::uint64_t states[CandidateList::kSize];
    [[nodiscard]] SlotWords at(int position) const noexcept {
      return {tags[position], states[position]};
    }
  };

  struct Insert {
    enum Outcome { inserted, unneeded, full, retry } outcome;
    std::uint64_t slot_index = 0;
  };

  /// A key's candidates by their position, each line found once.
  struct Candidates {
    Cell* lines[CandidateList::kLines];
    [[nodiscard]] Cell& operator[](int position) const noexcept {
      const auto at = static_cast<std::uint32_t>(position);
      return lines[at / CandidateList::kPerLine][at % CandidateList::kPerLine];
    }
  };
  [[nodiscard]] Candidates slots_of(const CandidateList& list) const noexcept {
    return {
        {&slot(list.lines[0]), &slot(list.lines[1]), &slot(list.lines[2]), &slot(list.lines[3])}};
  }

  /// A slot that we mean to make the member: where, what it held when we took it, and whose it is.
  struct Claim {
    int position = -1;
    SlotWords words;
    bool own = false;
  };

  /// Looks in a line for the slot with this tag, without a branch: in which of the four a key is
  /// cannot be predicted, and a wrong guess costs more than the look.
  [[nodiscard, gnu::always_inline]] static Seen look_in_line(Cell* line,
                                                             std::uint64_t tag) noexcept {
    const bool not_0 = line[0].tag() != tag;
    const bool not_1 = line[1].tag() != tag;
    const bool not_2 = line[2].tag() != tag;
    // The first that has it, as find has it: neither 0 nor 1 is 2 or 3, and odd are 1 and 3.
    const unsigned at =
        static_cast<unsigned>(not_0 & not_1) << 1 | static_cast<unsigned>(not_0 & (!not_1 | not_2));
    Cell& cell = line[at];
    return {&cell, cell.words()};
  }

  /// Who is not at home. (Its arguments fit registers: a hash in memory would be stored by all.)
  [[nodiscard, gnu::noinline]] Seen look_further(std::uint64_t place, std::uint32_t sides,
                                                 std::uint64_t tag) const noexcept {
    const KeyHash key{identity_of(tag), place, sides};
    prefetch_beyond_home(key);
    return look_beyond_home(key, tag);
  }

  static constexpr std::uint64_t scale(std::uint64_t half, std::uint64_t range) noexcept {
    return half * range >> 32;  // range is at most 2^28: kKeysMax
  }

  static Update finished(const Insert& insert, const Attempt& attempt) noexcept {
    const std::uint32_t retries = attempt.tries - 1;
    switch (insert.outcome) {
      case Insert::inserted:
        return {Update::decided, insert.slot_index, true, true, retries};
      case Insert::unneeded:
        return {Update::decided, 0, false, false, retries};
      default:
        return {Update::full, 0, false, false, retries};
    }
  }

  [[nodiscard]] std::uint64_t first_pair(const KeyHash& key) const noexcept {
    return scale(key.place >> 32, pair_count_);
  }

  // --- inserting: everything below happens once in the life of a slot ---------------------------

  template <class R>
  [[gnu::noinline]] Insert insert_absent(const CandidateList& list, std::uint64_t identity,
                                         R& rules, Attempt& attempt) const noexcept {
    const Survey survey = scan(list, identity);
    if (survey.member >= 0) return {Insert::retry};
    prefetch_room(list, survey, rules);
    const Transition first = rules.first();
    if (first.kind != Transition::store) return {Insert::unneeded};
    Claim claim{survey.tentative, survey.tentative_words, false};
    if (claim.position < 0) {
      claim = take_slot(list, identity, survey, rules, attempt);
      if (claim.position == kNoRoom) return {Insert::full};
      if (claim.position < 0) return {Insert::retry};
    }
    if (!resolve(list, identity, rules, claim, attempt)) return {Insert::retry};

    // (g). Asked anew: the key may have been a member, charged, idle and freed since we were told
    // `first`. All that is over now that the claim is resolved, so the clock says so.
    const Transition becomes = claim.own ? rules.first() : rules.idle();
    if (becomes.kind != Transition::store) {
      withdraw(list, claim);
      return {Insert::unneeded};
    }
    const std::uint64_t index = list.slot_at(claim.position);
    if (!slot(index).compare_exchange(claim.words,
                                      {make_tag(identity, becomes.policy), becomes.state})) {
      return {Insert::retry};
    }
    attempt.promoted = true;
    return {claim.own ? Insert::inserted : Insert::retry, index};
  }

  /// Asks for what a new key writes beside its slot, before that is claimed: the two compare-and-swaps
  /// of an insert, and the next decision's, would wait for it.
  /// (Inlined: g++ leaves out calls of functions that do nothing but prefetch.)
  template <class R>
  [[gnu::always_inline]] void prefetch_room(const CandidateList& list, const Survey& survey,
                                            R& rules) const noexcept {
    const int position = best_position(survey.free);
    if (!is_large_ || position < 0) return;
    const std::uint64_t index = list.slot_at(position);
    __builtin_prefetch(&counts(index), 1);
    rules.prefetch_beside(index);
  }

  /// Step 1: the whole list, in order.
  [[nodiscard]] Survey scan(const CandidateList& list, std::uint64_t identity) const noexcept {
    const Candidates candidates = slots_of(list);
    Survey survey;
#pragma GCC unroll 16
    for (int position = 0; position < CandidateList::kSize; ++position) {
      const SlotWords words = candidates[position].words();
      survey.free |= std::uint32_t{is_free(words)} << position;
      if (identity_of(words.tag) != identity) [[likely]]
        continue;
      if (is_member(words.tag)) {
        survey.member = position;
        return survey;
      }
      if (survey.tentative < 0) {
        survey.tentative = position;
        survey.tentative_words = words;
      }
    }
    return survey;
  }

  static constexpr int kNoRoom = -2;
  static constexpr int kLost = -1;

  /// Claims a slot for our key by (a), (b), (c) or (d). Position kLost: a rival was faster;
  /// kNoRoom: there is nothing to take.
  template <class R>
  Claim take_slot(const CandidateList& list, std::uint64_t identity, const Survey& survey, R& rules,
                  Attempt& attempt) const noexcept {
    Victim victim{best_position(survey.free), SlotWords{}, Victim::free};
    if (victim.position < 0) victim = choose_victim(list, identity, rules, attempt);
    if (victim.position < 0) return {victim.position, {}, false};

    const SlotWords ours{make_tag(identity, 0), rules.nonce()};
    if (!slot(list.slot_at(victim.position)).compare_exchange(victim.words, ours)) {
      return {kLost, {}, false};
    }
    switch (victim.kind) {
      case Victim::free:
        break;
      case Victim::idle:
        rules.on_idle_overwritten();
        break;
      case Victim::stale:
        rules.on_tentative_freed();
        break;
      case Victim::owing:
        rules.on_evicted();
        break;
    }
    return {victim.position, ours, true};
  }

  /// Chooses among the slots that may be had, a bit for each position: in the home line while its
  /// pair has four to give, so that most hits need one cache line; then in the pair that has more,
  /// so that lists fill evenly. (bench/candidates compares.) kLost when there is none.
  [[nodiscard]] static int best_position(std::uint32_t to_be_had) noexcept {
    constexpr std::uint32_t kHomeLine = 0x000f;
    constexpr std::uint32_t kFirstPair = 0x00ff;
    constexpr int kHomePairMin = 4;
    const int first = std::popcount(to_be_had & kFirstPair);
    const int second = std::popcount(to_be_had & ~kFirstPair);
    std::uint32_t best = to_be_had & (first >= second ? kFirstPair : ~kFirstPair);
    if (first >= kHomePairMin && (to_be_had & kHomeLine) != 0) best = to_be_had & kHomeLine;
    return best != 0 ? std::countr_zero(best) : kLost;
  }

  struct Victim {
    int position = kNoRoom;
    SlotWords words;
    enum Kind { free, idle, stale, owing } kind = free;
  };

  /// The list is full: an idle slot, chosen as a free one is, so that what owes spreads evenly;
  /// else a tentative that seems abandoned; else, if the policy evicts, the slot that owes the
  /// fewest tokens. Until a tentative is known to be abandoned it is kLost: scan again.
  template <class R>
  Victim choose_victim(const CandidateList& list, std::uint64_t identity, R& rules,
                       Attempt& attempt) const noexcept {
    Readings seen;
    std::uint32_t members = 0;  // a bit for each position
    Victim tentative;
    for (int position = 0; position < CandidateList::kSize; ++position) {
      const SlotWords words = slot(list.slot_at(position)).words();
      seen.tags[position] = words.tag;
      seen.states[position] = words.state;
      if (is_free(words)) return {position, words, Victim::free};
      if (identity_of(words.tag) == identity)
        return {kLost, {}, Victim::free};  // a rival inserted our key
      if (is_tentative(words.tag)) {
        if (tentative.position < 0) tentative = {position, words, Victim::stale};
        continue;
      }
      members |= std::uint32_t{is_member(words.tag)} << position;  // what is left is corrupt
    }

    // As of an instant after all readings: what was idle when it was read must not look as if it
    // owed.
    rules.begin_judging();
    std::uint32_t idle = 0;
    std::uint32_t owing = 0;
    for (; members != 0; members &= members - 1) {
      const int position = std::countr_zero(members);
      const SlotWords words = seen.at(position);
      const Standing standing = rules.judge(policy_of(words.tag), words.state);
      idle |= std::uint32_t{standing == Standing::idle} << position;
      owing |= std::uint32_t{standing == Standing::owing} << position;
    }
    if (const int best = best_position(idle); best >= 0) return {best, seen.at(best), Victim::idle};
    if (tentative.position >= 0) {
      if (tentative.words.state != attempt.stale_nonce) {
        attempt.stale_nonce = tentative.words.state;
        attempt.stale_scans = 0;
      }
      if (++attempt.stale_scans >= kStaleScans) return tentative;
      return {kLost, {}, Victim::stale};
    }
    const Victim victim = rules.may_evict() ? cheapest(seen, owing, rules) : Victim{};
    // No compare-and-swap checks that there is no room: a torn reading, or an old one, must not say
    // so.
    if (victim.position == kNoRoom && !still_holds(list, seen)) return {kLost, {}, Victim::free};
    return victim;
  }

  [[nodiscard]] bool still_holds(const CandidateList& list, const Readings& seen) const noexcept {
    for (int position = 0; position < CandidateList::kSize; ++position) {
      if (slot(list.slot_at(position)).words() != seen.at(position)) return false;
    }
    return true;
  }

  /// Among the positions of `owing`, the first that owes the fewest tokens; none if there is none.
  template <class R>
  static Victim cheapest(const Readings& seen, std::uint32_t owing, R& rules) noexcept {
    Victim victim;
    std::uint64_t fewest = 0;
    for (; owing != 0; owing &= owing - 1) {
      const int position = std::countr_zero(owing);
      const SlotWords words = seen.at(position);
      const std::uint64_t tokens = rules.tokens_owed(policy_of(words.tag), words.state);
      if (victim.position >= 0 && tokens >= fewest) continue;
      fewest = tokens;
      victim = {position, words, Victim::owing};
    }
    return victim;
  }

  /// Step 2: makes sure that the claim is the only one of its key. On false, start over. The claim
  /// may have become another's.
  template <class R>
  bool resolve(const CandidateList& list, std::uint64_t identity, R& rules, Claim& claim,
               Attempt& attempt) const noexcept {
    const Candidates candidates = slots_of(list);
    int position = 0;
    while (position < CandidateList::kSize) {
      if (position == claim.position) {
        ++position;
        continue;
      }
      Cell& cell = candidates[position];
      const SlotWords words = cell.words();
      if (identity_of(words.tag) != identity) [[likely]] {
        ++position;
        continue;
      }
      if (is_member(words.tag)) {
        withdraw(list, claim);
        return false;
      }
      if (position < claim.position) {
        withdraw(list, claim);
        claim = {position, words, false};
      } else if (cell.compare_exchange(words, SlotWords{})) {  // (f)
        rules.on_tentative_freed();
        ++position;
        continue;
      }
      if (!attempt.another()) {
        withdraw(list, claim);
        return false;
      }
      position = 0;
    }
    return true;
  }

  /// (e): if it fails, somebody else already ended our claim.
  void withdraw(const CandidateList& list, const Claim& claim) const noexcept {
    if (claim.own) slot(list.slot_at(claim.position)).compare_exchange(claim.words, SlotWords{});
  }

  BasicPair<Cell>* pairs_;
  std::uint64_t pair_count_;
  bool is_large_;
};

}  // namespace rl::shm
