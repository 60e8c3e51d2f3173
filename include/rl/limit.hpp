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

/// Says how calls are counted. Numbers are for ever: segments hold them.
enum class Algorithm : std::uint8_t {
  token_bucket = 1,    ///< evenly, and up to a burst back to back
  leaky = 2,           ///< evenly, and a queue whose calls are told how long to wait
  fixed_window = 3,    ///< so many in each window of the clock
  sliding_window = 4,  ///< the same, with the window before counted as it fades
  concurrency = 5,     ///< so many permits out at any instant
  counter = 6,         ///< none: what calls add is told, until it expires
};

/// Says what becomes of what a key has used when its limit changes. Numbers are for ever: segments
/// hold them.
enum class Spent : std::uint16_t {
  keep,   ///< tokens spent stay spent, as many as they were; no key gains by the change
  scale,  ///< the same share of what may pass at once stays spent
  reset,  ///< nothing: each key begins anew
};

/// Says whether an algorithm gives calls back a window at a time, and not one by one.
constexpr bool counts_by_windows(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::fixed_window || algorithm == Algorithm::sliding_window;
}

/// Says whether an algorithm gives calls back one by one, an interval apart.
constexpr bool counts_evenly(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::token_bucket || algorithm == Algorithm::leaky;
}

/// Says whether an algorithm gives permits, and takes no calls.
constexpr bool gives_permits(Algorithm algorithm) noexcept {
  return algorithm == Algorithm::concurrency;
}

/// Says whether an algorithm takes calls, and decides on them: neither permits nor a count.
constexpr bool takes_calls(Algorithm algorithm) noexcept {
  return !gives_permits(algorithm) && algorithm != Algorithm::counter;
}

/// How long a permit is good if nobody says otherwise.
inline constexpr std::chrono::nanoseconds kUsualLease = std::chrono::seconds(30);

/// The longest ban that ends, by hand or for denials: 73 years. One for ever is kNever.
inline constexpr std::chrono::nanoseconds kBanMax = std::chrono::hours(24) * 26'687;

/// A limit: an algorithm with its parameters.
///
///     limit     = [ algorithm ] COUNT "/" [ N ] UNIT { option }
///               | "concurrency" COUNT { "lease=" N UNIT | "shadow" }
///               | "counter" [ "when_full=" ( "evict" | "deny" ) ]
///     algorithm = "token_bucket" | "leaky" | "fixed_window" | "window" | "sliding_window" | "sliding"
///     option    = "burst=" N                        of a token bucket; COUNT if not given
///               | "queue=" N | "delay=" N           of a leaky bucket; 0 if not given
///               | "when_full=" ( "evict" | "allow" | "deny" )
///               | "floor=" PERCENT                  from 1 to 99; 0 if not given
///               | "shadow"
///               | "ban_after=" COUNT "/" [ N ] UNIT | "ban=" N UNIT     both or neither
///     COUNT     = digits, or digits with "k" or "M"
///     UNIT      = "ms" | "s" | "m" | "h" | "d"
///
/// Token bucket: a key may make `count` calls per `period`, evenly, and up to `burst` of them back
/// to back from idle. Leaky bucket: evenly, with `queue` more that are admitted and told to wait
/// for their turn (Decision::wait), the first `delay` of which need not. Both: the interval between
/// two calls is a whole number of nanoseconds, rounded up. Fixed window: `count` calls in each
/// window of `period`, aligned to the Unix epoch in UTC as it stood when the segment was made; up
/// to twice that in a period that spans two windows. Sliding window: the window before counts, too,
/// by the share of it that lies within the last `period`; exact if its calls came evenly, and at
/// worst 2 x count - 1 in a period. Concurrency: at most `count` permits of a key are out at any
/// instant; a permit is free again when it is given back, when its holder dies, or when its lease
/// is over (30 s if not given). A key that finds no room in a full table is denied.
///
/// Counter: no limit at all, but a count for who compares (Limiter::count). A key that finds no room
/// in a full table is not counted, and its call says so: who counts failed logins must not lose them
/// to a flood of new keys. With when_full=evict it takes the slot that owes the fewest, counts among
/// them. So does a key of any other policy that evicts.
///
/// Floor: calls of low priority leave that share of what may pass at once to the others (Priority
/// in rl/limiter.hpp). Shadow: the policy only watches; what it would deny passes with
/// Reason::shadow, uncharged. Ban: the key whose ban_after-th denial comes
/// within that time, counted from the first of them, is banned for so long; each further ban is
/// twice as long as the last, up to 64 x ban. That is forgotten when 64 x ban has passed since the
/// last ban was over and since denials were counted last. A policy that only watches bans nobody.
/// Where the table has no room to count a key's denials without an eviction, it is not banned.
///
/// Errors: every function that makes a Limit throws Error (bad_limit) for one that is not
/// representable: a count or burst of 0, a period that is not whole milliseconds, an interval whose
/// rounding would change the rate by more than 0.1 %, burst x interval above 73 years, a delay
/// above the queue, a window above 36 years, or more in a window than its state can count (fixed:
/// fewer than its nanoseconds; sliding: 999 in 1 ms, 31,621 in 1 s, 244,947 in 1 m), more than
/// 4,096 permits, a lease that is not whole milliseconds from 1 s to 1 d, a floor above 99 %, a ban
/// after more than a million denials, or one whose times are not whole milliseconds up to 73 years.
/// The text names the nearest that fits.
class RL_EXPORT Limit {
 public:
  /// Makes a token bucket of n calls per period, with a burst of n.
  static Limit per(std::uint64_t n, std::chrono::nanoseconds period);
  static Limit per_second(std::uint64_t n);
  static Limit per_minute(std::uint64_t n);
  static Limit per_hour(std::uint64_t n);
  static Limit per_day(std::uint64_t n);
  /// Makes a leaky bucket: `queue` calls wait for their turn, all but the first `delay` of them.
  static Limit leaky(std::uint64_t n, std::chrono::nanoseconds period, std::uint64_t queue,
                     std::uint64_t delay = 0);
  /// Makes a limit that counts by windows of the clock.
  static Limit fixed_window(std::uint64_t n, std::chrono::nanoseconds period);
  static Limit sliding_window(std::uint64_t n, std::chrono::nanoseconds period);
  /// Makes a limit of n permits of a key at once, each good for `lease`.
  static Limit concurrency(std::uint64_t n, std::chrono::nanoseconds lease = kUsualLease);
  /// Makes a limit that counts, and denies nothing.
  static Limit counter();

