/// \file
/// What stands in for a segment that is not to be had: see include/rl/fallback.hpp.
///
/// It is a segment in private memory (shm::Mapping::create_unshared), so that all that reads a view
/// works on it as on any other. For `allow` and `deny` it holds no keys, like one whose memory was
/// let go of; what a call is told then is refused() of src/decide.hpp.
///
/// While one stands in, no binding counts as current (SegmentCore::is_followed): every call comes by
/// LimiterCore::rebind, where it is counted and looks for the segment when it is time to. So the way
/// of a call that has a segment knows nothing of all this.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>

#include <rl/decision.hpp>
#include <rl/fallback.hpp>
#include <rl/limit.hpp>

#include "shm/mapping.hpp"

namespace rl {

/// Why there is no segment, and what is done without. Immutable, but for the count.
struct StandIn {
  Fallback fallback;
  shm::CreateOptions options;  ///< of the segment that there should be
  std::string why;
  std::chrono::system_clock::time_point since;
  std::atomic<std::uint64_t> calls{0};

  StandIn(const Fallback& f, shm::CreateOptions o, std::string reason,
          std::chrono::system_clock::time_point now)
      : fallback(f), options(std::move(o)), why(std::move(reason)), since(now) {}

  /// What a call is told where nothing is counted.
  [[nodiscard]] Decision answer() const noexcept;
  /// Whether all calls pass where nothing is counted.
  [[nodiscard]] bool allows() const noexcept { return fallback.on_failure == OnFailure::allow; }
  /// Whether this process counts for itself.
  [[nodiscard]] bool counts() const noexcept { return fallback.on_failure == OnFailure::local; }
  /// The limit that this process keeps of one that was asked for.
  [[nodiscard]] Limit limit_of(const Limit& wanted) const;
  /// One sentence for people.
  [[nodiscard]] std::string to_string() const;
};

/// Errors: Error (bad_option) for a share of 0, or a mode that there is not.
void check(const Fallback& fallback);

/// Returns the part of a limit that one of so many processes keeps. Errors: none.
Limit divided(const Limit& limit, std::uint64_t share);

/// Returns private memory to stand in with: for keys, or for none.
shm::Mapping::Unshared memory_of(const StandIn& stand_in, bool has_keys);

}  // namespace rl
