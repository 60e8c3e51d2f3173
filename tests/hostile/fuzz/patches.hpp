/// \file
/// How a fuzzer's input becomes a segment: a list of changes to a forged, valid one, so that an
/// input of a few bytes says something about the whole of it.
///
///     byte 0    bits 0-1 clock, bit 2 labels, bit 3 header sealed, bit 4 policies sealed, bits 5-7
///               the file's length, or what else a target has to choose
///     then      {region, offset low, offset high, length, bytes...} until the input ends
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <span>

#include "tests/hostile/forge.hpp"

namespace rl::hostile {

/// A forged segment, spoiled, and how long its file is.
struct Patched {
  Forged forged;
  std::uint64_t file_bytes;
};

class Patches {
 public:
  using Bytes = std::span<const unsigned char>;
  explicit Patches(Bytes input) : input_(input) {
    flags_ = input.empty() ? 0 : input[0];
    if (!input.empty()) input_ = input.subspan(1);
  }

  /// One of eight.
  [[nodiscard]] unsigned way() const { return flags_ >> 5U; }

  /// `constants` says whether the header's constants are changed, too.
  [[nodiscard]] Patched apply(bool constants) const {
    constexpr std::array kClocks{shm::ClockKind::manual, shm::ClockKind::boottime,
                                 shm::ClockKind::tsc, shm::ClockKind::manual};
    Forged forged({.labels = (flags_ & 4U) == 0, .clock = kClocks[flags_ & 3U]});
    for (auto left = input_; left.size() >= 4;) left = apply_one(forged, left, constants);
    if ((flags_ & 8U) != 0 || !constants) forged.seal_header();
    if ((flags_ & 16U) != 0) forged.seal_policies();
    const std::uint64_t whole = forged.geometry().total_bytes;
    return {std::move(forged), constants ? file_bytes(whole) : whole};
  }

 private:
  /// Returns what is left of the input.
  static Bytes apply_one(Forged& forged, Bytes input, bool constants) {
    const shm::Geometry& g = forged.geometry();
    const std::array<std::uint64_t, 6> begins{0,
                                              sizeof(shm::HeaderConstants),
                                              g.seats_offset,
                                              g.policies_offset,
                                              g.pairs_offset,
                                              g.labels_offset};
    const std::size_t region = constants ? input[0] % 6U : 1 + input[0] % 5U;
    const std::uint64_t end = region + 1 < begins.size() ? begins[region + 1] : g.total_bytes;
    const std::uint64_t offset = std::uint64_t{input[1]} | std::uint64_t{input[2]} << 8U;
    const std::size_t length = std::min<std::size_t>(input[3] % 33U, input.size() - 4);
    const Bytes bytes = input.subspan(4, length);
    const Bytes left = input.subspan(4 + length);
    if (end == begins[region]) return left;  // no labels
    const std::uint64_t at = begins[region] + offset % (end - begins[region]);
    const auto fits = static_cast<std::size_t>(std::min<std::uint64_t>(length, end - at));
    std::memcpy(forged.bytes().data() + at, bytes.data(), fits);
    return left;
  }

  [[nodiscard]] std::uint64_t file_bytes(std::uint64_t whole) const {
    switch (way()) {
      case 1:
        return 0;
      case 2:
        return sizeof(shm::HeaderConstants) - 1;
      case 3:
        return sizeof(shm::HeaderConstants);
      case 4:
        return whole - 1;
      case 5:
        return whole + 1;
      case 6:
        return whole * 1'000'000;
      default:
        return whole;
    }
  }

  Bytes input_;
  unsigned flags_;
};

}  // namespace rl::hostile
