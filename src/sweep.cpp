#include "src/sweep.hpp"

#include <algorithm>
#include <bit>

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
    __builtin_prefetch(&view_.table.slot(std::min(index + kAhead, end - 1)));
    __builtin_prefetch(&view_.table.slot(std::min(index + kAhead + 4, end - 1)));
    const auto count =
        static_cast<int>(std::min<std::uint64_t>(kAtOnce - index % kAtOnce, end - index));
    for (std::uint32_t rest = glance(index, count, report); rest != 0; rest &= rest - 1) {
      const std::uint64_t at = index + static_cast<std::uint64_t>(std::countr_zero(rest));
      look_at(at, view_.table.slot(at).words(), report);
    }
    index += static_cast<std::uint64_t>(count);
    report.slots += static_cast<std::uint64_t>(count);
  }
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

/// Counts the slots of some lines that are free, or keys of a bucket that owe; returns the others, a
/// bit for each. Without a branch on them, as nobody can foretell them.
std::uint32_t Sweep::glance(std::uint64_t first, int count, SweepReport& report) const noexcept {
  const shm::Slot* const slots = &view_.table.slot(first);  // of one pair: side by side
  const std::uint64_t* const above = owes_above_.data();
  std::uint32_t free = 0;  // a bit for each
  std::uint32_t owing = 0;
  const auto look = [&](int i) noexcept {
    const shm::SlotWords words = slots[i].words();
    free |= static_cast<std::uint32_t>((words.tag | words.state) == 0) << i;
    const auto is_ahead =
        static_cast<std::uint32_t>(words.state > above[shm::policy_of(words.tag)]);
    owing |= (is_ahead & static_cast<std::uint32_t>(shm::identity_of(words.tag) != 0)) << i;
  };
  if (count == kAtOnce) {
    for (int i = 0; i < kAtOnce; ++i) look(i);
  } else {
    for (int i = 0; i < count; ++i) look(i);
  }
  report.free += static_cast<std::uint64_t>(std::popcount(free));
  report.live += static_cast<std::uint64_t>(std::popcount(owing));
  return ((1U << count) - 1U) & ~(free | owing);
}

void Sweep::look_at(std::uint64_t index, shm::SlotWords words, SweepReport& report) noexcept {
  if (shm::is_free(words)) {
    ++report.free;  // just now
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
    if (goes) {
      shm::EventImage image{};
      image.policy = shm::policy_of(words.tag);
      note_event(view_, EventKind::permit_reclaimed, {}, image);
    }
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
