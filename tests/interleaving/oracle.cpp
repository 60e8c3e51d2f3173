#include "tests/interleaving/oracle.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
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

void Oracle::furnish(std::size_t index, SlotWords words) {
  slots_.at(index) = words;
  if (is_member(words.tag)) account(identity_of(words.tag)).tat_ns = words.state;
}

void Oracle::advance(std::uint64_t ns) {
  now_ns_ += ns;
  look_at_calls();
}

/// Whatever a call is told must have been true at an instant while it lasted. A denial: the limit
/// would have denied it. No room: the slot was not there to be had. A state that stays beyond the
/// horizon: it was not there, or not beyond.
void Oracle::look_at_calls() {
  for (Actor& a : actors_) {
    if (a.identity == 0) continue;
    const std::uint64_t as_of = a.callers_ns != 0 ? a.callers_ns : now_ns_;
    const std::uint64_t debt = debt_ns(account(a.identity).tat_ns, as_of);
    if (debt > bucket_.tolerance_ns - std::min(a.cost, bucket_.burst) * bucket_.interval_ns ||
        a.cost > bucket_.burst) {
      a.could_be_denied = true;
    }
    for (std::size_t i = 0; i < kSlots; ++i) {
      const std::uint32_t bit = std::uint32_t{1} << i;
      if (!can_be_had(slots_[i], a.identity)) a.could_have_had &= ~bit;
      if (!is_beyond(slots_[i], a, now_ns_)) a.beyond_horizon &= ~bit;
    }
  }
}

/// Whether a call on the key `by` must not say that there is no room while the slot is so.
bool Oracle::can_be_had(SlotWords words, std::uint64_t by) const noexcept {
  if (is_free(words) || is_tentative(words.tag) || identity_of(words.tag) == by) return true;
  if (!is_member(words.tag) || policy_of(words.tag) == kStickyPolicy) return false;
  return evicts_ || debt_ns(words.state, now_ns_) == 0;
}

/// Whether the slot has the key of this call, with a debt that no clock of the call can explain.
bool Oracle::is_beyond(SlotWords words, const Actor& a, std::uint64_t now_ns) const noexcept {
  return shm::is_member_of(words.tag, a.identity) &&
         is_beyond_horizon(bucket_, words.state, std::max(now_ns, a.callers_ns));
}

void Oracle::begin_call(int actor, std::uint64_t identity, std::uint64_t cost,
                        std::uint64_t callers_ns) {
  settle_losses(actor);
  at(actor) = Actor{};
  at(actor).identity = identity;
  at(actor).cost = cost;
  at(actor).callers_ns = callers_ns;
  at(actor).could_have_had = at(actor).beyond_horizon = (1U << kSlots) - 1;
  ++seen.calls;
  look_at_calls();
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
  const Taken taken = std::exchange(at(actor).taken, {});
  if (taken.debt_ns == 0 || taken.is_counted) return;
  violated(fmt::format("A violated: the debt of key {} is gone, uncounted", taken.identity));
}

/// A debt that was paid between the look and the swap is counted all the same.
void Oracle::on_evicted(int actor) {
  Taken& taken = at(actor).taken;
  if (taken.is_counted || taken.judged_debt_ns == 0) {
    violated(fmt::format("A violated: an eviction is counted where key {} had nothing to lose",
                         taken.identity));
  }
  if (!evicts_) {
    violated(
        fmt::format("A violated: key {} is evicted, which the policy forbids", taken.identity));
  }
  taken.is_counted = true;
  ++seen.evictions;
}

void Oracle::on_idle_overwritten(int actor) {
  Taken& taken = at(actor).taken;
  if (taken.is_counted || taken.identity == 0 || taken.debt_ns != 0) {
    violated(fmt::format("A violated: key {} was not idle, and is counted so", taken.identity));
  }
  taken.is_counted = true;
}

void Oracle::on_swap(int actor, std::size_t index, SlotWords from, SlotWords to) {
  const bool was = is_member(from.tag);
  const bool becomes = is_member(to.tag);
  const bool same_key = identity_of(from.tag) == identity_of(to.tag);
  count_transition(actor, from, to);
  if (identity_of(from.tag) == 0 && !is_free(from)) {
    violated(fmt::format("A violated: slot {} is corrupt and was taken", index));
  }
  if (becomes && !(was && same_key)) check_one_member(identity_of(to.tag), index);
  if (was && !(becomes && same_key)) on_member_lost(actor, from, to);
  slots_.at(index) = to;
  if (becomes) on_member_written(actor, from, to);
  look_at_calls();
}

void Oracle::check_one_member(std::uint64_t identity, std::size_t index) {
  for (std::size_t other = 0; other < kSlots; ++other) {
    if (other == index || !shm::is_member_of(slots_[other].tag, identity)) continue;
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
  if (!is_reset) at(actor).taken = {identity, debt, debt_ns(from.state, at(actor).read_ns), false};
  if (debt == 0 && !is_reset) {
    ++(is_free(to) ? seen.frees : seen.overwrites);
    return;
  }
  seen.frees += is_reset ? 1 : 0;
  account(identity).tat_ns = 0;
  ++account(identity).life;
}

/// The account is charged by what the call was told, never by what the slot says.
void Oracle::on_member_written(int actor, SlotWords from, SlotWords to) {
  const std::uint64_t identity = identity_of(to.tag);
  Actor& a = at(actor);
  Account& owed = account(identity);
  if (identity != a.identity) {
    return violated(
        fmt::format("A violated: a call on key {} charged key {}", a.identity, identity));
  }
  const std::uint64_t at_ns = decides_at(a);
  if (is_beyond(from, a, a.read_ns)) {  // no call can have charged it: from now on, the most
    owed.tat_ns = std::max(a.read_ns, a.callers_ns) + bucket_.tolerance_ns;
    ++seen.cuts;
  }
  if (a.proposes_charge) {
    const std::uint64_t charge = a.cost * bucket_.interval_ns;
    const std::uint64_t debt = debt_ns(owed.tat_ns, at_ns);
    if (debt + charge > bucket_.tolerance_ns) {
      violated(fmt::format("A violated: key {} owed {} ns at {}, and {} ns more were admitted",
                           identity, debt, at_ns, charge));
    }
    owed.tat_ns = std::max(owed.tat_ns, at_ns) + charge;
    ++a.charges;
    admissions_.push_back({identity, at_ns, a.cost, owed.life});
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
  if (verdict == Verdict::unavailable) {
    violated(
        fmt::format("A violated: a call on key {} was told of no time, or no policy", a.identity));
  }
  if (verdict == Verdict::full && a.could_have_had != 0) {
    violated(
        fmt::format("A violated: a call on key {} found no room, and slot {} stood there to be had",
                    a.identity, std::countr_zero(a.could_have_had)));
  }
  if (verdict == Verdict::denied && a.beyond_horizon != 0) {
    violated(fmt::format("A violated: key {} is left with a debt that no call can have charged",
                         a.identity));
  }
  seen.admitted += due;
  seen.denied += verdict == Verdict::denied ? 1 : 0;
  seen.full += verdict == Verdict::full ? 1 : 0;
  seen.most_accesses = std::max(seen.most_accesses, a.accesses);
  if (is_alone) seen.most_alone = std::max(seen.most_alone, a.accesses_alone);
  a = Actor{};
}

/// Bound A, from the definition: every window of every key, between two forgiven debts.
void Oracle::end_run() {
  for (int actor = 0; actor < kActorsMax; ++actor) settle_losses(actor);
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
