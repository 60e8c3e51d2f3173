#include "tools/rlctl/held_signals.hpp"

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

namespace rl::ctl {
namespace {

bool is_ignored(int signal) noexcept {
  struct sigaction action {};
  return ::sigaction(signal, nullptr, &action) == 0 && action.sa_handler == SIG_IGN;
}

}  // namespace

HeldSignals::HeldSignals(std::initializer_list<int> signals) {
  ::sigemptyset(&held_);
  for (const int signal : signals)
    if (!is_ignored(signal)) ::sigaddset(&held_, signal);
  ::sigprocmask(SIG_BLOCK, &held_, &before_);
}

HeldSignals::~HeldSignals() {
  ::sigprocmask(SIG_SETMASK, &before_, nullptr);
}

void HeldSignals::hold(int signal) {
  ::sigaddset(&held_, signal);
  ::sigprocmask(SIG_BLOCK, &held_, nullptr);
}

siginfo_t HeldSignals::next(std::chrono::nanoseconds most) const {
  const auto ns = std::max(most, std::chrono::nanoseconds(0)).count();
  timespec time{};
  time.tv_sec = static_cast<time_t>(ns / std::nano::den);
  time.tv_nsec = static_cast<decltype(time.tv_nsec)>(ns % std::nano::den);
  siginfo_t info{};
  // What interrupts it is no signal of ours: the caller looks at its clock, and waits again.
  if (::sigtimedwait(&held_, &info, &time) < 0) info.si_signo = 0;
  return info;
}

void end_by(int signal) noexcept {
  const rlimit none{};
  (void)::setrlimit(RLIMIT_CORE, &none);
  sigset_t only;
  ::sigemptyset(&only);
  ::sigaddset(&only, signal);
  (void)::signal(signal, SIG_DFL);
  (void)::raise(signal);
  ::sigprocmask(SIG_UNBLOCK, &only, nullptr);
  ::_exit(128 + signal);  // one that ends nobody here, such as those of a realtime program
}

}  // namespace rl::ctl
