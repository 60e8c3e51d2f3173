/// \file
/// Sends a schedule of HTTP requests over keep-alive connections, each at its instant whatever the
/// server answered before (open loop), and records what came back.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <vector>

#include "examples/load/schedule.hpp"

namespace examples {

/// One request. Units: nanoseconds on CLOCK_MONOTONIC since the start of the run.
struct Record {
  enum class End : std::uint8_t {
    answered,
    lost_at_kill,  ///< it was on its way to the worker that we killed
    failed,        ///< any other loss: no connection, a broken one, no answer in time
  };
  std::uint32_t client = 0;
  End end = End::failed;
  int status = 0;
  std::int64_t scheduled_ns = 0;
  std::int64_t sent_ns = 0;
  std::int64_t ended_ns = 0;  ///< the answer was complete, or the loss was noticed
};

struct SenderOptions {
  std::uint16_t port = 0;
  std::size_t connections = 16;  ///< opened before the start; more when all are busy
  pid_t kill_half_way = 0;       ///< this worker gets SIGKILL; 0 is none
};

struct Recording {
  std::vector<Record> records;  ///< as in the schedule
  std::size_t workers = 0;      ///< how many different ones answered, as their Worker fields say
  std::size_t connections = 0;  ///< how many were opened in all
};

/// Sends the schedule to 127.0.0.1 and waits for the answers, at most 5 s after the last request.
/// Errors: throws when the first connections cannot be opened.
Recording send_schedule(const Schedule& schedule, const SenderOptions& options);

}  // namespace examples
