/// \file
/// What rlreaper is asked to do: its arguments, and a file that is read again at SIGHUP.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/rlreaper/metrics_server.hpp"

namespace rl::reaper {

struct Options {
  std::vector<std::string> segments;
  bool any_owner = false;
  std::uint64_t rate = 1'000'000;  ///< slots a second, of each segment
  std::chrono::nanoseconds idle_for = std::chrono::seconds(10);
  std::string checkpoint;  ///< a file; empty: none. %s is the segment's name
  std::chrono::nanoseconds every = std::chrono::seconds(10);
  std::uint64_t keep = 1;  ///< older checkpoints beside the last
  bool restore = false;
  std::vector<std::string> events;     ///< sinks, as make_sink reads them
  std::optional<ListenAt> prometheus;  ///< where it serves its numbers
  std::uint64_t top_denied = 0;        ///< of so many keys also how often they were denied
  friend bool operator==(const Options&, const Options&) = default;
};

/// Reads the arguments, and the file that they name. What they say of an option stands above the
/// file. Nothing is returned when a text was all that was asked for: it has been written. Errors:
/// Error (bad_option).
std::optional<Options> read_options(int argc, const char* const* argv);

}  // namespace rl::reaper
