// A machine on which every other CPU's CLOCK_BOOTTIME is 20 ms ahead: preloaded into rlctl, so that
// the self-test has something to find.

#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

extern "C" __attribute__((visibility("default"))) int clock_gettime(clockid_t id,
                                                                    timespec* ts) noexcept {
  const auto result = static_cast<int>(::syscall(SYS_clock_gettime, id, ts));
  if (result != 0 || id != CLOCK_BOOTTIME || ::sched_getcpu() % 2 == 0) return result;
  ts->tv_nsec += 20'000'000;
  if (ts->tv_nsec >= 1'000'000'000) {
    ts->tv_nsec -= 1'000'000'000;
    ++ts->tv_sec;
  }
  return result;
}
