/// \file
/// One clock for all processes of a segment: nanoseconds since the segment's epoch.
///
/// The TSC costs 10 ns a reading, the kernel's clock more than twice that, and a decision without
/// either about as much as the TSC: so the TSC is used where the kernel itself trusts it. But a TSC
/// can freeze or jump (a virtual machine that is restored or migrated), so it is guarded: each
/// thread, BEFORE it uses a reading, compares it with CLOCK_BOOTTIME when 100 ms of TSC have passed
/// since its last look, and at least every 1,024 calls. What is compared is the time that passed on
/// both since a look 100 ms ago, not the absolute time: NTP steers the kernel's clock and not the
/// TSC.
///
/// The look is bracketed: the kernel's reading lies between two of the TSC, so a process that is
/// stopped or stepped in the middle of a look learns less, but nothing false. A thread's first look
/// compares with the segment's clock anchor, both clocks as some process last saw them together,
/// about a second ago.
///
/// Leaving the TSC is one CAS on one header word, from 0 to an offset, never back:
///
///     boottime_offset_ns == 0   now = (tsc - epoch_tsc) * ns_per_tick
///     otherwise                 now = CLOCK_BOOTTIME + boottime_offset_ns, which goes on from the
///                               newest reading that was good
///
/// A call in flight with an old reading is merely stale, as if it had been stopped.
#pragma once

#include <cstddef>
#include <cstdint>

#include "shm/layout.hpp"

namespace rl::shm {

/// How the header spells the clock.
enum class ClockKind : std::uint32_t { boottime = 1, tsc = 2, manual = 3 };

/// What a segment needs to know of its clock: part of the header's constants.
struct ClockEpoch {
  ClockKind kind;
  std::uint64_t boottime_ns;
  std::uint64_t tsc;
  std::uint64_t ns_per_tick_32;  ///< 32.32 fixed point
  std::uint64_t unix_ns;
};

/// Returns an epoch of now. Errors: Error (unsupported) for a TSC that this machine does not have.
/// Takes about 10 ms, once per process, for the calibration of the TSC.
ClockEpoch start_clock(bool automatic, ClockKind wanted);

/// Says whether the CPU's TSC is invariant, this process may read it, and the kernel uses it
/// itself.
bool tsc_is_trusted() noexcept;

std::uint64_t read_boottime_ns() noexcept;
std::uint64_t read_unix_ns() noexcept;

/// Reads a segment's time. The production clock of the table's Rules.
///
/// Threads and processes: any; the guard's memory is the thread's own.
class Clock {
 public:
  /// Takes the clock's words of the header; `may_write` says whether the mapping allows a CAS.
  Clock(const ClockEpoch& epoch, Header& header, bool may_write) noexcept;

  /// Returned where this process's clock is not the segment's: a forked child in another time
  /// namespace.
  static constexpr std::uint64_t kNoTime = ~std::uint64_t{0};

  /// Returns nanoseconds since the epoch, or kNoTime. Looks around first when it is time to.
  /// (Inlined: what a decision holds in registers would be stored and loaded around a call, and its
  /// compare-and-swap waits for every store before it.)
  [[nodiscard, gnu::always_inline]] std::uint64_t now() const noexcept {
    if (kind_ == ClockKind::tsc) [[likely]] {
      // acquire: pairs with the CAS in leave_tsc; nothing but the word itself is read.
      if (offset_->load(std::memory_order_acquire) == 0) [[likely]] {
        const std::uint64_t tsc = read_tsc();
        Guard& guard = guard_for(id_);
        if (guard.owner == id_) [[likely]] {
          const bool fresh = tsc - guard.anchor.tsc_before < check_ticks_;
          if (fresh && ++guard.calls < kCallsPerCheck) [[likely]]
            return ns_from_tsc(tsc);
        }
      }
    }
    return now_slowly();
  }

  /// Counts a call that brings its own time, so that such callers look around, too. Returns false
  /// where now() would return kNoTime.
  [[nodiscard]] bool count_call(std::uint64_t callers_ns) const noexcept {
    Guard& guard = guard_for(id_);
    // A caller's old time is no reason to look; that is left to the count of calls.
    const auto since_look = static_cast<std::int64_t>(callers_ns - guard.look_ns);
    const bool fresh = guard.owner == id_ && since_look < static_cast<std::int64_t>(kCheckNs);
    if (fresh && ++guard.calls < kCallsPerCheck) [[likely]]
      return true;
    return now_slowly() != kNoTime;
  }

