/// \file
/// How often what was decided, for those who draw graphs.
#ifndef RL_TOTALS_HPP
#define RL_TOTALS_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace rl {

/// What was decided under the name of a policy since its segment was made, by all processes that
/// are and were, under all limits that the name ever had, overrides and bans among them.
///
/// Accuracy: exact, and never less than before, however processes die; but for calls that ran while
/// the name of the segment was removed under them and a copy was made, and for a process that closed
/// all its descriptors and goes on.
struct PolicyTotals {
  std::string policy;
  std::uint64_t allowed = 0;
  std::uint64_t denied = 0;
  std::uint64_t would_deny = 0;  ///< allowed, though the limit, in shadow, would have denied
  std::uint64_t refunds = 0;
  std::uint64_t waits = 0;             ///< allowed, but had to wait; allowed counts them, too
  std::chrono::nanoseconds waited{0};  ///< how long, together
};

/// What is counted of a segment as a whole.
struct Totals {
  std::vector<PolicyTotals> policies;  ///< in the order in which their names were made
  /// Keys that came into the table, by the line of their list of slots that had room for them: the
  /// first, second, third or fourth. Each is one cache miss more, in each call of the key.
  std::array<std::uint64_t, 4> by_line{};
  std::uint64_t retries = 0;            ///< tries that a rival's success has undone
  std::uint64_t permits_reclaimed = 0;  ///< taken over from the dead by others who wanted one
  std::uint64_t idle_overwritten = 0;   ///< slots taken from keys that owed nothing any more
  std::uint64_t events = 0;             ///< that were written
  std::uint64_t events_lost = 0;        ///< overwritten before a consumer had read them
};

}  // namespace rl

#endif
