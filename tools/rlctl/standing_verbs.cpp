#include <algorithm>
#include <tuple>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// A key that stands apart, as of an instant.
struct StandingRow {
  StandingInfo info;
  Instant now;
};

bool is_for_ever(const StandingRow& row) {
  return row.info.until == Instant::max();
}

/// Returns "for ever", or "for 9 min more".
std::string what_is_left(Instant until, Instant now) {
  return until == Instant::max() ? "for ever"
                                 : fmt::format("for {} more", human_duration(until - now));
}

/// Returns "override 1k/s", "banned for 9 min more" or "allowed", and what comes after that.
std::string text_of_standing(const StandingRow& row) {
  const StandingInfo& info = row.info;
  const std::string limit = info.limit ? info.limit->to_string() : "";
  if (info.standing == Standing::override_) return fmt::format("override {}", limit);
  std::string text(to_string(info.standing));
  if (info.standing == Standing::ban) text += " " + what_is_left(info.until, row.now);
  if (!limit.empty()) text += fmt::format(", then override {}", limit);
  return text;
}

Json json_of(const StandingRow& row) {
  const StandingInfo& info = row.info;
  Json object{
      {"policy", escape(info.policy)},
      {"key", info.key ? Json(escape(*info.key)) : Json(nullptr)},
  };
  if (info.key_truncated) object["key_truncated"] = true;
  object["standing"] = to_string(info.standing);
  if (info.limit) object["override"] = info.limit->to_string();
  if (info.standing == Standing::ban) {
    object["left_ns"] = is_for_ever(row) ? Json(nullptr) : Json((info.until - row.now).count());
    object["level"] = info.level;
  }
  if (info.change) {
    object["since"] = iso_time(info.change->when);
    object["uid"] = info.change->uid;
    object["reason"] = escape(info.change->reason);
  }
  return object;
}

Cells cells_of(const StandingRow& row) {
  const auto& change = row.info.change;
  return {escape(row.info.policy),
          shown_key(row.info.key, row.info.key_truncated),
          text_of_standing(row),
          change ? iso_time(change->when) : "?",
          change ? fmt::format("{}", change->uid) : "?",
          change ? escape(change->reason) : ""};
}

Table table_for(const StandingRow*) {
  return Table({{"policy", Table::left},
                {"key", Table::left},
                {"standing", Table::left},
                {"since", Table::left},
                {"uid", Table::right},
                {"reason", Table::left}});
}

/// A change that somebody made.
struct ChangeRow {
  JournalInfo info;
};

Json json_of(const ChangeRow& row) {
  const JournalInfo& info = row.info;
  Json object{
      {"number", info.number},
      {"when", iso_time(info.when)},
      {"uid", info.uid},
      {"pid", info.pid},
      {"change", to_string(info.change)},
      {"policy", escape(info.policy)},
      {"key", escape(info.key)},
      {"before", escape(info.before)},
      {"after", escape(info.after)},
      {"reason", escape(info.reason)},
  };
  if (info.cut) object["cut"] = true;
  return object;
}

Cells cells_of(const ChangeRow& row) {
  const JournalInfo& info = row.info;
  return {iso_time(info.when),
          fmt::format("{}", info.uid),
          fmt::format("{}", info.pid),
          std::string(to_string(info.change)),
          escape(info.policy),
          escape(info.key),
          escape(info.before),
          escape(info.after),
          escape(info.reason) + (info.cut ? " (cut)" : "")};
}

Table table_for(const ChangeRow*) {
  return Table({{"when", Table::left},
                {"uid", Table::right},
                {"pid", Table::right},
                {"change", Table::left},
                {"policy", Table::left},
                {"key", Table::left},
                {"before", Table::left},
                {"after", Table::left},
                {"reason", Table::left}});
}

/// What a change of where a key stands meets, or takes along with it.
struct Aside {
  std::string text = {};  ///< the end of a sentence
  Json json = {};         ///< an object; null for nothing
};

/// Says what was done. Returns the exit code: 0 also where it was so before.
int tell(const Arguments& arguments, bool changed, std::string_view done, std::string_view not_done,
         const Aside& aside = {}) {
  if (arguments.has(Arg::json)) {
    Json object{{"changed", changed}};
    if (!aside.json.is_null()) object.update(aside.json);
    put_json(object);
  } else {
    put(fmt::format("{}{}\n", changed ? done : not_done, aside.text));
  }
  return 0;
}

/// Looks where a key stands: of a list, under the first of its limits under which it is banned or
/// allowed. Others may change it before and after: this is for people.
KeyInfo look_at(const Segment& segment, const Arguments& arguments, const std::string& key) {
  KeyInfo is;
  for (const PolicyInfo& policy : policies_of(segment, arguments.text(Arg::policy))) {
    is = segment.find(policy.name, key).value_or(KeyInfo{});
    if (is.standing == Standing::ban || is.standing == Standing::allow) return is;
  }
  return is;
}

/// What stands above the limit that a key was put under.
Aside above_the_limit(const Segment& segment, const Arguments& arguments, const std::string& key) {
  const KeyInfo is = look_at(segment, arguments, key);
  const Json json{{"standing", to_string(is.standing)}};
  if (is.standing == Standing::ban)
    return {fmt::format("; it stays banned {}", what_is_left(is.until, segment.now())), json};
  if (is.standing == Standing::allow)
    return {"; it is on the allow-list, and passes whatever it does", json};
  return {};
}

/// Returns the key as text; where it is changed under one limit of a list, with that.
std::string whose(const Segment& segment, const Arguments& arguments, const std::string& key) {
  const std::string& name = arguments.text(Arg::policy);
  return is_part_of_list(segment, name) ? fmt::format("{} of {}", escape(key), escape(name))
                                        : escape(key);
}

