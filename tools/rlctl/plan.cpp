#include "tools/rlctl/plan.hpp"

#include <algorithm>

#include "shm/mapping.hpp"
#include "shm/policies.hpp"
#include "src/policy.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

using std::chrono::system_clock;

/// A file has whole seconds, and a ban ends at a tick of the segment's clock.
constexpr auto kBanSlack = std::chrono::seconds(2);

EntryCount entries_for(const LimitsFile& file, const Segment* segment, bool any_owner) {
  if (segment != nullptr) return entries_of(*segment, any_owner);
  return EntryCount(file.segment.value_or(SegmentOptions{}).policies);
}

bool is_apart(Standing standing) noexcept {
  return standing == Standing::ban || standing == Standing::allow;
}

shm::PolicyKind kind_of(Standing standing) noexcept {
  return standing == Standing::ban ? shm::PolicyKind::ban : shm::PolicyKind::allow;
}

}  // namespace

Plan::Plan(const LimitsFile& file, Segment* segment, bool any_owner, bool prunes)
    : file_(file),
      segment_(segment),
      room_for_keys_(file.segment.value_or(SegmentOptions{}).keys),
      prunes_(prunes),
      entries_(entries_for(file, segment, any_owner)) {
  if (segment != nullptr) look();
  name_all();
  // Before others are put apart: an allowed key cannot be banned, and room may be short.
  if (prunes && segment != nullptr) prune_keys();
  for (const WantedPolicy& wanted : file.policies) compare(wanted);
  if (prunes) prune_policies();
  check_room();
}

void Plan::look() {
  for (const PolicyInfo& policy : segment_->policies())
    if (policy.limit) policies_.emplace(policy.name, *policy.limit);
  for (const PolicyInfo& policy : segment_->policies())
    if (policy.candidate) candidates_.emplace(policy.name, *policy.candidate);
  room_for_keys_ = segment_->info().keys;
  now_ = segment_->now();
}

void Plan::name_all() {
  for (const WantedPolicy& wanted : file_.policies) {
    for (std::size_t i = 0; i < wanted.limits.size(); ++i) {
      const std::string name = Limiters::policy(wanted.name, i);
      named_.insert(name);
      for (const WantedStanding& standing : wanted.standings)
        named_keys_.emplace(name, standing.key, standing.standing);
    }
  }
}

/// Returns how a key stands after the steps so far; found by its hash, so its text need not be known.
KeyInfo& Plan::key_of(const std::string& policy, const std::string& key) {
  const auto [at, is_new] = keys_.try_emplace({policy, key});
  if (is_new && segment_ != nullptr) at->second = segment_->find(policy, key).value_or(KeyInfo{});
  return at->second;
}

void Plan::change_key(std::string_view kind, const std::string& policy, const std::string& key,
                      std::string before, std::string after, Make make) {
  steps_.push_back({fmt::format("{} {} {}", kind, escape(policy), escape(key)), std::move(before),
                    std::move(after), std::move(make)});
}

void Plan::compare(const WantedPolicy& wanted) {
  for (std::size_t i = 0; i < wanted.limits.size(); ++i)
    compare_limit(wanted, Limiters::policy(wanted.name, i), wanted.limits[i]);
  if (wanted.limits.size() > 1) shorten(wanted);
  for (const WantedStanding& standing : wanted.standings) {
    for (std::size_t i = 0; i < wanted.limits.size(); ++i) {
      const std::string name = Limiters::policy(wanted.name, i);
      if (standing.limits) compare_override(name, standing.key, (*standing.limits)[i]);
      if (standing.standing == Standing::allow) compare_allow(name, standing);
      if (standing.standing == Standing::ban) compare_ban(name, standing);
    }
  }
}

/// Takes away what was a longer list: from the end, so that a list never has a hole.
void Plan::shorten(const WantedPolicy& wanted) {
  std::vector<std::string> beyond;
  for (std::size_t i = wanted.limits.size(); i < Limits::kMax; ++i) {
    const std::string name = Limiters::policy(wanted.name, i);
    const auto at = policies_.find(name);
    const bool is_part = at != policies_.end() && takes_calls(at->second.algorithm());
    if (!is_part || named_.count(name) != 0) break;
    beyond.push_back(name);
  }
  for (auto name = beyond.rbegin(); name != beyond.rend(); ++name) remove_policy(*name);
}

