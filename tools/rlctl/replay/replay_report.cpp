#include "tools/rlctl/replay/replay_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "src/show.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"

namespace rl::ctl {
namespace {

struct KeyCounts {
  Trace::KeyId key;
  std::uint32_t requests;
  std::uint32_t denied;
};

/// Returns the keys that were denied most, the most first; of as many, who asked more often.
std::vector<KeyCounts> top_keys(const ReplayReport& report) {
  constexpr std::size_t kMost = 10;
  const Trace& trace = report.log.trace;
  std::vector<KeyCounts> keys(trace.key_count());
  for (Trace::KeyId id = 0; id < keys.size(); ++id)
    keys[id] = {id, 0, report.outcome.denied_of_key[id]};
  for (std::size_t i = 0; i < trace.size(); ++i) ++keys[trace[i].key].requests;
  std::erase_if(keys, [](const KeyCounts& k) { return k.denied == 0; });
  const auto end = keys.begin() + static_cast<std::ptrdiff_t>(std::min(kMost, keys.size()));
  std::partial_sort(keys.begin(), end, keys.end(), [](const KeyCounts& a, const KeyCounts& b) {
    return std::tuple(b.denied, b.requests, a.key) < std::tuple(a.denied, a.requests, b.key);
  });
  keys.erase(end, keys.end());
  return keys;
}

std::uint64_t keys_denied(const Outcome& outcome) {
  const auto& denied = outcome.denied_of_key;
  return static_cast<std::uint64_t>(
      std::count_if(denied.begin(), denied.end(), [](std::uint32_t n) { return n != 0; }));
}

std::string limit_with(const ReplayReport& report, std::uint64_t count) {
  return with_count(report.limits, count).to_string();
}

Json json_of_suggested(const ReplayReport& report) {
  const auto& found = report.suggested->found;
  Json object{{"at_most", report.suggested->share}};
  if (!found) {
    object["limit"] = nullptr;
    return object;
  }
  object["limit"] = limit_with(report, found->count);
  object["denied"] = found->denied;
  object["denied_share"] = share_of(found->denied, report.log.trace.size());
  if (found->smaller_count) {
    object["next_smaller"] = limit_with(report, *found->smaller_count);
    object["next_smaller_denied"] = found->smaller_denied;
  }
  object["is_monotone"] = is_monotone(report.limits);
  return object;
}

void put_suggested(const ReplayReport& report) {
  const Suggested& suggested = *report.suggested;
  const std::uint64_t requests = report.log.trace.size();
  if (!suggested.found) {
    put(fmt::format(
        "suggested: none found that denies at most {}{}\n", suggested.share,
        report.log.trace.has_whole_seconds() ? ", as calls of one second come all at once" : ""));
    return;
  }
  const Suggestion& found = *suggested.found;
  put(paint(Paint::strong, fmt::format("suggested: {}", limit_with(report, found.count))));
  put(fmt::format(" {} {} ({}), at most {}", denies(report.limits), found.denied,
                  text_of_share(found.denied, requests), suggested.share));
  if (found.smaller_count) {
    put(fmt::format("; {} {} {} ({})", limit_with(report, *found.smaller_count),
                    denies(report.limits), found.smaller_denied,
                    text_of_share(found.smaller_denied, requests)));
  }
  put(is_monotone(report.limits)
          ? "\n"
          : "; a still smaller one may do, too, as here a greater one may deny more\n");
}

std::string text_of_left_out(const LeftOut& out) {
  std::string text;
  for (const LineRead why : {LineRead::other_format, LineRead::no_time, LineRead::no_key}) {
    if (out.of(why) == 0) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {}", out.of(why), text_of(why));
  }
  return text;
}

/// One line of blocks, and what the highest stands for.
std::string text_of_parts(const std::vector<std::uint64_t>& counts, std::uint64_t part_ns) {
  const std::vector<double> values(counts.begin(), counts.end());
  return fmt::format("{}  at most {} in {}", sparkline(values),
                     *std::max_element(counts.begin(), counts.end()), human_duration(part_ns));
}

void put_facts(const ReplayReport& report) {
  const Trace& trace = report.log.trace;
  const LeftOut& out = report.log.left_out;
  std::vector<std::pair<std::string, std::string>> facts{
      {"log", fmt::format("{}, {}", escape(report.log.name), name_of(report.log.format))},
      {"span", fmt::format("{} to {}, {}", iso_time(to_wall_time(trace.first_ns())),
                           iso_time(to_wall_time(trace.last_ns())),
                           human_duration(trace.last_ns() - trace.first_ns()))},
      {"key", report.key.to_string()}};
  if (trace.has_whole_seconds())
    facts.emplace_back("times", "whole seconds: calls of one second count as made all at once");
  if (trace.backwards() != 0) {
    facts.emplace_back("backwards",
                       fmt::format("{}, by up to {}; they count at the latest time before them, "
                                   "so more is denied than if the log were sorted by time",
                                   counted(trace.backwards(), "line", "lines"),
                                   human_duration(trace.furthest_back_ns())));
  }
  if (const std::string text = text_of_left_out(out); !text.empty())
    facts.emplace_back("left out", text);
  if (const std::uint64_t lines = report.log.without_address; lines != 0) {
    facts.emplace_back("by text", fmt::format("{} no address; they count by their text",
                                              counted(lines, "line names", "lines name")));
  }
  for (const LeftOut::Line& line : out.first)
    facts.emplace_back(fmt::format("  line {}", line.number), escape(line.text));
  facts.emplace_back("requests", text_of_parts(report.requests_in_part, report.timeline.part_ns()));
  if (report.outcome.denied != 0) {
    facts.emplace_back("denied",
                       text_of_parts(report.outcome.denied_in_part, report.timeline.part_ns()));
  }
  put_pairs(facts);
}

/// A key may be as long as a line.
std::string shown(std::string_view key) {
  constexpr std::size_t kMost = 60;
  return shown_key(std::string(key.substr(0, kMost)), key.size() > kMost);
}

void put_top(const ReplayReport& report) {
  const auto keys = top_keys(report);
  if (keys.empty()) return;
  Table table({{"key", Table::left},
               {"requests", Table::right},
               {"denied", Table::right},
               {"share", Table::right}});
  const auto cells = [&](const KeyCounts& key) -> Cells {
    return {shown(report.log.trace.key(key.key)), fmt::format("{}", key.requests),
            fmt::format("{}", key.denied), text_of_share(key.denied, key.requests)};
  };
  for (const KeyCounts& key : keys) table.measure(cells(key));
  put("\n");
  put(paint(Paint::strong, table.header()));
  for (const KeyCounts& key : keys) put(table.line(cells(key)));
}

}  // namespace

std::vector<std::uint64_t> requests_in_parts(const Trace& trace, const Timeline& timeline) {
  std::vector<std::uint64_t> counts(timeline.parts());
  for (std::size_t i = 0; i < trace.size(); ++i) ++counts[timeline.part_of(trace[i].unix_ns)];
  return counts;
}

std::string_view denies(const Limits& limits) {
  const bool is_shadow =
      std::any_of(limits.begin(), limits.end(), [](const Limit& limit) { return limit.shadow(); });
  return is_shadow ? "would deny" : "denies";
}

std::string text_of_share(std::uint64_t part, std::uint64_t whole) {
  const double percent = share_of(part, whole) * 100;
  if (percent > 0 && percent < 0.001) return "under 0.001 %";
  if (percent < 1) return fmt::format("{:.2g} %", percent);
  return percent < 10 ? fmt::format("{:.2f} %", percent) : fmt::format("{:.1f} %", percent);
}

void put_json(const ReplayReport& report) {
  const Trace& trace = report.log.trace;
  Json top = Json::array();
  for (const KeyCounts& key : top_keys(report)) {
    top.push_back(Json{
        {"key", escape(trace.key(key.key))}, {"requests", key.requests}, {"denied", key.denied}});
  }
  Json object{{"requests", trace.size()},
              {"keys", trace.key_count()},
              {"denied", report.outcome.denied},
              {"denied_share", share_of(report.outcome.denied, trace.size())},
              {"keys_denied", keys_denied(report.outcome)},
              {"top", std::move(top)},
              {"limit", report.limits.to_string()},
              {"key_by", report.key.to_string()},
              {"log", escape(report.log.name)},
              {"format", name_of(report.log.format)},
              {"first", iso_time(to_wall_time(trace.first_ns()))},
              {"last", iso_time(to_wall_time(trace.last_ns()))},
              {"unparsed", report.log.left_out.unparsed()},
              {"without_key", report.log.left_out.of(LineRead::no_key)},
              {"without_address", report.log.without_address},
              {"backwards", trace.backwards()},
              {"whole_seconds", trace.has_whole_seconds()}};
  if (report.suggested) object["suggested"] = json_of_suggested(report);
  put_json(object);
}

void put_text(const ReplayReport& report) {
  const std::uint64_t requests = report.log.trace.size();
  const std::uint64_t denied = report.outcome.denied;
  put(paint(denied == 0 ? Paint::good : Paint::strong,
            fmt::format("{} {} {} of {} requests ({}), and {} of {} keys at least once\n",
                        report.limits.to_string(), denies(report.limits), denied, requests,
                        text_of_share(denied, requests), keys_denied(report.outcome),
                        report.log.trace.key_count())));
  if (report.suggested) put_suggested(report);
  put_facts(report);
  put_top(report);
}

}  // namespace rl::ctl
