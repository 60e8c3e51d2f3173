/// \file
/// What becomes of a run's segments, or its folder, when it is killed, so that it cannot clean up
/// itself.
#pragma once

#include <sys/types.h>

#include <filesystem>

namespace rl::bench {

/// While one of these lives, a process of its own waits for ours to end, however that comes, and then
/// removes what is left. Errors: std::runtime_error.
class LastWill {
 public:
  /// Of the segments named by unique_name().
  LastWill();
  /// Of the files and folders whose paths begin so.
  explicit LastWill(const std::filesystem::path& prefix);
  LastWill(const LastWill&) = delete;
  LastWill& operator=(const LastWill&) = delete;
  ~LastWill();

 private:
  int alive_ = -1;  ///< a pipe's end; it closes with us
  pid_t executor_ = -1;
};

}  // namespace rl::bench
