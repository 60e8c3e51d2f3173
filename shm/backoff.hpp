/// \file
/// A pause after a rival was faster.
#pragma once

#include <cstdint>

namespace rl::shm {

/// Grows from one pause to the next, so that of many who want one line most are away from it at any
/// instant, and who has it gets more done before it is taken from him. It waits for nobody: after a
/// stated number of instructions it is over, whatever others do.
class Backoff {
 public:
  /// Pauses for about as long as a line takes to travel between CPUs; then for twice as long, up to
  /// kPausesMax times. (With 2 CPUs the first is enough; kPausesMax of them are about half a microsecond, in
  /// which the line has been with a dozen others.)
  void pause() noexcept {
    for (std::uint32_t i = 0; i < pauses_; ++i) relax();
    if (pauses_ < kPausesMax) pauses_ *= 2;
  }

 private:
  static constexpr std::uint32_t kPausesMax = 16;

  static void relax() noexcept {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    asm volatile("isb" ::: "memory");
#endif
  }

  std::uint32_t pauses_ = 1;
};

}  // namespace rl::shm
