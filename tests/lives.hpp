/// \file
/// Random parameters, states and lives of keys, for tests that every algorithm has to pass.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>

#include "src/fixed_window.hpp"
#include "src/leaky.hpp"
#include "src/sliding_window.hpp"
#include "src/token_bucket.hpp"

namespace rl::test {

using Random = std::mt19937_64;

inline constexpr std::uint64_t kNonces = std::uint64_t{1} << 63;  ///< and above: never a state

/// A number below `most` + 1, of any magnitude.
inline std::uint64_t any_up_to(Random& random, std::uint64_t most) {
  const std::uint64_t word = random() >> random() % 64;
  return most == ~std::uint64_t{0} ? word : word % (most + 1);
}

/// What the parameters of an algorithm can be, up to a length of time, and what lengths matter.
template <class P>
struct Kind;

template <>
struct Kind<TokenBucket> {
  static constexpr std::uint64_t kMax = TokenBucket::kToleranceMax;
  static TokenBucket any(Random& random, std::uint64_t most_ns) {
    const std::uint64_t interval = 1 + any_up_to(random, most_ns - 1);
    const TokenBucket bucket =
        TokenBucket::of(interval, 1 + any_up_to(random, most_ns / interval - 1));
    return random() % 2 == 0 ? bucket : bucket.with_horizon(any_up_to(random, 3 * most_ns));
  }
  static std::uint64_t scale(const TokenBucket& bucket) { return bucket.tolerance_ns; }
};

template <>
struct Kind<LeakyBucket> {
  static constexpr std::uint64_t kMax = LeakyBucket::kToleranceMax;
  static LeakyBucket any(Random& random, std::uint64_t most_ns) {
    const std::uint64_t interval = 1 + any_up_to(random, most_ns - 1);
    const std::uint64_t queue = any_up_to(random, most_ns / interval - 1);
    const LeakyBucket bucket = LeakyBucket::of(interval, queue, any_up_to(random, queue));
    return random() % 2 == 0 ? bucket : bucket.with_horizon(any_up_to(random, 3 * most_ns));
  }
  static std::uint64_t scale(const LeakyBucket& bucket) { return bucket.tolerance_ns; }
};

template <>
struct Kind<FixedWindow> {
  static constexpr std::uint64_t kMax = Windows::kWindowMax;
  static FixedWindow any(Random& random, std::uint64_t most_ns) {
    const std::uint64_t length = 2 + any_up_to(random, most_ns - 2);
    return FixedWindow::of(length, 1 + any_up_to(random, length - 2), random());
  }
  static std::uint64_t scale(const FixedWindow& window) { return window.windows.window_ns; }
};

template <>
struct Kind<SlidingWindow> {
  static constexpr std::uint64_t kMax = Windows::kWindowMax;
  static SlidingWindow any(Random& random, std::uint64_t most_ns) {
    const std::uint64_t length = 4 + any_up_to(random, most_ns - 4);
    const std::uint64_t most = SlidingWindow::limit_max(length);
    return SlidingWindow::of(length, 1 + any_up_to(random, most - 1), random());
  }
  static std::uint64_t scale(const SlidingWindow& window) { return window.windows.window_ns; }
};

/// A word as an attacker, a bad clock or an older life of the key would leave it.
inline std::uint64_t any_state(Random& random, std::uint64_t now, std::uint64_t scale) {
  switch (random() % 4) {
    case 0:
      return random();
    case 1:
      return any_up_to(random, ~std::uint64_t{0});
    case 2:
      return ~any_up_to(random, ~std::uint64_t{0});
    default:
      return now + any_up_to(random, 3 * scale) - any_up_to(random, 3 * scale);
  }
}

/// A key that lives on a clock which may step back by less than the slack.
template <class P>
struct Life {
  Random random;
  P params;
  std::uint64_t scale;
  std::uint64_t now;

  explicit Life(std::uint64_t seed)
      : random(seed),
        params(Kind<P>::any(random, 1'000)),
        scale(Kind<P>::scale(params)),
        now(any_up_to(random, std::uint64_t{1} << 61)) {}

  /// Moves the clock by up to a part of the scale, and once in so often back.
  void step(std::uint64_t part, std::uint64_t back_once_in) {
    const bool is_back = random() % back_once_in == 0;
    const std::uint64_t ns = random() % (scale / part + 2);
    now = is_back ? now - std::min(now, ns) : now + ns;
  }

  std::uint64_t cost() {
    const std::uint64_t most = most_at_once(params);
    return 1 + (random() % 4 == 0 ? random() % most : 0);
  }
};

}  // namespace rl::test
