#include "src/sweep.hpp"

#include <algorithm>
#include <bit>

#include "src/follow.hpp"
#include "src/permit_slots.hpp"
#include "src/trial.hpp"

namespace rl {

SweepReport Sweep::run(std::uint64_t first, std::uint64_t slots) {
  SweepReport report;
  now_ns_ = view_.clock.now();
  if (now_ns_ == shm::Clock::kNoTime) return report;
  as_of_ns_ = now_ns_ - std::min(now_ns_, idle_ns_);
  shm::Liveness liveness(view_.participant);
  liveness_ = &liveness;
  on_trial_.clear();
  note_what_owes_from();
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

/// Of a bucket nobody needs to know more than its state: it owes if that lies ahead. A change that is
/// made from here on makes it stay for one more round.
void Sweep::note_what_owes_from() {
  if (owes_above_.empty()) owes_above_.assign(kPolicies, kNothing);
  for (std::uint32_t id = 1; id <= std::min(view_.policies.used(), view_.policies.capacity());
       ++id) {
    std::optional<Policy> spare;
    const auto policy = static_cast<std::uint16_t>(id);
    const Policy* const known = view_.known.find(policy, spare).policy;
    const bool is_bucket = known != nullptr && known->kind == shm::PolicyKind::limit &&
                           counts_evenly(known->limit.algorithm());
    const bool is_told = is_bucket && view_.policies.successor(policy) == 0;
    owes_above_[id] = is_told ? as_of_ns_ : kNothing;
  }
}

/// Counts the slots of some lines that are free, or keys of a bucket that owe; returns the others, a
/// bit for each. Without a branch, as nobody can foretell them: that is twice as fast.
std::uint32_t Sweep::glance(std::uint64_t first, int count, SweepReport& report) const noexcept {
  std::uint32_t others = 0;
  std::uint64_t free = 0;
  std::uint64_t live = 0;
  const std::uint64_t* const above = owes_above_.data();
  for (int i = 0; i < count; ++i) {
    const shm::SlotWords words = view_.table.slot(first + static_cast<std::uint64_t>(i)).words();
    const std::uint32_t is_free = (words.tag | words.state) == 0 ? 1 : 0;
    const std::uint32_t owes = (words.state > above[shm::policy_of(words.tag)] ? 1U : 0U) &
                               (shm::identity_of(words.tag) != 0 ? 1U : 0U);
    free += is_free;
    live += owes;
    others |= (1U ^ is_free ^ owes) << i;
  }
  report.free += free;
  report.live += live;
  return others;
}

void Sweep::look_at(std::uint64_t index, shm::SlotWords words, SweepReport& report) {
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

void Sweep::look_at_key(std::uint64_t index, shm::SlotWords words, SweepReport& report) {
  Follower follower(view_, view_.clock);
  const Followed at = follower.follow(shm::policy_of(words.tag), words.state, as_of_ns_, 0);
  if (at.policy == nullptr) {
    ++report.unreadable;
    return;
  }
  if (const auto* permits = std::get_if<Concurrency>(&at.policy->parameters))
    return look_at_permit(index, words, *permits, report);
  if (is_standing(at.policy->kind)) {
    ++report.standing;
    return;
  }
  const bool is_over = at.policy->kind == shm::PolicyKind::candidate && !is_on_trial(at.id);
  const bool goes = is_over || is_idle(at.policy->parameters, at.state, at.now_ns);
  if (goes && free(index, words)) {
    ++report.idle_freed;
  } else {
    ++report.live;
  }
}

void Sweep::look_at_permit(std::uint64_t index, shm::SlotWords words, const Concurrency& permits,
                           SweepReport& report) {
  const std::uint64_t now = view_.clock.now();
  if (now == shm::Clock::kNoTime) return;
  const PermitWord word = PermitWord::of(words.state);
  if (kind_of(words.state) == WordKind::permit && is_out(permits, word, now)) {
    const bool goes = is_dead(view_.participant, word, liveness_) && free(index, words);
    ++(goes ? report.permits_freed : report.permits_out);
    return;
  }
  const bool has_time = kind_of(words.state) != WordKind::permit || word.holder != 0;
  const bool goes = is_idle(permits, words.state, now) &&
                    (has_time || stood_unchanged(index, words)) && free(index, words);
  ++(goes ? report.idle_freed : report.live);
}

/// A trial that is over never comes again: its id is used once.
bool Sweep::is_on_trial(std::uint16_t candidate) {
  const auto [at, is_new] = on_trial_.try_emplace(candidate, true);
  if (!is_new) return at->second;
  const auto constants = view_.policies.read(candidate);
  if (!constants) return true;
  const std::uint16_t root = view_.policies.find(shm::name_of(*constants));
  at->second = root == 0 || candidate_of(view_, view_.policies.in_force(root)) == candidate;
  return at->second;
}

bool Sweep::free(std::uint64_t index, shm::SlotWords words) const noexcept {
  return view_.table.free_if(index, [&](shm::SlotWords now) { return now == words; });
}

bool Sweep::stood_unchanged(std::uint64_t index, shm::SlotWords words) {
  const auto at = seen_.find(index);
  if (at != seen_.end() && at->second.words == words) {
    if (now_ns_ < at->second.since_ns + kUnchangedNs) return false;
    seen_.erase(at);
    return true;
  }
  if (at == seen_.end() && seen_.size() >= kSeenMax) seen_.clear();  // changed long ago, most of it
  seen_[index] = {words, now_ns_};
  return false;
}

}  // namespace rl
