/// \file
/// Who changed what by hand: the last 256 such changes, in the segment.
///
///     0   checksum (8)   8 number (8)
///     16  Unix time (8)  24 uid (4)   28 pid (4)
///     32  kind (1)   33 what was cut (1: a bit for each text)   34 lengths (5)   39 (0)
///     40  policy, key, value before, value after, reason (216, one after the other)
///
/// A record is written without any lock: its number is drawn, then its words are stored. A writer
/// that is killed on the way leaves one record that nobody can read; one that was stopped on the way
/// may write over a later one. Only what the checksum fits is shown, as with labels. A change and
/// its record are two steps: who is killed in between has made the change, and nobody reads of it.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "shm/mapping.hpp"

namespace rl::shm {

/// The texts of a record, in order.
enum class JournalText : std::uint8_t { policy, key, before, after, reason };
inline constexpr std::size_t kJournalTexts = 5;

/// A record's bytes.
struct JournalImage {
  std::uint64_t checksum;
  std::uint64_t number;
  std::uint64_t unix_ns;
  std::uint32_t uid;
  std::uint32_t pid;
  std::uint8_t kind;
  std::uint8_t cut;
  std::uint8_t lengths[kJournalTexts];
  std::uint8_t reserved;
  char text[216];

  /// Returns a text, which lies within the image whatever the lengths say.
  [[nodiscard]] std::string_view of(JournalText which) const noexcept;
  [[nodiscard]] bool is_cut(JournalText which) const noexcept {
    return (cut >> static_cast<unsigned>(which) & 1U) != 0;
  }
};
static_assert(sizeof(JournalImage) == sizeof(JournalRecord));

/// Threads and processes: any.
class Journal {
 public:
  explicit Journal(const Mapping& mapping) noexcept
      : mapping_(mapping), hasher_(mapping.constants().secret) {}

  /// Writes a change of this process, now. Texts that are too long for the record are cut.
  /// Requires a mapping that can be written.
  void write(std::uint8_t kind,
             const std::array<std::string_view, kJournalTexts>& texts) const noexcept;

  /// Returns what can be read, the oldest first.
  [[nodiscard]] std::vector<JournalImage> read() const;

 private:
  const Mapping& mapping_;
  Hasher hasher_;
};

}  // namespace rl::shm
