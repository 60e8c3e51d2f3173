#include "src/first_denials.hpp"

#include <time.h>

namespace rl {

bool FirstDenials::may_be_told() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);  // to within some milliseconds, and fast
  const auto second = static_cast<std::uint64_t>(now.tv_sec);
  // relaxed, all: rivals at the turn of a second may tell some more, and no harm is done.
  if (second_.load(std::memory_order_relaxed) != second) {
    second_.store(second, std::memory_order_relaxed);
    told_.store(0, std::memory_order_relaxed);
  }
  return told_.load(std::memory_order_relaxed) < kMost &&
         told_.fetch_add(1, std::memory_order_relaxed) < kMost;
}

}  // namespace rl
