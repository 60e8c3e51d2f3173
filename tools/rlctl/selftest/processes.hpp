/// \file
/// What a self-test runs in: processes, segments and memory of its own, which end with it.
///
/// The children die with their parent (PR_SET_PDEATHSIG), are ended by pid, and leave the signals
/// of a terminal to it. The parent only notes such a signal; the next look at it unwinds the run,
/// which ends the children and removes the segments. What a SIGKILL leaves behind is recognised by
/// its name, selftest-PID-N.
#pragma once

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <exception>
#include <functional>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rl/rl.hpp>

namespace rl::selftest {

using Nanoseconds = std::chrono::nanoseconds;
using Word = std::atomic<std::uint64_t>;

/// Adds to a number that only this process writes and others read: nothing is ordered by it.
inline void bump(Word& word, std::uint64_t by = 1) noexcept {
  word.store(word.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}
inline void raise_to(Word& word, std::uint64_t value) noexcept {
  if (value > word.load(std::memory_order_relaxed)) word.store(value, std::memory_order_relaxed);
}

/// A signal asked the run to end.
struct Interrupted {
  int signal;
};

/// While one of these lives, the signals that end a program by hand are noted instead; those that
/// were ignored stay so.
class NotedSignals {
 public:
  NotedSignals();
  NotedSignals(const NotedSignals&) = delete;
  NotedSignals& operator=(const NotedSignals&) = delete;
  ~NotedSignals();

  /// Throws Interrupted once a signal came.
  static void look();
  static constexpr int kSignals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

 private:
  struct sigaction before_[std::size(kSignals)];
};

/// A segment of the run's own, removed with the handle by the process that made it.
class ScratchSegment {
 public:
  explicit ScratchSegment(const SegmentOptions& options);
  ScratchSegment(const ScratchSegment&) = delete;
  ScratchSegment& operator=(const ScratchSegment&) = delete;
  ~ScratchSegment();
  Segment& operator*() noexcept { return segment_; }
  Segment* operator->() noexcept { return &segment_; }

 private:
  std::string name_;
  pid_t owner_;
  Segment segment_;
};

/// Returns "selftest-PID-N", which no other call of any process returns.
std::string scratch_name();

/// Memory that this process and its children share; pages that nobody touches cost nothing.
template <class T>
class SharedArray {
 public:
  explicit SharedArray(std::size_t count) : bytes_(count * sizeof(T)) {
    void* const at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    items_ = static_cast<T*>(at);  // all zeros, which is what every T here begins as
  }
  SharedArray(const SharedArray&) = delete;
  SharedArray& operator=(const SharedArray&) = delete;
  ~SharedArray() { ::munmap(items_, bytes_); }
  T& operator[](std::size_t i) const noexcept { return items_[i]; }

 private:
  std::size_t bytes_;
  T* items_;
};

/// A forked child that runs `body` and ends with exit code 0, or 1 when it throws; killed and
/// waited for at the end of the scope.
class Process {
 public:
  explicit Process(const std::function<void()>& body);
  Process(Process&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Process& operator=(Process&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void stop() const noexcept { (void)::kill(pid_, SIGSTOP); }
  void resume() const noexcept { (void)::kill(pid_, SIGCONT); }
  /// Ends it with SIGKILL and waits for its end. Returns false if it had ended before.
  bool kill() noexcept;
  /// Returns the exit code, or 128 + the signal, once it has ended; never waits.
  std::optional<int> ended() noexcept;

 private:
  pid_t pid_;
};

/// Time as far as this process ran: a step counts 50 ms at most. So a deadline means what it says
/// on a machine that was suspended, or that gave all of us no CPU for a while. Call now() often.
class ActiveTime {
 public:
  Nanoseconds now() noexcept;

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
  Nanoseconds active_{0};
};

/// After so long without a sign of life, which comes a million times a second, a process counts as
/// stuck.
inline constexpr Nanoseconds kPatience = std::chrono::seconds(10);

/// Waits until all have ended, and describes those that failed. Those that take longer than
/// `patience` are killed and described, too. Throws Interrupted.
std::vector<std::string> wait_for_all(std::vector<Process>& processes, Nanoseconds patience);

/// Lets `us` microseconds pass, for the rhythm; nothing is synchronised by it.
void pause_us(std::uint64_t us) noexcept;

/// The same until an instant. Throws Interrupted.
void pause_until(std::chrono::steady_clock::time_point instant);

}  // namespace rl::selftest
