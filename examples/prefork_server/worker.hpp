/// \file
/// A worker process: accepts connections and answers them, many at once in one thread.
#pragma once

#include <chrono>
#include <string>

#include <rl/rl.hpp>
#include "examples/prefork_server/client_address.hpp"

namespace examples {

/// How long a connection may take to send a whole request; idle ones are closed after it.
inline constexpr std::chrono::seconds kRequestTime{30};
/// How long a stopping worker goes on with the requests that it has begun.
inline constexpr std::chrono::seconds kStopTime{2};
inline constexpr std::uint32_t kHeaderBytesMax = 8 * 1024;
inline constexpr std::uint64_t kBodyBytesMax = 64 * 1024;

struct WorkerOptions {
  int listener = -1;  ///< a listening socket that all workers share
  std::string policy;
  rl::Limiter limiter;
  TrustedProxies trusted;
  rl::PrefixLengths prefix;  ///< what of an address is one client
};

/// Serves until SIGTERM, then finishes what it is answering. SIGTERM is blocked when this is called
/// and unblocked once it is heard.
void serve(const WorkerOptions& options);

}  // namespace examples
