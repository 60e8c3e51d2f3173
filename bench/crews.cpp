#include "bench/crews.hpp"

#include <chrono>
#include <stdexcept>
#include <thread>

#include "bench/scratch.hpp"

namespace rl::bench {
namespace {

using std::chrono::steady_clock;

void pin_to(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) throw std::runtime_error("cannot pin");
}

}  // namespace

std::string row_of(unsigned processes, const std::string& what) {
  return std::to_string(processes) + (processes == 1 ? " process, " : " processes, ") + what;
}

Crew crew_of(Limiter& limiter) {
  return {"librl", [&limiter](Lane& lane, KeyRange range) {
            RandomKeys keys(range.count, range.first);
            keys.start(lane.index());
            lane.run([&] { (void)limiter.try_acquire(KeyText(keys.next()).view()); });
          }};
}

double run_crew(const Crew& crew, unsigned processes, bool disjoint, double seconds,
                unsigned cpus) {
  SharedArray<Signal> signals(2);
  Signal& ready = signals[0];
  Signal& phase = signals[1];
  SharedArray<Tally> tallies(processes);
  Children children;
  for (unsigned i = 0; i < processes; ++i) {
    children.fork([&] {
      if (cpus != 0) pin_to(i % cpus);
      Lane lane(i, ready, phase, tallies[i]);
      crew.body(lane, disjoint ? KeyRange{1'000, i * 1'000} : KeyRange{1, 0});
    });
  }
  const auto give_up = steady_clock::now() + std::chrono::seconds(20);
  while (ready.value.load(std::memory_order_acquire) < processes) {
    if (steady_clock::now() > give_up) throw std::runtime_error("a child does not start");
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto begin = steady_clock::now();
  phase.value.store(Lane::kGo, std::memory_order_release);
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  phase.value.store(Lane::kStop, std::memory_order_relaxed);
  const std::chrono::duration<double> took = steady_clock::now() - begin;
  children.wait_for_all();
  std::uint64_t steps = 0;
  for (unsigned i = 0; i < processes; ++i)
    steps += tallies[i].steps.load(std::memory_order_relaxed);  // they have ended
  return static_cast<double>(steps) / took.count() / 1e6;
}

}  // namespace rl::bench
