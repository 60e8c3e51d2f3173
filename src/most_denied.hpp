/// \file
/// The keys that were denied most, found in one walk over a table, in memory for so many.
///
/// Each slot counts the denials of its key (shm/counts.hpp), so to rank them is to look at each
/// once and keep the largest: a heap, with the least of those that are kept on top. What a slot
/// holds is looked at only if its count is large enough to stay, and the text of a key only in the
/// end.
#pragma once

#include <cstdint>
#include <vector>

#include <rl/denied_key.hpp>

#include "src/core.hpp"

namespace rl {

/// Whether a member is a key, and the one slot in which its denials are counted: not what a limit on
/// trial would have denied, not what is kept of a key's conduct, and of permits the hint alone.
bool is_counted_key(const View& view, shm::SlotWords words) noexcept;

/// Threads: one at a time.
class MostDenied {
 public:
  /// Keeps `count` keys, of which there must be 1.
  explicit MostDenied(std::size_t count);

  /// Looks at so many slots of a table from `first` on; of keys that were denied as often it keeps
  /// those that it saw first. Allocates nothing. Reads the line of each slot, and of its counts.
  void look_at(const View& view, std::uint64_t first, std::uint64_t slots) noexcept;

  /// Returns what was kept, by denials, the most first; each key once, by its larger count, though
  /// it changed its slot meanwhile, or bytes gone wrong put it into several.
  [[nodiscard]] std::vector<DeniedKey> ranking(const View& view) const;

  /// Forgets what it has seen.
  void clear() noexcept { kept_.clear(); }

 private:
  struct Seen {
    std::uint64_t denied;
    std::uint64_t allowed;
    std::uint64_t index;
    std::uint64_t tag;
  };
  static bool is_before(const Seen& a, const Seen& b) noexcept;
  void keep(const Seen& seen) noexcept;

  std::size_t count_;
  std::vector<Seen> kept_;  ///< a heap: the last of the order on top
};

}  // namespace rl
