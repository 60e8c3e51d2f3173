/// \file
/// Ways to choose a key's sixteen candidate slots, as simulations: which slots are used, and no
/// more.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "shm/hash.hpp"
#include "shm/table.hpp"

namespace rl::bench {

/// Where an insert went.
struct Taken {
  std::uint32_t slot;
  std::uint32_t lines;  ///< how many cache lines a lookup reads until it is there; 1 is home
};

/// Something that has slots and gives one to a key, or finds its list full.
class Way {
 public:
  virtual ~Way() = default;
  virtual std::optional<Taken> insert(shm::Hash128 key) = 0;
  virtual void erase(std::uint32_t slot) = 0;
};

/// The shipped list: four places of four slots each, the home line, the other one of its pair, and
/// a second pair.
class ShippedList {
 public:
  ShippedList(shm::Hash128 key, std::uint64_t pairs) noexcept
      : list_(shm::Table<shm::Slot>(nullptr, pairs).candidates(shm::KeyHash::from(key))) {}
  /// Returns the first slot of a place.
  std::uint32_t operator[](std::size_t place) const noexcept {
    return static_cast<std::uint32_t>(list_.slot_at(static_cast<int>(4 * place)));
  }

 private:
  shm::CandidateList list_;
};

/// Sixteen slots in a row, from anywhere on; they may begin in the middle of a line.
class WindowList {
 public:
  WindowList(shm::Hash128 key, std::uint64_t slots) noexcept
      : first_(static_cast<std::uint32_t>((key.low >> 32) * (slots - 15) >> 32)) {}
  std::uint32_t operator[](std::size_t place) const noexcept {
    return first_ + static_cast<std::uint32_t>(4 * place);
  }

 private:
  std::uint32_t first_;
};

/// Rules on four lines of four. Each returns a line by its place on the list, free or not.
namespace rule {

using Used = std::array<int, 4>;

inline std::size_t emptier_pair(const Used& used) noexcept {
  const bool second = used[2] + used[3] < used[0] + used[1];
  return second ? (used[2] < 4 ? 2 : 3) : (used[0] < 4 ? 0 : 1);
}
/// Home while its pair holds at most kMost; then the emptier pair.
template <int kMost>
std::size_t home_by_pair(const Used& used) noexcept {
  return used[0] + used[1] <= kMost && used[0] < 4 ? 0 : emptier_pair(used);
}
/// Home while it holds fewer than kFewer itself; then the least used line of the four.
template <int kFewer>
std::size_t home_by_line(const Used& used) noexcept {
  if (used[0] < kFewer) return 0;
  std::size_t least = 0;
  for (std::size_t i = 1; i < 4; ++i) least = used[i] < used[least] ? i : least;
  return least;
}

}  // namespace rule

/// Four lines of four under a rule. Two groups of eight, the emptier first, are the same lines
/// under the rule emptier_pair.
class FourLines final : public Way {
 public:
  using Rule = std::size_t (*)(const rule::Used&) noexcept;
  FourLines(std::uint64_t pairs, Rule rule) : pairs_(pairs), rule_(rule), masks_(pairs * 2) {}

  std::optional<Taken> insert(shm::Hash128 key) override {
    const ShippedList places(key, pairs_);
    rule::Used used{};
    for (std::size_t i = 0; i < 4; ++i) used[i] = std::popcount(masks_[places[i] / 4]);
    const std::size_t chosen = rule_(used);
    if (used[chosen] == 4) return std::nullopt;
    std::uint8_t& mask = masks_[places[chosen] / 4];
    const int free = std::countr_one(mask);
    mask = static_cast<std::uint8_t>(mask | 1U << free);
    return Taken{places[chosen] + static_cast<std::uint32_t>(free),
                 static_cast<std::uint32_t>(chosen + 1)};
  }
  void erase(std::uint32_t slot) override {
    masks_[slot / 4] = static_cast<std::uint8_t>(masks_[slot / 4] & ~(1U << slot % 4));
  }

 private:
  std::uint64_t pairs_;
  Rule rule_;
  std::vector<std::uint8_t> masks_;  ///< of each line, the used slots
};

/// A window of sixteen, the first free slot of it.
class Window final : public Way {
 public:
  explicit Window(std::uint64_t slots) : used_(slots) {}
  std::optional<Taken> insert(shm::Hash128 key) override {
    const std::uint32_t first = WindowList(key, used_.size())[0];
    for (std::uint32_t i = 0; i < 16; ++i) {
      if (used_[first + i] != 0) continue;
      used_[first + i] = 1;
      return Taken{first + i, (first % 4 + i) / 4 + 1};
    }
    return std::nullopt;
  }
  void erase(std::uint32_t slot) override { used_[slot] = 0; }

 private:
  std::vector<std::uint8_t> used_;
};

/// What becomes of a key that is erased: its slot is free, or stays, and owes nothing.
enum class Erased { is_free, is_idle };

/// The table itself, driven through its update(): what is shipped, not a model of it.
class ShippedTable final : public Way {
 public:
  ShippedTable(std::uint64_t pairs, Erased erased)
      : pairs_(std::make_unique<shm::Pair[]>(pairs)),
        table_(pairs_.get(), pairs),
        erased_(erased) {}

  std::optional<Taken> insert(shm::Hash128 key) override {
    const auto hash = shm::KeyHash::from(key);
    const shm::Update update = table_.update(hash, rules_);
    if (update.outcome != shm::Update::decided) return std::nullopt;
    const shm::CandidateList list = table_.candidates(hash);
    std::uint32_t position = 0;
    while (list.slot_at(static_cast<int>(position)) != update.slot_index) ++position;
    return Taken{static_cast<std::uint32_t>(update.slot_index), position / 4 + 1};
  }
  void erase(std::uint32_t slot) override {
    if (erased_ == Erased::is_free) {
      table_.free_if(slot, [](shm::SlotWords) { return true; });
      return;
    }
    shm::Slot& cell = pairs_[slot / 8].slots[slot % 8];
    const shm::SlotWords words = cell.words();
    cell.compare_exchange(words, {words.tag, Hoarders::kIdle});
  }

 private:
  /// Every key that was not erased owes something that nobody may take: a full list is full.
  struct Hoarders {
    static constexpr std::uint64_t kIdle = 0;
    std::uint64_t nonces = 0;
    static constexpr shm::Transition owing(std::uint64_t state) noexcept {
      return {shm::Transition::store, 1, state};
    }
    shm::Transition step(std::uint16_t, std::uint64_t) noexcept { return owing(1); }
    shm::Transition first() noexcept { return owing(1); }
    shm::Transition idle() noexcept { return owing(kIdle); }
    void begin_judging() noexcept {}
    shm::Standing judge(std::uint16_t, std::uint64_t state) noexcept {
      return state == kIdle ? shm::Standing::idle : shm::Standing::sticky;
    }
    std::uint64_t tokens_owed(std::uint16_t, std::uint64_t) noexcept { return 1; }
    bool may_evict() noexcept { return false; }
    std::uint64_t nonce() noexcept { return ++nonces; }
    void prefetch_beside(std::uint64_t) noexcept {}
    void on_evicted() noexcept {}
    void on_idle_overwritten() noexcept {}
    void on_tentative_freed() noexcept {}
  };

  std::unique_ptr<shm::Pair[]> pairs_;
  shm::Table<shm::Slot> table_;
  Erased erased_;
  Hoarders rules_;
};

}  // namespace rl::bench
