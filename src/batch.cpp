// Many keys at once. One of many keys is not in the cache, and the compare-and-swap of a decision,
// a full barrier, lets nobody ask for the next key's line before it is done. So the lines of a
// chunk of keys are asked for first, and come side by side.
#include <rl/limiter.hpp>

#include <algorithm>
#include <array>

#include "shm/ahead.hpp"
#include "src/decide.hpp"

namespace rl {
namespace {

/// What was asked for has come when it is used, and is still there (bench/README.md).
constexpr std::size_t kChunk = 32;

using Keys = std::span<const std::string_view>;

/// A chunk of keys, and where they are.
struct Chunk {
  using Seen = shm::Table<shm::Slot>::Seen;

  std::array<shm::Hash128, kChunk> hashes;
  std::array<std::uint64_t, kChunk> tags;
  std::array<Seen, kChunk> seen;

  Chunk(const Binding& binding, Keys keys) noexcept {
    const shm::Table<shm::Slot>& table = binding.view->table;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      hashes[i] = binding.hasher(keys[i].data(), keys[i].size());
      const auto who = shm::KeyHash::from(hashes[i]);
      tags[i] = shm::make_tag(who.identity, binding.id);
      prefetch_home(table, table.candidates(who));
    }
    // Who is not at home is noted without a branch, as that cannot be predicted either.
    std::array<std::size_t, kChunk> away;
    std::size_t away_count = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      seen[i] = table.look_at_home(shm::KeyHash::from(hashes[i]), tags[i]);
      away[away_count] = i;
      away_count += seen[i].words.tag != tags[i] ? 1 : 0;
    }
    const std::span who = std::span(away).first(away_count);
    for (const std::size_t i : who) table.prefetch_beyond_home(shm::KeyHash::from(hashes[i]));
    for (const std::size_t i : who) {
      seen[i] = table.look_beyond_home(shm::KeyHash::from(hashes[i]), tags[i]);
      prefetch(&table.counts_beside(*seen[i].cell));
    }
  }

  /// Looks again, as a key may stand twice among those of a call.
  [[nodiscard]] Seen now(std::size_t i) const noexcept {
    return {seen[i].cell, seen[i].cell->words()};
  }
};

template <class Algorithm>
void decide_chunk(const Algorithm& algorithm, const Binding& binding, Keys keys,
                  Decision* decisions, std::uint64_t cost) noexcept {
  const View& view = *binding.view;
  const Chunk chunk(binding, keys);
  const SharedTime time{&view.clock, view.clock.now()};
  for (std::size_t i = 0; i < keys.size(); ++i) {
    // Made in place: a copy would wait for its parts to be written.
    new (&decisions[i]) Decision(keys[i].empty() ? refused(view, keys[i], cost)
                                                 : decide_in_slot(algorithm, binding, time, keys[i],
                                                                  chunk.hashes[i], chunk.tags[i],
                                                                  chunk.now(i), cost));
  }
}

}  // namespace

void Limiter::try_acquire_batch(Keys keys, std::span<Decision> decisions,
                                std::uint64_t cost) noexcept {
  const std::size_t count = std::min(keys.size(), decisions.size());
  for (std::size_t first = 0; first < count; first += kChunk) {
    const Keys some = keys.subspan(first, std::min(kChunk, count - first));
    const Binding& binding = core_->binding();  // anew: the segment may have been followed
    // relaxed: says what the view is for; the view itself came with the binding.
    const bool decides = binding.view->decides.load(std::memory_order_relaxed);
    if (cost == 0 || !decides || binding.view->is_off() || !takes_calls(binding)) [[unlikely]] {
      for (std::size_t i = 0; i < some.size(); ++i)
        decisions[first + i] = refused(*binding.view, some[i], cost);
      continue;
    }
    std::visit(
        [&](const auto& algorithm) {
          decide_chunk(algorithm, binding, some, &decisions[first], cost);
        },
        binding.policy.parameters);
  }
}

}  // namespace rl
