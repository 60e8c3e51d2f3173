/// \file
/// Conduct: how often a key was denied lately, and banned for it. Pure functions, no clock, no
/// atomics.
///
///     n       denials within the time W that ban a key for B x 2^level
///     level   how many such bans the key had in a row, at most 6: from then on 64 x B
///     M       64 x B: for so long a level is remembered
///
///      63 60 59                                24 23                        4 3      0
///     +-----+------------------------------------+---------------------------+--------+
///     |  0  |             end (36)               |       denials (20)        | level  |
///     +-----+------------------------------------+---------------------------+--------+
///
/// Ends are ticks (src/ticks.hpp), rounded up.
///
///     denials > 0   they are counted until `end`, the first of them having opened the time; the
///                   level is remembered for M after that
///     denials = 0   the last ban's level is remembered until `end`, M after the ban is over
///
/// So a level is forgotten when M has passed since the last ban was over and since denials were
/// counted last. Denials are counted from the first one on, not by a window that slides: a key may
/// be denied up to 2 x n - 2 times within W without a ban, n - 1 at the end of one count and as
/// many at the beginning of the next, and no more.
#pragma once

#include "src/ticks.hpp"

namespace rl {

/// What a limit says of denials.
struct Conduct {
  std::uint64_t denials = 1;  ///< n
  std::uint64_t within_ns = 1;
  std::uint64_t ban_ns = 1;

  static constexpr std::uint32_t kLevelMax = 6;

  /// How long the ban of a level is.
  [[nodiscard]] constexpr std::uint64_t length_ns(std::uint32_t level) const noexcept {
    const std::uint64_t factor = std::uint64_t{1} << std::min(level, kLevelMax);
    return std::min(ban_ns, kTimeMax / factor) * factor;
  }
  /// How long a level is remembered.
  [[nodiscard]] constexpr std::uint64_t memory_ns() const noexcept { return length_ns(kLevelMax); }
};

/// A conduct's word, taken apart.
struct ConductWord {
  std::uint64_t end = 0;  ///< in ticks
  std::uint32_t denials = 0;
  std::uint32_t level = 0;

  static constexpr std::uint32_t kDenialsMask = (1U << 20) - 1;

  static constexpr ConductWord of(std::uint64_t state) noexcept {
    return {state >> 24 & kTickForEver, static_cast<std::uint32_t>(state >> 4) & kDenialsMask,
            std::min(static_cast<std::uint32_t>(state) & 15U, Conduct::kLevelMax)};
  }
  [[nodiscard]] constexpr std::uint64_t state() const noexcept {
    return end << 24 | std::uint64_t{denials} << 4 | level;
  }
  [[nodiscard]] constexpr std::uint64_t end_ns() const noexcept { return end << kTickBits; }
};

/// Returns the denials that are being counted.
constexpr std::uint32_t denials_at(const ConductWord& word, std::uint64_t now_ns) noexcept {
  return now_ns < word.end_ns() ? word.denials : 0;
}

/// Returns the level that is still remembered.
constexpr std::uint32_t level_at(const Conduct& conduct, const ConductWord& word,
                                 std::uint64_t now_ns) noexcept {
  const std::uint64_t kept_ns = word.denials != 0 ? conduct.memory_ns() : 0;
  return now_ns < std::min(word.end_ns(), kTimeMax) + kept_ns ? word.level : 0;
}

/// What is remembered of a key, told without a clock (as src/owed.hpp does it): for so long yet.
struct Remembered {
  std::uint32_t denials = 0;  ///< that are being counted; 0: of the level alone
  std::uint32_t level = 0;
  std::uint64_t left_ns = 0;
  friend bool operator==(const Remembered&, const Remembered&) = default;
};

/// A count that is over is told as what it leaves: the level, for the rest of its memory.
constexpr Remembered remembered_in(const Conduct& conduct, const ConductWord& word,
                                   std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint32_t denials = denials_at(word, now);
  const std::uint32_t level = level_at(conduct, word, now);
  if (denials == 0 && level == 0) return {};
  const std::uint64_t kept_ns = word.denials != 0 && denials == 0 ? conduct.memory_ns() : 0;
  return {denials, level, std::min(word.end_ns(), kTimeMax) + kept_ns - now};
}

/// The word that says as much as of now: for as long, or up to a tick more. Every number is input:
/// what no key can have is cut, and the denial that would ban is still to come.
constexpr ConductWord word_of(const Conduct& conduct, const Remembered& what,
                              std::uint64_t now_ns) noexcept {
  const std::uint64_t most = std::min<std::uint64_t>(conduct.denials, ConductWord::kDenialsMask);
  const auto denials = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(what.denials, most - std::min<std::uint64_t>(most, 1)));
  const std::uint64_t reach =
      denials != 0 ? conduct.within_ns : 2 * std::min(conduct.memory_ns(), kTimeMax / 2);
  // With slack, as an end is rounded up, and nothing is to be forgotten by that.
  const std::uint64_t left = std::min({what.left_ns, reach + kHealSlackNs, kTimeMax});
  return {tick_not_before(std::min(now_ns, kTimeMax) + left), denials,
          std::min(what.level, Conduct::kLevelMax)};
}

