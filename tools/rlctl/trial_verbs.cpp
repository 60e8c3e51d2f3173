#include "tools/rlctl/common.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

Error no_trial(const Segment& segment, const std::string& name) {
  return {Errc::unknown_policy,
          fmt::format("{}: policy \"{}\" has no candidate; try one with `rlctl policy trial {} {} "
                      "LIMIT`",
                      segment.path(), name, segment.name(), name)};
}

/// A policy with a limit on trial.
struct Trial {
  std::string policy;
  Comparison what;
};

/// Returns those of policies that have one.
std::vector<Trial> trials_of(const Segment& segment, const std::vector<PolicyInfo>& policies) {
  std::vector<Trial> trials;
  for (const PolicyInfo& policy : policies)
    if (auto what = segment.compare(policy.name)) trials.push_back({policy.name, *what});
  return trials;
}

/// Returns those that a name stands for: of a list, of each limit that has one on trial. Errors: Error
/// (unknown_policy) when there is no such policy, or no trial.
std::vector<Trial> must_compare(Segment& segment, const std::string& name) {
  std::vector<Trial> trials = trials_of(segment, must_have(segment, name));
  if (trials.empty()) throw no_trial(segment, name);
  return trials;
}

/// Returns the limits of trials as text, with commas: those in force, or those on trial.
std::string limits_of(const std::vector<Trial>& trials, Limit Comparison::*which) {
  std::vector<std::string> texts;
  for (const Trial& trial : trials) texts.push_back((trial.what.*which).to_string());
  return fmt::format("{}", fmt::join(texts, ", "));
}

int end_trial(const Arguments& arguments, Segment& segment) {
  const std::string& name = arguments.text(Arg::policy);
  const std::vector<PolicyInfo> parts = must_have(segment, name);
  const std::vector<Trial> ended = trials_of(segment, parts);
  bool changed = false;
  for (const Trial& trial : ended) changed |= segment.clear_candidate(trial.policy);
  if (arguments.has(Arg::json)) {
    for (const PolicyInfo& part : parts) {
      const bool had_one = std::any_of(ended.begin(), ended.end(), [&](const Trial& trial) {
        return trial.policy == part.name;
      });
      put_json(Json{{"policy", escape(part.name)},
                    {"policy_limit", text_of({part})},
                    {"candidate", nullptr},
                    {"changed", changed && had_one}});
    }
  } else {
    put(fmt::format(
        "policy {} is {}; {}\n", escape(name), text_of(parts),
        changed ? fmt::format("{} is no longer on trial", limits_of(ended, &Comparison::candidate))
                : "nothing was on trial beside it"));
  }
  return 0;
}

}  // namespace

int policy_trial(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  const std::string& text = arguments.text(Arg::limit);
  Segment segment = open_to_write(arguments);
  if (text == "off") return end_trial(arguments, segment);
  const Limits limits = Limits::parse(text);
  const std::vector<PolicyInfo> parts = must_have(segment, name);
  check_as_many(name, parts, limits);
  const std::vector<Trial> before = trials_of(segment, parts);
  EntryCount entries = entries_of(segment, arguments.has(Arg::any_owner));
  for (std::size_t i = 0; i < parts.size(); ++i) entries.begin_trial();
  entries.check_room(segment.path());
  (void)change_each(segment, name, [&](const std::string& policy, std::size_t i) {
    segment.set_candidate(policy, limits[i]);
    return true;
  });
  const std::vector<Trial> begun = must_compare(segment, name);
  if (arguments.has(Arg::json)) {
    for (const Trial& trial : begun) {
      Json object{{"policy", escape(trial.policy)},
                  {"policy_limit", trial.what.live.to_string()},
                  {"candidate", trial.what.candidate.to_string()}};
      for (const Trial& was : before)
        if (was.policy == trial.policy) object["trial_ended"] = was.what.candidate.to_string();
      put_json(object);
    }
  } else {
    put(fmt::format("policy {} is {}, and {} is on trial beside it{}\n", escape(name),
                    limits_of(begun, &Comparison::live), limits_of(begun, &Comparison::candidate),
                    no_longer_on_trial(limits_of(before, &Comparison::candidate))));
  }
  return 0;
}

namespace {

void put_comparison(const Arguments& arguments, const SegmentInfo& info, const Trial& trial) {
  const Comparison& c = trial.what;
  const TrialRow rows[] = {{"in force", c.live, c.by_live},
                           {"on trial", c.candidate, c.by_candidate}};
  if (arguments.has(Arg::json)) {
    Json object{{"policy", escape(trial.policy)}, {"since", iso_time(c.since)},
                {"creator_uid", c.creator_uid},   {"live", json_of(rows[0])},
                {"candidate", json_of(rows[1])},  {"keys_denied", c.keys_denied}};
    add_off(object, info);
    put_json(object);
    return;
  }
  put_rows<TrialRow>(
      [&](const auto& visit) {
        for (const TrialRow& row : rows) visit(row);
      },
      false, info);
  put(fmt::format("since {}, by uid {}; keys that the one on trial would have denied: {}\n",
                  iso_time(c.since), c.creator_uid, c.keys_denied));
}

}  // namespace

int policy_compare(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  Segment segment = open_to_read(arguments);
  const SegmentInfo info = segment.info();
  const std::vector<Trial> trials = must_compare(segment, name);
  const bool names_them = must_have(segment, name).size() > 1 && !arguments.has(Arg::json);
  for (const Trial& trial : trials) {
    if (names_them) put(fmt::format("{}:\n", escape(trial.policy)));
    put_comparison(arguments, info, trial);
  }
  return 0;
}

int policy_promote(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  const Spent spent = spent_of(arguments);
  Segment segment = open_to_write(arguments);
  const std::vector<Trial> trials = must_compare(segment, name);
  const std::string before = text_of(must_have(segment, name));
  EntryCount entries = entries_of(segment, arguments.has(Arg::any_owner));
  for (const Trial& trial : trials) entries.set_policy(trial.policy, trial.what.candidate);
  entries.check_room(segment.path());
  (void)change_each(segment, name, [&](const std::string& policy, std::size_t) {
    const bool is_tried = segment.compare(policy).has_value();
    if (is_tried) segment.promote_candidate(policy, spent);
    return is_tried;
  });
  const std::vector<PolicyInfo> after = must_have(segment, name);
  if (arguments.has(Arg::json)) {
    for (const PolicyInfo& policy : after)
      put_json(Json{{"policy", escape(policy.name)}, {"policy_limit", policy.limit->to_string()}});
  } else {
    put(fmt::format("policy {} is {}; it was {}\n", escape(name), text_of(after), before));
  }
  return 0;
}

}  // namespace rl::ctl
