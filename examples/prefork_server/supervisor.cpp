#include "examples/prefork_server/supervisor.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <exception>
#include <optional>
#include <vector>

#include "examples/prefork_server/say.hpp"
#include "examples/prefork_server/worker.hpp"

namespace examples {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kPauseMin{100};
constexpr milliseconds kPauseMax{5'000};
constexpr milliseconds kHealthyTime{1'000};
/// What a worker may need beyond its own stop time before it is killed.
constexpr milliseconds kStopSlack{500};

/// A place for one worker after the other.
struct Place {
  pid_t pid = -1;
  Clock::time_point started;
  Clock::time_point start_at;  ///< not before this, while there is no worker
  milliseconds pause{0};
};

/// Runs in the new process. Never returns.
[[noreturn]] void become_worker(pid_t parent, const std::function<void()>& work) {
  int code = 0;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(0);  // the parent died before prctl
  ::signal(SIGINT, SIG_IGN);              // Ctrl-C reaches all of us; the parent tells us when
  try {
    work();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "worker %d: %s\n", static_cast<int>(::getpid()), e.what());
    code = 1;
  }
  ::_exit(code);
}

class Supervisor {
 public:
  Supervisor(unsigned workers, const std::function<void()>& work) : work_(work), places_(workers) {
    ::signal(SIGPIPE, SIG_IGN);
    ::sigemptyset(&signals_);
    for (const int number : {SIGTERM, SIGINT, SIGCHLD}) ::sigaddset(&signals_, number);
    ::sigprocmask(SIG_BLOCK, &signals_, nullptr);
  }

  void start_due() {
    for (Place& place : places_) {
      if (place.pid < 0 && Clock::now() >= place.start_at) start(place);
    }
  }

  void run() {
    for (;;) {
      const int signal = wait(next_start());
      if (signal == SIGTERM || signal == SIGINT) break;
      reap();
      start_due();
    }
    stop();
  }

 private:
  void start(Place& place) {
    const pid_t parent = ::getpid();
    place.started = Clock::now();
    place.pid = ::fork();
    if (place.pid == 0) become_worker(parent, work_);
    if (place.pid < 0) {
      std::perror("prefork_server: fork");
      return back_off(place);
    }
    say(fmt::format("worker {} started", place.pid));
  }

  /// Says when the place is filled again: at once after a healthy life, later after a short one.
  static void back_off(Place& place) {
    const bool healthy = place.pid > 0 && Clock::now() - place.started >= kHealthyTime;
    place.pause = healthy ? milliseconds(0) : std::clamp(place.pause * 2, kPauseMin, kPauseMax);
    place.pid = -1;
    place.start_at = Clock::now() + place.pause;
  }

  void reap() {
    int status = 0;
    for (;;) {  // ends: each turn buries a child
      const pid_t pid = ::waitpid(-1, &status, WNOHANG);
      if (pid <= 0) return;
      const auto place = std::find_if(places_.begin(), places_.end(),
                                      [&](const Place& p) { return p.pid == pid; });
      if (place == places_.end()) continue;
      say(WIFSIGNALED(status)
              ? fmt::format("worker {} was killed by signal {}", pid, WTERMSIG(status))
              : fmt::format("worker {} ended with {}", pid, WEXITSTATUS(status)));
      back_off(*place);
    }
  }

  [[nodiscard]] std::optional<Clock::time_point> next_start() const {
    std::optional<Clock::time_point> next;
    for (const Place& place : places_) {
      if (place.pid < 0 && (!next || place.start_at < *next)) next = place.start_at;
    }
    return next;
  }

  /// Waits for a signal, at most until `until`. Returns its number, or -1.
  [[nodiscard]] int wait(std::optional<Clock::time_point> until) const {
    if (!until) return ::sigwaitinfo(&signals_, nullptr);
    const auto left = std::max(*until - Clock::now(), Clock::duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
    const timespec time{seconds.count(), static_cast<long>((left - seconds).count())};
    return ::sigtimedwait(&signals_, nullptr, &time);
  }

  [[nodiscard]] bool any_left() const {
    return std::any_of(places_.begin(), places_.end(), [](const Place& p) { return p.pid > 0; });
  }

  void signal_all(int number) const {
    for (const Place& place : places_) {
      if (place.pid > 0) ::kill(place.pid, number);
    }
  }

  void stop() {
    signal_all(SIGTERM);
    const auto deadline = Clock::now() + kStopTime + kStopSlack;
    for (reap(); any_left() && Clock::now() < deadline; reap()) (void)wait(deadline);
    signal_all(SIGKILL);
    while (::waitpid(-1, nullptr, 0) > 0 || errno == EINTR) {  // ends: all were killed
    }
  }

  const std::function<void()>& work_;
  std::vector<Place> places_;
  sigset_t signals_;
};

}  // namespace

void supervise(unsigned workers, const std::function<void()>& work,
               const std::function<void()>& started) {
  Supervisor supervisor(workers, work);
  supervisor.start_due();
  started();
  supervisor.run();
}

}  // namespace examples
