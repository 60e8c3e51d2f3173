/// \file
/// A named limit of a segment, ready to be asked.
#ifndef RL_LIMITER_HPP
#define RL_LIMITER_HPP

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include <rl/counted.hpp>
#include <rl/decision.hpp>
#include <rl/export.hpp>
#include <rl/limit.hpp>
#include <rl/permit.hpp>
#include <rl/time.hpp>

namespace rl {

class AskedTogether;
class LimiterCore;

/// Says how much a call may use of a limit that has a floor (Limit::floor). Of one that has none,
/// all calls may use all.
enum class Priority : std::uint8_t {
  normal,  ///< all of it
  low,     ///< only while the floor is left to the others: batches, retries, crawlers
};

/// Decides for the keys of one policy. Made by Segment::limiter().
///
/// A key is any sequence of bytes of any length; it is hashed whole. Two policies never share a
/// bucket, whatever their keys. Copies are cheap and equal.
///
/// Every call keeps guarantees A (exactness: in no window is a key admitted more than the limit
/// says, and no denial is untrue), P (progress: no call waits for another process, running, stopped
/// or dead) and S (safety: one bucket for each key, whoever dies where). README.md, "Guarantees",
/// has their exact words, what comes on top of A, and the system calls that P allows.
///
/// When limits do not decide: `shadow`, a limit that only watches, and would deny; `off`, all limits
/// of the segment switched off; `removed`, a policy that is none any more. (A limit that watches and
/// would allow is like any other.) All three allow; Decision::reason is shadow, off and off.
///
///     call                      shadow                      off                  removed
///     try_acquire (low, at,     not charged; the slot       not charged;         not charged
///       batch), hold            counts a denial;            counted in
///                               retry_after: as denied      off_allowed
///     peek                      the same, uncounted         says off             says off
///     reserve, acquire_for      the same, to go ahead now   the same, now        the same, now
///     charge                    charges, as ever            not charged          not charged
///     settle of what was held   as ever                     gives back; never    true; nothing
///       before                                              charges more         to be done
///     refund                    as ever                     as ever              gives nothing back
///     set_remaining             as ever                     as ever              false
///     reset                     as ever                     as ever              as ever
///     count, peek_count         (a counter has none)        not counted          not counted
///     all_of, Limiters          never denies the others,    passes, as each      passes, as each
///                               charged if it would allow   of these             of these
///
/// What was charged nothing has nothing to be refunded or settled: that is false. permit() is in
/// rl/permit.hpp. A key without room in the table passes, too, with Reason::shadow, where the limit
/// watches. An empty key, a cost of 0, and a process that cannot tell the segment's time are denied
/// all the same.
///
/// Threads and processes: every member may be called from any number of threads and processes at
/// once, before and after fork().
class RL_EXPORT Limiter {
 public:
  /// Charges `cost` to `key` if the limit allows it. A denial changes nothing.
  ///
  /// Errors: none is thrown; an empty key, a cost of 0 or a read-only segment is denied with
  /// Reason::invalid, a cost above the burst with Reason::never. A concurrency limit is asked with
  /// permit(), a counter with count(): here they deny with Reason::invalid.
  Decision try_acquire(std::string_view key, std::uint64_t cost = 1) noexcept;

  /// Decides many keys at once, in their order, each as try_acquire would: `decisions[i]` answers
  /// `keys[i]`. The memory of a few dozen keys is fetched at a time, so at many keys a decision
  /// costs a fraction of one alone. A key that stands there twice is charged twice. Where one of
  /// the two is shorter, its length counts.
  ///
  /// Errors: as try_acquire, each key for itself. Progress: as so many calls; nothing is allocated.
  /// Accuracy: as try_acquire. A few dozen keys share one reading of the clock, at which those that
  /// are admitted count, as if each had been stopped just after it; `remaining` is as of then, and
  /// so may be a call short. Who is denied is denied by a reading of its own, and `retry_after` is
  /// true.
  void try_acquire_batch(std::span<const std::string_view> keys, std::span<Decision> decisions,
                         std::uint64_t cost = 1) noexcept;

  /// try_acquire at a time that the caller has already read with Segment::now(), such as an event
  /// loop. Accuracy: the call counts at `now`, which must not be later than Segment::now(); a `now`
  /// of the past is as if the call had come then, but in no earlier window than the key's last
  /// call. But slots change hands by the segment's clock: what a key owed may be forgotten by as
  /// much too early as `now` lags behind, and a key that another process was just inserting may be
  /// denied for as long. For the times of a replay, create the segment with ClockSource::manual.
  Decision try_acquire_at(Instant now, std::string_view key, std::uint64_t cost = 1) noexcept;

