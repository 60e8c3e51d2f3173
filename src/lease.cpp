/// \file
/// Leases of a hot key: see include/rl/lease.hpp.
///
/// A lease is a decision and a count in private memory: it is taken by one compare-and-swap like any
/// call's, of a larger cost, and given back by a refund. The table knows nothing of it. Its bound, in
/// any window from s to e:
///
///     charged, less what is given back    <= A(e - s), and what is given back of leases from before s,
///         of leases taken in it              as a refund never takes more off than was charged
///     of a lease from before s            spent and given back after s is tokens - 1 at most, as the
///                                         call that took it spent one; and a holder has one at s
///
/// So what is admitted is at most A(e - s) + holders x (tokens - 1), whatever is given back, and when.
/// Where nothing is, it is also at most A(e - s + length), as all that is spent was charged less than
/// `length` before. With refunds it need not be: the charge of a later lease counts as owed what an
/// earlier one, below it, has given back already.
#include <rl/lease.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include <rl/error.hpp>

#include "src/decide.hpp"

namespace rl {

TokenLease::TokenLease(Limiter limiter, std::string_view key, std::uint64_t tokens,
                       std::chrono::nanoseconds length)
    : limiter_(std::move(limiter)),
      key_(key),
      tokens_(tokens),
      length_ns_(static_cast<std::uint64_t>(length.count())) {
  if (!key.empty() && tokens != 0 && length.count() > 0) return;
  throw Error(
      Errc::bad_option,
      fmt::format("a lease of {} tokens for {} ns, of a key of {} bytes; give at least 1 of each",
                  tokens, length.count(), key.size()));
}

TokenLease::TokenLease(TokenLease&& other) noexcept
    : limiter_(other.limiter_),
      key_(std::move(other.key_)),
      tokens_(other.tokens_),
      length_ns_(other.length_ns_),
      left_(std::exchange(other.left_, 0)),
      taken_(other.taken_),
      taken_ns_(other.taken_ns_),
      view_(other.view_),
      process_(other.process_) {
  other.key_.clear();
}

TokenLease& TokenLease::operator=(TokenLease&& other) noexcept {
  if (this == &other) return *this;
  (void)give_back();
  limiter_ = other.limiter_;
  key_ = std::move(other.key_);
  other.key_.clear();
  tokens_ = other.tokens_;
  length_ns_ = other.length_ns_;
  left_ = std::exchange(other.left_, 0);
  taken_ = other.taken_;
  taken_ns_ = other.taken_ns_;
  view_ = other.view_;
  process_ = other.process_;
  return *this;
}

TokenLease::~TokenLease() {
  (void)give_back();
}

Decision TokenLease::try_acquire(std::uint64_t cost) noexcept {
  if (cost > left_ || cost == 0) return take(cost);
  // The same segment, in the process that took it: policies and clocks of others are not ours.
  View& view = *limiter_.core_->binding().view;
  if (&view != view_ || process_ != shm::process_token()) [[unlikely]]
    return take(cost);
  const std::uint64_t now = view.clock.now();
  if (!lasts_until(now)) [[unlikely]]
    return take(cost);
  left_ -= cost;
  view.stripes.add(taken_.policy, shm::PolicyTally::allowed);
  return told(cost, now);
}

/// Also where the clock was set back, or says nothing any more, the lease is over.
bool TokenLease::lasts_until(std::uint64_t now_ns) const noexcept {
  return now_ns != shm::Clock::kNoTime && now_ns - taken_ns_ < length_ns_;
}

/// Ends the lease that there may be, and decides: with as much as a new one takes, where it can.
[[gnu::noinline]] Decision TokenLease::take(std::uint64_t cost) noexcept {
  if (cost == 0) return limiter_.try_acquire(key_, cost);
  (void)give_back();  // else it might be the lease itself that is in the way
  const Binding& binding = limiter_.core_->binding();
  // What is on trial sees each call.
  if (cost >= tokens_ || !can_ask(binding, key_, cost) || !binding.stands_alone())
    return limiter_.try_acquire(key_, cost);
  View& view = *binding.view;
  const std::uint64_t now = view.clock.now();  // no later than the charge: the lease ends sooner
  CallRules<OwnTime, AcquireAhead> rules(binding, OwnTime{&view.clock}, {cost, tokens_});
  const Decision d = decide_by_rules(binding, key_, hash_of(binding, key_), rules);
  const std::uint64_t taken = rules.operation().taken;
  const bool is_lease = d.allowed && is_by_a_limit(d) && taken > cost;
  if (!is_lease || now == shm::Clock::kNoTime) return d;
  taken_ = d;
  taken_.cost = taken;
  left_ = taken - cost;
  taken_ns_ = now;
  view_ = &view;
  process_ = shm::process_token();
  return told(cost, now);
}

Decision TokenLease::told(std::uint64_t cost, std::uint64_t now_ns) const noexcept {
  Decision d = taken_;
  d.remaining += left_;
  d.reset_after -= std::min(d.reset_after, to_nanoseconds(now_ns - taken_ns_));
  d.cost = cost;
  d.charged = 0;
  return d;
}

std::uint64_t TokenLease::give_back() noexcept {
  const std::uint64_t left = std::exchange(left_, 0);
  if (left == 0 || process_ != shm::process_token()) return 0;
  const Binding& binding = limiter_.core_->binding();
  // What was taken from another segment is no debt of this one's, though the policy's id be the same.
  if (binding.view != view_) return left;
  const std::uint64_t charged = take_charge(binding, key_, taken_);
  if (charged != 0) (void)give_back_in_slot(binding, key_, taken_, charged, left);
  return left;
}

}  // namespace rl
