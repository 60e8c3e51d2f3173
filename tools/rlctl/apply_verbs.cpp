// Limits from a file and into one: what the difference is, and making it so.
#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <tuple>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/input.hpp"
#include "tools/rlctl/limits_file.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

using std::chrono::system_clock;

/// One difference between a segment and a file.
struct Step {
  std::string what;    ///< "policy api"
  std::string before;  ///< empty: nothing
  std::string after;   ///< empty: nothing
  std::function<void(Segment&)> make;
};

std::string text_of(const Step& step) {
  if (step.before.empty()) return fmt::format("+ {}: {}\n", step.what, step.after);
  if (step.after.empty()) return fmt::format("- {}: {}\n", step.what, step.before);
  return fmt::format("~ {}: {} -> {}\n", step.what, step.before, step.after);
}

Json json_of(const Step& step) {
  return {{"what", step.what}, {"before", step.before}, {"after", step.after}};
}

/// Compares a segment, if there is one, with a file. Everything that can be refused is refused here,
/// before anything is changed.
class Plan {
 public:
  Plan(const LimitsFile& file, Segment* segment, bool prunes) : file_(file), segment_(segment) {
    if (segment != nullptr) look();
    for (const WantedPolicy& wanted : file.policies) compare(wanted);
    if (prunes) prune();
    check_room();
  }
  [[nodiscard]] const std::vector<Step>& steps() const { return steps_; }

 private:
  using Key = std::tuple<std::string, std::string, Standing>;  // policy, key, and how it stands

  void look() {
    for (const PolicyInfo& policy : segment_->policies())
      if (policy.limit) policies_.emplace(policy.name, *policy.limit);
    now_ = segment_->now();
  }

  /// Returns where a key stands; found by its hash, so its text need not be known.
  [[nodiscard]] KeyInfo now_of(const std::string& policy, const std::string& key) const {
    const auto found = segment_ != nullptr ? segment_->find(policy, key) : std::nullopt;
    return found ? *found : KeyInfo{};
  }

  void compare(const WantedPolicy& wanted) {
    for (std::size_t i = 0; i < wanted.limits.size(); ++i)
      compare_limit(wanted, Limiters::policy(wanted.name, i), wanted.limits[i]);
    // What was a longer list.
    const bool is_list = wanted.limits.size() > 1;
    for (std::size_t i = wanted.limits.size(); is_list && i < Limits::kMax; ++i) {
      const std::string name = Limiters::policy(wanted.name, i);
      const bool is_named = std::any_of(file_.policies.begin(), file_.policies.end(),
                                        [&](const auto& other) { return other.name == name; });
      if (!is_named) remove_policy(name);
    }
    for (const WantedStanding& standing : wanted.standings) compare_standing(wanted, standing);
  }

  void compare_limit(const WantedPolicy& wanted, const std::string& name, const Limit& limit) {
    named_.insert(name);
    const auto at = policies_.find(name);
    if (at != policies_.end() && at->second == limit) return;
    if (at != policies_.end() &&
        gives_permits(at->second.algorithm()) != gives_permits(limit.algorithm())) {
      throw file_.error_at(wanted.line,
                           fmt::format("policy {} is {} in the segment, and calls do not become "
                                       "permits, nor permits calls",
                                       escape(name), at->second.to_string()));
    }
    steps_.push_back(
        {fmt::format("policy {}", escape(name)),
         at != policies_.end() ? at->second.to_string() : "", limit.to_string(),
         [=, spent = wanted.spent](Segment& segment) { segment.set_policy(name, limit, spent); }});
    ++entries_;
  }

