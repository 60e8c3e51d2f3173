#include "tools/rlctl/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "shm/policies.hpp"
#include "tools/rlctl/terminal.hpp"

namespace rl::ctl {
namespace {

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

std::string number(std::uint64_t n) {
  return fmt::format("{}", n);
}

/// Windows and permits give nothing back in between.
std::string interval_of(const Limit& limit) {
  return counts_evenly(limit.algorithm()) ? human_duration(limit.interval()) : "-";
}

std::string_view name_of(Spent spent) {
  switch (spent) {
    case Spent::scale:
      return "scale";
    case Spent::reset:
      return "reset";
    case Spent::keep:
      break;
  }
  return "keep";
}

/// Who decided, where there are several to be told apart.
std::string named(std::string_view by) {
  return by.empty() ? "the limit" : escape(by);
}

/// What was decided and why, as a sentence begins.
std::string verdict_of(const Decision& d, std::string_view by, std::string_view asked) {
  std::string verdict = fmt::format(
      "{}{}", asked, d.allowed ? paint(Paint::good, "allowed") : paint(Paint::bad, "denied"));
  if (d.reason == Reason::shadow) {
    verdict += fmt::format(", though {} would deny (shadow)", named(by));
    return d.retry_after == kNever
               ? verdict + " at any time"
               : verdict + fmt::format(" for {}", human_duration(d.retry_after));
  }
  if (!by.empty() && !d.allowed) verdict += fmt::format(" by {}", escape(by));
  const bool is_for_ever = d.reason == Reason::banned && d.retry_after == kNever;
  if (d.reason != Reason::ok && d.reason != Reason::limited)
    verdict += fmt::format(" ({}{})", to_string(d.reason), is_for_ever ? " for ever" : "");
  if (!d.allowed && d.retry_after != kNever)
    verdict += fmt::format(", come back in {}", human_duration(d.retry_after));
  if (d.allowed && d.wait.count() > 0)
    verdict += fmt::format(", to go ahead in {}", human_duration(d.wait));
  return verdict;
}

/// Says which ids no limit gets, where there are such.
std::string text_of_kept(std::uint32_t room) {
  const std::uint32_t kept = shm::ids_kept(room);
  return kept == 0 ? "" : fmt::format(", the last {} for bans and allowed keys only", kept);
}

/// A policy's name is a byte string of the segment; none when its entry cannot be read.
Json name_or_null(const std::string& name) {
  return name.empty() ? Json(nullptr) : Json(escape(name));
}
std::string name_or_id(const std::string& name, std::uint16_t id) {
  return name.empty() ? fmt::format("(damaged, id {})", id) : escape(name);
}

std::string text_of_pages(const SegmentInfo& info) {
  if (info.huge_bytes == 0) return "small ones";
  return human_bytes(info.huge_bytes) + " in pages of 2 MiB";
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

Json json_of(const Decision& d, std::string_view by) {
  Json json = {
      {"allowed", d.allowed},
      {"reason", to_string(d.reason)},
      {"limit", d.limit},
      {"remaining", d.remaining},
      {"retry_after_ns", d.retry_after == kNever ? Json(nullptr) : Json(d.retry_after.count())},
      {"reset_after_ns", d.reset_after.count()},
      {"wait_ns", d.wait.count()},
  };
  if (!by.empty()) json["policy"] = escape(by);
  return json;
}

std::string text_of(const Decision& d, std::string_view by, std::string_view asked) {
  const std::string verdict = verdict_of(d, by, asked);
  if (d.reason == Reason::off)
    return fmt::format("{}: no limit is in force, and nothing is charged\n", verdict);
  // Nothing is counted of a key that is banned or on the allow-list.
  if (d.limit == 0 && (d.reason == Reason::banned || d.reason == Reason::override_))
    return verdict + '\n';
  const std::string of = by.empty() || !d.allowed ? "" : fmt::format(" of {}", escape(by));
  return fmt::format("{}: {} of {} left{}, full {}{}\n", verdict, d.remaining, d.limit, of,
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
      {"huge_bytes", info.huge_bytes},
      {"attached", info.attached},
      {"anonymous", info.anonymous},
      {"policies", info.policies},
      {"policy_room", info.policy_room},
      {"policies_left", info.policy_room - info.policies},
      {"policies_kept", shm::ids_kept(info.policy_room)},
      {"evicted", info.evicted},
      {"full_allowed", info.full_allowed},
      {"full_denied", info.full_denied},
      {"gave_up", info.gave_up},
      {"clamped", info.clamped},
      {"tentatives_freed", info.tentatives_freed},
      {"off_since", info.off_since ? Json(iso_time(*info.off_since)) : Json(nullptr)},
      {"off_allowed", info.off_allowed},
  };
}

Json json_of(const ReaperInfo& reaper) {
  const bool has_swept = reaper.beat_ago.count() >= 0;
  return {
      {"leads", reaper.leads},
      {"pid", reaper.pid},
      {"beat_ago_ns", has_swept ? Json(reaper.beat_ago.count()) : Json(nullptr)},
      {"rounds", reaper.rounds},
      {"idle_freed", reaper.idle_freed},
      {"permits_freed", reaper.permits_freed},
      {"tentatives_freed", reaper.tentatives_freed},
      {"corrupt", reaper.corrupt},
  };
}

/// Who is stopped leads, and sweeps nothing: the age says so.
std::string text_of(const ReaperInfo& reaper) {
  if (reaper.beat_ago.count() < 0) return reaper.leads ? "there, and has not swept yet" : "none";
  std::string text = reaper.leads ? fmt::format("process {}, swept", reaper.pid)
                                  : std::string("none now; last swept");
  text += fmt::format(" {} ago; {} idle keys and {} permits of the dead freed",
                      human_duration(reaper.beat_ago), reaper.idle_freed, reaper.permits_freed);
  if (reaper.corrupt != 0) text += fmt::format("; {} slots are corrupt", reaper.corrupt);
  return text;
}

std::string text_of_off(const SegmentInfo& info) {
  if (!info.off_since) return "";
  return fmt::format("LIMITS ARE OFF since {}: every call passes; `rlctl on {}` ends that\n",
                     iso_time(*info.off_since), escape(info.name));
}

void add_off(Json& object, const SegmentInfo& info) {
  if (info.off_since) object["off_since"] = iso_time(*info.off_since);
}

void put_text(const SegmentInfo& info, const ReaperInfo& reaper) {
  put(paint(Paint::bad, text_of_off(info)));
  put(headline(info));
  put_pairs({
      {"name", escape(info.name)},
      {"path", escape(info.path)},
      {"created", iso_time(info.created)},
      {"clock", fmt::format("{}{}", name_of(info.clock), info.tsc_left ? " (left the tsc)" : "")},
      {"labels", info.labels ? "on" : "off"},
      {"size", human_bytes(info.bytes)},
      {"pages", text_of_pages(info)},
      {"keys", fmt::format("{} live; room for {}", info.live, info.keys)},
      {"slots", fmt::format("{} live, {} idle, {} in all", info.live, info.idle, info.slots)},
      {"policies", fmt::format("{} of {} ids used, {} left{}", info.policies, info.policy_room,
                               info.policy_room - info.policies, text_of_kept(info.policy_room))},
      {"attached", fmt::format("{} {}; {} found no seat", info.attached,
                               info.attached == 1 ? "process" : "processes", info.anonymous)},
      {"when full", fmt::format("{} evicted, {} allowed, {} denied, {} gave up", info.evicted,
                                info.full_allowed, info.full_denied, info.gave_up)},
      {"repaired", fmt::format("{} states clamped, {} inserts of dead processes freed",
                               info.clamped, info.tentatives_freed)},
      {"reaper", text_of(reaper)},
      {"limits", fmt::format("{}; calls that passed while they were off: {}",
                             info.off_since ? paint(Paint::bad, "OFF") : "on", info.off_allowed)},
  });
}

Json json_of(const PolicyInfo& policy) {
  Json object{
      {"policy", name_or_null(policy.name)},
      {"id", policy.id},
      {"policy_limit", policy.limit ? Json(policy.limit->to_string()) : Json(nullptr)},
  };
  if (policy.limit) {
    object["limit"] = policy.limit->burst();
    if (counts_evenly(policy.limit->algorithm()))
      object["interval_ns"] = policy.limit->interval().count();
    object["when_full"] = name_of(policy.limit->when_full());
  }
  object["created"] = iso_time(policy.created);
  object["creator_uid"] = policy.creator_uid;
  if (policy.asked) object["asked"] = policy.asked->to_string();
  if (policy.candidate) object["candidate"] = policy.candidate->to_string();
  return object;
}

Cells cells_of(const PolicyInfo& policy) {
  std::string text = policy.limit ? policy.limit->to_string() : "?";
  if (policy.asked) text += fmt::format(" (code asks for {})", policy.asked->to_string());
  if (policy.candidate) text += fmt::format(" (on trial: {})", policy.candidate->to_string());
  return {name_or_id(policy.name, policy.id), number(policy.id),
          policy.limit ? number(policy.limit->burst()) : "?",
          policy.limit ? interval_of(*policy.limit) : "?", std::move(text)};
}

Table table_for(const PolicyInfo*) {
  return Table({{"policy", Table::left},
                {"id", Table::right},
                {"limit", Table::right},
                {"interval", Table::right},
                {"policy limit", Table::left}});
}

Json json_of(const TrialRow& row) {
  return {{"policy_limit", row.limit.to_string()},
          {"allowed", row.counts.allowed},
          {"denied", row.counts.denied}};
}

Cells cells_of(const TrialRow& row) {
  const auto calls =
      static_cast<double>(row.counts.allowed) + static_cast<double>(row.counts.denied);
  const double share = calls > 0 ? 100 * static_cast<double>(row.counts.denied) / calls : 0;
  return {row.name, number(row.counts.allowed), number(row.counts.denied),
          fmt::format("{:.1f} %", share), row.limit.to_string()};
}

Table table_for(const TrialRow*) {
  return Table({{"", Table::left},
                {"allowed", Table::right},
                {"denied", Table::right},
                {"share denied", Table::right},
                {"policy limit", Table::left}});
}

Json json_of(const HistoryRow& row) {
  Json object = json_of(row.policy);
  object["spent"] = name_of(row.policy.spent);
  object["removed"] = row.policy.removed;
  return object;
}

Cells cells_of(const HistoryRow& row) {
  const PolicyInfo& policy = row.policy;
  return {name_or_id(policy.name, policy.id),
          number(policy.id),
          iso_time(policy.created),
          number(policy.creator_uid),
          std::string(name_of(policy.spent)),
          policy.removed ? "removed"
          : policy.limit ? policy.limit->to_string()
                         : "?"};
}

Table table_for(const HistoryRow*) {
  return Table({{"policy", Table::left},
                {"id", Table::right},
                {"set", Table::left},
                {"by uid", Table::right},
                {"spent", Table::left},
                {"policy limit", Table::left}});
}

}  // namespace rl::ctl
