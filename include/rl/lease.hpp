/// \file
/// A few tokens of one very hot key, taken together.
#ifndef RL_LEASE_HPP
#define RL_LEASE_HPP

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include <rl/decision.hpp>
#include <rl/export.hpp>
#include <rl/limiter.hpp>

namespace rl {

struct View;

/// Takes some tokens of one very hot key together, and spends them alone: for a key that many
/// processes ask at once, whose line goes from CPU to CPU with each call.
///
///     thread_local rl::TokenLease hot(api, "tenant:7", 32, std::chrono::milliseconds(10));
///     if (!hot.try_acquire()) reply_429();
///
/// A call takes `tokens` where the limit allows as much, has its own cost of them, and leaves the
/// rest to the calls that follow within `length`. Where the limit does not, the call is an ordinary
/// one: nobody is denied what the limit has. What is left when the lease is over is given back by
/// the next call, as Limiter::refund does it, but to no candidate on trial, as that has charged the
/// calls alone.
///
/// Accuracy: tokens count when they are taken, and are spent less than `length` later. In any window
/// of length T a key is admitted at most what guarantee A says of T, and `tokens - 1` for each holder:
/// what it may have had before; what leases give back is in that bound. While none gives anything
/// back, it is also at most what A says of T + length. On the other side, what a holder has not spent
/// is used up for all others: their denials are true of what was taken, not of what was spent. A
/// holder that does not call again holds it until time has given it back, and one that is killed
/// loses it: so fewer are admitted than could be, never more.
///
/// What changes in between (a lowered limit, a ban, an override, limits switched off, a removed
/// policy, a reset) is noticed when the lease is over at the latest. Ordinary calls are all those of
/// a cost that is no less than `tokens`, under a leaky bucket, whose calls have instants of their
/// own, while a candidate is on trial (rlctl trial), on the allow-list, and where no limit is in
/// force. A concurrency limit and a counter deny with Reason::invalid.
///
/// Counts: in a policy's totals each call counts, as ever; beside the key (rlctl list) a lease counts
/// once. One that gives something back counts among the refunds.
///
/// Threads and processes: for one thread at a time; each has its own. In a forked child the lease is
/// its parent's: the child's first call takes another.
class RL_EXPORT TokenLease {
 public:
  /// Takes nothing yet. Errors: Error (bad_option) for an empty key, no tokens, or a length that is
  /// not above 0.
  TokenLease(Limiter limiter, std::string_view key, std::uint64_t tokens,
             std::chrono::nanoseconds length);
  /// Moves the lease and what is left of it; `other` is good for nothing then but to be assigned to.
  TokenLease(TokenLease&& other) noexcept;
  TokenLease& operator=(TokenLease&& other) noexcept;
  /// Gives back what is left.
  ~TokenLease();

  /// Charges `cost` to the lease, if that much is left of it; else to a new one, or as an ordinary
  /// call. What a lease admits is told with `remaining` as it was for all when the lease was taken,
  /// and what is left of the lease; `charged` is 0, so a single such call cannot be refunded. A
  /// denial, and an ordinary call, is Limiter::try_acquire's.
  ///
  /// Errors: as Limiter::try_acquire. Progress: while the lease lasts, a call reads the segment's
  /// clock, adds to the thread's own totals, and touches nothing else that is shared; else it is
  /// Limiter::try_acquire, and at most a refund before it.
  Decision try_acquire(std::uint64_t cost = 1) noexcept;

  /// Ends the lease. Returns how many tokens were left; the key has as many again as time has not
  /// given back already (Limiter::refund). The next call takes another.
  std::uint64_t give_back() noexcept;

 private:
  [[nodiscard]] RL_INSIDE bool lasts_until(std::uint64_t now_ns) const noexcept;
  RL_INSIDE Decision take(std::uint64_t cost) noexcept;
  [[nodiscard]] RL_INSIDE Decision told(std::uint64_t cost, std::uint64_t now_ns) const noexcept;

  Limiter limiter_;
  std::string key_;
  std::uint64_t tokens_;
  std::uint64_t length_ns_;
  std::uint64_t left_ = 0;  ///< 0: there is no lease, and the rest says nothing
  Decision taken_;          ///< what the call that took it was told, of all tokens
  std::uint64_t taken_ns_ = 0;
  View* view_ = nullptr;  ///< of the segment that they were taken from
  std::uint64_t process_ = 0;
};

}  // namespace rl

#endif
