#include "tools/rlctl/text.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fnmatch.h>
#include <wchar.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <rl/error.hpp>
#include <rl/time.hpp>

namespace rl::ctl {
namespace {

/// One character of a text, or one byte that belongs to none.
struct Character {
  std::uint32_t code;
  std::size_t bytes;
  bool valid;
};

/// Decodes what the text, which is not empty, begins with. Source: RFC 3629, section 4.
Character first_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const Character invalid{byte(0), 1, false};
  if (byte(0) < 0x80) return {byte(0), 1, true};
  const std::size_t bytes = byte(0) >= 0xf0 ? 4 : byte(0) >= 0xe0 ? 3 : 2;
  if (byte(0) < 0xc2 || byte(0) > 0xf4 || text.size() < bytes) return invalid;
  std::uint32_t code = byte(0) & (0x7fU >> bytes);
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0U) != 0x80U) return invalid;
    code = code << 6 | (byte(i) & 0x3fU);
  }
  constexpr std::array<std::uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x1'0000};
  const bool surrogate = code >= 0xd800 && code <= 0xdfff;
  if (code < kLeast[bytes] || code > 0x10'ffff || surrogate) return invalid;
  return {code, bytes, true};
}

/// What a terminal obeys or does not show.
bool is_hidden(std::uint32_t code) {
  struct Range {
    std::uint32_t first;
    std::uint32_t last;
  };
  constexpr std::array<Range, 10> kHidden{{{0x00, 0x1f},          // C0 controls
                                           {0x7f, 0x9f},          // DEL and C1 controls
                                           {0xad, 0xad},          // soft hyphen
                                           {0x61c, 0x61c},        // Arabic letter mark
                                           {0x200b, 0x200f},      // no width, directions
                                           {0x2028, 0x202e},      // separators, directions
                                           {0x2060, 0x206f},      // no width, directions
                                           {0xfeff, 0xfeff},      // byte order mark
                                           {0xfffe, 0xffff},      // no characters; XML has none
                                           {0xe0000, 0xe007f}}};  // tags
  return std::any_of(kHidden.begin(), kHidden.end(),
                     [&](Range r) { return code >= r.first && code <= r.last; });
}

/// Returns how many bytes at the beginning are ASCII that stands for itself: nearly all, mostly.
std::size_t plain_beginning(std::string_view bytes) {
  const auto end = std::find_if(bytes.begin(), bytes.end(),
                                [](char c) { return c < ' ' || c > '~' || c == '\\'; });
  return static_cast<std::size_t>(end - bytes.begin());
}

