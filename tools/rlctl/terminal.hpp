/// \file
/// What standard output shows: colours on a terminal, bars and lines of blocks where the locale has
/// them, plain text everywhere else.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace rl::ctl {

struct Terminal {
  bool is_one = false;       ///< standard output is a terminal
  bool has_colours = false;  ///< one, and neither NO_COLOR nor TERM=dumb says otherwise
  bool has_blocks = false;   ///< the locale is one of UTF-8
  std::size_t columns = 80;  ///< as wide as it is now, or COLUMNS says
};

/// Returns what standard output is, as it was when this was first asked.
const Terminal& terminal();

enum class Paint : std::uint8_t {
  strong,  ///< a heading
  faint,   ///< what is by the way
  good,
  warn,
  bad,
};

/// Returns the text so that it stands out, or as it is where there are no colours. A newline at its
/// end stays the end.
std::string paint(Paint paint, std::string_view text, const Terminal& on = terminal());

/// Returns a bar that takes `columns`, of which `share` (from 0 to 1; others are cut) is full.
std::string bar(double share, std::size_t columns, const Terminal& on = terminal());

/// Returns a line of as many blocks as there are values, the greatest the highest. All are 0: a flat
/// line.
std::string sparkline(std::span<const double> values, const Terminal& on = terminal());

/// Returns so many lines, the highest first, which are filled up to each share (from 0 to 1; others are
/// cut), a column a share.
std::vector<std::string> area(std::span<const double> shares, std::size_t rows,
                              const Terminal& on = terminal());

}  // namespace rl::ctl
