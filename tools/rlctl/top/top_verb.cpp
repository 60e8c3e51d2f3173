// `rlctl top`: looks, draws, and waits for keys, signals and the next look.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "shm/os.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/live_output.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlctl/signal_fd.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/top/looker.hpp"
#include "tools/rlctl/top/plain.hpp"
#include "tools/rlctl/top/screen.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

using namespace std::chrono_literals;
using namespace live;
using std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;

/// A look takes no more than this share of a CPU, however large the table is.
constexpr double kShare = 0.1;
/// How many keys are held, unless it is said: enough to turn some pages; and a table that is read.
constexpr std::size_t kRowsLive = 1'000;
constexpr std::size_t kRowsPlain = 20;
constexpr std::uint64_t kRowsMax = 1'000'000;
/// How soon it looks again for a wish that changed.
constexpr auto kSoon = 100ms;

Wish wish_of(const Arguments& arguments, std::size_t rows) {
  Wish wish;
  wish.rows = arguments.count(Arg::rows, rows, kRowsMax);
  wish.sort = choice<Sort>(arguments, Arg::live_sort, Sort::denied,
                           {{"denied", Sort::denied},
                            {"allowed", Sort::allowed},
                            {"remaining", Sort::remaining},
                            {"key", Sort::key}});
  wish.pattern = Pattern::glob(arguments.text(Arg::match));
  wish.policy = arguments.text(Arg::only_policy);
  return wish;
}

nanoseconds interval_of(const Arguments& arguments) {
  if (!arguments.has(Arg::interval)) return 1s;
  const nanoseconds interval =
      parse_duration(spelling(Arg::interval), arguments.text(Arg::interval));
  if (interval < 1ms || interval > 1h) {
    throw Error(Errc::bad_option, fmt::format("--interval {}: give at least 1ms and at most 1h",
                                              arguments.text(Arg::interval)));
  }
  return interval;
}

/// Says when to look next: as asked, but never more than a share of a CPU.
class Rhythm {
 public:
  explicit Rhythm(nanoseconds asked) : asked_(asked) {}

  Look look(Looker& looker, const Wish& wish) {
    begun_ = Clock::now();
    const nanoseconds before = cpu_time();
    Look look = looker.look(wish);
    took_ = cpu_time() - before;
    return look;
  }
  [[nodiscard]] nanoseconds until_next(bool is_due) const {
    const nanoseconds apart =
        std::max(is_due ? std::min<nanoseconds>(kSoon, asked_) : asked_, least());
    return std::max<nanoseconds>(begun_ + apart - Clock::now(), 0ns);
  }
  [[nodiscard]] Pace pace() const {
    const auto seconds = [](nanoseconds ns) { return std::chrono::duration<double>(ns).count(); };
    return {seconds(asked_), seconds(std::max(asked_, least())), seconds(took_) * 1e3};
  }

 private:
  [[nodiscard]] nanoseconds least() const {
    return nanoseconds(std::llround(static_cast<double>(took_.count()) / kShare));
  }
  static nanoseconds cpu_time() {
    timespec now{};
    (void)::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + nanoseconds(now.tv_nsec);
  }

  nanoseconds asked_;
  nanoseconds took_{0};
  Clock::time_point begun_{};
};

/// The signals that a screen has to know of come one by one, between two drawings.
class ScreenSignals {
 public:
  [[nodiscard]] int fd() const noexcept { return fd_.get(); }
  /// Returns a signal that has come; 0: none.
  [[nodiscard]] int next() const {
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo)
                                                                : 0;
  }
  /// Stops this process as the shell expects it, until it is continued.
  static void stop() {
    sigset_t one;
    ::sigemptyset(&one);
    ::sigaddset(&one, SIGTSTP);
    (void)::signal(SIGTSTP, SIG_DFL);
    (void)::raise(SIGTSTP);
    ::sigprocmask(SIG_UNBLOCK, &one, nullptr);  // here it stops
    ::sigprocmask(SIG_BLOCK, &one, nullptr);
  }

 private:
  shm::Fd fd_ = signals_to_read({SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGCONT, SIGWINCH});
};

