/// \file
/// The first looks of a call that wants a permit: where most permits and hints are, at home and under
/// the limit that was in force when this process last looked. One that is not enough has changed
/// nothing; the call goes on as src/permits.cpp says.
#pragma once

#include "src/permit_taker.hpp"

namespace rl {

/// Without a division where none is needed.
inline std::uint32_t PermitTaker::in_limit(std::uint32_t index) const noexcept {
  const auto limit = static_cast<std::uint32_t>(permits_.limit);
  return index < limit ? index : index % limit;
}

/// Processes begin apart, each at a place of its own.
inline std::uint32_t PermitTaker::first_index() const noexcept {
  const auto first = core_.first_permit(hash_of_hint(hash_).identity);
  return in_limit(first.value_or(sitter_.seat));
}

[[gnu::always_inline]] inline void PermitTaker::note_look(std::uint32_t index,
                                                          std::uint64_t slot_index,
                                                          std::uint64_t tag, const Verdict& verdict,
                                                          bool reclaims) noexcept {
  verdict_ = verdict;
  if (reclaims) [[unlikely]]
    note_reclaimed();
  index_ = index;
  slot_index_ = slot_index;
  tag_ = tag;
}

/// The first look at a permit, in its home line, under the limit in force: one reading of the clock,
/// one compare-and-swap; and only if something `is_true` as of that reading. Elsewhere: nothing has
/// changed.
template <class IsTrue>
[[gnu::always_inline]] inline PermitTaker::Seen PermitTaker::look_at_home(
    std::uint32_t index, const shm::KeyHash& hash, const IsTrue& is_true) noexcept {
  const std::uint64_t tag = shm::make_tag(hash.identity, binding_.id);
  const auto seen = view_.table.look_at_home(hash, tag);
  if (seen.words.tag != tag) return Seen::elsewhere;
  TakePermit take{sitter_, view_.participant, nullptr};
  Verdict verdict{};
  const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const std::uint64_t now = view_.clock.now();
    if (now == shm::Clock::kNoTime || !is_true(now) || !binding_.stands_alone()) [[unlikely]]
      return shm::Transition{shm::Transition::pass, policy, state};
    verdict = take.act(permits_, state, now);
    return shm::Transition{verdict.allowed ? shm::Transition::store : shm::Transition::keep, policy,
                           verdict.state};
  };
  if (!view_.table.try_step(seen, step)) [[unlikely]] {
    if (verdict.allowed) count_rival(view_);
    return Seen::elsewhere;
  }
  note_look(index, view_.table.index_of(*seen.cell), tag, verdict, take.reclaims);
  return verdict.allowed ? Seen::taken : Seen::out;
}

/// What most denials are, and the first thing that a call does, as only the hint spares it the look
/// at a permit of its own: the hint says that all are out, and so is the permit that it names. The
/// hint was true when it was read, as it is believed by a clock that was read later. Two readings
/// agree: what it said was really there. The permit that it names is taken, if it may be.
[[gnu::always_inline]] inline PermitTaker::Seen PermitTaker::look_by_hint() noexcept {
  const auto& table = view_.table;
  const shm::KeyHash hash = hash_of_hint(hash_);
  const std::uint64_t tag = shm::make_tag(hash.identity, binding_.id);
  const auto seen = table.look_at_home(hash, tag);
  const HintWord hint = HintWord::of(seen.words.state);
  if (seen.words.tag != tag || hint.mark != HintWord::saturated) return Seen::elsewhere;
  hint_slot_ = table.index_of(*seen.cell);
  return look_at_hinted(hint, seen.words);
}

}  // namespace rl
