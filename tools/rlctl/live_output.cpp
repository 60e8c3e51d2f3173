#include "tools/rlctl/live_output.hpp"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "tools/rlctl/signal_fd.hpp"

namespace rl::ctl {
namespace {

/// Returns the first of the lines, as many as a pipe takes at once: where it has room at all, they
/// are written whole, and the write does not wait.
std::string_view first_of(std::string_view lines) {
  if (lines.size() <= PIPE_BUF) return lines;
  const std::size_t end = lines.rfind('\n', PIPE_BUF - 1);
  return lines.substr(0, end == lines.npos ? PIPE_BUF : end + 1);
}

}  // namespace

LiveOutput::LiveOutput() : signals_(signals_to_read({SIGINT, SIGTERM})) {
  (void)::signal(SIGPIPE, SIG_IGN);
}

bool LiveOutput::write(std::string_view lines) {
  while (!lines.empty()) {
    if (!wait_for(POLLOUT, -1)) return false;
    const std::string_view part = first_of(lines);
    const ssize_t written = ::write(STDOUT_FILENO, part.data(), part.size());
    if (written < 0 && errno == EPIPE) return false;
    if (written < 0 && errno != EINTR && errno != EAGAIN)
      throw shm::os_error("writing to standard output", errno);
    lines.remove_prefix(static_cast<std::size_t>(std::max<ssize_t>(written, 0)));
  }
  return true;
}

bool LiveOutput::wait(std::chrono::milliseconds time) {
  return wait_for(0, static_cast<int>(time.count()));
}

/// A pipe or a socket whose other end is closed is an error of ours even if we ask for nothing.
bool LiveOutput::wait_for(short event, int time_ms) const {
  std::array<pollfd, 2> fds{{{STDOUT_FILENO, event, 0}, {signals_.get(), POLLIN, 0}}};
  if (::poll(fds.data(), fds.size(), time_ms) < 0) return true;  // a signal of others: look again
  return (fds[0].revents & (POLLERR | POLLHUP)) == 0 && fds[1].revents == 0;
}

}  // namespace rl::ctl
