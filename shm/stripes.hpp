/// \file
/// Exact totals that cost no shared line: each thread counts in a stripe of its own.
///
/// A stripe belongs to a process, by its seat and the generation of that; the process gives its
/// stripes to its threads. Nothing in a stripe is ever set back, so sums over all stripes never run
/// backwards: who has a stripe next counts on from what he finds.
///
///     who takes a stripe           when                               by
///     a thread                     it counts for the first time       CAS of the owner: 0 -> us
///     a thread                     another thread of ours has ended   nothing: it is ours
///     a thread                     its process is dead                CAS: theirs -> us
///     a sweep                      its process is dead                CAS: theirs -> 0
///     the last handle of a process it lets go of the segment          CAS: ours -> 0
///
/// That a process is dead the kernel says (shm/participant.hpp). A generation never comes back, so
/// a CAS that succeeds takes it from whom was meant. Where no stripe is free, or there is no seat, or
/// a policy's id is above kOwnPolicies (as its limit was changed so often), adds go to the first
/// stripe, locked: exact, too, and slower, the more so the more threads share it.
///
/// Searched exhaustively: tests/model/stripes.pml. Every instruction of it: tests/stepping.
///
/// Accuracy: exact, but for a process that closed its descriptors (until it notices, others may
/// count in its stripes); for a child that was forked in a way that runs no handlers
/// (shm/fork_files.hpp), or that decides in a handler of its own which runs before ours; and for
/// decisions, or forks, in a signal handler that interrupts a decision.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "shm/participant.hpp"

namespace rl::shm {

/// This process's stripes in a segment, through forks. Threads: any. Nothing in it locks or waits.
/// Progress: an add is a load and a store. A thread's first looks at all stripes; of one that found
/// none so does the 4,096th, and then ever fewer. Where none is free, the kernel is asked once for
/// each, by one thread of a process and at most once a second.
class Stripes {
 public:
  Stripes(const Mapping& mapping, Participant& participant) noexcept;
  Stripes(const Stripes&) = delete;
  Stripes& operator=(const Stripes&) = delete;
  ~Stripes();

  /// Adds to a count of a policy, which must be an id of the segment. Returns what it is then.
  [[gnu::always_inline]] std::uint64_t add(std::uint16_t policy, PolicyTally::Which which,
                                           std::uint64_t count = 1) noexcept {
    return add(static_cast<std::uint32_t>(policy), static_cast<std::uint32_t>(which), count);
  }
  /// The same of no policy.
  std::uint64_t add(StripeHead::Which which, std::uint64_t count = 1) noexcept {
    return add(std::uint32_t{0}, static_cast<std::uint32_t>(which), count);
  }
  /// Notes that a key was inserted into a line of its list, 0 to 3.
  void add_insert(std::uint32_t line) noexcept;

  /// Lets go of what this process had when it sat there: it sits on another seat now.
  void leave(const Sitter& before) noexcept;

  /// The same for a segment that was left for good: from here on adds are locked.
  void end() noexcept;

  /// Frees the stripes of the dead; returns how many.
  static std::uint32_t tidy(const Mapping& mapping, Liveness& liveness) noexcept;

  /// The sums over all stripes. relaxed: each word has its own history.
  static std::uint64_t sum(const Mapping& mapping, std::uint16_t policy,
                           PolicyTally::Which which) noexcept;
  static std::uint64_t sum(const Mapping& mapping, std::uint32_t word_of_head) noexcept;

 private:
  /// A thread's memory of its stripe in a segment.
  struct Mine {
    std::uint64_t of = 0;  ///< the id of the object below whose stripe it is; 0: none
    PolicyTally* cells = nullptr;
  };
  [[gnu::always_inline]] std::uint64_t add(std::uint32_t cell, std::uint32_t word,
                                           std::uint64_t count) noexcept {
    const std::uint64_t id = id_.load(std::memory_order_relaxed);  // changes seldom; a hint
    const Mine& mine = mine_[id % kMine];
    if (mine.of != id || cell > kOwnPolicies) [[unlikely]]
      return add_slowly(cell, word, count);
    Word& target = mine.cells[cell].words[word];
    // relaxed: nothing hangs on it, and nobody else writes it.
    const std::uint64_t sum = target.load(std::memory_order_relaxed) + count;
    target.store(sum, std::memory_order_relaxed);
    return sum;
  }
  [[gnu::noinline]] std::uint64_t add_slowly(std::uint32_t cell, std::uint32_t word,
                                             std::uint64_t count) noexcept;
  [[nodiscard]] std::uint32_t take() noexcept;
  [[nodiscard]] bool take(std::uint32_t board, std::uint32_t index, std::uint64_t us,
                          Liveness* liveness) noexcept;
  void leave(std::uint64_t us) noexcept;
  static void forget_mine() noexcept;
  static void forget_all() noexcept;
  static void end_thread(void*) noexcept;

  /// A thread may decide on several segments in turn. Few: all of this lies in each thread's static
  /// memory, of which a library that is loaded late gets little.
  static constexpr std::size_t kMine = 8;
  static constinit thread_local Mine mine_[kMine] __attribute__((tls_model("initial-exec")));

  const Mapping& mapping_;
  Participant& participant_;
  std::atomic<std::uint32_t> board_;  ///< where it stands which thread has which stripe
  std::atomic<std::uint64_t> id_;     ///< of this object; another after leave()
};

}  // namespace rl::shm
