/// \file
/// What the measured loops are made of: keys that are made in the loop, and the floor.
///
/// The floor is what a decision cannot do without: make the key's text, hash it, load one line of
/// an array as large as the table, read the clock, and compare-and-swap 16 bytes of a slot of that
/// line. Which slot is said by what was loaded, so a line that is not in the cache is waited for,
/// as it must be. Nothing is searched, checked, guarded, counted or reported.
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

#include "bench/scratch.hpp"
#include "shm/clock.hpp"
#include "shm/hash.hpp"
#include "shm/slot.hpp"

namespace rl::bench {

/// Spreads consecutive numbers over 64 bits.
constexpr std::uint64_t mix(std::uint64_t n) noexcept {
  n = (n ^ n >> 30) * 0xbf58'476d'1ce4'e5b9U;
  n = (n ^ n >> 27) * 0x94d0'49bb'1331'11ebU;
  return n ^ n >> 31;
}

/// Hides from the compiler where a value comes from, so that it cannot compute with it beforehand.
template <class T>
[[gnu::always_inline]] inline T opaque(T value) noexcept {
  asm volatile("" : "+r"(value));
  return value;
}

/// The text of a key, "user:" and six hexadecimal digits, made by a dozen instructions and two
/// stores: the loop is to measure neither a formatter nor a load of text that is not in the cache.
class KeyText {
 public:
  static constexpr std::size_t kBytes = 11;

  KeyText() noexcept : KeyText(0) {}
  explicit KeyText(std::uint32_t number) noexcept {
    // The six nibbles, the highest first, one to a byte.
    std::uint64_t n = number & 0xff'ffffU;
    n = (n & 0xfff) << 24 | n >> 12;
    n = (n & 0x0f'0000'0f00U) >> 8 | (n & 0x00'f000'00f0U) << 4 | (n & 0x00'0f00'000fU) << 16;
    const std::uint64_t above_nine = (n + 0x0606'0606'0606U) >> 4 & 0x0101'0101'0101U;
    const std::uint64_t digits = n + 0x3030'3030'3030U + above_nine * ('a' - '0' - 10);
    const std::uint64_t head = 0x3a72'6573'75U | digits << 40;  // "user:" and three digits
    const auto tail = static_cast<std::uint32_t>(digits >> 24);
    std::memcpy(text_, &head, sizeof head);
    std::memcpy(text_ + sizeof head, &tail, sizeof tail);
  }
  /// Its length is opaque: the library cannot know it either.
  [[nodiscard]] std::string_view view() const noexcept { return {text_, opaque(kBytes)}; }

 private:
  char text_[12];
};

/// Always the same key; another one in each round, because where a key lies matters.
class HotKey {
 public:
  void start(unsigned round) noexcept { number_ = round; }
  [[nodiscard]] std::uint32_t next() noexcept { return opaque(number_); }

 private:
  std::uint32_t number_ = 0;
};

/// One of `count` keys at random, from `first` on.
class RandomKeys {
 public:
  explicit RandomKeys(std::uint32_t count, std::uint32_t first = 0) noexcept
      : count_(count), first_(first) {}
  [[nodiscard]] std::uint32_t count() const noexcept { return count_; }
  void start(unsigned round) noexcept { at_ = std::uint64_t{round} << 40; }
  [[nodiscard]] std::uint32_t next() noexcept {
    return first_ + static_cast<std::uint32_t>((mix(++at_) >> 32) * count_ >> 32);
  }

 private:
  std::uint64_t at_ = 0;
  std::uint32_t count_;
  std::uint32_t first_;
};

/// A bare TSC in nanoseconds.
class TscClock {
 public:
  explicit TscClock(const shm::ClockEpoch& epoch) noexcept
      : epoch_(epoch.tsc), ns_per_tick_32_(epoch.ns_per_tick_32) {}
  [[nodiscard]] std::uint64_t now() noexcept {
#if defined(__x86_64__)
    __extension__ using Wide = unsigned __int128;
    return static_cast<std::uint64_t>(Wide{__builtin_ia32_rdtsc() - epoch_} * ns_per_tick_32_ >>
                                      32);
#else
    return shm::read_boottime_ns();
#endif
  }

