/// \file
/// A permit of a concurrency limit, held by this process.
#ifndef RL_PERMIT_HPP
#define RL_PERMIT_HPP

#include <cstdint>
#include <memory>

#include <rl/decision.hpp>
#include <rl/export.hpp>
#include <rl/time.hpp>

namespace rl {

class LimiterCore;
class PermitTaker;
struct View;

/// Is what Limiter::permit returns: a permit, or the reason why there is none. Gives it back at the
/// end of its life.
///
///     if (rl::Permit permit = uploads.permit("user:42")) handle(request);   // given back here
///
/// A permit is held until it is given back, its lease is over, or its process dies. A process that
/// was stopped for longer than the lease has lost it, and somebody else may be at work by then:
/// holds() and renew() tell, and fence() is for what must not be touched by two.
///
/// A change of the limit leaves the permits that are out. When it is lowered, none is given while as
/// many are out as there are now, and those that it no longer has are not renewed: so it holds after
/// one lease, of the longest that were given.
///
/// Where nothing limits, because limits are off, the policy was removed, or it only watches and all
/// are out, or there is no segment and calls pass (OnFailure::allow), a call passes without a permit. What it gets converts to true and stands for none:
/// holds() and renew() are true until it was released, the first release() is true, and fence() is
/// 0. A permit that was given before stays one while limits are off. With the removal of its policy
/// it stands for none; in one that is made again under the name it is lost. While nothing limits,
/// holds(), renew() and the first release() are true of a lost one, too.
///
/// Threads and processes: one permit is for one thread at a time. In a forked child it is not held:
/// nothing there gives it back.
class RL_EXPORT Permit {
 public:
  Permit(Permit&& other) noexcept;
  Permit& operator=(Permit&& other) noexcept;
  ~Permit();

  /// Returns whether the call was let through, and that has not been given back through this object.
  explicit operator bool() const noexcept { return core_ != nullptr; }

  /// Returns what the call was told. `limit` is how many permits there are, `remaining` is 0 (how
  /// many more are free is not counted), `reset_after` how long the lease was when it was taken.
  /// `retry_after` is until the first lease ends: waiting that long, alone, succeeds, unless its
  /// holder renews it; most permits are given back earlier. While more are out than a limit that was
  /// lowered, it is until the last of them ends. `policy` and `limit` are those that decided.
  [[nodiscard]] const Decision& decision() const noexcept { return decision_; }

  /// Gives the permit back. Returns whether it was still held: false the second time, after the
  /// lease was over, and when it went to somebody else.
  /// Progress: one compare-and-swap, and one look at the key's own slot; no system call.
  bool release() noexcept;

  /// Begins a lease from now, as long as the limit in force says. False when the permit is lost;
  /// also when the limit was lowered so far that it is one too many: then it is held until
  /// lease_end(), as holds() says.
  /// Progress: one compare-and-swap; no system call.
  [[nodiscard]] bool renew() noexcept;

  /// Returns whether the permit is still held, now.
  /// Accuracy: true as of some instant of the call. It may be lost in the next: what must not be
  /// done by two needs fence().
  [[nodiscard]] bool holds() const noexcept;

  /// Returns a number higher than any that an earlier holder of the key's permits was given, and
  /// than this permit's own before. Storage that keeps the highest number that it has seen, and
  /// refuses lower ones, so refuses an earlier holder once a later one has come. 0 when the permit
  /// is lost, or stands for none, or the table had no room to keep the number. Numbers are of one
  /// segment.
  [[nodiscard]] std::uint64_t fence() noexcept;

  /// Returns when the lease is over, on the segment's clock (Segment::now): the end of time for what
  /// stands for none.
  [[nodiscard]] Instant lease_end() const noexcept { return lease_end_; }

 private:
  friend class Limiter;
  /// Where a permit is, and what stands there while we hold it.
  struct Place {
    View* view;
    std::uint64_t slot_index;
    std::uint64_t tag;
    std::uint64_t state;
  };

  /// Stands for none, where the call is let through.
  RL_INSIDE Permit(const std::shared_ptr<LimiterCore>& core, const Decision& decision) noexcept;
  RL_INSIDE Permit(const std::shared_ptr<LimiterCore>& core, PermitTaker& taker) noexcept;
  RL_INSIDE void belong_to(const std::shared_ptr<LimiterCore>& core) noexcept;
  [[nodiscard]] bool is_ours() const noexcept;
  [[nodiscard]] bool stands_for_none() const noexcept { return place_.view == nullptr; }
  [[nodiscard]] static bool all_pass(const Place& place) noexcept;
  [[nodiscard]] const Place& place_now(Place& moved) const noexcept;
  void find_moved(Place& moved) const noexcept;
  [[nodiscard]] bool is_at(const Place& place) const noexcept;
  bool end(bool is_asked) noexcept;
  bool give_back(const Place& place, bool is_asked) const noexcept;
  bool renew_at(const Place& now) noexcept;

  std::shared_ptr<LimiterCore> core_;  ///< none when there is no permit
  Decision decision_;
  Place place_{};
  std::uint64_t key_[2]{};  ///< the key's hash
  std::uint32_t index_ = 0;
  Instant lease_end_{};
  std::uint64_t process_ = 0;
};

}  // namespace rl

#endif
