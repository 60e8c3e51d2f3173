/// \file
/// What the making of limits and their grammar share.
#pragma once

#include <cstdint>
#include <string>

#include <rl/error.hpp>

namespace rl {

inline constexpr std::uint64_t kCountMax = 9'000'000'000'000'000'000;  // fits a signed count of ns
inline constexpr std::uint64_t kPeriodUnitNs = 1'000'000;  // the smallest that is written

/// Returns the Error (bad_limit) that says why.
Error bad_limit(const std::string& why);

/// Writes a count, a time of whole milliseconds and a quota as the grammar reads them: "2k", "90s",
/// "100/s", "3/250ms".
std::string count_text(std::uint64_t count);
std::string duration_text(std::uint64_t ns);
std::string quota_text(std::uint64_t count, std::uint64_t period_ns);

}  // namespace rl
