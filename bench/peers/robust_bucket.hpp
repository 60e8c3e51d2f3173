/// \file
/// The second peer: one bucket in shared memory behind the POSIX mutex that survives its holders.
#pragma once

#include <pthread.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <stdexcept>

#include "bench/scratch.hpp"

namespace rl::bench {

/// A token bucket with no key: what the lock alone costs. Where a holder dies the next one is told,
/// but whoever is stopped with the lock in its hand stops all others as long.
class RobustBucket {
 public:
  static constexpr const char* kName = "robust mutex, one bucket";

  /// Errors: std::runtime_error.
  RobustBucket() : shared_(1) {
    pthread_mutexattr_t attributes;
    const bool made = ::pthread_mutexattr_init(&attributes) == 0 &&
                      ::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                      ::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
                      ::pthread_mutex_init(&shared_[0].mutex, &attributes) == 0;
    if (!made) throw std::runtime_error("a robust mutex cannot be made");
    ::pthread_mutexattr_destroy(&attributes);
  }

  /// Charges one token of `interval_ns` if the debt stays within `tolerance_ns`.
  bool try_acquire(std::uint64_t now_ns, std::uint64_t interval_ns,
                   std::uint64_t tolerance_ns) const noexcept {
    Shared& shared = shared_[0];
    if (::pthread_mutex_lock(&shared.mutex) == EOWNERDEAD)
      ::pthread_mutex_consistent(&shared.mutex);
    const std::uint64_t after = std::max(shared.tat_ns, now_ns) + interval_ns;
    const bool allowed = after - now_ns <= tolerance_ns;
    if (allowed) shared.tat_ns = after;
    ::pthread_mutex_unlock(&shared.mutex);
    return allowed;
  }

 private:
  struct alignas(64) Shared {
    pthread_mutex_t mutex;
    std::uint64_t tat_ns;
  };
  SharedArray<Shared> shared_;
};

}  // namespace rl::bench
