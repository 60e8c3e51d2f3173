#include "tools/rlctl/child_command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "shm/os.hpp"
#include "tools/rlctl/output.hpp"

namespace rl::ctl {
namespace {

std::vector<char*> argv_of(const std::vector<std::string>& words) {
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  // exec takes them so, and writes to none of them.
  for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  return argv;
}

/// Reads what the child wrote before it became the command: nothing, or why it did not.
int error_from(int fd) noexcept {
  int error = 0;
  ssize_t got = 0;
  do {
    got = ::read(fd, &error, sizeof error);
  } while (got < 0 && errno == EINTR);
  return got == sizeof error ? error : 0;
}

/// A terminal tells all of its foreground at once, and so the command as well; of its hangup, only the
/// process that leads the session.
bool has_been_told(const siginfo_t& info) noexcept {
  return info.si_code == SI_KERNEL && info.si_signo != SIGHUP;
}

}  // namespace

int say_cannot_run(const std::string& command, int error) {
  complain(fmt::format("running {}: {}", command, shm::errno_text(error)));
  return error == ENOENT ? kNoCommand : kCannotRun;
}

int become(const std::vector<std::string>& words) noexcept try {
  const std::vector<char*> argv = argv_of(words);
  leave_output();
  (void)::execvp(argv[0], argv.data());
  const int error = errno;
  prepare_output();
  return error;
} catch (...) {
  return ENOMEM;
}

int ChildCommand::start(const std::vector<std::string>& words, HeldSignals& signals) {
  struct sigaction usual {};
  usual.sa_handler = SIG_DFL;
  struct sigaction before {};
  // Ignored, as our parent may have had it, the end of a child would leave no exit code.
  (void)::sigaction(SIGCHLD, &usual, &before);
  signals.hold(SIGCHLD);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw shm::os_error("making a pipe", errno);
  const shm::Fd from(ends[0]);
  shm::Fd to(ends[1]);
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw shm::os_error("starting the command", errno);
  if (pid_ == 0) {
    (void)::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(kRunFailed);  // that came too late
    (void)::sigaction(SIGCHLD, &before, nullptr);
    ::sigprocmask(SIG_SETMASK, &signals.before(), nullptr);
    const int error = become(words);
    (void)!::write(to.get(), &error, sizeof error);
    ::_exit(kNoCommand);
  }
  to = shm::Fd();
  const int error = error_from(from.get());
  if (error != 0) (void)::waitpid(pid_, &status_, 0);
  (void)::signal(SIGPIPE, SIG_IGN);  // nobody who left may end us before the command
  if (error == 0) pass_on_all(signals);
  return error;
}

/// Also what a terminal told: when it did, there may have been no command yet.
void ChildCommand::pass_on_all(const HeldSignals& signals) {
  for (;;) {  // ends: with what has come
    const int signal = signals.next(std::chrono::nanoseconds(0)).si_signo;
    if (signal == 0) return;
    if (signal != SIGCHLD) (void)::kill(pid_, signal);
  }
}

bool ChildCommand::wait(std::chrono::nanoseconds most, const HeldSignals& signals) {
  // First, as the news of its end may have been taken among others.
  if (::waitpid(pid_, &status_, WNOHANG) == pid_) return true;
  const siginfo_t info = signals.next(most);
  if (info.si_signo != 0 && info.si_signo != SIGCHLD && !has_been_told(info))
    (void)::kill(pid_, info.si_signo);
  return ::waitpid(pid_, &status_, WNOHANG) == pid_;
}

int ChildCommand::end() const {
  if (WIFSIGNALED(status_)) end_by(WTERMSIG(status_));
  return WEXITSTATUS(status_);
}

}  // namespace rl::ctl
