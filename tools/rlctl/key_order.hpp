/// \file
/// The order of `list --sort`, and the keys that are waiting for the last of them.
///
/// Sorting holds what a row says and no more: 96 bytes a key, in pieces that are never copied to grow.
/// With --rows it holds one key more than are asked for.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include <rl/segment.hpp>

#include "shm/layout.hpp"
#include "tools/rlctl/key_fields.hpp"

namespace rl::ctl {

/// By what keys are sorted. Counts and durations begin with the most, but for what remains; texts
/// and words with the first. Of equals: by key, unknown keys last, then as the policies were made.
struct KeyOrder {
  KeyField by;
  bool is_reversed = false;
  /// Reads a field, or "-" and a field. Errors: Error (bad_option).
  static KeyOrder parse(std::string_view text);
};

class SortedKeys {
 public:
  SortedKeys(KeyOrder order, std::uint64_t most) : order_(order), most_(most) {}
  /// Takes a row as Segment::for_each_key gives it; lets go of the last one if it has too many.
  void add(const KeyInfo& row);
  /// Calls `visit` for every row, in order; may be asked more than once. Takes no more after that.
  void for_each(const std::function<void(const KeyInfo&)>& visit);

 private:
  /// A row. What all rows of an id share is kept once.
  struct Packed {
    std::uint64_t rank;
    std::uint64_t allowed;
    std::uint64_t denied;
    std::uint64_t limit;
    std::uint64_t remaining;
    std::int64_t reset_after_ns;
    std::uint32_t holder_pid;
    std::uint16_t policy_id;
    Standing standing;
    SlotPart part;
    std::uint8_t key_bytes : 5;
    bool is_known : 1;
    bool is_truncated : 1;
    bool is_idle : 1;
    bool is_for_ever : 1;
    bool has_own_limit : 1;
    char key[shm::kLabelTextBytes];
    [[nodiscard]] std::string_view text() const noexcept { return {key, key_bytes}; }
  };
  static_assert(shm::kLabelTextBytes < 32 && sizeof(Packed) <= 96);
  /// An override is a policy of its own, with an id of its own.
  struct Shared {
    std::string name;
    std::optional<Limit> own_limit;
  };

  [[nodiscard]] std::uint64_t rank_of(const KeyInfo& row) const;
  [[nodiscard]] Packed pack(const KeyInfo& row);
  [[nodiscard]] KeyInfo unpack(const Packed& row) const;
  [[nodiscard]] bool is_before(const Packed& a, const Packed& b) const;
  [[nodiscard]] int compared_by_name(const Packed& a, const Packed& b) const;

  KeyOrder order_;
  std::uint64_t most_;
  std::deque<Packed> rows_;  ///< full, a heap: the last of the order on top
  std::map<std::uint16_t, Shared> policies_;
  bool is_heap_ = false;
  bool is_sorted_ = false;
};

}  // namespace rl::ctl
