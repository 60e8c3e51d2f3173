/// \file
/// Records that are written without any lock: word by word, and trusted by their checksum alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "shm/hash.hpp"
#include "shm/layout.hpp"

namespace rl::shm {

/// Returns the checksum of an image, which begins with the place for it.
template <class Image>
std::uint64_t checksum_of(const Hasher& hasher, const Image& image) noexcept {
  unsigned char bytes[sizeof image];
  std::memcpy(bytes, &image, sizeof image);
  return hasher(bytes + sizeof image.checksum, sizeof image - sizeof image.checksum).low;
}

/// Writes an image, as it is. relaxed words: a reader trusts the checksum, not the order.
template <class Record, class Image>
void store_image(Record& record, const Image& image) noexcept {
  static_assert(sizeof(Record) == sizeof(Image));
  std::uint64_t words[sizeof(Image) / sizeof(Word)];
  std::memcpy(words, &image, sizeof image);
  for (std::size_t i = 0; i < std::size(words); ++i)
    record.words[i].store(words[i], std::memory_order_relaxed);
}

/// Reads an image, which may be of several writers.
template <class Image, class Record>
Image load_image(const Record& record) noexcept {
  static_assert(sizeof(Record) == sizeof(Image));
  std::uint64_t words[sizeof(Image) / sizeof(Word)];
  for (std::size_t i = 0; i < std::size(words); ++i)  // relaxed: as they are written
    words[i] = record.words[i].load(std::memory_order_relaxed);
  Image image;
  std::memcpy(&image, words, sizeof image);
  return image;
}

}  // namespace rl::shm
