/// \file
/// The answer to a call.
#ifndef RL_DECISION_HPP
#define RL_DECISION_HPP

#include <chrono>
#include <cstdint>
#include <string_view>

#include <rl/export.hpp>
#include <rl/time.hpp>

namespace rl {

/// Says why a call was allowed or denied.
enum class Reason : std::uint8_t {
  ok,           ///< allowed by the limit
  limited,      ///< denied: come back after retry_after
  never,        ///< denied: the cost is above what may pass at once, no waiting helps
  banned,       ///< denied: the key is banned (a charge is counted all the same)
  override_,    ///< decided, either way, by an override of this key, or as it is on the allow-list
  shadow,       ///< allowed, though the limit would deny: the policy only watches
  full,         ///< the key found no room in the table; the policy's when_full decided
  unavailable,  ///< the segment cannot be used; of Segment::open_or, and allowed: nothing counted it
  invalid,      ///< denied: an empty key, a cost of 0, a read-only segment, a call on a concurrency
                ///< limit or a counter, a permit or a count of another
  off,          ///< allowed: limits are switched off, or the policy was removed
};

/// Returns the word for a reason, as rlctl prints it.
RL_EXPORT std::string_view to_string(Reason reason) noexcept;

/// Is what a call gets back, by value; it converts to true when the call is allowed.
///
/// Units: counts are calls of cost 1; durations are nanoseconds, rounded up.
struct [[nodiscard]] Decision {
  bool allowed = false;
  Reason reason = Reason::invalid;
  /// The id of the policy that decided: see Segment::policies().
  std::uint16_t policy = 0;
  /// The most that may pass at once (Limit::burst); of a call of low priority, that less the floor;
  /// 0, as what is left, of a key that is banned or on the allow-list, and where no limit is in
  /// force (Reason::off).
  std::uint64_t limit = 0;
  /// How much of that is left now, after this call.
  std::uint64_t remaining = 0;
  /// How long to wait until the same call can pass; 0 when it passed, kNever when it never can.
  /// Accuracy: true; waiting exactly that long, alone, succeeds. On the TSC clock 0.1 % is added
  /// for the drift between the segment's clock and the waiter's.
  std::chrono::nanoseconds retry_after{0};
  /// How long until the key is as good as new (idle).
  std::chrono::nanoseconds reset_after{0};
  /// How long an admitted call has to wait before it goes ahead, by the segment's clock; 0 but for
  /// a leaky bucket and a reservation.
  std::chrono::nanoseconds wait{0};

  /// What Limiter::refund needs to know: the cost of the call (of a charge, as much of it as was
  /// counted), and the key's state after it, 0 when nothing was charged or it was given back.
  std::uint64_t cost = 0;
  std::uint64_t charged = 0;

  explicit operator bool() const noexcept { return allowed; }
};

/// Is what Limiter::reserve gives: a decision, and the instant that is its own.
struct [[nodiscard]] Reservation : Decision {
  /// When an admitted call goes ahead, `wait` from the call on. Of a denial, when the same call
  /// could pass at once; the beginning of time when it never can, or nobody knows.
  Instant at{};
};

}  // namespace rl

#endif
