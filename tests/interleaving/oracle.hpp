/// \file
/// What must hold at every step, told from the changes of the slots alone: the guarantees S, A and
/// P of shm/table.hpp, with an account of every key's debt that knows nothing of slots.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "shm/slot.hpp"
#include "shm/table.hpp"
#include "src/token_bucket.hpp"

namespace rl::test {

/// What a call got, as its caller is told.
enum class Verdict { allowed, denied, full, gave_up };

/// What was seen to happen: a stress test proves that it stressed.
struct Evidence {
  std::uint64_t calls = 0, admitted = 0, denied = 0, full = 0;
  std::uint64_t accesses = 0, failed_swaps = 0;
  std::uint64_t claims = 0, overwrites = 0, displacements = 0, evictions = 0, withdrawals = 0,
                kills = 0, promotions = 0, promotions_of_others = 0, frees = 0, torn = 0;
  std::uint64_t killed = 0, stopped = 0, left_alone = 0;
  std::uint64_t most_accesses = 0, most_alone = 0;
};

/// Watches one run.
class Oracle {
 public:
  static constexpr int kActorsMax = 4;
  static constexpr std::uint64_t kIdentities = 32;
  static constexpr std::uint16_t kPolicy = 7;
  static constexpr std::uint16_t kStickyPolicy = 9;

  /// A call alone may meet 15 tentatives of its key and defer to each of them, or have to see a
  /// foreign one three times: so many rescans of 16 slots, of two loads each, and some over.
  static constexpr std::uint64_t kAloneMax = 20 * 16 * 2 + 200;
  /// In one try: find 16; scan and choose 32 each; resolve 32, and a swap at 15 of them; six more.
  static constexpr std::uint64_t kAccessesPerTryMax = 16 + 32 + 32 + 32 + 15 + 6;
  static constexpr std::uint64_t kCallMax =
      kAccessesPerTryMax * shm::Table<shm::Slot>::kTriesMax + 8;

  Oracle(const TokenBucket& bucket, std::uint64_t now_ns, Evidence& evidence)
      : seen(evidence), bucket_(bucket), now_ns_(now_ns) {}

  // What the actors do.
  void owes(std::uint64_t identity, std::uint64_t tat_ns) { account(identity).tat_ns = tat_ns; }
  void advance(std::uint64_t ns);
  void begin_call(int actor, std::uint64_t identity, std::uint64_t cost);
  void begin_reset(int actor, std::uint64_t identity) { at(actor).resets = identity; }
  void end_reset(int actor) { at(actor).resets = 0; }
  /// The rules propose this state, reckoned at this instant; a charge, or an idle member.
  void propose(int actor, std::uint64_t at_ns, bool is_charge);
  void before_access(int actor, bool is_alone);
  void on_swap(int actor, std::size_t index, shm::SlotWords from, shm::SlotWords to,
               std::span<const shm::SlotWords> before);
  void on_failed_swap() { ++seen.failed_swaps; }
  void on_evicted(int actor);
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
  struct Actor {
    std::uint64_t identity = 0;  ///< of the key it calls on; 0 outside of calls
    std::uint64_t cost = 0;
    std::uint64_t resets = 0;  ///< the key it resets
    std::uint64_t proposed_at_ns = 0;
    bool proposes_charge = false;
    std::uint64_t charges = 0;
    std::uint64_t lost = 0;  ///< whose debt it took without having said so yet
    bool could_be_denied = false;
    std::uint64_t accesses = 0;
    std::uint64_t accesses_alone = 0;
  };

  [[nodiscard]] Account& account(std::uint64_t identity) { return accounts_.at(identity); }
  [[nodiscard]] Actor& at(int actor) { return actors_.at(static_cast<std::size_t>(actor)); }
  [[nodiscard]] const Actor& at(int actor) const {
    return actors_.at(static_cast<std::size_t>(actor));
  }
  void violated(std::string what);
  void settle_losses(int actor);
  void note_denials();
  void check_one_member(std::uint64_t identity, std::size_t index,
                        std::span<const shm::SlotWords> before);
  void on_member_lost(int actor, shm::SlotWords from, shm::SlotWords to);
  void on_member_written(int actor, shm::SlotWords to);
  void count_transition(int actor, shm::SlotWords from, shm::SlotWords to);

  TokenBucket bucket_;
  std::uint64_t now_ns_;
  std::array<Account, kIdentities> accounts_{};
  std::array<Actor, kActorsMax> actors_{};
  std::vector<Admission> admissions_;
  std::string violation_;
  bool may_give_up_ = false;
};

}  // namespace rl::test
