/// \file
/// What the sender sends: which client asks at which instant.
#pragma once

#include <cstdint>
#include <istream>
#include <string>
#include <string_view>
#include <vector>

namespace examples {

struct Arrival {
  std::int64_t at_ns;  ///< since the start
  std::uint32_t client;
};

/// A plan of requests, in the order in which they are sent.
struct Schedule {
  std::vector<std::string> clients;
  std::vector<Arrival> arrivals;
  double speed_up = 1;               ///< of a replayed log
  std::uint64_t lines_left_out = 0;  ///< of a replayed log: no address or no time in them
};

/// Plans `seconds` of traffic. Each client is written "ADDRESS=RATE" or "ADDRESS=RATExGROUP": RATE
/// requests per second, one by one or always GROUP of them at once. Errors: invalid_argument.
Schedule steady_schedule(const std::vector<std::string>& clients, double seconds);

/// Plans the requests of an access log in combined format, in its order and with its distances in
/// time, sped up so that all take at most `seconds`. A line that is older than the one before it
/// counts as equally old. Errors: invalid_argument when no line has an address and a time.
Schedule replayed_schedule(std::istream& log, double seconds);

}  // namespace examples
