#!/usr/bin/env python3
"""Plants faults in the table's protocol, in the rules that drive it and in the ways of permits, so that
tests can be seen to find them.

    mutate.py FILE OUT       FILE ends in shm/table.hpp, or as one of the src/*.hpp in MUTANTS

OUT is the production text with every mutant of it inside and none of them on. The environment
variable RL_MUTANT=NAME turns one on in any program that is built with OUT in front of the
production file; -DRL_MUTANT=NAME fixes it when the program is compiled, so the others cost no
instruction. The switch itself is in the table, which the rules include.

A mutant replaces text that must occur exactly once: when the production code moves on, the build
fails here until its mutants have been thought about again.
"""

import sys

# Each: name, the guarantee it breaks, what is wrong with it, then the text and what replaces it.
OF_TABLE = [
    ("NAIVE_INSERT", "S: no tentative at all; the first free slot becomes the member at once", """\
    if (first.kind != Transition::store) return {Insert::unneeded};
""", """\
    if (first.kind != Transition::store) return {Insert::unneeded};
    if (kMutant == Mutant::NAIVE_INSERT && survey.free != 0) {
      const std::uint64_t at = list.slot_at(std::countr_zero(survey.free));
      if (!slot(at).compare_exchange({}, {make_tag(identity, first.policy), first.state})) {
        return {Insert::retry};
      }
      attempt.promoted = true;
      return {Insert::inserted, at};
    }
"""),
    ("NO_KILL", "S: a tentative later on the list is passed over", """\
      } else if (cell.compare_exchange(words, SlotWords{})) {  // (f)
""", """\
      } else if (kMutant == Mutant::NO_KILL || cell.compare_exchange(words, SlotWords{})) {  // (f)
"""),
    ("FAILED_KILL_IS_A_KILL", "S: goes on when the later tentative was not there any more", """\
        rules.on_tentative_freed();
        ++position;
        continue;
      }
""", """\
        rules.on_tentative_freed();
        ++position;
        continue;
      } else if (kMutant == Mutant::FAILED_KILL_IS_A_KILL) {
        ++position;
        continue;
      }
"""),
    ("NO_EARLIER_WINS", "S: a tentative earlier on the list is passed over", """\
      if (position < claim.position) {
""", """\
      if (kMutant == Mutant::NO_EARLIER_WINS && position < claim.position) {
        ++position;
        continue;
      }
      if (position < claim.position) {
"""),
    ("KEEP_OWN_WHEN_MEMBER", "S: a member is seen, and our tentative is promoted all the same", """\
      if (is_member(words.tag)) {
        withdraw(list, claim);
""", """\
      if (kMutant == Mutant::KEEP_OWN_WHEN_MEMBER && is_member(words.tag)) {
        ++position;
        continue;
      }
      if (is_member(words.tag)) {
        withdraw(list, claim);
"""),
    ("NO_SECOND_SCAN", "S: promotes without looking at the list again", """\
    if (!resolve(list, identity, rules, claim, attempt)) return {Insert::retry};
""", """\
    if (kMutant != Mutant::NO_SECOND_SCAN && !resolve(list, identity, rules, claim, attempt)) {
      return {Insert::retry};
    }
"""),
    ("NO_RESTART", "S: after deferring to an earlier tentative, the scan is not begun again", """\
      if (!attempt.another()) {
        withdraw(list, claim);
        return false;
      }
""", """\
      if (kMutant == Mutant::NO_RESTART) {
        ++position;
        continue;
      }
      if (!attempt.another()) {
        withdraw(list, claim);
        return false;
      }
"""),
    ("PROMOTE_ANYTHING", "S: promotes what is in the slot now, not what was resolved", """\
    const std::uint64_t index = list.slot_at(claim.position);
""", """\
    const std::uint64_t index = list.slot_at(claim.position);
    if (kMutant == Mutant::PROMOTE_ANYTHING) claim.words = slot(index).words();
"""),
    ("SAME_NONCE", "S: every tentative of a key looks the same", """\
    const SlotWords ours{make_tag(identity, 0), rules.nonce()};
""", """\
    const SlotWords ours{make_tag(identity, 0),
                         kMutant == Mutant::SAME_NONCE ? 1 : rules.nonce()};
"""),
    ("CHARGE_BY_THE_FIRST_LOOK", "A: the first charge counts from before the claim", """\
    const Transition becomes = claim.own ? rules.first() : rules.idle();
""", """\
    const bool by_first = kMutant == Mutant::CHARGE_BY_THE_FIRST_LOOK && claim.own;
    const Transition becomes = by_first ? first : claim.own ? rules.first() : rules.idle();
"""),
    ("OVERWRITE_WITHOUT_LOOKING", "A: takes what is in the victim's slot now, not what was judged", """\
    if (!slot(list.slot_at(victim.position)).compare_exchange(victim.words, ours)) {
""", """\
    if (kMutant == Mutant::OVERWRITE_WITHOUT_LOOKING) {
      victim.words = slot(list.slot_at(victim.position)).words();
    }
    if (!slot(list.slot_at(victim.position)).compare_exchange(victim.words, ours)) {
"""),
    ("CHARGE_ANOTHERS", "A: who finishes another's insert takes it for an insert of its own", """\
    return {claim.own ? Insert::inserted : Insert::retry, index};
""", """\
    if (kMutant == Mutant::CHARGE_ANOTHERS) return {Insert::inserted, index};
    return {claim.own ? Insert::inserted : Insert::retry, index};
"""),
    ("STEP_WITHOUT_LOOKING", "A: a decision on an old state is written over the new one", """\
    if (next.kind == Transition::store) [[likely]] {  // (h)
""", """\
    if (kMutant == Mutant::STEP_WITHOUT_LOOKING && next.kind == Transition::store) {
      while (!seen.cell->compare_exchange(
          seen.cell->words(), {make_tag(identity_of(seen.words.tag), next.policy), next.state})) {
      }
      return true;
    }
    if (next.kind == Transition::store) [[likely]] {  // (h)
"""),
    ("STEP_WHOSEVER_IT_IS", "A: after a rival was faster, steps a slot that is another key's now", """\
      if (seen.words.tag != tag) return false;
""", """\
      if (kMutant != Mutant::STEP_WHOSEVER_IT_IS && seen.words.tag != tag) return false;
"""),
    ("DENY_AT_ONCE", "A: a denial by a torn reading", """\
    return next.kind == Transition::keep && seen.cell->words() == seen.words;
""", """\
    if (kMutant == Mutant::DENY_AT_ONCE) return next.kind == Transition::keep;
    return next.kind == Transition::keep && seen.cell->words() == seen.words;
"""),
    ("FREE_ANYTHING", "A: frees what is in the slot now, not what was agreed to", """\
      if (!agrees(seen)) return false;
      if (cell.compare_exchange(seen, SlotWords{})) return true;  // (i)
""", """\
      if (!agrees(seen)) return false;
      if (kMutant == Mutant::FREE_ANYTHING && cell.compare_exchange(cell.words(), SlotWords{})) {
        return true;
      }
      if (cell.compare_exchange(seen, SlotWords{})) return true;  // (i)
"""),
    ("MEND_WITHOUT_LOOKING", "A: frees what stands now in a slot that was corrupt", """\
      if (cell.compare_exchange(seen, SlotWords{})) return true;  // (i)
""", """\
      const bool is_corrupt = identity_of(seen.tag) == 0 && !is_free(seen);
      if (kMutant == Mutant::MEND_WITHOUT_LOOKING && is_corrupt &&
          cell.compare_exchange(cell.words(), SlotWords{})) {
        return true;
      }
      if (cell.compare_exchange(seen, SlotWords{})) return true;  // (i)
"""),
    ("WAIT_FOR_OWNER", "P: leaves another's tentative of the key to its owner", """\
    Claim claim{survey.tentative, survey.tentative_words, false};
""", """\
    Claim claim{survey.tentative, survey.tentative_words, false};
    if (kMutant == Mutant::WAIT_FOR_OWNER && claim.position >= 0) return {Insert::retry};
"""),
    ("NEVER_STALE", "P: never takes the slot of another key's tentative", """\
      if (++attempt.stale_scans >= kStaleScans) return tentative;
""", """\
      if (kMutant != Mutant::NEVER_STALE && ++attempt.stale_scans >= kStaleScans) return tentative;
"""),
    ("FULL_WHEN_BEATEN", "A: says that there is no room when a rival was faster", """\
      if (claim.position < 0) return {Insert::retry};
""", """\
      if (kMutant == Mutant::FULL_WHEN_BEATEN && claim.position < 0) return {Insert::full};
      if (claim.position < 0) return {Insert::retry};
"""),
    ("JUDGE_BEFORE_READING", "A: what is idle owes, as of an instant before it was read", """\
    rules.begin_judging();
    std::uint32_t idle = 0;
""", """\
    rules.begin_judging();
    for (int i = 0; kMutant == Mutant::JUDGE_BEFORE_READING && i < CandidateList::kSize; ++i) {
      const SlotWords words = slot(list.slot_at(i)).words();
      seen.tags[i] = words.tag;
      seen.states[i] = words.state;
      members = is_member(words.tag) ? members | 1U << i : members & ~(1U << i);
    }
    std::uint32_t idle = 0;
"""),
    ("FULL_BY_A_TORN_READING", "A: says that there is no room by halves of two states", """\
    if (victim.position == kNoRoom && !still_holds(list, seen)) return {kLost, {}, Victim::free};
""", """\
    if (kMutant == Mutant::FULL_BY_A_TORN_READING) return victim;
    if (victim.position == kNoRoom && !still_holds(list, seen)) return {kLost, {}, Victim::free};
"""),
    ("TAKES_CORRUPT", "A: a slot that nobody can read is overwritten", """\
      members |= std::uint32_t{is_member(words.tag)} << position;  // what is left is corrupt
""", """\
      if (kMutant == Mutant::TAKES_CORRUPT && !is_member(words.tag)) {
        return {position, words, Victim::idle};
      }
      members |= std::uint32_t{is_member(words.tag)} << position;  // what is left is corrupt
"""),
    ("COUNTS_IDLE_AS_EVICTED", "A: counts an eviction where nothing was lost", """\
        rules.on_idle_overwritten();
        break;
""", """\
        kMutant == Mutant::COUNTS_IDLE_AS_EVICTED ? rules.on_evicted()
                                                  : rules.on_idle_overwritten();
        break;
"""),
    ("NO_BOUND", "P: tries for ever", """\
    [[nodiscard]] bool another() noexcept { return tries++ < kTriesMax; }
""", """\
    [[nodiscard]] bool another() noexcept {
      return tries++ < kTriesMax || kMutant == Mutant::NO_BOUND;
    }
"""),
]

