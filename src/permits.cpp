/// \file
/// Taking a permit.
///
/// Rules (searched exhaustively by spin: tests/model/permits.pml, hint.pml):
///   - Permit i of a key is a slot (src/permit_slots.hpp) whose word says who holds it and until when
///     (src/permit_words.hpp). Taking is one compare-and-swap of all of it, or the slot's insert;
///     giving back is one. So never more than n are out.
///   - A permit may be taken when it was given back, when its lease is over, or when its holder is
///     dead: its seat has a newer generation, or no lock.
///   - After a take the clock is read again: a lease that is over by then is not handed out.
///
/// A denial must be true, and must not cost a look at all n permits each time. The hint, in the
/// key's own slot, is what makes it so:
///
///     who wants one                            who gives one back
///     1. mark: clear -> checking(r)            1. permit: held -> given back
///     2. look at all permits; all are out      2. hint: checking(r) or saturated(r) -> clear(r + 1)
///     3. checking(r) -> saturated(r)
///
/// Both write, then read what the other wrote, with a full barrier in between (a compare-and-swap:
/// slot.hpp). So either 2 on the left sees the permit, or 2 on the right sees the mark: then 3
/// fails, and the looker looks again. If 3 succeeds, nobody has finished giving one back since 1:
/// all permits were out at that instant, or just being given back. And so they are until the hint
/// is cleared, or the first lease ends, or half a second has passed: the dead clear nothing. (Nor
/// does who is killed between its two steps; its permit is free, and nobody knows, for that long.)
/// Within that a denial is a look at the hint, and at the permit that it names, to say when its
/// lease ends. That no mark ever comes back with another meaning, so that 3 cannot succeed wrongly,
/// stands at is_recent (src/permit_words.hpp).
///
/// A limit can be changed at any time, and what is out stays out (src/convert.hpp, which clears the
/// hint: it spoke of the old limit). After a take the links are read again: what was taken under a
/// limit that is not in force any more is given back, and asked for anew. So what is out from before
/// a change was out when it was made.
///
/// After a limit was lowered to m, more may be out. While that may be, for a lease (permit_slots.hpp:
/// has_permits_of_before), all that any limit had are counted, w of them: before a take, so that a
/// denial disturbs nobody, and after it. If more than m are out then, it is given back, and tried
/// again. Two that count each other's may both give back, but cannot both stay: of those that
/// stayed, and those from before, the one that was taken last has counted all the others. So none is
/// had while m are out, and never are more out than m, or than were out when it was lowered and are
/// not back yet. The hint speaks of m among w then; why it is true stays the same, as the links are
/// read again before it is said: a count may have met what a limit that was raised meanwhile gave.
#include "src/held_permit.hpp"
#include "src/permit_looks.hpp"

