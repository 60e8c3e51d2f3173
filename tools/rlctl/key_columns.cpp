#include "tools/rlctl/key_columns.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>

#include "tools/rlctl/key_fields.hpp"

namespace rl::ctl {
namespace {

void add_name(std::string& object, std::string_view name) {
  object += ",\"";
  object += name;
  object += "\":";
}

template <class Number>
void add_number(std::string& text, Number number) {
  const fmt::format_int digits(number);
  text.append(digits.data(), digits.size());
}

void add_text(std::string& object, std::string_view name, std::string_view text) {
  add_name(object, name);
  append_json(object, text);
}
void add_bytes(std::string& object, std::string_view name, std::string_view bytes) {
  std::string spare;
  add_text(object, name, shown(bytes, spare));
}

// --- cells ------------------------------------------------------------------------------------

void cell_of_policy(std::string& text, const KeyRow& row) {
  std::string spare;
  if (!row.key.policy.empty()) {
    text += shown(row.key.policy, spare);
  } else {
    text += fmt::format("(damaged, id {})", row.key.policy_id);
  }
}

void cell_of_key(std::string& text, const KeyRow& row) {
  std::string spare;
  text += row.key.key ? shown(*row.key.key, spare) : "(unknown)";
  if (row.key.key_truncated) text += "...";
}

template <KeyField kField>
void cell_of_number(std::string& text, const KeyRow& row) {
  add_number(text, number_in(row.key, kField));
}

template <KeyField kField>
void cell_of_word(std::string& text, const KeyRow& row) {
  text += word_in(row.key, kField);
}

void cell_of_full_in(std::string& text, const KeyRow& row) {
  text += full_in(row.key);
}

void cell_of_state(std::string& text, const KeyRow& row) {
  const KeyInfo& key = row.key;
  const std::string_view word = word_in(key, KeyField::state);
  if (key.standing != Standing::none) {
    text += paint(key.standing == Standing::ban ? Paint::bad : Paint::good,
                  is_banned_for_ever(key) ? "banned for ever" : word);
    return;
  }
  text += word;
  if (key.part != SlotPart::key) {
    text += ' ';
    text += word_in(key, KeyField::part);
  }
  if (key.holder_pid != 0) text += fmt::format(" of process {}", key.holder_pid);
}

void cell_of_holder(std::string& text, const KeyRow& row) {
  if (row.key.holder_pid == 0) {
    text += '-';
  } else {
    add_number(text, row.key.holder_pid);
  }
}

void cell_of_idle(std::string& text, const KeyRow& row) {
  text += row.key.idle ? "yes" : "no";
}

void cell_of_standing(std::string& text, const KeyRow& row) {
  text += row.key.standing == Standing::none ? "-" : to_string(row.key.standing);
}

void cell_of_policy_limit(std::string& text, const KeyRow& row) {
  text += row.policy_limit.empty() ? "?" : row.policy_limit;
}

// --- members of the JSON object ---------------------------------------------------------------

void json_of_policy(std::string& object, const KeyRow& row) {
  if (!row.key.policy.empty()) return add_bytes(object, "policy", row.key.policy);
  object += R"(,"policy":null)";
}

void json_of_key(std::string& object, const KeyRow& row) {
  if (row.key.key) {
    add_bytes(object, "key", *row.key.key);
  } else {
    object += R"(,"key":null)";
  }
  if (row.key.key_truncated) object += R"(,"key_truncated":true)";
}

template <KeyField kField>
void json_of_number(std::string& object, const KeyRow& row) {
  add_name(object, kField == KeyField::allowed  ? "allowed_count"
                   : kField == KeyField::denied ? "denied_count"
                                                : field_info(kField).name);
  add_number(object, number_in(row.key, kField));
}

void json_of_policy_limit(std::string& object, const KeyRow& row) {
  if (!row.policy_limit.empty()) return add_text(object, "policy_limit", row.policy_limit);
  object += R"(,"policy_limit":null)";
}

void json_of_full_in(std::string& object, const KeyRow& row) {
  add_name(object, "reset_after_ns");
  if (is_banned_for_ever(row.key)) {
    object += "null";
  } else {
    add_number(object, row.key.reset_after.count());
  }
}

void json_of_state(std::string& object, const KeyRow& row) {
  add_text(object, "state", word_in(row.key, KeyField::state));
}

void json_of_own_limit(std::string& object, const KeyRow& row) {
  add_name(object, "own_limit");
  object += row.key.own_limit ? "true" : "false";
}

void json_of_idle(std::string& object, const KeyRow& row) {
  add_name(object, "idle");
  object += row.key.idle ? "true" : "false";
}

void json_of_part(std::string& object, const KeyRow& row) {
  if (row.key.part != SlotPart::key) add_text(object, "part", word_in(row.key, KeyField::part));
}

void json_of_holder(std::string& object, const KeyRow& row) {
  if (row.key.holder_pid == 0) return;
  add_name(object, "holder_pid");
  add_number(object, row.key.holder_pid);
}

void json_of_standing(std::string& object, const KeyRow& row) {
  if (row.key.standing != Standing::none) add_text(object, "standing", to_string(row.key.standing));
}

// --- the table of columns -----------------------------------------------------------------------

using enum KeyField;
constexpr auto kLeft = Table::left;
constexpr auto kRight = Table::right;

constexpr std::array<KeyColumn, 15> kColumns{{
    {"policy", "policy", kLeft, cell_of_policy, json_of_policy},
    {"key", "key", kLeft, cell_of_key, json_of_key},
    {"allowed", "allowed", kRight, cell_of_number<allowed>, json_of_number<allowed>},
    {"denied", "denied", kRight, cell_of_number<denied>, json_of_number<denied>},
    {"used", "used", kRight, cell_of_number<used>, json_of_number<used>},
    {"remaining", "remaining", kRight, cell_of_number<remaining>, json_of_number<remaining>},
    {"limit", "limit", kRight, cell_of_number<limit>, json_of_number<limit>},
    {"full_in", "full in", kRight, cell_of_full_in, json_of_full_in},
    {"state", "state", kLeft, cell_of_state, json_of_state},
    {"idle", "idle", kLeft, cell_of_idle, json_of_idle},
    {"part", "part", kLeft, cell_of_word<part>, json_of_part},
    {"holder", "holder", kRight, cell_of_holder, json_of_holder},
    {"standing", "standing", kLeft, cell_of_standing, json_of_standing},
    {"own_limit", "own limit", kLeft, cell_of_word<own_limit>, json_of_own_limit},
    {"policy_limit", "policy limit", kLeft, cell_of_policy_limit, json_of_policy_limit},
}};

constexpr std::array<std::string_view, 9> kInTable{
    "policy", "key", "allowed", "denied", "remaining", "limit", "full_in", "state", "policy_limit"};
constexpr std::array<std::string_view, 12> kInJson{
    "policy",       "key",     "allowed", "denied", "remaining", "limit",
    "policy_limit", "full_in", "idle",    "part",   "holder",    "standing"};

const KeyColumn* find_column(std::string_view name) {
  const auto* const at = std::find_if(kColumns.begin(), kColumns.end(),
                                      [&](const KeyColumn& column) { return column.name == name; });
  return at == kColumns.end() ? nullptr : at;
}

Error not_a_column(std::string_view name) {
  std::vector<std::string_view> names;
  for (const KeyColumn& column : kColumns) names.push_back(column.name);
  return {Errc::bad_option, fmt::format("--columns: there is no column \"{}\"; {}", name,
                                        suggestion(name, names, "give some of"))};
}

/// Lines on their way to standard output, in pieces that are worth a write.
class Page {
 public:
  std::string& text() noexcept { return text_; }
  void end_line() {
    if (text_.size() >= kBytes) flush();
  }
  void flush() {
    put(text_);
    text_.clear();
  }

