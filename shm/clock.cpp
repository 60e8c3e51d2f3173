#include "shm/clock.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>
#include <string_view>
#include <thread>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

#include "shm/os.hpp"

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

bool may_read_tsc() noexcept {
  int mode = 0;
  const bool may = ::prctl(PR_GET_TSC, &mode) == 0 && mode == PR_TSC_ENABLE;
  if (!may) needs_system_call.store(true, std::memory_order_relaxed);
  return may;
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

thread_local Clock::Guard Clock::guards_[Clock::kGuards] __attribute__((tls_model("initial-exec")));

bool tsc_is_trusted() noexcept {
  static const bool trusted = cpu_has_invariant_tsc() && kernel_uses_tsc();
  return trusted && may_read_tsc();
}

std::uint64_t read_boottime_ns() noexcept {
  return read_ns(CLOCK_BOOTTIME);
}
std::uint64_t read_unix_ns() noexcept {
  return read_ns(CLOCK_REALTIME);
}

Clock::Sample Clock::sample_both() noexcept {
  // The tightest of a few: a sample that was interrupted in the middle says little.
  Sample best{0, 0, ~std::uint64_t{0}};
  for (int i = 0; i < 4; ++i) {
    Sample s{};
    s.tsc_before = read_tsc();
    s.boottime_ns = read_boottime_ns();
    s.tsc_after = read_tsc();
    if (s.tsc_after - s.tsc_before < best.tsc_after - best.tsc_before) best = s;
    if (best.tsc_after - best.tsc_before < 1'000) break;
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
  ClockEpoch epoch{wanted, 0, 0, 0, read_unix_ns()};
  if (wanted == ClockKind::tsc) {
    static const std::uint64_t ns_per_tick_32 = [] {
      const Clock::Sample first = Clock::sample_both();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      const Clock::Sample last = Clock::sample_both();
      __extension__ using Wide = unsigned __int128;
      return static_cast<std::uint64_t>((Wide{last.boottime_ns - first.boottime_ns} << 32) /
                                        (last.tsc_before - first.tsc_before));
    }();
    epoch.ns_per_tick_32 = ns_per_tick_32;
    epoch.tsc = Clock::sample_both().tsc_before;
  }
  epoch.boottime_ns = read_boottime_ns();
  return epoch;
}

Clock::Clock(const ClockEpoch& epoch, Word& offset, Word& manual, bool may_write) noexcept
    : kind_(epoch.kind),
      id_(next_clock_id.fetch_add(1, std::memory_order_relaxed)),
      epoch_tsc_(epoch.tsc),
      ns_per_tick_32_(epoch.ns_per_tick_32),
      check_ticks_(epoch.ns_per_tick_32 != 0 ? (kCheckNs << 32) / epoch.ns_per_tick_32 : 0),
      epoch_boottime_ns_(epoch.boottime_ns),
      unix_ns_(epoch.unix_ns),
      offset_(&offset),
      manual_(&manual),
      may_write_(may_write) {
  [[maybe_unused]] static const int registered =
      ::pthread_atfork(nullptr, nullptr, [] { forget_guards(); });
  if (kind_ == ClockKind::tsc && !may_read_tsc()) {
    (void)leave_tsc(0 - epoch_boottime_ns_, read_boottime_ns());
  }
}

void Clock::forget_guards() noexcept {
  for (Guard& guard : guards_) guard.owner = 0;
}

std::uint64_t Clock::now_slowly() const noexcept {
  Guard& guard = guard_for(id_);
  if (kind_ == ClockKind::tsc && offset_->load(std::memory_order_acquire) == 0) {
    if (hook_ != nullptr)
      hook_(hook_context_);  // first: it may take long, and the reading is to be fresh
    return look_at_both();
  }
  std::uint64_t boottime = read_boottime_ns();
  const bool fresh = guard.owner == id_ && boottime - guard.boottime_ns < kCheckNs;
  if (!fresh || ++guard.calls >= kCallsPerCheck) {
    guard = {id_, 0, boottime, 0};
    if (hook_ != nullptr) hook_(hook_context_);
    boottime = read_boottime_ns();
  }
  switch (kind_) {
    case ClockKind::manual: return manual_->load(std::memory_order_acquire);  // pairs with advance
    case ClockKind::tsc: return boottime + offset_->load(std::memory_order_acquire);
    case ClockKind::boottime: break;
  }
  return boottime - epoch_boottime_ns_;
}

std::uint64_t Clock::look_at_both() const noexcept {
  Guard& guard = guard_for(id_);
  const Sample sample = sample_both();
  if (guard.owner != id_) {  // this thread's first look: all it can compare with is the epoch
    if (!agree({id_, epoch_tsc_, epoch_boottime_ns_, 0}, sample)) {
      return leave_tsc(0 - epoch_boottime_ns_, sample.boottime_ns);
    }
    guard = {id_, sample.tsc_before, sample.boottime_ns, 0};
  } else if (!agree(guard, sample)) {
    return leave_tsc(ns_from_tsc(guard.tsc) - guard.boottime_ns, sample.boottime_ns);
  } else if (sample.boottime_ns - guard.boottime_ns >= kCheckNs) {
    guard = {id_, sample.tsc_before, sample.boottime_ns, 0};
  } else {
    // Too soon to compare anew: over 30 us of calls even a TSC at double speed is within the
    // tolerance, and if the anchor moved with every look it would never be found out.
    guard.calls = 0;
  }
  return ns_from_tsc(sample.tsc_before);
}

/// Since the last look, did both clocks pass the same time? The kernel's may be steered by 500 ppm,
/// and the sample may have been interrupted, so its TSC is known only to lie between two readings.
bool Clock::agree(const Guard& last, const Sample& sample) const noexcept {
  constexpr std::uint64_t kJumpNs = 100'000;
  const std::uint64_t by_kernel = sample.boottime_ns - last.boottime_ns;
  const std::uint64_t tolerance = kJumpNs + by_kernel / 1'000;
  // A TSC behind the last look, or behind the epoch, wraps to a huge difference and disagrees.
  const std::uint64_t least = ns_from_tsc(epoch_tsc_ + (sample.tsc_before - last.tsc));
  const std::uint64_t most = ns_from_tsc(epoch_tsc_ + (sample.tsc_after - last.tsc));
  return least <= by_kernel + tolerance && by_kernel <= most + tolerance;
}

std::uint64_t Clock::leave_tsc(std::uint64_t offset, std::uint64_t boottime_ns) const noexcept {
  if (offset == 0) offset = 1;  // 0 means "the TSC holds"
  if (may_write_) {
    std::uint64_t expected = 0;
    // acq_rel: pairs with the acquire loads above; one offset wins and all processes use it.
    if (offset_->compare_exchange_strong(expected, offset, std::memory_order_acq_rel,
                                         std::memory_order_acquire)) {
      log(Severity::warning,
          "the TSC jumped, froze or is forbidden: this segment uses CLOCK_BOOTTIME from now on");
    } else {
      offset = expected;
    }
  }
  return boottime_ns + offset;
}

}  // namespace rl::shm