std::chrono::nanoseconds length_of(const Arguments& arguments) {
  if (!arguments.has(Arg::for_)) {
    throw Error(Errc::bad_option,
                "how long the ban lasts is not said; give --for 10m, or --for ever");
  }
  const std::string& text = arguments.text(Arg::for_);
  return text == "ever" ? kNever : parse_duration(spelling(Arg::for_), text);
}

int list_of(const Arguments& arguments, Standing standing) {
  Segment segment = open_to_read(arguments);
  const Instant now = segment.now();
  std::vector<StandingRow> rows;
  for (StandingInfo& info : segment.standings()) {
    const bool is_asked =
        info.standing == standing || (standing == Standing::override_ && info.limit.has_value());
    if (is_asked) rows.push_back({std::move(info), now});
  }
  std::sort(rows.begin(), rows.end(), [](const StandingRow& a, const StandingRow& b) {
    return std::tie(a.info.policy, a.info.key) < std::tie(b.info.policy, b.info.key);
  });
  put_rows<StandingRow>([&](const auto& visit) { std::for_each(rows.begin(), rows.end(), visit); },
                        arguments.has(Arg::json), segment.info());
  return 0;
}

}  // namespace

int override_set(const Arguments& arguments) {
  const Limits limits = Limits::parse(arguments.text(Arg::limit));
  const std::string key = key_of(arguments);
  Segment segment = open_to_write(arguments);
  const std::string& name = arguments.text(Arg::policy);
  const std::vector<PolicyInfo> parts = must_have(segment, name);
  check_as_many(name, parts, limits);
  EntryCount entries = entries_of(segment, arguments.has(Arg::any_owner));
  for (std::size_t i = 0; i < parts.size(); ++i) entries.set_override(parts[i].name, limits[i]);
  entries.check_room(segment.path());
  const bool changed = change_each(segment, name, [&](const std::string& policy, std::size_t i) {
    return segment.set_override(policy, key, limits[i]);
  });
  return tell(
      arguments, changed,
      fmt::format("{} has an override: {}", whose(segment, arguments, key), limits.to_string()),
      fmt::format("{} had that override before", whose(segment, arguments, key)),
      above_the_limit(segment, arguments, key));
}

int override_unset(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  Segment segment = open_to_write(arguments);
  const bool changed = change_each(
      segment, arguments.text(Arg::policy),
      [&](const std::string& policy, std::size_t) { return segment.unset_override(policy, key); });
  return tell(arguments, changed,
              fmt::format("{} is under the policy's limit again", whose(segment, arguments, key)),
              fmt::format("{} had no override", whose(segment, arguments, key)),
              above_the_limit(segment, arguments, key));
}

int override_list(const Arguments& arguments) {
  return list_of(arguments, Standing::override_);
}

int ban(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  const std::chrono::nanoseconds length = length_of(arguments);
  Segment segment = open_to_write(arguments);
  const std::string& reason = arguments.text(Arg::reason);
  const bool changed = change_each(segment, arguments.text(Arg::policy),
                                   [&](const std::string& policy, std::size_t) {
                                     return segment.ban(policy, key, length, reason);
                                   });
  const std::string how_long =
      length == kNever ? "for ever" : fmt::format("for {}", human_duration(length));
  return tell(
      arguments, changed, fmt::format("{} is banned {}", whose(segment, arguments, key), how_long),
      fmt::format("{} was banned for as long before, or longer", whose(segment, arguments, key)));
}

int unban(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  Segment segment = open_to_write(arguments);
  const bool changed = change_each(
      segment, arguments.text(Arg::policy),
      [&](const std::string& policy, std::size_t) { return segment.unban(policy, key); });
  return tell(arguments, changed,
              fmt::format("{} is not banned any more", whose(segment, arguments, key)),
              fmt::format("{} was not banned", whose(segment, arguments, key)));
}

int bans(const Arguments& arguments) {
  return list_of(arguments, Standing::ban);
}

int allow(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  Segment segment = open_to_write(arguments);
  const bool was_banned = look_at(segment, arguments, key).standing == Standing::ban;
  const std::string& reason = arguments.text(Arg::reason);
  const bool changed = change_each(
      segment, arguments.text(Arg::policy),
      [&](const std::string& policy, std::size_t) { return segment.allow(policy, key, reason); });
  const Aside lifted{"; its ban is lifted", Json{{"ban_lifted", true}}};
  return tell(arguments, changed,
              fmt::format("{} passes whatever it does", whose(segment, arguments, key)),
              fmt::format("{} was allowed before", whose(segment, arguments, key)),
              was_banned && changed ? lifted : Aside{});
}

int disallow(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  Segment segment = open_to_write(arguments);
  const bool changed = change_each(
      segment, arguments.text(Arg::policy),
      [&](const std::string& policy, std::size_t) { return segment.disallow(policy, key); });
  return tell(arguments, changed,
              fmt::format("{} is limited again", whose(segment, arguments, key)),
              fmt::format("{} was not on the allow-list", whose(segment, arguments, key)));
}

int allows(const Arguments& arguments) {
  return list_of(arguments, Standing::allow);
}

int history(const Arguments& arguments) {
  const Segment segment = open_to_read(arguments);
  const std::vector<JournalInfo> journal = segment.journal();
  put_rows<ChangeRow>(
      [&](const auto& visit) {
        for (const JournalInfo& info : journal) visit({info});
      },
      arguments.has(Arg::json), segment.info());
  return 0;
}

}  // namespace rl::ctl