  void compare_standing(const WantedPolicy& policy, const WantedStanding& wanted) {
    named_keys_.emplace(policy.name, wanted.key, wanted.standing);
    const KeyInfo is = now_of(policy.name, wanted.key);
    const std::string name = policy.name;
    const auto add = [&](std::string_view kind, std::string before, std::string after, auto make) {
      steps_.push_back({fmt::format("{} {} {}", kind, escape(name), escape(wanted.key)),
                        std::move(before), std::move(after), make});
      ++entries_;
    };
    switch (wanted.standing) {
      case Standing::override_:
        if (is.own_limit == wanted.limit) return;
        add("override", is.own_limit ? is.own_limit->to_string() : "", wanted.limit->to_string(),
            [=, key = wanted.key, limit = *wanted.limit](Segment& s) {
              s.set_override(name, key, limit);
            });
        return;
      case Standing::allow:
        if (is.standing == Standing::allow) return;
        add("allow", "", wanted.reason.empty() ? "always" : wanted.reason,
            [=, key = wanted.key, reason = wanted.reason](Segment& s) {
              s.allow(name, key, reason);
            });
        return;
      case Standing::ban:
        compare_ban(name, wanted, is, add);
        return;
      case Standing::none:
        return;
    }
  }

  /// A ban ends at an instant of wall time, so that it ends no later when the file is applied again.
  template <class Add>
  void compare_ban(const std::string& name, const WantedStanding& wanted, const KeyInfo& is,
                   Add&& add) {
    using std::chrono::nanoseconds;
    // A file has whole seconds, and a ban ends at a tick of the segment's clock.
    constexpr auto kSlack = std::chrono::seconds(2);
    const bool is_banned = is.standing == Standing::ban;
    if (is.standing == Standing::allow) {
      throw file_.error_at(wanted.line, fmt::format("key \"{}\" is on the allow-list of the "
                                                    "segment; disallow it first",
                                                    escape(wanted.key)));
    }
    if (is_banned && is.until == Instant::max()) return;
    nanoseconds length = kNever;
    if (wanted.until) {
      length = *wanted.until - system_clock::now();
      if (length <= nanoseconds(0)) return;  // it would be over
      if (length > std::chrono::hours(24 * 365 * 73))
        throw file_.error_at(wanted.line,
                             "a ban lasts no longer than 73 years; or leave until out");
      if (is_banned && is.until - now_ + kSlack >= length) return;
    }
    const std::string until = wanted.until ? "until " + iso_time(*wanted.until) : "for ever";
    add("ban", is_banned ? "a shorter one" : "",
        wanted.reason.empty() ? until : fmt::format("{} ({})", until, wanted.reason),
        [length, name, key = wanted.key, reason = wanted.reason](Segment& s) {
          s.ban(name, key, length, reason);
        });
  }

  void remove_policy(const std::string& name) {
    const auto at = policies_.find(name);
    if (at == policies_.end()) return;
    steps_.push_back({fmt::format("policy {}", escape(name)), at->second.to_string(), "",
                      [name](Segment& segment) { segment.remove_policy(name); }});
    ++entries_;
    policies_.erase(at);
  }

  /// Takes away what the file does not name. (Keys whose text nobody knows stay: the file could not
  /// name them.)
  void prune() {
    if (segment_ != nullptr) {
      for (const StandingInfo& info : segment_->standings()) prune(info);
    }
    std::vector<std::string> unnamed;
    for (const auto& [name, limit] : policies_)
      if (named_.count(name) == 0) unnamed.push_back(name);
    for (const std::string& name : unnamed) remove_policy(name);
  }

  void prune(const StandingInfo& info) {
    if (!info.key || info.key_truncated) return;
    const std::string name = info.policy;
    const std::string key = *info.key;
    const auto is_named = [&](Standing standing) {
      return named_keys_.count({name, key, standing}) != 0;
    };
    const auto take = [&](std::string_view kind, std::string before, auto make) {
      steps_.push_back(
          {fmt::format("{} {} {}", kind, escape(name), escape(key)), std::move(before), "", make});
    };
    if (info.standing == Standing::ban && !is_named(Standing::ban))
      take("ban", "set", [=](Segment& s) { s.unban(name, key); });
    if (info.standing == Standing::allow && !is_named(Standing::allow))
      take("allow", "set", [=](Segment& s) { s.disallow(name, key); });
    if (info.limit && !is_named(Standing::override_))
      take("override", info.limit->to_string(), [=](Segment& s) { s.unset_override(name, key); });
  }

