/// \file
/// What the making of limits, their reader (limit_parser.cpp) and their writer (limit_text.cpp)
/// share.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include <rl/error.hpp>
#include <rl/limit.hpp>

namespace rl {

inline constexpr std::uint64_t kCountMax = 9'000'000'000'000'000'000;  // fits a signed count of ns
inline constexpr std::uint64_t kPeriodUnitNs = 1'000'000;  // the smallest that is written
inline constexpr std::uint64_t kFloorMax = 99;
inline constexpr std::uint64_t kBanAfterMax = 1'000'000;
inline constexpr std::uint64_t kBanTimeMax = std::uint64_t{kBanMax.count()};

/// A unit of time, and a rule for a full table, as the grammar has them.
struct Unit {
  std::string_view text;
  std::uint64_t ns;
};
struct Rule {
  std::string_view text;
  WhenFull rule;
};

/// Ascending; printing takes the largest that divides a time.
inline constexpr std::array<Unit, 5> kUnits{{{"ms", 1'000'000},
                                             {"s", 1'000'000'000},
                                             {"m", 60'000'000'000},
                                             {"h", 3'600'000'000'000},
                                             {"d", 86'400'000'000'000}}};
static_assert(kUnits.front().ns == kPeriodUnitNs);

inline constexpr std::array<Rule, 3> kRules{
    {{"evict", WhenFull::evict}, {"allow", WhenFull::allow}, {"deny", WhenFull::deny}}};

/// Returns the Error (bad_limit) that says why.
Error bad_limit(const std::string& why);

/// Says why a limit is none of calls. Requires one of which takes_calls is false.
std::string_view why_no_calls(Algorithm algorithm) noexcept;

/// Writes a count, a time of whole milliseconds and a quota as the grammar reads them: "2k", "90s",
/// "100/s", "3/250ms".
std::string count_text(std::uint64_t count);
std::string duration_text(std::uint64_t ns);
std::string quota_text(std::uint64_t count, std::uint64_t period_ns);

}  // namespace rl
