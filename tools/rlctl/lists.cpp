#include "tools/rlctl/lists.hpp"

#include <algorithm>

#include "shm/mapping.hpp"
#include "shm/policies.hpp"

#include "src/limit_text.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {

std::set<std::string> names_in_list(const std::string& name) {
  std::set<std::string> names;
  for (std::size_t i = 0; i < Limits::kMax; ++i) names.insert(Limiters::policy(name, i));
  return names;
}

std::vector<PolicyInfo> policies_of(const std::vector<PolicyInfo>& all, const std::string& name) {
  std::vector<PolicyInfo> parts;
  while (parts.size() < Limits::kMax) {
    const std::string part = Limiters::policy(name, parts.size());
    const auto at = std::find_if(all.begin(), all.end(),
                                 [&](const PolicyInfo& policy) { return policy.name == part; });
    if (at == all.end()) break;
    const bool is_alone = at->limit && !takes_calls(at->limit->algorithm());
    if (is_alone && !parts.empty()) break;  // somebody's policy of that name, and no part
    parts.push_back(*at);
    if (is_alone) break;
  }
  return parts;
}

std::vector<PolicyInfo> policies_of(const Segment& segment, const std::string& name) {
  return policies_of(segment.policies(), name);
}

std::vector<PolicyInfo> must_have(Segment& segment, const std::string& name) {
  (void)segment.limiter(name);
  return policies_of(segment, name);
}

bool is_part_of_list(const std::vector<PolicyInfo>& all, const std::string& name) {
  const std::size_t mark = name.rfind('#');
  if (mark == name.npos) return false;
  const std::vector<PolicyInfo> list = policies_of(all, name.substr(0, mark));
  return std::any_of(list.begin(), list.end(),
                     [&](const PolicyInfo& part) { return part.name == name; }) &&
         list.front().name != name;
}

bool is_part_of_list(const Segment& segment, const std::string& name) {
  return is_part_of_list(segment.policies(), name);
}

std::string text_of(const std::vector<PolicyInfo>& policies) {
  std::vector<std::string> texts;
  for (const PolicyInfo& policy : policies)
    texts.push_back(policy.limit ? policy.limit->to_string() : "?");
  return fmt::format("{}", fmt::join(texts, ", "));
}

std::string no_longer_on_trial(const std::string& ended) {
  return ended.empty() ? "" : "; no longer on trial: " + ended;
}

Error not_as_many(const std::string& name, const std::string& have, const Limits& given) {
  return {
      Errc::bad_limit,
      fmt::format("policy {} is {}, and {}: {}; give one for each, with commas", escape(name), have,
                  counted(given.size(), "limit is given", "limits are given"), given.to_string())};
}

void check_as_many(const std::string& name, const std::vector<PolicyInfo>& have,
                   const Limits& given) {
  if (given.size() != have.size()) throw not_as_many(name, text_of(have), given);
  for (const Limit& limit : given) {
    if (given.size() == 1 || takes_calls(limit.algorithm())) continue;
    throw Error(Errc::bad_limit, fmt::format("{}: {}, and is in no list; give limits of calls",
                                             limit.to_string(), why_no_calls(limit.algorithm())));
  }
}

EntryCount entries_of(const Segment& segment, bool any_owner) {
  const shm::Mapping mapping =
      shm::Mapping::attach(segment.path(), shm::Access::read_only, any_owner);
  return EntryCount(shm::PolicyTable(mapping));
}

}  // namespace rl::ctl
