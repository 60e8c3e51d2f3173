/// \file
/// A small language of operations: what a process does, as a value. The library performs it
/// (Actor), a model of one sentence a line foretells it (model.hpp), and the two are compared.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "src/core.hpp"
#include "src/sweep.hpp"

namespace rl::test {

/// One operation. Keys are letters.
struct Step {
  enum Kind : std::uint8_t {
    acquire,
    peek,
    reset,
    reset_all,
    reap,           ///< frees every slot that is idle
    advance,        ///< moves the manual clock by `amount` intervals
    die_inserting,  ///< claims a slot for the key and does no more: the first (0) or the last (1)
                    ///< free one of its list
    publish,        ///< makes a policy, named after the key
    change,         ///< puts another limit in force, under which tokens are the same
    refund,         ///< gives back the first call on the key that was admitted, of cost `amount`
    charge,
    reserve,  ///< with all patience
    settle,   ///< of the first call on the key that was admitted, which cost `amount` in truth
    set_remaining,
    batch,        ///< as acquire, in a batch of one key
    acquire_at,   ///< as acquire, with the segment's time read before
    acquire_for,  ///< as acquire, with no time to wait
    all_of,       ///< charges the key and kPartner together; both remainders in one outcome
    ban,          ///< for `amount` intervals but a second, or for ever
    unban,
    allow,
    disallow,
    set_override,  ///< a limit that lets twice as many pass at once, and refills as the other
    unset_override,
    begin_trial,  ///< of that limit beside the one in force
    load,         ///< as from a dump: the key owes `amount` tokens, whatever it owes now
    read_events,  ///< all, and says so
    spoil,        ///< makes the first free slot of the key's list a corrupt one
    mend,         ///< frees every slot that is corrupt, as a repair; whether there was one
    lease,        ///< a call of cost 1 with a lease of `amount` tokens: the actor has one at most
    give_back,    ///< ends that lease; what was left of it is what is left
  } kind;
  char key = 'k';
  std::uint64_t amount = 1;
};
using Script = std::vector<Step>;

struct Outcome {
  bool allowed = false;
  Reason reason = Reason::ok;
  std::uint64_t remaining = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

/// The same key as a limit on trial has it.
constexpr char on_trial(char key) {
  return static_cast<char>(key ^ '\x80');
}
constexpr bool is_on_trial(char key) {
  return (key & '\x80') != 0;
}

/// What a spoilt slot holds: no identity, and yet not nothing. No other step leaves such words.
inline constexpr shm::SlotWords kCorrupt{shm::make_tag(0, 7), 3};

/// The amount of a ban that does not end.
inline constexpr std::uint64_t kForEver = 0;

/// Whether a step is told how it was decided.
bool decides(const Step& step);
/// Whether a step may give its key a slot.
bool inserts(const Step& step);
/// The key that all_of asks for, too.
inline constexpr char kPartner = 'l';
/// In the outcome of all_of the partner's remainder is counted in these.
inline constexpr std::uint64_t kPartnersUnit = 16;

std::string to_string(const Step& step);
std::string to_string(const Outcome& outcome);

/// The limit of a stepped segment: slow, so that no real clock refills a token meanwhile. Five
/// calls pass at once, whatever the algorithm; of buckets one comes back each day, of windows all.
inline constexpr std::uint64_t kBurst = 5;
inline constexpr std::uint64_t kIntervalNs = 86'400'000'000'000;
Limit stepped_limit();
Limit stepped_override();
/// What is acquired of a counter is added, for less than an interval; what is left is what it counts.
inline constexpr std::uint64_t kExpiryNs = kIntervalNs - 1'000'000'000;
/// How long a lease lasts: what is over is so when an interval is.
inline constexpr std::uint64_t kLeaseNs = kIntervalNs - 1'000'000'000;
/// Says which algorithm the next segments have; this process and those that it forks then know.
/// `bans`: kDenials denials ban a key for an interval but a second.
void step_under(Algorithm algorithm, bool bans);
bool stepped_limit_bans();
inline constexpr std::uint64_t kDenials = 3;
inline constexpr std::uint64_t kBanNs = kIntervalNs - 1'000'000'000;
Algorithm stepped_algorithm();

/// The key's hash under the policy "api", or under its candidate.
shm::KeyHash hash_of(const shm::Mapping& mapping, char key);

/// Where a key stands, and the tokens that it owes: as of now, of a ban that does so at its end.
struct Stand {
  enum Kind : std::uint8_t { limit, ban, allow } kind = limit;
  bool is_overridden = false;  ///< or comes back to an override
  std::uint64_t until_ns = 0;  ///< of a ban
  std::uint64_t owed = 0;

  /// Whether the key's slot is nobody else's to take, whatever the key owes.
  [[nodiscard]] bool stays() const noexcept { return kind != limit || is_overridden; }
  [[nodiscard]] bool is_any() const noexcept { return stays() || owed != 0; }
  friend bool operator==(const Stand&, const Stand&) = default;
};
std::string to_string(const Stand& stand);

/// Returns how the table has it.
Stand stand_of(const shm::Mapping& mapping, char key, std::uint64_t now_ns);

/// Performs steps through handles of its own, as another process would.
class Actor {
 public:
  explicit Actor(const std::string& segment);
  Outcome act(const Step& step);
  /// Makes what a step needs that allocates.
  void get_ready(const Step& step);
  /// Returns what a step changes of this actor in its own memory: the lease, of which no part is
  /// anywhere else.
  [[nodiscard]] std::span<char> own_memory() noexcept {
    return {reinterpret_cast<char*>(&lease_), sizeof lease_};
  }
  [[nodiscard]] const shm::Mapping& mapping() const noexcept { return view_.mapping; }
  /// Opens a handle anew, whose first decision looks at clock and name.
  void reopen();
  /// Asks the segment which policy is in force, whatever it knew.
  void bind_anew();
  [[nodiscard]] std::uint64_t now_ns() const;

 private:
  void take_a_stripe();
  void die_inserting(char key, bool last);
  void put_in_free(char key, shm::SlotWords words, bool last);
  bool mend();
  void publish(char key);
  void change();
  Outcome load(std::string_view key, std::uint64_t tokens);
  Outcome add(std::string_view key, std::uint64_t amount);
  Binding binding();

  std::string name_;
  Segment segment_;
  Limiter api_;
  View view_;
  Sweep sweep_{view_, 0};
  Decision first_;  ///< that was admitted
  std::optional<TokenLease> lease_;
};

}  // namespace rl::test