  /// Calls `hook(context)` at every look around: at least every 1,024 calls and every 100 ms of
  /// calls of a thread, and at once in a forked child. Where it returns false, this process's
  /// CLOCK_BOOTTIME is not the segment's. Set it before the clock is shared.
  using LookHook = bool (*)(void* context) noexcept;
  void set_look_hook(LookHook hook, void* context) noexcept {
    hook_ = hook;
    hook_context_ = context;
  }

  [[nodiscard]] ClockKind kind() const noexcept { return kind_; }
  [[nodiscard]] bool left_tsc() const noexcept {
    return kind_ == ClockKind::tsc && offset_->load(std::memory_order_relaxed) != 0;
  }
  /// How far a waiter's clock may run ahead of this one over `ns`: 0.1 % on the TSC.
  [[nodiscard]] std::uint64_t drift_allowance(std::uint64_t ns) const noexcept {
    return kind_ == ClockKind::tsc ? ns / 1'000 + 1 : 0;
  }
  [[nodiscard]] std::uint64_t to_unix_ns(std::uint64_t ns) const noexcept { return unix_ns_ + ns; }
  /// Moves a manual clock.
  void advance(std::uint64_t ns) noexcept { manual_->fetch_add(ns, std::memory_order_acq_rel); }

  static constexpr std::uint32_t kCallsPerCheck = 1'024;
  static constexpr std::uint64_t kCheckNs = 100'000'000;

 private:
  /// Both clocks read together: the kernel's lies between the two readings of the TSC.
  struct Sample {
    std::uint64_t tsc_before = 0;
    std::uint64_t boottime_ns = 0;
    std::uint64_t tsc_after = 0;
  };

  /// A thread's memory of a clock.
  struct Guard {
    std::uint64_t owner = 0;
    std::uint64_t calls = 0;
    std::uint64_t look_ns = 0;  ///< when, on the segment's clock
    Sample anchor;              ///< renewed at the first look after 100 ms
  };

  static Guard& guard_for(std::uint64_t id) noexcept { return guards_[id % kGuards]; }
  static std::uint64_t read_tsc() noexcept {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
  }
  [[nodiscard]] std::uint64_t ns_from_tsc(std::uint64_t tsc) const noexcept {
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(static_cast<Wide>(tsc - epoch_tsc_) * ns_per_tick_32_ >> 32);
  }
  [[gnu::noinline]] std::uint64_t now_slowly() const noexcept;
  [[nodiscard]] std::uint64_t look_at_both() const noexcept;
  [[nodiscard]] std::uint64_t kernel_now(std::uint64_t boottime_ns) const noexcept;
  [[nodiscard]] bool agree(const Sample& last, const Sample& sample) const noexcept;
  [[nodiscard]] Sample shared_anchor() const noexcept;
  void renew_shared_anchor(const Sample& last, const Sample& sample) const noexcept;
  std::uint64_t leave_tsc(const Sample& good, std::uint64_t boottime_ns) const noexcept;
  static Sample sample_both() noexcept;
  static std::uint64_t calibrate();
  static void forget_guards() noexcept;
  friend ClockEpoch start_clock(bool automatic, ClockKind wanted);

  /// A thread may decide on several segments in turn; few use more than eight. (It lies in each
  /// thread's static memory, of which a library that is loaded late gets little.)
  static constexpr std::size_t kGuards = 8;
  static constinit thread_local Guard guards_[kGuards] __attribute__((tls_model("initial-exec")));

  ClockKind kind_;
  std::uint64_t id_;  ///< of this object: tells the guards of different segments apart
  std::uint64_t epoch_tsc_;
  std::uint64_t ns_per_tick_32_;
  std::uint64_t check_ticks_;
  std::uint64_t epoch_boottime_ns_;
  std::uint64_t unix_ns_;
  Word* offset_;
  Word* manual_;
  Slot* shared_anchor_;
  bool may_write_;
  LookHook hook_ = nullptr;
  void* hook_context_ = nullptr;
};

}  // namespace rl::shm
