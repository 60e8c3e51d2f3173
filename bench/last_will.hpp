/// \file
/// What becomes of a run's segments when it is killed, so that it cannot clean up itself.
#pragma once

#include <sys/types.h>

namespace rl::bench {

/// While one of these lives, a process of its own waits for ours to end, however that comes, and then
/// removes the segments that are left of those named by unique_name(). Errors: std::runtime_error.
class LastWill {
 public:
  LastWill();
  LastWill(const LastWill&) = delete;
  LastWill& operator=(const LastWill&) = delete;
  ~LastWill();

 private:
  int alive_ = -1;  ///< a pipe's end; it closes with us
  pid_t executor_ = -1;
};

}  // namespace rl::bench
