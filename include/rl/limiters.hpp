/// \file
/// A list of limits under one name, ready to be asked.
#ifndef RL_LIMITERS_HPP
#define RL_LIMITERS_HPP

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <rl/all_of.hpp>
#include <rl/export.hpp>
#include <rl/limiter.hpp>
#include <rl/limits.hpp>

namespace rl {

/// Decides for keys that several limits hold, such as "100/s burst=200, 1000/h": a call is charged
/// to all of them, or to none. Made by Segment::limiters(). Copies are cheap and equal.
///
/// Each limit is a policy of its own: the first has the list's name, the others NAME#2, NAME#3 and
/// so on. All that all_of says of accuracy, progress and processes that are killed holds here.
///
/// Threads and processes: every member may be called from any number of threads and processes at
/// once.
class RL_EXPORT Limiters {
 public:
  /// Charges `cost` to `key` if all the limits allow it. AllOf::which is the index of the limit
  /// that denies for longest, or has the least left. Errors: as Limiter::try_acquire.
  AllOf try_acquire(std::string_view key, std::uint64_t cost = 1) noexcept;
  /// Says what try_acquire would answer, and charges nothing. Works on a read-only segment.
  [[nodiscard]] AllOf peek(std::string_view key, std::uint64_t cost = 1) const noexcept;
  /// Gives back what such a call charged to `key`, each limit as Limiter::refund, once. Returns
  /// whether anything was given back.
  bool refund(std::string_view key, AllOf& all) noexcept;
  /// Forgets what the key has consumed of any of the limits. Returns whether there was anything.
  bool reset(std::string_view key) noexcept;

  /// Returns the limits in force, which are the segment's.
  [[nodiscard]] Limits limits() const;
  /// Returns whether they are not the ones that were asked for in Segment::limiters().
  [[nodiscard]] bool differs() const noexcept;

  /// Returns the name of a limit's policy: NAME, or NAME#2 and so on.
  [[nodiscard]] std::string policy(std::size_t i) const;
  /// Returns the same of a list called `name`, whether there is one or not.
  [[nodiscard]] static std::string policy(std::string_view name, std::size_t i);
  [[nodiscard]] std::size_t size() const noexcept { return limiters_.size(); }
  [[nodiscard]] const Limiter& operator[](std::size_t i) const noexcept { return limiters_[i]; }

 private:
  friend class Segment;
  Limiters(std::string_view name, std::vector<Limiter> limiters, std::size_t wanted)
      : name_(name), limiters_(std::move(limiters)), wanted_(wanted) {}

  std::string name_;
  std::vector<Limiter> limiters_;
  std::size_t wanted_;  ///< how many were asked for; 0: those that there are
};

}  // namespace rl

#endif
