#include <algorithm>
#include <utility>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// Returns the limits that were on trial before a change, and are no more: it ended that.
std::string ended_trials(const std::vector<PolicyInfo>& before,
                         const std::vector<PolicyInfo>& after = {}) {
  std::vector<std::string> ended;
  for (const PolicyInfo& was : before) {
    const auto goes_on = [&](const PolicyInfo& is) { return is.candidate_id == was.candidate_id; };
    if (was.candidate && std::none_of(after.begin(), after.end(), goes_on))
      ended.push_back(was.candidate->to_string());
  }
  return fmt::format("{}", fmt::join(ended, ", "));
}

/// Prints what a name stands for now, and what it stood for before.
void say_what_is(const Arguments& arguments, const Segment& segment,
                 const std::vector<PolicyInfo>& before) {
  const std::string& name = arguments.text(Arg::policy);
  const std::vector<PolicyInfo> after = policies_of(segment, name);
  const std::string ended = ended_trials(before, after);
  if (arguments.has(Arg::json)) {
    for (const PolicyInfo& policy : after) {
      Json object = json_of(policy);
      if (!ended.empty()) object["trial_ended"] = ended;
      put_json(object);
    }
    return;
  }
  const std::string is = text_of(after);
  const std::string was = text_of(before);
  put(fmt::format("policy {} is {}{}{}\n", escape(name), is,
                  was.empty() || was == is ? "" : fmt::format("; it was {}", was),
                  no_longer_on_trial(ended)));
  if (!before.empty() && before.size() < after.size())
    put("programs that run ask for what the list has more when they start anew\n");
}

}  // namespace

namespace {

/// Refuses to take a part out of the middle of a list: nobody would ask for what comes after it.
void check_leaves_no_hole(const Segment& segment, const std::string& name) {
  const std::string list_name = name.substr(0, name.rfind('#'));
  const std::vector<PolicyInfo> list = policies_of(segment, list_name);
  for (std::size_t i = 1; i + 1 < list.size(); ++i) {  // the first is the list, and goes with it
    if (list[i].name != name) continue;
    throw Error(
        Errc::bad_option,
        fmt::format("{}: policy \"{}\" is in the middle of list \"{}\" ({}), and what "
                    "comes after it would limit nobody; put the list that is to be in force "
                    "(rlctl policy set {} {} LIMIT), or remove the last of it first",
                    segment.path(), name, list_name, text_of(list), segment.name(), list_name));
  }
}

/// Errors: Error (unknown_policy) for a name that never was there.
int say_was_removed(const Arguments& arguments, const Segment& segment, const std::string& name) {
  (void)segment.history(name);
  if (arguments.has(Arg::json)) {
    put_json(Json{{"policy", escape(name)}, {"removed", false}});
  } else {
    put(fmt::format("policy {} was removed before\n", escape(name)));
  }
  return 0;
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
  const std::string& name = arguments.text(Arg::policy);
  const std::vector<PolicyInfo> before = must_have(segment, name);
  EntryCount entries = entries_of(segment, arguments.has(Arg::any_owner));
  for (const PolicyInfo& policy : before)
    if (policy.limit && policy.limit->shadow() != watches)
      entries.set_policy(policy.name, policy.limit->shadow(watches));
  entries.check_room(segment.path());
  (void)change_each(segment, name, [&](const std::string& policy, std::size_t i) {
    if (i >= before.size() || !before[i].limit) return false;
    segment.set_policy(policy, before[i].limit->shadow(watches));
    return true;
  });
  say_what_is(arguments, segment, before);
  return 0;
}

int policy_remove(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  Segment segment = open_to_write(arguments);
  if (policies_of(segment, name).empty()) return say_was_removed(arguments, segment, name);
  const std::vector<PolicyInfo> before = must_have(segment, name);
  check_leaves_no_hole(segment, name);
  // From the end, so that who is stopped on the way can say it again.
  for (std::size_t i = before.size(); i-- > 0;) (void)segment.remove_policy(before[i].name);
  const std::string ended = ended_trials(before);
  if (arguments.has(Arg::json)) {
    Json object{{"policy", escape(name)}, {"removed", true}, {"policy_limit", text_of(before)}};
    if (!ended.empty()) object["trial_ended"] = ended;
    put_json(object);
  } else {
    put(
        fmt::format("policy {} is removed, and calls pass, until it is set or a program that asks "
                    "for it starts; it was {}{}\n",
                    escape(name), text_of(before), no_longer_on_trial(ended)));
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
