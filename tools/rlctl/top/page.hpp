/// \file
/// A screen full of text, made of a model; no terminal is needed for it. Nothing is wider or higher
/// than the screen, however small that is, and everything that was read is escaped.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/terminal.hpp"
#include "tools/rlctl/top/model.hpp"

namespace rl::ctl::live {

/// A piece of a line.
struct Span {
  std::string text;
  std::optional<Paint> paint{};
};

struct Line {
  std::vector<Span> spans;
  bool is_bar = false;  ///< reversed, over the whole width: titles, and what is selected

  Line() = default;
  Line(std::string text, std::optional<Paint> paint = {}, bool bar = false)
      : spans{{std::move(text), paint}}, is_bar(bar) {}
  Line& add(std::string text, std::optional<Paint> paint = {});
  [[nodiscard]] std::string text() const;
};

using Page = std::vector<Line>;

struct Size {
  std::size_t rows = 24;
  std::size_t columns = 80;
};

/// How often it is looked, for the people who wonder.
struct Pace {
  double asked_s = 1;
  double taken_s = 1;  ///< what is kept: more, where a look takes long
  double look_ms = 0;  ///< of a CPU's time that the last look took
};

/// Returns the lines of a screen; sets how many rows of the table it has room for.
Page page_of(Model& model, const Pace& pace, const Size& size);

/// The page of one key, below a segment's head: key_page.cpp
void add_key(const Model& model, const Size& size, Page& page);
/// head_lines.cpp: what the segment is and what is decided in it.
void add_head(const Model& model, const Pace& pace, const Size& size, Page& page);

/// Returns as much of the text as fits so many columns; what is cut ends in a mark.
std::string cut_to(std::string_view text, std::size_t columns);
/// Returns the text in exactly so many columns.
std::string in_columns(std::string_view text, std::size_t columns, bool right = false);
/// Returns "1.2k": a rate in four or five characters; "-" where it is not known.
std::string rate_text(std::optional<double> per_s);
/// Returns what a terminal can show: without UTF-8, other bytes as \xNN.
std::string showable(std::string_view escaped);

std::optional<Paint> paint_of(const KeyInfo& key);

}  // namespace rl::ctl::live
