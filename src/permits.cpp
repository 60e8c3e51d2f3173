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
/// Within that a denial is a look at the hint and at two permits. That no mark ever comes back with
/// another meaning, so that 3 cannot succeed wrongly, stands at is_recent (src/permit_words.hpp).
///
/// A limit cannot be lowered yet. One that can, to m, needs a second look after each take (between
/// look_at and still_runs): permit i < m is kept only if no more than m are out (permits.pml has
/// it).
#include "src/permit_slots.hpp"

#include <rl/limiter.hpp>
#include <rl/permit.hpp>

#include "src/decide.hpp"

namespace rl {
namespace {

/// One call's way to a permit.
class Taker {
 public:
  Taker(LimiterCore& core, const Binding& binding, const shm::Sitter& sitter, std::string_view key)
      : core_(core),
        binding_(binding),
        view_(*binding.view),
        permits_(std::get<Concurrency>(binding.policy.parameters)),
        sitter_(sitter),
        key_(key),
        hash_(binding.hasher(key.data(), key.size())) {}

  Decision take() noexcept;

  [[nodiscard]] shm::Hash128 hash() const noexcept { return hash_; }
  [[nodiscard]] std::uint32_t index() const noexcept { return index_; }
  [[nodiscard]] std::uint64_t slot_index() const noexcept { return slot_index_; }
  [[nodiscard]] std::uint64_t tag() const noexcept { return tag_; }
  [[nodiscard]] std::uint64_t state() const noexcept { return verdict_.state; }
  [[nodiscard]] std::uint64_t lease_end_ns() const noexcept { return lease_end_ns_; }

 private:
  /// How a look at one permit, or at all, has ended.
  enum class Seen { taken, out, again, no_room, no_time };

  /// Each try but the first means that a permit was given back while we looked, and that somebody
  /// else got it; or that we slept through a lease. Past that the call is told that it gave up.
  static constexpr int kTriesMax = 16;

  Seen try_once() noexcept;
  Seen look_at(std::uint32_t index, shm::Liveness* liveness) noexcept;
  Seen look_at_all(const HintWord& mark) noexcept;
  HintWord mark_hint() noexcept;
  Seen say_all_are_out(const HintWord& mark, std::uint64_t began_ns) noexcept;
  [[nodiscard]] bool still_runs() noexcept;
  [[nodiscard]] Decision decision() const noexcept;
  [[nodiscard]] std::uint32_t first_index() const noexcept;

  LimiterCore& core_;
  const Binding& binding_;
  View& view_;
  const Concurrency& permits_;
  const shm::Sitter sitter_;
  const std::string_view key_;
  const shm::Hash128 hash_;

