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
  std::array<shm::KeyHash, kChunk> hashes;
  std::array<std::uint64_t, kChunk> tags;
  std::array<std::uint64_t, kChunk> slots;

  Chunk(const Binding& binding, Keys keys) noexcept {
    const shm::Table<shm::Slot>& table = binding.view->table;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      hashes[i] = hash_of(binding, keys[i]);
      tags[i] = shm::make_tag(hashes[i].identity, binding.id);
      prefetch_home(table, table.candidates(hashes[i]));
    }
    // Who is not at home is noted without a branch, as that cannot be predicted either.
    std::array<std::size_t, kChunk> away;
    std::size_t away_count = 0;
    for (std::size_t i = 0; i < keys.size(); ++i) {
      slots[i] = find_in_line(table, table.candidates(hashes[i]).slot_at(0), tags[i]);
      away[away_count] = i;
      away_count += slots[i] == table.kNowhere ? 1 : 0;
    }
    const std::span who = std::span(away).first(away_count);
    for (const std::size_t i : who) prefetch_beyond_home(table, table.candidates(hashes[i]));
    for (const std::size_t i : who)
      slots[i] = find_beyond_home(table, table.candidates(hashes[i]), tags[i]);
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
                                                                  chunk.slots[i], cost));
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
    if (cost == 0 || !decides || binding.view->is_off() || is_asked_for_permits(binding))
        [[unlikely]] {
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
