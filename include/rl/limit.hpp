/// \file
/// A limit as people write it: "100/s burst=200".
#ifndef RL_LIMIT_HPP
#define RL_LIMIT_HPP

#include <chrono>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <rl/export.hpp>

namespace rl {

/// Says what a call gets whose key finds no room in a full table. Each case is counted.
enum class WhenFull : std::uint8_t {
  evict,  ///< take the slot that owes the fewest tokens; its key starts anew
  allow,  ///< let the call pass, uncharged
  deny,   ///< deny the call
};

/// A limit: an algorithm with its parameters. So far the algorithm is the token bucket.
///
///     limit  = [ "token_bucket" ] COUNT "/" [ N ] ( "ms" | "s" | "m" | "h" | "d" ) { option }
///     option = "burst=" N | "when_full=" ( "evict" | "allow" | "deny" )
///     COUNT  = digits, or digits with "k" or "M"
///
/// A key may make `count` calls per `period`, evenly, and up to `burst` of them back to back from
/// idle. The interval between two tokens is a whole number of nanoseconds, rounded up.
///
/// Errors: every function that makes a Limit throws Error (bad_limit) for one that is not
/// representable: a count or burst of 0, a period that is not whole milliseconds, an interval whose
/// rounding would change the rate by more than 0.1 %, burst x interval above 73 years. The text
/// names the nearest that fits.
class RL_EXPORT Limit {
 public:
  /// Makes a limit of n calls per period, with a burst of n.
  static Limit per(std::uint64_t n, std::chrono::nanoseconds period);
  static Limit per_second(std::uint64_t n);
  static Limit per_minute(std::uint64_t n);
  static Limit per_hour(std::uint64_t n);
  static Limit per_day(std::uint64_t n);

  /// Reads the grammar above. Errors: Error (bad_limit) that shows the place.
  static Limit parse(std::string_view text);

  /// Returns this limit with another burst: n calls of cost 1 pass back to back from idle.
  [[nodiscard]] Limit burst(std::uint64_t n) const;
  /// Returns this limit with another rule for a full table.
  [[nodiscard]] Limit when_full(WhenFull rule) const;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  [[nodiscard]] std::chrono::nanoseconds period() const noexcept {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(period_ns_));
  }
  [[nodiscard]] std::uint64_t burst() const noexcept { return burst_; }
  [[nodiscard]] WhenFull when_full() const noexcept { return when_full_; }
  /// Returns the time between two tokens: period / count, rounded up.
  [[nodiscard]] std::chrono::nanoseconds interval() const noexcept;

  /// Prints the shortest text that parse() reads back to an equal Limit.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Limit&, const Limit&) = default;

 private:
  Limit(std::uint64_t count, std::uint64_t period_ns, std::uint64_t burst, WhenFull rule);

  std::uint64_t count_;
  std::uint64_t period_ns_;
  std::uint64_t burst_;
  WhenFull when_full_;
};

}  // namespace rl

#endif
