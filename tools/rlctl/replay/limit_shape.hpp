/// \file
/// Limits of one shape, smaller and larger; and the smallest that denies few enough.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>

#include <rl/limits.hpp>

namespace rl::ctl {

/// Returns the limits with `count` as the first one's count. All else that counts calls is taken in
/// proportion, rounded up: burst, queue and delay, and what the others of a list allow; periods and
/// what is said of bans stay. Errors: Error (bad_limit) for one that is not representable.
Limits with_count(const Limits& limits, std::uint64_t count);

/// Whether a greater count never denies more. Not so of a sliding window, where what was admitted
/// before weighs on what comes, nor where denials lead to bans, nor of lists: there it mostly holds.
bool is_monotone(const Limits& limits) noexcept;

/// A part of requests, exact to a millionth of a percent.
class Share {
 public:
  /// Reads "0.1%". Errors: Error (bad_option).
  static Share parse(std::string_view what, std::string_view text);
  /// Returns how many of so many requests that is, rounded down.
  [[nodiscard]] std::uint64_t of(std::uint64_t requests) const noexcept;

 private:
  std::uint64_t millionths_of_percent_ = 0;
};

struct Suggestion {
  std::uint64_t count = 0;
  std::uint64_t denied = 0;
  /// What the next smaller count that can be had denies; absent where there is none nearby.
  std::optional<std::uint64_t> smaller_count;
  std::uint64_t smaller_denied = 0;
};

/// Looks for the smallest count with which at most `most` requests are denied: doubles, bisects, and
/// then looks at the next smaller ones, which where limits are monotone is one. Both counts that it
/// returns were replayed. `denied_with` says what a count denies, or nothing where limits of that
/// count do not exist; then the next one up stands for it. Returns nothing where no count up to `count_max` will do.
std::optional<Suggestion> smallest_count(
    std::uint64_t count_max, std::uint64_t most, bool is_monotone,
    const std::function<std::optional<std::uint64_t>(std::uint64_t)>& denied_with);

}  // namespace rl::ctl
