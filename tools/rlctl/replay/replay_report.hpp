/// \file
/// What a replay found out: text for people, and JSON.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/replay/limit_shape.hpp"
#include "tools/rlctl/replay/log_trace.hpp"
#include "tools/rlctl/replay/replayer.hpp"

namespace rl::ctl {

/// What was asked with --suggest, and the answer.
struct Suggested {
  std::string share;  ///< as it was given
  std::optional<Suggestion> found;
};

struct ReplayReport {
  const LogTrace& log;
  const KeyChoice& key;
  const Limits& limits;
  const Timeline& timeline;
  const std::vector<std::uint64_t>& requests_in_part;
  const Outcome& outcome;
  std::optional<Suggested> suggested = {};
};

/// Returns how many requests there are in each part of the time.
std::vector<std::uint64_t> requests_in_parts(const Trace& trace, const Timeline& timeline);

/// Prints one object.
void put_json(const ReplayReport& report);
void put_text(const ReplayReport& report);

/// Returns "denies", or "would deny" where a limit is in shadow.
std::string_view denies(const Limits& limits);

/// Returns "6.2 %".
std::string text_of_share(std::uint64_t part, std::uint64_t whole);

}  // namespace rl::ctl
