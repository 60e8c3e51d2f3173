/// \file
/// The text of a dump: lines, their checksums, and the JSON in them. Nothing else knows any of it.
///
///     {"librl_dump":2,...,"sum":"c5f1..."}                              what the segment was
///     {"policy":1,"name":"api","kind":"limit","limit":"100/s",...}      its policies, in order
///     {"policy":1,"key":"user:42","debt_ns":3000000000,...}             its keys, in any order
///     {"policy":1,"key":"user:42","standing":"banned","left_ns":...}    those that stand apart
///     {"policy":1,"key":"user:42","conduct":"1/s ...","denials":2,...}  and what is remembered
///     {"lines":4,...}                                                   how many lines there are
///
/// A byte string is a JSON string with one character, U+0000 to U+00FF, for each byte. 128-bit and
/// 64-bit words are in hexadecimal, as not all who read JSON can hold them as numbers. Members that
/// a reader does not know are passed over.
///
/// The sum at the end of each line is keyed with the hash of the line before, so the first line that
/// was edited, lost, doubled or moved is the first whose sum does not fit.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <rl/dump.hpp>
#include <rl/limit.hpp>
#include <rl/standing.hpp>

#include "shm/clock.hpp"
#include "shm/labels.hpp"
#include "src/owed.hpp"

namespace rl {

/// Goes up when a reader of the one before would misread a line, or miss what it says.
///
///     2   limits that are off, limits on trial, conduct, and the level of a ban
inline constexpr std::uint64_t kDumpFormat = 2;
inline constexpr std::uint64_t kDumpFormatOldest = 1;  ///< that is still read

/// What a dump says of its segment.
struct DumpedSegment {
  std::uint64_t keys = 0;
  std::uint64_t pairs = 0;
  std::uint32_t policies = 0;
  bool labels = false;
  shm::ClockKind clock = shm::ClockKind::boottime;
  shm::Hash128 secret{};
  std::uint64_t off_unix_ns = 0;  ///< since when limits are off; 0: they are on
};

/// What is only written, for people.
struct DumpedFacts {
  std::string_view segment;
  std::uint64_t unix_ns;
  std::uint64_t now_ns;  ///< on the segment's clock
};

struct DumpedPolicy {
  std::uint16_t id;
  std::string name;
  Limit limit;
  std::optional<Limit> trial = {};  ///< what is on trial beside it
};

/// How much of a key is known: all of its text, its hash and how it begins, or where it was.
enum class KeyKnown : std::uint8_t { text, hash, slot };

struct DumpedKey {
  std::uint16_t policy = 0;
  KeyKnown known = KeyKnown::text;
  std::uint8_t size = 0;  ///< of the text, or its beginning
  char text[shm::kLabelTextBytes] = {};
  shm::KeyHash hash{};           ///< of a key known by its slot, only the identity
  std::uint64_t slot_index = 0;  ///< of one known by nothing else
  Owed owed;
  std::uint64_t allowed_count = 0;
  std::uint64_t denied_count = 0;

  [[nodiscard]] std::string_view view() const noexcept { return {text, size}; }
};

/// How a key stands to its policy. One that is banned or allowed over an override has a line for
/// that before. What a key owes that is banned stands here, and not on a line of its own: it is
/// as of the end of the ban.
struct DumpedStanding {
  DumpedKey where;  ///< no debt and no counts
  Standing standing = Standing::none;
  std::optional<Limit> limit;            ///< of an override
  std::optional<std::uint64_t> left_ns;  ///< of a ban; none: for ever
  std::uint64_t owed = 0;                ///< of a ban: tokens
  std::uint32_t level = 0;               ///< of a ban
};

/// How often a key was denied and banned for it. Its slot is not the key's: what is known of the key
/// by less than its text is known of that slot.
struct DumpedConduct {
  DumpedKey where;  ///< no debt
  Limit bans;       ///< of it nothing counts but how it bans (conduct_limit)
  Remembered what;
};

/// All that a dump says. Keys are of policies that are in it.
struct DumpContents {
  DumpedSegment segment;
  std::vector<DumpedPolicy> policies;
  std::vector<DumpedKey> keys;
  std::vector<DumpedStanding> standings;
  std::vector<DumpedConduct> conducts;
};

/// Writes a dump, line by line, through a buffer.
class DumpWriter {
 public:
  /// "librldum", "p format": what the first line's sum is keyed with.
  static constexpr shm::Hash128 kChainStart{0x6d75'646c'7262'696c, 0x7461'6d72'6f66'2070};

  explicit DumpWriter(const Dump::Sink& sink) : sink_(sink) {}
  void write(const DumpedSegment& segment, const DumpedFacts& facts);
  void write(const DumpedPolicy& policy);
  /// Under a limit of this algorithm: it says which numbers of the debt mean something.
  void write(const DumpedKey& key, Algorithm algorithm);
  void write(const DumpedStanding& standing);
  void write(const DumpedConduct& conduct);
  /// Writes the last line; returns how many there are.
  std::uint64_t finish();

 private:
  void begin_key_line(const DumpedKey& key);
  /// Ends the line that stands at the end of the buffer, without its brace, with its sum.
  void end_line();

  const Dump::Sink& sink_;
  std::string buffer_;
  std::size_t line_at_ = 0;
  std::uint64_t lines_ = 0;
  shm::Hash128 chain_ = kChainStart;
};

/// Reads and checks a whole dump. Errors: as Dump::read.
DumpContents read_dump(const Dump::Source& source);

}  // namespace rl
