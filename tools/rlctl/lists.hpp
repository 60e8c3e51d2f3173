/// \file
/// What a policy's name stands for: its limit, or those of its list (rl/limiters.hpp).
#pragma once

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "src/entries.hpp"

namespace rl::ctl {

/// Returns the names that the limits of a list have, if it has as many as it can.
std::set<std::string> names_in_list(const std::string& name);

/// Returns the policies that a name stands for, of `all` in force: its limit, or those of its list.
std::vector<PolicyInfo> policies_of(const std::vector<PolicyInfo>& all, const std::string& name);
/// The same of a segment.
std::vector<PolicyInfo> policies_of(const Segment& segment, const std::string& name);
/// The same. Errors: Error (unknown_policy) when there is none; corrupt for one that is damaged.
std::vector<PolicyInfo> must_have(Segment& segment, const std::string& name);

/// Whether a name is that of one limit of a list, but not of the first: that is the list's.
bool is_part_of_list(const std::vector<PolicyInfo>& all, const std::string& name);
bool is_part_of_list(const Segment& segment, const std::string& name);

/// Returns their limits as text, with commas.
std::string text_of(const std::vector<PolicyInfo>& policies);

/// Returns the end of a sentence that says which limits are on trial no more; empty for none.
std::string no_longer_on_trial(const std::string& ended);

/// Returns an error for a list of limits that is longer or shorter than that of the policy `name`,
/// whose limits are `have`.
Error not_as_many(const std::string& name, const std::string& have, const Limits& given);
/// Errors: that; bad_limit for a concurrency limit among several. Before the first is changed.
void check_as_many(const std::string& name, const std::vector<PolicyInfo>& have,
                   const Limits& given);

/// Returns a count of the policy entries that changes of the segment will take, so that none is begun
/// for which they run out half-way.
EntryCount entries_of(const Segment& segment, bool any_owner);

/// Makes a change of a key under every limit that a policy's name stands for, the first one first:
/// `make(policy, i)` returns whether it changed anything, and so does this. Errors: as make; where
/// some were changed already, that is said.
template <class Make>
bool change_each(const Segment& segment, const std::string& name, Make&& make) {
  // One that is not in force is left to `make`.
  const std::size_t size = std::max<std::size_t>(policies_of(segment, name).size(), 1);
  bool changed = false;
  for (std::size_t i = 0; i < size; ++i) {
    const std::string policy = Limiters::policy(name, i);
    try {
      changed |= make(policy, i);
    } catch (const Error& e) {
      if (i == 0) throw;
      throw Error(e.code(), fmt::format("{}; that is {} of {}, and it was done for those before it",
                                        e.what(), policy, name));
    }
  }
  return changed;
}

}  // namespace rl::ctl
