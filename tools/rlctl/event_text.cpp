#include "tools/rlctl/event_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace rl::ctl {
namespace {

using std::chrono::nanoseconds;

/// Returns a time in UTC with so many digits behind the second.
std::string iso_time_to(int digits, std::chrono::system_clock::time_point time) {
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  const std::string behind = fmt::format("{:09}", nanoseconds(time - second).count());
  std::string text = iso_time(second);
  return text.insert(text.size() - 1, "." + behind.substr(0, static_cast<std::size_t>(digits)));
}

/// Whether it tells of a call that could not pass, or of a key that cannot for a time.
bool has_wait(const Event& event) {
  return event.kind == EventKind::denied || event.kind == EventKind::banned;
}

std::string key_of(const Event& event) {
  return shown_key(event.key, event.key_truncated);
}

std::string details_of_denial(const Event& event) {
  std::string text(to_string(event.reason));
  if (event.cost > 1) text += fmt::format(", cost {}", event.cost);
  // Nothing is counted of a key that is banned.
  if (event.limit != 0) text += fmt::format(", {} of {} left", event.remaining, event.limit);
  if (event.wait != kNever) return text + ", passes in " + human_duration(event.wait);
  return event.reason == Reason::banned ? text + " for ever" : text;
}

/// Returns what there is to tell beside what, where and whose; empty for nothing.
std::string details_of(const Event& event) {
  switch (event.kind) {
    case EventKind::denied:
      return details_of_denial(event);
    case EventKind::banned:
      return event.wait == kNever ? "for ever" : "for " + human_duration(event.wait);
    case EventKind::full:
      return event.cost > 1 ? fmt::format("cost {}", event.cost) : "";
    case EventKind::changed:
      return std::string(to_string(event.change));
    case EventKind::evicted:
    case EventKind::permit_reclaimed:
    case EventKind::left_tsc:
    case EventKind::copied:
      break;
  }
  return "";
}

bool is_change(const Event& event) {
  return event.kind == EventKind::changed || event.kind == EventKind::banned;
}

nanoseconds between(const Event& event, const JournalInfo& change) {
  return std::chrono::abs(nanoseconds(event.when - change.when));
}

/// Of a long key either may have the beginning only.
bool have_one_key(const Event& event, const JournalInfo& change) {
  const std::size_t size = std::min(event.key.size(), change.key.size());
  return event.key.compare(0, size, change.key, 0, size) == 0 &&
         (event.key.size() == size || change.cut) &&
         (change.key.size() == size || event.key_truncated);
}

/// The event and the line of the journal are written one after the other by one process.
bool tells(const Event& event, const JournalInfo& change) {
  return event.change == change.change && event.pid == change.pid &&
         event.policy == change.policy && have_one_key(event, change) &&
         between(event, change) < std::chrono::seconds(1);
}

/// Returns " by uid 0 (scraper)".
std::string made_by(const JournalInfo* change) {
  if (change == nullptr) return "";
  std::string text = fmt::format(" by uid {}", change->uid);
  if (!change->reason.empty()) text += fmt::format(" ({})", escape(change->reason));
  return text;
}

}  // namespace

const JournalInfo* change_told_by(const Event& event, const std::vector<JournalInfo>& journal) {
  const JournalInfo* nearest = nullptr;
  if (!is_change(event)) return nearest;
  for (const JournalInfo& change : journal) {
    const bool is_nearer = nearest == nullptr || between(event, change) < between(event, *nearest);
    if (tells(event, change) && is_nearer) nearest = &change;
  }
  return nearest;
}

bool is_of(const Event& event, std::string_view key) {
  return event.key_truncated ? key.starts_with(event.key) : key == event.key;
}

std::string iso_time_ns(std::chrono::system_clock::time_point time) {
  return iso_time_to(9, time);
}

Json json_of(const Event& event, const JournalInfo* change) {
  const bool is_denied = event.kind == EventKind::denied;
  Json object{
      {"time", iso_time_ns(event.when)},
      {"unix_ns", nanoseconds(event.when.time_since_epoch()).count()},
      {"kind", to_string(event.kind)},
  };
  if (event.pid != 0) object["pid"] = event.pid;
  if (!event.policy.empty()) object["policy"] = escape(event.policy);
  if (!event.key.empty()) object["key"] = escape(event.key);
  if (event.key_truncated) object["key_truncated"] = true;
  if (event.reason != Reason::ok) object["reason"] = to_string(event.reason);
  if (event.cost != 0) object["cost"] = event.cost;
  if (is_denied || event.limit != 0) object["limit"] = event.limit;
  if (is_denied || event.remaining != 0) object["remaining"] = event.remaining;
  if (has_wait(event))
    object["wait_ns"] = event.wait == kNever ? Json(nullptr) : Json(event.wait.count());
  if (is_change(event)) object["change"] = to_string(event.change);
  if (change != nullptr) {
    object["uid"] = change->uid;
    if (!change->reason.empty()) object["reason"] = escape(change->reason);
  }
  return object;
}

Json json_of_lost(std::uint64_t count) {
  return {{"kind", "lost"}, {"count", count}};
}

Cells cells_of(const Event& event, const JournalInfo* change) {
  return {iso_time_to(3, event.when),
          event.pid == 0 ? "" : fmt::format("{}", event.pid),
          std::string(to_string(event.kind)),
          escape(event.policy),
          key_of(event),
          details_of(event) + made_by(change)};
}

Table table_for(const Event*) {
  return Table({{"when", Table::left},
                {"pid", Table::right},
                {"event", Table::left},
                {"policy", Table::left},
                {"key", Table::left},
                {"what", Table::left}});
}

std::string text_of(const Event& event) {
  std::string text(to_string(event.kind));
  for (const std::string& word : {escape(event.policy), key_of(event)})
    if (!word.empty()) text += " " + word;
  const std::string details = details_of(event);
  return details.empty() ? text : text + ": " + details;
}

std::string text_of_lost(std::uint64_t count) {
  return fmt::format("{} overwritten before {} could be read",
                     count == 1 ? "1 event was" : fmt::format("{} events were", count),
                     count == 1 ? "it" : "they");
}

}  // namespace rl::ctl
