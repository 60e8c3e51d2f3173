#include "bench/peers/turns.hpp"

#include <benchmark/benchmark.h>

#include <utility>

namespace rl::bench {
namespace {

/// Loops of our own, timed as the peers are.
template <class Keys>
Turn turn_of(Decisions<Keys> decisions, std::uint64_t steps) {
  return {"librl", steps, [decisions](std::uint64_t count, unsigned round) {
            Decisions<Keys> mine = decisions;
            mine.start(round);
            const std::uint64_t before = own_cpu_ns();
            for (std::uint64_t i = 0; i < count; ++i) benchmark::DoNotOptimize(mine());
            return static_cast<double>(own_cpu_ns() - before);
          }};
}

}  // namespace

Turn Rows::librl(const KeySet& keys) {
  if (keys.count == 1)
    return turn_of(Decisions<HotKey>{hot_segment_->limiter("api", kGenerous), HotKey(), true},
                   2'000'000);
  Limiter limiter = many_segment_->limiter("api", kGenerous);
  if (!std::exchange(filled_, true)) {
    for (std::uint32_t i = 0; i < keys.count; ++i) (void)limiter.try_acquire(KeyText(i).view());
  }
  return turn_of(Decisions<RandomKeys>{limiter, RandomKeys(keys.count), true}, 500'000);
}

void Rows::add(const KeySet& keys, const std::string& peer, const std::vector<Turn>& turns) {
  std::vector<Turn> all{librl(keys)};
  all.insert(all.end(), turns.begin(), turns.end());
  const bool quick = report_.options().quick;
  std::vector<Result> results;
  for (Turn& turn : all) {
    if (quick) turn.steps = std::max<std::uint64_t>(turn.steps / 50, kInARow);
    results.push_back({fmt::format("{}: {}", keys.name, peer), turn.name, {}});
    (void)turn.run(std::max(turn.steps / 8, kInARow), 0);
  }
  take_turns(results, quick ? 3 : report_.options().rounds, [&](std::size_t i, unsigned round) {
    return all[i].run(all[i].steps, round) / static_cast<double>(all[i].steps);
  });
  report_.add(results);
}

}  // namespace rl::bench
