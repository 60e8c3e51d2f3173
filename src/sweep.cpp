#include "src/sweep.hpp"

#include <algorithm>

#include "src/counting.hpp"
#include "src/follow.hpp"
#include "src/permit_slots.hpp"
#include "src/trial.hpp"

namespace rl {
namespace {

/// Whether a candidate is beside the entry in force of its name. True when that cannot be told. A
/// trial that is over never comes again: its id is used once.
bool is_on_trial(const View& view, std::uint16_t candidate) noexcept {
  const auto constants = view.policies.read(candidate);
  if (!constants) return true;
  const std::uint16_t root = view.policies.find(shm::name_of(*constants));
  return root == 0 || candidate_of(view, view.policies.in_force(root)) == candidate;
}

/// Asks for what a look at a pair will need by then: the two lines of a later pair's slots (its
/// counts, in the next two, stay where they are); and once a page, where a page beyond that lies,
/// as finding that out takes longer than a line. Inlined: g++ takes a function that only asks for
/// one that does nothing, and leaves its calls out.
[[gnu::always_inline]] inline void ask_ahead(const shm::Table<shm::Slot>& table, std::uint64_t pair,
                                             std::uint64_t end_pair) noexcept {
  constexpr std::uint64_t kPairs = 48;
  constexpr std::uint64_t kPairsToPage = 176;
  constexpr std::uint64_t kPairsOfPage = shm::kPageBytes / sizeof(shm::Pair);
  const std::uint64_t last = end_pair - 1;
  const shm::Slot* const slots = &table.slot(std::min(pair + kPairs, last) * 8);
  __builtin_prefetch(slots);
  __builtin_prefetch(slots + shm::CandidateList::kPerLine);
  if (pair % kPairsOfPage == 0)
    __builtin_prefetch(&table.slot(std::min(pair + kPairsToPage, last) * 8));
}

}  // namespace

SweepReport Sweep::run(std::uint64_t first, std::uint64_t slots) noexcept {
  SweepReport report;
  now_ns_ = view_.clock.now();
  if (now_ns_ == shm::Clock::kNoTime) return report;
  as_of_ns_ = now_ns_ - std::min(now_ns_, idle_ns_);
  shm::Liveness liveness(view_.participant);
  liveness_ = &liveness;
  note_policies();
  const std::uint64_t end = std::min(view_.table.slot_count(), first + slots);
  for (std::uint64_t index = first; index < end;) {  // ends: each turn takes some
    if (index % kAtOnce == 0) index = glance(index, end, report);
    const std::uint64_t next = std::min(index - index % kAtOnce + kAtOnce, end);
    look_one_by_one(index, next, report);
    index = next;
  }
  report.slots = end - std::min(first, end);
  liveness_ = nullptr;
  return report;
}

/// What is the same for many slots. Of a bucket nobody needs to know more than its state: it owes if
/// that lies ahead. A change that is made from here on makes it stay for one more round.
void Sweep::note_policies() noexcept {
  const std::uint32_t used = std::min(view_.policies.used(), view_.policies.capacity());
  for (std::uint32_t id = 1; id <= used; ++id) {
    const auto policy = static_cast<std::uint16_t>(id);
    std::optional<Policy> spare;
    const Policy* const known = view_.known.find(policy, spare).policy;
    const bool is_bucket = known != nullptr && known->kind == shm::PolicyKind::limit &&
                           counts_evenly(known->limit.algorithm());
    const bool is_told = is_bucket && view_.policies.successor(policy) == 0;
    owes_above_[id] = is_told ? as_of_ns_ : kNothing;
    may_be_over_[id] = known != nullptr && known->kind == shm::PolicyKind::candidate &&
                       !is_on_trial(view_, policy);
  }
}

/// Counts the slots of whole pairs that are free, or keys of a bucket that owe, up to the first pair
/// that has something else, or to the last whole one; returns where it stopped. There is no branch
/// on a slot, as nobody could foretell it: what a comparison says is added, and a pair is well when
/// the sums are. (A slot without an identity that is not free is corrupt.)
std::uint64_t Sweep::glance(std::uint64_t first, std::uint64_t end,
                            SweepReport& report) const noexcept {
  const shm::Table<shm::Slot> table = view_.table;
  const std::uint64_t* const above = owes_above_.data();
  const std::uint64_t first_pair = first / kAtOnce;
  const std::uint64_t end_pair = end / kAtOnce;
  std::uint64_t owing = 0;
  std::uint64_t nameless = 0;
  std::uint64_t free = 0;
  std::uint64_t free_before = 0;  // this pair
  std::uint64_t pair = first_pair;
  for (; pair < end_pair; ++pair) {
    ask_ahead(table, pair, end_pair);
    const shm::Slot* const slots = &table.slot(pair * kAtOnce);  // side by side
#pragma GCC unroll 8
    for (std::uint64_t i = 0; i < kAtOnce; ++i) {
      const shm::SlotWords words = slots[i].words();
      owing += std::uint64_t{words.state > above[shm::policy_of(words.tag)]};
      nameless += std::uint64_t{shm::identity_of(words.tag) == 0};
      free += std::uint64_t{shm::is_free(words)};
    }
    if (nameless != free || free + owing != (pair - first_pair + 1) * kAtOnce) break;
    free_before = free;
  }
  const std::uint64_t counted = (pair - first_pair) * kAtOnce;
  report.free += free_before;
  report.live += counted - free_before;
  return first + counted;
}

void Sweep::look_one_by_one(std::uint64_t first, std::uint64_t end, SweepReport& report) noexcept {
  for (std::uint64_t index = first; index < end; ++index) {
    const shm::SlotWords words = view_.table.slot(index).words();
    const bool owes =
        shm::identity_of(words.tag) != 0 && words.state > owes_above_[shm::policy_of(words.tag)];
    if (owes) {
      ++report.live;
    } else {
      look_at(index, words, report);
    }
  }
}

void Sweep::look_at(std::uint64_t index, shm::SlotWords words, SweepReport& report) noexcept {
  if (shm::is_free(words)) {
    ++report.free;
  } else if (shm::is_member(words.tag)) {
    look_at_key(index, words, report);
  } else if (shm::is_tentative(words.tag)) {
    const bool goes = stood_unchanged(index, words) && free(index, words);
    ++(goes ? report.tentatives_freed : report.tentatives);
  } else if (view_.table.settled(view_.table.slot(index)) == words) {
    ++report.corrupt;
  } else {
    ++report.live;  // it was changing hands
  }
}

void Sweep::look_at_key(std::uint64_t index, shm::SlotWords words, SweepReport& report) noexcept {
  Follower follower(view_, view_.clock);
  const Followed at = follower.follow(shm::policy_of(words.tag), words.state, as_of_ns_, 0);
  if (at.policy == nullptr) {
    ++report.unreadable;
    return;
  }
  if (const auto* permits = std::get_if<Concurrency>(&at.policy->parameters))
    return look_at_permit(index, words, at.state, *permits, report);
  if (is_standing(at.policy->kind)) {
    ++report.standing;
    return;
  }
  // Asked again now: before its first key, a trial that is about to begin looks as if it were over.
  const bool is_over = may_be_over_[at.id] && !is_on_trial(view_, at.id);
  const bool goes = is_over || (is_idle(at.policy->parameters, at.state, at.now_ns) &&
                                !is_remembered_by_limit_in_force(at));
  if (goes && free(index, words)) {
    ++report.idle_freed;
  } else {
    ++report.live;
  }
}

void Sweep::look_at_permit(std::uint64_t index, shm::SlotWords words, std::uint64_t state,
                           const Concurrency& permits, SweepReport& report) noexcept {
  const std::uint64_t now = view_.clock.now();
  if (now == shm::Clock::kNoTime) return;
  const PermitWord word = PermitWord::of(state);
  if (kind_of(state) == WordKind::permit && is_out(permits, word, now)) {
    const bool goes = is_dead(view_.participant, word, liveness_) && free(index, words);
    if (goes) note_event(view_, EventKind::permit_reclaimed, shm::policy_of(words.tag), {});
    ++(goes ? report.permits_freed : report.permits_out);
    return;
  }
  const bool has_time = kind_of(state) != WordKind::permit || word.holder != 0;
  const bool goes = is_idle(permits, state, now) && (has_time || stood_unchanged(index, words)) &&
                    free(index, words);
  ++(goes ? report.idle_freed : report.live);
}

bool Sweep::free(std::uint64_t index, shm::SlotWords words) const noexcept {
  return view_.table.free_if(index, [&](shm::SlotWords now) { return now == words; });
}

/// A key's conduct goes by the limit that it is under now, which may remember for longer than the one
/// by which it was noted (as in src/rules.hpp).
bool Sweep::is_remembered_by_limit_in_force(const Followed& at) const noexcept {
  if (!std::holds_alternative<Conduct>(at.policy->parameters)) return false;
  const auto constants = view_.policies.read(at.id);
  const std::uint16_t root = constants ? view_.policies.find(shm::name_of(*constants)) : 0;
  std::optional<Policy> spare;
  const Policy* const limit =
      root != 0 ? view_.known.find(view_.policies.in_force(root), spare).policy : nullptr;
  if (limit == nullptr) return false;
  std::optional<Policy> spare_of_conduct;
  const Policy* const conduct = view_.known.find(limit->parent, spare_of_conduct).policy;
  return conduct != nullptr && std::holds_alternative<Conduct>(conduct->parameters) &&
         !is_idle(conduct->parameters, at.state, at.now_ns);
}

bool Sweep::stood_unchanged(std::uint64_t index, shm::SlotWords words) noexcept {
  const std::uint64_t now = view_.clock.now();  // after the words
  Seen& seen = seen_[index % kSeen];
  if (seen.index == index && seen.words == words) return now >= seen.since_ns + kUnchangedNs;
  const bool is_waiting =
      !shm::is_free(seen.words) && view_.table.slot(seen.index).words() == seen.words;
  if (!is_waiting || seen.index == index) seen = {index, words, now};
  return false;
}

}  // namespace rl
