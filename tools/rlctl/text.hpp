/// \file
/// Bytes, numbers and tables as people read and write them.
#pragma once

#include <chrono>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rl::ctl {

/// Returns bytes as text that is safe on a terminal and can be read back: what is not UTF-8, and
/// what a terminal would obey or hide (controls, direction marks, characters without width), is
/// shown as \xNN, and a backslash as two. Different bytes never give the same text.
std::string escape(std::string_view bytes);
/// Returns the same; most bytes are their own text, and only others are written to `spare`.
std::string_view shown(std::string_view bytes, std::string& spare);
/// Adds a text to a JSON document, as a string with its quotes. It is to be UTF-8, as escape() gives.
void append_json(std::string& document, std::string_view text);

/// Returns UTF-8 as TOML has it in quotes, with \uNNNN for what a terminal would obey or hide; nothing
/// for what is no UTF-8.
std::optional<std::string> quoted_for_toml(std::string_view text);

/// Returns a key as a segment keeps it: escaped, "..." after what is only its beginning, and
/// "(unknown)" for none.
std::string shown_key(const std::optional<std::string>& key, bool truncated);

/// Whether a text matches a pattern of the shell, in which a backslash is one.
bool matches(const std::string& glob, const std::string& text);

/// Returns how many columns of a terminal a text takes; what paint() puts around it takes none.
std::size_t width_of(std::string_view text);

/// Returns "1.5 s", and from a minute on "10 min 1 s" and its like: rounded up, so that waiting that
/// long is never too short.
std::string human_duration(std::uint64_t ns);
std::string human_duration(std::chrono::nanoseconds ns);
/// Returns how long it takes until all is as if nothing had been: "now", "1.5 s", or "never".
std::string full_in(std::chrono::nanoseconds reset_after);
/// Returns "8.1 MiB", rounded to the nearest.
std::string human_bytes(std::uint64_t bytes);
/// Returns a part of a whole, 0 to 1; 0 of nothing.
double share_of(std::uint64_t part, std::uint64_t whole) noexcept;
/// Returns ISO 8601 in UTC, to the second.
std::string iso_time(std::chrono::system_clock::time_point time);

/// Reads digits, or digits with "k" or "M". Errors: Error (bad_option), beginning with `what`.
std::uint64_t parse_count(std::string_view what, std::string_view text,
                          std::uint64_t most = std::numeric_limits<std::uint64_t>::max());
/// Reads octal permissions. Errors: Error (bad_option).
std::uint32_t parse_mode(std::string_view what, std::string_view text);
/// Reads "90s": digits and ns, us, ms, s, m, h or d. Errors: Error (bad_option).
std::chrono::nanoseconds parse_duration(std::string_view what, std::string_view text);

using Cells = std::vector<std::string>;

/// Lays cells out in columns: measure every line, then print every line.
class Table {
 public:
  enum Side : std::uint8_t { left, right };
  struct Column {
    std::string title;
    Side side = left;
  };
  explicit Table(std::vector<Column> columns);
  /// Makes the columns at least as wide as these cells.
  void measure(const Cells& cells);
  [[nodiscard]] std::string header() const;
  [[nodiscard]] std::string line(const Cells& cells) const;
  /// Adds that line to a text.
  void append_line(std::string& text, const Cells& cells) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::size_t> widths_;
};

}  // namespace rl::ctl
