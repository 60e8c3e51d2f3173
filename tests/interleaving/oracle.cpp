#include "tests/interleaving/oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace rl::test {

using shm::identity_of;
using shm::is_free;
using shm::is_member;
using shm::is_tentative;
using shm::policy_of;
using shm::SlotWords;

void Oracle::violated(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

void Oracle::advance(std::uint64_t ns) {
  now_ns_ += ns;
  note_denials();
}

/// A denial is true if the limit would have denied the call at any instant while it lasted.
void Oracle::note_denials() {
  for (Actor& a : actors_) {
    if (a.identity == 0) continue;
    const std::uint64_t debt = debt_ns(account(a.identity).tat_ns, now_ns_);
    if (debt + a.cost * bucket_.interval_ns > bucket_.tolerance_ns) a.could_be_denied = true;
  }
}

void Oracle::begin_call(int actor, std::uint64_t identity, std::uint64_t cost) {
  at(actor) = Actor{};
  at(actor).identity = identity;
  at(actor).cost = cost;
  ++seen.calls;
  note_denials();
}

void Oracle::propose(int actor, std::uint64_t at_ns, bool is_charge) {
  at(actor).proposed_at_ns = at_ns;
  at(actor).proposes_charge = is_charge;
}

void Oracle::before_access(int actor, bool is_alone) {
  settle_losses(actor);
  Actor& a = at(actor);
  ++seen.accesses;
  ++a.accesses;
  if (a.accesses > kCallMax && a.identity != 0) {
    violated(fmt::format("P violated: a call of {} accesses has not ended", a.accesses));
  }
  a.accesses_alone = is_alone ? a.accesses_alone + 1 : 0;
  if (a.accesses_alone > kAloneMax && a.identity != 0) {
    violated(
        fmt::format("P violated: all others stand still, and a call has not ended {} accesses "
                    "later",
                    a.accesses_alone));
  }
}

/// Whoever takes another key's debt says so, as an eviction, before it does anything else.
void Oracle::settle_losses(int actor) {
  const std::uint64_t lost = std::exchange(at(actor).lost, 0);
  if (lost != 0) violated(fmt::format("A violated: the debt of key {} is gone, uncounted", lost));
}

void Oracle::on_evicted(int actor) {
  if (at(actor).lost == 0) {
    // It fell idle between the look and the swap: counted all the same.
    return;
  }
  at(actor).lost = 0;
  ++seen.evictions;
}

void Oracle::on_swap(int actor, std::size_t index, SlotWords from, SlotWords to,
                     std::span<const SlotWords> before) {
  const bool was = is_member(from.tag);
  const bool becomes = is_member(to.tag);
  const bool same_key = identity_of(from.tag) == identity_of(to.tag);
  count_transition(actor, from, to);
  if (becomes && !(was && same_key)) check_one_member(identity_of(to.tag), index, before);
  if (was && !(becomes && same_key)) on_member_lost(actor, from, to);
  if (becomes) on_member_written(actor, to);
  note_denials();
}

void Oracle::check_one_member(std::uint64_t identity, std::size_t index,
                              std::span<const SlotWords> before) {
  for (std::size_t other = 0; other < before.size(); ++other) {
    if (other == index || !shm::is_member_of(before[other].tag, identity)) continue;
    violated(
        fmt::format("S violated: key {} is a member in slots {} and {}", identity, other, index));
  }
}

void Oracle::on_member_lost(int actor, SlotWords from, SlotWords to) {
  const std::uint64_t identity = identity_of(from.tag);
  if (policy_of(from.tag) == kStickyPolicy) {
    violated(fmt::format("A violated: key {} is sticky and was taken", identity));
    return;
  }
  const std::uint64_t debt = debt_ns(account(identity).tat_ns, now_ns_);
  const bool is_reset = at(actor).resets == identity;
  if (debt == 0 && !is_reset) {
    ++(is_free(to) ? seen.frees : seen.overwrites);
    return;
  }
  if (!is_reset) at(actor).lost = identity;
  seen.frees += is_reset ? 1 : 0;
  account(identity).tat_ns = 0;
  ++account(identity).life;
}

/// The account is charged by what the call was told, never by what the slot says.
void Oracle::on_member_written(int actor, SlotWords to) {
  const std::uint64_t identity = identity_of(to.tag);
  Actor& a = at(actor);
  Account& owed = account(identity);
  if (identity != a.identity) {
    return violated(
        fmt::format("A violated: a call on key {} charged key {}", a.identity, identity));
  }
  if (a.proposes_charge) {
    const std::uint64_t charge = a.cost * bucket_.interval_ns;
    const std::uint64_t debt = debt_ns(owed.tat_ns, a.proposed_at_ns);
    if (debt + charge > bucket_.tolerance_ns) {
      violated(fmt::format("A violated: key {} owed {} ns at {}, and {} ns more were admitted",
                           identity, debt, a.proposed_at_ns, charge));
    }
    owed.tat_ns = std::max(owed.tat_ns, a.proposed_at_ns) + charge;
    ++a.charges;
    admissions_.push_back({identity, a.proposed_at_ns, a.cost, owed.life});
  }
  const std::uint64_t debt = debt_ns(owed.tat_ns, now_ns_);
  if (debt_ns(to.state, now_ns_) != debt) {
    violated(fmt::format("A violated: key {} owes {} ns, its slot says {} ns", identity, debt,
                         debt_ns(to.state, now_ns_)));
  }
}

void Oracle::count_transition(int actor, SlotWords from, SlotWords to) {
  // The nonce says whose a tentative is (world.hpp).
  const auto owner = [](SlotWords words) { return static_cast<int>(words.state >> 48) - 1; };
  if (is_tentative(to.tag)) {
    if (is_free(from)) ++seen.claims;
    if (is_tentative(from.tag)) ++seen.displacements;
  }
  if (!is_tentative(from.tag)) return;
  if (is_free(to)) ++(owner(from) == actor ? seen.withdrawals : seen.kills);
  if (is_member(to.tag)) {
    ++seen.promotions;
    if (owner(from) != actor) ++seen.promotions_of_others;
  }
}

void Oracle::end_call(int actor, Verdict verdict, bool is_alone) {
  settle_losses(actor);
  Actor& a = at(actor);
  const std::uint64_t due = verdict == Verdict::allowed ? 1 : 0;
  if (a.charges != due) {
    violated(fmt::format("A violated: a call on key {} was {}, and charged {} times", a.identity,
                         due == 1 ? "allowed" : "not allowed", a.charges));
  }
  if (verdict == Verdict::denied && !a.could_be_denied) {
    violated(
        fmt::format("A violated: a call on key {} was denied what the limit allowed "
                    "at every instant",
                    a.identity));
  }
  if (verdict == Verdict::gave_up && !may_give_up_) violated("P violated: a call gave up");
  seen.admitted += due;
  seen.denied += verdict == Verdict::denied ? 1 : 0;
  seen.full += verdict == Verdict::full ? 1 : 0;
  seen.most_accesses = std::max(seen.most_accesses, a.accesses);
  if (is_alone) seen.most_alone = std::max(seen.most_alone, a.accesses_alone);
  a = Actor{};
}

/// Bound A, from the definition: every window of every key, between two forgiven debts.
void Oracle::end_run() {
  std::stable_sort(admissions_.begin(), admissions_.end(),
                   [](const Admission& a, const Admission& b) { return a.at_ns < b.at_ns; });
  for (std::size_t first = 0; first < admissions_.size(); ++first) {
    const Admission& from = admissions_[first];
    std::uint64_t cost = 0;
    for (std::size_t last = first; last < admissions_.size(); ++last) {
      const Admission& to = admissions_[last];
      if (to.identity != from.identity || to.life != from.life) continue;
      cost += to.cost;
      const std::uint64_t window = to.at_ns - from.at_ns;
      if (cost > bucket_.burst + window / bucket_.interval_ns) {
        violated(fmt::format("A violated: key {} was admitted {} in {} ns", from.identity, cost,
                             window));
      }
    }
  }
}

}  // namespace rl::test
