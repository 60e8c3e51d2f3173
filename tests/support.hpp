/// \file
/// What tests share: scratch segments that are removed whatever happens, child processes that are
/// waited for, and commands with their output.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rl/rl.hpp>

/// Whether a sanitizer is compiled in. It has an allocator of its own, makes system calls of its
/// own, and makes everything some ten times slower.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define RL_TEST_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define RL_TEST_SANITIZED 1
#endif
#endif
#ifndef RL_TEST_SANITIZED
#define RL_TEST_SANITIZED 0
#endif

namespace rl::test {

inline constexpr bool kSanitized = RL_TEST_SANITIZED != 0;

/// Whether RL_DEEP asks for the long tests: it is set, and neither empty nor 0.
inline bool is_deep() {
  const char* const text = std::getenv("RL_DEEP");
  return text != nullptr && std::string_view(text) != "" && std::string_view(text) != "0";
}

/// Says that the test case tries nothing more, and why; the caller returns. tools/count-tests
/// counts the case as skipped, and with RL_NO_SKIPS=1 as failed unless the reason is a sanitizer:
/// then the word stands in `why`.
void skip(std::string_view why);

/// Returns a name that no other test process has, for a segment or a file. All names of tests begin
/// with it, after "rl." or "rl-" or nothing: tools/setup.sh removes leftovers by it.
inline std::string unique_name() {
  static std::atomic<int> count{0};
  return "test-" + std::to_string(::getpid()) + "-" + std::to_string(count.fetch_add(1));
}

/// A segment of the test's own, removed at the end of the scope of the process that made it.
class Scratch {
 public:
  explicit Scratch(const SegmentOptions& options = {.keys = 1'000})
      : name_(unique_name()), owner_(::getpid()), segment_(Segment::create(name_, options)) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() {
    if (::getpid() == owner_) Segment::remove(name_);
  }
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] std::string path() const { return segment_.path(); }
  Segment& operator*() noexcept { return segment_; }
  Segment* operator->() noexcept { return &segment_; }

 private:
  std::string name_;
  pid_t owner_;
  Segment segment_;
};

/// Removes a name at the end of the scope: for segments that the test's commands create.
class RemoveAtEnd {
 public:
  explicit RemoveAtEnd(std::string name) : name_(std::move(name)) {}
  RemoveAtEnd(const RemoveAtEnd&) = delete;
  RemoveAtEnd& operator=(const RemoveAtEnd&) = delete;
  ~RemoveAtEnd() {
    try {
      Segment::remove(name_);
    } catch (...) {
    }
  }

 private:
  std::string name_;
};

/// A forked process that runs `body` and exits with 0, or with 1 when it throws. Killed and waited
/// for at the end of the scope if it is still there.
class Child {
 public:
  template <class Body>
  explicit Child(Body&& body) : pid_(::fork()) {
    if (pid_ != 0) return;
    try {
      std::forward<Body>(body)();
      ::_exit(0);
    } catch (...) {
      ::_exit(1);
    }
  }
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  Child& operator=(Child&& other) noexcept {
    std::swap(pid_, other.pid_);
    return *this;
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    (void)wait();
  }
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  void signal(int number) const noexcept { ::kill(pid_, number); }
  /// Returns the exit code, or 128 + the signal.
  int wait() noexcept {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_;
};

/// Numbers that several processes add to: a small anonymous shared mapping.
template <class T>
class Shared {
 public:
  explicit Shared(std::size_t count = 1);
  ~Shared();
  Shared(const Shared&) = delete;
  Shared& operator=(const Shared&) = delete;
  T& operator[](std::size_t i) noexcept { return items_[i]; }

 private:
  T* items_;
  std::size_t bytes_;
};

/// Lets all children begin at the same instant.
class StartingGun {
 public:
  void fire() { go_[0].store(true); }
  void wait() {
    while (!go_[0].load()) ::sched_yield();
  }

 private:
  Shared<std::atomic<bool>> go_;
};

/// How a command ended and what it wrote.
struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};

/// Takes this process, which has one thread, into namespaces of its own of these kinds
/// (CLONE_NEWNS, CLONE_NEWTIME): who has no right to that gets it in a user namespace, where users
/// may make one.
bool enter_namespaces(int kinds);
/// Leaves the mounts of everybody else alone from here on: what is mounted ends with this process.
bool leave_mounts_alone();

/// Runs a program with its arguments and, if given, its standard input; killed after 60 s.
Ran run(const std::vector<std::string>& arguments, std::string_view input = {});

/// Returns all bytes of a file as it is now, in few reads; of one that cannot be read, none.
std::string contents(const std::string& path);

/// Returns the seed of this run's random tests: RL_TEST_SEED, or a fresh one. It is printed once,
/// at the first call.
std::uint64_t seed();

}  // namespace rl::test

#include <sys/mman.h>

#include <new>

namespace rl::test {

template <class T>
Shared<T>::Shared(std::size_t count) : bytes_(count * sizeof(T)) {
  void* at = ::mmap(nullptr, bytes_, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  items_ = new (at) T[count]();
}

template <class T>
Shared<T>::~Shared() {
  ::munmap(items_, bytes_);
}

}  // namespace rl::test
