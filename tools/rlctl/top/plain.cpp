#include "tools/rlctl/top/plain.hpp"

#include <fmt/format.h>

#include "tools/rlctl/key_columns.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/top/page.hpp"

namespace rl::ctl::live {
namespace {

std::int64_t interval_ns(const Look& look) {
  return static_cast<std::int64_t>(look.seconds() * 1e9);
}

Json json_of(const Look& look, const KeyCounts& since) {
  Json object{{"kind", "segment"},
              {"name", escape(look.info.name)},
              {"interval_ns", interval_ns(look)},
              {"allowed", since.allowed},
              {"denied", since.denied},
              {"keys", look.keys},
              {"live", look.live},
              {"attached", look.info.attached}};
  if (!look.policy.empty()) object["policy"] = escape(look.policy);
  if (!look.notice.empty()) object["notice"] = escape(look.notice);
  add_off(object, look.info);
  return object;
}

std::string json_line(const Look& look, const Row& row) {
  const auto& since = row.measure.since;
  const auto count = [&](std::uint64_t KeyCounts::*which) {
    return since ? fmt::format("{}", (*since).*which) : "null";
  };
  std::string line;
  KeyColumns::usual(true).append_json(
      line, {row.key, row.limit},
      fmt::format(R"(,"kind":"key","interval_ns":{},"allowed":{},"denied":{})", interval_ns(look),
                  count(&KeyCounts::allowed), count(&KeyCounts::denied)));
  return line + '\n';
}

/// As `list` has it, with rates in the place of counts.
Cells cells_of(const Look& look, const Row& row) {
  Cells cells;
  KeyColumns::usual(false).fill(cells, {row.key, row.limit});
  cells[2] = rate_text(look.rate(row.measure.since, &KeyCounts::allowed));
  cells[3] = rate_text(look.rate(row.measure.since, &KeyCounts::denied));
  return cells;
}

std::string text_of(const Look& look, const KeyCounts& since, const Wish& wish) {
  std::string text = text_of_off(look.info);
  if (!look.notice.empty()) text += escape(look.notice) + '\n';
  text += fmt::format("{}{}: {} allowed/s, {} denied/s over {}; {} live keys of {} in the table\n",
                      escape(look.info.name), wish.policy.empty() ? "" : " " + escape(wish.policy),
                      rate_text(look.rate(since, &KeyCounts::allowed)),
                      rate_text(look.rate(since, &KeyCounts::denied)),
                      human_duration(static_cast<std::uint64_t>(interval_ns(look))), look.live,
                      look.keys);
  Table table({{"policy", Table::left},
               {"key", Table::left},
               {"allowed/s", Table::right},
               {"denied/s", Table::right},
               {"remaining", Table::right},
               {"limit", Table::right},
               {"full in", Table::right},
               {"state", Table::left},
               {"policy limit", Table::left}});
  for (const Row& row : look.rows) table.measure(cells_of(look, row));
  text += table.header();
  for (const Row& row : look.rows) text += table.line(cells_of(look, row));
  return text;
}

}  // namespace

std::string text_of_look(const Look& look, const Wish& wish, bool json) {
  const KeyCounts& since = wish.policy.empty() ? look.since_all : look.since_policy;
  if (!json) return text_of(look, since, wish);
  std::string text = json_of(look, since).dump() + '\n';
  for (const Row& row : look.rows) text += json_line(look, row);
  return text;
}

}  // namespace rl::ctl::live
