/// \file
/// The shared memory that holds the limits of one service, and what is in it.
#ifndef RL_SEGMENT_HPP
#define RL_SEGMENT_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rl/error.hpp>
#include <rl/export.hpp>
#include <rl/fallback.hpp>
#include <rl/limit.hpp>
#include <rl/limiter.hpp>
#include <rl/limiters.hpp>
#include <rl/limits.hpp>
#include <rl/standing.hpp>
#include <rl/time.hpp>

namespace rl {

class Dump;
class Events;
class Reaper;
class SegmentCore;
struct DeniedKey;
struct ReaperInfo;
struct StandingChange;
struct Totals;

/// Says in pages of what size the kernel is to keep a segment: see SegmentInfo::huge_bytes.
enum class HugePages {
  automatic,  ///< of 2 MiB, as far as the kernel has them: Linux 6.1 and memory that is not scattered
  never,      ///< small ones
};

/// How a segment is made. What is not said has a default that suits a web server.
struct SegmentOptions {
  /// Room for this many keys that owe something at the same time.
  std::uint64_t keys = 65'536;
  /// Permissions of the file; the umask does not cut them.
  std::uint32_t mode = 0600;
  /// Keep the text of keys (of those above 31 bytes the first 23) so that rlctl can show and dump
  /// it.
  bool labels = true;
  ClockSource clock = ClockSource::automatic;
  /// User and group by name, or by number; empty means the creator's.
  std::string owner = {};
  std::string group = {};
  /// Room for policies over the segment's whole life, at most 65,535.
  std::uint32_t policies = 1'024;
  /// Accept a segment whose owner is neither this user nor root.
  bool any_owner = false;
  HugePages huge_pages = HugePages::automatic;
};

/// What a segment is and holds, as `rlctl info` prints it.
struct SegmentInfo {
  std::string name;
  std::string path;
  std::uint32_t layout_version = 0;
  std::string creator_version;
  std::uint64_t keys = 0;   ///< promised
  std::uint64_t slots = 0;  ///< how many there are for them
  std::uint64_t live = 0;   ///< slots whose key owes something
  std::uint64_t idle = 0;   ///< slots that owe nothing any more and may be overwritten
  std::uint64_t bytes = 0;
  /// Of these, what lies in pages of 2 MiB: a table that is larger than the caches is read two to three times
  /// as fast there. Segment::info() alone looks.
  std::uint64_t huge_bytes = 0;
  std::chrono::system_clock::time_point created;
  std::uint32_t creator_pid = 0;
  ClockSource clock = ClockSource::boottime;  ///< the one in use
  bool tsc_left = false;                      ///< the segment began on the TSC and left it
  bool labels = false;
  std::uint32_t attached = 0;      ///< processes that are attached now
  std::uint32_t policies = 0;      ///< policy entries used
  std::uint32_t policy_room = 0;   ///< the last eighth, at most 8, is for bans and allowed keys
  std::uint64_t evicted = 0;       ///< slots taken from keys that still owed something
  std::uint64_t full_allowed = 0;  ///< calls allowed because the table was full
  std::uint64_t full_denied = 0;   ///< calls denied because the table was full
  std::uint64_t gave_up = 0;       ///< calls that ran out of tries
  std::uint64_t clamped = 0;       ///< states further ahead than any clock of ours can explain
  std::uint64_t tentatives_freed = 0;
  std::uint64_t anonymous = 0;  ///< times that a process found no free seat
  /// Since when limits are switched off: all calls pass. Absent while they are on.
  std::optional<std::chrono::system_clock::time_point> off_since;
  std::uint64_t off_allowed = 0;  ///< calls that passed while limits were off
  /// How far the segment's clock is ahead of UTC, in which it began: what was set or steered on
  /// either since. Absent on a manual clock, and where this process's clock is not the segment's.
  std::optional<std::chrono::nanoseconds> clock_drift;
};

/// A policy of a segment, in force or once so.
struct PolicyInfo {
  std::uint16_t id = 0;
  std::string name;
  std::optional<Limit> limit;  ///< absent when the entry is corrupt or newer than this library
  std::chrono::system_clock::time_point created;  ///< of this limit, not of the first of its name
  std::uint32_t creator_uid = 0;
  Spent spent = Spent::keep;       ///< what became of debts under the limits before it
  bool removed = false;            ///< from then on the name limited nothing
  std::optional<Limit> asked;      ///< what a program asked for last, where that is another
  std::optional<Limit> candidate;  ///< what is on trial beside it
  std::uint16_t candidate_id = 0;  ///< 0 when there is none
};

/// What a limit on trial would have done, beside what the one in force did with the same calls.
struct Comparison {
  struct Counts {
    std::uint64_t allowed = 0;
    std::uint64_t denied = 0;
  };
  Limit live;
  Limit candidate;
  std::chrono::system_clock::time_point since;
  std::uint32_t creator_uid = 0;
  Counts by_live;  ///< of a limit in shadow: what it would have denied is denied here
  Counts by_candidate;
  /// Keys that the candidate denied at least once. Accuracy: one that lost its slot in between, as
  /// it was idle or the table full, is counted again; one whose every call costs more than ever
  /// passes is not; and of rivals that are a key's first denial at the same instant each may count.
  std::uint64_t keys_denied = 0;
};

/// What a slot holds. Under a concurrency limit a key has one for each permit that is out or was,
/// one that makes denials cheap, and one for its fencing number; under any other just one, another
/// that says what it has used of a candidate, and one for how often it was denied
/// (Limit::ban_after).
enum class SlotPart : std::uint8_t { key, permit, hint, fence, candidate, conduct };

/// One key of a segment, or a part of one.
struct KeyInfo {
  std::uint16_t policy_id = 0;
  std::string policy;               ///< its name
  std::optional<std::string> key;   ///< absent without labels, or when the label is not this key's
  bool key_truncated = false;       ///< the label holds only the beginning
  std::uint64_t allowed_count = 0;  ///< advisory: may lose some under contention
  std::uint64_t denied_count = 0;
  std::uint64_t limit = 0;  ///< the most at once
  std::uint64_t remaining = 0;
  std::chrono::nanoseconds reset_after{0};
  bool idle = true;
  SlotPart part = SlotPart::key;
  /// Of a permit that is out: its process, by the id that it has in its own namespace; 0 when
  /// nobody knows any more.
  std::uint32_t holder_pid = 0;
  Standing standing = Standing::none;  ///< how the key stands to its policy
  Instant until{};                     ///< of a ban; Instant::max() for ever
  std::uint32_t ban_level = 0;         ///< of a ban for denials: how many there were in a row
  std::optional<Limit> own_limit;      ///< of an override, also while the key is banned or allowed
};

/// A handle on a segment: a file of atomic words in shared memory that many processes map.
///
/// A name such as "web" stands for POSIX shared memory (/dev/shm/rl.web); an absolute path is taken
/// as it is and should lie on a tmpfs. Handles are cheap to copy; the mapping goes with the last of
/// them and of their limiters. The segment itself stays until remove().
///
/// Errors: all functions that set up throw Error; none of them leaves anything behind.
///
/// Threads and processes: every member may be called from any thread; a handle made before fork()
/// works in the children.
class RL_EXPORT Segment {
 public:
  /// Makes a segment; it appears under its name only when it is complete.
  /// Errors: exists when the name is taken; no_space with the needed and the free bytes.
  static Segment create(std::string_view name, const SegmentOptions& options = {});
  /// Attaches to an existing segment. Errors: not_found and what attaching can meet.
  static Segment open(std::string_view name, const SegmentOptions& options = {});
  /// Attaches, or makes the segment if there is none. Of several processes that do so at once one
  /// creates and the others attach. An existing segment stands as it is, whatever the options say.
  static Segment open_or_create(std::string_view name, const SegmentOptions& options = {});
  /// As open_or_create; but where the world does not let it, there is a handle all the same, which
  /// does what `fallback` says until the segment can be had: see rl/fallback.hpp. That is said once
  /// (set_log). Errors: bad_name, bad_option, an unsupported CPU, and a kernel that gives no
  /// memory for a handle, or no random numbers.
  static Segment open_or(std::string_view name, const SegmentOptions& options,
                         const Fallback& fallback);
  /// Makes a segment in private memory, which has no name and which nobody else can find; it goes
  /// with the last handle, or with the process. A forked child goes on with a copy of its own. For
  /// tests, and to try limits on recorded traffic. Of the options, owner, group and mode say nothing.
  /// Errors: bad_option; system when there is no memory.
  static Segment create_private(const SegmentOptions& options = {});
  /// Attaches for looking only; needs no more than read permission.
  static Segment open_read_only(std::string_view name, const SegmentOptions& options = {});
  /// Removes the name of a segment, however damaged; returns false if there was none. Processes
  /// that still have it mapped go on with it until there is a new one under the name, which they
  /// follow within a second of use. (A name that vanishes in any other way is given to a copy
  /// instead.) Errors: not_a_segment for any other file.
  static bool remove(std::string_view name);

