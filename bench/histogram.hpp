/// \file
/// Times, each counted in one of a fixed number of buckets, which are no wider than 1/64 of what they
/// hold: from a nanosecond to the end of 64 bits.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace rl::bench {

/// Idea: Gil Tene's HdrHistogram: the leading bits of a number choose its bucket. Below 128 each
/// number has its own.
class Histogram {
 public:
  void add(std::uint64_t ns) noexcept {
    ++(*counts_)[bucket_of(ns)];
    ++total_;
    most_ = std::max(most_, ns);
  }
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
  /// Returns the greatest, exact; 0 when there is none.
  [[nodiscard]] std::uint64_t most() const noexcept { return most_; }
  /// Returns the least bound of a bucket that at least this share (from 0 to 1) does not exceed: at
  /// most 1/64 above the true one; 0 when there is none.
  [[nodiscard]] std::uint64_t at(double share) const noexcept {
    const double wanted = share * static_cast<double>(total_);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += (*counts_)[i];
      if (seen != 0 && static_cast<double>(seen) >= wanted) return std::min(last_of(i), most_);
    }
    return most_;
  }

 private:
  static constexpr int kBits = 6;  ///< behind the leading one
  static constexpr std::uint64_t kPerDoubling = std::uint64_t{1} << kBits;
  static constexpr std::size_t kBuckets = (64 - kBits + 1) * kPerDoubling;

  static constexpr std::size_t bucket_of(std::uint64_t ns) noexcept {
    const int shift = std::max(static_cast<int>(std::bit_width(ns)) - kBits - 1, 0);
    return static_cast<std::size_t>(shift) * kPerDoubling + static_cast<std::size_t>(ns >> shift);
  }
  /// Returns the greatest number of a bucket.
  static constexpr std::uint64_t last_of(std::size_t bucket) noexcept {
    if (bucket < 2 * kPerDoubling) return bucket;
    const int shift = static_cast<int>(bucket / kPerDoubling) - 1;
    const std::uint64_t leading = bucket % kPerDoubling + kPerDoubling;
    return (leading << shift) + ((std::uint64_t{1} << shift) - 1);
  }
  std::unique_ptr<std::array<std::uint64_t, kBuckets>> counts_ =
      std::make_unique<std::array<std::uint64_t, kBuckets>>();
  std::uint64_t total_ = 0;
  std::uint64_t most_ = 0;
};

}  // namespace rl::bench
