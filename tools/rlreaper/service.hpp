/// \file
/// What a service manager and an operator say to this process, and what it says to them.
#pragma once

#include <signal.h>

#include <chrono>
#include <string>
#include <string_view>

namespace rl::reaper {

/// Says a line on standard error, escaped.
void say(std::string_view line) noexcept;

/// Signals as events, taken one by one: none interrupts anything. Make it before any thread.
class Signals {
 public:
  Signals() noexcept;
  /// Waits for a signal. Returns SIGTERM (also for SIGINT), SIGHUP, SIGUSR1, or 0 when the time is
  /// over.
  [[nodiscard]] int wait(std::chrono::nanoseconds at_most) const noexcept;
  /// Whether it was asked to end; takes nothing.
  [[nodiscard]] static bool is_ending() noexcept;

 private:
  sigset_t signals_;
};

/// Tells systemd, by the socket that NOTIFY_SOCKET names (sd_notify(3): a datagram of lines); does
/// nothing without one. What cannot be sent is lost.
class Notifier {
 public:
  Notifier();
  void ready() const noexcept { send("READY=1"); }
  void reloading() const noexcept;
  void stopping() const noexcept { send("STOPPING=1"); }
  void alive() const noexcept { send("WATCHDOG=1"); }
  void status(std::string_view line) const;

 private:
  void send(std::string_view text) const noexcept;
  std::string path_;
};

}  // namespace rl::reaper