void Plan::check_limit(const WantedPolicy& wanted, const std::string& name,
                       const Limit& limit) const {
  const auto at = policies_.find(name);
  if (at != policies_.end() && !can_become(at->second, limit)) {
    throw file_.error_at(
        wanted.line, fmt::format("policy {} is {} in the segment, and calls, permits and counts "
                                 "do not become each other",
                                 escape(name), at->second.to_string()));
  }
  if (gives_permits(limit.algorithm()) && limit.count() > room_for_keys_) {
    throw file_.error_at(wanted.line,
                         fmt::format("policy {} is {}, and each permit takes the room of a key, of "
                                     "which the segment has {}",
                                     escape(name), limit.to_string(), room_for_keys_));
  }
}

void Plan::compare_limit(const WantedPolicy& wanted, const std::string& name, const Limit& limit) {
  const auto at = policies_.find(name);
  if (at != policies_.end() && at->second == limit) return;
  check_limit(wanted, name, limit);
  steps_.push_back(
      {fmt::format("policy {}", escape(name)), at != policies_.end() ? at->second.to_string() : "",
       limit.to_string() + no_longer_on_trial(name),
       [=, spent = wanted.spent](Segment& segment) { segment.set_policy(name, limit, spent); }});
  entries_.set_policy(name, limit);
}

/// A key that is banned or allowed stays so, and comes back under another limit.
void Plan::set_own_limit(KeyInfo& is, const std::string& policy,
                         const std::optional<Limit>& limit) {
  is.own_limit = limit;
  if (is_apart(is.standing)) {
    entries_.put_apart(policy, kind_of(is.standing), limit);
  } else {
    is.standing = limit ? Standing::override_ : Standing::none;
  }
}

void Plan::compare_override(const std::string& policy, const std::string& key, const Limit& limit) {
  KeyInfo& is = key_of(policy, key);
  if (is.own_limit == limit) return;
  change_key("override", policy, key, is.own_limit ? is.own_limit->to_string() : "",
             limit.to_string(), [=](Segment& s) { s.set_override(policy, key, limit); });
  entries_.set_override(policy, limit);
  set_own_limit(is, policy, limit);
}

void Plan::compare_allow(const std::string& policy, const WantedStanding& wanted) {
  KeyInfo& is = key_of(policy, wanted.key);
  if (is.standing == Standing::allow) return;
  change_key(
      "allow", policy, wanted.key, is.standing == Standing::ban ? text_of_ban(is) : "",
      wanted.reason.empty() ? "always" : wanted.reason,
      [=, key = wanted.key, reason = wanted.reason](Segment& s) { s.allow(policy, key, reason); });
  is.standing = Standing::allow;
  entries_.put_apart(policy, shm::PolicyKind::allow, is.own_limit);
}

/// A ban ends at an instant of wall time, so that it ends no later when the file is applied again.
void Plan::compare_ban(const std::string& policy, const WantedStanding& wanted) {
  using std::chrono::nanoseconds;
  KeyInfo& is = key_of(policy, wanted.key);
  const bool is_banned = is.standing == Standing::ban;
  if (is.standing == Standing::allow) {
    throw file_.error_at(wanted.line, fmt::format("key \"{}\" is on the allow-list of the "
                                                  "segment; disallow it first",
                                                  escape(wanted.key)));
  }
  if (is_banned && is.until == Instant::max() && !wanted.until) return;
  nanoseconds length = kNever;
  if (wanted.until) {
    length = *wanted.until - system_clock::now();
    if (length <= nanoseconds(0)) return;  // it would be over
    if (length > kBanMax)
      throw file_.error_at(wanted.line, "a ban lasts no longer than 73 years; or leave until out");
    if (is_banned && is.until - now_ > length + kBanSlack) return shorten_ban(policy, wanted);
    if (is_banned && is.until - now_ + kBanSlack >= length) return;
  }
  const std::string until = wanted.until ? "until " + iso_time(*wanted.until) : "for ever";
  change_key("ban", policy, wanted.key, is_banned ? text_of_ban(is) : "",
             wanted.reason.empty() ? until : fmt::format("{} ({})", until, wanted.reason),
             [=, key = wanted.key, reason = wanted.reason](Segment& s) {
               s.ban(policy, key, length, reason);
             });
  is.standing = Standing::ban;
  entries_.put_apart(policy, shm::PolicyKind::ban, is.own_limit);
}

