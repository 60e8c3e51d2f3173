// `rlctl repair`: slots that hold what none can hold.
#include <algorithm>

#include "src/journal.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/doctor/damage.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// A slot beside what is known of its key, and what became of it.
struct DamageRow {
  Damage damage;
  std::optional<std::string> key;
  bool key_truncated = false;
  std::string policy;          ///< empty: unknown
  std::optional<bool> mended;  ///< absent: nothing was to be done
};

std::string words_of(const DamageRow& row) {
  return fmt::format("{:016x} {:016x}", row.damage.words.tag, row.damage.words.state);
}

/// Of more slots that one repair mends the journal has room for what else was changed.
constexpr std::size_t kNotedMost = 16;

/// Notes in the journal, and as events, what was mended.
void note_mended(const View& view, const std::vector<DamageRow>& rows) {
  std::size_t mended = 0;
  for (const DamageRow& row : rows) {
    if (row.mended != true || ++mended > kNotedMost) continue;
    note_change(view, {.change = Change::repaired,
                       .policy = row.policy,
                       .key = row.key ? std::string_view(*row.key) : std::string_view(),
                       .before = wrong_with(row.damage),
                       .after = mended_to(row.damage)});
  }
  if (mended <= kNotedMost) return;
  const std::string more = counted(mended - kNotedMost, "more slot", "more slots");
  note_change(view, {.change = Change::repaired, .reason = more});
}

std::string_view outcome_of(const DamageRow& row) {
  if (!row.mended) return "";
  return *row.mended ? mended_to(row.damage) : "left: it changed meanwhile";
}

Json json_of(const DamageRow& row) {
  return {{"slot", row.damage.index},
          {"tag", fmt::format("{:016x}", row.damage.words.tag)},
          {"state", fmt::format("{:016x}", row.damage.words.state)},
          {"policy", row.policy.empty() ? Json(nullptr) : Json(escape(row.policy))},
          {"key", row.key ? Json(escape(*row.key)) : Json(nullptr)},
          {"wrong", wrong_with(row.damage)},
          {"mend", mended_to(row.damage)},
          {"mended", row.mended.value_or(false)}};
}

Cells cells_of(const DamageRow& row) {
  return {
      fmt::format("{}", row.damage.index),
      row.policy.empty() ? "?" : escape(row.policy),
      shown_key(row.key, row.key_truncated),
      words_of(row),
      std::string(wrong_with(row.damage)),
      row.mended ? std::string(outcome_of(row)) : fmt::format("to be {}", mended_to(row.damage))};
}

DamageRow row_of(const View& view, const Damage& damage) {
  DamageRow row;
  row.damage = damage;
  const shm::LabelText label = view.labels.read(damage.index, shm::identity_of(damage.words.tag));
  if (label.known) row.key = std::string(label.view());
  row.key_truncated = label.truncated;
  if (const auto constants = view.policies.read(shm::policy_of(damage.words.tag)))
    row.policy = shm::name_of(*constants);
  return row;
}

void put_table(const std::vector<DamageRow>& rows) {
  Table table({{"slot", Table::right},
               {"policy", Table::left},
               {"key", Table::left},
               {"tag and state", Table::left},
               {"wrong", Table::left},
               {"", Table::left}});
  for (const DamageRow& row : rows) table.measure(cells_of(row));
  put(paint(Paint::strong, table.header()));
  for (const DamageRow& row : rows) put(table.line(cells_of(row)));
}

std::string summary(const Arguments& arguments, const View& view,
                    const std::vector<DamageRow>& rows) {
  const std::string name = escape(arguments.text(Arg::segment));
  if (rows.empty())
    return fmt::format("{}: all {} slots are sound\n", name, view.table.slot_count());
  const auto mended =
      std::count_if(rows.begin(), rows.end(), [](const DamageRow& r) { return r.mended == true; });
  if (arguments.has(Arg::yes))
    return fmt::format("{}: {} of {} mended\n", name, mended,
                       counted(rows.size(), "slot", "slots"));
  return fmt::format("{}: {} of {} slots {} to be mended; `rlctl repair {} --yes` does it\n", name,
                     rows.size(), view.table.slot_count(), rows.size() == 1 ? "is" : "are", name);
}

}  // namespace

/// 1 when something is to be done, or was left.
int repair(const Arguments& arguments) {
  const std::string path = shm::path_of(arguments.text(Arg::segment));
  const bool is_meant = arguments.has(Arg::yes);
  View view(shm::Mapping::attach(path, is_meant ? shm::Access::read_write : shm::Access::read_only,
                                 arguments.has(Arg::any_owner)),
            path);
  std::vector<DamageRow> rows;
  for (const Damage& damage : damage_of(view)) rows.push_back(row_of(view, damage));
  if (is_meant) {
    for (DamageRow& row : rows) row.mended = mend(view, row.damage);
    note_mended(view, rows);
  }
  if (arguments.has(Arg::json)) {
    for (const DamageRow& row : rows) put_json(json_of(row));
  } else {
    if (!rows.empty()) put_table(rows);
    put(summary(arguments, view, rows));
  }
  const bool is_well = std::all_of(rows.begin(), rows.end(),
                                   [](const DamageRow& row) { return row.mended == true; });
  return is_well ? 0 : 1;
}

}  // namespace rl::ctl
