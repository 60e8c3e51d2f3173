/// \file
/// How many denials that are the first of their key are told as events.
#pragma once

#include <atomic>
#include <cstdint>

namespace rl {

/// Says of how many first denials of keys a process tells: a key that is at its limit all the time
/// has one at every other call. Threads: any.
class FirstDenials {
 public:
  static constexpr std::uint32_t kMost = 1'000;  ///< in a second
  [[nodiscard]] bool may_be_told() noexcept;

 private:
  std::atomic<std::uint64_t> second_{0};
  std::atomic<std::uint32_t> told_{0};
};

}  // namespace rl
