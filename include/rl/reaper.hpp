/// \file
/// Sweeping a segment: for those who want its table tidy. Nothing depends on it.
///
///     rl::Reaper reaper(segment);
///     while (serving) {
///       if (reaper.lead()) reaper.sweep(100'000);
///       std::this_thread::sleep_for(100ms);
///     }
///
/// `rlreaper` does this, and more, for any number of segments.
///
/// A table without a reaper stays healthy: who inserts into a full list takes what is idle there, at
/// the price of looking at sixteen slots. A sweep keeps lists short, so that an insert finds a free
/// slot at once; it gives back the permits of the dead before somebody is denied one; and it knows
/// what is in the table.
#ifndef RL_REAPER_HPP
#define RL_REAPER_HPP

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include <rl/denied_key.hpp>
#include <rl/export.hpp>
#include <rl/segment.hpp>

namespace rl {

/// What a stretch of the table held, and what was freed of it.
struct SweepReport {
  std::uint64_t slots = 0;     ///< looked at
  std::uint64_t free = 0;      ///< nobody's, before the sweep
  std::uint64_t live = 0;      ///< keys that owe something, or did just now
  std::uint64_t standing = 0;  ///< overrides, bans and allowed keys
  std::uint64_t permits_out = 0;
  std::uint64_t tentatives = 0;  ///< inserts under way, or abandoned just now
  std::uint64_t corrupt = 0;     ///< in no state that a slot can be in
  std::uint64_t unreadable = 0;  ///< of a policy that is damaged, or a newer library's

  std::uint64_t idle_freed = 0;
  std::uint64_t permits_freed = 0;     ///< their holders are dead
  std::uint64_t tentatives_freed = 0;  ///< abandoned

  /// Of some keys, a sample that is another each time: how many have their slot in the first, second,
  /// third or fourth line of their list. (Totals::by_line is of decisions.) All 0 in a segment
  /// without labels, by which they are known.
  std::array<std::uint64_t, 4> by_line{};

  /// Returns the share of the slots, 0 to 1, that no new key may take for nothing: they are of keys
  /// that owe or stand apart, or of permits that are out. 0 when none was looked at.
  [[nodiscard]] double fill() const noexcept;

  SweepReport& operator+=(const SweepReport& other) noexcept;
};

/// What is known of the reaper of a segment.
struct ReaperInfo {
  bool leads = false;                     ///< there is one now: the kernel says so
  std::uint32_t pid = 0;                  ///< of the last, in its own namespace
  std::chrono::nanoseconds beat_ago{-1};  ///< since it last swept; negative: never
  std::uint64_t rounds = 0;               ///< how often the whole table was swept
  std::uint64_t idle_freed = 0;
  std::uint64_t permits_freed = 0;
  std::uint64_t tentatives_freed = 0;
  std::uint64_t corrupt = 0;  ///< slots, in the last round
};

/// Sweeps a segment, a stretch at a time.
///
/// Freed is what is worth nothing: keys that were idle for a while, permits whose holder is dead,
/// the marks of inserts that were abandoned, keys of trials that are over. All by one
/// compare-and-swap each, which fails if the slot has changed meanwhile: a reaper may be killed or
/// stopped anywhere, and any number may sweep at once.
///
/// Threads and processes: one thread at a time for each object; any number of them.
class RL_EXPORT Reaper {
 public:
  /// Keys that were idle for less than `idle_for` stay, with the counts that `rlctl list` shows.
  /// Takes 0.7 MB of memory. Errors: read_only.
  explicit Reaper(const Segment& segment,
                  std::chrono::nanoseconds idle_for = std::chrono::seconds(10));
  Reaper(Reaper&&) noexcept;
  Reaper& operator=(Reaper&&) noexcept;
  ~Reaper();

  /// Returns whether this is the one that leads: at first who asks first; when that process ends,
  /// however it ends, who asks next. Moves along when the segment is replaced. Progress: a few
  /// system calls at most.
  [[nodiscard]] bool lead();

  /// Looks at the next `slots` slots, at most one round, and frees what is worth nothing; goes on
  /// from the beginning after the last. Whether this is the one that leads is not asked. Where this
  /// process has no part in the segment's clock, nothing is looked at. Progress: bounded; some
  /// nanoseconds a slot, and one system call for each seat that has permits out.
  SweepReport sweep(std::uint64_t slots);

  /// Has each round from the next one on rank the `count` keys that were denied most; 0, as at
  /// first: none. Then a sweep reads the counts beside the slots, too: twice the memory. Forgets the
  /// ranking that there is. Errors: bad_option above kRankMax.
  void rank_denied(std::size_t count);
  static constexpr std::size_t kRankMax = 1'000;

  /// Returns the ranking of the last whole round, the most denied first; nothing before that. What
  /// is counted: see DeniedKey.
  [[nodiscard]] std::vector<DeniedKey> most_denied() const;

  /// Returns the number of slots of a round.
  [[nodiscard]] std::uint64_t round() const noexcept;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace rl

#endif
