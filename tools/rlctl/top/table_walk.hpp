/// \file
/// One walk over a table: what its keys have counted since the walk before, and which of them come
/// first. Reads the line of each slot and of its counts, at the speed of memory; the text of a key
/// only where the order or the filter asks for it. Of a concurrency limit a key is seen from its first
/// denial on: before that it has permits only.
#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "src/core.hpp"
#include "tools/rlctl/top/rows.hpp"

namespace rl::ctl::live {

/// What a walk has found.
struct Walked {
  std::uint64_t keys = 0;  ///< of the policy that the wish names
  std::uint64_t live = 0;  ///< of them
  std::uint64_t taken = 0;
  std::vector<Measure> first;  ///< of those that the wish takes, sorted
  std::optional<Measure> one;
};

/// Walks over one view. Threads: one at a time.
class TableWalk {
 public:
  /// `view` must outlive the walk.
  explicit TableWalk(const View& view) : view_(view), memory_(view.table.slot_count()) {}

  Walked walk(const Wish& wish);
  /// Whether the rates of all keys are known from the second walk on.
  [[nodiscard]] bool is_whole() const noexcept { return memory_.is_whole(); }

 private:
  void look_at(std::uint64_t slot, const Wish& wish, std::uint64_t now_ns, Walked& walked);
  void keep(Measure&& measure, const Wish& wish, Walked& walked) const;
  [[nodiscard]] bool takes(Measure& measure, const Wish& wish);
  [[nodiscard]] bool is_of(std::uint16_t policy, const std::string& name);

  const View& view_;
  CountMemory memory_;
  std::unordered_map<std::uint16_t, std::string> names_;  ///< of policies: an entry never changes
};

/// Returns a key's text as it is shown; empty when it is not known.
std::string shown_name(const KeyInfo& key);

}  // namespace rl::ctl::live