OF_RULES = [
    ("IDLE_IS_ZERO", "A: the state of an idle key does not say since when", """\
    return {shm::Transition::store, at.id, idle_state(at.policy->parameters, now)};
""", """\
    const bool says_when = kMutant != Mutant::IDLE_IS_ZERO;
    return {shm::Transition::store, at.id,
            says_when ? idle_state(at.policy->parameters, now) : 0};
"""),
    ("IDLE_BY_CALLERS_TIME", "A: a key that is idle by the caller's time owes by the clock", """\
    const std::uint64_t now = std::min(time_.now(), time_.clock->now());
""", """\
    const std::uint64_t now = kMutant == Mutant::IDLE_BY_CALLERS_TIME
                                  ? time_.now()
                                  : std::min(time_.now(), time_.clock->now());
"""),
    ("READ_CLOCK_ONCE", "A: later looks at a slot are judged by a time before them", """\
    const std::uint64_t now = time_.now();
    if (now == shm::Clock::kNoTime) [[unlikely]]
      return false;
""", """\
    if (kMutant == Mutant::READ_CLOCK_ONCE && judged_at_ == 0) judged_at_ = time_.now();
    const std::uint64_t now = kMutant == Mutant::READ_CLOCK_ONCE ? judged_at_ : time_.now();
    if (now == shm::Clock::kNoTime) [[unlikely]]
      return false;
"""),
    ("JUDGE_BY_CALLERS_TIME", "A: another key's debt is over when the caller says so", """\
  void begin_judging() noexcept { judged_at_ = time_.clock->now(); }
""", """\
  void begin_judging() noexcept {
    judged_at_ = kMutant == Mutant::JUDGE_BY_CALLERS_TIME ? time_.now() : time_.clock->now();
  }
"""),
    ("OWING_IS_IDLE", "A: a debt of less than a token is not a debt", """\
    if (is_idle(parameters, state, now_ns)) return shm::Standing::idle;
""", """\
    const auto* const bucket = std::get_if<TokenBucket>(&parameters);
    const bool spares = kMutant == Mutant::OWING_IS_IDLE && bucket != nullptr;
    const std::uint64_t at_ns = now_ns + (spares ? bucket->interval_ns - 1 : 0);
    if (is_idle(parameters, state, at_ns)) return shm::Standing::idle;
"""),
    ("JUDGE_A_NEWER_LIBRARYS", "A: a policy that is not understood is judged all the same", """\
    if (at.policy == nullptr) return shm::Standing::sticky;
""", """\
    if (kMutant == Mutant::JUDGE_A_NEWER_LIBRARYS && at.policy == nullptr) {
      return standing(binding_.policy.parameters, state, judged_at_);
    }
    if (at.policy == nullptr) return shm::Standing::sticky;
"""),
    ("EVICT_ALWAYS", "A: evicts under a policy that says otherwise", """\
    return binding_.policy.limit.when_full() == WhenFull::evict &&
""", """\
    if (kMutant == Mutant::EVICT_ALWAYS) return true;
    return binding_.policy.limit.when_full() == WhenFull::evict &&
"""),
    ("EVICT_UNCOUNTED", "A: a debt is given away and nobody is told", """\
  void on_evicted() noexcept {
    count(health().evicted);
""", """\
  void on_evicted() noexcept {
    if (kMutant != Mutant::EVICT_UNCOUNTED) count(health().evicted);
"""),
    ("FIRST_LOOK_WITHOUT_HORIZON", "A: a debt that no call can have charged is collected", """\
  if (now == shm::Clock::kNoTime || is_beyond_horizon(algorithm, state, now) ||
""", """\
  const bool looks = kMutant != Mutant::FIRST_LOOK_WITHOUT_HORIZON;
  if (now == shm::Clock::kNoTime || (looks && is_beyond_horizon(algorithm, state, now)) ||
"""),
    ("FIRST_LOOK_WITHOUT_LINKS", "A: a change is not seen as long as the tag is the old one", """\
      !binding.stands_alone()) [[unlikely]] {
""", """\
      (kMutant != Mutant::FIRST_LOOK_WITHOUT_LINKS && !binding.stands_alone())) {
"""),
    ("JUDGE_IN_OLD_UNITS", "A: a debt is over by the limit of before the change", """\
    return standing(at.policy->parameters, at.state, at.now_ns);
""", """\
    if (kMutant == Mutant::JUDGE_IN_OLD_UNITS) {
      std::optional<Policy> spare;
      const KnownPolicy before = binding_.view->known.find(policy, spare);
      if (before.policy != nullptr) return standing(before.policy->parameters, state, judged_at_);
    }
    return standing(at.policy->parameters, at.state, at.now_ns);
"""),
    ("TAKE_WHAT_STAYS", "A: an insert takes the slot of a key that is banned", """\
    if (is_standing(at.policy->kind)) return shm::Standing::sticky;
""", """\
    if (is_standing(at.policy->kind) && kMutant != Mutant::TAKE_WHAT_STAYS)
      return shm::Standing::sticky;
"""),
    ("DENY_BY_AN_OLD_READING", "A: what came after the reading of a batch denies it", """\
  constexpr auto kDenied = Time::kMayDeny ? shm::Transition::keep : shm::Transition::pass;
""", """\
  const bool may_deny = Time::kMayDeny || kMutant == Mutant::DENY_BY_AN_OLD_READING;
  const auto kDenied = may_deny ? shm::Transition::keep : shm::Transition::pass;
"""),
    ("STEP_WITHOUT_HORIZON", "A: the same, where the first look has left it to the step", """\
    if (is_beyond_horizon(parameters(), at_.state, at_.now_ns)) [[unlikely]]
""", """\
    if (kMutant != Mutant::STEP_WITHOUT_HORIZON &&
        is_beyond_horizon(parameters(), at_.state, at_.now_ns))
"""),
    ("CUT_UNSTORED", "A: what was cut is not written down, and stays", """\
    const bool stores = is_news && (verdict_.allowed || healed_ || at_.has_moved);
""", """\
    const bool keeps = kMutant == Mutant::CUT_UNSTORED;
    const bool stores = is_news && (verdict_.allowed || (healed_ && !keeps) || at_.has_moved);
"""),
    ("CUT_TO_NOTHING", "A: a state beyond the horizon is forgiven", """\
    if (healed_) state = cut(parameters, state, latest);
""", """\
    if (healed_) state = kMutant == Mutant::CUT_TO_NOTHING ? 0 : cut(parameters, state, latest);
"""),
    ("CUT_BY_CALLERS_TIME", "A: a time long ago cuts what the clock explains", """\
    const std::uint64_t latest = time_.latest();
""", """\
    const std::uint64_t latest = kMutant == Mutant::CUT_BY_CALLERS_TIME ? now : time_.latest();
"""),
]