 private:
  std::uint64_t epoch_;
  std::uint64_t ns_per_tick_32_;
};

/// The kernel's clock, for machines whose segments use it.
class KernelClock {
 public:
  [[nodiscard]] std::uint64_t now() noexcept { return shm::read_boottime_ns(); }
};

/// A caller's own time: an event loop that reads the clock once and then makes many calls.
template <class Clock>
class CallersClock {
 public:
  static constexpr std::uint32_t kCallsPerReading = 64;

  explicit CallersClock(Clock clock) noexcept : clock_(clock) {}
  [[nodiscard]] auto now() noexcept {
    if (calls_++ % kCallsPerReading == 0) now_ = clock_.now();
    return now_;
  }

 private:
  Clock clock_;
  std::uint32_t calls_ = 0;
  decltype(clock_.now()) now_{};
};

/// Calls `body` with the clock that a segment made here would use.
template <class Body>
void with_bare_clock(Body&& body) {
  const shm::ClockEpoch epoch = shm::start_clock(true, shm::ClockKind::boottime);
  if (epoch.kind == shm::ClockKind::tsc) {
    body(TscClock(epoch));
  } else {
    body(KernelClock());
  }
}

/// A reading of a clock, for many keys.
struct Reading {
  std::uint64_t ns;
  [[nodiscard]] std::uint64_t now() const noexcept { return ns; }
};

/// What all floors hash keys with. (Each has a hasher of its own, which is loaded as a policy's is.)
inline constexpr shm::Hash128 kFloorSecret{0x6c69'6272'6c20'666c, 0x6f6f'7220'6f66'2061};

/// Returns the item that the upper half of a hash chooses.
template <class T>
[[nodiscard]] T& place_in(const SharedArray<T>& items, std::uint64_t hash) noexcept {
  return items[(hash >> 32) * items.size() >> 32];
}

/// The array that the floor works on.
class FloorArray {
 public:
  explicit FloorArray(std::uint64_t bytes) : lines_(bytes / sizeof(Line)) {
    for (std::size_t i = 0; i < lines_.size(); ++i) {
      for (shm::Slot& slot : lines_[i].slots) slot.compare_exchange({}, {mix(i), 0});
    }
  }

  /// Does the floor's part of an admission. Returns whether the slot changed, which it always does
  /// unless other processes are at it.
  template <class Clock>
  [[gnu::always_inline]] bool swap(std::string_view key, Clock& clock) const noexcept {
    return swap(hasher_(key.data(), key.size()), clock);
  }

  /// The same in two parts, for many keys at once: the first asks for the line.
  [[gnu::always_inline]] shm::Hash128 ask(std::string_view key) const noexcept {
    const shm::Hash128 hash = hasher_(key.data(), key.size());
    __builtin_prefetch(&place_in(lines_, hash.low), 1);
    return hash;
  }
  template <class Clock>
  [[gnu::always_inline]] bool swap(const shm::Hash128& hash, Clock& clock) const noexcept {
    shm::Slot& slot = slot_for(hash.low);
    const shm::SlotWords seen = slot.words();
    return slot.compare_exchange(seen, {seen.tag, clock.now() ^ hash.high >> 16});
  }

  /// Does the floor's part of a denial, which changes nothing.
  template <class Clock>
  [[gnu::always_inline]] std::uint64_t look(std::string_view key, Clock& clock) const noexcept {
    const shm::Hash128 hash = hasher_(key.data(), key.size());
    const shm::SlotWords seen = slot_for(hash.low).words();
    return seen.tag + seen.state + clock.now() + hash.high;
  }

  /// Changes a slot of the first line, whatever it takes: one step of the bare CAS loop.
  [[gnu::always_inline]] bool swap_first() const noexcept {
    shm::Slot& slot = lines_[0].slots[0];
    shm::SlotWords seen = slot.words();
    while (!slot.compare_exchange(seen, {seen.tag, seen.state + 1})) seen = slot.words();
    return true;
  }

 private:
  struct alignas(64) Line {
    shm::Slot slots[4];
  };
  [[nodiscard]] shm::Slot& slot_for(std::uint64_t place) const noexcept {
    Line& line = place_in(lines_, place);
    return line.slots[line.slots[0].tag() & 3U];
  }

  SharedArray<Line> lines_;
  shm::Hasher hasher_{kFloorSecret};
};

}  // namespace rl::bench
