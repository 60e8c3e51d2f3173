/// \file
/// How many policy entries some changes will take, told before the first of them is made: an id is
/// never used twice, so what would run out of them half-way must not be begun.
///
/// What takes an entry, unless an equal one is there (src/change.cpp, src/standing.cpp):
///
///     a policy of a new name                 1
///     a change of a policy, or its removal   1 each time
///     the limit of an override               1, however many keys are under it
///     a limit that bans for denials          2 more: for conduct (one for all that ban alike), and
///                                            for its bans
///     the first ban under a limit            1; so under each override's
///     the first allowed key under a limit    1; so under each override's
///     a trial                                1 each time
///
/// The last entries are kept for bans and allowed keys (shm::ids_kept). So changes are counted in the
/// order in which they will be made.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>

#include <rl/limit.hpp>

#include "shm/policies.hpp"

namespace rl {

/// Counts, and changes nothing. Threads: one. Accuracy: exact as of the instant at which it looked;
/// rivals may take entries after that, or publish some that are counted here.
class EntryCount {
 public:
  /// Of a segment that is to be made with so many.
  explicit EntryCount(std::uint32_t capacity) noexcept : capacity_(capacity), left_(capacity) {}
  /// Of one that is there.
  explicit EntryCount(const shm::PolicyTable& policies);

  /// A limit that is put in force under a name, and is not what is in force there.
  void set_policy(const std::string& name, const Limit& limit);
  /// A limit that is in force, and taken away.
  void remove_policy() noexcept { take_common(); }
  void set_override(const std::string& name, const Limit& limit);
  /// A limit that is put on trial.
  void begin_trial() noexcept { take_common(); }
  /// What is kept of keys that a limit denies and bans.
  void keep_conduct(const std::string& name, const Limit& bans);
  /// A key that is put under the ban, or the allow, of what it comes back to: the policy's limit, or
  /// an override.
  void put_apart(const std::string& name, shm::PolicyKind kind, const std::optional<Limit>& parent);

  [[nodiscard]] std::uint32_t needed() const noexcept { return needed_; }
  /// Returns how many may be had by what is needed: without those that are kept, if it is one of the
  /// others that does not fit.
  [[nodiscard]] std::uint32_t left() const noexcept;
  [[nodiscard]] std::uint32_t capacity() const noexcept { return capacity_; }
  [[nodiscard]] bool fits() const noexcept;
  /// Errors: Error (too_many) when more are needed than left. `path` names the segment.
  void check_room(std::string_view path) const;

 private:
  /// The policy's name, the entry's kind, and the limit that tells it from others: its own, or of a
  /// ban or an allow that of the override which the key comes back to; empty for the policy's, and
  /// for the first of a policy.
  using Entry = std::tuple<std::string, shm::PolicyKind, std::string>;

  void take_common() noexcept;
  bool take(std::string name, shm::PolicyKind kind, std::string limit);
  void take_what_bans(const std::string& name, const Limit& limit, const std::string& parent);

  std::set<Entry> there_;
  std::uint32_t capacity_ = 0;
  std::uint32_t left_ = 0;
  std::uint32_t needed_ = 0;
  std::uint32_t needed_to_last_ = 0;  ///< up to the last that is no ban and no allow
};

}  // namespace rl
