/// \file
/// The policies of a segment as a process knows them: each read and checked once, as an entry never
/// changes.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>

#include "src/policy.hpp"

namespace rl {

/// What there is to know of an id.
struct KnownPolicy {
  const Policy* policy = nullptr;  ///< none: see is_damaged
  bool is_damaged = false;         ///< true: no such entry, or not whole; false: a newer library's
};

/// Threads: any; nothing in it locks, waits or allocates after construction.
class KnownPolicies {
 public:
  /// Takes memory that the system gives only as it is used.
  explicit KnownPolicies(const shm::PolicyTable& table)
      : table_(table),
        cells_(static_cast<Cell*>(std::calloc(std::size_t{table.capacity()} + 1, sizeof(Cell)))) {
    if (cells_ == nullptr) throw std::bad_alloc();
  }

  /// Returns the policy of an id: ours to keep, or in `spare` where somebody else is just noting it
  /// (or was, in a process that this one was forked from).
  [[nodiscard]] KnownPolicy find(std::uint16_t id, std::optional<Policy>& spare) const noexcept {
    if (id == 0 || id > table_.capacity()) return {nullptr, true};
    Cell& cell = cells_[id];
    // acquire: pairs with the store below; the policy.
    std::uint32_t seen = cell.stage.load(std::memory_order_acquire);
    if (seen == kNoted) return {cell.policy(), false};
    const auto constants = table_.read(id);
    if (!constants) return {nullptr, true};
    spare = policy_from(*constants);
    if (!spare) return {};
    // relaxed: elects who notes it, and orders nothing.
    if (seen == kUnknown &&
        cell.stage.compare_exchange_strong(seen, kBeingNoted, std::memory_order_relaxed)) {
      ::new (cell.bytes) Policy(*spare);
      cell.stage.store(kNoted, std::memory_order_release);  // pairs with the load above
    }
    return {&*spare, false};
  }

 private:
  enum Stage : std::uint32_t { kUnknown, kBeingNoted, kNoted };
  struct Cell {
    std::atomic<std::uint32_t> stage;
    alignas(Policy) unsigned char bytes[sizeof(Policy)];
    [[nodiscard]] const Policy* policy() const noexcept {
      return std::launder(reinterpret_cast<const Policy*>(bytes));
    }
  };
  static_assert(std::is_trivially_destructible_v<Policy>);
  struct Free {
    void operator()(Cell* cells) const noexcept { std::free(cells); }
  };

  const shm::PolicyTable& table_;
  std::unique_ptr<Cell[], Free> cells_;
};

}  // namespace rl
