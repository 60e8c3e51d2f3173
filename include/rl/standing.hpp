/// \file
/// Keys that stand apart from their policy: overrides, bans, the allow-list; and the journal of who
/// changed what by hand. Changed and listed by a Segment (rl/segment.hpp).
///
/// What a key is told that is banned, or on the allow-list; under an override all is as under any
/// limit, and Decision::reason says Reason::override_ where it would be ok, limited or never:
///
///                             banned                              on the allow-list
///     try_acquire, hold,      denied (Reason::banned); try again  pass (Reason::override_), and
///     reserve, acquire_for,   after retry_after, kNever of one    nothing is counted
///     batch, all_of           for ever; nobody waits for it
///     peek                    the same                            the same
///     charge                  counted: owed when it is over       passes, nothing is counted
///     settle                  the difference, where it is more    nothing is counted
///     refund                  gives nothing back                  gives nothing back
///     set_remaining           what is owed is forgotten           nothing changes
///     reset, reset_all        what is owed is forgotten           what is owed is forgotten
///     permit                  permits have no standings
#ifndef RL_STANDING_HPP
#define RL_STANDING_HPP

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <rl/export.hpp>
#include <rl/limit.hpp>
#include <rl/time.hpp>

namespace rl {

/// Says how a key stands to its policy.
enum class Standing : std::uint8_t {
  none,       ///< under the policy's limit, as any other
  override_,  ///< under a limit of its own
  allow,      ///< passes whatever it does
  ban,        ///< is denied whatever it does, until the ban is over
};

/// Returns the word for a standing, as rlctl prints it.
RL_EXPORT std::string_view to_string(Standing standing) noexcept;

/// Says what was changed by hand. Numbers are for ever: segments hold them.
enum class Change : std::uint8_t {
  policy_set = 1,
  policy_removed = 2,
  limits_off = 3,
  limits_on = 4,
  override_set = 5,
  override_unset = 6,
  banned = 7,  ///< also by a policy that bans for denials: then by whoever was denied
  unbanned = 8,
  allowed = 9,
  disallowed = 10,
  trial_begun = 11,
  trial_ended = 12,  ///< by hand, by a change of the limit, or by another trial
  repaired = 13,     ///< a slot that held what none can hold; a repair of many tells of some
};

/// Returns the words for a change, as rlctl prints them.
RL_EXPORT std::string_view to_string(Change change) noexcept;

/// A change that somebody made. Texts that were too long for the record are cut.
struct JournalInfo {
  std::uint64_t number = 0;  ///< counts the changes of the segment, from 0
  Change change{};
  std::string policy;
  std::string key;     ///< the beginning of it
  std::string before;  ///< what was changed, as text; empty for nothing
  std::string after;
  std::string reason;
  bool cut = false;  ///< one of these, at least, is longer
  std::chrono::system_clock::time_point when;
  std::uint32_t uid = 0;
  std::uint32_t pid = 0;  ///< as its own namespace had it
};

/// A key that stands apart.
struct StandingInfo {
  Standing standing = Standing::none;
  std::string policy;
  std::optional<std::string> key;  ///< absent without labels, or when the label is not this key's
  bool key_truncated = false;      ///< the label holds only the beginning
  std::optional<Limit> limit;      ///< of an override, also while the key is banned or allowed
  Instant until{};                 ///< of a ban, on the segment's clock; Instant::max() for ever
  std::uint32_t level = 0;         ///< of a ban for denials: how many there were before in a row
  std::optional<JournalInfo> change;  ///< who did it, when and why; absent when the journal forgot
};

}  // namespace rl

#endif
