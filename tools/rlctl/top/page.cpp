#include "tools/rlctl/top/page.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "tools/rlctl/key_fields.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl::live {
namespace {

constexpr std::size_t kBar = 10;

/// A column of the table beside the key.
struct Column {
  std::string_view title;
  std::size_t width;
  int how_needless;  ///< where there is little room: the greater, the sooner it goes
  bool is_right;
  std::string (*text)(const Look&, const Row&);
};

constexpr std::array<Column, 7> kColumns{{
    {"policy", 12, 2, false,
     [](const Look&, const Row& row) { return showable(escape(row.key.policy)); }},
    {"denied/s", 9, 0, true,
     [](const Look& look, const Row& row) {
       return rate_text(look.rate(row.measure.since, &KeyCounts::denied));
     }},
    {"allowed/s", 10, 1, true,
     [](const Look& look, const Row& row) {
       return rate_text(look.rate(row.measure.since, &KeyCounts::allowed));
     }},
    {"left", kBar, 4, false,
     [](const Look&, const Row& row) { return bar(row.measure.left, kBar); }},
    {"left/limit", 11, 5, true,
     [](const Look&, const Row& row) {
       return row.key.limit == 0 ? std::string("-")
                                 : fmt::format("{}/{}", row.key.remaining, row.key.limit);
     }},
    {"full in", 8, 6, true, [](const Look&, const Row& row) { return full_in(row.key); }},
    {"state", 9, 3, false,
     [](const Look&, const Row& row) { return std::string(word_in(row.key, KeyField::state)); }},
}};

std::string key_of(const Row& row) {
  return showable(row.measure.name.empty() ? "(unknown)" : row.measure.name);
}

/// Which columns there is room for beside a key of so many characters, and how wide that is then.
struct Layout {
  std::vector<const Column*> columns;
  std::size_t key_width = 0;
};

Layout layout_for(const std::vector<Row>& rows, std::size_t first, std::size_t count,
                  std::size_t columns) {
  std::size_t longest = 3;
  for (std::size_t i = first; i < std::min(rows.size(), first + count); ++i)
    longest = std::max(longest, width_of(key_of(rows[i])));
  const std::size_t wanted = std::min<std::size_t>(longest, std::max<std::size_t>(columns / 3, 8));
  Layout layout;
  std::size_t width = 0;
  for (const Column& column : kColumns) {
    layout.columns.push_back(&column);
    width += column.width + 2;
  }
  while (!layout.columns.empty() && width + wanted > columns) {  // ends: one goes each time
    const auto least = std::max_element(
        layout.columns.begin(), layout.columns.end(),
        [](const Column* a, const Column* b) { return a->how_needless < b->how_needless; });
    width -= (*least)->width + 2;
    layout.columns.erase(least);
  }
  layout.key_width = std::min(longest, columns - std::min(width, columns));
  return layout;
}

Line row_line(const Layout& layout, const Look& look, const Row& row, bool is_selected) {
  Line line(in_columns(key_of(row), layout.key_width), paint_of(row.key));
  line.is_bar = is_selected;
  for (const Column* column : layout.columns) {
    std::optional<Paint> paint = paint_of(row.key);
    if (column->title == "denied/s" && row.measure.since && row.measure.since->denied != 0)
      paint = Paint::bad;
    line.add("  " + in_columns(column->text(look, row), column->width, column->is_right), paint);
  }
  return line;
}

std::string marked(std::string_view title, bool is_sorted) {
  return fmt::format("{}{}", title, is_sorted ? "*" : "");
}

Line title_line(const Layout& layout, Sort sort) {
  std::string text = in_columns(marked("key", sort == Sort::key), layout.key_width);
  for (const Column* column : layout.columns) {
    const bool is_sorted = (sort == Sort::denied && column->title == "denied/s") ||
                           (sort == Sort::allowed && column->title == "allowed/s") ||
                           (sort == Sort::remaining && column->title == "left");
    text += "  " + in_columns(marked(column->title, is_sorted), column->width, column->is_right);
  }
  return {std::move(text), std::nullopt, true};
}

void add_table(Model& model, const Size& size, Page& page) {
  const std::size_t below = size.rows > 5 ? 1 : 0;  // what keys there are
  const std::size_t used = page.size() + 1 + below;
  model.set_room(size.rows > used ? size.rows - used : 1);
  const std::size_t first = model.first_on_screen();
  const std::size_t count = size.rows > used ? size.rows - used : 1;
  const std::vector<Row>& rows = model.rows();
  const Layout layout = layout_for(rows, first, count, size.columns);
  page.push_back(title_line(layout, model.wish().sort));
  for (std::size_t i = first; i < std::min(rows.size(), first + count); ++i)
    page.push_back(row_line(layout, model.look(), rows[i], i == model.selected()));
  if (rows.empty()) page.push_back(Line("no key", Paint::faint));
}

/// "12 of 3400 keys": where one is, and that there are more than are held.
std::string place_text(const Model& model) {
  const std::size_t rows = model.rows().size();
  const std::size_t at = rows == 0 ? 0 : model.selected() + 1;
  std::string text = fmt::format("{} of {}", at, std::max<std::uint64_t>(model.look().taken, rows));
  if (model.look().taken > rows) text += fmt::format(", {} held", rows);
  if (!model.look().is_whole) text += ", rates of some unknown";
  return text;
}

Line last_line(const Model& model) {
  switch (model.mode()) {
    case Mode::typing:
      return Line(fmt::format("keys with: {}_", showable(escape(model.wish().pattern.text()))),
                  Paint::strong);
    case Mode::key:
      return Line("Esc back  space freeze  ? help", Paint::faint);
    case Mode::help:
      return Line("any key goes back", Paint::faint);
    case Mode::table:
      break;
  }
  return Line(fmt::format("{}  q quit  ? help  / filter  Enter key  space freeze  d a r k sort  "
                          "p policy",
                          place_text(model)),
              Paint::faint);
}

void add_help(Page& page) {
  for (const char* const line : {
           "d  by denials in a second, and then by all denials",
           "a  by admissions      r  by what is left      k  by key",
           "/  only keys with this in them, or that match it: * ? [",
           "p  the next policy; after the last, all of them",
           "Enter  all of one key, and what happened to it; Esc back",
           "space, f  freeze what is shown, and go on",
           "arrows, page up and down, home, end  move; home stays on top",
           "q  quit",
           "",
           "Rates are what was added since the last look; those of the",
           "keys may lose some where many call at once, the totals none.",
           "Nothing is written, and nobody waits for this.",
       })
    page.push_back(Line(line));
}

/// Takes what sticks out off each line.
void cut(Page& page, const Size& size) {
  if (page.size() > size.rows) page.resize(size.rows);
  for (Line& line : page) {
    std::size_t left = size.columns;
    for (Span& span : line.spans) {
      span.text = cut_to(span.text, left);
      left -= std::min(left, width_of(span.text));
    }
  }
}

}  // namespace

Page page_of(Model& model, const Pace& pace, const Size& size) {
  Page page;
  if (model.mode() == Mode::help) {
    add_help(page);
  } else {
    add_head(model, pace, size, page);
    if (model.mode() == Mode::key) {
      add_key(model, size, page);
    } else {
      add_table(model, size, page);
    }
  }
  const bool is_asked = model.mode() == Mode::typing;
  if (size.rows > 5 || is_asked) {
    page.resize(size.rows > 0 ? size.rows - 1 : 0);
    page.push_back(last_line(model));
  }
  cut(page, size);
  return page;
}

}  // namespace rl::ctl::live