  /// As try_acquire, for a call of that priority. One of low priority passes only while, after it,
  /// the limit's floor is left (Limit::floor_calls); Decision::limit and ::remaining are what is
  /// there for such calls, so a cost above burst - floor is denied with Reason::never.
  /// `retry_after` is true while no other call comes in between.
  Decision try_acquire(std::string_view key, std::uint64_t cost, Priority priority) noexcept;

  /// Says what try_acquire would answer, and charges nothing; also read-only. `remaining` is what
  /// is left before any call. Accuracy: it judges as if a new key found a slot (Limit::when_full).
  [[nodiscard]] Decision peek(std::string_view key, std::uint64_t cost = 1) const noexcept;
  [[nodiscard]] Decision peek(std::string_view key, std::uint64_t cost,
                              Priority priority) const noexcept;

  /// Takes a permit of `key` if one is free: tried once, without waiting. For a concurrency limit,
  /// whose count says how many of a key may be out at once; it is given back at the end of the
  /// Permit's life, or by Permit::release.
  ///
  /// Errors: none is thrown; the decision tells: Reason::limited when all are out; full when the
  /// table has no room for another, or when others were faster again and again; unavailable for a
  /// process without a seat, of which nobody could tell whether it lives; invalid for an empty key,
  /// a read-only segment, or a policy that is not a concurrency limit. Where nothing limits the call
  /// passes without a permit, with Reason::off, or Reason::shadow where the policy only watches: see
  /// Permit. Progress: at most 16 looks
  /// at all permits; a look asks the kernel once for each process that has some. Accuracy: never
  /// more are out than the limit, of leases that are not over; or than were out when it was lowered,
  /// and are not back yet: none is had while as many are out as it has now, and for a lease after
  /// that each call looks at all permits that it had. Those of a dead process are had
  /// again within half a second (when their leases end, by a process that may no longer open the
  /// segment's file to ask). A process that closes all its descriptors loses what it holds, or
  /// takes within the next second, as if it had died.
  [[nodiscard]] Permit permit(std::string_view key) noexcept;

  /// Says what permit() would answer, and takes none. `remaining` is how many permits are free now.
  /// Works on a read-only segment. Accuracy: those of the dead count as out until their lease is
  /// over, somebody takes them, or their seat has another process. While more are out than a limit
  /// that was lowered, `retry_after` is until all are back. Progress: a look at each permit.
  [[nodiscard]] Decision peek_permit(std::string_view key) const noexcept;

  /// Adds `amount` to what `key` counts under a policy whose limit is "counter", in one step, and says
  /// what it counts then. The first call of a count begins an expiry, after which all of it is
  /// forgotten at once; with Expiry::each, each call begins it anew. Nothing is denied: who counts
  /// compares. Where the calls of a key give different expiries, the count is kept for no longer than
  /// the one of the last call says, nor, with Expiry::first, than those before. An amount of 0 only
  /// looks.
  ///
  /// Errors: none is thrown; what is not counted says why (Counted::reason): invalid for an empty key,
  /// an expiry of 0 or less, a read-only segment, or a policy that is not a counter; full for a key
  /// without room in the table (Limit::when_full); unavailable without a segment, unless this process
  /// counts for itself then (OnFailure::local: alone, and not divided by anything); off where limits
  /// are switched off, or the policy was removed. Progress: as try_acquire. Accuracy: calls of any
  /// number of processes are all in the count, each once, and each is told what that was with it, up
  /// to kCountedMax, where it stays. An expiry is rounded up to 4.2 ms, and is never over sooner;
  /// beyond 18 years from the segment's making nothing expires. Evictions and resets end a count, and
  /// are counted. Processes: what one that dies has counted stays.
  Counted count(std::string_view key, std::uint64_t amount, std::chrono::nanoseconds expiry,
                Expiry begins = Expiry::first) noexcept;

  /// Says what `key` counts, and adds nothing; also read-only. Errors: as count().
  [[nodiscard]] Counted peek_count(std::string_view key) const noexcept;

  /// Gives back what an admitted call charged to `key`: at most what that decision still owes, as
  /// time may have given it back already. A leaky bucket, and a reservation that had to wait, gives
  /// back only the last place in line; a window only what was charged in it. Returns whether
  /// anything was given back.
  ///
  /// Errors: none is thrown; what was never charged, or was given back before, gives back nothing:
  /// the decision is emptied. Do not refund copies of one decision: each gives back, though never
  /// more than its own cost. A reset, or another segment under the name, ends what a decision owes;
  /// that is not always noticed. Accuracy: what refunds give back comes on top of guarantee A.
  bool refund(std::string_view key, Decision& decision) noexcept;

