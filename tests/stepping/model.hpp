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
  [[nodiscard]] bool has_trial() const noexcept { return has_trial_; }
  /// The key's slot is taken from it. Requires one that does not stay.
  void evict(char key) { keys_[key] = {}; }
  [[nodiscard]] Stand stand_of(char key) const;
  /// All keys whose slots are not to be had for nothing, but for one.
  [[nodiscard]] std::set<char> occupants(char but) const;
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
  };
  /// The first call on a key that was admitted.
  struct First {
    std::uint64_t cost_ns;
    std::uint64_t charged_ns;  ///< the TAT after it; 0 when its window is over
    bool is_overridden;
  };

  Outcome act_on_one(const Step& step);
  Outcome decide(const Step& step);
  Outcome decide_apart(const Step& step);
  void advance(std::uint64_t ns);
  void give_back(char key, std::uint64_t most_ns);
  void forget(Key& key);
  bool ban(Key& key, std::uint64_t intervals);
  bool allow(Key& key);
  bool come_back(Key& key, Stand::Kind from, std::uint64_t over_ns);
  void load(Key& key, std::uint64_t tokens);

  [[nodiscard]] std::uint64_t debt_ns(const Key& key) const;
  [[nodiscard]] std::uint64_t left(const Key& key) const;

  std::uint64_t now_ns_ = 0;
  bool has_trial_ = false;
  std::map<char, Key> keys_;
  std::map<char, First> first_;
};

}  // namespace rl::test