namespace rl {

/// Comes to the policy in force. False when it cannot be told.
[[gnu::always_inline]] inline bool PermitTaker::come_to_limit() noexcept {
  if (binding_.stands_alone()) [[likely]] {
    at_ = {&binding_.policy, binding_.id};
  } else {
    const std::uint64_t now = view_.clock.now();
    if (now == shm::Clock::kNoTime) return false;
    if (!follower_) follower_.emplace(view_, view_.clock);
    at_ = follower_->follow(binding_.id, 0, now, binding_.id);
  }
  if (at_.policy == nullptr) return false;
  const auto* const permits = std::get_if<Concurrency>(&at_.policy->parameters);
  if (permits != nullptr) permits_ = *permits;
  has_changed_ = false;
  is_lowered_ = permits_.most > permits_.limit && may_have_more_out();
  return true;
}

/// Whether permits may be out that were given before the limit was lowered. Who lowered it may have
/// died before he said when.
[[gnu::noinline]] bool PermitTaker::may_have_more_out() noexcept {
  const std::uint64_t now = view_.clock.now();
  if (now != shm::Clock::kNoTime && view_.policies.changed_ns(permits_.before) == 0)
    (void)view_.policies.date(permits_.before, now);
  return has_permits_of_before(view_, permits_, now);
}

/// Whether it still is. Read after a take, whose compare-and-swap is a full barrier: either we see
/// the change, or whoever counts under the new limit sees what we took. As for whoever follows the
/// links, a successor that is damaged is none.
[[gnu::always_inline]] inline bool PermitTaker::is_in_force() const noexcept {
  if (at_.id == binding_.id && binding_.stands_alone()) [[likely]]
    return true;
  const std::uint16_t next = view_.policies.successor(at_.id);
  std::optional<Policy> spare;
  return next == 0 || view_.known.find(next, spare).is_damaged;
}

[[gnu::always_inline]] inline PermitTaker::Seen PermitTaker::try_once() noexcept {
  const Seen by_hint = look_by_hint();
  if (by_hint != Seen::elsewhere) [[unlikely]]
    return by_hint;
  const std::uint32_t index = first_index();
  const shm::KeyHash hash = hash_of_permit(binding_.hasher, hash_, index);
  Seen first = look_at_home(index, hash, [](std::uint64_t) { return true; });
  if (first == Seen::taken) [[likely]]
    return first;
  if (first == Seen::elsewhere) first = look_at(index, nullptr);
  return first == Seen::out || first == Seen::no_room ? look_further() : first;
}

/// The permit that a saturated hint names.
[[gnu::noinline]] PermitTaker::Seen PermitTaker::look_at_hinted(
    const HintWord& hint, const shm::SlotWords& seen) noexcept {
  const std::uint32_t index = in_limit(hint.index);
  const shm::KeyHash hash = hash_of_permit(binding_.hasher, hash_, index);
  const Seen end = look_at_home(
      index, hash, [&](std::uint64_t now_ns) noexcept { return is_saturated(hint, now_ns); });
  const bool still_says = view_.table.slot(hint_slot_).words() == seen;
  return end != Seen::out || still_says ? end : Seen::elsewhere;
}

/// The first permit was out: is it all?
[[gnu::noinline]] PermitTaker::Seen PermitTaker::look_further() noexcept {
  const HintWord hint = mark_hint();
  if (has_changed_) return Seen::again;
  // The one whose lease ends first, to say when; or that was given back last. It may be free by
  // now.
  const Seen hinted = look_at(in_limit(hint.index), nullptr);
  const bool may_be_free = hinted == Seen::out || hinted == Seen::no_room;
  if (!may_be_free || hint.mark == HintWord::saturated) return hinted;
  return look_at_all(hint);
}

/// Takes a permit, if it may be taken.
[[gnu::noinline]] PermitTaker::Seen PermitTaker::look_at(std::uint32_t index,
                                                         shm::Liveness* liveness) noexcept {
  const shm::KeyHash hash = hash_of_permit(binding_.hasher, hash_, index);
  CallRules<OwnTime, TakePermit> rules(binding_, OwnTime{&view_.clock},
                                       {sitter_, view_.participant, liveness});
  const shm::Update update = apply(binding_, key_, hash, rules);
  if (rules.is_unavailable()) return Seen::no_time;
  if (update.outcome != shm::Update::decided) return Seen::no_room;
  note_look(index, update.slot_index, shm::make_tag(hash.identity, rules.decided_by()),
            rules.verdict(), rules.operation().reclaims);
  if (rules.decided_by() != at_.id && !is_in_force()) {
    if (verdict_.allowed) give_back();
    return Seen::again;
  }
  return verdict_.allowed ? Seen::taken : Seen::out;
}

[[gnu::cold]] void PermitTaker::note_reclaimed() noexcept {
  view_.stripes.add(shm::StripeHead::permits_reclaimed);
  note_event(view_, EventKind::permit_reclaimed, at_.id, key_);
}

/// Returns the hint as it stands for this look: saturated, or checking.
HintWord PermitTaker::mark_hint() noexcept {
  const shm::KeyHash hash = hash_of_hint(hash_);
  CallRules<OwnTime, MarkHint> rules(binding_, OwnTime{&view_.clock}, {});
  const shm::Update update = apply(binding_, key_, hash, rules);
  hint_slot_ = view_.table.kNowhere;
  const bool has_slot = update.outcome == shm::Update::decided && update.has_slot;
  const bool is_ours = rules.decided_by() == at_.id;
  has_changed_ = !is_ours && !is_in_force();
  // Under another policy, by bytes gone wrong, it is nobody's hint.
  if (!has_slot || !is_ours || rules.is_unavailable()) return {};
  const HintWord hint = HintWord::of(rules.verdict().state);
  hint_slot_ = update.slot_index;
  return hint;
}

/// Looks at the permits in turn, and asks the kernel whose holders are dead.
PermitTaker::Seen PermitTaker::look_at_all(const HintWord& mark) noexcept {
  const auto limit = static_cast<std::uint32_t>(permits_.limit);
  const std::uint32_t first = first_index();
  const std::uint64_t began_ns = view_.clock.now();
  shm::Liveness liveness(view_.participant);
  Verdict soonest{};
  std::uint32_t soonest_index = first;
  bool all_have_slots = hint_slot_ != view_.table.kNowhere;
  for (std::uint32_t i = 0; i < limit; ++i) {
    const Seen seen = look_at(in_limit(first + i), &liveness);
    if (seen == Seen::no_room) {
      all_have_slots = false;
      continue;
    }
    if (seen != Seen::out) return seen;
    if (soonest.retry_after_ns == 0 || verdict_.retry_after_ns < soonest.retry_after_ns) {
      soonest = verdict_;
      soonest_index = index_;
    }
  }
  verdict_ = soonest;
  index_ = soonest_index;
  if (!all_have_slots) return Seen::no_room;
  return say_all_are_out(mark, began_ns, verdict_.retry_after_ns);
}

/// The same while more may be out than the limit has: a permit is taken when fewer are.
[[gnu::noinline]] PermitTaker::Seen PermitTaker::try_counted() noexcept {
  const HintWord mark = mark_hint();
  if (has_changed_) return Seen::again;
  if (mark.mark == HintWord::saturated && is_still_out(mark.index)) return Seen::out;
  const std::uint64_t began_ns = view_.clock.now();
  shm::Liveness liveness(view_.participant);
  const PermitsSeen seen = count_if_above(permits_.limit - 1, liveness);
  if (!seen.is_told) return Seen::no_time;
  return seen.out < permits_.limit ? take_counted(liveness) : deny(seen, mark, began_ns);
}

/// One that the limit has is free, unless somebody was faster.
PermitTaker::Seen PermitTaker::take_counted(shm::Liveness& liveness) noexcept {
  const auto limit = static_cast<std::uint32_t>(permits_.limit);
  const std::uint32_t first = first_index();
  bool all_have_slots = true;
  for (std::uint32_t i = 0; i < limit; ++i) {
    const Seen seen = look_at(in_limit(first + i), &liveness);
    if (seen != Seen::out && seen != Seen::no_room) return seen;
    if (seen == Seen::no_room) all_have_slots = false;
  }
  return all_have_slots ? Seen::again : Seen::no_room;
}

/// Counts what is out, of all that the limits so far had; the kernel is asked who is dead when it
/// seems to be more than enough.
PermitsSeen PermitTaker::count_if_above(std::uint64_t enough, shm::Liveness& liveness) noexcept {
  const auto most = static_cast<std::uint32_t>(permits_.most);
  PermitCount count(binding_, hash_);
  const PermitsSeen seen = count(0, most, nullptr);
  return seen.out <= enough ? seen : count(0, most, &liveness);
}

/// Looks at one permit, and does not take it.
bool PermitTaker::is_still_out(std::uint32_t index) noexcept {
  const PermitsSeen seen = PermitCount(binding_, hash_)(index, index + 1, nullptr);
  verdict_ = {};
  verdict_.retry_after_ns = verdict_.reset_after_ns = seen.first_left_ns;
  index_ = index;
  return seen.out != 0;
}

/// Only by a count of the limit in force: what a limit that was raised meanwhile has given may be in
/// it, while never all were out. The links are read after the permits' words (acquire: slot.hpp), and
/// a permit is given under a limit only after that is in force; so then we see that it is.
PermitTaker::Seen PermitTaker::deny(const PermitsSeen& seen, const HintWord& mark,
                                    std::uint64_t began_ns) noexcept {
  if (!is_in_force()) return Seen::again;
  verdict_ = {};
  verdict_.retry_after_ns = seen.wait_ns(permits_.limit);
  verdict_.reset_after_ns = seen.last_left_ns;
  index_ = seen.awaited(permits_.limit);
  if (hint_slot_ == view_.table.kNowhere) return Seen::no_room;
  return say_all_are_out(mark, began_ns, seen.first_left_ns);
}

/// Ends the look at all permits: none was given back since the mark, or look again.
PermitTaker::Seen PermitTaker::say_all_are_out(const HintWord& mark, std::uint64_t began_ns,
                                               std::uint64_t first_left_ns) noexcept {
  const std::uint64_t said = saturated(mark, index_, began_ns, first_left_ns).state();
  bool holds = false;
  const auto say = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const bool is_ours = policy == at_.id && state == mark.state();
    // Another who looked since the same mark may have been faster; then it holds as well.
    const HintWord now = HintWord::of(state);
    holds = is_ours || (policy == at_.id && now.mark == HintWord::saturated &&
                        now.checked == mark.checked && now.releases == mark.releases);
    return shm::Transition{is_ours ? shm::Transition::store : shm::Transition::keep, policy,
                           is_ours ? said : state};
  };
  const bool decided = view_.table.step_member(hash_of_hint(hash_), say);
  return decided && holds ? Seen::out : Seen::again;
}

