/// \file
/// A named limit of a segment, ready to be asked.
#ifndef RL_LIMITER_HPP
#define RL_LIMITER_HPP

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <rl/decision.hpp>
#include <rl/export.hpp>
#include <rl/limit.hpp>
#include <rl/time.hpp>

namespace rl {

class LimiterCore;

/// Says how much a call may use of a limit that has a floor (Limit::floor). Of one that has none, all
/// calls may use all.
enum class Priority : std::uint8_t {
  normal,  ///< all of it
  low,     ///< only while the floor is left to the others: batches, retries, crawlers
};

/// Decides for the keys of one policy. Made by Segment::limiter().
///
/// A key is any sequence of bytes of any length; it is hashed whole. Two policies never share a
/// bucket, whatever their keys. Copies are cheap and equal.
///
/// Every call keeps guarantees A (exactness: in no window is a key admitted more than the limit says,
/// and no denial is untrue), P (progress: no call waits for another process, running, stopped or
/// dead) and S (safety: one bucket for each key, whoever dies where). README.md, "Guarantees", has
/// their exact words, what comes on top of A, and the system calls that P allows.
///
/// Threads and processes: every member may be called from any number of threads and processes at
/// once, before and after fork().
class RL_EXPORT Limiter {
 public:
  /// Charges `cost` to `key` if the limit allows it. A denial changes nothing.
  ///
  /// Errors: none is thrown; an empty key, a cost of 0 or a read-only segment is denied with
  /// Reason::invalid, a cost above the burst with Reason::never. A concurrency limit is asked with
  /// permit(): here it denies with Reason::invalid.
  Decision try_acquire(std::string_view key, std::uint64_t cost = 1) noexcept;

  /// Decides many keys at once, in their order, each as try_acquire would: `decisions[i]` answers
  /// `keys[i]`. The memory of a few dozen keys is fetched at a time, so at many keys a decision costs a
  /// fraction of one alone. A key that stands there twice is charged twice. Where one of the two is
  /// shorter, its length counts.
  ///
  /// Errors: as try_acquire, each key for itself. Progress: as so many calls; nothing is allocated.
  /// Accuracy: as try_acquire. A few dozen keys share one reading of the clock, at which those that are
  /// admitted count, as if each had been stopped just after it; who is denied is denied by a reading of
  /// its own, and `retry_after` is true.
  void try_acquire_batch(std::span<const std::string_view> keys, std::span<Decision> decisions,
                         std::uint64_t cost = 1) noexcept;

  /// try_acquire at a time that the caller has already read with Segment::now(), such as an event
  /// loop. Accuracy: the call counts at `now`, which must not be later than Segment::now(); a `now`
  /// of the past is as if the call had come then, but in no earlier window than the key's last
  /// call. But slots change hands by the segment's clock: what a key owed may be forgotten by as much
  /// too early as `now` lags behind, and a key that another process was just inserting may be denied
  /// for as long. For the times of a replay, create the segment with ClockSource::manual.
  Decision try_acquire_at(Instant now, std::string_view key, std::uint64_t cost = 1) noexcept;

  /// As try_acquire, for a call of that priority. One of low priority passes only while, after it, the limit's
  /// floor is left (Limit::floor_calls); Decision::limit and ::remaining are what is there for such
  /// calls, so a cost above burst - floor is denied with Reason::never. `retry_after` is true while no
  /// other call comes in between.
  Decision try_acquire(std::string_view key, std::uint64_t cost, Priority priority) noexcept;

  /// Says what try_acquire would answer, and charges nothing. Works on a read-only segment.
  /// `remaining` is what is left now, before any call.
  [[nodiscard]] Decision peek(std::string_view key, std::uint64_t cost = 1) const noexcept;
  [[nodiscard]] Decision peek(std::string_view key, std::uint64_t cost,
                              Priority priority) const noexcept;

  /// Gives back what an admitted call charged to `key`: at most what that decision still owes, as
  /// time may have given it back already. A leaky bucket takes back only the last place in line, a
  /// window only what was charged in it. Returns whether anything was given back.
  ///
  /// Errors: none is thrown; what was never charged, or was given back before, gives back nothing: the
  /// decision is emptied. Do not refund copies of one decision: each gives back, though never more
  /// than its own cost. Accuracy: what refunds give back comes on top of guarantee A.
  bool refund(std::string_view key, Decision& decision) noexcept;

  /// Forgets what the key has consumed. Returns whether there was anything to forget.
  bool reset(std::string_view key) noexcept;

  /// Returns the limit in force, which is the segment's: an operator's word stands above the
  /// code's.
  [[nodiscard]] Limit limit() const;

  /// Returns whether the limit in force is not the one that was asked for in Segment::limiter().
  [[nodiscard]] bool differs() const noexcept;

 private:
  friend class Segment;
  explicit Limiter(std::shared_ptr<LimiterCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<LimiterCore> core_;
};

}  // namespace rl

#endif
