/// \file
/// A command of the user's: in the place of rlctl, or as its child while something is held for it.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "tools/rlctl/held_signals.hpp"

namespace rl::ctl {

/// The exit codes of those who run a command for somebody, as env(1) and timeout(1) have them.
inline constexpr int kDenied = 124;     ///< timeout(1): it was not in time
inline constexpr int kRunFailed = 125;  ///< rlctl itself failed
inline constexpr int kCannotRun = 126;  ///< the command is there, and cannot be run
inline constexpr int kNoCommand = 127;  ///< there is none of that name

/// Says why a command did not begin. Returns the exit code for that.
int say_cannot_run(const std::string& command, int error);

/// Becomes the command, which is looked for in PATH. Returns an errno value if that fails.
int become(const std::vector<std::string>& words) noexcept;

/// A command that runs beside us, and is told to end (SIGTERM) when this process dies before it:
/// what was held for it is not held any more then.
class ChildCommand {
 public:
  /// Starts it, with the signals as they were before `signals` held them. Returns the errno value
  /// when it cannot be run, and 0.
  int start(const std::vector<std::string>& words, HeldSignals& signals);

  /// Waits until it ends, at most so long, and passes on what comes for it meanwhile. Returns
  /// whether it has ended.
  bool wait(std::chrono::nanoseconds most, const HeldSignals& signals);

  /// Returns its exit code; ends this process by the signal that it died of.
  [[nodiscard]] int end() const;

 private:
  void pass_on_all(const HeldSignals& signals);

  pid_t pid_ = -1;
  int status_ = 0;
};

}  // namespace rl::ctl