  /// Charges `cost` for what has already happened, whatever the limit says: a response that turned
  /// out long, say. A key may so owe more than passes at once; time works that off before anything
  /// passes. Allowed whenever it is counted; `remaining`, `reset_after` and `retry_after` (here:
  /// until a call of cost 1 passes) say how things stand after it.
  ///
  /// Errors: an empty key, a cost of 0 or a read-only segment gets Reason::invalid; a key without
  /// room in the table, Reason::full, and nothing is charged. Accuracy: a bucket's debt ends at
  /// twice what passes at once, but not below an hour more than that; a fixed window counts up to
  /// its length in nanoseconds, a sliding one up to the square root of that. What lies beyond is
  /// forgiven: `cost` of the decision is what was counted.
  Decision charge(std::string_view key, std::uint64_t cost) noexcept;

  /// Reserves an instant at which a call of `cost` may go ahead: now, or as soon as all that was
  /// decided on the key before leaves room, first come, first served, across all processes. Denied,
  /// and nothing charged, when that instant lies after `deadline`; with a deadline that is past,
  /// when it does not pass now. Who is denied need not wait longer than `retry_after` to pass at
  /// once.
  ///
  /// refund() cancels it, as long as nobody has reserved, called or charged on the key since: an
  /// instant that was promised to somebody behind does not move. (What calls that did not wait give
  /// back moves the end of the line: those who come later stand that much earlier.) A window has no
  /// line to stand in: there a call passes now or not at all. A leaky bucket's line is its queue.
  ///
  /// Errors: as try_acquire. Accuracy: guarantee A holds for the instants reserved, and what goes
  /// ahead at once; see the head of src/token_bucket.hpp. A line is no longer than the debt that
  /// charge() allows. Processes: one that dies leaves what it had reserved charged.
  Reservation reserve(std::string_view key, std::uint64_t cost, Instant deadline) noexcept;

  /// Acquires `cost`, and waits for its turn: reserves, and sleeps until the instant reserved.
  /// Denied at once when the turn would not come within `timeout` (zero or less: when it would not
  /// come now). Never allowed before its instant; `wait` says how long it was to wait. A window has
  /// no line: the call tries, sleeps until the window has room again, and tries again as long as
  /// that lies within the timeout, and whoever is first then passes, in no order.
  ///
  /// Errors: as try_acquire. Progress: of all calls this one sleeps; it waits for the clock, never
  /// for a process. Signals do not cut it short. Where the segment's clock was set back by
  /// somebody's stray bytes, it ends a second after the kernel's clock says that the wait is over.
  /// On a manual clock it looks each millisecond; when nobody moves that for as long as it was to
  /// wait, and a second, the call cancels its reservation and is denied. Processes: one that dies
  /// asleep leaves its place charged, and others where they stood.
  Decision acquire_for(std::string_view key, std::uint64_t cost,
                       std::chrono::nanoseconds timeout) noexcept;

  /// Acquires an estimate of a cost that only the work itself will tell, such as the tokens of a
  /// language model's answer: try_acquire, to be followed by settle().
  ///
  /// Processes: one that dies in between leaves the estimate charged.
  Decision hold(std::string_view key, std::uint64_t estimate) noexcept;

  /// Makes of what hold() charged what the work really cost: gives the difference back as refund()
  /// does, at most what is still owed, or charges it as charge() does, also beyond the limit.
  /// Returns whether the hold is settled now; a second time, of a denial, or of a hold that passed
  /// uncounted for want of room, it is false and nothing changes.
  ///
  /// Errors: false, too, when the key has found no room in the table for a difference to be
  /// charged, and when the decision is another policy's. The decision is emptied by any call.
  /// Accuracy: what is given back comes on top of guarantee A.
  bool settle(std::string_view key, Decision& held, std::uint64_t actual) noexcept;

  /// Makes `tokens` left of what passes at once, or all of it if that is less, from now on,
  /// whatever was used, charged or reserved before. Who waits already keeps its
  /// instant; those who come later do not stand behind it. Returns whether that is so now.
  ///
  /// Errors: false for an empty key, a read-only segment, and a key without room in the table.
  /// Accuracy: what it gives comes on top of guarantee A, like a reset.
  bool set_remaining(std::string_view key, std::uint64_t tokens) noexcept;

  /// Forgets what the key has consumed. Returns whether there was anything to forget: never of a
  /// concurrency limit, whose permits are out until they are given back. An override, a ban and an
  /// allowed key stay so.
  bool reset(std::string_view key) noexcept;

  /// Returns the limit in force, which is the segment's: an operator's word stands above the
  /// code's.
  [[nodiscard]] Limit limit() const;

  /// Returns whether the limit in force is not the one that was asked for in Segment::limiter().
  [[nodiscard]] bool differs() const noexcept;

 private:
  friend class AskedTogether;
  friend class Segment;
  friend class TokenLease;
  explicit Limiter(std::shared_ptr<LimiterCore> core) noexcept : core_(std::move(core)) {}
  std::shared_ptr<LimiterCore> core_;
};

}  // namespace rl

#endif