OF_FOLLOWING = [
    ("CONVERT_AT_CALL", "A: debts are converted as of the next call: a free refill", """\
    at.state = converted(at.policy->parameters, at.state, to.parameters, to.spent, changed_ns);
""", """\
    at.state =
        converted(at.policy->parameters, at.state, to.parameters, to.spent,
                  shm::kMutant == shm::Mutant::CONVERT_AT_CALL ? at.now_ns : changed_ns);
"""),
    ("NO_CONVERSION", "A: the tag changes, and the state stays as it is", """\
    const std::uint64_t changed_ns = date_of(at.id, at.now_ns);
""", """\
    if (shm::kMutant == shm::Mutant::NO_CONVERSION) {
      at.policy = &to;
      at.id = next;
      at.has_moved = true;
      return;
    }
    const std::uint64_t changed_ns = date_of(at.id, at.now_ns);
"""),
    ("COUNT_BEFORE_CHANGE", "A: a change is applied to a call that counts before it", """\
    at.now_ns = std::max(at.now_ns, changed_ns);
""", """\
    if (shm::kMutant != shm::Mutant::COUNT_BEFORE_CHANGE)
      at.now_ns = std::max(at.now_ns, changed_ns);
"""),
    ("NO_DATE", "A: a change without a date never gets one, and is as of each call", """\
    return view_.mapping.writable() ? view_.policies.date(id, clocks) : clocks;
""", """\
    const bool dates = shm::kMutant != shm::Mutant::NO_DATE;
    return dates && view_.mapping.writable() ? view_.policies.date(id, clocks) : clocks;
"""),
    ("ONE_HOP", "A: of several changes only the first is followed", """\
      hop(at, next, *successor.policy);
""", """\
      hop(at, next, *successor.policy);
      if (shm::kMutant == shm::Mutant::ONE_HOP) break;
"""),
    ("BAN_ENDS_WHEN_SEEN", "A: a ban ends when somebody comes by, not at its own instant", """\
        word.is_for_ever() ? at.now_ns : std::min(word.until_ns(), at.now_ns);
""", """\
        word.is_for_ever() || shm::kMutant == shm::Mutant::BAN_ENDS_WHEN_SEEN
            ? at.now_ns
            : std::min(word.until_ns(), at.now_ns);
"""),
    ("FAR_DATE", "A: a date that bytes gone wrong put far ahead ends all debts", """\
    if (dated != 0) return std::min(dated, std::max(clocks, now_ns));
""", """\
    if (shm::kMutant == shm::Mutant::FAR_DATE && dated != 0) return dated;
    if (dated != 0) return std::min(dated, std::max(clocks, now_ns));
"""),
    ("REFUND_ACROSS_SHARES", "A: what was one token is given back as another", """\
    at.is_as_charged = at.is_as_charged && keeps;
""", """\
    at.is_as_charged =
        at.is_as_charged && (keeps || shm::kMutant == shm::Mutant::REFUND_ACROSS_SHARES);
"""),
    ("GIVE_BACK_WHAT_IS_OVER", "A: what was over at a change is given back as if counted then", """\
    const bool owes = !is_idle(at.policy->parameters, at.state, changed_ns) &&
""", """\
    const bool owes = (shm::kMutant == shm::Mutant::GIVE_BACK_WHAT_IS_OVER ||
                       !is_idle(at.policy->parameters, at.state, changed_ns)) &&
"""),
]

