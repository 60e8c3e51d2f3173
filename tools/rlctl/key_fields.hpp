/// \file
/// What there is to say of a key, field by field: what `list` shows, sorts by, and is asked for.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>

#include <rl/segment.hpp>

namespace rl::ctl {

enum class KeyField : std::uint8_t {
  policy,
  key,
  known,
  truncated,
  allowed,
  denied,
  used,
  remaining,
  limit,
  full_in,
  state,
  part,
  holder,
  own_limit,
};

enum class FieldKind : std::uint8_t {
  text,      ///< as it is shown, escaped
  count,     ///< a number
  duration,  ///< a number of nanoseconds, or kNeverNs
  word,      ///< one of FieldInfo::words, as its place there
};

struct FieldInfo {
  KeyField field;
  std::string_view name;
  FieldKind kind;
  std::span<const std::string_view> words = {};
  /// Whether its words are no and yes.
  [[nodiscard]] bool is_yes_or_no() const noexcept;
};

/// Stands for a time that never comes.
inline constexpr std::uint64_t kNeverNs = std::numeric_limits<std::uint64_t>::max();

/// Returns all, in the order of KeyField.
std::span<const FieldInfo> key_fields() noexcept;
const FieldInfo& field_info(KeyField field) noexcept;
/// Returns the field of that name; null when there is none.
const FieldInfo* find_field(std::string_view name) noexcept;
/// Says what could have been meant: "did you mean "denied"?", or all that there is to choose from.
std::string suggestion(std::string_view typed, std::span<const std::string_view> names,
                       std::string_view what);
/// The same for a field.
std::string suggested_field(std::string_view typed);

/// Returns a field that is a count, a duration or a word.
std::uint64_t number_in(const KeyInfo& row, KeyField field) noexcept;
/// Returns the word of a field that is one.
std::string_view word_in(const KeyInfo& row, KeyField field) noexcept;

/// Returns when the key is full again, or its ban is over: "now", how long that is, or "never".
std::string full_in(const KeyInfo& row);

inline bool is_banned_for_ever(const KeyInfo& row) noexcept {
  return row.standing == Standing::ban && row.until == Instant::max();
}

}  // namespace rl::ctl
