/// \file
/// What happened in a segment (rl/events.hpp), as rlctl and rlreaper tell it: an object of JSON, a
/// row of a table, a sentence of a log.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/report.hpp"

namespace rl::ctl {

/// Returns ISO 8601 in UTC, to the nanosecond.
std::string iso_time_ns(std::chrono::system_clock::time_point time);

/// Returns the change by hand, or the ban, that an event tells of, which says who made it and why:
/// of those in the journal the nearest in time. Null when there is none, or it is forgotten.
const JournalInfo* change_told_by(const Event& event, const std::vector<JournalInfo>& journal);

/// Whether an event is of this key, as far as it tells: of a long key it has only the beginning.
bool is_of(const Event& event, std::string_view key);

/// Returns an event as an object, exact; what does not apply is left out. Times that never come are
/// null. `change` is what it tells of, if that is known.
Json json_of(const Event& event, const JournalInfo* change = nullptr);
/// Returns an object that stands where events are missing.
Json json_of_lost(std::uint64_t count);

Cells cells_of(const Event& event, const JournalInfo* change = nullptr);
Table table_for(const Event*);

/// Returns "denied api user:42: limited, 0 of 200 left, passes in 35.1 ms".
std::string text_of(const Event& event);
/// Returns a sentence for events that are missing.
std::string text_of_lost(std::uint64_t count);

}  // namespace rl::ctl