# No constant expressions any more: which mutant is on is known at run time.
OF_OPERATIONS = [
    ("LEASE_FROM_A_LINE", "A: who has a place in a line takes those of later calls, too", """\
  [[nodiscard]] constexpr Verdict act(const Parameters& parameters, std::uint64_t state,
                                      std::uint64_t now_ns) noexcept {
    const bool has_no_line = std::holds_alternative<TokenBucket>(parameters) ||
""", """\
  [[nodiscard]] Verdict act(const Parameters& parameters, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
    const bool has_no_line = kMutant == Mutant::LEASE_FROM_A_LINE ||
                             std::holds_alternative<TokenBucket>(parameters) ||
"""),
    ("LEASE_UNCHARGED", "A: a lease is taken, and only the call that takes it is charged", """\
    const Verdict verdict = acquire(parameters, state, now_ns, taken);
""", """\
    const bool charges = kMutant != Mutant::LEASE_UNCHARGED;
    const Verdict verdict = acquire(parameters, state, now_ns, charges ? taken : cost);
"""),
]

OF_PERMIT_LOOKS = [
    ("HINT_WITHOUT_END", "P: denies by a hint that is over", """\
    if (now == shm::Clock::kNoTime || !is_true(now) || !binding_.stands_alone()) [[unlikely]]
""", """\
    const bool holds = kMutant == Mutant::HINT_WITHOUT_END || is_true(now);
    if (now == shm::Clock::kNoTime || !holds || !binding_.stands_alone()) [[unlikely]]
"""),
    ("TAKE_UNCOUNTED", "A: the permit of one who died is taken and nobody is told", """\
  if (reclaims) [[unlikely]]
    note_reclaimed();
""", """\
  if (reclaims && kMutant != Mutant::TAKE_UNCOUNTED) [[unlikely]]
    note_reclaimed();
"""),
]