/// Of two bans the one that ends later holds: a shorter one takes the place of the other only if that
/// is lifted first.
void Plan::shorten_ban(const std::string& policy, const WantedStanding& wanted) {
  KeyInfo& is = key_of(policy, wanted.key);
  const std::string what = fmt::format("ban {} {}", escape(policy), escape(wanted.key));
  if (!prunes_) {
    stays_.push_back(
        fmt::format("{}: {} in the segment, which is longer than in the file, and stays; "
                    "--prune shortens it",
                    what, text_of_ban(is)));
    return;
  }
  change_key("ban", policy, wanted.key, text_of_ban(is), "until " + iso_time(*wanted.until),
             [=, key = wanted.key, until = *wanted.until, reason = wanted.reason](Segment& s) {
               s.unban(policy, key);
               const auto length = until - system_clock::now();
               if (length > std::chrono::nanoseconds(0)) s.ban(policy, key, length, reason);
             });
  is.until = now_ + (*wanted.until - system_clock::now());
}

std::string Plan::text_of_ban(const KeyInfo& is) const {
  if (is.until == Instant::max()) return "banned for ever";
  const auto left = std::chrono::ceil<system_clock::duration>(is.until - now_);
  return "banned until " + iso_time(system_clock::now() + left);
}

/// A change of a policy ends its trial. Returns the end of a sentence.
std::string Plan::no_longer_on_trial(const std::string& policy) const {
  const auto at = candidates_.find(policy);
  return ctl::no_longer_on_trial(at == candidates_.end() ? "" : at->second.to_string());
}

void Plan::remove_policy(const std::string& name) {
  const auto at = policies_.find(name);
  steps_.push_back({fmt::format("policy {}", escape(name)),
                    at->second.to_string() + no_longer_on_trial(name), "",
                    [name](Segment& segment) { segment.remove_policy(name); }});
  entries_.remove_policy();
  policies_.erase(at);
}

/// Keys whose text nobody knows stay: the file could not name them.
void Plan::prune_keys() {
  for (const StandingInfo& info : segment_->standings())
    if (info.key && !info.key_truncated) prune_key(info.policy, *info.key);
}

void Plan::prune_key(const std::string& policy, const std::string& key) {
  KeyInfo& is = key_of(policy, key);
  const auto is_named = [&](Standing standing) {
    return named_keys_.count({policy, key, standing}) != 0;
  };
  if (is_apart(is.standing) && !is_named(is.standing)) {
    if (is.standing == Standing::ban) {
      change_key("ban", policy, key, text_of_ban(is), "",
                 [=](Segment& s) { s.unban(policy, key); });
    } else {
      change_key("allow", policy, key, "allowed", "", [=](Segment& s) { s.disallow(policy, key); });
    }
    is.standing = is.own_limit ? Standing::override_ : Standing::none;
  }
  if (is.own_limit && !is_named(Standing::override_)) {
    change_key("override", policy, key, is.own_limit->to_string(), "",
               [=](Segment& s) { s.unset_override(policy, key); });
    set_own_limit(is, policy, std::nullopt);
  }
}

void Plan::prune_policies() {
  std::vector<std::string> unnamed;
  for (const auto& [name, limit] : policies_)
    if (named_.count(name) == 0) unnamed.push_back(name);
  for (const std::string& name : unnamed) remove_policy(name);
}

/// An id is never used twice: what would run out of them half-way is not begun.
void Plan::check_room() const {
  if (segment_ != nullptr) return entries_.check_room(segment_->path());
  if (entries_.fits()) return;
  throw file_.error_at(
      file_.segment_line,
      fmt::format("the file takes {} policy entries, and the segment would have room for {}; give "
                  "it more with policies = in [segment]",
                  entries_.needed(), entries_.left()));
}

}  // namespace rl::ctl
