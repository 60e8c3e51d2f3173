#include "tools/rlctl/selftest/processes.hpp"

#include <fmt/format.h>
#include <sys/wait.h>
#include <time.h>

#include <algorithm>
#include <cerrno>

#include "shm/os.hpp"

namespace rl::selftest {
namespace {

volatile sig_atomic_t noted_signal = 0;

void note(int number) noexcept {
  noted_signal = number;
}

}  // namespace

NotedSignals::NotedSignals() {
  noted_signal = 0;
  for (std::size_t i = 0; i < std::size(kSignals); ++i) {
    struct sigaction action {};
    action.sa_handler = note;
    (void)::sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) (void)::sigaction(kSignals[i], &action, nullptr);
  }
}

NotedSignals::~NotedSignals() {
  for (std::size_t i = 0; i < std::size(kSignals); ++i)
    (void)::sigaction(kSignals[i], &before_[i], nullptr);
}

void NotedSignals::look() {
  if (const int number = noted_signal; number != 0) throw Interrupted{number};
}

std::string scratch_name() {
  static int count = 0;
  return fmt::format("selftest-{}-{}", ::getpid(), count++);
}

ScratchSegment::ScratchSegment(const SegmentOptions& options)
    : name_(scratch_name()), owner_(::getpid()), segment_(Segment::create(name_, options)) {}

ScratchSegment::~ScratchSegment() {
  if (::getpid() != owner_) return;
  try {
    (void)Segment::remove(name_);
  } catch (const std::exception& e) {
    shm::log(Severity::warning, e.what());
  }
}

Process::Process(const std::function<void()>& body) : pid_(-1) {
  const pid_t parent = ::getpid();
  pid_ = ::fork();
  if (pid_ < 0) throw shm::os_error("starting a process", errno);
  if (pid_ != 0) return;
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // it died before it could be said
  for (const int number : NotedSignals::kSignals) (void)::signal(number, SIG_IGN);
  try {
    body();
  } catch (const std::exception& e) {
    shm::log(Severity::warning, e.what());
    ::_exit(1);
  }
  ::_exit(0);
}

Process::~Process() {
  (void)kill();
}

bool Process::kill() noexcept {
  if (pid_ <= 0) return false;
  (void)::kill(pid_, SIGKILL);
  int status = 0;
  pid_t got;
  do {
    got = ::waitpid(pid_, &status, 0);
  } while (got < 0 && errno == EINTR);
  pid_ = -1;
  return got > 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

std::optional<int> Process::ended() noexcept {
  int status = 0;
  if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return std::nullopt;
  pid_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Nanoseconds ActiveTime::now() noexcept {
  const auto now = std::chrono::steady_clock::now();
  active_ += std::min<Nanoseconds>(now - last_, std::chrono::milliseconds(50));
  last_ = now;
  return active_;
}

std::vector<std::string> wait_for_all(std::vector<Process>& processes, Nanoseconds patience) {
  std::vector<std::string> faults;
  ActiveTime time;
  while (!processes.empty() && time.now() < patience) {
    NotedSignals::look();
    std::erase_if(processes, [&](Process& process) {
      const pid_t pid = process.pid();
      const std::optional<int> code = process.ended();
      if (code && *code != 0) faults.push_back(fmt::format("process {} ended with {}", pid, *code));
      return code.has_value();
    });
    if (!processes.empty()) pause_us(200);
  }
  for (Process& process : processes) {
    faults.push_back(fmt::format("process {} did not end", process.pid()));
    (void)process.kill();
  }
  processes.clear();
  return faults;
}

void pause_us(std::uint64_t us) noexcept {
  const timespec length{static_cast<time_t>(us / 1'000'000),
                        static_cast<long>(us % 1'000'000 * 1'000)};
  (void)::nanosleep(&length, nullptr);
}

void pause_until(std::chrono::steady_clock::time_point instant) {
  while (std::chrono::steady_clock::now() < instant) {
    NotedSignals::look();
    pause_us(500);
  }
}

}  // namespace rl::selftest
