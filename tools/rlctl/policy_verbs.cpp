#include <algorithm>
#include <utility>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

[[noreturn]] void refuse_to_change(const Segment& segment, const std::string& name,
                                   const std::string& is, const Limits& wanted) {
  throw Error(Errc::exists,
              fmt::format("{}: policy \"{}\" is {}, not {}, and a limit cannot be changed live "
                          "yet; set another name, or remove the segment and create it anew",
                          segment.path(), name, is, wanted.to_string()));
}

/// Before anything is made, as nothing that was made can be taken away again.
void check_what_stands(const Segment& segment, const std::string& name, const Limits& wanted) {
  const std::vector<PolicyInfo> policies = segment.policies();
  std::vector<std::string> stands;
  bool differs = false;
  for (std::size_t i = 0; i < Limits::kMax; ++i) {
    const std::string part = Limiters::policy(name, i);
    const auto at = std::find_if(policies.begin(), policies.end(),
                                 [&](const PolicyInfo& policy) { return policy.name == part; });
    if (at == policies.end() || !at->limit) break;
    stands.push_back(at->limit->to_string());
    differs |= i >= wanted.size() || *at->limit != wanted[i];
  }
  if (differs) refuse_to_change(segment, name, fmt::format("{}", fmt::join(stands, ", ")), wanted);
}

/// What a limit promises and nothing does yet, so that nobody relies on it.
void warn_of_what_does_not_act(const std::string& name, const Limits& limits) {
  for (const Limit& limit : limits) {
    if (limit.shadow())
      complain(fmt::format("shadow is not acted upon yet: policy {} denies like any other",
                           escape(name)));
  }
}

}  // namespace

int policy_set(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  const Limits wanted = Limits::parse(arguments.text(Arg::limit));
  Segment segment = open_to_write(arguments);
  check_what_stands(segment, name, wanted);
  const Limiters limiters = segment.limiters(name, wanted);
  if (limiters.differs())  // somebody was faster
    refuse_to_change(segment, name, limiters.limits().to_string(), wanted);
  warn_of_what_does_not_act(name, wanted);
  if (!arguments.has(Arg::json)) {
    put(fmt::format("policy {} is {}\n", escape(name), wanted.to_string()));
    return 0;
  }
  const std::vector<PolicyInfo> policies = segment.policies();
  for (std::size_t i = 0; i < limiters.size(); ++i) {
    for (const PolicyInfo& policy : policies)
      if (policy.name == limiters.policy(i)) put_json(json_of(policy));
  }
  return 0;
}

int policy_list(const Arguments& arguments) {
  const std::vector<PolicyInfo> policies = open_to_read(arguments).policies();
  put_rows<PolicyInfo>(
      [&](const auto& visit) { std::for_each(policies.begin(), policies.end(), visit); },
      arguments.has(Arg::json));
  return 0;
}

int explain(const Arguments& arguments) {
  bool is_first = true;
  for (const Limit& limit : Limits::parse(arguments.text(Arg::limit))) {
    if (arguments.has(Arg::json)) {
      put_json(explained_in_json(limit));
    } else {
      if (!std::exchange(is_first, false)) put("\n");
      explain_in_text(limit);
    }
  }
  return 0;
}

}  // namespace rl::ctl
