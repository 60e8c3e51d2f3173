#include "tools/rlctl/selftest/chaos.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <optional>
#include <random>

#include "tools/rlctl/selftest/chaos_arena.hpp"

namespace rl::selftest {
namespace {

/// Both have 80 slots.
SegmentOptions crowded_options() {
  return {.keys = 45, .policies = 8};
}

/// A worker as its supervisor sees it.
struct Ward {
  std::optional<Process> process;
  bool is_stopped = false;
  std::chrono::steady_clock::time_point resume_at;
  std::uint64_t calls_at_birth = 0;
  std::uint64_t calls_seen = 0;
  Nanoseconds alive_at{0};  ///< in active time
};

/// Starts, kills, stops and watches the workers of one round.
class Supervisor {
 public:
  Supervisor(Arena& arena, const ChaosOptions& options, ChaosCounts& counts)
      : arena_(arena),
        options_(options),
        counts_(counts),
        random_(options.seed),
        wards_(arena.workers) {}

  void run() {
    for (unsigned i = 0; i < arena_.workers; ++i) give_birth(i);
    const auto end = std::chrono::steady_clock::now() + options_.length;
    auto next = std::chrono::steady_clock::now();
    while (counts_.faults.empty() && !is_full()) {
      NotedSignals::look();
      const auto now = std::chrono::steady_clock::now();
      if (now >= end && all_have_worked()) break;
      resume_those_due(now);
      if (now >= next) {
        disturb();
        next = now + std::chrono::microseconds(random_() % 1'500);
      }
      watch();
      pause_us(100);
    }
    finish();
  }

 private:
  void give_birth(unsigned index) {
    Ward& ward = wards_[index];
    const std::uint64_t seed = random_();
    ward.calls_at_birth = ward.calls_seen = calls_of(index);
    ward.is_stopped = false;
    ward.alive_at = time_.now();
    ward.process.emplace([this, index, seed] { work(arena_, index, seed); });
  }

  [[nodiscard]] std::uint64_t calls_of(unsigned index) const {
    return arena_.notes[index].calls.load(std::memory_order_relaxed);
  }

  [[nodiscard]] bool is_full() const {
    for (unsigned i = 0; i < arena_.workers; ++i)
      if (arena_.records.is_full(i)) return true;
    return false;
  }

  [[nodiscard]] bool all_have_worked() const {
    for (unsigned i = 0; i < arena_.workers; ++i)
      if (calls_of(i) == 0) return false;
    return true;
  }

  void resume_those_due(std::chrono::steady_clock::time_point now) {
    for (Ward& ward : wards_)
      if (ward.is_stopped && now >= ward.resume_at) resume(ward);
  }

  void resume(Ward& ward) {
    ward.process->resume();
    ward.is_stopped = false;
    ward.alive_at = time_.now();
  }

  /// Kills or stops anybody but the first, running or stopped, in the middle of its work.
  void disturb() {
    const auto index = static_cast<unsigned>(1 + random_() % (arena_.workers - 1));
    Ward& ward = wards_[index];
    if (calls_of(index) == ward.calls_at_birth) return;  // not born yet
    if (random_() % 2 == 0) {
      if (!ward.process->kill() && !arena_.records.is_full(index))
        counts_.faults.push_back(fmt::format("worker {} had ended before it was killed", index));
      ++counts_.kills;
      give_birth(index);
    } else if (!ward.is_stopped) {
      ward.process->stop();
      ++counts_.stops;
      ward.is_stopped = true;
      ward.resume_at =
          std::chrono::steady_clock::now() + std::chrono::microseconds(random_() % 20'000);
    }
  }

  /// Guarantee P from outside: whoever is not stopped makes calls, whatever the others are.
  void watch() {
    const Nanoseconds now = time_.now();
    for (unsigned i = 0; i < arena_.workers; ++i) {
      Ward& ward = wards_[i];
      if (const auto code = ward.process->ended(); code && !arena_.records.is_full(i))
        counts_.faults.push_back(fmt::format("worker {} ended with {} by itself", i, *code));
      if (const std::uint64_t calls = calls_of(i); calls != ward.calls_seen || ward.is_stopped) {
        ward.calls_seen = calls;
        ward.alive_at = now;
      }
      if (now - ward.alive_at > kPatience)
        counts_.faults.push_back(
            fmt::format("worker {} made no call for 10 s, at its call {}", i, ward.calls_seen));
    }
  }

  void finish() {
    arena_.stop[0].store(1);
    std::vector<Process> last;
    for (Ward& ward : wards_) {
      if (ward.is_stopped) resume(ward);
      if (ward.process->pid() > 0) last.push_back(std::move(*ward.process));
    }
    for (std::string& fault : wait_for_all(last, kPatience))
      counts_.faults.push_back(std::move(fault));
  }

  Arena& arena_;
  const ChaosOptions& options_;
  ChaosCounts& counts_;
  std::mt19937_64 random_;
  std::vector<Ward> wards_;
  ActiveTime time_;
};

}  // namespace

Ground::Ground(bool firm)
    : segment(crowded_options()),
      view(shm::Mapping::attach(segment->path(), shm::Access::read_write, false), segment->path()) {
  for (const CrowdSpec& spec : kCrowdSpecs)
    if (spec.firm == firm) (void)segment->limiter(spec.name, Limit::parse(spec.limit));
}

Arena::Arena(unsigned worker_count, Fault planted)
    : workers(worker_count),
      fault(planted),
      notes(worker_count),
      resets(kKeys),
      stop(1),
      flood_turn(1),
      records(worker_count, std::size_t{1} << 18) {
  for (const CrowdSpec& spec : kCrowdSpecs) {
    Ground& ground = spec.firm ? firm : yielding;
    limiters.push_back(ground.segment->limiter(spec.name));
    bindings.push_back(bind(ground.view, spec.name));
    for (std::uint32_t nth = 0; nth < spec.keys; ++nth)
      key_texts.push_back(fmt::format("{}-{}", spec.name, nth));
  }
  spread_flood();
  // Before the crowd comes, so that it finds room. It never owes nothing, so it stays.
  (void)limiter(Crowd::ledger).try_acquire(key(Crowd::ledger, 0));
}

/// An eviction among equals takes the first slot on the list: keys of one first slot that are
/// called at once would evict each other for ever, and so give everything an excuse.
void Arena::spread_flood() {
  const Binding& flood = binding(Crowd::flood);
  std::vector<std::uint64_t> first_slots;
  for (std::uint32_t nth = 0; nth < spec_of(Crowd::flood).keys; ++nth) {
    std::string& text = key_texts[spec_of(Crowd::flood).first_key + nth];
    const auto recent = first_slots.size() - std::min<std::size_t>(nth, kFloodAtOnce - 1);
    for (std::uint32_t tries = 0;; ++tries) {  // ends: there are more slots than are called at once
      text = fmt::format("flood-{}-{}", nth, tries);
      const auto hash = shm::KeyHash::from(flood.hasher(text.data(), text.size()));
      const std::uint64_t slot = flood.view->table.candidates(hash).slot_at(0);
      const auto begin = first_slots.begin() + static_cast<std::ptrdiff_t>(recent);
      if (std::find(begin, first_slots.end(), slot) != first_slots.end()) continue;
      first_slots.push_back(slot);
      break;
    }
  }
}

void ChaosCounts::add(const ChaosCounts& other) {
  rounds += other.rounds;
  kills += other.kills;
  stops += other.stops;
  calls += other.calls;
  admissions += other.admissions;
  ledger += other.ledger;
  resets += other.resets;
  reaped += other.reaped;
  idle_overwritten += other.idle_overwritten;
  evicted += other.evicted;
  flood_calls += other.flood_calls;
  broken += other.broken;
  full += other.full;
  tentatives_freed += other.tentatives_freed;
  tentatives_left += other.tentatives_left;
  gave_up += other.gave_up;
  lost_races += other.lost_races;
  swaps += other.swaps;
  most_swaps = std::max(most_swaps, other.most_swaps);
  longest_ns = std::max(longest_ns, other.longest_ns);
  clock_left += other.clock_left;
  faults.insert(faults.end(), other.faults.begin(), other.faults.end());
}

ChaosCounts run_chaos(const ChaosOptions& options) {
  Arena arena(options.workers, options.fault);
  ChaosCounts counts;
  counts.rounds = 1;
  Supervisor(arena, options, counts).run();
  judge(arena, counts);
  return counts;
}

unsigned suitable_workers() {
  cpu_set_t cpus;
  const int usable = ::sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 1;
  return static_cast<unsigned>(std::clamp(2 * usable, 4, 32));
}

}  // namespace rl::selftest