OF_HELD_PERMITS = [
    ("GIVE_BACK_ANOTHERS", "A: who lost its permit gives back that of the next holder", """\
    if (state != held.words.state || now == shm::Clock::kNoTime || !binding.stands_alone())
""", """\
    const bool is_anothers =
        state != held.words.state && shm::kMutant != shm::Mutant::GIVE_BACK_ANOTHERS;
    if (is_anothers || now == shm::Clock::kNoTime || !binding.stands_alone())
"""),
    ("RENEW_ANOTHERS", "A: who lost its permit renews that of the next holder", """\
    if (seen.state != held_.words.state ||
""", """\
    if ((seen.state != held_.words.state && shm::kMutant != shm::Mutant::RENEW_ANOTHERS) ||
"""),
    ("KEEP_AFTER_REMOVAL", "A: a permit from before a removal is taken for one from after it", """\
    return held.policy != nullptr && held.state == held_.words.state;
""", """\
    return shm::kMutant == shm::Mutant::KEEP_AFTER_REMOVAL ||
           (held.policy != nullptr && held.state == held_.words.state);
"""),
    ("LEAVE_THE_HINT", "P: nobody learns that a permit was given back", """\
    const bool must = hint.mark != HintWord::clear && gives_permits(view, policy);
""", """\
    const bool must = hint.mark != HintWord::clear && gives_permits(view, policy) &&
                      shm::kMutant != shm::Mutant::LEAVE_THE_HINT;
"""),
]