/// The loop on a terminal.
class Live {
 public:
  Live(Looker& looker, const Arguments& arguments)
      : looker_(looker), model_(wish_of(arguments, kRowsLive)), rhythm_(interval_of(arguments)) {}

  void run() {
    model_.take(rhythm_.look(looker_, model_.wish()));
    Screen screen;
    while (!model_.is_over()) {
      screen.draw(page_of(model_, rhythm_.pace(), Screen::size()));
      wait_and_read(screen);
      if (!model_.is_over() && rhythm_.until_next(model_.is_due()) == 0ns)
        model_.take(rhythm_.look(looker_, model_.wish()));
      if (is_over_) return;
    }
  }

 private:
  void wait_and_read(Screen& screen) {
    const nanoseconds left = rhythm_.until_next(model_.is_due());
    std::array<pollfd, 2> fds{{{STDIN_FILENO, POLLIN, 0}, {signals_.fd(), POLLIN, 0}}};
    const auto time_ms = std::chrono::ceil<std::chrono::milliseconds>(left).count();
    (void)::poll(fds.data(), fds.size(), static_cast<int>(time_ms));
    while (const int signal = signals_.next()) obey(signal, screen);
    bool has_read = false;
    while (const auto input = screen.key()) {
      has_read = true;
      model_.press(*input);
    }
    // A terminal that went away is readable for ever, and gives nothing.
    const bool is_gone = (fds[0].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
    if (is_gone && !has_read) is_over_ = true;
  }

  void obey(int signal, Screen& screen) {
    switch (signal) {
      case SIGWINCH:
        return screen.resize();
      case SIGCONT:
        return screen.come_back();
      case SIGTSTP:
        screen.leave();
        ScreenSignals::stop();
        return screen.come_back();
      default:
        is_over_ = true;
    }
  }

  Looker& looker_;
  Model model_;
  Rhythm rhythm_;
  ScreenSignals signals_;
  bool is_over_ = false;
};

/// So many looks, each with what was counted since the one before. A signal ends it between two, or
/// while the reader takes nothing.
int print_looks(Looker& looker, const Arguments& arguments) {
  const Wish wish = wish_of(arguments, kRowsPlain);
  Rhythm rhythm(interval_of(arguments));
  const std::uint64_t looks = arguments.count(Arg::looks, 1);
  (void)rhythm.look(looker, wish);
  const bool json = arguments.has(Arg::json);
  LiveOutput out;
  for (std::uint64_t i = 0; i < looks; ++i) {
    while (rhythm.until_next(false) > 0ns) {  // ends: time goes by
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(rhythm.until_next(false));
      if (!out.wait(left)) return 0;
    }
    if (!out.write(text_of_look(rhythm.look(looker, wish), wish, json))) return 0;
  }
  return 0;
}

/// A policy that is not there would show nothing for ever.
void check_policy(const Arguments& arguments) {
  if (!arguments.has(Arg::only_policy)) return;
  Segment segment = open_to_read(arguments);
  (void)segment.limiter(arguments.text(Arg::only_policy));  // throws
}

}  // namespace

int top(const Arguments& arguments) {
  (void)interval_of(arguments);
  (void)wish_of(arguments, kRowsPlain);
  if (arguments.has(Arg::looks) && arguments.count(Arg::looks, 1) == 0)
    throw Error(Errc::bad_option, "--looks 0: shows nothing; give at least 1");
  check_policy(arguments);
  Looker looker(arguments.text(Arg::segment), arguments.has(Arg::any_owner));
  const bool is_plain =
      arguments.has(Arg::json) || arguments.has(Arg::looks) || !Screen::is_there();
  // What the library would say of a segment that goes away is told on the page.
  rl::set_log([](Severity, std::string_view, void*) noexcept {});
  if (is_plain) return print_looks(looker, arguments);
  Live(looker, arguments).run();
  return 0;
}

}  // namespace rl::ctl
