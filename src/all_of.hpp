/// \file
/// All or nothing over several keys, each of which has one slot and one compare-and-swap: look at
/// all of them, then charge one after the other, and refund what a rival made useless. For the
/// sources behind include/rl/all_of.hpp and include/rl/limiters.hpp.
#pragma once

#include <array>
#include <cstdint>
#include <tuple>

#include <rl/all_of.hpp>

#include "shm/table.hpp"

namespace rl {

struct Binding;

/// Says of what the first `count` asks were told what is told of all of them: fills in all but
/// `each`.
void conclude(AllOf& all, std::size_t count) noexcept;

/// One call of all_of: add() each ask, kAsksMax at most and one at least, then decide() once.
class AskedTogether {
 public:
  void add(Limiter& limiter, std::string_view key, std::uint64_t cost) noexcept;
  [[nodiscard]] AllOf decide() noexcept;

 private:
  /// Where a key's slot is looked for, the same for all processes.
  struct Place {
    std::uint64_t device;
    std::uint64_t inode;
    std::uint16_t policy;
    shm::KeyHash key;

    [[nodiscard]] auto parts() const noexcept {
      return std::tie(device, inode, policy, key.identity, key.place, key.sides);
    }
  };

  /// The asks for one key of one policy: what they cost together, and the first of them.
  struct Charge {
    Place place;
    Limiter* limiter;
    std::string_view key;
    std::uint64_t cost;
    std::size_t first;
  };

  static const Binding& binding_of(const Limiter& limiter) noexcept;
  static Decision look(const Charge& charge) noexcept;
  static void count_denial(const Charge& charge, const Decision& told) noexcept;
  static void try_candidate_of(const Charge& charge) noexcept;
  bool all_would_pass(AllOf& all) const noexcept;
  void sort() noexcept;
  void charge_all(AllOf& all) noexcept;
  void conclude_for_all(AllOf& all) const noexcept;

  std::array<Charge, AllOf::kAsksMax> charges_;
  std::size_t charge_count_ = 0;
  std::array<std::size_t, AllOf::kAsksMax> firsts_;  ///< of each ask: the first with its place
  std::size_t ask_count_ = 0;
};

}  // namespace rl
