/// \file
/// Which keys `list` shows, and the limits that they are under.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include <rl/segment.hpp>

#include "tools/rlctl/arguments.hpp"
#include "tools/rlctl/where.hpp"

namespace rl::ctl {

/// Reads the limits of policies once for many rows, and again for a policy that is new since. But
/// not for ever: a segment full of ids that no policy has must not cost a walk for each.
class LimitTexts {
 public:
  explicit LimitTexts(const Segment& segment) : segment_(segment) {}
  /// Of a key with an override, that; of one that is banned or allowed, the policy's by its name.
  /// It stays until the next is asked for.
  const std::string& operator[](const KeyInfo& row);

 private:
  const Segment& segment_;
  std::map<std::uint16_t, std::string> texts_;
  std::string own_;
  int walks_left_ = 16;
};

/// --policy, --match and --where: a key is shown that all of them take.
class KeyFilter {
 public:
  /// Errors: not_found for a policy that there is not; bad_option.
  KeyFilter(const Arguments& arguments, std::optional<Where> where, Segment& segment,
            LimitTexts& limits);
  /// What a trial that is over has left is nobody's any more: its slots go as others need them.
  [[nodiscard]] bool takes(const KeyInfo& row);

 private:
  LimitTexts& limits_;
  std::set<std::string> policies_;  ///< of the list that is asked for; none: all
  std::optional<std::string> glob_;
  std::optional<Where> where_;
};

}  // namespace rl::ctl
