/// \file
/// What must hold at every step, told from the changes of the slots alone: the guarantees S, A and
/// P of shm/table.hpp, with an account of every key's debt that knows nothing of slots.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "shm/slot.hpp"
#include "shm/table.hpp"
#include "src/token_bucket.hpp"

namespace rl::test {

/// What a call got, as its caller is told.
enum class Verdict { allowed, denied, full, gave_up, unavailable };

/// What was seen to happen: a stress test proves that it stressed.
struct Evidence {
  std::uint64_t calls = 0, admitted = 0, denied = 0, full = 0;
  std::uint64_t accesses = 0, failed_swaps = 0;
  std::uint64_t claims = 0, overwrites = 0, displacements = 0, evictions = 0, withdrawals = 0,
                kills = 0, promotions = 0, promotions_of_others = 0, frees = 0, torn = 0, cuts = 0;
  std::uint64_t killed = 0, stopped = 0, left_alone = 0;
  std::uint64_t most_accesses = 0, most_alone = 0;
};

/// Watches one run.
class Oracle {
 public:
  static constexpr int kActorsMax = 4;
  static constexpr std::uint64_t kIdentities = 32;
  static constexpr std::size_t kSlots = 16;  ///< every key has all of them on its list
  static constexpr std::uint16_t kPolicy = 7;
  static constexpr std::uint16_t kStickyPolicy = 9;  ///< of a newer library: nobody's to judge

  /// A call alone may meet 15 tentatives of its key and defer to each of them, or have to see a
  /// foreign one three times: so many rescans of 16 slots, of two loads each, and some over.
  static constexpr std::uint64_t kAloneMax = 20 * 16 * 2 + 200;
  /// In one try: find 16; scan and choose 32 each; resolve 32, and a swap at 15 of them; six more.
  static constexpr std::uint64_t kAccessesPerTryMax = 16 + 32 + 32 + 32 + 15 + 6;
  static constexpr std::uint64_t kCallMax =
      kAccessesPerTryMax * shm::Table<shm::Slot>::kTriesMax + 8;

  Oracle(const TokenBucket& bucket, bool evicts, std::uint64_t now_ns, Evidence& evidence)
      : seen(evidence), bucket_(bucket), evicts_(evicts), now_ns_(now_ns) {}

  /// How the table begins. A member owes what its slot says.
  void furnish(std::size_t index, shm::SlotWords words);

  // What the actors do.
  void advance(std::uint64_t ns);
  /// A call at `callers_ns`, or by the clock if that is 0.
  void begin_call(int actor, std::uint64_t identity, std::uint64_t cost, std::uint64_t callers_ns);
  void begin_reset(int actor, std::uint64_t identity) { at(actor).resets = identity; }
  void end_reset(int actor) { at(actor).resets = 0; }
  void on_clock_read(int actor) { at(actor).read_ns = now_ns_; }
  /// The rules were asked for a state: with a charge in it, or without.
  void propose(int actor, bool is_charge) { at(actor).proposes_charge = is_charge; }
  void before_access(int actor, bool is_alone);
  void on_swap(int actor, std::size_t index, shm::SlotWords from, shm::SlotWords to);
  void on_failed_swap() { ++seen.failed_swaps; }
  // What the rules count.
  void on_evicted(int actor);
  void on_idle_overwritten(int actor);
  void end_call(int actor, Verdict verdict, bool is_alone);
  void end_run();
  /// Calls may meet so many rivals that they give up.
  void expect_giving_up() { may_give_up_ = true; }

  [[nodiscard]] std::uint64_t now_ns() const noexcept { return now_ns_; }
  /// Whether the call of this actor is under way.
  [[nodiscard]] bool is_calling(int actor) const noexcept { return at(actor).identity != 0; }
  [[nodiscard]] const std::string& violation() const noexcept { return violation_; }

  Evidence& seen;

 private:
  struct Account {
    std::uint64_t tat_ns = 0;
    int life = 0;  ///< goes up when a debt is forgiven: by an eviction or a reset
  };
  struct Admission {
    std::uint64_t identity, at_ns, cost;
    int life;
  };
  /// Another key's member that a claim took, and whether that is counted by now.
  struct Taken {
    std::uint64_t identity = 0;
    std::uint64_t debt_ns = 0;         ///< as of the swap
    std::uint64_t judged_debt_ns = 0;  ///< by the slot, as of when the actor last read the clock
    bool is_counted = false;
  };
  struct Actor {
    std::uint64_t identity = 0;  ///< of the key it calls on; 0 outside of calls
    std::uint64_t cost = 0;
    std::uint64_t callers_ns = 0;
    std::uint64_t resets = 0;   ///< the key it resets
    std::uint64_t read_ns = 0;  ///< when it last read the clock
    bool proposes_charge = false;
    std::uint64_t charges = 0;
    Taken taken;
    bool could_be_denied = false;
    std::uint32_t could_have_had = 0;  ///< the slots that stood there to be had all the while
    std::uint32_t beyond_horizon = 0;  ///< the slots of its key that were beyond it all the while
    std::uint64_t accesses = 0;
    std::uint64_t accesses_alone = 0;
  };

  [[nodiscard]] Account& account(std::uint64_t identity) { return accounts_.at(identity); }
  [[nodiscard]] Actor& at(int actor) { return actors_.at(static_cast<std::size_t>(actor)); }
  [[nodiscard]] const Actor& at(int actor) const {
    return actors_.at(static_cast<std::size_t>(actor));
  }
  void violated(std::string what);
  /// The instant that the actor's decision counts at, as far as it went.
  [[nodiscard]] std::uint64_t decides_at(const Actor& a) const noexcept {
    return a.callers_ns != 0 ? a.callers_ns : a.read_ns;
  }
  void settle_losses(int actor);
  void look_at_calls();
  [[nodiscard]] bool can_be_had(shm::SlotWords words, std::uint64_t by) const noexcept;
  [[nodiscard]] bool is_beyond(shm::SlotWords words, const Actor& a,
                               std::uint64_t now_ns) const noexcept;
  void check_one_member(std::uint64_t identity, std::size_t index);
  void on_member_lost(int actor, shm::SlotWords from, shm::SlotWords to);
  void on_member_written(int actor, shm::SlotWords from, shm::SlotWords to);
  void count_transition(int actor, shm::SlotWords from, shm::SlotWords to);

  TokenBucket bucket_;
  bool evicts_;
  std::uint64_t now_ns_;
  std::array<shm::SlotWords, kSlots> slots_{};
  std::array<Account, kIdentities> accounts_{};
  std::array<Actor, kActorsMax> actors_{};
  std::vector<Admission> admissions_;
  std::string violation_;
  bool may_give_up_ = false;
};

}  // namespace rl::test