  // Of the permit that was looked at last; of all, the one whose lease ends first.
  std::uint32_t index_ = 0;
  std::uint64_t slot_index_ = 0;
  std::uint64_t tag_ = 0;
  std::uint64_t lease_end_ns_ = 0;
  Verdict verdict_{};
  std::uint64_t hint_slot_ = 0;  ///< kNowhere when the table had no room for a hint
};

Decision Taker::take() noexcept {
  for (int tries = 0; tries < kTriesMax; ++tries) {
    const Seen seen = try_once();
    if (seen == Seen::no_time) return {.reason = Reason::unavailable, .policy = binding_.id};
    if (seen == Seen::no_room) return decision_without_slot(binding_, shm::Update::full);
    if (seen == Seen::taken && still_runs()) return decision();
    if (seen == Seen::out) {
      count(view_, hint_slot_, hash_of_hint(hash_).identity, false);
      return decision();
    }
  }
  // Each time all were out, and one was given back before we could say so, and taken by somebody
  // else. relaxed: a count for people.
  view_.mapping.header().health.gave_up.fetch_add(1, std::memory_order_relaxed);
  if (verdict_.retry_after_ns == 0) verdict_.retry_after_ns = kTickNs;
  verdict_.allowed = false;
  return decision();
}

Taker::Seen Taker::try_once() noexcept {
  const Seen first = look_at(first_index(), nullptr);
  if (first == Seen::taken || first == Seen::no_time) return first;
  const HintWord hint = mark_hint();
  // The one whose lease ends first, to say when; or that was given back last. It may be free by
  // now.
  const Seen hinted = look_at(static_cast<std::uint32_t>(hint.index % permits_.limit), nullptr);
  if (hinted == Seen::taken || hinted == Seen::no_time || hint.mark == HintWord::saturated)
    return hinted;
  return look_at_all(hint);
}

/// Takes a permit, if it may be taken.
Taker::Seen Taker::look_at(std::uint32_t index, shm::Liveness* liveness) noexcept {
  const shm::KeyHash hash = hash_of_permit(binding_.hasher, hash_, index);
  CallRules<OwnTime, TakePermit> rules(binding_, OwnTime{&view_.clock},
                                       {sitter_, view_.participant, liveness});
  const shm::Update update = apply(binding_, key_, hash, rules);
  if (rules.is_unavailable()) return Seen::no_time;
  if (update.outcome != shm::Update::decided) return Seen::no_room;
  verdict_ = rules.verdict();
  index_ = index;
  if (!verdict_.allowed) return Seen::out;
  slot_index_ = update.slot_index;
  tag_ = shm::make_tag(hash.identity, rules.decided_by());
  count(view_, slot_index_, hash.identity, true);
  return Seen::taken;
}

/// Returns the hint as it stands for this look: saturated, or checking.
HintWord Taker::mark_hint() noexcept {
  const shm::KeyHash hash = hash_of_hint(hash_);
  CallRules<OwnTime, MarkHint> rules(binding_, OwnTime{&view_.clock}, {});
  const shm::Update update = apply(binding_, key_, hash, rules);
  hint_slot_ = view_.table.kNowhere;
  const bool has_slot = update.outcome == shm::Update::decided && update.has_slot;
  // Under another policy, by bytes gone wrong, it is nobody's hint.
  const bool is_ours = rules.decided_by() == binding_.id;
  if (!has_slot || !is_ours || rules.is_unavailable()) return {};
  const HintWord hint = HintWord::of(rules.verdict().state);
  hint_slot_ = update.slot_index;
  return hint;
}

/// Looks at the permits in turn, and asks the kernel whose holders are dead.
Taker::Seen Taker::look_at_all(const HintWord& mark) noexcept {
  const auto limit = static_cast<std::uint32_t>(permits_.limit);
  const std::uint32_t first = first_index();
  const std::uint64_t began_ns = view_.clock.now();
  shm::Liveness liveness(view_.participant);
  Verdict soonest{};
  std::uint32_t soonest_index = first;
  bool all_have_slots = hint_slot_ != view_.table.kNowhere;
  for (std::uint32_t i = 0; i < limit; ++i) {
    const Seen seen = look_at((first + i) % limit, &liveness);
    if (seen == Seen::taken || seen == Seen::no_time) return seen;
    if (seen == Seen::no_room) all_have_slots = false;
    if (seen != Seen::out) continue;
    if (soonest.retry_after_ns == 0 || verdict_.retry_after_ns < soonest.retry_after_ns) {
      soonest = verdict_;
      soonest_index = index_;
    }
  }
  verdict_ = soonest;
  index_ = soonest_index;
  if (!all_have_slots) return Seen::no_room;
  return say_all_are_out(mark, began_ns);
}

/// Ends the look at all permits: none was given back since the mark, or look again.
Taker::Seen Taker::say_all_are_out(const HintWord& mark, std::uint64_t began_ns) noexcept {
  const std::uint64_t said = saturated(mark, index_, began_ns, verdict_.retry_after_ns).state();
  bool holds = false;
  const auto say = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const bool is_ours = policy == binding_.id && state == mark.state();
    // Another who looked since the same mark may have been faster; then it holds as well.
    const HintWord now = HintWord::of(state);
    holds = is_ours || (policy == binding_.id && now.mark == HintWord::saturated &&
                        now.checked == mark.checked && now.releases == mark.releases);
    return shm::Transition{is_ours ? shm::Transition::store : shm::Transition::keep, policy,
                           is_ours ? said : state};
  };
  const bool decided = view_.table.step_member(hash_of_hint(hash_), say);
  return decided && holds ? Seen::out : Seen::again;
}

/// Looks at the clock again: one that was stopped since it last did may have slept through the
/// lease.
bool Taker::still_runs() noexcept {
  const std::uint64_t now = view_.clock.now();
  if (now == shm::Clock::kNoTime) return false;
  const std::uint64_t left = lease_left_ns(permits_, PermitWord::of(verdict_.state), now);
  lease_end_ns_ = std::min(now, kTimeMax) + left;
  const auto next = static_cast<std::uint32_t>((index_ + 1) % permits_.limit);
  if (left != 0) core_.begin_at_permit(hash_of_hint(hash_).identity, next);
  return left != 0;
}

Decision Taker::decision() const noexcept {
  Decision decision =
      decision_of(verdict_, binding_.id, binding_.policy.limit, permits_.limit, 1, view_.clock);
  decision.charged = 0;  // nothing that a refund gives back
  return decision;
}

/// Processes begin apart, each at a place of its own.
std::uint32_t Taker::first_index() const noexcept {
  const auto first = core_.first_permit(hash_of_hint(hash_).identity);
  return static_cast<std::uint32_t>(first.value_or(sitter_.seat) % permits_.limit);
}

}  // namespace