MUTANTS = {
    "shm/table.hpp": OF_TABLE,
    "src/rules.hpp": OF_RULES,
    "src/follow.hpp": OF_FOLLOWING,
    "src/operations.hpp": OF_OPERATIONS,
    "src/permit_looks.hpp": OF_PERMIT_LOOKS,
    "src/held_permit.hpp": OF_HELD_PERMITS,
}

# Goes in front of the namespace of the table.
SWITCH = """\
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace rl::shm {{

enum class Mutant {{
  none,
{enumerators}
}};

#ifdef RL_MUTANT
inline constexpr Mutant kMutant = Mutant::RL_MUTANT;
#else
inline const Mutant kMutant = [] {{
  const char* const name = std::getenv("RL_MUTANT");
  if (name == nullptr || *name == '\\0') return Mutant::none;
{lookups}
  std::fprintf(stderr, "RL_MUTANT=%s: no such mutant\\n", name);
  std::abort();
}}();
#endif

}}  // namespace rl::shm

"""

# The rules see the table's switch.
USING = """\
namespace rl {
using shm::kMutant;
using shm::Mutant;
"""


def replaced_once(text, old, new, name):
    if text.count(old) != 1:
        sys.exit(f"mutate.py: {name}: its text occurs {text.count(old)} times in the production "
                 f"file, not once; look at the mutant again:\n{old}")
    return text.replace(old, new)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    which = next((name for name in MUTANTS if sys.argv[1].endswith(name)), None)
    if which is None:
        sys.exit(f"mutate.py: {sys.argv[1]} is none of {', '.join(MUTANTS)}")
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    for name, _, old, new in MUTANTS[which]:
        if f"Mutant::{name}" not in new:
            sys.exit(f"mutate.py: {name} cannot be switched off")
        text = replaced_once(text, old, new, name)
    if which == "shm/table.hpp":
        text = with_switch(text, [mutant for mutants in MUTANTS.values() for mutant in mutants])
    else:
        text = replaced_once(text, "namespace rl {\n", USING, "the switch")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)


def with_switch(text, mutants):
    first = "namespace rl::shm {\n"
    switch = SWITCH.format(
        enumerators="\n".join(f"  {name},  // {what}" for name, what, _, _ in mutants),
        lookups="\n".join(f'  if (std::string_view("{name}") == name) return Mutant::{name};'
                          for name, _, _, _ in mutants))
    return replaced_once(text, first, switch + first, "the switch")


main()