  /// Reads the grammar above. Errors: Error (bad_limit) that shows the place.
  static Limit parse(std::string_view text);

  /// Returns this limit with another burst: n calls of cost 1 pass back to back from idle. Errors:
  /// only a token bucket has one.
  [[nodiscard]] Limit burst(std::uint64_t n) const;
  /// Returns this limit with another rule for a full table. Errors: a concurrency limit always
  /// denies then; a counter lets nothing pass that it could allow.
  [[nodiscard]] Limit when_full(WhenFull rule) const;
  /// Returns this limit with a floor, in percent of burst(), below which calls of low priority do
  /// not go. Errors: a concurrency limit and a counter have none.
  [[nodiscard]] Limit floor(std::uint64_t percent) const;
  /// Returns this limit as one that only watches, or as one that denies. Errors: a counter denies
  /// nothing.
  [[nodiscard]] Limit shadow(bool watches) const;
  /// Returns this limit with a ban of `length` for a key that is denied n times within a time, as above.
  /// Errors: a concurrency limit and a counter have none.
  [[nodiscard]] Limit ban_after(std::uint64_t n, std::chrono::nanoseconds within,
                                std::chrono::nanoseconds length) const;

  [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
  /// Returns the time in which `count` calls pass; 0 for concurrency and a counter.
  [[nodiscard]] std::chrono::nanoseconds period() const noexcept {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(period_ns_));
  }
  [[nodiscard]] Algorithm algorithm() const noexcept { return algorithm_; }
  /// Returns the most that may pass at once: a token bucket's burst, a leaky bucket's queue and
  /// one, a window's count, the permits that may be out; of a counter the most that it counts.
  [[nodiscard]] std::uint64_t burst() const noexcept { return burst_; }
  /// Returns how many calls may wait, and how many of those need not; 0 but for a leaky bucket.
  [[nodiscard]] std::uint64_t queue() const noexcept { return queue_; }
  [[nodiscard]] std::uint64_t delay() const noexcept { return delay_; }
  /// Returns how long a permit is good; 0 but for concurrency.
  [[nodiscard]] std::chrono::nanoseconds lease() const noexcept {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(lease_ns_));
  }
  [[nodiscard]] WhenFull when_full() const noexcept { return when_full_; }
  /// Returns the floor in percent, and in calls, rounded up: what calls of low priority leave. Both
  /// 0 if none was given.
  [[nodiscard]] std::uint64_t floor() const noexcept { return floor_percent_; }
  [[nodiscard]] std::uint64_t floor_calls() const noexcept;
  [[nodiscard]] bool shadow() const noexcept { return shadow_; }
  /// Returns after how many denials, within what time, a key is banned, and for how long; all 0 if
  /// never.
  [[nodiscard]] std::uint64_t ban_after() const noexcept { return ban_after_; }
  [[nodiscard]] std::chrono::nanoseconds ban_within() const noexcept { return ban_within_; }
  [[nodiscard]] std::chrono::nanoseconds ban() const noexcept { return ban_; }
  /// Returns the time between two tokens: period / count, rounded up. Permits do not come back by
  /// time but for their lease, which is returned for concurrency; 0 for a counter.
  [[nodiscard]] std::chrono::nanoseconds interval() const noexcept;

  /// Prints the shortest text that parse() reads back to an equal Limit.
  [[nodiscard]] std::string to_string() const;

  friend bool operator==(const Limit&, const Limit&) = default;

 private:
  Limit() = default;
  static Limit make(Algorithm algorithm, std::uint64_t count, std::chrono::nanoseconds period,
                    std::uint64_t burst, std::uint64_t queue, std::uint64_t delay);

  std::uint64_t count_ = 0;
  std::uint64_t period_ns_ = 0;
  std::uint64_t burst_ = 0;
  std::uint64_t queue_ = 0;
  std::uint64_t delay_ = 0;
  std::uint64_t lease_ns_ = 0;
  std::uint64_t floor_percent_ = 0;
  std::uint64_t ban_after_ = 0;
  std::chrono::nanoseconds ban_within_{0};
  std::chrono::nanoseconds ban_{0};
  Algorithm algorithm_ = Algorithm::token_bucket;
  WhenFull when_full_ = WhenFull::evict;
  bool shadow_ = false;
};

}  // namespace rl

#endif
