/// \file
/// What a replay found out, drawn: requests and denials over the time of the log, and how the share
/// of denied requests falls as limits of the same shape grow.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tools/rlctl/replay/replay_report.hpp"

namespace rl::ctl {

/// What limits of the same shape deny, by the count of the first of them.
struct ShapePoint {
  std::uint64_t count;
  std::uint64_t denied;
};

/// Returns an SVG. `curve` ascends by count, and has the count of the report's limit.
std::string drawn(const ReplayReport& report, const std::vector<ShapePoint>& curve);

}  // namespace rl::ctl
