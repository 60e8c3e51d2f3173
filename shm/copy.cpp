// Fills a segment with the contents of another, which others may still be using.
#include <algorithm>
#include <unordered_map>
#include <vector>

#include "shm/mapping.hpp"
#include "shm/policies.hpp"

namespace rl::shm {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;

/// How often keys are copied anew as their policies were changed meanwhile. Each time is another
/// operator's change in the milliseconds that a copy takes.
constexpr int kCopiesMax = 8;

using Copied = std::vector<bool>;  ///< by the id of a policy

/// Whether something was published that keys may have been moved under, and the copy does not have.
/// Lists and chains only grow; bytes gone wrong may make rings of them.
bool has_more(const PolicyTable& from, const Copied& copied) {
  Copied seen(copied.size());
  bool has = false;
  from.walk([&](std::uint16_t root) {
    for (std::uint16_t id = root; id != 0 && !seen[id] && !has; id = from.successor(id)) {
      seen[id] = true;
      has = !copied[id] && from.read(id).has_value();
    }
    return has;
  });
  return has;
}

void clear(const Table<Slot>& table) noexcept {
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    const SlotWords words = table.slot(i).words();
    if (words != SlotWords{}) table.slot(i).compare_exchange(words, SlotWords{});
  }
}

/// Copies the slots of keys whose policies were copied. Every slot is read until two readings
/// agree, and is its key's only one.
void copy_slots(const Mapping& old, const Mapping& fresh, Mapping::StateInCopy in_copy,
                const Copied& copied) {
  const Table<Slot> to = fresh.table();
  const Table<Slot> from = old.table();
  // A key that moved meanwhile is seen twice.
  std::unordered_map<std::uint64_t, std::uint64_t> index_of;
  for (std::uint64_t i = 0; i < to.slot_count(); ++i) {
    SlotWords words = Table<Slot>::settled(from.slot(i));
    const std::uint16_t policy = policy_of(words.tag);
    if (!is_member(words.tag) || policy >= copied.size() || !copied[policy]) continue;
    const std::uint64_t was = words.state;
    words.state = in_copy(fresh.policies()[policy - 1].constants, was);
    const bool is_later = words.state != was;  // a permit's words do not grow: the later one counts
    const auto [at, is_new] = index_of.try_emplace(identity_of(words.tag), i);
    if (!is_new) {
      const SlotWords before = to.slot(at->second).words();
      if (!is_later && before.state >= words.state) continue;
      to.slot(at->second).compare_exchange(before, SlotWords{});
      at->second = i;
    }
    to.slot(i).compare_exchange(SlotWords{}, words);
    to.counts(i).allowed.store(from.counts(i).allowed.load(relaxed), relaxed);
    to.counts(i).denied.store(from.counts(i).denied.load(relaxed), relaxed);
  }
}

/// What all stripes have counted, into the first.
void copy_totals(const Mapping& old, const Mapping& fresh) noexcept {
  const std::uint32_t policies = fresh.geometry().policy_capacity;
  for (std::uint32_t stripe = 0; stripe < kStripes; ++stripe) {
    const std::uint32_t last = stripe == 0 ? policies : own_policies(policies);
    for (std::uint32_t cell = 0; cell <= last; ++cell) {
      const auto& counts = old.stripe(stripe)[cell].words;
      for (std::size_t word = cell == 0 ? 1 : 0; word < std::size(counts);
           ++word) {  // not the owner
        const std::uint64_t count = counts[word].load(relaxed);
        if (count != 0) fresh.stripe(0)[cell].words[word].fetch_add(count, relaxed);
      }
    }
  }
}

}  // namespace

