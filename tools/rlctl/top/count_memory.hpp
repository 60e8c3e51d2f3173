/// \file
/// What was counted of each key when it was last looked at: rates are what was added since.
///
/// A slot counts for its own key, so what is remembered lies at the slot's number, sixteen bytes for
/// each; in a table of more than 4 Mi slots several share a place, so that this never takes more
/// than 64 MiB. There a key that was active lately has the place and keeps it; of the others no rate
/// is known. So the busiest keys are found at the latest one look after they begin, and only the
/// lesser of two busy keys that share a place is missed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace rl::ctl::live {

struct KeyCounts {
  std::uint64_t allowed = 0;
  std::uint64_t denied = 0;
};

class CountMemory {
 public:
  static constexpr std::size_t kPlacesMax = std::size_t{1} << 22;

  explicit CountMemory(std::uint64_t slots, std::size_t places_max = kPlacesMax);

  /// Whether there is a place for each slot: then every rate is known, and exact as the counts are.
  [[nodiscard]] bool is_whole() const noexcept { return is_whole_; }

  /// Begins a look at all slots.
  void begin() noexcept { ++looks_; }

  /// Notes what a slot has counted for its key; returns what was added since the last look, or
  /// nothing where that is not known. Accuracy: a key that was not in its slot then has counted all
  /// of it since; one that counts less than it did began anew.
  std::optional<KeyCounts> note(std::uint64_t slot, std::uint64_t identity,
                                const KeyCounts& now) noexcept;

 private:
  struct Place {
    std::uint64_t key_and_look = 0;  ///< identity << 16 | the look at which it was last active
    std::uint32_t allowed = 0;       ///< the low half of the counts: differences are the same
    std::uint32_t denied = 0;
  };
  static_assert(sizeof(Place) == 16);

  [[nodiscard]] bool is_to_be_had(const Place& place, std::uint64_t slot) const noexcept;
  void take(Place& place, std::uint64_t identity, const KeyCounts& now) const noexcept;

  std::uint64_t slots_;
  std::vector<Place> places_;
  bool is_whole_;
  std::uint64_t looks_ = 0;
};

}  // namespace rl::ctl::live
