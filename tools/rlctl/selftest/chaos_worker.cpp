#include <time.h>

#include <random>

#include "tools/rlctl/selftest/chaos_arena.hpp"

namespace rl::selftest {
namespace {

std::uint64_t cpu_time_ns() noexcept {
  timespec ts{};
  (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
  return static_cast<std::uint64_t>(ts.tv_sec) * 1'000'000'000U +
         static_cast<std::uint64_t>(ts.tv_nsec);
}

/// One life of one worker.
class Worker {
 public:
  Worker(Arena& arena, unsigned index, std::uint64_t seed)
      : arena_(arena), index_(index), watches_(index % 2 == 1), random_(seed) {}

  void live() {
    WatchedSlot::tally.dice = random_();
    while (arena_.stop[0].load(std::memory_order_relaxed) == 0 && !arena_.records.is_full(index_)) {
      step();
      bump(notes().calls);
    }
  }

 private:
  WorkerNotes& notes() const noexcept { return arena_.notes[index_]; }
  std::uint32_t below(std::uint32_t n) { return static_cast<std::uint32_t>(random_() % n); }

  void step() {
    const std::uint32_t die = below(64);
    if (die < 24) return acquire(Crowd::ledger, 0);
    if (die < 38) return acquire(Crowd::hot, below(spec_of(Crowd::hot).keys));
    if (die < 54) return acquire(Crowd::crowd, passer_by(Crowd::crowd, 60));
    if (die < 58) return acquire(Crowd::guests, passer_by(Crowd::guests, 20));
    if (die < 61) return acquire_of_flood();
    if (die < 62) return reset(below(8) != 0 ? Crowd::crowd : Crowd::flood);
    if (below(8) == 0) reap(below(8) != 0 ? Crowd::crowd : Crowd::flood);
  }

  /// A key of those that are just passing: a window over the crowd's keys that moves on, so that
  /// the keys behind it become idle, and that narrows now and then, so that they stay so.
  std::uint32_t passer_by(Crowd crowd, std::uint32_t at_once) {
    const std::uint64_t now = arena_.ground_of(crowd).view.clock.now();
    const std::uint64_t moves = now / 10'000'000 * 11;
    if (now / 40'000'000 % 2 == 1) at_once /= 10;
    return static_cast<std::uint32_t>((moves + below(at_once)) % spec_of(crowd).keys);
  }

  void acquire_of_flood() {
    const std::uint64_t turn = arena_.flood_turn[0].fetch_add(1, std::memory_order_relaxed);
    const std::uint64_t first = turn / kFloodCallsPerKey;
    bump(notes().flood_calls);
    acquire(Crowd::flood,
            static_cast<std::uint32_t>((first + below(kFloodAtOnce)) % spec_of(Crowd::flood).keys));
  }

  void acquire(Crowd crowd, std::uint32_t nth) {
    const shm::Clock& clock = arena_.ground_of(crowd).view.clock;
    const bool sampled = below(16) == 0;
    const std::uint64_t cpu_before = sampled ? cpu_time_ns() : 0;
    const auto before = static_cast<std::int64_t>(clock.now());
    Decision decision = decide(crowd, arena_.key(crowd, nth));
    const auto after = static_cast<std::int64_t>(clock.now());
    if (sampled) raise_to(notes().longest_ns, cpu_time_ns() - cpu_before);
    if (arena_.fault != nullptr) arena_.fault(crowd, decision);
    if (decision.reason == Reason::full) {
      bump(notes().full);
    } else if (decision.allowed && crowd == Crowd::ledger) {
      bump(notes().ledger);
    } else if (decision.allowed) {
      (void)arena_.records.add(index_, {spec_of(crowd).first_key + nth, 0, before, after});
    }
  }

  Decision decide(Crowd crowd, const std::string& key) {
    if (!watches_) return arena_.limiter(crowd).try_acquire(key);
    const SwapTally before = WatchedSlot::tally;
    const Decision decision = watched_acquire(arena_.binding(crowd), key);
    const std::uint64_t swaps = WatchedSlot::tally.tries - before.tries;
    bump(notes().swaps, swaps);
    bump(notes().lost_races, WatchedSlot::tally.lost - before.lost);
    raise_to(notes().most_swaps, swaps);
    return decision;
  }

  void reset(Crowd crowd) {
    const std::uint32_t nth = below(spec_of(crowd).keys);
    if (!may_be_reset(crowd, nth)) return;
    arena_.resets[spec_of(crowd).first_key + nth].fetch_add(1);
    (void)arena_.limiter(crowd).reset(arena_.key(crowd, nth));
  }

  /// Frees the slots of a stretch of the table whose keys owe nothing, as a reaper would.
  void reap(Crowd crowd) {
    const Binding& binding = arena_.binding(crowd);
    CallRules<OwnTime> rules(binding, OwnTime{&binding.view->clock}, Acquire{1});
    rules.begin_judging();
    const auto is_idle = [&](shm::SlotWords words) {
      return shm::is_member(words.tag) &&
             rules.judge(shm::policy_of(words.tag), words.state) == shm::Standing::idle;
    };
    const shm::Table<WatchedSlot> table = watched_table(*binding.view);
    const std::uint64_t first = random_() % table.slot_count();
    for (std::uint64_t i = 0; i < 16; ++i)
      bump(notes().reaped, table.free_if((first + i) % table.slot_count(), is_idle) ? 1 : 0);
  }

  Arena& arena_;
  unsigned index_;
  bool watches_;
  std::mt19937_64 random_;
};

}  // namespace

void work(Arena& arena, unsigned index, std::uint64_t seed) {
  Worker(arena, index, seed).live();
}

}  // namespace rl::selftest