  /// Returns the limiter of a policy; makes the policy if the segment has none of that name. When
  /// it has one with another limit, that one stands: see Limiter::differs(). Errors: bad_name,
  /// too_many, read_only.
  [[nodiscard]] Limiter limiter(std::string_view policy, const Limit& limit);
  /// Returns the limiter of a policy that exists. Errors: unknown_policy.
  [[nodiscard]] Limiter limiter(std::string_view policy);

  /// Returns the limiters of a list of limits; makes those policies that the segment does not have:
  /// first `policy`, then `policy`#2, `policy`#3 and so on, so that a list that somebody was killed
  /// at is completed by who asks next. Those that are there stand, also where they are more, or were
  /// made fewer: see Limiters::differs(). Errors: as limiter(), and bad_limit for a concurrency limit
  /// or a counter among others.
  [[nodiscard]] Limiters limiters(std::string_view policy, const Limits& limits);
  /// Returns the limiters of a list that exists, as far as it is there; of one limit, too. (A policy
  /// of your own whose name is NAME#2 is part of the list NAME.) Errors:
  /// unknown_policy.
  [[nodiscard]] Limiters limiters(std::string_view policy);

  /// Puts a limit in force under a name, in all processes at their next call; makes the policy if
  /// there is none. What each key has used is converted, as of now, by the rule that `spent` names.
  /// The limit of before stays in the history. Nothing changes when the limit is in force already,
  /// unless `spent` is Spent::reset. Errors: bad_name, read_only; bad_limit where calls, permits and
  /// counts would become each other; too_many, as each change takes an entry, which is never used
  /// again (SegmentInfo::policies).
  void set_policy(std::string_view policy, const Limit& limit, Spent spent = Spent::keep);
  /// The same for a list of limits: makes and changes its policies one after the other, and then
  /// removes those that the list had beyond. A program that runs does not ask for parts that are
  /// new until it asks for the list again. Errors: as for one limit, and bad_limit for a concurrency
  /// limit or a counter among others; what can be refused is refused before anything is changed.
  /// Processes: one that dies on the way has changed some of them; the same call does the rest.
  void set_policy(std::string_view policy, const Limits& limits, Spent spent = Spent::keep);
  /// Puts no limit in force under a name: calls pass, with Reason::off, until set_policy() or a
  /// program that starts makes it again. Returns whether there was one. Errors: as set_policy.
  bool remove_policy(std::string_view policy);
  /// Returns all limits that the name ever had, the first one first. Errors: unknown_policy.
  [[nodiscard]] std::vector<PolicyInfo> history(std::string_view policy) const;
  /// Returns the same of all names, in the order in which these were made.
  [[nodiscard]] std::vector<PolicyInfo> history() const;
  /// Puts a limit on trial beside the one in force, in the place of another that is: from its next
  /// call on every process has both decide, and goes by the one in force. The candidate begins with
  /// idle keys, has a slot of its own for each, and decides as a limiter of that limit alone would
  /// on the same calls. A change of the policy ends the trial, and so does a segment that is made
  /// anew under the name. A process that dies in this leaves the trial, or none.
  ///
  /// Compared are try_acquire (of any priority, at any time, in batches), hold, reserve with its
  /// deadline, and each try of acquire_for; of all_of and lists what no other limit denies. What
  /// charge, settle, set_remaining and reset do is done to both; so is refund, as far as the
  /// candidate's key owes anything, also of a call that the candidate would have denied. Not
  /// compared: calls that found no room for one of the two slots; a candidate evicts nobody.
  ///
  /// Errors: unknown_policy, read_only; bad_limit for a concurrency limit or a counter, or beside
  /// one; too_many: each trial takes an entry. Progress: while a trial lasts, a call costs what two
  /// cost that miss the first look.
  void set_candidate(std::string_view policy, const Limit& limit);
  /// Ends the trial of a policy. Returns whether there was one. Errors: read_only.
  bool clear_candidate(std::string_view policy);
  /// Puts the candidate in force, as set_policy would. Errors: as set_policy, and unknown_policy
  /// when there is none.
  void promote_candidate(std::string_view policy, Spent spent = Spent::keep);
  /// Returns what the candidate would have done since the trial began; nothing when there is none.
  /// Accuracy: exact, but for calls that were under way when the trial began.
  [[nodiscard]] std::optional<Comparison> compare(std::string_view policy) const;
  /// Switches all limits of the segment off, or on again, in all processes at their next call: while
  /// they are off, calls pass with Reason::off, charge nothing and are counted
  /// (SegmentInfo::off_allowed). Returns whether that changed anything. Errors: read_only.
  bool switch_limits(bool on);

