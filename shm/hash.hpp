/// \file
/// SipHash-1-3 with 128 bits out: which slot a key belongs to, in a way nobody outside can steer.
///
/// The key of the hash is a random secret of the segment, so an attacker who chooses keys cannot
/// choose collisions. Source: J.-P. Aumasson, D. J. Bernstein, "SipHash: a fast short-input PRF"
/// (2012), with the 128-bit output of the reference implementation. One compression and three
/// finalisation rounds are what hash tables elsewhere use too.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace rl::shm {

struct Hash128 {
  std::uint64_t low;
  std::uint64_t high;
  friend bool operator==(const Hash128&, const Hash128&) = default;
};

static_assert(std::endian::native == std::endian::little, "words are read as they lie in memory");

/// A keyed pseudo-random function from bytes to 128 bits. The rounds are parameters only so that
/// the reference vectors of SipHash-2-4 can hold the same code.
template <int kCompression, int kFinalisation>
class SipHash128 {
 public:
  constexpr explicit SipHash128(Hash128 secret) noexcept
      : v0_(secret.low ^ 0x736f6d6570736575U),
        v1_(secret.high ^ 0x646f72616e646f6dU ^ 0xeeU),
        v2_(secret.low ^ 0x6c7967656e657261U),
        v3_(secret.high ^ 0x7465646279746573U) {}

  [[nodiscard]] Hash128 operator()(const void* data, std::size_t size) const noexcept {
    State s = half_way(data, size);
    Hash128 out{s.sum(), 0};
    s.v1 ^= 0xddU;
    s.template rounds<kFinalisation>();
    out.high = s.sum();
    return out;
  }

  /// Returns the low half only, for a third less.
  [[nodiscard]] std::uint64_t low(const void* data, std::size_t size) const noexcept {
    return half_way(data, size).sum();
  }

  /// Returns the hash of a part of what has the hash `whole`: of its low half, which nobody outside
  /// knows, with the part's number in the secret. The high half is not waited for: it only tells
  /// apart, by the identity of their parts (KeyHash), wholes that have the same low half.
  [[nodiscard]] Hash128 of_part(Hash128 whole, std::uint64_t part) const noexcept {
    State s{v0_ ^ part, v1_, v2_, v3_};
    s.absorb(whole.low);
    s.template rounds<kFinalisation>();
    return {s.v0 ^ s.v1 ^ whole.high, s.v2 ^ s.v3};
  }

 private:
  struct State {
    std::uint64_t v0, v1, v2, v3;

    template <int kRounds>
    void rounds() noexcept {
      for (int i = 0; i < kRounds; ++i) {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
      }
    }
    void absorb(std::uint64_t m) noexcept {
      v3 ^= m;
      rounds<kCompression>();
      v0 ^= m;
    }
    [[nodiscard]] std::uint64_t sum() const noexcept { return v0 ^ v1 ^ v2 ^ v3; }
  };

  /// All of it, but for what the high half takes.
  [[nodiscard, gnu::always_inline]] State half_way(const void* data,
                                                   std::size_t size) const noexcept {
    State s{v0_, v1_, v2_, v3_};
    const auto* bytes = static_cast<const unsigned char*>(data);
    const unsigned char* const end = bytes + (size & ~std::size_t{7});
    for (; bytes != end; bytes += 8) s.absorb(word(bytes));
    s.absorb(last_word(bytes, size));
    s.v2 ^= 0xeeU;
    s.template rounds<kFinalisation>();
    return s;
  }

  static std::uint64_t word(const unsigned char* bytes) noexcept {
    std::uint64_t value;
    std::memcpy(&value, bytes, sizeof value);
    return value;
  }

  /// Returns the 0 to 7 bytes that are left, with the length in the top byte. Two overlapping reads
  /// instead of a byte loop: most keys are short, and a loop here would be a third of the hash.
  static std::uint64_t last_word(const unsigned char* bytes, std::size_t size) noexcept {
    const std::size_t left = size & 7;
    std::uint64_t value = static_cast<std::uint64_t>(size) << 56;
    if (left >= 4) {
      std::uint32_t head;
      std::uint32_t tail;
      std::memcpy(&head, bytes, 4);
      std::memcpy(&tail, bytes + left - 4, 4);
      value |= head | static_cast<std::uint64_t>(tail) << (8 * (left - 4));
    } else if (left > 0) {
      value |= bytes[0];
      value |= static_cast<std::uint64_t>(bytes[left / 2]) << (8 * (left / 2));
      value |= static_cast<std::uint64_t>(bytes[left - 1]) << (8 * (left - 1));
    }
    return value;
  }

  std::uint64_t v0_, v1_, v2_, v3_;
};

/// The hash of keys, names and labels.
using Hasher = SipHash128<1, 3>;

/// Names the hash, and that of parts, in the layout's fingerprint: another hash is another layout.
inline constexpr std::uint64_t kHashId = 0x0103'0080'0001;

}  // namespace rl::shm