/// Gives back what was just taken.
void PermitTaker::give_back() noexcept {
  (void)rl::give_back({&view_, slot_index_, {tag_, verdict_.state}}, hash_, index_);
}

/// One that only watches denies nobody for want of room either.
Decision PermitTaker::decision_without_room() const noexcept {
  Decision decision = decision_without_slot(binding_, key_, shm::Update::full);
  decision.policy = at_.id;
  decision.limit = permits_.limit;
  if (!at_.policy->limit.shadow()) return decision;
  decision.allowed = true;
  decision.reason = Reason::shadow;
  return decision;
}

/// Looks at the clock again: one that was stopped since it last did may have slept through the
/// lease.
[[gnu::always_inline]] inline bool PermitTaker::still_runs() noexcept {
  const std::uint64_t now = view_.clock.now();
  if (now == shm::Clock::kNoTime) return false;
  const std::uint64_t left = lease_left_ns(permits_, PermitWord::of(verdict_.state), now);
  lease_end_ns_ = std::min(now, kTimeMax) + left;
  const std::uint32_t next = in_limit(index_ + 1);
  if (left != 0) core_.begin_at_permit(hash_of_hint(hash_).identity, next);
  return left != 0;
}

/// The second look: what was taken is kept if the limit is still in force, has room for it, and its
/// lease runs.
[[gnu::always_inline]] inline PermitTaker::Seen PermitTaker::keep() noexcept {
  if ((is_lowered_ && is_one_too_many()) || !is_in_force()) [[unlikely]] {
    give_back();
    return Seen::again;
  }
  if (!still_runs()) return Seen::again;
  (void)count(view_, slot_index_, shm::identity_of(tag_), at_.id, at_.policy->limit, true);
  return Seen::taken;
}