  /// Puts one key under a limit of its own, until unset_override(), whatever becomes of the policy's
  /// limit. What it has used is converted as by Spent::keep. The key of a ban or of the allow-list
  /// comes back under that limit. Returns whether that changed anything.
  ///
  /// Errors, here and below: unknown_policy; bad_limit but for limits of calls; read_only;
  /// bad_option for an empty key; too_many when 8 of the 16 slots that the key could have are taken
  /// by what stays, or the policy entries are used up (each limit takes one, however many keys it
  /// has); no_space when the table has no room for the key. Progress: of a process that is killed
  /// in the middle the change is made or not; it may miss in the journal. Accuracy: in force at the
  /// next call of every process. None is ever evicted. Each is of one policy: of a list, make one
  /// for each.
  bool set_override(std::string_view policy, std::string_view key, const Limit& limit);
  bool unset_override(std::string_view policy, std::string_view key);
  /// Denies all calls of one key for `length` (kNever: for ever), rounded up to 67 ms; of two bans
  /// the one that ends later holds. When it is over the key comes back under the limit, or the
  /// override, that it was under, with the debt that it would have by then; a change of the limit
  /// that was made meanwhile is taken as made then. A key that is charged while it is banned owes
  /// that on top. Returns whether that changed anything. Errors: also bad_option for a length that is
  /// not positive or above kBanMax, and for a key on the allow-list.
  bool ban(std::string_view policy, std::string_view key, std::chrono::nanoseconds length,
           std::string_view reason = {});
  /// Ends a ban, and forgets the denials that led to it. What the key owes is what it would have owed
  /// at the end of the ban (of one for ever, what it owed at its beginning), so a key may gain what
  /// passes at once.
  bool unban(std::string_view policy, std::string_view key);
  /// Lets all calls of one key pass, and counts none of them, until disallow(): then the key owes
  /// what is left of its debt of before. Ends a ban.
  bool allow(std::string_view policy, std::string_view key, std::string_view reason = {});
  bool disallow(std::string_view policy, std::string_view key);
  /// Lists the keys that stand apart; reads the whole table. Accuracy: as for_each_key.
  [[nodiscard]] std::vector<StandingInfo> standings() const;
  /// Lists the last 256 changes by hand, the oldest first: of policies, trials, overrides, bans, the
  /// allow-list and the switch, and repairs. Advisory: that of a killed process may be missing.
  [[nodiscard]] std::vector<JournalInfo> journal() const;

