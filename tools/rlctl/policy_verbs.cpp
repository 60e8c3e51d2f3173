#include <algorithm>
#include <utility>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// Prints what a name stands for now, and what it stood for before.
void say_what_is(const Arguments& arguments, const Segment& segment,
                 const std::vector<PolicyInfo>& before) {
  const std::string& name = arguments.text(Arg::policy);
  const std::vector<PolicyInfo> after = policies_of(segment, name);
  if (arguments.has(Arg::json)) {
    for (const PolicyInfo& policy : after) put_json(json_of(policy));
    return;
  }
  const std::string is = text_of(after);
  const std::string was = text_of(before);
  put(fmt::format("policy {} is {}{}\n", escape(name), is,
                  was.empty() || was == is ? "" : fmt::format("; it was {}", was)));
  if (!before.empty() && before.size() < after.size())
    put("programs that run ask for what the list has more when they start anew\n");
}

}  // namespace

int policy_set(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  const Limits wanted = Limits::parse(arguments.text(Arg::limit));
  const Spent spent = spent_of(arguments);
  Segment segment = open_to_write(arguments);
  const std::vector<PolicyInfo> before = policies_of(segment, name);
  segment.set_policy(name, wanted, spent);
  say_what_is(arguments, segment, before);
  return 0;
}

int policy_shadow(const Arguments& arguments) {
  const bool watches = choice(arguments, Arg::on_off, false, {{"on", true}, {"off", false}});
  Segment segment = open_to_write(arguments);
  const std::vector<PolicyInfo> before = must_have(segment, arguments.text(Arg::policy));
  for (const PolicyInfo& policy : before)
    if (policy.limit) segment.set_policy(policy.name, policy.limit->shadow(watches));
  say_what_is(arguments, segment, before);
  return 0;
}

int policy_remove(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  Segment segment = open_to_write(arguments);
  const std::vector<PolicyInfo> before = must_have(segment, name);
  // From the end, so that who is stopped on the way can say it again.
  for (std::size_t i = before.size(); i-- > 0;) (void)segment.remove_policy(before[i].name);
  if (arguments.has(Arg::json)) {
    put_json(Json{{"policy", escape(name)}, {"removed", true}, {"policy_limit", text_of(before)}});
  } else {
    put(
        fmt::format("policy {} is removed, and calls pass, until it is set or a program that asks "
                    "for it starts; it was {}\n",
                    escape(name), text_of(before)));
  }
  return 0;
}

namespace {

int put_history(const Arguments& arguments, const Segment& segment, const SegmentInfo& info) {
  const bool json = arguments.has(Arg::json);
  const bool is_of_one = arguments.has(Arg::only_policy);
  const std::vector<PolicyInfo> all =
      is_of_one ? segment.history(arguments.text(Arg::only_policy)) : segment.history();
  put_rows<HistoryRow>(
      [&](const auto& visit) {
        for (const PolicyInfo& policy : all) visit({policy});
      },
      json, info);
  if (json) return 0;
  put(fmt::format("{} of {} ids are left; none is used twice\n", info.policy_room - info.policies,
                  info.policy_room));
  return 0;
}

}  // namespace

int policy_list(const Arguments& arguments) {
  Segment segment = open_to_read(arguments);
  const SegmentInfo info = segment.info();
  if (arguments.has(Arg::history)) return put_history(arguments, segment, info);
  const std::vector<PolicyInfo> policies =
      arguments.has(Arg::only_policy) ? must_have(segment, arguments.text(Arg::only_policy))
                                      : segment.policies();
  put_rows<PolicyInfo>(
      [&](const auto& visit) { std::for_each(policies.begin(), policies.end(), visit); },
      arguments.has(Arg::json), info);
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