Permit Limiter::permit(std::string_view key) noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (!is_asked_for_permits(binding)) return Permit({.reason = Reason::invalid});
  if (key.empty() || !view.decides.load(std::memory_order_relaxed))
    return Permit(refused(view, key, 1));
  // Who has no seat cannot be asked whether he lives.
  const std::optional<shm::Sitter> sitter = view.participant.sitter();
  if (!sitter) return Permit({.reason = Reason::unavailable, .policy = binding.id});

  Taker taker(*core_, binding, *sitter, key);
  Permit permit(taker.take());
  if (!permit.decision_.allowed) return permit;
  permit.core_ = core_;
  permit.place_ = {&view, taker.slot_index(), taker.tag(), taker.state()};
  permit.key_[0] = taker.hash().low;
  permit.key_[1] = taker.hash().high;
  permit.index_ = taker.index();
  permit.lease_end_ = Instant(to_nanoseconds(taker.lease_end_ns()));
  permit.process_ = shm::process_token();
  return permit;
}

Decision Limiter::peek_permit(std::string_view key) const noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (key.empty() || !is_asked_for_permits(binding)) return {.reason = Reason::invalid};
  if (view.forsaken.load(std::memory_order_relaxed)) return refused(view, key, 1);
  const auto& permits = std::get<Concurrency>(binding.policy.parameters);
  const shm::Hash128 hash = binding.hasher(key.data(), key.size());
  std::uint64_t first_ns = permits.lease_ns + kHealSlackNs;
  Verdict verdict{};
  for (std::uint32_t i = 0; i < permits.limit; ++i) {
    const shm::KeyHash permit = hash_of_permit(binding.hasher, hash, i);
    const PermitWord word = PermitWord::of(view.table.read(permit).state);
    const std::uint64_t now = view.clock.now();  // after the words, as for any decision
    if (now == shm::Clock::kNoTime) return {.reason = Reason::unavailable, .policy = binding.id};
    const std::uint64_t left = lease_left_ns(permits, word, now);
    if (left == 0 || view.participant.has_successor(sitter_of(word))) {
      ++verdict.remaining;
    } else {
      verdict.reset_after_ns = std::max(verdict.reset_after_ns, left);
      first_ns = std::min(first_ns, left);
    }
  }
  verdict.allowed = verdict.remaining != 0;
  verdict.retry_after_ns = verdict.allowed ? 0 : first_ns;
  Decision seen =
      decision_of(verdict, binding.id, binding.policy.limit, permits.limit, 1, view.clock);
  seen.charged = 0;
  return seen;
}

}  // namespace rl
