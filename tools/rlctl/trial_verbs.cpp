#include "tools/rlctl/common.hpp"
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

/// Errors: Error (unknown_policy) when there is no such policy, or no trial.
Comparison must_compare(Segment& segment, const std::string& name) {
  (void)segment.limiter(name);
  if (auto comparison = segment.compare(name)) return *comparison;
  throw no_trial(segment, name);
}

int end_trial(const Arguments& arguments, Segment& segment) {
  const std::string& name = arguments.text(Arg::policy);
  const std::string limit = segment.limiter(name).limit().to_string();
  const std::optional<Comparison> ended = segment.compare(name);
  const bool changed = segment.clear_candidate(name) && ended.has_value();
  if (arguments.has(Arg::json)) {
    put_json(Json{{"policy", escape(name)},
                  {"policy_limit", limit},
                  {"candidate", nullptr},
                  {"changed", changed}});
  } else {
    put(fmt::format("policy {} is {}; {}\n", escape(name), limit,
                    changed ? fmt::format("{} is no longer on trial", ended->candidate.to_string())
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
  const Limit limit = Limit::parse(text);
  const std::optional<Comparison> before = segment.compare(name);
  segment.set_candidate(name, limit);
  const Comparison begun = must_compare(segment, name);
  if (arguments.has(Arg::json)) {
    Json object{{"policy", escape(name)},
                {"policy_limit", begun.live.to_string()},
                {"candidate", begun.candidate.to_string()}};
    if (before) object["trial_ended"] = before->candidate.to_string();
    put_json(object);
  } else {
    put(fmt::format(
        "policy {} is {}, and {} is on trial beside it{}\n", escape(name), begun.live.to_string(),
        begun.candidate.to_string(),
        before ? fmt::format("; no longer on trial: {}", before->candidate.to_string()) : ""));
  }
  return 0;
}

int policy_compare(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  Segment segment = open_to_read(arguments);
  const SegmentInfo info = segment.info();
  const Comparison c = must_compare(segment, name);
  const TrialRow rows[] = {{"in force", c.live, c.by_live},
                           {"on trial", c.candidate, c.by_candidate}};
  if (arguments.has(Arg::json)) {
    Json object{{"policy", escape(name)},        {"since", iso_time(c.since)},
                {"creator_uid", c.creator_uid},  {"live", json_of(rows[0])},
                {"candidate", json_of(rows[1])}, {"keys_denied", c.keys_denied}};
    add_off(object, info);
    put_json(object);
    return 0;
  }
  put_rows<TrialRow>(
      [&](const auto& visit) {
        for (const TrialRow& row : rows) visit(row);
      },
      false, info);
  put(fmt::format("since {}, by uid {}; keys that the one on trial would have denied: {}\n",
                  iso_time(c.since), c.creator_uid, c.keys_denied));
  return 0;
}

int policy_promote(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::policy);
  const Spent spent = spent_of(arguments);
  Segment segment = open_to_write(arguments);
  const Comparison c = must_compare(segment, name);
  segment.promote_candidate(name, spent);
  const Limit limit = segment.limiter(name).limit();
  if (arguments.has(Arg::json)) {
    put_json(Json{{"policy", escape(name)}, {"policy_limit", limit.to_string()}});
  } else {
    put(fmt::format("policy {} is {}; it was {}\n", escape(name), limit.to_string(),
                    c.live.to_string()));
  }
  return 0;
}

}  // namespace rl::ctl
