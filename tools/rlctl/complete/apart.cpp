#include "tools/rlctl/complete/apart.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace rl::ctl {
namespace {

using Clock = std::chrono::steady_clock;

void write_whole(int fd, std::string_view text) {
  while (!text.empty()) {  // ends: each round writes, or gives up
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(0);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

[[noreturn]] void work_and_exit(int fd, const std::function<void(const Tell&)>& work) {
  try {
    work([fd](std::string_view text) { write_whole(fd, text); });
  } catch (...) {
    // Nobody asked why.
  }
  ::_exit(0);
}

std::string read_until(int fd, Clock::time_point end) {
  std::string text;
  std::array<char, 16'384> some;
  for (;;) {  // ends: with what is written, or at `end`
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) return text;
    const ssize_t got = ::read(fd, some.data(), some.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return text;
    text.append(some.data(), static_cast<std::size_t>(got));
  }
}

}  // namespace

std::string told_apart(std::chrono::milliseconds most,
                       const std::function<void(const Tell&)>& work) {
  const Clock::time_point end = Clock::now() + most;
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return {};
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    work_and_exit(ends[1], work);
  }
  ::close(ends[1]);
  std::string told;
  if (child > 0) {
    told = read_until(ends[0], end);
    ::kill(child, SIGKILL);
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {  // ends: it was killed
    }
  }
  ::close(ends[0]);
  return told;
}

}  // namespace rl::ctl
