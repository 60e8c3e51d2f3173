#include "tools/rlctl/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace rl::ctl {
namespace {

std::string_view environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

/// POSIX: the first of these that is not empty says what characters there are.
bool locale_is_utf8() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string_view locale = environment(name);
    if (locale.empty()) continue;
    for (const std::string_view codeset : {"UTF-8", "utf-8", "UTF8", "utf8"})
      if (locale.find(codeset) != locale.npos) return true;
    return false;
  }
  return false;
}

std::size_t columns_of(bool is_terminal) {
  std::size_t columns = 0;
  const std::string_view said = environment("COLUMNS");
  (void)std::from_chars(said.data(), said.data() + said.size(), columns);
  winsize size{};
  if (columns == 0 && is_terminal && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
    columns = size.ws_col;
  return columns == 0 ? 80 : std::clamp<std::size_t>(columns, 20, 1'000);
}

Terminal look() {
  Terminal found;
  found.is_one = ::isatty(STDOUT_FILENO) == 1;
  found.has_colours =
      found.is_one && environment("NO_COLOR").empty() && environment("TERM") != "dumb";
  found.has_blocks = locale_is_utf8();
  found.columns = columns_of(found.is_one);
  return found;
}

/// Select Graphic Rendition. Source: ECMA-48, section 8.3.117.
std::string_view rendition(Paint paint) {
  switch (paint) {
    case Paint::strong:
      return "\x1b[1m";
    case Paint::faint:
      return "\x1b[2m";
    case Paint::good:
      return "\x1b[32m";
    case Paint::warn:
      return "\x1b[33m";
    case Paint::bad:
      break;
  }
  return "\x1b[31m";
}

constexpr std::size_t kEighths = 8;
/// From an eighth of a column to a whole one, to the right and upwards.
constexpr std::array<std::string_view, kEighths> kAcross{"▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
constexpr std::array<std::string_view, kEighths> kUpwards{"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
/// The same without blocks.
constexpr std::array<std::string_view, kEighths> kPlain{"_", ".", ":", "-", "=", "+", "*", "#"};

std::string repeated(std::string_view text, std::size_t times) {
  std::string all;
  for (std::size_t i = 0; i < times; ++i) all += text;
  return all;
}

/// Of what is not a number, and of less than nothing, nothing.
double cut(double share) {
  return share > 0 ? std::min(share, 1.0) : 0;
}

}  // namespace

const Terminal& terminal() {
  static const Terminal found = look();
  return found;
}

std::string paint(Paint paint, std::string_view text, const Terminal& on) {
  if (!on.has_colours || text.empty()) return std::string(text);
  const bool ends_line = text.ends_with('\n');
  if (ends_line) text.remove_suffix(1);
  return std::string(rendition(paint)).append(text).append("\x1b[0m").append(ends_line ? "\n" : "");
}

std::string bar(double share, std::size_t columns, const Terminal& on) {
  const double full = cut(share) * static_cast<double>(columns);
  if (!on.has_blocks) {
    const auto marks = static_cast<std::size_t>(std::lround(full));
    return std::string(marks, '#') + std::string(columns - marks, '.');
  }
  const auto eighths = static_cast<std::size_t>(std::lround(full * kEighths));
  const std::size_t rest = eighths % kEighths;
  std::string text = repeated(kAcross.back(), eighths / kEighths);
  if (rest != 0) text += kAcross[rest - 1];
  return text + std::string(columns - eighths / kEighths - (rest == 0 ? 0 : 1), ' ');
}

std::string sparkline(std::span<const double> values, const Terminal& on) {
  const double greatest = values.empty() ? 0 : *std::max_element(values.begin(), values.end());
  const auto& blocks = on.has_blocks ? kUpwards : kPlain;
  std::string text;
  for (const double value : values) {
    const double share = greatest > 0 ? cut(value / greatest) : 0;
    text += blocks[static_cast<std::size_t>(std::lround(share * (kEighths - 1)))];
  }
  return text;
}

std::vector<std::string> area(std::span<const double> shares, std::size_t rows,
                              const Terminal& on) {
  const auto& blocks = on.has_blocks ? kUpwards : kPlain;
  std::vector<std::string> lines;
  for (std::size_t row = rows; row-- > 0;) {
    std::string line;
    for (const double share : shares) {
      const long eighths = std::lround(cut(share) * static_cast<double>(rows * kEighths)) -
                           static_cast<long>(row * kEighths);
      line += eighths <= 0 ? " " : blocks[std::min<std::size_t>(eighths, kEighths) - 1];
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace rl::ctl
