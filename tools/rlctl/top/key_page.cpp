// Everything of one key.
#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/event_text.hpp"
#include "tools/rlctl/key_fields.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/top/page.hpp"

namespace rl::ctl::live {
namespace {

void add_pair(Page& page, std::string_view name, std::string value,
              std::optional<Paint> paint = {}) {
  page.push_back(std::move(Line(fmt::format("{:<11}", name), Paint::faint).add(value, paint)));
}

std::string rate_line(std::optional<double> rate, std::uint64_t count, const LastMinute& minute,
                      std::size_t columns) {
  const std::size_t width = columns > 50 ? columns - 50 : 0;
  return fmt::format("{:>7}/s  {:>12} in all  {}", rate_text(rate), count,
                     sparkline(minute.rates(width)));
}

std::string standing_text(const Model& model) {
  const KeyInfo& key = model.one().key;
  if (!model.one_is_there()) return "it has no slot any more: it owes nothing, or was forgotten";
  std::string text(word_in(key, KeyField::state));
  if (key.standing == Standing::ban) {
    text += is_banned_for_ever(key) ? " for ever" : ", for another " + full_in(key);
    if (key.ban_level != 0) text += fmt::format(", ban {} in a row", key.ban_level + 1);
  }
  return text;
}

/// Nothing is counted of a key that is banned or allowed.
std::string left_text(const Row& row) {
  if (row.key.standing == Standing::ban) return "nothing passes";
  if (row.key.limit == 0) return "everything passes";
  return fmt::format("{} of {}  {}", row.key.remaining, row.key.limit, bar(row.measure.left, 20));
}

void add_events(const Model& model, Page& page, std::size_t room) {
  const std::vector<Event> events = model.events_of_one();
  page.push_back(Line("what happened to it lately, the latest first", Paint::strong, true));
  if (events.empty()) page.push_back(Line("nothing was told: see `rlctl events --help`"));
  // When, what and the details: policy and key are the same in all.
  const auto cells = [](const Event& event) {
    const Cells all = cells_of(event);
    return Cells{all[0], all[1], all[2], all[5]};
  };
  Table table({{"", Table::left}, {"", Table::right}, {"", Table::left}, {"", Table::left}});
  const std::size_t shown = std::min(events.size(), room);
  for (std::size_t i = 0; i < shown; ++i) table.measure(cells(events[i]));
  for (std::size_t i = 0; i < shown; ++i) {
    std::string text = table.line(cells(events[i]));
    text.pop_back();  // the newline
    page.push_back(Line(showable(text)));
  }
}

}  // namespace

void add_key(const Model& model, const Size& size, Page& page) {
  const Row& row = model.one();
  const KeyInfo& key = row.key;
  const Look& look = model.look();
  const auto rate = [&](std::uint64_t KeyCounts::*which) {
    return model.one_is_there() ? look.rate(row.measure.since, which) : std::nullopt;
  };
  const std::string name = shown_key(key.key, key.key_truncated);
  page.push_back(
      Line(showable(fmt::format("{} {}", escape(key.policy), name)), Paint::strong, true));
  add_pair(page, "state", standing_text(model), paint_of(key));
  add_pair(page, "limit", row.limit.empty() ? "?" : row.limit);
  add_pair(page, "left", left_text(row));
  if (key.standing != Standing::ban) add_pair(page, "full in", full_in(key));
  const Minute& minute = model.minute_of_one();
  add_pair(page, "allowed",
           rate_line(rate(&KeyCounts::allowed), key.allowed_count, minute.allowed, size.columns),
           Paint::good);
  add_pair(page, "denied",
           rate_line(rate(&KeyCounts::denied), key.denied_count, minute.denied, size.columns),
           Paint::bad);
  if (page.size() < size.rows) add_events(model, page, size.rows - page.size());
}

}  // namespace rl::ctl::live
