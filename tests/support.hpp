/// \file
/// What tests share: scratch segments that are removed whatever happens, child processes that are
/// waited for, and commands with their output.
#pragma once

#include <fcntl.h>
#include <poll.h>
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

/// Whether a sanitizer is compiled in. It has an allocator of its own, makes system calls of its own,
/// and makes everything some ten times slower.
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

/// Returns a segment name that no other test process has: tools/test removes leftovers by its
/// prefix.
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

/// How a command ended and what it wrote.
struct Ran {
  int exit_code = -1;
  std::string out;
  std::string err;
};

/// Runs a program with its arguments and, if given, its standard input; killed after 60 s.
Ran run(const std::vector<std::string>& arguments, std::string_view input = {});

/// Returns the seed of this run's random tests: RL_TEST_SEED, or a fresh one. Print it with INFO.
inline std::uint64_t seed() {
  static const std::uint64_t value = [] {
    if (const char* text = std::getenv("RL_TEST_SEED")) return std::strtoull(text, nullptr, 0);
    return static_cast<unsigned long long>(::getpid()) * 0x9e37'79b9'7f4a'7c15U;
  }();
  return value;
}

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