struct Unit {
  std::string_view name;
  std::uint64_t ns;
};
/// Ascending.
constexpr std::array<Unit, 7> kUnits{{{"ns", 1},
                                      {"us", 1'000},
                                      {"ms", 1'000'000},
                                      {"s", 1'000'000'000},
                                      {"min", 60'000'000'000},
                                      {"h", 3'600'000'000'000},
                                      {"d", 86'400'000'000'000}}};

/// Returns "15" for 150 tenths and "1.5" for 15.
std::string in_tenths(std::uint64_t tenths) {
  std::string text = fmt::format_int(tenths / 10).str();
  if (tenths % 10 == 0) return text;
  text += '.';
  text += static_cast<char>('0' + tenths % 10);
  return text;
}

std::uint64_t rounded_up(std::uint64_t n, std::uint64_t by) {
  return n / by + (n % by == 0 ? 0 : 1);
}

std::string amount(std::string number, const Unit& unit) {
  return std::move(number.append(" ").append(unit.name));
}

/// Reads the digits that a text begins with and takes them off it.
std::uint64_t take_number(std::string_view what, std::string_view& text, int base,
                          std::string_view wanted) {
  const std::string_view whole = text;
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error == std::errc::result_out_of_range) {
    throw Error(Errc::bad_option, fmt::format("{} {}: that number is too large", what, whole));
  }
  if (error != std::errc()) {
    throw Error(Errc::bad_option, fmt::format("{} \"{}\": give {}", what, whole, wanted));
  }
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  return number;
}

}  // namespace

std::string escape(std::string_view bytes) {
  std::string text;
  while (true) {  // ends: each turn takes a character
    const std::size_t plain = plain_beginning(bytes);
    text += bytes.substr(0, plain);
    bytes.remove_prefix(plain);
    if (bytes.empty()) return text;
    const Character c = first_character(bytes);
    const std::string_view own = bytes.substr(0, c.bytes);
    if (!c.valid || is_hidden(c.code)) {
      for (const char byte : own)
        text += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    } else {
      if (c.code == '\\') text += '\\';
      text += own;
    }
    bytes.remove_prefix(c.bytes);
  }
}

std::string_view shown(std::string_view bytes, std::string& spare) {
  if (plain_beginning(bytes) == bytes.size()) return bytes;
  return spare = escape(bytes);
}

/// Source: RFC 8259, section 7; the short forms where there are such.
void append_json(std::string& document, std::string_view text) {
  document += '"';
  while (!text.empty()) {
    const auto end = std::find_if(text.begin(), text.end(), [](char c) {
      return c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ';
    });
    const auto plain = static_cast<std::size_t>(end - text.begin());
    document += text.substr(0, plain);
    if (end == text.end()) break;
    constexpr std::string_view kControls = "\b\t\n\f\r";
    if (const std::size_t at = kControls.find(*end); at != kControls.npos) {
      document += {'\\', "btnfr"[at]};
    } else if (static_cast<unsigned char>(*end) < ' ') {
      document += fmt::format("\\u{:04x}", static_cast<unsigned char>(*end));
    } else {
      document += {'\\', *end};
    }
    text.remove_prefix(plain + 1);
  }
  document += '"';
}

std::optional<std::string> quoted_for_toml(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const Character c = first_character(text);
    if (!c.valid) return std::nullopt;
    if (is_hidden(c.code)) {
      quoted +=
          c.code > 0xffff ? fmt::format("\\U{:08X}", c.code) : fmt::format("\\u{:04X}", c.code);
    } else {
      if (c.code == '"' || c.code == '\\') quoted += '\\';
      quoted += text.substr(0, c.bytes);
    }
    text.remove_prefix(c.bytes);
  }
  return quoted + '"';
}

std::string shown_key(const std::optional<std::string>& key, bool truncated) {
  return (key ? escape(*key) : "(unknown)") + (truncated ? "..." : "");
}

bool matches(const std::string& glob, const std::string& text) {
  return ::fnmatch(glob.c_str(), text.c_str(), FNM_NOESCAPE) == 0;
}

std::size_t width_of(std::string_view text) {
  std::size_t width = plain_beginning(text);
  text.remove_prefix(width);
  while (!text.empty()) {
    if (text.starts_with("\x1b[")) {  // a colour: nothing else gets past escape()
      text.remove_prefix(std::min(text.find('m'), text.size() - 1) + 1);
      continue;
    }
    const Character c = first_character(text);
    const int columns = c.valid ? ::wcwidth(static_cast<wchar_t>(c.code)) : 1;
    width += columns < 0 ? 1U : static_cast<std::size_t>(columns);
    text.remove_prefix(c.bytes);
  }
  return width;
}

std::string human_duration(std::uint64_t ns) {
  if (ns == 0) return "0 s";
  constexpr std::size_t kMinute = 4;
  for (std::size_t i = 0; i < kMinute; ++i) {
    const std::uint64_t unit = kUnits[i].ns;
    const std::uint64_t next = kUnits[i + 1].ns;
    if (ns >= next) continue;
    const std::uint64_t tenths = ns / unit * 10 + rounded_up(ns % unit * 10, unit);
    if (tenths < next / unit * 10) return amount(in_tenths(tenths), kUnits[i]);
  }
  for (std::size_t i = kMinute;; ++i) {  // ends: nothing is too long for the last unit
    const Unit& part = kUnits[i - 1];
    const std::uint64_t parts = rounded_up(ns, part.ns);
    if (i + 1 < kUnits.size() && parts >= kUnits[i + 1].ns / part.ns) continue;
    const std::uint64_t in_one = kUnits[i].ns / part.ns;
    std::string text = amount(std::to_string(parts / in_one), kUnits[i]);
    if (parts % in_one != 0) text += ' ' + amount(std::to_string(parts % in_one), part);
    return text;
  }
}

std::string human_duration(std::chrono::nanoseconds ns) {
  return human_duration(ns.count() > 0 ? static_cast<std::uint64_t>(ns.count()) : 0);
}

