#include "tools/rlctl/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace rl::ctl {
namespace {

using std::chrono::nanoseconds;

std::string_view name_of(ClockSource clock) {
  switch (clock) {
    case ClockSource::tsc:
      return "tsc";
    case ClockSource::boottime:
      return "boottime";
    case ClockSource::manual:
      return "manual";
    case ClockSource::automatic:
      break;
  }
  return "auto";
}

std::string_view name_of(WhenFull rule) {
  switch (rule) {
    case WhenFull::allow:
      return "allow";
    case WhenFull::deny:
      return "deny";
    case WhenFull::evict:
      break;
  }
  return "evict";
}

std::string_view meaning_of(WhenFull rule) {
  switch (rule) {
    case WhenFull::allow:
      return "a key that finds no room passes, uncharged";
    case WhenFull::deny:
      return "a key that finds no room is denied";
    case WhenFull::evict:
      break;
  }
  return "a key that finds no room takes the slot that owes the fewest, whose key starts anew";
}

std::string full_in(nanoseconds reset_after) {
  return reset_after.count() <= 0 ? "now" : human_duration(reset_after);
}

std::string number(std::uint64_t n) {
  return fmt::format("{}", n);
}

/// A policy's name is a byte string of the segment; none when its entry cannot be read.
Json name_or_null(const std::string& name) {
  return name.empty() ? Json(nullptr) : Json(escape(name));
}
std::string name_or_id(const std::string& name, std::uint16_t id) {
  return name.empty() ? fmt::format("(damaged, id {})", id) : escape(name);
}

struct Window {
  nanoseconds length;
  std::uint64_t cost;  ///< the most that a key gets in it
};

/// Guarantee A for a second, a minute, an hour, a day and the limit's own period.
std::vector<Window> worst_case(const Limit& limit) {
  using namespace std::chrono_literals;
  std::vector<nanoseconds> lengths{1s, 1min, 1h, 24h, limit.period()};
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  std::vector<Window> windows;
  for (const nanoseconds length : lengths) {
    windows.push_back(
        {length, limit.burst() + static_cast<std::uint64_t>(length / limit.interval())});
  }
  return windows;
}

/// How long an idle key that used its whole burst needs to be idle again.
nanoseconds refill(const Limit& limit) {
  return limit.interval() * static_cast<std::int64_t>(limit.burst());
}

}  // namespace

void put_json(const Json& object) {
  put(object.dump() + '\n');
}

void put_pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  Table table({{"", Table::left}, {"", Table::left}});
  for (const auto& [name, value] : pairs) table.measure({name, value});
  for (const auto& [name, value] : pairs) put(table.line({name, value}));
}

Json json_of(const Decision& d) {
  return {
      {"allowed", d.allowed},
      {"reason", to_string(d.reason)},
      {"limit", d.limit},
      {"remaining", d.remaining},
      {"retry_after_ns", d.retry_after == kNever ? Json(nullptr) : Json(d.retry_after.count())},
      {"reset_after_ns", d.reset_after.count()},
  };
}

std::string text_of(const Decision& d, std::string_view asked) {
  std::string verdict = fmt::format("{}{}", asked, d.allowed ? "allowed" : "denied");
  if (d.reason != Reason::ok && d.reason != Reason::limited)
    verdict += fmt::format(" ({})", to_string(d.reason));
  if (!d.allowed && d.retry_after != kNever)
    verdict += fmt::format(", come back in {}", human_duration(d.retry_after));
  return fmt::format("{}: {} of {} left, full {}{}\n", verdict, d.remaining, d.limit,
                     d.reset_after.count() > 0 ? "in " : "", full_in(d.reset_after));
}

Json json_of(const SegmentInfo& info) {
  return {
      {"name", escape(info.name)},
      {"path", escape(info.path)},
      {"layout_version", info.layout_version},
      {"creator_version", escape(info.creator_version)},
      {"creator_pid", info.creator_pid},
      {"created", iso_time(info.created)},
      {"clock", name_of(info.clock)},
      {"tsc_left", info.tsc_left},
      {"labels", info.labels},
      {"keys", info.keys},
      {"slots", info.slots},
      {"live", info.live},
      {"idle", info.idle},
      {"bytes", info.bytes},
      {"attached", info.attached},
      {"anonymous", info.anonymous},
      {"policies", info.policies},
      {"policy_room", info.policy_room},
      {"evicted", info.evicted},
      {"full_allowed", info.full_allowed},
      {"full_denied", info.full_denied},
      {"gave_up", info.gave_up},
      {"clamped", info.clamped},
      {"tentatives_freed", info.tentatives_freed},
  };
}