  /// An id is never used twice: what would run out of them half-way is not begun.
  void check_room() const {
    if (segment_ == nullptr) return;
    const SegmentInfo info = segment_->info();
    if (entries_ <= info.policy_room - info.policies) return;
    throw Error(
        Errc::too_many,
        fmt::format("{}: {} changes may take as many policy entries, and {} are left of {}; "
                    "nothing was changed; move it into a segment with more (rlctl dump, "
                    "load --create --policies)",
                    segment_->path(), entries_, info.policy_room - info.policies,
                    info.policy_room));
  }

  const LimitsFile& file_;
  Segment* segment_;
  std::map<std::string, Limit> policies_;
  Instant now_{};
  std::set<std::string> named_;
  std::set<Key> named_keys_;
  std::vector<Step> steps_;
  std::uint32_t entries_ = 0;  ///< that the steps may take
};

std::optional<Segment> open_if_there(const Arguments& arguments, bool reads) {
  try {
    return reads ? open_to_read(arguments) : open_to_write(arguments);
  } catch (const Error& e) {
    if (e.code() != Errc::not_found) throw;
    return std::nullopt;
  }
}

/// What a segment is made with stays; the file may say otherwise.
void say_what_cannot_change(const LimitsFile& file, const Segment& segment) {
  if (!file.segment) return;
  const SegmentInfo info = segment.info();
  if (file.segment->keys != info.keys || file.segment->labels != info.labels) {
    complain(
        fmt::format("{}: has room for {} keys, {} labels; the file says {}, {}, which cannot "
                    "change while it lives: move it with `rlctl dump` and `rlctl load --create`",
                    segment.path(), info.keys, info.labels ? "with" : "without", file.segment->keys,
                    file.segment->labels ? "with" : "without"));
  }
}

/// What can be foreseen was refused before; a table without room, say, cannot.
void make_all(const std::vector<Step>& steps, Segment& segment) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    try {
      steps[i].make(segment);
    } catch (const Error& e) {
      throw Error(e.code(), fmt::format("{}; {} of {} changes were made, up to this one: {}",
                                        e.what(), i, steps.size(), steps[i].what));
    }
  }
}

void report(const Arguments& arguments, const std::vector<Step>& steps, bool made, bool creates) {
  if (arguments.has(Arg::json)) {
    Json changes = Json::array();
    for (const Step& step : steps) changes.push_back(json_of(step));
    put_json(
        Json{{made ? "created" : "creates", creates}, {"applied", made}, {"changes", changes}});
    return;
  }
  if (creates) put(fmt::format("+ segment {}\n", escape(arguments.text(Arg::segment))));
  for (const Step& step : steps) put(text_of(step));
  const std::size_t count = steps.size() + (creates ? 1 : 0);
  if (count == 0) {
    put("nothing to change\n");
  } else {
    put(fmt::format("{}{}\n", counted(count, "change", "changes"),
                    made ? "" : ", none of them made"));
  }
}

}  // namespace

int apply(const Arguments& arguments) {
  const std::string& name = arguments.text(Arg::file);
  const LimitsFile file = parse_limits_file(name, read_whole("FILE", name));
  const bool tries = arguments.has(Arg::dry_run);
  std::optional<Segment> segment = open_if_there(arguments, tries);
  const bool creates = !segment;
  const Plan plan(file, segment ? &*segment : nullptr, arguments.has(Arg::prune));
  if (segment) say_what_cannot_change(file, *segment);
  if (!tries) {
    if (!segment)
      segment =
          Segment::create(arguments.text(Arg::segment), file.segment.value_or(SegmentOptions{}));
    make_all(plan.steps(), *segment);
  }
  report(arguments, plan.steps(), !tries, creates);
  return 0;
}

int export_limits(const Arguments& arguments) {
  Segment segment = open_to_read(arguments);
  std::size_t left_out = 0;
  const std::string text = limits_file_of(segment, left_out);
  if (arguments.has(Arg::json)) {
    put_json(Json::parse(limits_file_as_json(text)));
  } else {
    put(text);
  }
  if (left_out != 0) {
    complain(fmt::format("{} left out, as comments say; `rlctl dump` keeps them",
                         counted(left_out, "thing was", "things were")));
  }
  return 0;
}

}  // namespace rl::ctl
