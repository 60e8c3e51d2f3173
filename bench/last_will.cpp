#include "bench/last_will.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <stdexcept>

#include "bench/scratch.hpp"
#include "shm/mapping.hpp"

namespace rl::bench {
namespace {

/// The children of ours that hold the pipe, too, die with us.
[[noreturn]] void wait_and_remove(int alive, const std::filesystem::path& prefix) {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE})
    (void)::signal(number, SIG_IGN);
  (void)::setsid();  // who kills the group, as a CI job does, leaves this one
  for (int fd = 0; fd <= 2; ++fd) (void)::close(fd);  // who reads our output waits for no one else
  char nothing;
  while (::read(alive, &nothing, 1) < 0 && errno == EINTR) {
  }
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator(prefix.parent_path(), ignored)) {
    if (file.path().filename().string().starts_with(prefix.filename().string()))
      (void)std::filesystem::remove_all(file.path(), ignored);
  }
  ::_exit(0);
}

}  // namespace

LastWill::LastWill() : LastWill(shm::path_of(unique_prefix())) {}

LastWill::LastWill(const std::filesystem::path& prefix) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("a pipe cannot be made");
  executor_ = ::fork();
  if (executor_ == 0) {
    (void)::close(ends[1]);
    wait_and_remove(ends[0], prefix);
  }
  (void)::close(ends[0]);
  alive_ = ends[1];
  if (executor_ < 0) {
    (void)::close(alive_);
    throw std::runtime_error("a process cannot be started");
  }
  // From here on our group may be killed. Ends: it has a session of its own, or is gone.
  while (::getsid(executor_) != executor_ && ::waitpid(executor_, nullptr, WNOHANG) == 0)
    ::sched_yield();
}

LastWill::~LastWill() {
  (void)::close(alive_);
  while (::waitpid(executor_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

}  // namespace rl::bench
