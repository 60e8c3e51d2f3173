/// \file
/// Times as logs write them. Pure functions, no locale, no time zone of this machine.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rl::ctl {

/// An instant as ns since the Unix epoch: what it can be is from 1970 to kLogTimeMax, in 2115.
using UnixNs = std::uint64_t;
inline constexpr UnixNs kLogTimeMax = std::uint64_t{4'600'000'000} * 1'000'000'000;

/// Reads "17/May/2015:10:05:03 +0000", as the Common Log Format has it; seconds may have a fraction.
std::optional<UnixNs> read_clf_time(std::string_view text) noexcept;

/// Reads "2015-05-17T10:05:03Z" of ISO 8601: 'T' or a blank, a fraction with '.' or ',', a zone as
/// "Z", "+02:00" or "+0200", or none, which is UTC.
std::optional<UnixNs> read_iso_time(std::string_view text) noexcept;

/// Reads a number since the epoch, with a fraction or none: seconds, or where the number is too
/// large for that, ms, us or ns.
std::optional<UnixNs> read_epoch(std::string_view text) noexcept;

/// Reads any of these, also in brackets.
std::optional<UnixNs> read_any_time(std::string_view text) noexcept;

/// Remembers the last time that it read: most lines of a log are of the same second as the line
/// before.
class ClfTimes {
 public:
  std::optional<UnixNs> read(std::string_view text) noexcept;

 private:
  std::array<char, 32> text_{};
  std::size_t size_ = 0;
  UnixNs ns_ = 0;
};

}  // namespace rl::ctl
