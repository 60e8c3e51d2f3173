/// \file
/// Holding a permit, and giving it back. The rules stand at the head of src/permits.cpp.
#include <rl/permit.hpp>

#include <algorithm>
#include <utility>

#include "src/decide.hpp"
#include "src/permit_slots.hpp"

namespace rl {

Permit::Permit(Permit&& other) noexcept = default;

Permit& Permit::operator=(Permit&& other) noexcept {
  if (this == &other) return *this;
  (void)release();
  core_ = std::move(other.core_);
  decision_ = other.decision_;
  place_ = other.place_;
  key_[0] = other.key_[0];
  key_[1] = other.key_[1];
  index_ = other.index_;
  lease_end_ = other.lease_end_;
  process_ = other.process_;
  return *this;
}

Permit::~Permit() {
  (void)release();
}

/// A forked child has the object, but not the permit.
bool Permit::is_ours() const noexcept {
  return core_ != nullptr && process_ == shm::process_token();
}

/// Where the permit is now. When the segment was removed under us and made anew from its contents,
/// it came along, held by somebody who cannot be asked; in a new segment of its own it is nowhere.
Permit::Place Permit::place_now() const noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (&view == place_.view) return place_;
  const auto hash = hash_of_permit(binding.hasher, {key_[0], key_[1]}, index_);
  return {&view, view.table.find(hash), shm::make_tag(hash.identity, binding.id),
          copied(PermitWord::of(place_.state)).state()};
}

/// Holds a permit that no slot knows of, as of now, on a view where all calls pass.
void Permit::hold_uncounted(View& view) noexcept {
  const Binding& binding = core_->binding();
  const auto lease = is_asked_for_permits(binding) ? binding.policy.limit.lease() : kUsualLease;
  place_ = {&view, view.table.kNowhere, 0, 0};
  lease_end_ = Instant(to_nanoseconds(std::min(view.clock.now(), kTimeMax))) + lease;
  process_ = shm::process_token();
}

bool Permit::renew_uncounted_at(const Place& now) noexcept {
  const bool is_held = is_uncounted_at(now);
  if (is_held) hold_uncounted(*now.view);
  return is_held;
}

/// Whether the permit is such a one, and its lease runs. It is lost when the segment is there.
bool Permit::is_uncounted_at(const Place& place) const noexcept {
  const View& view = *place.view;
  const bool is_such = place.slot_index == view.table.kNowhere && view.stand_in != nullptr &&
                       view.stand_in->allows();
  return is_such && to_ns(lease_end_) > view.clock.now();
}

bool Permit::is_at(const Place& place) const noexcept {
  const View& view = *place.view;
  if (place.slot_index == view.table.kNowhere) return is_uncounted_at(place);
  const auto* const permits = std::get_if<Concurrency>(&core_->binding().policy.parameters);
  const std::uint64_t now = view.clock.now();
  const shm::SlotWords words = view.table.settled(view.table.slot(place.slot_index));
  return permits != nullptr && now != shm::Clock::kNoTime &&
         words == shm::SlotWords{place.tag, place.state} &&
         is_out(*permits, PermitWord::of(place.state), now);
}

namespace {

/// Replaces the words of a permit, if they are still those that its holder wrote.
bool replace(const View& view, std::uint64_t slot_index, std::uint64_t tag, std::uint64_t from,
             std::uint64_t to) noexcept {
  if (slot_index == view.table.kNowhere) return false;
  bool is_same = false;
  const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    is_same = state == from;
    return shm::Transition{is_same ? shm::Transition::store : shm::Transition::keep, policy, to};
  };
  return view.table.try_step(slot_index, tag, step) && is_same;
}

/// Tells those who are denied that they need not be any more. After the permit was given back: see
/// src/permits.cpp.
void clear_hint(const View& view, shm::Hash128 key, std::uint32_t index,
                std::uint16_t our_policy) noexcept {
  const auto clear = [&](std::uint16_t policy, std::uint64_t state) noexcept {
    const HintWord hint = HintWord::of(state);
    const bool must = policy == our_policy && hint.mark != HintWord::clear;
    return shm::Transition{must ? shm::Transition::store : shm::Transition::keep, policy,
                           must ? cleared(hint, index).state() : state};
  };
  (void)view.table.step_member(hash_of_hint(key), clear);
}

}  // namespace

bool Permit::give_back(const Place& place) const noexcept {
  const std::uint64_t back = given_back(PermitWord::of(place.state)).state();
  if (!replace(*place.view, place.slot_index, place.tag, place.state, back))
    return is_uncounted_at(place);
  clear_hint(*place.view, {key_[0], key_[1]}, index_, shm::policy_of(place.tag));
  return true;
}

bool Permit::release() noexcept {
  if (!is_ours()) {
    core_.reset();
    return false;
  }
  const Place now = place_now();
  const bool held = is_at(now);
  const bool given = give_back(now);
  // Those who have not noticed yet that the segment was made anew look for it in the old one. And
  // it may have been made anew just now, by us or by others: then the permit came along before it
  // was given back.
  if (now.view != place_.view) (void)give_back(place_);
  // acquire: pairs with the store that retires a segment; its successor is there by then.
  if (now.view->mapping.header().retired.load(std::memory_order_acquire) != 0) core_->follow();
  if (const Place moved = place_now(); moved.view != now.view) (void)give_back(moved);
  core_->begin_at_permit(hash_of_hint({key_[0], key_[1]}).identity, index_);
  core_.reset();
  return held && given;
}

bool Permit::renew() noexcept {
  if (!is_ours() || !renew_at(place_now())) return false;
  // The clock looks around, and may have moved us over meanwhile: the lease that counts is there.
  const Place moved = place_now();
  return moved.view == place_.view || renew_at(moved);
}

bool Permit::renew_at(const Place& now) noexcept {
  const auto* const permits = std::get_if<Concurrency>(&core_->binding().policy.parameters);
  if (permits == nullptr || !is_at(now)) return renew_uncounted_at(now);
  const std::uint64_t began_ns = now.view->clock.now();
  if (began_ns == shm::Clock::kNoTime) return false;
  Place longer = now;
  longer.state = renewed(*permits, PermitWord::of(now.state), began_ns).state();
  if (!replace(*now.view, now.slot_index, now.tag, now.state, longer.state))
    return renew_uncounted_at(now);
  place_ = longer;
  // Stopped since we looked at the clock, it may be over before it was told.
  const std::uint64_t now_ns = now.view->clock.now();
  if (now_ns == shm::Clock::kNoTime) return false;
  const std::uint64_t left = lease_left_ns(*permits, PermitWord::of(longer.state), now_ns);
  if (left != 0) lease_end_ = Instant(to_nanoseconds(std::min(now_ns, kTimeMax) + left));
  return left != 0;
}

bool Permit::holds() const noexcept {
  return is_ours() && is_at(place_now());
}

/// Drawn while the permit is held, as the second look shows: so before any later holder's.
std::uint64_t Permit::fence() noexcept {
  if (!holds()) return 0;
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (view.stand_in != nullptr) return 0;  // no number of ours is above those of others
  CallRules<OwnTime, DrawFence> rules(binding, OwnTime{&view.clock}, {});
  const shm::Update update =
      view.table.update(hash_of_fence(binding.hasher, {key_[0], key_[1]}), rules);
  const bool drawn = update.outcome == shm::Update::decided && rules.verdict().allowed;
  return drawn && holds() ? fence_of(rules.verdict().state) : 0;
}

}  // namespace rl
