#include "tools/rlctl/apart.hpp"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

namespace rl::ctl {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMemoryLost = 2;  // the exit code; 0 else

void write_whole(int fd, std::string_view text) {
  while (!text.empty()) {  // ends: each round writes, or gives up
    const ssize_t written = ::write(fd, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) ::_exit(0);
    text.remove_prefix(static_cast<std::size_t>(written));
  }
}

[[noreturn]] void work_and_exit(int fd, const std::function<void(const Tell&)>& work) {
  ::signal(SIGBUS, [](int) { ::_exit(kMemoryLost); });  // whoever asked says so, or goes on without
  try {
    work([fd](std::string_view text) { write_whole(fd, text); });
  } catch (...) {
    // Nobody asked why.
  }
  ::_exit(0);
}

/// Returns whether all was read.
bool read_until(int fd, Clock::time_point end, std::string& text) {
  std::array<char, 16'384> some;
  for (;;) {  // ends: with what is written, or at `end`
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(end - Clock::now());
    pollfd ready{fd, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&ready, 1, static_cast<int>(left.count())) == 0) return false;
    const ssize_t got = ::read(fd, some.data(), some.size());
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return got == 0;
    text.append(some.data(), static_cast<std::size_t>(got));
  }
}

ApartEnd end_of(pid_t child) {
  int status = 0;
  pid_t ended;
  do {  // ends: it was killed, or has closed its end of the pipe, as it does by ending
    ended = ::waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  if (ended != child || !WIFEXITED(status)) return ApartEnd::stopped;
  return WEXITSTATUS(status) == kMemoryLost ? ApartEnd::memory_lost : ApartEnd::done;
}

}  // namespace

ToldApart told_apart(std::chrono::milliseconds most, const std::function<void(const Tell&)>& work) {
  const Clock::time_point end = Clock::now() + most;
  ToldApart told;
  std::array<int, 2> ends{};
  if (::pipe(ends.data()) != 0) return told;
  ::signal(SIGCHLD, SIG_DFL);  // where it is ignored nobody learns how a child ended
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(ends[0]);
    work_and_exit(ends[1], work);
  }
  ::close(ends[1]);
  if (child > 0) {
    if (!read_until(ends[0], end, told.text)) ::kill(child, SIGKILL);
    told.end = end_of(child);
  }
  ::close(ends[0]);
  return told;
}

}  // namespace rl::ctl
