/// \file
/// Ban: no call of a key passes until an instant. Pure functions, no clock, no atomics.
///
///      63 62                                27 26                           4 3      0
///     +--+------------------------------------+------------------------------+--------+
///     |0 |             until (36)             |          owed (23)           | level  |
///     +--+------------------------------------+------------------------------+--------+
///
/// until: a tick (src/ticks.hpp), rounded up; the last one says: for ever. A key that is let
/// through whatever it does has such a word, too: there it is the instant when that began.
///
/// owed: what the key owes besides, in tokens as of `until` (of a ban for ever, as of its
/// beginning), so that its debt comes back with it, whatever its limit is by then. A number of 5
/// bits of exponent and 18 of mantissa, rounded up: too much by less than 0.0004 %, and never too
/// little up to 5.6 x 10^14; what is owed beyond that is forgiven.
///
/// level: how often the key was banned before in a row by its own denials (src/conduct.hpp). For
/// people.
///
/// A word that comes back has the same meaning: it is the whole truth about its key. Whoever finds
/// it when `until` has passed brings the key back to its limit (src/follow.hpp).
#pragma once

#include <bit>

#include "src/ticks.hpp"

namespace rl {

/// No parameters: all is in the word.
struct Ban {};

/// A number of tokens that is rounded up to 23 bits.
struct RoundedTokens {
  std::uint32_t bits = 0;

  static constexpr int kMantissaBits = 18;
  static constexpr std::uint32_t kMask = (1U << 23) - 1;

  static constexpr RoundedTokens up(std::uint64_t tokens) noexcept {
    constexpr std::uint64_t kOne = std::uint64_t{1} << kMantissaBits;
    if (tokens < kOne) return {static_cast<std::uint32_t>(tokens)};
    int shift = static_cast<int>(std::bit_width(tokens)) - kMantissaBits - 1;
    const std::uint64_t low = (std::uint64_t{1} << shift) - 1;
    std::uint64_t mantissa = (tokens >> shift) + ((tokens & low) != 0 ? 1 : 0);
    if (mantissa == 2 * kOne) {
      mantissa = kOne;
      ++shift;
    }
    if (shift > 30) return {kMask};
    return {static_cast<std::uint32_t>(shift + 1) << kMantissaBits |
            static_cast<std::uint32_t>(mantissa - kOne)};
  }
  [[nodiscard]] constexpr std::uint64_t tokens() const noexcept {
    const std::uint64_t mantissa = bits & ((1U << kMantissaBits) - 1);
    const std::uint32_t exponent = (bits & kMask) >> kMantissaBits;
    if (exponent == 0) return mantissa;
    return (mantissa | std::uint64_t{1} << kMantissaBits) << (exponent - 1);
  }
  static constexpr std::uint64_t most() noexcept { return RoundedTokens{kMask}.tokens(); }
};

/// A ban's word, taken apart.
struct BanWord {
  std::uint64_t until = 0;  ///< in ticks
  RoundedTokens owed = {};
  std::uint32_t level = 0;

  static constexpr std::uint32_t kLevelMax = 15;

  static constexpr BanWord of(std::uint64_t state) noexcept {
    return {state >> 27 & kTickForEver,
            {static_cast<std::uint32_t>(state >> 4) & RoundedTokens::kMask},
            static_cast<std::uint32_t>(state) & kLevelMax};
  }
  [[nodiscard]] constexpr std::uint64_t state() const noexcept {
    return until << 27 | std::uint64_t{owed.bits} << 4 | level;
  }
  [[nodiscard]] constexpr bool is_for_ever() const noexcept { return until == kTickForEver; }
  [[nodiscard]] constexpr std::uint64_t until_ns() const noexcept { return until << kTickBits; }
  /// Whether it is over. One for ever never is.
  [[nodiscard]] constexpr bool is_over(std::uint64_t now_ns) const noexcept {
    return !is_for_ever() && until_ns() <= now_ns;
  }
  /// Returns what is left of it.
  [[nodiscard]] constexpr std::uint64_t left_ns(std::uint64_t now_ns) const noexcept {
    return is_over(now_ns) ? 0 : until_ns() - std::min(now_ns, until_ns());
  }
  /// Returns the same with so many more tokens owed.
  [[nodiscard]] constexpr BanWord owing(std::uint64_t more) const noexcept {
    const std::uint64_t sum = owed.tokens() + std::min(more, RoundedTokens::most());
    return {until, RoundedTokens::up(sum), level};
  }
};

constexpr std::uint64_t most_at_once(const Ban&) noexcept {
  return 0;
}

/// Denies. Only where nobody can bring the key back (its limit's entry is damaged) is a ban asked
/// that is over: then nobody knows when a call passes.
constexpr Verdict acquire(const Ban&, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t) noexcept {
  const BanWord word = BanWord::of(state);
  if (word.is_for_ever()) {
    constexpr std::uint64_t kForEverNs = ~std::uint64_t{0} >> 1;
    return {false, true, state, 0, 0, kForEverNs, 0};
  }
  const std::uint64_t left = std::max(word.left_ns(now_ns), std::uint64_t{1});
  return {false, false, state, 0, left, left, 0};
}

constexpr Verdict peek(const Ban& ban, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  return acquire(ban, state, now_ns, cost);
}

constexpr Ban floored(const Ban& ban) noexcept {
  return ban;
}

constexpr Verdict reserve(const Ban& ban, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t) noexcept {
  return acquire(ban, state, now_ns, cost);
}

/// Counts what has already happened: it is owed when the ban is over.
constexpr std::uint64_t charge(const Ban&, std::uint64_t state, std::uint64_t,
                               std::uint64_t cost) noexcept {
  return BanWord::of(state).owing(cost).state();
}

constexpr std::uint64_t charge_room(const Ban&, std::uint64_t state, std::uint64_t) noexcept {
  const std::uint64_t owed = BanWord::of(state).owed.tokens();
  return RoundedTokens::most() - std::min(owed, RoundedTokens::most());
}

/// Gives nothing back: what was charged before is owed as of another instant.
constexpr std::uint64_t refund(const Ban&, std::uint64_t state, std::uint64_t, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

/// Forgets what is owed; the ban stays.
constexpr std::uint64_t with_remaining(const Ban&, std::uint64_t state, std::uint64_t,
                                       std::uint64_t) noexcept {
  BanWord word = BanWord::of(state);
  word.owed = {};
  return word.state();
}

constexpr bool is_idle(const Ban&, std::uint64_t state, std::uint64_t now_ns) noexcept {
  const BanWord word = BanWord::of(state);
  return word.is_over(now_ns) && word.owed.tokens() == 0;
}

/// A ban that is over, and owes nothing.
constexpr std::uint64_t idle_state(const Ban&, std::uint64_t) noexcept {
  return 0;
}

constexpr std::uint64_t tokens_owed(const Ban&, std::uint64_t state, std::uint64_t) noexcept {
  return BanWord::of(state).owed.tokens();
}

/// Never: an operator may ban for any time.
constexpr bool is_beyond_horizon(const Ban&, std::uint64_t, std::uint64_t) noexcept {
  return false;
}

constexpr std::uint64_t cut(const Ban&, std::uint64_t state, std::uint64_t) noexcept {
  return state;
}

}  // namespace rl
