/// \file
/// Signals that are waited for, together with the time, rather than obeyed in the middle of a call.
#pragma once

#include <signal.h>

#include <chrono>
#include <initializer_list>

namespace rl::ctl {

/// Holds signals back from its making to its end. Those that this process was told to ignore
/// (nohup, a shell's background) stay ignored.
class HeldSignals {
 public:
  explicit HeldSignals(std::initializer_list<int> signals);
  HeldSignals(const HeldSignals&) = delete;
  HeldSignals& operator=(const HeldSignals&) = delete;
  /// Whatever has come and was not taken is obeyed now.
  ~HeldSignals();

  /// Holds one more, also where it is ignored.
  void hold(int signal);

  /// Waits for the next of them, at most so long. Returns it; one whose si_signo is 0 when none came.
  [[nodiscard]] siginfo_t next(std::chrono::nanoseconds most) const;

  /// Returns what was blocked before: for a child, which is to begin as this process did.
  [[nodiscard]] const sigset_t& before() const noexcept { return before_; }

 private:
  sigset_t held_{};
  sigset_t before_{};
};

/// Ends this process as that signal does, whatever is held back; without a core of its own, as
/// nothing went wrong here.
[[noreturn]] void end_by(int signal) noexcept;

}  // namespace rl::ctl