  /// Returns the segment's time.
  ///
  /// Progress: no system call on the TSC. Accuracy: all processes of the segment agree to within
  /// the skew between CPUs. Against wall time the TSC is off by its calibration, under 0.01 %. Each
  /// thread compares it with the kernel's clock every 100 ms and every 1,024 calls; when it jumped
  /// or froze, all processes leave it together, for good.
  [[nodiscard]] Instant now() const noexcept;
  /// Moves a manual clock forward. Errors: bad_option on any other clock, read_only.
  void advance_clock(std::chrono::nanoseconds by);

  /// Describes the segment; reads the whole table.
  [[nodiscard]] SegmentInfo info() const;
  /// The same without a look at the slots: `live` and `idle` are 0. Takes a system call for each
  /// seat that was ever taken.
  [[nodiscard]] SegmentInfo vitals() const;
  /// Lists the policies in force, in the order in which their names were made.
  [[nodiscard]] std::vector<PolicyInfo> policies() const;
  /// Calls `visit` for every key in the table. Accuracy: not a snapshot; each row is true for
  /// itself.
  void for_each_key(const std::function<void(const KeyInfo&)>& visit) const;
  /// Returns the `count` keys that were denied most, the most first; fewer where fewer were denied.
  /// Reads the whole table once. Accuracy: as DeniedKey says; of keys that were denied as often as
  /// the last one, any.
  [[nodiscard]] std::vector<DeniedKey> most_denied(std::size_t count) const;
  /// Looks one key up; absent when it has no slot, which is the same as idle. Of a concurrency
  /// limit it finds the hint, if there is one, and no permit: ask Limiter::peek_permit.
  [[nodiscard]] std::optional<KeyInfo> find(std::string_view policy, std::string_view key) const;
  /// Forgets what all keys have consumed; returns how many were forgotten. Permits that are out
  /// stay; so do overrides, bans and allowed keys.
  std::uint64_t reset_all();

