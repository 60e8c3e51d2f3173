#include "tools/rlctl/signal_fd.hpp"

#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>

namespace rl::ctl {

shm::Fd signals_to_read(std::initializer_list<int> signals) {
  sigset_t mask;
  ::sigemptyset(&mask);
  for (const int signal : signals) ::sigaddset(&mask, signal);
  ::sigprocmask(SIG_BLOCK, &mask, nullptr);
  shm::Fd fd(::signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) throw shm::os_error("making a signalfd", errno);
  return fd;
}

}  // namespace rl::ctl
