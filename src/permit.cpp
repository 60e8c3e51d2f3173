/// \file
/// Holding a permit, and giving it back. The rules stand at the head of src/permits.cpp.
#include <rl/permit.hpp>

#include <algorithm>
#include <utility>

#include "src/decide.hpp"
#include "src/held_permit.hpp"

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
  if (core_ != nullptr) (void)end(false);
}

/// A forked child has the object, but not the permit.
bool Permit::is_ours() const noexcept {
  return core_ != nullptr && process_ == shm::process_token();
}

/// Where the permit is now: in another view, `moved` says where.
const Permit::Place& Permit::place_now(Place& moved) const noexcept {
  if (core_->binding().view == place_.view) [[likely]]
    return place_;
  find_moved(moved);
  return moved;
}

/// When the segment was removed under us and made anew from its contents, the permit came along, held
/// by somebody who cannot be asked; in a new segment of its own it is nowhere.
[[gnu::noinline]] void Permit::find_moved(Place& moved) const noexcept {
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  const auto hash = hash_of_permit(binding.hasher, {key_[0], key_[1]}, index_);
  moved = {&view, view.table.find(hash), shm::make_tag(hash.identity, binding.id),
           copied(PermitWord::of(place_.state)).state()};
}

bool Permit::is_at(const Place& place) const noexcept {
  const HeldPermit held{place.view, place.slot_index, {place.tag, place.state}};
  const auto& table = place.view->table;
  if (place.slot_index == table.kNowhere) return false;
  return PermitJudge(held)(table.settled(table.slot(place.slot_index))).is_out;
}

/// Whether whoever asks is let through, permit or not.
bool Permit::all_pass(const Place& place) noexcept {
  return !is_limited(*place.view, shm::policy_of(place.tag));
}

/// Returns whether it was held, if that `is_asked`.
bool Permit::give_back(const Place& place, bool is_asked) const noexcept {
  const shm::Hash128 key{key_[0], key_[1]};
  const std::optional<bool> was_out = give_back_at_once(
      core_->binding(), {place.view, place.slot_index, {place.tag, place.state}}, is_asked);
  if (!was_out) [[unlikely]] {
    const HeldPermit held{place.view, place.slot_index, {place.tag, place.state}};
    return rl::give_back(held, key, index_).is_out;
  }
  clear_hint(*place.view, key, index_);
  return *was_out;
}

bool Permit::release() noexcept {
  return end(true);
}

/// Gives the permit back, if there is one. Returns whether it was held, if that `is_asked`.
bool Permit::end(bool is_asked) noexcept {
  if (!is_ours()) [[unlikely]] {
    core_.reset();
    return false;
  }
  if (stands_for_none()) [[unlikely]] {
    core_.reset();
    return true;
  }
  Place there{};
  const bool has_moved = core_->binding().view != place_.view;
  const Place& now = has_moved ? place_now(there) : place_;
  const bool held = give_back(now, is_asked) || (is_asked && all_pass(now));
  // Those who have not noticed yet that the segment was made anew look for it in the old one. And
  // it may have been made anew just now, by us or by others: then the permit came along before it
  // was given back.
  if (now.view != place_.view) [[unlikely]]
    (void)give_back(place_, false);
  // acquire: pairs with the store that retires a segment; its successor is there by then.
  if (now.view->mapping.header().retired.load(std::memory_order_acquire) != 0) [[unlikely]]
    core_->follow();
  Place elsewhere{};
  if (core_->binding().view != now.view) [[unlikely]]
    (void)give_back(place_now(elsewhere), false);
  core_->begin_at_permit(hash_of_hint({key_[0], key_[1]}).identity, index_);
  core_.reset();
  return held;
}

bool Permit::renew() noexcept {
  if (!is_ours()) return false;
  if (stands_for_none()) return true;
  Place there{};
  const Place now = place_now(there);
  if (!renew_at(now)) return all_pass(now);
  // The clock looks around, and may have moved us over meanwhile: the lease that counts is there.
  const Place moved = place_now(there);
  return moved.view == place_.view || renew_at(moved) || all_pass(moved);
}

/// Not one that a lowered limit does not have: so the lowering is complete within a lease. Nor when
/// the old lease is over by the time it is done: who counted meanwhile took it for given back.
bool Permit::renew_at(const Place& now) noexcept {
  HeldPermit held{now.view, now.slot_index, {now.tag, now.state}};
  bool begins = false;
  const auto begin = [&](const PermitNow& was, const PermitWord& word) noexcept {
    begins = was.is_out && index_ < was.permits.limit;
    return begins ? std::optional(renewed(was.permits, word, was.now_ns)) : std::nullopt;
  };
  const PermitNow was = replace(held, begin);
  if (!was.is_same || !begins) return false;
  place_ = {now.view, now.slot_index, held.words.tag, held.words.state};
  const std::uint64_t now_ns = now.view->clock.now();
  if (now_ns == shm::Clock::kNoTime || !is_out(was.permits, PermitWord::of(now.state), now_ns)) {
    (void)give_back(place_, false);
    return false;
  }
  const std::uint64_t left = lease_left_ns(was.permits, PermitWord::of(place_.state), now_ns);
  lease_end_ = Instant(to_nanoseconds(std::min(now_ns, kTimeMax) + left));
  return true;
}

bool Permit::holds() const noexcept {
  if (!is_ours() || stands_for_none()) return is_ours();
  Place there{};
  const Place& now = place_now(there);
  return is_at(now) || all_pass(now);
}

/// Drawn while the permit is held, as the second look shows: so before any later holder's.
std::uint64_t Permit::fence() noexcept {
  Place there{};
  if (!is_ours() || stands_for_none() || !is_at(place_now(there))) return 0;
  const Binding& binding = core_->binding();
  View& view = *binding.view;
  if (view.stand_in != nullptr) return 0;  // no number of ours is above those of others
  CallRules<OwnTime, DrawFence> rules(binding, OwnTime{&view.clock}, {});
  const shm::Update update =
      view.table.update(hash_of_fence(binding.hasher, {key_[0], key_[1]}), rules);
  const bool drawn = update.outcome == shm::Update::decided && rules.verdict().allowed;
  return drawn && is_at(place_now(there)) ? fence_of(rules.verdict().state) : 0;
}

}  // namespace rl