 private:
  static constexpr std::size_t kBytes = 64 * 1'024;
  std::string text_;
};

void put_as_json(const Source<KeyRow>& source, const KeyColumns& columns, const SegmentInfo& info) {
  std::string off;
  if (info.off_since) add_text(off, "off_since", iso_time(*info.off_since));
  Page page;
  source([&](const KeyRow& row) {
    columns.append_json(page.text(), row, off);
    page.text() += '\n';
    page.end_line();
  });
  page.flush();
}

}  // namespace

KeyColumns KeyColumns::usual(bool json) {
  const auto names = json ? std::span<const std::string_view>(kInJson) : kInTable;
  KeyColumns columns;
  for (const std::string_view name : names) columns.columns_.push_back(find_column(name));
  return columns;
}

KeyColumns KeyColumns::parse(std::string_view names) {
  KeyColumns columns;
  for (std::size_t at = 0; at <= names.size();) {  // ends: `at` grows
    const std::size_t end = std::min(names.find(',', at), names.size());
    const std::string_view name = names.substr(at, end - at);
    const KeyColumn* const column = find_column(name);
    if (column == nullptr) throw not_a_column(name);
    if (std::find(columns.columns_.begin(), columns.columns_.end(), column) !=
        columns.columns_.end()) {
      throw Error(Errc::bad_option,
                  fmt::format("--columns: {} is given twice; leave one out", name));
    }
    columns.columns_.push_back(column);
    at = end + 1;
  }
  return columns;
}

void KeyColumns::append_json(std::string& line, const KeyRow& row, std::string_view more) const {
  const std::size_t begin = line.size();
  for (const KeyColumn* const column : columns_) column->add_json(line, row);
  line += more;
  // The first comma stands where the brace belongs.
  if (line.size() == begin) line += '{';
  line[begin] = '{';
  line += '}';
}

Table KeyColumns::table() const {
  std::vector<Table::Column> columns;
  for (const KeyColumn* const column : columns_)
    columns.push_back({std::string(column->title), column->side});
  return Table(std::move(columns));
}

void KeyColumns::fill(Cells& cells, const KeyRow& row) const {
  cells.resize(columns_.size());
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    cells[i].clear();
    columns_[i]->add_cell(cells[i], row);
  }
}

void put_keys(const Source<KeyRow>& source, const KeyColumns& columns, bool json,
              const SegmentInfo& info) {
  if (json) return put_as_json(source, columns, info);
  put(paint(Paint::bad, text_of_off(info)));
  Table table = columns.table();
  Cells cells;
  source([&](const KeyRow& row) {
    columns.fill(cells, row);
    table.measure(cells);
  });
  put(paint(Paint::strong, table.header()));
  Page page;
  source([&](const KeyRow& row) {
    columns.fill(cells, row);
    table.append_line(page.text(), cells);
    page.end_line();
  });
  page.flush();
}

}  // namespace rl::ctl
