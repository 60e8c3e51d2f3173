/// \file
/// What rlctl may write, whatever the segment holds: lines of text that a terminal shows and does
/// not obey, or JSON, and not without end.
#pragma once

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <string_view>

#include "tests/hostile/surface.hpp"

namespace rl::hostile {

/// Returns whether a terminal would only show this: no C0 control but the ends of lines, no DEL,
/// and no C1 control in UTF-8 or as a byte of its own (which valid UTF-8 does not have); and nothing
/// that turns the direction of what follows, which would show another order than there is.
inline bool is_harmless(std::string_view text) {
  const bool controls = std::any_of(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < ' ' && c != '\n') || c == 0x7f;
  });
  for (std::size_t at = 0; (at = text.find('\xc2', at)) != text.npos; ++at)  // ends: `at` grows
    if (at + 1 < text.size() && static_cast<unsigned char>(text[at + 1]) < 0xa0) return false;
  for (const char* turn :
       {"\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad", "\xe2\x80\xae",
        "\xe2\x81\xa6", "\xe2\x81\xa7", "\xe2\x81\xa8", "\xe2\x81\xa9"})
    if (text.find(turn) != text.npos) return false;
  return !controls && nlohmann::json::accept("\"" + [&] {
    std::string quoted;  // a JSON string holds UTF-8 and nothing else
    for (const char c : text)
      if (c != '\n' && c != '"' && c != '\\') quoted += c;
    return quoted;
  }() + "\"");
}

/// Demands what every output keeps. `lines_max` is what the segment's size allows.
inline void check_output(std::string_view text, bool json, std::size_t lines_max) {
  constexpr std::size_t kLineMax = 4'000;  // of --json, with the points of explain's chart
  demand(text.empty() || text.ends_with('\n'), "the output does not end with its line");
  demand(is_harmless(text), "a terminal would obey the output");
  std::size_t lines = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    demand(line.size() <= kLineMax, "a line without end");
    demand(!json || nlohmann::json::accept(line), "not JSON: " + std::string(line));
    text.remove_prefix(line.size() + 1);
    ++lines;
  }
  demand(lines <= lines_max, "more lines than the segment has room for");
}

}  // namespace rl::hostile
