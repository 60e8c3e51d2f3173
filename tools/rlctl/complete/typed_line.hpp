/// \file
/// A line that is being typed into bash: its words without their quotes, and what is typed next with
/// quotes as they fit. Pure.
///
/// bash completes not a word but what stands behind the last character of COMP_WORDBREAKS in it, and
/// ":", "=" and "@" are among those: of the key user:42, "42".
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace rl::ctl {

struct TypedLine {
  std::vector<std::string> words;  ///< the last is being typed, and may be empty
  std::size_t done = 0;            ///< how much of the last one bash leaves as it is
  char quote = 0;                  ///< ' or " where one is open
};

/// Returns the words of the last command of a line. Variables and commands in it stay as they are. Of
/// the characters in `breaks`, bash lets those in `keeps` begin what it completes.
TypedLine read_line(std::string_view line, std::string_view breaks, std::string_view keeps);

/// Returns what is to stand behind `line.done` so that the last word becomes `word`; nothing where
/// that cannot be typed within the quote that is open.
std::optional<std::string> rest_to_type(const TypedLine& line, std::string_view word);

}  // namespace rl::ctl