/// What a denial makes of a word.
struct ConductStep {
  ConductWord word;
  bool bans;
  std::uint32_t level;      ///< of the ban
  std::uint64_t length_ns;  ///< of the ban
};

constexpr ConductStep after_denial(const Conduct& conduct, std::uint64_t state,
                                   std::uint64_t now_ns) noexcept {
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const ConductWord word = ConductWord::of(state);
  const std::uint32_t level = level_at(conduct, word, now);
  const std::uint32_t denials = denials_at(word, now) + 1;
  if (denials >= conduct.denials) {
    const std::uint64_t length = conduct.length_ns(level);
    const std::uint64_t end = tick_not_before(now + length + conduct.memory_ns());
    return {{end, 0, std::min(level + 1, Conduct::kLevelMax)}, true, level, length};
  }
  const std::uint64_t end = denials == 1 ? tick_not_before(now + conduct.within_ns) : word.end;
  return {{end, denials, level}, false, level, 0};
}

constexpr std::uint64_t most_at_once(const Conduct& conduct) noexcept {
  return conduct.denials;
}

/// Denies: calls are not asked here. What stands below is for whoever meets such a slot.
constexpr Verdict acquire(const Conduct& conduct, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t) noexcept {
  const ConductWord word = ConductWord::of(state);
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  const std::uint64_t denials = std::min<std::uint64_t>(denials_at(word, now), conduct.denials);
  const std::uint64_t end =
      word.end_ns() + (word.denials != 0 && word.level != 0 ? conduct.memory_ns() : 0);
  return {false, true, state, conduct.denials - denials, 0, end > now ? end - now : 0, 0};
}

constexpr Verdict peek(const Conduct& conduct, std::uint64_t state, std::uint64_t now_ns,
                       std::uint64_t cost) noexcept {
  return acquire(conduct, state, now_ns, cost);
}

constexpr Conduct floored(const Conduct& conduct) noexcept {
  return conduct;
}

constexpr Verdict reserve(const Conduct& conduct, std::uint64_t state, std::uint64_t now_ns,
                          std::uint64_t cost, std::uint64_t) noexcept {
  return acquire(conduct, state, now_ns, cost);
}

constexpr std::uint64_t charge(const Conduct&, std::uint64_t state, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t charge_room(const Conduct&, std::uint64_t, std::uint64_t) noexcept {
  return 0;
}

constexpr std::uint64_t refund(const Conduct&, std::uint64_t state, std::uint64_t, std::uint64_t,
                               std::uint64_t) noexcept {
  return state;
}

constexpr std::uint64_t with_remaining(const Conduct&, std::uint64_t state, std::uint64_t,
                                       std::uint64_t) noexcept {
  return state;
}

constexpr bool is_idle(const Conduct& conduct, std::uint64_t state, std::uint64_t now_ns) noexcept {
  const ConductWord word = ConductWord::of(state);
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  return denials_at(word, now) == 0 && level_at(conduct, word, now) == 0;
}

/// A count that is over: later than any word of an earlier one that is.
constexpr std::uint64_t idle_state(const Conduct&, std::uint64_t now_ns) noexcept {
  return ConductWord{std::min(now_ns, kTimeMax) >> kTickBits, 0, 0}.state();
}

/// What an eviction would forget: denials; a level more than any of them.
constexpr std::uint64_t tokens_owed(const Conduct& conduct, std::uint64_t state,
                                    std::uint64_t now_ns) noexcept {
  const ConductWord word = ConductWord::of(state);
  const std::uint64_t now = std::min(now_ns, kTimeMax);
  return denials_at(word, now) + (std::uint64_t{level_at(conduct, word, now)} << 20);
}

/// So far ahead no count and no memory can end.
constexpr bool is_beyond_horizon(const Conduct& conduct, std::uint64_t state,
                                 std::uint64_t now_ns) noexcept {
  const std::uint64_t reach =
      std::max(conduct.within_ns, 2 * std::min(conduct.memory_ns(), kTimeMax / 2));
  return ConductWord::of(state).end_ns() >
         std::min(now_ns, kTimeMax) + std::min(reach, kTimeMax) + kTickNs + kHealSlackNs;
}

/// Nothing is known of it then.
constexpr std::uint64_t cut(const Conduct& conduct, std::uint64_t state,
                            std::uint64_t now_ns) noexcept {
  return is_beyond_horizon(conduct, state, now_ns) ? idle_state(conduct, now_ns) : state;
}

}  // namespace rl
