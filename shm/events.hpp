/// \file
/// What happened lately: sixteen rings of 128 events each, in the segment.
///
///     0   checksum (8)    8 number (8)
///     16  Unix time (8)   24 pid (4)   28 policy (2)   30 kind (1)   31 detail (1)
///     32  cost (8)   40 limit (8)   48 remaining (8)   56 wait ns (8)
///     64  length of the key's text (1)   65 is it cut (1)   66 text (62)
///
/// A process writes to the ring of its seat, but what is rare to the last one, which denials so never
/// overwrite. It draws a number from the ring, and stores the words of its record, without any lock;
/// nobody waits for anybody. What stands in a record's place:
///
///     number n, checksum fits          event n, whole
///     number below n, checksum fits    n's writer is between drawing and storing: or dead there
///     checksum does not fit            n's writer is storing, or dead there; or one that slept, of
///                                      an older number, has written over it: n is lost
///     number above n, checksum fits    n was overwritten: it is lost
///
/// So a writer that dies in the middle loses its own event, and one that was stopped in the middle
/// for as long as 128 others took loses one more. A reader gives those who are at it a second, all
/// at once, then passes.
///
/// `next` counts what was written. A consumer notes in `read_to` how far it has come; who overwrites
/// an event that lies beyond that counts it as lost. relaxed, all of it: numbers order nothing, and
/// a record is its own witness.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "shm/mapping.hpp"

namespace rl::shm {

/// A record's bytes.
struct EventImage {
  static constexpr std::size_t kKeyBytes = 62;

  std::uint64_t checksum;
  std::uint64_t number;
  std::uint64_t unix_ns;
  std::uint32_t pid;
  std::uint16_t policy;
  std::uint8_t kind;
  std::uint8_t detail;  ///< of a decision its reason; of a change which
  std::uint64_t cost;
  std::uint64_t limit;
  std::uint64_t remaining;
  std::uint64_t wait_ns;
  std::uint8_t key_bytes;
  std::uint8_t is_key_cut;
  char key[kKeyBytes];

  void set_key(std::string_view text) noexcept;
  /// Returns the key's text, which lies within the image whatever its length says.
  [[nodiscard]] std::string_view key_text() const noexcept;
};
static_assert(sizeof(EventImage) == sizeof(EventRecord));

/// The ring for the frequent events of a process that sits on this seat, and that for the others.
constexpr std::uint32_t ring_of(std::uint32_t seat) noexcept {
  return seat % (kEventRings - 1);
}
inline constexpr std::uint32_t kRareRing = kEventRings - 1;

/// Writes an event, with number, time and checksum filled in. Requires a mapping that can be
/// written. Progress: some twenty stores and an add; no system call. Threads and processes: any.
void write_event(const Mapping& mapping, std::uint32_t ring, EventImage& image) noexcept;

/// How many events were written, and how many of these nobody has read.
struct EventCounts {
  std::uint64_t written = 0;
  std::uint64_t lost = 0;
};
EventCounts count_events(const Mapping& mapping) noexcept;

/// One reader's way through the rings. Threads: one at a time.
class EventReader {
 public:
  enum class Start : std::uint8_t {
    oldest,  ///< that is still there
    unread,  ///< by any consumer
    now,     ///< with what comes
  };
  /// `mapping` must outlive the reader.
  EventReader(const Mapping& mapping, Start start) noexcept;

  using Visit = std::function<void(const EventImage&)>;
  /// Visits what is new in a ring, in order; returns how many events were lost.
  std::uint64_t read(std::uint32_t ring, const Visit& visit);

  /// Says to others how far this reader has come, unless another is further. Requires a mapping that
  /// can be written.
  void note_read() const noexcept;

 private:
  static constexpr std::uint64_t kPatienceNs = 1'000'000'000;

  struct Position {
    std::uint64_t next = 0;
    std::uint64_t waiting_since_ns = 0;  ///< for who was at it then; 0: for nobody
    std::uint64_t waiting_to = 0;        ///< those of the numbers before this
  };

  const Mapping& mapping_;
  Hasher hasher_;
  std::array<Position, kEventRings> positions_{};
};

}  // namespace rl::shm
