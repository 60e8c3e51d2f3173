#include "shm/wait.hpp"

#include <pthread.h>
#include <time.h>

#include <algorithm>
#include <utility>

namespace rl::shm {
namespace {

constexpr std::uint64_t kSecondNs = 1'000'000'000;
constexpr std::uint64_t kGraceNs = kSecondNs;
constexpr std::uint64_t kPollNs = 1'000'000;  // of a manual clock: nothing tells when it is moved
constexpr std::uint64_t kMostNs = std::uint64_t{1} << 61;

/// Sleeps for so long, or until a signal.
void sleep_for(std::uint64_t ns) noexcept {
  timespec length{};
  length.tv_sec = static_cast<time_t>(ns / kSecondNs);
  length.tv_nsec = static_cast<decltype(length.tv_nsec)>(ns % kSecondNs);
  // A thread that is cancelled is so after its call: nothing may be thrown through it.
  int before = 0;
  ::pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
  // On the clock that a segment's goes on with when the machine was suspended.
  (void)::clock_nanosleep(CLOCK_BOOTTIME, 0, &length, nullptr);
  ::pthread_setcancelstate(before, nullptr);
}

}  // namespace

bool wait_until(const Clock& clock, std::uint64_t at_ns, std::uint64_t most_ns) noexcept {
  const bool is_manual = clock.kind() == ClockKind::manual;
  most_ns = std::min(most_ns, kMostNs);
  const std::uint64_t patience_ns = most_ns + clock.drift_allowance(most_ns) + kGraceNs;
  std::uint64_t kernels_now = read_boottime_ns();
  std::uint64_t kernels_end = kernels_now + patience_ns;
  std::uint64_t now = clock.now();
  while (now < at_ns) {
    if (kernels_now >= kernels_end) return !is_manual;
    sleep_for(is_manual ? kPollNs : std::min(at_ns - now, kernels_end - kernels_now));
    const std::uint64_t before = std::exchange(now, clock.now());
    kernels_now = read_boottime_ns();
    if (is_manual && now > before) kernels_end = kernels_now + patience_ns;
  }
  return true;
}

}  // namespace rl::shm
