#include "tools/rlreaper/service.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "shm/os.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlreaper/datagrams.hpp"

namespace rl::reaper {

void say(std::string_view line) noexcept {
  try {
    const std::string text = fmt::format("rlreaper: {}\n", ctl::escape(line));
    (void)!::write(STDERR_FILENO, text.data(), text.size());
  } catch (const std::exception&) {
  }
}

Signals::Signals() noexcept {
  ::sigemptyset(&signals_);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&signals_, signal);
  ::pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
  // What cannot be written is an error of its write, and ends nothing.
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGXFSZ, SIG_IGN);
}

int Signals::wait(std::chrono::nanoseconds at_most) const noexcept {
  const auto ns = std::max<std::chrono::nanoseconds::rep>(at_most.count(), 0);
  const timespec patience{ns / 1'000'000'000, ns % 1'000'000'000};
  const int signal = ::sigtimedwait(&signals_, nullptr, &patience);
  if (signal == SIGINT) return SIGTERM;
  return std::max(signal, 0);  // EAGAIN, or another signal: look again later
}

bool Signals::is_ending() noexcept {
  sigset_t pending;
  ::sigpending(&pending);
  return ::sigismember(&pending, SIGTERM) == 1 || ::sigismember(&pending, SIGINT) == 1;
}

Notifier::Notifier() {
  if (const char* const path = std::getenv("NOTIFY_SOCKET"); path != nullptr) path_ = path;
}

/// systemd wants to know when it began.
void Notifier::reloading() const noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  char text[64];
  const int size =
      std::snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                    static_cast<long long>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1'000);
  send({text, static_cast<std::size_t>(size)});
}

void Notifier::status(std::string_view line) const {
  if (!path_.empty()) send(fmt::format("STATUS={}", ctl::escape(line)));
}

void Notifier::send(std::string_view text) const noexcept {
  if (path_.empty()) return;
  if (const shm::Fd fd = datagrams_to(path_); fd)
    (void)!::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL);
}

}  // namespace rl::reaper
