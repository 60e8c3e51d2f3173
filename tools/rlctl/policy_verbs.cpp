#include <algorithm>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {

int policy_set(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  const Limits wanted = Limits::parse(arguments.text(Arg::limit));
  Segment segment = open_to_write(arguments);
  const Limiters limiters = segment.limiters(name, wanted);
  if (limiters.differs()) {
    throw Error(
        Errc::exists,
        fmt::format("{}: policy \"{}\" is {}, not {}, and a limit cannot be changed live "
                    "yet; set another name, or remove the segment and create it anew",
                    segment.path(), name, limiters.limits().to_string(), wanted.to_string()));
  }
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
  const Limit limit = Limit::parse(arguments.text(Arg::limit));
  if (arguments.has(Arg::json)) {
    put_json(explained_in_json(limit));
  } else {
    explain_in_text(limit);
  }
  return 0;
}

}  // namespace rl::ctl