void put_text(const SegmentInfo& info) {
  const auto age = std::chrono::duration_cast<nanoseconds>(
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now() - info.created));
  put(fmt::format("librl {}, layout {}; made by process {}, {} ago\n", escape(info.creator_version),
                  info.layout_version, info.creator_pid, human_duration(age)));
  put_pairs({
      {"name", escape(info.name)},
      {"path", escape(info.path)},
      {"created", iso_time(info.created)},
      {"clock", fmt::format("{}{}", name_of(info.clock), info.tsc_left ? " (left the tsc)" : "")},
      {"labels", info.labels ? "on" : "off"},
      {"size", human_bytes(info.bytes)},
      {"keys", fmt::format("{} live; room for {}", info.live, info.keys)},
      {"slots", fmt::format("{} live, {} idle, {} in all", info.live, info.idle, info.slots)},
      {"policies", fmt::format("{} of {}", info.policies, info.policy_room)},
      {"attached", fmt::format("{} {}; {} found no seat", info.attached,
                               info.attached == 1 ? "process" : "processes", info.anonymous)},
      {"when full", fmt::format("{} evicted, {} allowed, {} denied, {} gave up", info.evicted,
                                info.full_allowed, info.full_denied, info.gave_up)},
      {"repaired", fmt::format("{} states clamped, {} inserts of dead processes freed",
                               info.clamped, info.tentatives_freed)},
  });
}

Json json_of(const KeyRow& row) {
  const KeyInfo& key = row.key;
  Json object{
      {"policy", name_or_null(key.policy)},
      {"key", key.key ? Json(escape(*key.key)) : Json(nullptr)},
  };
  if (key.key_truncated) object["key_truncated"] = true;
  object["allowed_count"] = key.allowed_count;
  object["denied_count"] = key.denied_count;
  object["remaining"] = key.remaining;
  object["limit"] = key.limit;
  object["policy_limit"] = row.policy_limit.empty() ? Json(nullptr) : Json(row.policy_limit);
  object["reset_after_ns"] = key.reset_after.count();
  object["idle"] = key.idle;
  return object;
}

Cells cells_of(const KeyRow& row) {
  const KeyInfo& key = row.key;
  std::string text = key.key ? escape(*key.key) : "(unknown)";
  if (key.key_truncated) text += "...";
  return {name_or_id(key.policy, key.policy_id),
          std::move(text),
          number(key.allowed_count),
          number(key.denied_count),
          number(key.remaining),
          number(key.limit),
          full_in(key.reset_after),
          key.idle ? "idle" : "live",
          row.policy_limit.empty() ? "?" : row.policy_limit};
}

Table table_for(const KeyRow*) {
  return Table({{"policy", Table::left},
                {"key", Table::left},
                {"allowed", Table::right},
                {"denied", Table::right},
                {"remaining", Table::right},
                {"limit", Table::right},
                {"full in", Table::right},
                {"state", Table::left},
                {"policy limit", Table::left}});
}

Json json_of(const PolicyInfo& policy) {
  Json object{
      {"policy", name_or_null(policy.name)},
      {"id", policy.id},
      {"policy_limit", policy.limit ? Json(policy.limit->to_string()) : Json(nullptr)},
  };
  if (policy.limit) {
    object["limit"] = policy.limit->burst();
    object["interval_ns"] = policy.limit->interval().count();
    object["when_full"] = name_of(policy.limit->when_full());
  }
  object["created"] = iso_time(policy.created);
  object["creator_uid"] = policy.creator_uid;
  return object;
}

Cells cells_of(const PolicyInfo& policy) {
  return {name_or_id(policy.name, policy.id), number(policy.id),
          policy.limit ? number(policy.limit->burst()) : "?",
          policy.limit ? human_duration(policy.limit->interval()) : "?",
          policy.limit ? policy.limit->to_string() : "?"};
}

Table table_for(const PolicyInfo*) {
  return Table({{"policy", Table::left},
                {"id", Table::right},
                {"limit", Table::right},
                {"interval", Table::right},
                {"policy limit", Table::left}});
}

Json explained_in_json(const Limit& limit) {
  Json windows = Json::array();
  for (const Window& window : worst_case(limit))
    windows.push_back({{"window_ns", window.length.count()}, {"cost", window.cost}});
  return {
      {"policy_limit", limit.to_string()},
      {"algorithm", "token_bucket"},
      {"count", limit.count()},
      {"period_ns", limit.period().count()},
      {"interval_ns", limit.interval().count()},
      {"limit", limit.burst()},
      {"refill_ns", refill(limit).count()},
      {"when_full", name_of(limit.when_full())},
      {"worst_case", std::move(windows)},
  };
}

void explain_in_text(const Limit& limit) {
  put(fmt::format("{}: a token bucket for each key\n", limit.to_string()));
  put_pairs({
      {"interval", fmt::format("{} ({} ns): a key gets a call back that often",
                               human_duration(limit.interval()), limit.interval().count())},
      {"burst", fmt::format("{}: so many calls pass back to back from idle; all are back {} later",
                            limit.burst(), human_duration(refill(limit)))},
      {"when full",
       fmt::format("{}: {}", name_of(limit.when_full()), meaning_of(limit.when_full()))},
      {"worst case", "burst + floor(T / interval) calls of cost 1 in any window of length T:"},
  });
  Table table({{"T", Table::right}, {"calls", Table::right}});
  const std::vector<Window> windows = worst_case(limit);
  const auto cells = [](const Window& w) -> Cells {
    return {human_duration(w.length), number(w.cost)};
  };
  for (const Window& window : windows) table.measure(cells(window));
  put("  " + table.header());
  for (const Window& window : windows) put("  " + table.line(cells(window)));
}

}  // namespace rl::ctl
