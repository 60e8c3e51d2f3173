#include "tools/rlctl/key_filter.hpp"

#include <fmt/format.h>

#include <rl/rl.hpp>

#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

void check_that_there_are_labels(const Segment& segment, Arg arg) {
  if (segment.vitals().labels) return;
  throw Error(Errc::bad_option,
              fmt::format("{}: keeps no labels, so no key can match; leave "
                          "{} out",
                          segment.path(),
                          arg == Arg::where ? "the key out of --where, or that" : spelling(arg)));
}

}  // namespace

const std::string& LimitTexts::operator[](const KeyInfo& row) {
  if (row.own_limit) return own_ = row.own_limit->to_string();
  const auto [at, is_new] = texts_.try_emplace(row.policy_id);
  if (is_new && walks_left_ > 0) {
    --walks_left_;
    for (const PolicyInfo& policy : segment_.policies()) {
      if (policy.candidate) texts_[policy.candidate_id] = policy.candidate->to_string();
      if (!policy.limit) continue;
      texts_[policy.id] = policy.limit->to_string();
      if (policy.name == row.policy && row.standing != Standing::none)
        at->second = policy.limit->to_string();
    }
  }
  return at->second;
}

KeyFilter::KeyFilter(const Arguments& arguments, std::optional<Where> where, Segment& segment,
                     LimitTexts& limits)
    : limits_(limits), where_(std::move(where)) {
  if (arguments.has(Arg::only_policy)) {
    const std::string& name = arguments.text(Arg::only_policy);
    (void)segment.limiter(name);  // throws for an unknown one
    policies_ = names_in_list(name);
  }
  if (arguments.has(Arg::match)) {
    check_that_there_are_labels(segment, Arg::match);
    glob_ = arguments.text(Arg::match);
  }
  if (where_ && where_->asks_for(KeyField::key)) check_that_there_are_labels(segment, Arg::where);
}

bool KeyFilter::takes(const KeyInfo& row) {
  if (row.part == SlotPart::candidate && limits_[row].empty()) return false;
  if (!policies_.empty() && policies_.count(row.policy) == 0) return false;
  if (glob_) {
    if (!row.key || !matches(*glob_, escape(*row.key))) return false;
  }
  return !where_ || (*where_)(row);
}

}  // namespace rl::ctl
