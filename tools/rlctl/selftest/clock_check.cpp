#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>
#include <vector>

#include "shm/clock.hpp"
#include "tools/rlctl/selftest/machine.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::selftest {
namespace {

/// Clocks that disagree by more count as broken: it is what the library's own guard lets pass.
constexpr std::int64_t kDisagreementNs = 100'000;
/// And they must keep pace with the kernel's to 0.1 %.
constexpr std::int64_t kPacePpm = 1'000;

std::int64_t now_of(const Segment& segment) noexcept {
  return segment.now().time_since_epoch().count();
}

/// Reads the clock not before everything before it has happened; a CPU may read its TSC some ns
/// early.
std::int64_t late_now_of(const Segment& segment) noexcept {
#if defined(__x86_64__)
  __builtin_ia32_lfence();
#endif
  return now_of(segment);
}

std::vector<int> usable_cpus() {
  cpu_set_t set;
  std::vector<int> cpus;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  return cpus;
}

/// A reading that goes back and forth between two processes, each on a CPU of its own. Readings
/// that are handed on must not go back; how far they do is how much the CPUs disagree, and they
/// cannot disagree by more than the fastest exchange took.
struct Exchange {
  alignas(64) Word turn;  ///< even: the first writes; odd: the second
  std::atomic<std::int64_t> reading;
  Word end;
  Word pinned;
  std::array<std::atomic<std::int64_t>, 2> back_ns;  ///< the farthest that a reading went back
  std::atomic<std::int64_t> fastest_ns;
  Word exchanges;
};

void exchange_readings(Exchange& shared, unsigned side, int cpu, const Segment& segment) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) return;
  shared.pinned.fetch_add(1);
  std::int64_t sent = 0;
  for (std::uint64_t spins = 0; shared.end.load(std::memory_order_relaxed) == 0;) {
    const std::uint64_t turn = shared.turn.load(std::memory_order_acquire);
    if (turn % 2 != side) {
      // The other may need this CPU: it is one of many for others, too.
      if (++spins % 1'024 == 0) (void)::sched_yield();
      continue;
    }
    const std::int64_t now = late_now_of(segment);
    if (turn > 0) {
      const std::int64_t back = shared.reading.load(std::memory_order_relaxed) - now;
      if (back > shared.back_ns[side].load()) shared.back_ns[side].store(back);
    }
    if (side == 0 && sent != 0) {
      const std::int64_t took = now - sent;
      if (took > 0 && took < shared.fastest_ns.load()) shared.fastest_ns.store(took);
      bump(shared.exchanges);
    }
    sent = now;
    shared.reading.store(now, std::memory_order_relaxed);
    shared.turn.store(turn + 1, std::memory_order_release);  // pairs with the acquire above
  }
}

/// What all pairs of CPUs came to.
struct Agreement {
  std::uint64_t pairs = 0;
  std::uint64_t exchanges = 0;
  std::int64_t back_ns = 0;    ///< certain disagreement: effects seen before their causes
  std::int64_t within_ns = 0;  ///< the most that they can disagree
};

void compare(const Segment& segment, int first, int second, Nanoseconds length, Agreement& all,
             Part& part) {
  const SharedArray<Exchange> memory(1);
  Exchange& shared = memory[0];
  shared.fastest_ns.store(std::numeric_limits<std::int64_t>::max());
  std::vector<Process> processes;
  for (unsigned side = 0; side < 2; ++side) {
    const int cpu = side == 0 ? first : second;
    processes.emplace_back(
        [&shared, &segment, side, cpu] { exchange_readings(shared, side, cpu, segment); });
  }
  pause_until(std::chrono::steady_clock::now() + length);
  shared.end.store(1);
  part.add(wait_for_all(processes, kPatience));
  if (shared.pinned.load() != 2 || shared.exchanges.load() == 0) return;  // they never met
  ++all.pairs;
  all.exchanges += shared.exchanges.load();
  all.back_ns = std::max({all.back_ns, shared.back_ns[0].load(), shared.back_ns[1].load()});
  all.within_ns = std::max(all.within_ns, shared.fastest_ns.load());
}

/// All CPUs against the first.
void check_agreement(const Segment& segment, Nanoseconds length, Part& part) {
  const std::vector<int> cpus = usable_cpus();
  Agreement all;
  for (std::size_t i = 1; i < cpus.size(); ++i)
    compare(segment, cpus[0], cpus[i], length / static_cast<long>(cpus.size() - 1), all, part);
  part.counts.update(Json{{"cpus", cpus.size()},
                          {"pairs_compared", all.pairs},
                          {"exchanges", all.exchanges},
                          {"disagreement_ns", all.back_ns},
                          {"agree_within_ns", all.within_ns}});
  if (all.pairs == 0) {
    part.text += cpus.size() < 2 ? "; one CPU, which agrees with itself"
                                 : "; whether CPUs agree could not be seen: none met another";
    return;
  }
  part.text +=
      fmt::format("; {} CPUs agree to within {} ({} exchanges, {} ns back at most)", all.pairs + 1,
                  ctl::human_duration(Nanoseconds(all.within_ns)), all.exchanges, all.back_ns);
  if (all.back_ns > kDisagreementNs)
    part.faults.push_back(fmt::format("the clocks of two CPUs disagree by at least {}",
                                      ctl::human_duration(Nanoseconds(all.back_ns))));
}

