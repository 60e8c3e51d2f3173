/// \file
/// What happened in a segment lately, for those who watch: denials, bans, evictions, changes.
///
///     rl::Events events(segment);
///     while (watching) {
///       const auto read = events.poll([](const rl::Event& e) { log(e.policy, e.key); });
///       if (read.lost != 0) log_lost(read.lost);
///       std::this_thread::sleep_for(100ms);
///     }
///
/// Events lie in rings in the segment, 2,048 of them at a time. Nobody waits for a reader: when
/// nobody reads, they are overwritten, and counted.
#ifndef RL_EVENTS_HPP
#define RL_EVENTS_HPP

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include <rl/decision.hpp>
#include <rl/export.hpp>
#include <rl/segment.hpp>
#include <rl/standing.hpp>

namespace rl {

/// Says what happened. Numbers are for ever: segments hold them.
enum class EventKind : std::uint8_t {
  /// A call was denied, or would have been by a limit in shadow (Reason::shadow). Told is the first
  /// denial of a key after it was allowed, and of all others one in so many of a thread under a
  /// policy (Segment::denials_per_event).
  denied = 1,
  banned = 2,   ///< a key, by hand or for its denials
  evicted = 3,  ///< this new key took the slot of one that still owed something
  full = 4,     ///< a call found no slot, and its policy's when_full decided; one in so many, too
  changed = 5,  ///< something was changed by hand, as in Segment::journal
  permit_reclaimed = 6,  ///< a permit was taken back from a process that is dead
  left_tsc = 7,          ///< the TSC could not be trusted any more: all processes left it together
  copied = 8,            ///< the name was removed under live processes; this is the copy
};

/// Returns the word for a kind, as rlctl prints it.
RL_EXPORT std::string_view to_string(EventKind kind) noexcept;

/// One event. What does not apply is empty or 0.
struct Event {
  EventKind kind{};
  std::chrono::system_clock::time_point when;
  std::uint32_t pid = 0;  ///< whose call it was, as its own namespace had it
  std::string policy;
  /// The text of the key, at most its first 62 bytes; empty in a segment without labels.
  std::string key;
  bool key_truncated = false;
  Reason reason = Reason::ok;  ///< of a denial, and of a call that found no room
  std::uint64_t cost = 0;      ///< of the call
  std::uint64_t limit = 0;     ///< the most at once
  std::uint64_t remaining = 0;
  /// Of a denial when the same call can pass, kNever if never; of a ban how long it is.
  std::chrono::nanoseconds wait{0};
  Change change{};  ///< of `changed` and `banned`
};

/// What a reader got.
struct EventsRead {
  std::uint64_t delivered = 0;
  std::uint64_t lost = 0;  ///< overwritten before they were read, or their writer was killed
};

/// Reads the events of a segment from where it read last. Any number may read the same segment;
/// none takes anything from another. Follows the segment when it is replaced: then with the oldest
/// that the new one holds.
///
/// Threads and processes: one thread at a time for each object; any number of them.
class RL_EXPORT Events {
 public:
  enum class From : std::uint8_t {
    oldest,  ///< all that is still there; of a consumer, what no other has read
    now,     ///< what happens from now on
  };
  /// Whether others are to know what was read. Of the events that are overwritten, those count as
  /// lost for the segment (Totals::events_lost) that no consumer has read.
  enum class As : std::uint8_t {
    observer,  ///< changes nothing; may read a segment that was opened for looking only
    consumer,
  };

  /// Errors: read_only for a consumer.
  explicit Events(const Segment& segment, From from = From::oldest, As as = As::observer);
  Events(Events&&) noexcept;
  Events& operator=(Events&&) noexcept;
  ~Events();

  /// Calls `visit` with what has happened since the last poll, the oldest first as far as clocks
  /// tell. An event whose writer is just at it comes at a later poll; after a second its writer is
  /// taken for dead, and it for lost. Errors: those of `visit`, with what follows it lost for this
  /// reader. Progress: bounded by the room for events, 2,048.
  EventsRead poll(const std::function<void(const Event&)>& visit);

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace rl

#endif
