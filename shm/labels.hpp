/// \file
/// The readable text of keys, beside their slots.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/hash.hpp"
#include "shm/layout.hpp"
#include "shm/table.hpp"

namespace rl::shm {

/// How much of a key is text in a label that does not hold it all. The rest of the label is what
/// places the key, so that it can be put into a table of another size without its text.
inline constexpr std::size_t kLabelBeginBytes = kLabelTextBytes - sizeof(KeyHash::place);

/// Returns as much of a key as its label says.
constexpr std::string_view text_in_label(std::string_view key) noexcept {
  return key.size() > kLabelTextBytes ? key.substr(0, kLabelBeginBytes) : key;
}

/// A label as read: the text and whether it is all of the key.
struct LabelText {
  char text[kLabelTextBytes];
  std::uint8_t size = 0;
  bool known = false;
  bool truncated = false;
  KeyHash hash{};  ///< of a truncated one: the whole key's
  [[nodiscard]] std::string_view view() const noexcept { return {text, size}; }
};

/// Writes and reads labels. Both sides go through a checksum over identity and text, keyed with the
/// segment's secret: a writer that was stopped for an hour may well write its name on a slot that
/// belongs to somebody else by now, and such a name must read as "unknown", never as the other key.
class Labels {
 public:
  Labels(Label* labels, Hash128 secret) noexcept : labels_(labels), hasher_(secret) {}

  [[nodiscard]] bool kept() const noexcept { return labels_ != nullptr; }

  /// Writes the text of the key that this hash is of.
  void write(std::uint64_t slot_index, const KeyHash& hash, std::string_view key) noexcept {
    if (key.size() > kLabelTextBytes) return write_beginning(slot_index, hash, text_in_label(key));
    Image image{};
    image.length = static_cast<std::uint8_t>(key.size());
    std::memcpy(image.text, key.data(), key.size());
    put(slot_index, hash.identity, image);
  }

  /// Writes the label of a longer key, of which no more may be known than the beginning.
  void write_beginning(std::uint64_t slot_index, const KeyHash& hash,
                       std::string_view beginning) noexcept {
    Image image{};
    const std::size_t size = std::min(beginning.size(), kLabelBeginBytes);
    image.length = static_cast<std::uint8_t>(kTruncated | (hash.sides & 3U) << kSidesShift | size);
    std::memcpy(image.text, beginning.data(), size);
    std::memcpy(image.text + kLabelBeginBytes, &hash.place, sizeof hash.place);
    put(slot_index, hash.identity, image);
  }

  /// Asks for the label of a slot that is about to be written. Reads nothing. (Inlined: g++ leaves out
  /// calls of functions that do nothing but prefetch.)
  [[gnu::always_inline]] void prefetch(std::uint64_t slot_index) const noexcept {
    if (labels_ == nullptr) return;
    __builtin_prefetch(&labels_[slot_index], 1);
    __builtin_prefetch(&labels_[slot_index].words[8], 1);  // it may lie on two lines
  }

  [[nodiscard]] LabelText read(std::uint64_t slot_index, std::uint64_t identity) const noexcept {
    LabelText label{};
    if (labels_ == nullptr) return label;
    std::uint32_t words[9];
    for (int i = 0; i < 9; ++i)
      words[i] = labels_[slot_index].words[i].load(std::memory_order_relaxed);
    Image image;
    std::memcpy(&image, words, sizeof image);
    const bool truncated = (image.length & kTruncated) != 0;
    const std::size_t size = image.length & kSizeMask;
    if (image.length == 0 || (truncated && size > kLabelBeginBytes)) return label;
    if (image.checksum != checksum(image, identity)) return label;
    std::memcpy(label.text, image.text, size);
    label.size = static_cast<std::uint8_t>(size);
    label.truncated = truncated;
    label.known = true;
    if (truncated) label.hash = hash_in(image, identity);
    return label;
  }

 private:
  /// Of the length: 5 bits of size, 2 bits of sides, and whether the key is longer.
  static constexpr unsigned kSizeMask = 0x1f;
  static constexpr unsigned kSidesShift = 5;
  static constexpr unsigned kTruncated = 0x80;
  static_assert(kLabelTextBytes <= kSizeMask);
  struct Image {
    std::uint32_t checksum;
    std::uint8_t length;
    char text[kLabelTextBytes];
  };
  static_assert(sizeof(Image) == sizeof(Label));

  static KeyHash hash_in(const Image& image, std::uint64_t identity) noexcept {
    KeyHash hash{identity, 0, static_cast<std::uint32_t>(image.length) >> kSidesShift & 3U};
    std::memcpy(&hash.place, image.text + kLabelBeginBytes, sizeof hash.place);
    return hash;
  }

  /// Memory order: relaxed words; a reader trusts the checksum, not the order.
  void put(std::uint64_t slot_index, std::uint64_t identity, Image& image) noexcept {
    if (labels_ == nullptr) return;
    image.checksum = checksum(image, identity);
    std::uint32_t words[9];
    std::memcpy(words, &image, sizeof image);
    for (int i = 0; i < 9; ++i)
      labels_[slot_index].words[i].store(words[i], std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint32_t checksum(const Image& image, std::uint64_t identity) const noexcept {
    unsigned char bytes[8 + 1 + kLabelTextBytes];
    std::memcpy(bytes, &identity, 8);
    std::memcpy(bytes + 8, &image.length, 1);
    std::memcpy(bytes + 9, image.text, kLabelTextBytes);
    return static_cast<std::uint32_t>(hasher_.low(bytes, sizeof bytes));
  }

  Label* labels_;
  Hasher hasher_;
};

}  // namespace rl::shm
