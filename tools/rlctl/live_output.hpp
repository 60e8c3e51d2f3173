/// \file
/// Standard output of a verb that goes on until it is ended.
#pragma once

#include <chrono>
#include <string_view>

#include "shm/os.hpp"

namespace rl::ctl {

/// Writes lines to a reader who may be slow or go away, and waits; both end at SIGINT and SIGTERM,
/// which are blocked from the first such object on, so that a line is written whole or not at all.
class LiveOutput {
 public:
  LiveOutput();
  /// Writes lines that end with a newline. Returns false when it is time to end: a signal has come,
  /// or nobody reads any more. Errors: Error (system) when they cannot be written.
  [[nodiscard]] bool write(std::string_view lines);
  /// Waits. Returns false when it is time to end.
  [[nodiscard]] bool wait(std::chrono::milliseconds time);

 private:
  [[nodiscard]] bool wait_for(short event, int time_ms) const;
  shm::Fd signals_;
};

}  // namespace rl::ctl
