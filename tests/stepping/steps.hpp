/// \file
/// A small language of operations: what a process does, as a value. The library performs it
/// (Actor), a model of one sentence a line foretells it (Model), and the two are compared.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "shm/mapping.hpp"

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
/// Says which algorithm the next segments have; this process and those that it forks then know.
void step_under(Algorithm algorithm);

/// The key's hash under the policy "api".
shm::KeyHash hash_of(const shm::Mapping& mapping, char key);

/// Returns the tokens that the key owes, as the table has it.
std::uint64_t owed(const shm::Mapping& mapping, char key, std::uint64_t now_ns);

/// Performs steps through handles of its own, as another process would.
class Actor {
 public:
  explicit Actor(const std::string& segment);
  Outcome act(const Step& step);
  [[nodiscard]] const shm::Mapping& mapping() const noexcept { return raw_; }
  /// Opens a handle anew, whose first decision looks at clock and name.
  void reopen();
  /// Asks the segment which policy is in force, whatever it knew.
  void bind_anew();
  [[nodiscard]] std::uint64_t now_ns() const;

 private:
  void reap();
  void die_inserting(char key, bool last);
  void publish(char key);
  void change();

  std::string name_;
  Segment segment_;
  Limiter api_;
  shm::Mapping raw_;
  Decision first_;  ///< that was admitted
};

/// What steps do when they come one after the other.
class Model {
 public:
  Outcome act(const Step& step);
  /// The key's slot is taken from it.
  void evict(char key) { tat_ns_[key] = fading_ns_[key] = 0; }
  [[nodiscard]] std::uint64_t owed(char key) const;
  /// All keys that owe something, but for one.
  [[nodiscard]] std::set<char> debtors(char but) const;
  [[nodiscard]] const std::map<char, std::uint64_t>& keys() const noexcept { return tat_ns_; }

 private:
  /// The first call on a key that was admitted.
  struct First {
    std::uint64_t cost_ns;
    std::uint64_t charged_ns;  ///< the TAT after it; 0 when its window is over
  };
  Outcome decide(const Step& step);
  void give_back(char key, std::uint64_t most_ns);
  [[nodiscard]] std::uint64_t debt_ns(char key) const;
  [[nodiscard]] std::uint64_t left(char key) const;

  std::uint64_t now_ns_ = 0;
  void advance(std::uint64_t ns);
  std::map<char, std::uint64_t> tat_ns_;
  std::map<char, std::uint64_t>
      fading_ns_;  ///< of a sliding window: of that, what is of the one before
  std::map<char, First> first_;
};

}  // namespace rl::test
