/// \file
/// Who goes next: a schedule drawn from a seed, with actors that are killed or stopped on the way.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>

#include "tests/interleaving/fibers.hpp"

namespace rl::test {

/// Numbers from a seed (splitmix64: any seed is a good one).
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept {
    std::uint64_t z = state_ += 0x9e37'79b9'7f4a'7c15U;
    z = (z ^ z >> 30) * 0xbf58'476d'1ce4'e5b9U;
    z = (z ^ z >> 27) * 0x94d0'49bb'1331'11ebU;
    return z ^ z >> 31;
  }
  /// Returns 0 to n - 1.
  std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
  int pick(int n) noexcept { return static_cast<int>(below(static_cast<std::uint64_t>(n))); }
  bool one_in(std::uint64_t n) noexcept { return below(n) == 0; }

 private:
  std::uint64_t state_;
};

/// Runs actors one access at a time. Three ways to draw the order, as each finds what the others
/// miss: a coin at every access; long runs of one actor; and fixed priorities that change at few,
/// random places (most faults need only two or three switches, at the right places).
class Schedule {
 public:
  static constexpr int kActorsMax = Fibers::kMost;
  static constexpr int kNobody = Fibers::kOutside;
  static constexpr std::uint64_t kNever = ~std::uint64_t{0};

  /// Forgets the last run and draws a way.
  void begin(Random& random, int actors);
  /// Draws some fates: that an actor is killed or stopped at one of its next accesses.
  void draw_fates();
  void start(int actor, std::function<void()> body);

  /// Runs until every actor has ended, died, or `abandon` was called.
  void run();

  /// Called by the actor before each access: others may go first.
  void yield();
  /// Ends the run at once, from within an actor: it does not return.
  void abandon();

  /// For one run: asked for who goes next, at every access; kNobody ends the run.
  void choose_by(std::function<int()> chooser) { chooser_ = std::move(chooser); }

  /// From now on only `actor` moves, until let_all_go().
  void leave_alone(int actor) noexcept { alone_ = actor; }
  void let_all_go() noexcept { alone_ = kNobody; }
  [[nodiscard]] bool is_alone(int actor) const noexcept { return alone_ == actor; }

  [[nodiscard]] int running() const noexcept { return fibers_.running(); }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }
  [[nodiscard]] bool was_killed(int actor) const noexcept { return at(actor).dead; }
  [[nodiscard]] bool has_ended(int actor) const noexcept { return at(actor).ended; }
  [[nodiscard]] int killed() const noexcept { return killed_; }
  [[nodiscard]] int stopped() const noexcept { return stopped_; }

 private:
  enum class Way { coin, runs, priorities };
  struct Actor {
    bool ended = true;
    bool dead = false;
    std::uint64_t accesses = 0;
    std::uint64_t kill_at = kNever;
    std::uint64_t stop_at = kNever;
    std::uint64_t stop_steps = 0;
    std::uint64_t sleeps_until = 0;
    std::uint64_t priority = 0;
  };

  [[nodiscard]] Actor& at(int actor) noexcept { return actors_[static_cast<std::size_t>(actor)]; }
  [[nodiscard]] const Actor& at(int actor) const noexcept {
    return actors_[static_cast<std::size_t>(actor)];
  }
  [[nodiscard]] bool can_run(int actor) const noexcept {
    return !at(actor).ended && !at(actor).dead && at(actor).sleeps_until <= steps_;
  }
  void meet_fate(int actor) noexcept;
  void wake_all_if_nobody_can_run() noexcept;
  [[nodiscard]] int choose();
  [[nodiscard]] int choose_any() noexcept;
  [[nodiscard]] int choose_by_priority() noexcept;

  Random* random_ = nullptr;
  Fibers fibers_;
  std::array<Actor, kActorsMax> actors_{};
  std::array<std::uint64_t, 4> change_at_{};
  int count_ = 0;
  int alone_ = kNobody;
  bool abandoned_ = false;
  std::function<int()> chooser_;
  Way way_ = Way::coin;
  std::uint64_t run_length_ = 1;
  std::uint64_t lowest_ = 0;
  std::uint64_t steps_ = 0;
  int killed_ = 0;
  int stopped_ = 0;
};

}  // namespace rl::test
