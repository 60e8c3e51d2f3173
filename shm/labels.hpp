/// \file
/// The readable text of keys, beside their slots.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "shm/hash.hpp"
#include "shm/layout.hpp"

namespace rl::shm {

/// A label as read: the text and whether it is all of the key.
struct LabelText {
  char text[kLabelTextBytes];
  std::uint8_t size = 0;
  bool known = false;
  bool truncated = false;
  [[nodiscard]] std::string_view view() const noexcept { return {text, size}; }
};

/// Writes and reads labels. Both sides go through a checksum over identity and text, keyed with the
/// segment's secret: a writer that was stopped for an hour may well write its name on a slot that
/// belongs to somebody else by now, and such a name must read as "unknown", never as the other key.
class Labels {
 public:
  Labels(Label* labels, Hash128 secret) noexcept : labels_(labels), hasher_(secret) {}

  [[nodiscard]] bool kept() const noexcept { return labels_ != nullptr; }

  /// Memory order: relaxed words; a reader trusts the checksum, not the order.
  void write(std::uint64_t slot_index, std::uint64_t identity, std::string_view key) noexcept {
    if (labels_ == nullptr) return;
    Image image{};
    const std::size_t size = std::min(key.size(), kLabelTextBytes);
    image.length = static_cast<std::uint8_t>(size | (key.size() > size ? kTruncated : 0U));
    std::memcpy(image.text, key.data(), size);
    image.checksum = checksum(image, identity);
    std::uint32_t words[9];
    std::memcpy(words, &image, sizeof image);
    for (int i = 0; i < 9; ++i)
      labels_[slot_index].words[i].store(words[i], std::memory_order_relaxed);
  }

  [[nodiscard]] LabelText read(std::uint64_t slot_index, std::uint64_t identity) const noexcept {
    LabelText label{};
    if (labels_ == nullptr) return label;
    std::uint32_t words[9];
    for (int i = 0; i < 9; ++i)
      words[i] = labels_[slot_index].words[i].load(std::memory_order_relaxed);
    Image image;
    std::memcpy(&image, words, sizeof image);
    const std::size_t size = image.length & kLengthMask;
    if (image.length == 0 || size > kLabelTextBytes) return label;
    if (image.checksum != checksum(image, identity)) return label;
    std::memcpy(label.text, image.text, size);
    label.size = static_cast<std::uint8_t>(size);
    label.truncated = (image.length & kTruncated) != 0;
    label.known = true;
    return label;
  }

 private:
  static constexpr std::uint8_t kTruncated = 0x80;
  static constexpr std::uint8_t kLengthMask = 0x7f;
  struct Image {
    std::uint32_t checksum;
    std::uint8_t length;
    char text[kLabelTextBytes];
  };
  static_assert(sizeof(Image) == sizeof(Label));

  [[nodiscard]] std::uint32_t checksum(const Image& image, std::uint64_t identity) const noexcept {
    unsigned char bytes[8 + 1 + kLabelTextBytes];
    std::memcpy(bytes, &identity, 8);
    std::memcpy(bytes + 8, &image.length, 1);
    std::memcpy(bytes + 9, image.text, kLabelTextBytes);
    return static_cast<std::uint32_t>(hasher_(bytes, sizeof bytes).low);
  }

  Label* labels_;
  Hasher hasher_;
};

}  // namespace rl::shm
