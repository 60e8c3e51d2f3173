/// \file
/// The file that `rlctl apply` reads and `rlctl export` writes (TOML 1.0):
///
///     [segment]                     # how the segment is made if there is none
///     keys = 100000
///
///     [policy.api]
///     limit = "100/s burst=200"     # or a list, with commas; then of an override, too
///     spent = "keep"                # what becomes of debts when this changes the limit
///
///     [policy.api.override]
///     "user:vip" = "1000/s"
///
///     [policy.api.allow]
///     "10.0.0.1" = "monitoring"     # why
///
///     [policy.api.ban]
///     "203.0.113.9" = { until = 2026-12-01T03:00:00Z, reason = "scraper" }
///
/// What the file does not name stays as it is. What it says of a key holds for all limits of a list
/// that it gives as one; a part that has a table of its own, [policy."api#2"], stands for itself.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rl/rl.hpp>

namespace rl::ctl {

/// How a key is to stand to its policy.
struct WantedStanding {
  Standing standing;
  std::string key;
  std::optional<Limits> limits;  ///< of an override: one for each of the policy's
  std::optional<std::chrono::system_clock::time_point> until;  ///< of a ban; none: for ever
  std::string reason;
  std::uint32_t line;
};

struct WantedPolicy {
  std::string name;
  Limits limits;
  Spent spent;
  std::vector<WantedStanding> standings;
  std::uint32_t line;
};

/// A file of limits, read and checked: it makes sense by itself.
struct LimitsFile {
  std::string name;  ///< for errors
  std::optional<SegmentOptions> segment;
  std::vector<WantedPolicy> policies;
  std::uint32_t segment_line = 1;  ///< that says how much room a segment has that is to be made

  /// Returns an error that shows the place.
  [[nodiscard]] Error error_at(std::uint32_t line, std::string_view what) const;
};

/// Reads a file's text. Errors: Error (bad_option) with file and line, for the first that is wrong.
LimitsFile parse_limits_file(const std::string& name, std::string_view text);

/// Returns the text of such a file, which parse_limits_file reads back. What cannot be said in it is
/// a comment; `left_out` counts that.
std::string limits_file_of(Segment& segment, std::size_t& left_out);

/// Returns what such a text says as JSON; its times are strings.
std::string limits_file_as_json(std::string_view text);

}  // namespace rl::ctl