[[gnu::noinline]] bool PermitTaker::is_one_too_many() noexcept {
  shm::Liveness liveness(view_.participant);
  const PermitsSeen seen = count_if_above(permits_.limit, liveness);
  return !seen.is_told || seen.out > permits_.limit;
}

[[gnu::always_inline]] inline Decision PermitTaker::decision() const noexcept {
  Decision decision =
      decision_of(verdict_, at_.id, at_.policy->limit, permits_.limit, 1, view_.clock);
  decision.charged = 0;  // nothing that a refund gives back
  return decision;
}

/// Counts a denial, and tells it.
[[gnu::noinline]] Decision PermitTaker::denied() noexcept {
  const Limit& limit = at_.policy->limit;
  const bool is_to_be_told =
      hint_slot_ != view_.table.kNowhere
          ? count(view_, hint_slot_, hash_of_hint(hash_).identity, at_.id, limit, false)
          : count_total(view_, at_.id, limit, false);
  const Decision told = decision();
  return is_to_be_told ? noted(view_, EventKind::denied, key_, told) : told;
}

Decision PermitTaker::take() noexcept {
  for (int tries = 0; tries < kTriesMax; ++tries) {
    if (!come_to_limit()) return {.reason = Reason::unavailable, .policy = binding_.id};
    if (!std::holds_alternative<Concurrency>(at_.policy->parameters))
      return decision_without_permits(*at_.policy, at_.id, view_.clock);
    Seen seen = is_lowered_ ? try_counted() : try_once();
    if (seen == Seen::taken) seen = keep();
    if (seen == Seen::no_time) return {.reason = Reason::unavailable, .policy = at_.id};
    if (seen == Seen::no_room) return decision_without_room();
    has_taken_ = seen == Seen::taken;
    if (has_taken_) return decision();
    if (seen == Seen::out) return denied();
  }
  // Each time all were out, and one was given back before we could say so, and taken by somebody
  // else. relaxed: a count for people.
  view_.mapping.header().health.gave_up.fetch_add(1, std::memory_order_relaxed);
  if (verdict_.retry_after_ns == 0) verdict_.retry_after_ns = kTickNs;
  verdict_.allowed = false;
  return denied();
}

}  // namespace rl
