/// \file
/// The difference between a segment and a file of limits, as changes to be made one after the other.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <rl/rl.hpp>

#include "src/entries.hpp"
#include "tools/rlctl/limits_file.hpp"

namespace rl::ctl {

/// One difference between a segment and a file.
struct Step {
  std::string what;    ///< "policy api"
  std::string before;  ///< empty: nothing
  std::string after;   ///< empty: nothing
  std::function<void(Segment&)> make;
};

/// Compares a segment, if there is one, with a file. Everything that can be foreseen is refused here,
/// before anything is changed; what rivals change meanwhile cannot.
class Plan {
 public:
  /// Without a segment: as one would be made by the file. `prunes` takes away what the file does not
  /// name. Errors: Error with the line of the file that cannot be made so, or without one.
  Plan(const LimitsFile& file, Segment* segment, bool any_owner, bool prunes);
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }
  /// What differs and stays: sentences for people.
  [[nodiscard]] const std::vector<std::string>& stays() const { return stays_; }

 private:
  using Named = std::tuple<std::string, std::string, Standing>;  // policy, key, and how it stands
  using Make = std::function<void(Segment&)>;

  void look();
  void name_all();
  KeyInfo& key_of(const std::string& policy, const std::string& key);
  void compare(const WantedPolicy& wanted);
  void shorten(const WantedPolicy& wanted);
  void compare_limit(const WantedPolicy& wanted, const std::string& name, const Limit& limit);
  void check_limit(const WantedPolicy& wanted, const std::string& name, const Limit& limit) const;
  void compare_override(const std::string& policy, const std::string& key, const Limit& limit);
  void compare_allow(const std::string& policy, const WantedStanding& wanted);
  void compare_ban(const std::string& policy, const WantedStanding& wanted);
  void shorten_ban(const std::string& policy, const WantedStanding& wanted);
  [[nodiscard]] std::string text_of_ban(const KeyInfo& is) const;
  [[nodiscard]] std::string no_longer_on_trial(const std::string& policy) const;
  void remove_policy(const std::string& name);
  void prune_keys();
  void prune_key(const std::string& policy, const std::string& key);
  void prune_policies();
  void set_own_limit(KeyInfo& is, const std::string& policy, const std::optional<Limit>& limit);
  void change_key(std::string_view kind, const std::string& policy, const std::string& key,
                  std::string before, std::string after, Make make);
  void check_room() const;

  const LimitsFile& file_;
  Segment* segment_;
  std::map<std::string, Limit> policies_;                        ///< as the steps so far leave them
  std::map<std::pair<std::string, std::string>, KeyInfo> keys_;  ///< by policy and key; likewise
  std::uint64_t room_for_keys_;
  std::map<std::string, Limit> candidates_;  ///< on trial, in the segment
  bool prunes_;
  Instant now_{};
  std::set<std::string> named_;
  std::set<Named> named_keys_;
  std::vector<Step> steps_;
  std::vector<std::string> stays_;
  EntryCount entries_;
};

}  // namespace rl::ctl
