/// \file
/// What rlctl says about decisions, keys, policies and segments: text for people, with units, and
/// JSON for programs, exact.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/output.hpp"
#include "tools/rlctl/terminal.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {

using Json = nlohmann::ordered_json;

/// Prints an object on a line of its own.
void put_json(const Json& object);
/// Prints names and values below each other.
void put_pairs(const std::vector<std::pair<std::string, std::string>>& pairs);

/// `by` names the policy that decided, where there are several; else it is empty.
Json json_of(const Decision& decision, std::string_view by);
/// `asked` is "" for a call that was made, "would be " for one that was only looked at.
std::string text_of(const Decision& decision, std::string_view by, std::string_view asked);

Json json_of(const SegmentInfo& info);
/// Returns the line that what is said of a segment begins with: its version, who made it and when.
std::string headline(const SegmentInfo& info);
void put_text(const SegmentInfo& info, const ReaperInfo& reaper);
Json json_of(const ReaperInfo& reaper);

/// Returns a line that says loudly that limits are off; nothing while they are on.
std::string text_of_off(const SegmentInfo& info);
/// Says the same in an object; leaves it alone while they are on.
void add_off(Json& object, const SegmentInfo& info);

Json json_of(const PolicyInfo& policy);
Cells cells_of(const PolicyInfo& policy);
Table table_for(const PolicyInfo*);

/// What a limit in force, or on trial, made of the calls of a trial.
struct TrialRow {
  std::string name;
  Limit limit;
  Comparison::Counts counts;
};
Json json_of(const TrialRow& row);
Cells cells_of(const TrialRow& row);
Table table_for(const TrialRow*);

/// A policy as a row of its history.
struct HistoryRow {
  PolicyInfo policy;
};
Json json_of(const HistoryRow& row);
Cells cells_of(const HistoryRow& row);
Table table_for(const HistoryRow*);

std::string_view name_of(WhenFull rule);
Json explained_in_json(const Limit& limit);
void explain_in_text(const Limit& limit);

/// Calls its argument for every row; may be asked more than once.
template <class Row>
using Source = std::function<void(const std::function<void(const Row&)>&)>;

/// Prints rows as they come, holding none: JSON at once, a table after a first pass that finds how
/// wide its columns are (a row that changed in between may stick out). That limits are off is said
/// first, or in every row.
template <class Row>
void put_rows(const Source<Row>& source, bool json, const SegmentInfo& info) {
  if (json) {
    source([&](const Row& row) {
      Json object = json_of(row);
      add_off(object, info);
      put_json(object);
    });
    return;
  }
  put(paint(Paint::bad, text_of_off(info)));
  Table table = table_for(static_cast<const Row*>(nullptr));
  source([&](const Row& row) { table.measure(cells_of(row)); });
  put(paint(Paint::strong, table.header()));
  source([&](const Row& row) { put(table.line(cells_of(row))); });
}

}  // namespace rl::ctl
