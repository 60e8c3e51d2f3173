#include "bench/stopped.hpp"

#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <random>
#include <stdexcept>
#include <thread>

#include "bench/loops.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"

namespace rl::bench {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

/// What the parent and one child tell each other. Each line has one writer.
struct alignas(64) Told {
  std::atomic<std::uint64_t> steps;  ///< by one of the others: decisions so far
};
struct alignas(64) Orders {
  std::atomic<bool> calls;  ///< to who is stopped: make calls, or wait for it
};
struct alignas(64) Whereabouts {
  std::atomic<pid_t> pid;
  std::atomic<bool> is_inside;       ///< of a call
  std::atomic<std::uint64_t> calls;  ///< that have ended
};

/// Calls on the one key that all ask.
struct OneKey {
  static constexpr const char* kName = "one key, somebody stopped";
  Limiter limiter;
  void operator()() { (void)limiter.try_acquire(KeyText(0).view()); }
};

/// The same key, that is forgotten again and again, so that who is stopped may have been inserting it.
struct KeyMadeAnew {
  static constexpr const char* kName = "a key made anew, the same";
  Limiter limiter;
  unsigned calls = 0;
  void operator()() {
    if (++calls % 16 == 0) (void)limiter.reset(KeyText(0).view());
    (void)limiter.try_acquire(KeyText(0).view());
  }
};

/// Processes that ask as fast as they can, and one that asks and is stopped. They end with this.
class Stage {
 public:
  template <class Step>
  Stage(Step step, unsigned others) : told_(others) {
    for (unsigned i = 0; i < others; ++i) {
      children_.fork([&, mine = step]() mutable {
        for (std::uint64_t steps = 0;; told_[i].steps.store(steps, std::memory_order_relaxed)) {
          for (int k = 0; k < 32; ++k) mine();
          steps += 32;
        }
      });
    }
    children_.fork([&, mine = step]() mutable { be_stopped(mine); });
    while (pid() == 0) std::this_thread::sleep_for(1ms);
  }

  /// Stops it at an instant of chance, inside of another call than before or outside of any, and
  /// returns how many million decisions a second the others made then.
  double run(bool inside, std::chrono::microseconds length) {
    const std::uint64_t calls = ended_calls();
    orders_[0].calls.store(inside, std::memory_order_relaxed);  // nothing hangs on it but the word
    do {
      send(SIGCONT);
      std::this_thread::sleep_for(std::chrono::microseconds(200 + random_() % 2'000));
      send(SIGSTOP);
      wait_until_stopped();
    } while (where_[0].is_inside.load(std::memory_order_acquire) != inside ||
             (inside && ended_calls() == calls));
    const auto begin = steady_clock::now();
    const std::uint64_t before = steps();
    std::this_thread::sleep_for(length);
    const std::uint64_t after = steps();
    const std::chrono::duration<double> took = steady_clock::now() - begin;
    return static_cast<double>(after - before) / took.count() / 1e6;
  }

 private:
  /// What it writes is in the order in which it does so: release, and the compiler knows nothing of
  /// the call in between. Who sees it stopped, sees where.
  template <class Step>
  void be_stopped(Step& step) {
    where_[0].pid.store(::getpid(), std::memory_order_release);
    for (std::uint64_t calls = 0;;) {
      if (!orders_[0].calls.load(std::memory_order_relaxed)) {
        ::sched_yield();
        continue;
      }
      where_[0].is_inside.store(true, std::memory_order_release);
      step();
      where_[0].is_inside.store(false, std::memory_order_release);
      where_[0].calls.store(++calls, std::memory_order_release);
    }
  }
  [[nodiscard]] std::uint64_t ended_calls() const noexcept {
    return where_[0].calls.load(std::memory_order_acquire);  // pairs with be_stopped
  }
  [[nodiscard]] pid_t pid() const noexcept {
    return where_[0].pid.load(std::memory_order_acquire);  // pairs with be_stopped
  }
  void send(int number) const {
    if (::kill(pid(), number) != 0) throw std::runtime_error("a child ended early");
  }
  void wait_until_stopped() const {
    int status = 0;
    if (::waitpid(pid(), &status, WUNTRACED) != pid() || !WIFSTOPPED(status))
      throw std::runtime_error("a child cannot be stopped");
  }
  [[nodiscard]] std::uint64_t steps() const noexcept {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < told_.size(); ++i)
      sum += told_[i].steps.load(std::memory_order_relaxed);  // a count, and no more
    return sum;
  }

  SharedArray<Told> told_;
  SharedArray<Orders> orders_{1};
  SharedArray<Whereabouts> where_{1};
  std::minstd_rand random_{std::random_device{}()};
  Children children_;  // the last: they are gone before what they share
};

/// A figure is the mean of so many stops; those inside and outside of a call take turns.
template <class Step>
void add_row(Report& report) {
  const bool is_quick = report.options().quick;
  const unsigned stops = is_quick ? 1 : 10;
  const auto length = is_quick ? 1ms : 10ms;
  Scratch segment(SegmentOptions{});
  Stage stage(Step{segment->limiter("generous", kGenerous)}, std::max(1U, report.machine().cores));
  const std::string row = Step::kName;
  std::vector<Result> results{{row, "inside of a call", {}}, {row, "outside of one", {}}};
  for (unsigned round = 0; round < report.options().turns(); ++round) {
    double sums[2]{};
    for (unsigned i = 0; i < 2 * stops; ++i) sums[i % 2] += stage.run(i % 2 == 0, length);
    for (std::size_t i = 0; i < 2; ++i) results[i].samples.push_back(sums[i] / stops);
  }
  report.add(results, {{"outside of one", at_least(0.95)}});
}

}  // namespace

void add_beside_stopped(Report& report) {
  add_row<OneKey>(report);
  add_row<KeyMadeAnew>(report);
}

}  // namespace rl::bench
