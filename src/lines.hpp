/// \file
/// In which line of its list a key has its slot. Most are in the first: one cache line to look at.
/// Who stands further back costs each of its calls a line more.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>

#include "src/core.hpp"

namespace rl {

/// Finds the lines of keys that nobody asks for, by their labels. Threads: one at a time.
class Lines {
 public:
  explicit Lines(const View& view) noexcept : view_(view) {}

  /// Returns what names and places the key that has a slot with this tag, as its label says.
  /// Nothing without a label that is this key's; nor for the parts of a key that have a list of
  /// their own, if the label does not say where that is.
  [[nodiscard]] std::optional<shm::KeyHash> hash_of(std::uint64_t index,
                                                    std::uint64_t tag) noexcept {
    const std::uint64_t identity = shm::identity_of(tag);
    const shm::LabelText label = view_.labels.read(index, identity);
    if (!label.known) return std::nullopt;
    shm::KeyHash hash = label.hash;
    if (!label.truncated) {
      const shm::Hasher* const hasher = hasher_of(shm::policy_of(tag));
      if (hasher == nullptr) return std::nullopt;
      hash = shm::KeyHash::from((*hasher)(label.text, label.size));
    }
    return hash.identity == identity ? std::optional(hash) : std::nullopt;
  }

  /// Returns the line, 0 to 3, that a slot is in on the list of the key that has it, with this tag;
  /// nothing where that key is not known.
  [[nodiscard]] std::optional<std::size_t> line_of(std::uint64_t index,
                                                   std::uint64_t tag) noexcept {
    const std::optional<shm::KeyHash> hash = hash_of(index, tag);
    if (!hash) return std::nullopt;
    const std::size_t line = view_.table.candidates(*hash).line_of(index);
    // Else by bytes gone wrong: no list of this key leads here.
    return line < shm::CandidateList::kLines ? std::optional(line) : std::nullopt;
  }

  /// Adds some of the keys in so many slots from `first` on to the lines that they are in: those of
  /// one pair in each block, another one each time.
  void sample(std::uint64_t first, std::uint64_t slots,
              std::array<std::uint64_t, 4>& by_line) noexcept {
    if (!view_.labels.kept()) return;
    const std::uint64_t end = std::min(view_.table.slot_count(), first + slots) / kPerPair;
    const std::uint64_t begin = std::min((first + kPerPair - 1) / kPerPair, end);
    const std::uint64_t block = std::clamp((end - begin) / 8, kBlockMin, kBlockMax);
    const std::uint64_t turn = turn_++;
    for (std::uint64_t at = begin; at < end; at += block) {
      const std::uint64_t pair = at + turn % std::min(block, end - at);
      for (std::uint64_t index = pair * kPerPair; index < (pair + 1) * kPerPair; ++index) {
        const std::uint64_t tag = view_.table.slot(index).tag();
        if (!shm::is_member(tag)) continue;
        if (const auto line = line_of(index, tag)) ++by_line[*line];
      }
    }
  }

 private:
  static constexpr std::uint64_t kPerPair = 8;
  /// Pairs of which one is in the sample: some in stretches of any size, and never so many that it
  /// shows.
  static constexpr std::uint64_t kBlockMin = 64;
  static constexpr std::uint64_t kBlockMax = 1'024;

  /// Returns the hasher of a policy's name, of the one that was asked for last without a look.
  [[nodiscard]] const shm::Hasher* hasher_of(std::uint16_t policy) noexcept {
    if (policy_ != policy || !hasher_) {
      const auto constants = view_.policies.read(policy);
      if (!constants) return nullptr;
      policy_ = policy;
      hasher_ = hasher_for(view_.mapping, shm::name_of(*constants));
    }
    return &*hasher_;
  }

  const View& view_;
  std::uint64_t turn_ = 0;
  std::uint16_t policy_ = 0;
  std::optional<shm::Hasher> hasher_;
};

}  // namespace rl
