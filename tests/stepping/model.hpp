/// \file
/// What the steps of steps.hpp do when they come one after the other: one sentence a line.
#pragma once

#include <map>
#include <set>

#include "tests/stepping/steps.hpp"

namespace rl::test {

/// Foretells what steps come to, and where keys stand after them.
class Model {
 public:
  Outcome act(const Step& step);
  /// A call that is denied by a limit that bans does three things, one after the other: it is
  /// decided, counted, and the last of them bans. Only the first is done, until told to go on.
  Outcome act_first_part(const Step& step);
  void go_on();

  [[nodiscard]] bool has_trial() const noexcept { return has_trial_; }
  /// Whether a slot is corrupt, which nobody but a repair may touch.
  [[nodiscard]] bool is_spoilt() const noexcept { return is_spoilt_; }
  /// The key's slot is taken from it. Requires one that does not stay.
  void evict(char key) { keys_[key] = {}; }
  [[nodiscard]] Stand stand_of(char key) const;
  /// All keys whose slots are not to be had for nothing, but for one.
  [[nodiscard]] std::set<char> occupants(char but) const;
  /// Whether a lease of the key is held that is over: the next call gives back what is left of it.
  [[nodiscard]] bool holds_what_is_over(char key) const;
  /// All that were ever asked for.
  [[nodiscard]] std::set<char> keys() const;

 private:
  struct Key {
    std::uint64_t tat_ns = 0;     ///< of one that is put apart: 0
    std::uint64_t fading_ns = 0;  ///< of a sliding window: of that, what is of the one before
    Stand::Kind kind = Stand::limit;
    bool is_overridden = false;
    bool is_on_trial = false;
    std::uint64_t until_ns = 0;  ///< of a ban; of an allow: since when
    std::uint64_t owed = 0;      ///< as of then
    std::uint64_t denials = 0;   ///< since the last ban for them
    std::uint32_t level = 0;     ///< so many such bans
  };
  /// The first call on a key that was admitted.
  struct First {
    std::uint64_t cost_ns;
    std::uint64_t charged_ns;  ///< the TAT after it; 0 when its window is over
    bool is_overridden;
  };

  /// Tokens of a key that were taken ahead.
  struct Lease {
    First taken;  ///< what it cost: all of them
    std::uint64_t until_ns = 0;
    std::uint64_t left = 0;  ///< 0: there is none
    Outcome told;            ///< but for what is left
  };

  Outcome act_on_one(const Step& step);
  Outcome decide(const Step& step);
  Outcome count(const Step& step);
  Outcome lease(const Step& step);
  std::uint64_t end_lease(char key);
  Outcome decide_apart(const Step& step);
  void advance(std::uint64_t ns);
  void give_back(char key, const First& first, std::uint64_t most_ns);
  void forget(Key& key);
  void note_denial(char key);
  bool count_denial(Key& key);
  void ban_for_denials(Key& key, std::uint32_t level);
  bool unban(Key& key);
  bool ban(Key& key, std::uint64_t until_ns);
  bool allow(Key& key);
  bool come_back(Key& key, Stand::Kind from, std::uint64_t over_ns);
  void load(Key& key, std::uint64_t tokens);

  [[nodiscard]] std::uint64_t debt_ns(const Key& key) const;
  [[nodiscard]] std::uint64_t left(const Key& key) const;

  std::uint64_t now_ns_ = 0;
  bool has_trial_ = false;
  bool is_spoilt_ = false;
  bool is_in_parts_ = false;
  enum class Next : std::uint8_t { nothing, count, ban } next_ = Next::nothing;
  char denied_ = 0;  ///< whose denial is to be counted, or to ban
  std::uint32_t level_ = 0;
  std::map<char, Key> keys_;
  std::map<char, First> first_;
  std::map<char, Lease> leases_;
};

}  // namespace rl::test
