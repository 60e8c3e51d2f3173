#include "shm/clock.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <string_view>
#include <thread>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "shm/fork_files.hpp"
#include "shm/os.hpp"
#include "shm/table.hpp"

namespace rl::shm {
namespace {

/// Set where a process may not read the TSC: the kernel's fast clock_gettime reads it as well.
std::atomic<bool> needs_system_call{false};

std::uint64_t read_ns(clockid_t id) noexcept {
  timespec ts{};
  if (needs_system_call.load(std::memory_order_relaxed)) {  // a hint: set before the first reading
    ::syscall(SYS_clock_gettime, id, &ts);
  } else {
    ::clock_gettime(id, &ts);
  }
  return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(ts.tv_nsec);
}

bool cpu_has_invariant_tsc() noexcept {
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  return __get_cpuid(0x8000'0007U, &a, &b, &c, &d) != 0 && (d & 1U << 8) != 0;
#else
  return false;
#endif
}

/// A kernel that will not say (a sandbox) has not forbidden it.
bool may_read_tsc() noexcept {
  int mode = 0;
  const bool forbidden = ::prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_SIGSEGV;
  if (forbidden) needs_system_call.store(true, std::memory_order_relaxed);
  return !forbidden;
}

bool kernel_uses_tsc() noexcept {
  const Fd fd =
      open_file("/sys/devices/system/clocksource/clocksource0/current_clocksource", O_RDONLY);
  char text[16];
  const ssize_t got = fd ? ::read(fd.get(), text, sizeof text) : -1;
  return got >= 3 && std::string_view(text, 3) == "tsc";
}

std::atomic<std::uint64_t> next_clock_id{1};

}  // namespace

constinit thread_local Clock::Guard Clock::guards_[Clock::kGuards]
    __attribute__((tls_model("initial-exec"))) = {};

// No guarded statics in this file: a fork in the middle of one would leave the child waiting for a
// thread that it does not have. Rivals may work something out twice instead; relaxed, as both get
// the same.

bool tsc_is_trusted() noexcept {
  enum : int { unknown, no, yes };
  static constinit std::atomic<int> known{unknown};
  int trusted = known.load(std::memory_order_relaxed);
  if (trusted == unknown) {
    trusted = cpu_has_invariant_tsc() && kernel_uses_tsc() ? yes : no;
    known.store(trusted, std::memory_order_relaxed);
  }
  return may_read_tsc() && trusted == yes;
}

std::uint64_t read_boottime_ns() noexcept {
  return read_ns(CLOCK_BOOTTIME);
}
std::uint64_t read_unix_ns() noexcept {
  return read_ns(CLOCK_REALTIME);
}

Clock::Sample Clock::sample_both() noexcept {
  // The tightest of a few: a sample that was interrupted in the middle says little.
  constexpr std::uint64_t kTightTicks = 1'000;
  Sample best{0, 0, ~std::uint64_t{0}};
  for (int i = 0; i < 8 && best.tsc_after - best.tsc_before >= kTightTicks; ++i) {
    Sample s;
    s.tsc_before = read_tsc();
    s.boottime_ns = read_boottime_ns();
    s.tsc_after = read_tsc();
    if (s.tsc_after - s.tsc_before < best.tsc_after - best.tsc_before) best = s;
  }
  return best;
}

ClockEpoch start_clock(bool automatic, ClockKind wanted) {
  const bool trusted = tsc_is_trusted();
  if (automatic) wanted = trusted ? ClockKind::tsc : ClockKind::boottime;
  if (wanted == ClockKind::tsc && !trusted) {
    throw Error(Errc::unsupported,
                "clock tsc: this machine's TSC is not invariant, not trusted by the kernel, or "
                "forbidden to this process; use clock auto or boottime");
  }
  ClockEpoch epoch{wanted, 0, 0, 0, 0};
  if (wanted == ClockKind::tsc) {
    static constinit std::atomic<std::uint64_t> calibrated{0};
    if (calibrated.load(std::memory_order_relaxed) == 0)
      calibrated.store(Clock::calibrate(), std::memory_order_relaxed);
    epoch.ns_per_tick_32 = calibrated.load(std::memory_order_relaxed);
    const Clock::Sample sample = Clock::sample_both();  // one instant for both
    epoch.tsc = sample.tsc_before;
    epoch.boottime_ns = sample.boottime_ns;
  } else {
    epoch.boottime_ns = read_boottime_ns();
  }
  epoch.unix_ns = read_unix_ns();  // beside the others: windows are aligned by it
  return epoch;
}

/// Nanoseconds in a tick, 32.32, over 10 ms. A try whose samples were interrupted is made again;
/// the last one counts as it is: the guard finds out, and the segment leaves the TSC.
std::uint64_t Clock::calibrate() {
  std::uint64_t result = 0;
  for (int tries = 0; tries < 10; ++tries) {
    const Sample first = sample_both();
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    const Sample last = sample_both();
    const std::uint64_t ticks = last.tsc_before - first.tsc_before;
    __extension__ using Wide = unsigned __int128;
    result = static_cast<std::uint64_t>((Wide{last.boottime_ns - first.boottime_ns} << 32) /
                                        std::max<std::uint64_t>(ticks, 1));
    const std::uint64_t widths =
        (first.tsc_after - first.tsc_before) + (last.tsc_after - last.tsc_before);
    if (widths < ticks / 10'000) break;
  }
  return result;
}

Clock::Clock(const ClockEpoch& epoch, Header& header, bool may_write) noexcept
    : kind_(epoch.kind),
      id_(next_clock_id.fetch_add(1, std::memory_order_relaxed)),
      epoch_tsc_(epoch.tsc),
      ns_per_tick_32_(epoch.ns_per_tick_32),
      check_ticks_(epoch.ns_per_tick_32 != 0 ? (kCheckNs << 32) / epoch.ns_per_tick_32 : 0),
      epoch_boottime_ns_(epoch.boottime_ns),
      unix_ns_(epoch.unix_ns),
      offset_(&header.boottime_offset_ns),
      manual_(&header.manual_ns),
      shared_anchor_(&header.clock_anchor),
      may_write_(may_write) {
  static constinit std::atomic<bool> registered{false};
  in_forked_children(registered, [] { forget_guards(); });
  if (may_read_tsc() || kind_ != ClockKind::tsc) return;
  const Sample anchor = shared_anchor();
  if (may_write_) {
    (void)leave_tsc(anchor, read_boottime_ns());
  } else {  // alone, and as near to the others as the last look of one of them
    kind_ = ClockKind::boottime;
    epoch_boottime_ns_ = anchor.boottime_ns - ns_from_tsc(anchor.tsc_before);
  }
}

void Clock::forget_guards() noexcept {
  for (Guard& guard : guards_) guard.owner = 0;
}

std::uint64_t Clock::now_slowly() const noexcept {
  Guard& guard = guard_for(id_);
  const bool on_tsc = kind_ == ClockKind::tsc && offset_->load(std::memory_order_acquire) == 0;
  std::uint64_t boottime = read_boottime_ns();
  const bool fresh = guard.owner == id_ && boottime - guard.anchor.boottime_ns < kCheckNs;
  if (on_tsc || !fresh || ++guard.calls >= kCallsPerCheck) {
    // First the hook: it may take long, and it knows whether our clocks may be compared at all.
    if (hook_ != nullptr && !hook_(hook_context_)) return kNoTime;
    if (on_tsc) return look_at_both();
    boottime = read_boottime_ns();
    guard = {id_, 0, 0, {0, boottime, 0}};
  }
  return guard.look_ns = kernel_now(boottime);
}

/// The time of a clock that is not, or no longer, the TSC. acquire: pairs with the CAS in leave_tsc
/// and with advance; nothing but the word itself is read.
std::uint64_t Clock::kernel_now(std::uint64_t boottime_ns) const noexcept {
  if (kind_ == ClockKind::manual) return manual_->load(std::memory_order_acquire);
  const std::uint64_t offset =
      kind_ == ClockKind::tsc ? offset_->load(std::memory_order_acquire) : 0;
  return boottime_ns + (offset != 0 ? offset : 0 - epoch_boottime_ns_);
}

std::uint64_t Clock::look_at_both() const noexcept {
  Guard& guard = guard_for(id_);
  const bool first_look = guard.owner != id_;
  const Sample last =
      first_look ? shared_anchor() : guard.anchor;  // before the sample, so never newer
  const Sample sample = sample_both();
  if (!agree(last, sample)) {
    // Go on from the newest reading that was good: another thread's may be days younger than ours.
    const Sample shared = shared_anchor();
    const bool is_newer =
        shared.boottime_ns > last.boottime_ns && shared.boottime_ns <= sample.boottime_ns;
    return leave_tsc(is_newer ? shared : last, sample.boottime_ns);
  }
  // The anchor moves at most every 100 ms: over 30 us of calls even a TSC at double speed lies
  // within the tolerance, and if the anchor moved with every look it would never be found out.
  const bool renew = first_look || sample.boottime_ns - last.boottime_ns >= kCheckNs;
  const std::uint64_t now = ns_from_tsc(sample.tsc_after);
  guard = {id_, 0, now, renew ? sample : last};
  if (renew) renew_shared_anchor(shared_anchor(), sample);
  return now;
}

/// Since the last look, did both clocks pass the same time? The kernel's may be steered by 500 ppm.
bool Clock::agree(const Sample& last, const Sample& sample) const noexcept {
  constexpr std::uint64_t kJumpNs = 100'000;
  const std::uint64_t by_kernel = sample.boottime_ns - last.boottime_ns;
  const std::uint64_t tolerance = kJumpNs + by_kernel / 1'000;
  // A TSC that is behind, or a kernel clock that is, wraps to a huge difference and disagrees.
  const std::uint64_t least = ns_from_tsc(epoch_tsc_ + (sample.tsc_before - last.tsc_after));
  const std::uint64_t most = ns_from_tsc(epoch_tsc_ + (sample.tsc_after - last.tsc_before));
  const bool overlap =
      sample.tsc_before - last.tsc_after > sample.tsc_after - last.tsc_before;  // least wrapped
  return (overlap || least <= by_kernel + tolerance) && by_kernel <= most + tolerance;
}

Clock::Sample Clock::shared_anchor() const noexcept {
  const SlotWords words = Table<Slot>::settled(*shared_anchor_);
  return {words.tag, words.state, words.tag};
}

/// One CAS of both, so that nobody sees one clock of one look beside the other clock of another; if
/// it fails, somebody else's look is as good as ours.
void Clock::renew_shared_anchor(const Sample& last, const Sample& sample) const noexcept {
  constexpr std::uint64_t kEveryNs = 1'000'000'000;
  constexpr std::uint64_t kWidestNs = 20'000;  // there is no room for a bracket: it must need none
  if (ns_from_tsc(epoch_tsc_ + (sample.tsc_after - sample.tsc_before)) > kWidestNs) return;
  if (!may_write_ || sample.boottime_ns - last.boottime_ns < kEveryNs) return;
  shared_anchor_->compare_exchange({last.tsc_before, last.boottime_ns},
                                   {sample.tsc_before, sample.boottime_ns});
}

std::uint64_t Clock::leave_tsc(const Sample& good, std::uint64_t boottime_ns) const noexcept {
  std::uint64_t offset = ns_from_tsc(good.tsc_before) - good.boottime_ns;
  if (offset == 0) offset = 1;  // 0 means "the TSC holds"
  if (may_write_) {
    std::uint64_t expected = 0;
    // acq_rel: pairs with the acquire loads above; one offset wins and all processes use it.
    if (offset_->compare_exchange_strong(expected, offset, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      log(Severity::warning,
          "the TSC does not keep pace with the kernel's clock, or is forbidden: this segment uses "
          "CLOCK_BOOTTIME from now on");
    } else {
      offset = expected;
    }
  }
  return boottime_ns + offset;
}

}  // namespace rl::shm
