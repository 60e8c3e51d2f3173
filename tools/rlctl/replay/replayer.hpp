/// \file
/// What a limit does to recorded requests: the library itself decides, on a segment of its own whose
/// clock is the log's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include <rl/limits.hpp>

#include "tools/rlctl/replay/trace.hpp"

namespace rl::ctl {

/// Divides the span of a trace into equal parts that people have a name for, such as ten minutes,
/// and that begin where the clock shows them in UTC. Requires a trace that is not empty.
class Timeline {
 public:
  static constexpr std::size_t kPartsMax = 60;  ///< as many as fit a line of a terminal

  explicit Timeline(const Trace& trace);
  [[nodiscard]] std::size_t part_of(std::uint64_t unix_ns) const noexcept {
    return static_cast<std::size_t>((unix_ns - begin_ns_) / part_ns_);
  }
  [[nodiscard]] std::size_t parts() const noexcept { return parts_; }
  [[nodiscard]] std::uint64_t part_ns() const noexcept { return part_ns_; }
  /// Returns where the first part begins.
  [[nodiscard]] std::uint64_t begin_ns() const noexcept { return begin_ns_; }

 private:
  std::uint64_t part_ns_;
  std::uint64_t begin_ns_;
  std::size_t parts_;
};

/// Is told how many requests of a replay are done, now and then.
using Progress = std::function<void(std::size_t done)>;

/// What became of the requests. A limit in shadow denies here what it would deny.
struct Outcome {
  std::uint64_t denied = 0;
  std::vector<std::uint32_t> denied_of_key;   ///< by Trace::KeyId
  std::vector<std::uint64_t> denied_in_part;  ///< of the timeline
};

/// Asks a limit, or a list of limits of which all must allow, for each request in turn. Decisions are
/// those of Limiter::try_acquire and Limiters::try_acquire at the instants of the trace; windows lie
/// as the log's UTC has them; no key is evicted.
///
/// Errors: Error (bad_limit) for a concurrency limit: no log tells how long calls took; no_space where
/// there is no memory for so many keys.
Outcome replay(const Trace& trace, const Limits& limits, const Timeline& timeline,
               const Progress& progress = {});

/// The same without regard to keys and times: how many requests are denied.
std::uint64_t count_denied(const Trace& trace, const Limits& limits, const Progress& progress = {});

/// Errors: Error (bad_limit) for limits that cannot be replayed.
void check_can_be_replayed(const Limits& limits);

}  // namespace rl::ctl
