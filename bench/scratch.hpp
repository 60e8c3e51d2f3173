/// \file
/// What a benchmark leaves on the machine while it runs, and how it goes away whatever happens:
/// names in /dev/shm and child processes.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <type_traits>
#include <vector>

#include <rl/rl.hpp>

namespace rl::bench {

/// Makes SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE and SIGABRT remove the names and kill the children
/// below before they end the process. RAII does it in all other cases but SIGKILL, for which there is
/// bench/last_will.hpp. Call it first in main.
void clean_up_on_signals();

/// Returns a name that no other process has: bench-PID-COUNT.
std::string unique_name();
/// Returns how all these names begin in this process.
std::string unique_prefix();

/// Removes a file at the end of the scope, or on a signal.
class RemovedFile {
 public:
  /// Errors: std::length_error for a path that the signal handler has no room for.
  explicit RemovedFile(const std::string& path);
  RemovedFile(const RemovedFile&) = delete;
  RemovedFile& operator=(const RemovedFile&) = delete;
  ~RemovedFile();

 private:
  std::size_t entry_;
};

/// A segment of this run's own.
class Scratch {
 public:
  /// Errors: Error as Segment::create.
  explicit Scratch(const SegmentOptions& options);
  Segment& operator*() noexcept { return segment_; }
  Segment* operator->() noexcept { return &segment_; }

 private:
  std::string name_;
  RemovedFile file_;  // before the segment: the name is removed even if creating it fails half-way
  Segment segment_;
};

/// Maps zeroed memory that forked children share, of the kind that segments are made of: in huge pages
/// where they are to be had. Errors: std::bad_alloc.
void* map_shared(std::size_t bytes);

/// Such memory, as an array.
template <class T>
class SharedArray {
  static_assert(std::is_trivially_destructible_v<T>);

 public:
  explicit SharedArray(std::size_t count) : count_(count) {
    items_ = static_cast<T*>(map_shared(count * sizeof(T)));
    std::uninitialized_value_construct_n(items_, count);  // touches every page
  }
  SharedArray(SharedArray&& other) noexcept : items_(other.items_), count_(other.count_) {
    other.items_ = nullptr;
  }
  SharedArray& operator=(SharedArray&&) = delete;
  ~SharedArray() {
    if (items_ != nullptr) ::munmap(items_, count_ * sizeof(T));
  }
  [[nodiscard]] T& operator[](std::size_t i) const noexcept { return items_[i]; }
  [[nodiscard]] std::size_t size() const noexcept { return count_; }

 private:
  T* items_;
  std::size_t count_;
};

/// Forked children that are killed, by pid, and waited for at the end of the scope.
class Children {
 public:
  Children() = default;
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;
  ~Children();

  /// Forks a child that runs `body` and ends with code 0, or 1 if it throws. It dies with us. Returns
  /// its process id.
  template <class Body>
  pid_t fork(Body&& body) {
    const pid_t pid = begin_child();
    if (pid == 0) {
      try {
        body();
        end_child(0);
      } catch (...) {
        end_child(1);
      }
    }
    return pid;
  }
  /// Waits for all of them. Errors: std::runtime_error if one did not end with code 0.
  void wait_for_all();

 private:
  [[nodiscard]] pid_t begin_child();  ///< 0 in the child
  [[noreturn]] static void end_child(int code) noexcept;

  std::vector<std::size_t> entries_;
};

}  // namespace rl::bench