  /// Says how often what was decided. Reads no slot: some microseconds for each process that
  /// decides.
  [[nodiscard]] Totals totals() const;
  /// Returns how many denials of a thread under a policy bring one event (rl/events.hpp); the first
  /// of each key after it was allowed does so always. 1,024 in a new segment; 1: each of them.
  [[nodiscard]] std::uint32_t denials_per_event() const noexcept;
  /// Sets it, for all processes; it is rounded up to a power of two, at most 2^31. Errors:
  /// read_only; bad_option for 0.
  void set_denials_per_event(std::uint32_t denials);

  /// Says who sweeps the segment, and what was swept. Errors: none.
  [[nodiscard]] ReaperInfo reaper() const;

  /// Says whether, since when and why this process goes on without the segment, and how many calls
  /// it had so. Nothing but zeros if the segment was to be had at once.
  [[nodiscard]] FallbackInfo fallback() const;

  [[nodiscard]] const std::string& name() const noexcept;
  [[nodiscard]] const std::string& path() const noexcept;

 private:
  friend class Dump;
  friend class Events;
  friend class Reaper;
  explicit Segment(std::shared_ptr<SegmentCore> core) noexcept : core_(std::move(core)) {}
  void add_rest(std::string_view policy, std::vector<Limiter>& all);
  bool change_standing_of(std::string_view policy, std::string_view key,
                          const StandingChange& change, std::string_view reason);
  std::shared_ptr<SegmentCore> core_;
};

}  // namespace rl

#endif