/// The kernel's clock, between two readings of the segment's.
struct Sample {
  std::int64_t before = 0;
  std::int64_t kernel = 0;
  std::int64_t after = 0;
};

Sample sample(const Segment& segment) {
  Sample best;
  for (int i = 0; i < 32; ++i) {
    const std::int64_t before = now_of(segment);
    const auto kernel = static_cast<std::int64_t>(shm::read_boottime_ns());
    const std::int64_t after = now_of(segment);
    if (i == 0 || after - before < best.after - best.before) best = {before, kernel, after};
  }
  return best;
}

void check_pace(const Sample& first, const Sample& last, Part& part) {
  const std::int64_t kernel = std::max<std::int64_t>(last.kernel - first.kernel, 1);
  const std::int64_t least = last.before - first.after;
  const std::int64_t most = last.after - first.before;
  const std::int64_t off = least > kernel ? least - kernel : most < kernel ? most - kernel : 0;
  const std::int64_t ppm = off * 1'000'000 / kernel;
  part.counts.update(Json{{"pace_ppm", ppm}, {"pace_over_ns", kernel}});
  part.text += fmt::format("; {} ppm off CLOCK_BOOTTIME over {}", ppm,
                           ctl::human_duration(Nanoseconds(kernel)));
  if (std::abs(off) > kDisagreementNs + kernel / 1'000'000 * kPacePpm)
    part.faults.push_back(fmt::format("the clock is {} ppm off the kernel's", ppm));
}

std::string kernels_clock() {
  std::ifstream file("/sys/devices/system/clocksource/clocksource0/current_clocksource");
  std::string name;
  return file >> name ? ctl::escape(name) : "unknown";
}

void tell_kind(const SegmentInfo& info, Part& part) {
  const bool trusted = shm::tsc_is_trusted();
  if (info.clock == ClockSource::tsc) {
    part.text = "the TSC holds";
  } else if (info.tsc_left) {
    part.text = "the TSC did not keep pace and was left for CLOCK_BOOTTIME";
  } else {
    part.text = fmt::format("CLOCK_BOOTTIME, as the TSC is {} (the kernel's clock source is {})",
                            trusted ? "not wanted" : "not invariant, not trusted or forbidden",
                            kernels_clock());
  }
  part.counts.update(Json{{"clock", info.clock == ClockSource::tsc ? "tsc" : "boottime"},
                          {"tsc_trusted", trusted},
                          {"tsc_left", info.tsc_left},
                          {"kernel_clock", kernels_clock()}});
}

/// The median of some batches, on one hot key.
void tell_cost(Segment& segment, Part& part) {
  constexpr std::size_t kBatches = 9;
  constexpr std::int64_t kCalls = 10'000;
  Limiter limiter = segment.limiter("cost", Limit::per_second(1'000'000).burst(1'000'000));
  std::array<std::int64_t, kBatches> ns{};
  std::uint64_t allowed = 0;
  for (std::int64_t& batch : ns) {
    const auto start = std::chrono::steady_clock::now();
    for (std::int64_t i = 0; i < kCalls; ++i) allowed += limiter.try_acquire("hot") ? 1U : 0U;
    batch = Nanoseconds(std::chrono::steady_clock::now() - start).count() / kCalls;
  }
  std::sort(ns.begin(), ns.end());
  part.text += fmt::format("; a decision takes {} ns", ns[kBatches / 2]);
  part.counts.update(Json{{"decision_ns", ns[kBatches / 2]}, {"decisions_allowed", allowed}});
}

}  // namespace

Part check_clock(Nanoseconds length) {
  Part part{"clock", {}, Json::object(), {}};
  ScratchSegment segment({.keys = 100, .policies = 4});
  const auto end = std::chrono::steady_clock::now() + length;
  const Sample first = sample(*segment);
  Part details{"", {}, Json::object(), {}};
  check_agreement(*segment, length, details);
  pause_until(end);
  check_pace(first, sample(*segment), details);
  tell_cost(*segment, details);
  tell_kind(segment->info(), part);  // last, as it says whether the TSC was left meanwhile
  part.text += details.text;
  part.counts.update(details.counts);
  part.add(std::move(details.faults));
  return part;
}

}  // namespace rl::selftest
