/// \file
/// A whole, valid segment made of nothing but bytes in private memory, for tests that then spoil
/// some of them. It is small (a few pages), it is the same for the same shape, and it knows the
/// secret, as everybody does who may write the file: so a spoiled byte can be sealed, and what
/// stands behind the checksums is reached.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "shm/geometry.hpp"
#include "shm/mapping.hpp"

namespace rl::hostile {

struct Shape {
  std::uint64_t keys = 18;
  std::uint32_t policies = 8;
  std::uint32_t seats = 4;
  bool labels = true;
  shm::ClockKind clock = shm::ClockKind::manual;
};

/// The policies of a forged segment, in their order, and a name that it does not have.
inline constexpr std::string_view kPolicyNames[] = {"api", "slow", "open"};
inline constexpr std::string_view kPolicyLimits[] = {"100/s burst=200", "window 2/h when_full=deny",
                                                     "leaky 10/s queue=9 when_full=allow"};
inline constexpr int kKeys = 12;
/// Returns the text of a key that a forged segment holds, under policy `i % 3`.
std::string key_text(int i);

class Forged {
 public:
  explicit Forged(const Shape& shape);

  [[nodiscard]] std::span<unsigned char> bytes() noexcept {
    return {data(), static_cast<std::size_t>(geometry_.total_bytes)};
  }
  /// Where everything lay when it was made; the bytes may say something else by now.
  [[nodiscard]] const shm::Geometry& geometry() const noexcept { return geometry_; }
  [[nodiscard]] shm::Header& header() noexcept { return at<shm::Header>(0); }
  [[nodiscard]] shm::Seat& seat(std::uint32_t index) noexcept {
    return at<shm::Seat>(geometry_.seats_offset + index * sizeof(shm::Seat));
  }
  [[nodiscard]] shm::PolicyEntry& policy(std::uint32_t id) noexcept {
    return at<shm::PolicyEntry>(geometry_.policies_offset + (id - 1) * sizeof(shm::PolicyEntry));
  }
  [[nodiscard]] shm::Slot& slot(std::uint64_t index) noexcept { return table().slot(index); }
  [[nodiscard]] shm::Table<shm::Slot> table() noexcept {
    return {&at<shm::Pair>(geometry_.pairs_offset), geometry_.pair_count};
  }
  [[nodiscard]] shm::Labels labels() noexcept;

  /// Make the checksums fit again.
  void seal_header() noexcept;
  void seal_policies() noexcept;

  /// Writes the bytes to a file, which is made or replaced, and gives it `size` bytes.
  void write_to(const std::string& path, std::uint64_t size) const;
  void write_to(const std::string& path) const { write_to(path, geometry_.total_bytes); }

 private:
  struct alignas(shm::kPageBytes) Page {
    unsigned char bytes[shm::kPageBytes];
  };
  [[nodiscard]] unsigned char* data() const noexcept {
    return reinterpret_cast<unsigned char*>(pages_.get());
  }
  template <class T>
  [[nodiscard]] T& at(std::uint64_t offset) noexcept {
    return *reinterpret_cast<T*>(data() + offset);
  }
  void make_header(const Shape& shape);
  void make_policies();
  void make_keys();

  shm::Geometry geometry_;
  std::unique_ptr<Page[]> pages_;
  std::uint64_t now_ns_ = 0;
};

}  // namespace rl::hostile
