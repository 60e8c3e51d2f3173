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

/// Writes a quota as the grammar reads it: "100/s", "3/250ms".
std::string quota_text(std::uint64_t count, std::uint64_t period_ns);

}  // namespace rl
