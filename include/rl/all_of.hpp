/// \file
/// Several limits at once: all of them charge a call, or none.
///
///     if (rl::AllOf all = rl::all_of({{per_address, ip}, {per_user, user, 5}}); !all)
///       reply_429(all.decision.retry_after);
#ifndef RL_ALL_OF_HPP
#define RL_ALL_OF_HPP

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>

#include <rl/decision.hpp>
#include <rl/export.hpp>
#include <rl/limiter.hpp>

namespace rl {

/// One of the calls that all_of makes together. The limiters may be of different segments.
struct Ask {
  Limiter& limiter;
  std::string_view key;
  std::uint64_t cost = 1;
};

/// Is what all_of gives back, by value; it converts to true when all asks were allowed.
struct [[nodiscard]] AllOf {
  static constexpr std::size_t kAsksMax = 16;

  /// Denied: the ask that denies for longest (the first, of several), so its retry_after is the one
  /// to wait for. Allowed: the ask that has the least left, with the longest `wait` of all.
  Decision decision;
  /// Which of the asks that is: its index.
  std::size_t which = 0;
  /// What each ask was told by itself; when one denied, the others say what they would have done.
  /// Asks for one key of one policy are told the same, and the first of them has the charge.
  std::array<Decision, kAsksMax> each = {};

  explicit operator bool() const noexcept { return decision.allowed; }
};

/// Charges each ask's cost to its key if all the limits allow it, and else nothing. Asks for one
/// key of one policy are one ask for the sum of their costs.
///
/// Errors: none is thrown; no ask at all, or more than kAsksMax, is denied with Reason::invalid; an
/// ask that makes no sense denies all with its reason. Progress: three calls for each ask at most,
/// and nothing is allocated.
///
/// Accuracy: all are peeked first, and a denial then has charged nothing. Then they are charged one
/// by one, in an order that is the same for everybody; where a rival took what the peek had seen,
/// what was charged is refunded. Until then it counts, so another call may be denied by a charge
/// that is about to be undone. The refund gives back what is still owed, and of a leaky bucket only
/// the last place in line: what somebody has queued behind stays until time gives it back. The same
/// is true of what a process had charged that is killed in between: at most the costs asked, once.
RL_EXPORT AllOf all_of(std::span<const Ask> asks) noexcept;
inline AllOf all_of(std::initializer_list<Ask> asks) noexcept {
  return all_of(std::span(asks.begin(), asks.size()));
}

/// Gives back what all_of charged for these same asks, each as Limiter::refund, once. Returns
/// whether anything was given back.
RL_EXPORT bool refund(std::span<const Ask> asks, AllOf& all) noexcept;
inline bool refund(std::initializer_list<Ask> asks, AllOf& all) noexcept {
  return refund(std::span(asks.begin(), asks.size()), all);
}

}  // namespace rl

#endif
