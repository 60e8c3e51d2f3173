#include "tools/rlctl/turn.hpp"

#include <algorithm>
#include <utility>

#include "shm/clock.hpp"

namespace rl::ctl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

/// A machine that was suspended is looked at again as soon as this after it woke: the kernel does not
/// count that time when it waits for signals.
constexpr nanoseconds kLongestSleep = 500ms;
constexpr nanoseconds kManualSleep = 1ms;  // nothing tells when such a clock is moved
constexpr nanoseconds kGrace = 1s;
constexpr nanoseconds kFirstPause = 1ms;
constexpr nanoseconds kLongestPause = 50ms;
constexpr nanoseconds kTryEvery = 500ms;  // the library looks for dead holders as often
constexpr nanoseconds kLongest =
    std::chrono::hours(24 * 365 * 100);  // and twice that is no overflow

/// The kernel's time, which goes on while the machine is suspended, and which nobody moves.
nanoseconds kernels_now() noexcept {
  return nanoseconds(static_cast<std::int64_t>(shm::read_boottime_ns()));
}

Instant after(Instant instant, nanoseconds time) noexcept {
  return Instant::max() - instant < time ? Instant::max() : instant + time;
}

enum class Woken : std::uint8_t {
  in_time,
  in_vain,  ///< nobody moves the manual clock by which the instant would come
  by_signal,
};

/// Sleeps, until a signal.
class Sleeper {
 public:
  Sleeper(const Segment& segment, const HeldSignals& signals)
      : segment_(segment),
        signals_(signals),
        is_manual_(segment.vitals().clock == ClockSource::manual) {}

  /// Sleeps until the segment's clock is at `at`, which is `wait` away. The clock's words are input:
  /// where they are set back, it ends a second after the kernel's clock says that the wait is over.
  Woken until(Instant at, nanoseconds wait) {
    const nanoseconds patience = std::min(wait, kLongest) + wait / 1'000 + kGrace;
    nanoseconds end = kernels_now() + patience;
    Instant now = segment_.now();
    while (now < at) {
      if (kernels_now() >= end) return is_manual_ ? Woken::in_vain : Woken::in_time;
      const nanoseconds sleep = is_manual_ ? kManualSleep : std::min(at - now, kLongestSleep);
      if (sees_signal(sleep)) return Woken::by_signal;
      const Instant before = std::exchange(now, segment_.now());
      if (is_manual_ && now > before) end = kernels_now() + patience;
    }
    return Woken::in_time;
  }

  /// Returns whether a signal has come, or comes within that time.
  bool sees_signal(nanoseconds within = nanoseconds(0)) {
    signal_ = signals_.next(within).si_signo;
    return signal_ != 0;
  }
  /// Returns the one that was seen last.
  [[nodiscard]] int signal() const noexcept { return signal_; }

 private:
  const Segment& segment_;
  const HeldSignals& signals_;
  bool is_manual_;
  int signal_ = 0;
};

/// What a call was told, and the instant that it goes ahead, or may be made again.
struct Asked {
  AllOf all;
  Instant at;
};

/// One limit has a line to stand in; several have none.
Asked ask(const Wish& wish, Instant deadline) {
  if (wish.wait && wish.limiters.size() == 1) {
    Limiter limiter = wish.limiters[0];
    const Reservation told = limiter.reserve(wish.key, wish.cost, deadline);
    AllOf all{.decision = told};
    all.each[0] = told;
    return {all, told.at};
  }
  const AllOf all = wish.limiters.try_acquire(wish.key, wish.cost);
  const nanoseconds wait = all ? all.decision.wait : all.decision.retry_after;
  return {all, after(wish.segment.now(), wait)};
}

/// Gives back what a call was charged that is not to go ahead, and denies it.
void undo(const Wish& wish, AllOf& all) {
  (void)wish.limiters.refund(wish.key, all);
  all.decision.allowed = false;
  all.decision.reason = Reason::limited;
  all.decision.retry_after = std::exchange(all.decision.wait, nanoseconds(0));
}

bool may_pass_later(const Decision& denial) noexcept {
  return denial.reason == Reason::limited || denial.reason == Reason::override_;
}

/// Sleeps until an allowed call may go ahead. One that may not, as its turn comes too late or never, or
/// as a signal came, is undone; the signal ends this process then.
void see_through(const Wish& wish, Asked& asked, nanoseconds left, Sleeper& sleeper) {
  Decision& told = asked.all.decision;
  const nanoseconds wait = told.wait;
  Woken woken = Woken::in_time;
  if (wait > left) {  // of a list: nobody could say so before
    woken = Woken::in_vain;
  } else if (wait > nanoseconds(0)) {
    woken = sleeper.until(asked.at, wait);
  }
  if (woken == Woken::in_time && sleeper.sees_signal()) woken = Woken::by_signal;
  if (woken != Woken::in_time) undo(wish, asked.all);
  if (woken == Woken::by_signal) end_by(sleeper.signal());
  told.reset_after -= std::min(told.reset_after, wait);
}

}  // namespace

AllOf take_turn(const Wish& wish, const HeldSignals& signals) {
  Sleeper sleeper(wish.segment, signals);
  const Instant first = wish.segment.now();
  nanoseconds left = std::clamp(wish.wait.value_or(kLongest), nanoseconds(0), kLongest);
  for (bool has_waited = false;; has_waited = true) {  // ends: each wait takes of what is left
    const Instant began = wish.segment.now();
    Asked asked = ask(wish, after(began, left));
    Decision& told = asked.all.decision;
    if (told.allowed) {
      has_waited |= told.wait > nanoseconds(0);
      see_through(wish, asked, left, sleeper);
      if (told.allowed && has_waited) told.wait = wish.segment.now() - first;
      return asked.all;
    }
    const nanoseconds wait = asked.at > began ? asked.at - began : nanoseconds(0);
    const bool is_in_time = wait > nanoseconds(0) && wait <= left;
    if (!wish.wait || !may_pass_later(told) || !is_in_time) return asked.all;
    const Woken woken = sleeper.until(asked.at, wait);
    if (woken == Woken::by_signal) end_by(sleeper.signal());
    if (woken == Woken::in_vain) return asked.all;
    left -= std::min(left, std::max(wish.segment.now() - began, wait));
  }
}

Permit take_permit(const Wish& wish, const HeldSignals& signals) {
  Limiter limiter = wish.limiters[0];
  Permit permit = limiter.permit(wish.key);
  const nanoseconds began = kernels_now();
  const nanoseconds end = began + std::clamp(wish.wait.value_or(0ns), nanoseconds(0), kLongest);
  nanoseconds next_try = began + kTryEvery;
  nanoseconds pause = kFirstPause;
  for (nanoseconds now = began; now < end && !permit;) {
    const Reason reason = permit.decision().reason;
    if (reason != Reason::limited && reason != Reason::full) break;
    const int signal = signals.next(std::min(pause, end - now)).si_signo;
    if (signal != 0) end_by(signal);
    pause = std::min(2 * pause, kLongestPause);
    now = kernels_now();
    // A look is not counted, but sees those of the dead as out.
    if (now < end && now < next_try && !limiter.peek_permit(wish.key)) continue;
    permit = limiter.permit(wish.key);
    next_try = now + kTryEvery;
  }
  return permit;
}

}  // namespace rl::ctl
