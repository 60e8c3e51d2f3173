/// \file
/// What is left of a log for a replay: who asked, and when, in the order of the log.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "shm/hash.hpp"

namespace rl::ctl {

/// Requests, 12 bytes each (while more are added, up to three times that), and the texts of their
/// keys, once each. A log is so read once, however many limits are tried on it.
class Trace {
 public:
  using KeyId = std::uint32_t;
  struct Request {
    KeyId key;
    std::uint64_t unix_ns;
  };

  Trace();

  /// Adds a request. Time never goes back: one that is earlier than the one before counts as at the
  /// same time. Errors: Error (bad_option) for more than four thousand million keys.
  void add(std::string_view key, std::uint64_t unix_ns);

  [[nodiscard]] std::size_t size() const noexcept { return keys_of_.size(); }
  [[nodiscard]] std::size_t key_count() const noexcept { return texts_.size(); }
  [[nodiscard]] Request operator[](std::size_t i) const noexcept {
    return {keys_of_[i], times_[i]};
  }
  [[nodiscard]] std::string_view key(KeyId id) const noexcept {
    return {bytes_.data() + texts_[id].begin, texts_[id].size};
  }

  /// Require a request. Of the first and of the last.
  [[nodiscard]] std::uint64_t first_ns() const noexcept { return times_.front(); }
  [[nodiscard]] std::uint64_t last_ns() const noexcept { return times_.back(); }

  /// How many requests were earlier than one before them, and the furthest of them by how much.
  [[nodiscard]] std::uint64_t backwards() const noexcept { return backwards_; }
  [[nodiscard]] std::uint64_t furthest_back_ns() const noexcept { return furthest_back_ns_; }
  /// Whether all times are whole seconds: then nobody knows how calls lay within one.
  [[nodiscard]] bool has_whole_seconds() const noexcept { return has_whole_seconds_; }

 private:
  struct Text {
    std::uint64_t hash;
    std::uint64_t begin;
    std::uint32_t size;
  };
  KeyId id_of(std::string_view key);
  void grow_index();

  shm::Hasher hasher_;  ///< with a secret of its own: who writes into logs cannot choose collisions
  std::vector<KeyId> keys_of_;
  std::vector<std::uint64_t> times_;
  std::vector<Text> texts_;  ///< by id
  std::string bytes_;
  std::vector<KeyId> index_;  ///< open addressing: an id + 1, or 0
  std::uint64_t backwards_ = 0;
  std::uint64_t furthest_back_ns_ = 0;
  bool has_whole_seconds_ = true;
};

}  // namespace rl::ctl
