/// \file
/// An address as people and programs write it: with blanks around, with a port.
#pragma once

#include <cstddef>
#include <string_view>

namespace rl::ctl {

inline std::string_view without_blanks(std::string_view text) noexcept {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

/// "[2001:db8::1]:443" and "203.0.113.5:443" have a port, "2001:db8::1" has none.
inline std::string_view without_port(std::string_view text) noexcept {
  if (text.starts_with('[')) return text.substr(1, text.find(']') - 1);
  const std::size_t colon = text.find(':');
  return colon == text.rfind(':') ? text.substr(0, colon) : text;
}

}  // namespace rl::ctl
