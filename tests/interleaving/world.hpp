/// \file
/// A small world for the table and the rules of production: slots and a clock that let the schedule
/// in before every access, calls as src/limiter.cpp makes them, and the oracle that watches.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "src/rules.hpp"
#include "tests/interleaving/oracle.hpp"
#include "tests/interleaving/schedule.hpp"

namespace rl::test {

class World;

/// A slot (shm/slot.hpp) with a turn of somebody else before every access. Its words are two loads,
/// as in production.
class WatchedSlot {
 public:
  [[nodiscard]] std::uint64_t tag() const;
  [[nodiscard]] shm::SlotWords words() const;
  bool compare_exchange(shm::SlotWords expected, shm::SlotWords desired);
  [[nodiscard]] shm::SlotWords& raw() noexcept { return words_; }

 private:
  alignas(16) shm::SlotWords words_;
};

/// The segment's clock, with a turn of somebody else before every reading.
struct WatchedClock {
  World* world;
  [[nodiscard]] std::uint64_t now() const noexcept;
};

/// What the rules of a call see of a View (src/core.hpp), by the same names: policies, nonces, and
/// counters that report to the oracle.
struct CallView {
  CallView(World& world, int actor) noexcept
      : known{world},
        participant{{world, actor}},
        mapping{{{{{world, actor}}, {{world, actor}}, {}}}} {}

  struct Part {
    World& world;
    int actor;
  };
  /// No policy has a successor here; that is for tests/model/policy_switch.pml.
  struct Policies {
    [[nodiscard]] static std::uint32_t capacity() noexcept { return 8; }
    [[nodiscard]] static std::uint16_t successor(std::uint16_t) noexcept { return 0; }
    [[nodiscard]] static std::uint64_t changed_ns(std::uint16_t) noexcept { return 0; }
    [[nodiscard]] static std::uint64_t date(std::uint16_t, std::uint64_t now) noexcept {
      return now;
    }
  } policies;
  struct Known {
    World& world;
    [[nodiscard]] KnownPolicy find(std::uint16_t id, std::optional<Policy>&) const noexcept;
  } known;
  struct Participant : Part {
    std::uint64_t nonce() noexcept;
    [[nodiscard]] bool has_successor(const shm::Sitter&) const noexcept { return false; }
  } participant;
  struct Evictions : Part {
    void fetch_add(std::uint64_t, std::memory_order) noexcept;
  };
  struct Overwrites : Part {
    void fetch_add(std::uint64_t, std::memory_order) noexcept;
  };
  struct Unwatched {
    void fetch_add(std::uint64_t, std::memory_order) noexcept {}
  };
  struct Header {
    struct {
      Evictions evicted;
      Overwrites idle_overwritten;
      Unwatched tentatives_freed;
    } health;
  };
  struct {
    Header counters;
    Header& header() noexcept { return counters; }
    [[nodiscard]] static bool writable() noexcept { return true; }
  } mapping;

  /// And of a Binding.
  struct Binding {
    CallView* view;
    std::uint16_t id;
    const Policy& policy;
    [[nodiscard]] static bool stands_alone() noexcept { return true; }
    static void note_outdated() noexcept {}
  };
};

/// How a run begins; drawn from its seed.
struct Scene {
  TokenBucket bucket;
  bool evicts = false;
  bool resets = false;         ///< whether keys are also reset
  bool callers_times = false;  ///< whether some calls bring their own time
  int actors = 0;              ///< 2 to 4
  int calls = 0;               ///< operations of each
  std::uint64_t now_ns = 0;    ///< where the clock begins
};

/// One run. There is one at a time: slots find it by World::current().
class World {
  std::array<shm::BasicPair<WatchedSlot>, 2> pairs_{};

 public:
  static constexpr std::uint64_t kSlots = Oracle::kSlots;
  static constexpr std::uint64_t kKeys = 3;        ///< identities 1 to 3 are fought for
  static constexpr std::uint64_t kBystander = 16;  ///< and so many more than its slot has another's

  World(Schedule& schedule, Random& random, const Scene& drawn, Evidence& evidence, bool traces);
  ~World() { current_ = nullptr; }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  static World& current() noexcept { return *current_; }

  /// Fills the table with members, free slots and tentatives of the dead.
  void furnish();
  /// The life of an actor: some operations, drawn as it goes.
  void play(int actor);

  // The operations.
  Verdict acquire(int actor, std::uint64_t identity, std::uint64_t cost);
  void acquire_at_a_callers_time(int actor, std::uint64_t identity, std::uint64_t cost);
  void reset(int actor, std::uint64_t identity);
  void reap(int actor, std::uint64_t first, std::uint64_t count);
  void advance(std::uint64_t ns);

  // What slots, clock and rules call.
  void before_access(const char* what, const WatchedSlot* slot);
  bool swap(WatchedSlot& slot, shm::SlotWords expected, shm::SlotWords desired);
  std::uint64_t read_clock();
  /// As production's: a seat, and a count of that seat.
  std::uint64_t next_nonce(int seat) noexcept {
    return std::uint64_t(seat + 1) << 48 | ++nonces_.at(static_cast<std::size_t>(seat));
  }

  [[nodiscard]] const Policy& policy() const noexcept { return policy_; }

  /// How many swaps the actor has come to; before the last of them it may have to wait.
  [[nodiscard]] int swaps(int actor) const { return swaps_.at(static_cast<std::size_t>(actor)); }

  /// At this step the one who moves is left alone until its call has ended.
  std::uint64_t alone_at_step = Schedule::kNever;

  Oracle oracle;
  shm::Table<WatchedSlot> table;
  const Scene scene;

 private:
  static constexpr int kDeadSeat = Oracle::kActorsMax;
  static shm::KeyHash hash_of(std::uint64_t identity) noexcept;
  void furnish(std::uint64_t slot);
  void furnish_narrowly();
  void furnish_widely();
  [[nodiscard]] std::uint64_t damaged_state();
  template <class Time>
  Verdict decide(int actor, std::uint64_t identity, std::uint64_t cost, Time time);
  template <class Time>
  Verdict decide_with_retries(int actor, const shm::KeyHash& hash, std::uint64_t cost, Time time);
  void stop_if_violated();
  void say(const std::string& what) const;
  [[nodiscard]] std::uint64_t index_of(const WatchedSlot& slot) const noexcept;
  [[nodiscard]] std::string name_of(const WatchedSlot& slot) const;
  [[nodiscard]] std::uint64_t draw_identity();
  [[nodiscard]] std::uint64_t draw_time();

  static inline World* current_ = nullptr;
  Schedule& schedule_;
  Random& random_;
  bool traces_;
  Policy policy_;
  WatchedClock clock_{this};
  std::array<std::uint64_t, kDeadSeat + 1> nonces_{};
  std::array<bool, kSlots> is_sticky_{};
  std::array<int, Oracle::kActorsMax> swaps_{};
};

}  // namespace rl::test
