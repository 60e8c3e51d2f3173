#include "tools/rlctl/top/count_memory.hpp"

#include <algorithm>

namespace rl::ctl::live {
namespace {

constexpr unsigned kLookBits = 16;
constexpr std::uint64_t kLookMask = (std::uint64_t{1} << kLookBits) - 1;

/// What was added to a count of which the low half was known. More than half of that half is a
/// count that began anew.
std::uint64_t added(std::uint64_t now, std::uint32_t before) noexcept {
  const std::uint32_t difference = static_cast<std::uint32_t>(now) - before;
  constexpr std::uint32_t kMost = std::uint32_t{1} << 31;
  return difference < kMost ? difference : now;
}

}  // namespace

CountMemory::CountMemory(std::uint64_t slots, std::size_t places_max)
    : slots_(slots),
      places_(std::min<std::uint64_t>(slots, places_max)),
      is_whole_(slots <= places_max) {}

/// Whether a place may be taken over for another key. Who came at the last look has not shown yet
/// whether it is active, so a turn is two looks long.
bool CountMemory::is_to_be_had(const Place& place, std::uint64_t slot) const noexcept {
  if (is_whole_ || place.key_and_look == 0) return true;
  const std::uint64_t turns = slots_ / places_.size() + 1;
  const auto looks_ago = static_cast<std::uint16_t>(looks_ - (place.key_and_look & kLookMask));
  return looks_ago > 1 && slot / places_.size() == looks_ / 2 % turns;
}

void CountMemory::take(Place& place, std::uint64_t identity, const KeyCounts& now) const noexcept {
  place = {identity << kLookBits | (looks_ & kLookMask), static_cast<std::uint32_t>(now.allowed),
           static_cast<std::uint32_t>(now.denied)};
}

std::optional<KeyCounts> CountMemory::note(std::uint64_t slot, std::uint64_t identity,
                                           const KeyCounts& now) noexcept {
  if (places_.empty()) return std::nullopt;
  Place& place = places_[slot % places_.size()];
  const std::uint64_t key = place.key_and_look >> kLookBits;
  if (key == identity) {
    const KeyCounts since{added(now.allowed, place.allowed), added(now.denied, place.denied)};
    const std::uint64_t active = place.key_and_look & kLookMask;
    take(place, identity, now);
    if (since.allowed == 0 && since.denied == 0)
      place.key_and_look = (place.key_and_look & ~kLookMask) | active;
    return since;
  }
  if (!is_to_be_had(place, slot)) return std::nullopt;
  take(place, identity, now);
  return is_whole_ && looks_ > 1 ? std::optional(now) : std::nullopt;
}

}  // namespace rl::ctl::live
