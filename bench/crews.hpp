/// \file
/// Several processes that step together until they are told to stop.
#pragma once

#include <sched.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include <rl/rl.hpp>

#include "bench/loops.hpp"

namespace rl::bench {

/// Keys of one process: how many, and where they begin. One for all, or a thousand of its own.
struct KeyRange {
  std::uint32_t count;
  std::uint32_t first;
};

/// What the processes of a run share. Each line has one writer.
struct alignas(64) Signal {
  std::atomic<std::uint32_t> value;
};
struct alignas(64) Tally {
  std::atomic<std::uint64_t> steps;
};

/// One process's part in a run: says that it is ready, waits, and steps until told to stop.
class Lane {
 public:
  Lane(unsigned index, Signal& ready, const Signal& phase, Tally& tally)
      : index_(index), ready_(ready), phase_(phase), tally_(tally) {}
  [[nodiscard]] unsigned index() const noexcept { return index_; }

  template <class Step>
  void run(Step&& step) {
    step();                                                // a process's first call attaches
    ready_.value.fetch_add(1, std::memory_order_release);  // pairs with run_crew: it is counted in
    while (phase_.value.load(std::memory_order_acquire) == kWait) ::sched_yield();
    std::uint64_t steps = 0;
    // relaxed: the flag says no more than "stop"; a batch keeps its line out of the measurement.
    while (phase_.value.load(std::memory_order_relaxed) != kStop) {
      for (unsigned i = 0; i < kBatch; ++i) step();
      steps += kBatch;
    }
    tally_.steps.store(steps, std::memory_order_relaxed);  // published by the end of the process
  }

  static constexpr std::uint32_t kWait = 0;
  static constexpr std::uint32_t kGo = 1;
  static constexpr std::uint32_t kStop = 2;

 private:
  static constexpr unsigned kBatch = 32;
  unsigned index_;
  Signal& ready_;
  const Signal& phase_;
  Tally& tally_;
};

/// Somebody to be run by several processes at once.
struct Crew {
  std::string name;
  std::function<void(Lane& lane, KeyRange keys)> body;
};

/// Returns "1 process, one key", or "2 processes, one key".
std::string row_of(unsigned processes, const std::string& what);

/// Returns who asks a limiter. It is used by the crew.
Crew crew_of(Limiter& limiter);

/// Returns who does the floor of that. A decision that loses the race for its slot tries again, so the
/// floor does, too.
template <class Clock>
Crew crew_of_floor(const FloorArray& array, Clock clock) {
  return {"floor", [&array, clock](Lane& lane, KeyRange range) {
            RandomKeys keys(range.count, range.first);
            keys.start(lane.index());
            Clock mine = clock;
            lane.run([&] {
              const KeyText key(keys.next());
              while (!array.swap(key.view(), mine)) {
              }
            });
          }};
}

/// Runs a crew once, each process on one of `cpus`, or where the kernel likes for 0. Returns million
/// steps a second, all processes together. Errors: std::runtime_error.
double run_crew(const Crew& crew, unsigned processes, bool disjoint, double seconds, unsigned cpus);

}  // namespace rl::bench