/// Copies the published list and the chain behind each entry of it, as far as they are whole, and
/// notes which ids those are. Returns the highest. All relaxed: the copy is published by linkat.
std::uint32_t Mapping::copy_policies(const Mapping& old, std::vector<bool>& copied) {
  const PolicyTable from(old);
  const PolicyTable to(*this);
  std::uint32_t highest = 0;
  const auto copy = [&](std::uint16_t id) {
    const auto constants = from.read(id);
    if (!constants || copied[id])
      return false;  // damaged, or a list that bytes gone wrong made a ring
    policies()[id - 1].constants = *constants;
    policies()[id - 1].checksum = old.policies()[id - 1].checksum;
    if (!to.read(id)) return false;  // it changed in between
    highest = std::max<std::uint32_t>(highest, id);
    copied[id] = true;
    return true;
  };
  std::uint32_t last = 0;
  from.walk([&](std::uint16_t root) {
    if (!copy(root)) return false;
    (last == 0 ? header().policy_first : policies()[last - 1].next).store(root, relaxed);
    last = root;
    for (std::uint16_t id = root, next = from.successor(id); next != 0 && copy(next);
         id = next, next = from.successor(id)) {
      policies()[id - 1].links.store(links_of(next, 0), relaxed);
      policies()[id - 1].changed_ns.store(from.changed_ns(id), relaxed);
    }
    return false;
  });
  return highest;
}

/// Others may still be deciding on `old`, so the copy is not an instant's: what they charge after
/// we passed is lost; the move says so (SegmentCore::move_over). But it is a valid segment: policies
/// are those on the published list, whole; and every key is of one of these, and has one slot. (A key
/// is its identity here: of two keys with the same 48 bits, one pair in 56,000 segments of 100,000
/// keys, one is forgotten.)
///
/// A policy may be hung up after policies were copied, and keys be moved under it before we come to
/// their slots. Whoever reads such a slot sees the link, too, as it was set before (acquire and
/// release, as for every decision): so when all slots were read, and no policy is there that was not
/// copied, no key was missed. Else all keys are copied again. Who changes limits all the time can
/// lose some of them the debts of those keys.
///
/// All relaxed: the copy is published by linkat.
void Mapping::copy_from(const Contents& contents) {
  const Mapping& old = contents.old;
  std::uint32_t highest = 0;
  for (int copies = 0; copies < kCopiesMax; ++copies) {
    Copied copied(std::size_t{geometry_.policy_capacity} + 1);
    highest = std::max(highest, copy_policies(old, copied));
    copy_slots(old, *this, contents.in_copy, copied);
    if (copies + 1 == kCopiesMax || !has_more(PolicyTable(old), copied)) break;
    clear(table());
  }
  // Read after the walk: an id that somebody claimed meanwhile is not given out again.
  const std::uint32_t next = old.header().policy_next.load(relaxed);
  header().policy_next.store(std::max(next, highest + 1), relaxed);

  for (std::uint64_t i = 0; geometry_.label_bytes != 0 && i < table().slot_count(); ++i) {
    const Label& label = (&old.at<Label>(geometry_.labels_offset))[i];
    Label& copy = (&at<Label>(geometry_.labels_offset))[i];
    for (std::size_t word = 0; word < std::size(label.words); ++word) {
      copy.words[word].store(label.words[word].load(relaxed), relaxed);
    }
  }
  // The clock last: the TSC may be left while we copy.
  const SlotWords anchor = Table<Slot>::settled(old.header().clock_anchor);
  header().clock_anchor.compare_exchange(header().clock_anchor.words(), anchor);
  header().manual_ns.store(old.header().manual_ns.load(relaxed), relaxed);
  header().off_unix_ns.store(old.header().off_unix_ns.load(relaxed), relaxed);
  const std::uint64_t records = old.header().journal_next.load(relaxed);
  for (std::uint64_t i = 0; i < std::min(records, kJournalRecords); ++i) {
    for (std::size_t word = 0; word < std::size(journal()[i].words); ++word)
      journal()[i].words[word].store(old.journal()[i].words[word].load(relaxed), relaxed);
  }
  header().journal_next.store(records, relaxed);
  copy_totals(old, *this);
  header().denials_mask.store(old.header().denials_mask.load(relaxed), relaxed);
  header().said_tsc_left.store(old.header().said_tsc_left.load(relaxed), relaxed);
  header().boottime_offset_ns.store(old.header().boottime_offset_ns.load(relaxed), relaxed);
}

}  // namespace rl::shm
