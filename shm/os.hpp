/// \file
/// The few things asked of the kernel, with errors that say what failed.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include <rl/error.hpp>

namespace rl::shm {

/// Owns a file descriptor.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd();
  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  int release() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_ = -1;
};

/// Errors: Error (unsupported) on a CPU without a 16-byte compare-and-swap, where the first
/// decision would end in an illegal instruction.
void require_wide_compare_and_swap();

/// Opens a file, again after a signal. Returns an empty Fd and leaves errno on failure.
Fd open_file(const char* path, int flags, unsigned mode = 0) noexcept;

/// Reserves memory for a part of a file, again after a signal. Returns an errno value.
int reserve_part(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept;

/// Returns "text (errno name)" for an errno value.
std::string errno_text(int error);

/// Returns an Error (permission, not_found, no_space or system) for a failed system call.
Error os_error(std::string_view what, int error);

/// Returns the size that files may have which this process writes (RLIMIT_FSIZE). Beyond it the
/// kernel does not only refuse: it sends SIGXFSZ, which ends a process that never heard of us.
std::uint64_t file_size_limit() noexcept;

/// Says a line through the callback of set_log.
void log(Severity severity, std::string_view line) noexcept;

/// 16 random bytes of the kernel. Errors: Error (system).
struct Random128 {
  std::uint64_t low;
  std::uint64_t high;
};
Random128 random_bits();

/// The identity of the running kernel; zeros when /proc does not tell.
struct BootId {
  std::uint64_t words[2];
};
BootId boot_id() noexcept;

/// The inode of this process's time namespace; 0 when /proc does not tell.
std::uint64_t time_namespace() noexcept;

/// Tells a process from its forked children: returns a number that is this process's alone.
/// Progress: one load after the first call in a process.
std::uint64_t process_token() noexcept;

}  // namespace rl::shm
