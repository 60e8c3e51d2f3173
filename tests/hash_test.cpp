#include "shm/hash.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <set>
#include <utility>

#include "shm/geometry.hpp"
#include "shm/table.hpp"

namespace rl::shm {
namespace {

struct Vector {
  std::size_t size;
  Hash128 hash;
};

// Key 00 01 .. 0f, input 00 01 02 ..: made with OpenSSL, whose SIPHASH takes the rounds as
// parameters:
//   openssl mac -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt size:16
//     -macopt c-rounds:1 -macopt d-rounds:3 -in FILE SIPHASH
constexpr Hash128 kKey{0x0706050403020100U, 0x0f0e0d0c0b0a0908U};

template <class Function, std::size_t kCount>
void check_vectors(const Vector (&vectors)[kCount]) {
  // One spare byte at each end: the input is read at every alignment and not a byte beyond.
  for (std::size_t shift = 0; shift < 8; ++shift) {
    for (const Vector& vector : vectors) {
      CAPTURE(vector.size);
      unsigned char bytes[300];
      std::memset(bytes, 0xa5, sizeof bytes);
      for (std::size_t i = 0; i < vector.size; ++i)
        bytes[shift + i] = static_cast<unsigned char>(i);
      CHECK(Function(kKey)(bytes + shift, vector.size) == vector.hash);
      CHECK(Function(kKey).low(bytes + shift, vector.size) == vector.hash.low);
    }
  }
}

TEST_CASE("siphash_1_3_with_128_bits_gives_the_reference_vectors") {
  const Vector vectors[] = {
      {0, {0xbea58827b2bc7ee7U, 0x013030dd6adb62fdU}},
      {1, {0xa8edd36004376ffcU, 0x63f02f2bcc73055eU}},
      {2, {0x9b836905097f7875U, 0x95ea6a8c54c95b85U}},
      {3, {0x9ff7dc1efaccc56bU, 0x43d7eb1277182348U}},
      {4, {0x5a282bac714e780cU, 0x252cbf8fe7928e9fU}},
      {5, {0x0c625b3489db28f3U, 0x3e849526a4295279U}},
      {6, {0x10e743f7293dd0dcU, 0xf8a68539e8b05109U}},
      {7, {0xc3e0aaf223b98410U, 0x77ab4808c82e2fa6U}},
      {8, {0xb4dae3d5e1fe12aaU, 0x99c7f935ab164f72U}},
      {9, {0x9439f32c04b8dd81U, 0x427c1394000e72f4U}},
      {12, {0xa819489e85923fe5U, 0x658cea9f739506dcU}},
      {15, {0x6c52bdb205557ec1U, 0x09017e1eeccd2129U}},
      {16, {0xeb8e511557d9a8d0U, 0x93179e3df8b013b5U}},
      {17, {0x8d66bb3ff9264123U, 0xecf7bdfee8125197U}},
      {31, {0x8b853c5b1c96ea42U, 0x1090a7df50e5c317U}},
      {32, {0xb25778e6de446c40U, 0xd317740cf3603194U}},
      {63, {0x6f42fe4ee300584cU, 0xad6052a70a6b9f07U}},
      {64, {0x36a54a4bf2de5312U, 0xc2666aba59a7c84eU}},
      {100, {0xf6de78e16cacb5f5U, 0x39b9564151de6721U}},
      {255, {0xa558210ac1a428f5U, 0xe93ebbaed065a4f1U}},
  };
  check_vectors<SipHash128<1, 3>>(vectors);
}

TEST_CASE("siphash_2_4_with_128_bits_gives_the_reference_vectors") {
  const Vector vectors[] = {
      {0, {0xe6a825ba047f81a3U, 0x930255c71472f66dU}},
      {1, {0x44af996bd8c187daU, 0x45fc229b11597634U}},
      {2, {0xc75da4a48d227781U, 0xe4ff0af6de8ba3fcU}},
      {3, {0x4ea967520cb6709cU, 0x51ed8529b0b6335fU}},
      {4, {0xaf8f9c2dc16481f8U, 0x7955cd7b7c6e0f7dU}},
      {5, {0x886f778059876813U, 0x27960e69077a5254U}},
      {6, {0x1386208b33caee14U, 0x5ea1d78f30a05e48U}},
      {7, {0x53c1dbd8beebf1a1U, 0x3982f01fa64ab8c0U}},
      {8, {0x61f55862baa9623bU, 0xb49714f364e2830fU}},
      {9, {0xabbad90a06994426U, 0xed716dbb028b7fc4U}},
      {12, {0x58f35e9066b226d6U, 0x25c13285f64d6382U}},
      {15, {0x11a8b03399e99354U, 0xd9c3cf970fec087eU}},
      {16, {0xbb54b067caa4e26eU, 0x77052385bf1533fdU}},
      {17, {0x98b88d73e8063d47U, 0x4077e47ac466c054U}},
      {31, {0xfcfa233218b03929U, 0x353dc4524fde2317U}},
      {32, {0x3efcea5eca56397cU, 0x68eb4665559d3e36U}},
      {63, {0x4a83502f77d15051U, 0x7cbd3f979a063e50U}},
      {64, {0x3fcdd4c07d07af1eU, 0x4ba75836384dad8cU}},
      {100, {0x3317be09d02d7339U, 0xd9e6e58f35c69782U}},
      {255, {0x8e5f162875b69b1cU, 0xab0e9b79e3488246U}},
  };
  check_vectors<SipHash128<2, 4>>(vectors);
}

/// Counts of how often each bit of a hash flips.
struct Flips {
  std::array<int, 128> of_bit{};
  int samples = 0;
  void add(Hash128 a, Hash128 b) {
    ++samples;
    for (std::size_t i = 0; i < 64; ++i) {
      of_bit[i] += static_cast<int>((a.low ^ b.low) >> i & 1);
      of_bit[64 + i] += static_cast<int>((a.high ^ b.high) >> i & 1);
    }
  }
  /// How far from one half the share of the worst bit is.
  [[nodiscard]] double worst() const {
    double worst = 0;
    for (const int count : of_bit)
      worst = std::max(worst, std::fabs(static_cast<double>(count) / samples - 0.5));
    return worst;
  }
};

/// The hash of a key, and the number of a part.
std::pair<Hash128, std::uint64_t> part_at(std::uint64_t n) {
  return {Hasher(kKey)(&n, sizeof n), (n * 257 & 0xfff) << 8};
}

TEST_CASE(
    "each_bit_of_a_parts_number_and_of_its_keys_hash_changes_each_bit_of_its_hash_half_the_time") {
  constexpr std::uint64_t kSamples = 4'096;
  constexpr double kOff = 0.05;  // more than six standard deviations
  const Hasher hasher(kKey);
  for (int bit = 0; bit < 64; ++bit) {
    CAPTURE(bit);
    const std::uint64_t flip = std::uint64_t{1} << bit;
    Flips by_part;
    Flips by_whole;
    for (std::uint64_t n = 0; n < kSamples; ++n) {
      const auto [whole, part] = part_at(n);
      const Hash128 hash = hasher.of_part(whole, part);
      by_part.add(hash, hasher.of_part(whole, part ^ flip));
      by_whole.add(hash, hasher.of_part({whole.low ^ flip, whole.high}, part));
    }
    CHECK(by_part.worst() < kOff);
    CHECK(by_whole.worst() < kOff);
  }
}

TEST_CASE("parts_have_names_and_places_of_their_own_under_each_secret") {
  const Hasher hasher(kKey);
  const Hasher other({kKey.low ^ 1, kKey.high});
  std::set<std::uint64_t> identities;
  std::array<std::uint64_t, 64> in_pair{};
  for (std::uint64_t n = 0; n < 16; ++n) {
    const Hash128 whole = part_at(n).first;
    identities.insert(KeyHash::from(whole).identity);
    for (std::uint64_t part = 0; part < 4'096; ++part) {
      const KeyHash hash = KeyHash::from(hasher.of_part(whole, part << 8));
      identities.insert(hash.identity);
      ++in_pair[hash.place >> 58];
      ++in_pair[(hash.place & 0xffff'ffffU) >> 26];
      REQUIRE_FALSE(other.of_part(whole, part << 8) == hasher.of_part(whole, part << 8));
    }
  }
  CHECK(identities.size() == 16 * 4'097);
  // Chi-square with 63 degrees of freedom: above 120 once in 10^5 secrets, and this is one.
  const double expected = 2.0 * 16 * 4'096 / 64;
  double chi_square = 0;
  for (const std::uint64_t count : in_pair)
    chi_square += (static_cast<double>(count) - expected) *
                  (static_cast<double>(count) - expected) / expected;
  CHECK(chi_square < 120);
}

TEST_CASE("keys_that_share_half_a_hash_have_parts_of_their_own") {
  const Hasher hasher(kKey);
  const auto [whole, part] = part_at(1);
  for (int bit = 16; bit < 64; ++bit) {
    const Hash128 other{whole.low, whole.high ^ std::uint64_t{1} << bit};
    CHECK(KeyHash::from(hasher.of_part(whole, part)).identity !=
          KeyHash::from(hasher.of_part(other, part)).identity);
  }
}

TEST_CASE("no_key_has_identity_0") {
  CHECK(KeyHash::from({0, 0}).identity != 0);
  CHECK(KeyHash::from({0xffff, 0}).identity != 0);
}

TEST_CASE("the_candidates_of_a_key_are_16_distinct_slots_of_the_table") {
  for (const std::uint64_t pairs :
       {std::uint64_t{2}, std::uint64_t{3}, std::uint64_t{1000}, kKeysMax / 4}) {
    const Table<Slot> table(nullptr, pairs);
    for (std::uint64_t n = 0; n < 20'000; ++n) {
      // The corners of every field first, then hashes.
      Hash128 hash = Hasher(kKey)(&n, sizeof n);
      if (n < 16) hash = {n & 3, (n & 4 ? 0xffffffff00000000U : 0) | (n & 8 ? 0xffffffffU : 0)};
      const CandidateList list = table.candidates(KeyHash::from(hash));
      std::set<std::uint64_t> slots;
      for (int position = 0; position < CandidateList::kSize; ++position) {
        const std::uint64_t slot = list.slot_at(position);
        REQUIRE(slot < table.slot_count());
        slots.insert(slot);
      }
      REQUIRE(slots.size() == CandidateList::kSize);
      // Four lines of four, each within one cache line.
      for (int position = 0; position < CandidateList::kSize; ++position) {
        REQUIRE(list.slot_at(position) / 4 == list.slot_at(position / 4 * 4) / 4);
      }
    }
  }
}

}  // namespace
}  // namespace rl::shm
