/// \file
/// What Limiter::count() says of a key.
#ifndef RL_COUNTED_HPP
#define RL_COUNTED_HPP

#include <chrono>
#include <cstdint>

#include <rl/decision.hpp>

namespace rl {

/// The most that a counter counts; it stays there.
inline constexpr std::uint64_t kCountedMax = 67'108'863;

/// Says when the expiry of a count begins.
enum class Expiry : std::uint8_t {
  first,  ///< with the first call that counts; those that follow leave it as it is
  each,   ///< with each call that counts, anew
};

/// Is what a counter says of a key, by value; it converts to true when what was asked was done.
struct [[nodiscard]] Counted {
  /// Whether the amount is in the count; of a look, whether the count could be told.
  bool counted = false;
  /// Reason::ok, or why not: full (no room for the key), unavailable (no segment), off (limits are
  /// switched off, or the policy was removed) or invalid.
  Reason reason = Reason::invalid;
  /// What the key counts after the call; kCountedMax stands for so many or more. 0 of a call that is
  /// not counted.
  std::uint64_t count = 0;
  /// How long until it is 0 again; 0 when it is. Accuracy: waiting exactly that long, with no call in
  /// between, is enough; on the TSC clock 0.1 % is added, as in Decision::retry_after.
  std::chrono::nanoseconds expires_in{0};

  explicit operator bool() const noexcept { return counted; }
};

}  // namespace rl

#endif
