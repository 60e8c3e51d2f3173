#!/usr/bin/env python3
"""Plants faults in the table's protocol, so that tests can be seen to find them.

    mutate.py shm/table.hpp OUT

OUT is the production text with every mutant in it and none of them on. The environment variable
RL_MUTANT=NAME turns one on in any program that is built with OUT in front of the production file;
-DRL_MUTANT=NAME fixes it when the program is compiled, so the others cost no instruction.

A mutant replaces text that must occur exactly once: when the production code moves on, the build
fails here until its mutants have been thought about again.
"""

import sys

# Each: name, the guarantee it breaks, what is wrong with it, then the text and what replaces it.
MUTANTS = [
    ("NAIVE_INSERT", "S: no tentative at all; the first free slot becomes the member at once", """\
    if (survey.member >= 0) return {Insert::retry};
""", """\
    if (survey.member >= 0) return {Insert::retry};
    if (kMutant == Mutant::NAIVE_INSERT) {
      if (survey.free != 0) {
        const std::uint64_t at = list.slot_at(std::countr_zero(survey.free));
        if (!slot(at).compare_exchange({}, {make_tag(identity, first.policy), first.state})) {
          return {Insert::retry};
        }
        attempt.promoted = true;
        return {Insert::inserted, at};
      }
      return {Insert::full};
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
      while (!cell.compare_exchange(cell.words(),
                                    {make_tag(identity_of(tag), next.policy), next.state})) {
      }
      return true;
    }
    if (next.kind == Transition::store) [[likely]] {  // (h)
"""),
    ("DENY_AT_ONCE", "A: a denial by a torn reading", """\
    return next.kind == Transition::keep && cell.words() == seen;
""", """\
    if (kMutant == Mutant::DENY_AT_ONCE) return next.kind == Transition::keep;
    return next.kind == Transition::keep && cell.words() == seen;
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
    ("NO_BOUND", "P: tries for ever", """\
    [[nodiscard]] bool another() noexcept { return tries++ < kTriesMax; }
""", """\
    [[nodiscard]] bool another() noexcept {
      return tries++ < kTriesMax || kMutant == Mutant::NO_BOUND;
    }
"""),
]

# Goes in front of the first namespace of the production file.
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


def replaced_once(text, old, new, name):
    if text.count(old) != 1:
        sys.exit(f"mutate.py: {name}: its text occurs {text.count(old)} times in the production "
                 f"file, not once; look at the mutant again:\n{old}")
    return text.replace(old, new)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as file:
        text = file.read()
    for name, _, old, new in MUTANTS:
        if f"Mutant::{name}" not in new:
            sys.exit(f"mutate.py: {name} cannot be switched off")
        text = replaced_once(text, old, new, name)
    first = "namespace rl::shm {\n"
    switch = SWITCH.format(
        enumerators="\n".join(f"  {name},  // {what}" for name, what, _, _ in MUTANTS),
        lookups="\n".join(f'  if (std::string_view("{name}") == name) return Mutant::{name};'
                          for name, _, _, _ in MUTANTS))
    text = replaced_once(text, first, switch + first, "the switch")
    with open(sys.argv[2], "w", encoding="utf-8") as file:
        file.write(text)


main()
