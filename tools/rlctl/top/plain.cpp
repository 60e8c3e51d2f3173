#include "tools/rlctl/top/plain.hpp"

#include <fmt/format.h>

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
  if (!look.notice.empty()) object["notice"] = escape(look.notice);
  add_off(object, look.info);
  return object;
}

Json json_of(const Look& look, const Row& row) {
  Json object{{"kind", "key"}};
  object.update(ctl::json_of(KeyRow{row.key, row.limit}));
  const auto& since = row.measure.since;
  object["interval_ns"] = interval_ns(look);
  object["allowed"] = since ? Json(since->allowed) : Json(nullptr);
  object["denied"] = since ? Json(since->denied) : Json(nullptr);
  return object;
}

Cells cells_of(const Look& look, const Row& row) {
  Cells cells = ctl::cells_of(KeyRow{row.key, row.limit});
  cells[2] = rate_text(look.rate(row.measure.since, &KeyCounts::allowed));
  cells[3] = rate_text(look.rate(row.measure.since, &KeyCounts::denied));
  return cells;
}

void put_text(const Look& look, const KeyCounts& since, const Wish& wish) {
  put(text_of_off(look.info));
  if (!look.notice.empty()) put(escape(look.notice) + '\n');
  put(fmt::format("{}{}: {} allowed/s, {} denied/s over {}; {} live keys of {} in the table\n",
                  escape(look.info.name), wish.policy.empty() ? "" : " " + escape(wish.policy),
                  rate_text(look.rate(since, &KeyCounts::allowed)),
                  rate_text(look.rate(since, &KeyCounts::denied)),
                  human_duration(static_cast<std::uint64_t>(interval_ns(look))), look.live,
                  look.keys));
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
  put(table.header());
  for (const Row& row : look.rows) put(table.line(cells_of(look, row)));
}

}  // namespace

void put_look(const Look& look, const Wish& wish, bool json) {
  const KeyCounts& since = wish.policy.empty() ? look.since_all : look.since_policy;
  if (!json) return put_text(look, since, wish);
  put_json(json_of(look, since));
  for (const Row& row : look.rows) put_json(json_of(look, row));
}

}  // namespace rl::ctl::live