std::string full_in(std::chrono::nanoseconds reset_after) {
  if (reset_after == kNever) return "never";
  return reset_after.count() <= 0 ? "now" : human_duration(reset_after);
}

std::string human_bytes(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 5> kNames{"bytes", "KiB", "MiB", "GiB", "TiB"};
  std::uint64_t unit = 1;
  std::size_t i = 0;
  while (i + 1 < kNames.size() && bytes / unit >= 1'024) {
    unit *= 1'024;
    ++i;
  }
  const std::uint64_t tenths = bytes / unit * 10 + (bytes % unit * 10 + unit / 2) / unit;
  return fmt::format("{} {}", in_tenths(tenths), kNames[i]);
}

double share_of(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole != 0 ? static_cast<double>(part) / static_cast<double>(whole) : 0;
}

std::string iso_time(std::chrono::system_clock::time_point time) {
  return fmt::format("{:%FT%TZ}", fmt::gmtime(std::chrono::system_clock::to_time_t(
                                      std::chrono::floor<std::chrono::seconds>(time))));
}

std::uint64_t parse_count(std::string_view what, std::string_view text, std::uint64_t most) {
  const std::string_view whole = text;
  constexpr std::string_view kWanted = "a whole number, such as 500, 64k or 1M";
  std::uint64_t count = take_number(what, text, 10, kWanted);
  const std::uint64_t factor = text == "k" ? 1'000 : text == "M" ? 1'000'000 : 1;
  if (!text.empty() && factor == 1) {
    throw Error(Errc::bad_option, fmt::format("{} \"{}\": give {}", what, whole, kWanted));
  }
  if (count > most / factor) {
    throw Error(Errc::bad_option,
                fmt::format("{} {}: that number is too large; at most {}", what, whole, most));
  }
  return count * factor;
}

std::uint32_t parse_mode(std::string_view what, std::string_view text) {
  const std::string_view whole = text;
  constexpr std::string_view kWanted = "octal permissions, such as 0600 or 0660";
  const std::uint64_t mode = take_number(what, text, 8, kWanted);
  if (!text.empty() || mode > 07777) {
    throw Error(Errc::bad_option, fmt::format("{} \"{}\": give {}", what, whole, kWanted));
  }
  return static_cast<std::uint32_t>(mode);
}

std::chrono::nanoseconds parse_duration(std::string_view what, std::string_view text) {
  const std::string_view whole = text;
  constexpr std::string_view kWanted =
      "a duration, such as 90s: a whole number and ns, us, ms, s, m, h or d";
  const std::uint64_t count = take_number(what, text, 10, kWanted);
  const std::string_view name = text == "m" ? "min" : text;
  for (const Unit& unit : kUnits) {
    if (unit.name != name) continue;
    constexpr auto kMost = static_cast<std::uint64_t>(std::chrono::nanoseconds::max().count());
    if (count > kMost / unit.ns) {
      throw Error(Errc::bad_option, fmt::format("{} {}: above 292 years; give less", what, whole));
    }
    return std::chrono::nanoseconds(static_cast<std::int64_t>(count * unit.ns));
  }
  throw Error(Errc::bad_option, fmt::format("{} \"{}\": give {}", what, whole, kWanted));
}

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {
  for (const Column& column : columns_) widths_.push_back(width_of(column.title));
}

void Table::measure(const Cells& cells) {
  for (std::size_t i = 0; i < cells.size(); ++i)
    widths_[i] = std::max(widths_[i], width_of(cells[i]));
}

std::string Table::header() const {
  Cells titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  return line(titles);
}

std::string Table::line(const Cells& cells) const {
  std::string text;
  append_line(text, cells);
  return text;
}

void Table::append_line(std::string& text, const Cells& cells) const {
  const std::size_t begin = text.size();
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::size_t width = width_of(cells[i]);
    const std::size_t gap = widths_[i] > width ? widths_[i] - width : 0;
    if (i > 0) text += "  ";
    if (columns_[i].side == right) text.append(gap, ' ');
    text += cells[i];
    if (columns_[i].side == left) text.append(gap, ' ');
  }
  while (text.size() > begin && text.back() == ' ') text.pop_back();
  text += '\n';
}

}  // namespace rl::ctl
