#include "bench/beside_sweep.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>
#include <vector>

#include "bench/histogram.hpp"
#include "bench/loops.hpp"
#include "bench/scratch.hpp"

namespace rl::bench {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// Keeps this thread on a CPU, where there are two.
void stay_on(unsigned cpu) noexcept {
  cpu_set_t cpus;
  CPU_ZERO(&cpus);
  CPU_SET(cpu, &cpus);
  (void)::sched_setaffinity(0, sizeof cpus, &cpus);  // else where the kernel likes
}

/// How the table is swept.
struct Sweeping {
  const char* name;
  std::uint64_t slots;                 ///< a step; 0: not at all
  std::chrono::milliseconds interval;  ///< from step to step
};
/// As rlreaper does at its default rate of 1,000,000 slots a second, and at full speed.
constexpr std::array<Sweeping, 3> kSweepings{
    {{"alone", 0, 0ms}, {"1M slots/s", 100'000, 100ms}, {"full speed", 100'000, 0ms}}};

/// Sweeps on the first CPU until its end.
class Sweeper {
 public:
  Sweeper(Reaper& reaper, const Sweeping& how) {
    if (how.slots == 0) return;
    thread_ = std::thread([this, &reaper, how] {
      stay_on(0);
      while (!ends_.load(std::memory_order_relaxed)) {  // nothing hangs on it but the word
        (void)reaper.sweep(how.slots);
        if (how.interval.count() != 0) std::this_thread::sleep_for(how.interval);
      }
    });
  }
  Sweeper(const Sweeper&) = delete;
  Sweeper& operator=(const Sweeper&) = delete;
  ~Sweeper() {
    ends_.store(true, std::memory_order_relaxed);
    if (thread_.joinable()) thread_.join();
  }

 private:
  std::atomic<bool> ends_{false};
  std::thread thread_;
};

/// Decides on random keys for a while, on the second CPU. The clock is read once for each, so a time
/// has the making of the key and a reading in it.
template <class Clock>
Histogram decide(Limiter& limiter, RandomKeys& keys, Clock clock, steady_clock::duration length) {
  Histogram times;
  const auto end = steady_clock::now() + length;
  while (steady_clock::now() < end) {
    std::uint64_t last = clock.now();
    for (int i = 0; i < 1'000; ++i) {
      (void)limiter.try_acquire(KeyText(keys.next()).view());
      const std::uint64_t now = clock.now();
      times.add(now - last);
      last = now;
    }
  }
  return times;
}

template <class Clock>
void add_rows(Report& report, Clock clock) {
  const bool is_quick = report.options().quick;
  const std::uint32_t count = is_quick ? 1'000 : 1'000'000;
  const auto length = is_quick ? 10ms : 500ms;
  Scratch segment({.keys = count});
  Limiter limiter = segment->limiter("fast", Limit::per_second(1'000'000));
  Reaper reaper(*segment);
  RandomKeys keys(count);
  stay_on(1);
  for (std::uint32_t i = 0; i < count; ++i) (void)limiter.try_acquire(KeyText(i).view());

  constexpr std::array<std::uint64_t, 2> kPercents{50, 99};
  std::array<std::array<std::vector<double>, kSweepings.size()>, kPercents.size()> samples;
  for (unsigned round = 0; round < report.options().turns(); ++round) {
    for (std::size_t how = 0; how < kSweepings.size(); ++how) {
      const Sweeper sweeper(reaper, kSweepings[how]);
      const Histogram times = decide(limiter, keys, clock, length);
      for (std::size_t p = 0; p < kPercents.size(); ++p)
        samples[p][how].push_back(
            static_cast<double>(times.at(static_cast<double>(kPercents[p]) / 100)));
    }
  }
  for (std::size_t p = 0; p < kPercents.size(); ++p) {
    for (std::size_t how = 1; how < kSweepings.size(); ++how) {
      const std::string row =
          fmt::format("a decision, p{}, {}", kPercents[p], kSweepings[how].name);
      report.add({{row, "beside a sweep", samples[p][how]}, {row, "alone", samples[p][0]}});
    }
  }
}

}  // namespace

void add_beside_sweep(Report& report) {
  if (report.machine().cores < 2)
    return report.skip("a decision beside a sweep", "each needs a CPU of its own");
  cpu_set_t before;
  if (::sched_getaffinity(0, sizeof before, &before) != 0)
    throw std::runtime_error("the CPUs of this thread cannot be asked for");
  with_bare_clock([&](auto clock) { add_rows(report, clock); });
  (void)::sched_setaffinity(0, sizeof before, &before);
}

}  // namespace rl::bench
