#include "tools/rlctl/selftest/exactness.hpp"

#include <fmt/format.h>

#include <sched.h>

#include <string>
#include <vector>

#include "tools/rlctl/selftest/admissions.hpp"

namespace rl::selftest {
namespace {

using Clock = std::chrono::steady_clock;

/// What the processes tell, and how they begin and end together.
struct Shared {
  Word begin;
  Word end;
  Word calls;
  Word admitted;
  Word odd;  ///< answers that are neither ok nor limited
};

void wait_for(const Word& flag) noexcept {
  while (flag.load(std::memory_order_acquire) == 0) (void)::sched_yield();
}

/// Lets them all run one body until `length` has passed, and adds what goes wrong to the part.
/// With no length the bodies end by themselves.
void run_together(unsigned process_count, Shared& shared, Nanoseconds length,
                  const std::function<void(unsigned)>& body, Part& part) {
  shared.begin.store(0);
  shared.end.store(0);
  std::vector<Process> processes;
  for (unsigned i = 0; i < process_count; ++i) {
    processes.emplace_back([&, i] {
      wait_for(shared.begin);
      body(i);
    });
  }
  shared.begin.store(1);
  pause_until(Clock::now() + length);
  shared.end.store(1);
  part.add(wait_for_all(processes, kPatience));
}

void check_bursts(unsigned process_count, Nanoseconds length, Part& part) {
  constexpr std::uint64_t kBurst = 20'000;
  constexpr std::uint64_t kMost = 1'000;
  ScratchSegment segment({.keys = kMost, .policies = 4});
  const Limit limit = Limit::per_day(1).burst(kBurst);  // nothing comes back while we look
  Limiter limiter = segment->limiter("burst", limit);
  const SharedArray<Shared> memory(1);
  Shared& shared = memory[0];
  std::uint64_t bursts = 0;
  const auto end = Clock::now() + length;
  while (part.faults.empty() && bursts < kMost && (bursts == 0 || Clock::now() < end)) {
    const std::string key = fmt::format("burst-{}", bursts++);
    shared.admitted.store(0);
    const auto exhaust = [&](unsigned) {
      std::uint64_t admitted = 0;
      Decision decision;
      do {
        decision = limiter.try_acquire(key);
        admitted += decision ? 1U : 0U;
      } while (decision && admitted <= kBurst);
      shared.admitted.fetch_add(admitted);
      shared.odd.fetch_add(decision.reason == Reason::limited ? 0U : 1U);
    };
    run_together(process_count, shared, Nanoseconds(0), exhaust, part);
    if (const std::uint64_t admitted = shared.admitted.load(); admitted != kBurst)
      part.faults.push_back(fmt::format("a burst of {} admitted {}", kBurst, admitted));
  }
  if (shared.odd.load() != 0) part.faults.emplace_back("a burst did not end with \"limited\"");
  part.text = fmt::format("{} processes; {} bursts of {} {}", process_count, bursts, kBurst,
                          part.faults.empty() ? "admitted exactly" : "tried");
  part.counts.update(Json{{"processes", process_count}, {"bursts", bursts}, {"burst", kBurst}});
}

void check_streams(unsigned process_count, Nanoseconds length, Part& part) {
  constexpr std::uint32_t kKeys = 8;
  constexpr std::size_t kRoomEach = std::size_t{1} << 18;
  ScratchSegment segment({.keys = 1'000, .policies = 4});
  const Limit limit = Limit::per_second(2'000).burst(50);
  Limiter limiter = segment->limiter("stream", limit);
  Records records(process_count, kRoomEach);
  const SharedArray<Shared> memory(1);
  Shared& shared = memory[0];
  std::vector<std::string> keys;
  for (std::uint32_t key = 0; key < kKeys; ++key) keys.push_back(fmt::format("stream-{}", key));

  const auto call = [&](unsigned process) {
    const auto now = [&] { return segment->now().time_since_epoch().count(); };
    std::uint64_t calls = 0;
    const auto may_end = [&] {  // not before the burst of each key is spent, however slow we are
      return shared.end.load(std::memory_order_relaxed) != 0 && calls > kKeys * limit.burst();
    };
    while (!may_end() && !records.is_full(process)) {
      const auto key = static_cast<std::uint32_t>(calls++ % kKeys);
      const std::int64_t before = now();
      const Decision decision = limiter.try_acquire(keys[key]);
      if (decision.allowed) (void)records.add(process, {key, 0, before, now()});
      if (decision.reason != Reason::ok && decision.reason != Reason::limited)
        shared.odd.fetch_add(1);
    }
    shared.calls.fetch_add(calls);
  };
  run_together(process_count, shared, length, call, part);

  std::uint64_t admitted = 0;
  const auto by_key = records.by_key(process_count, kKeys);
  // Readings of before and after the TSC was left are not on one scale.
  const bool clock_left = segment->info().tsc_left;
  for (std::uint32_t key = 0; key < kKeys; ++key) {
    admitted += by_key[key].size();
    if (clock_left) continue;
    if (auto fault = bound_fault(keys[key], limit, by_key[key], 0))
      part.faults.push_back(std::move(*fault));
  }
  if (shared.odd.load() != 0)
    part.faults.emplace_back("calls of a stream were answered neither \"ok\" nor \"limited\"");
  if (admitted < kKeys * limit.burst())
    part.faults.push_back(
        fmt::format("{} keys of {} admitted only {}", kKeys, limit.to_string(), admitted));
  part.text += fmt::format("; {} keys of {}: {} of {} calls admitted, {}", kKeys, limit.to_string(),
                           admitted, shared.calls.load(),
                           clock_left            ? "not judged, as the clock changed"
                           : part.faults.empty() ? "the bound holds in every window"
                                                 : "every window judged");
  part.counts.update(Json{{"stream_keys", kKeys},
                          {"stream_limit", limit.to_string()},
                          {"stream_calls", shared.calls.load()},
                          {"stream_admitted", admitted}});
}

}  // namespace

Part check_exactness(unsigned process_count, Nanoseconds length) {
  Part part{"exactness", {}, Json::object(), {}};
  check_bursts(process_count, length / 2, part);
  check_streams(process_count, length / 2, part);
  return part;
}

}  // namespace rl::selftest
