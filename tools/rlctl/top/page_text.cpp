// Pieces of text that pages are made of.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "tools/rlctl/key_fields.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/top/page.hpp"

namespace rl::ctl::live {
namespace {

/// Returns how many bytes the first character takes, of text that is UTF-8.
std::size_t first_bytes(std::string_view text) {
  std::size_t bytes = 1;
  while (bytes < text.size() && (static_cast<unsigned char>(text[bytes]) & 0xc0U) == 0x80U) ++bytes;
  return bytes;
}

/// Returns the longest beginning that takes at most so many columns.
std::string_view beginning(std::string_view text, std::size_t columns) {
  std::size_t bytes = 0;
  std::size_t width = 0;
  while (bytes < text.size()) {  // ends: each character has a byte at least
    const std::size_t next = first_bytes(text.substr(bytes));
    width += width_of(text.substr(bytes, next));
    if (width > columns) break;
    bytes += next;
  }
  return text.substr(0, bytes);
}

}  // namespace

Line& Line::add(std::string text, std::optional<Paint> paint) {
  spans.push_back({std::move(text), paint});
  return *this;
}

std::string Line::text() const {
  std::string all;
  for (const Span& span : spans) all += span.text;
  return all;
}

std::string cut_to(std::string_view text, std::size_t columns) {
  if (width_of(text) <= columns) return std::string(text);
  const std::string_view mark = terminal().has_blocks ? "…" : "~";
  if (columns == 0) return "";
  return std::string(beginning(text, columns - 1)).append(mark);
}

std::string in_columns(std::string_view text, std::size_t columns, bool right) {
  std::string fitting = cut_to(text, columns);
  const std::string gap(columns - std::min(columns, width_of(fitting)), ' ');
  return right ? gap + fitting : fitting + gap;
}

std::string rate_text(std::optional<double> per_s) {
  if (!per_s) return "-";
  double rate = *per_s;
  constexpr std::array<std::string_view, 5> kUnits{"", "k", "M", "G", "T"};
  std::size_t unit = 0;
  while (rate >= 999.5 && unit + 1 < kUnits.size()) {
    rate /= 1'000;
    ++unit;
  }
  const bool is_whole = unit == 0 && rate == std::floor(rate);
  return is_whole || rate >= 99.95 ? fmt::format("{:.0f}{}", rate, kUnits[unit])
                                   : fmt::format("{:.1f}{}", rate, kUnits[unit]);
}

std::string showable(std::string_view escaped) {
  if (terminal().has_blocks) return std::string(escaped);
  std::string text;
  for (const char c : escaped) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x80 ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return text;
}

std::optional<Paint> paint_of(const KeyInfo& key) {
  if (key.standing == Standing::ban) return Paint::bad;
  if (key.standing != Standing::none) return Paint::good;
  return key.idle ? std::optional(Paint::faint) : std::nullopt;
}

}  // namespace rl::ctl::live
