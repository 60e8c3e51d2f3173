#include "tools/rlreaper/service.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>

#include "shm/os.hpp"
#include "tools/rlctl/text.hpp"

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
  ::signal(SIGPIPE, SIG_IGN);
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
  sockaddr_un to{};
  if (path_.empty() || path_.size() >= sizeof to.sun_path) return;
  const shm::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!fd) return;
  to.sun_family = AF_UNIX;
  std::memcpy(to.sun_path, path_.data(), path_.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';  // a name that is no file
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path_.size());
  (void)!::sendto(fd.get(), text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT,
                  reinterpret_cast<const sockaddr*>(&to), size);
}

}  // namespace rl::reaper
