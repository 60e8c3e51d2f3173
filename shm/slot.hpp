/// \file
/// A slot: 16 bytes, and the only compare-and-swap on them.
///
///      63                               16 15            0
///     +-----------------------------------+---------------+
/// tag |            identity (48)          |  policy (16)  |
///     +-----------------------------------+---------------+
///     |                     state (64)                    |
///     +---------------------------------------------------+
///
/// The identity is 48 bits of the key's hash, never 0. What the state means is said by the policy.
/// The states of a slot, and every transition, are drawn at the head of table.hpp.
#pragma once

#include <atomic>
#include <cstdint>

namespace rl::shm {

/// What a slot holds, as a value.
struct SlotWords {
  std::uint64_t tag = 0;
  std::uint64_t state = 0;
  friend bool operator==(const SlotWords&, const SlotWords&) = default;
};

inline constexpr std::uint64_t kIdentityMask = (std::uint64_t{1} << 48) - 1;

constexpr std::uint64_t make_tag(std::uint64_t identity, std::uint16_t policy) noexcept {
  return identity << 16 | policy;
}
constexpr std::uint64_t identity_of(std::uint64_t tag) noexcept {
  return tag >> 16;
}
constexpr std::uint16_t policy_of(std::uint64_t tag) noexcept {
  return static_cast<std::uint16_t>(tag);
}
constexpr bool is_free(SlotWords words) noexcept {
  return (words.tag | words.state) == 0;
}
constexpr bool is_member(std::uint64_t tag) noexcept {
  return policy_of(tag) != 0 && identity_of(tag) != 0;
}
/// By the tag alone: a torn reading of a tentative that is being promoted may show state 0, and
/// must not be passed over (table.hpp, step 2).
constexpr bool is_tentative(std::uint64_t tag) noexcept {
  return policy_of(tag) == 0 && identity_of(tag) != 0;
}
/// Without a branch for the policy: what is left of the tag is it, and 0 less one is more than all.
constexpr bool is_member_of(std::uint64_t tag, std::uint64_t identity) noexcept {
  return (tag ^ make_tag(identity, 0)) - 1 < 0xffff;
}

/// Of Slot::tag(). Pairs with compare_exchange; what its caller wrote before (the policy's entry)
/// is seen.
inline constexpr std::memory_order kTagOrder = std::memory_order_acquire;

/// Of both loads of Slot::words(). Pairs with compare_exchange: an inserter's scan must not be
/// ordered before its own claim (table.hpp, guarantee S). On x86 it is the same instruction as an
/// acquire load.
inline constexpr std::memory_order kWordsOrder = std::memory_order_seq_cst;

/// The slot in shared memory.
///
/// Loads are 8 bytes each, because a 16-byte atomic load is a locked write on x86 without AVX and
/// faults on a read-only mapping. So words() may be torn between two values of the slot. Whoever
/// goes on to a compare-and-swap needs no more (a torn value does not compare equal); whoever does
/// not reads until two readings agree.
class Slot {
 public:
  [[nodiscard]] std::uint64_t tag() const noexcept { return tag_.load(kTagOrder); }

  [[nodiscard, gnu::always_inline]] SlotWords words() const noexcept {
    const std::uint64_t tag = tag_.load(kWordsOrder);
    return {tag, state_.load(kWordsOrder)};
  }

  /// Replaces all 16 bytes if they are `expected`. A full barrier, which is what kWordsOrder is
  /// ordered against.
  ///
  /// Not std::atomic<16 bytes>: g++ sends that to libatomic, which may take a lock of this process.
  /// The builtin with -mcx16 is one cmpxchg16b; a test reads the object code to hold it to that.
  bool compare_exchange(SlotWords expected, SlotWords desired) noexcept {
    const bool is_swapped = __sync_bool_compare_and_swap(reinterpret_cast<Wide*>(this),
                                                         widen(expected), widen(desired));
#if !defined(__x86_64__)
    // clang makes of it acquire and release, which lets a later acquire load go before it: who gave
    // a permit back must not have looked for the hint already (src/permits.cpp).
    __sync_synchronize();
#endif
    return is_swapped;
  }

 private:
  __extension__ using Wide __attribute__((may_alias)) = unsigned __int128;
  static constexpr Wide widen(SlotWords words) noexcept {
    return static_cast<Wide>(words.state) << 64 | words.tag;
  }

  alignas(16) std::atomic<std::uint64_t> tag_;
  std::atomic<std::uint64_t> state_;
};

static_assert(sizeof(Slot) == 16 && alignof(Slot) == 16);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

}  // namespace rl::shm
