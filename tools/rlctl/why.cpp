#include "tools/rlctl/why.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

Standing standing_of(const PolicyFacts& facts) noexcept {
  return facts.slot ? facts.slot->standing : Standing::none;
}

/// Returns " by uid 0", and nothing where nobody knows.
std::string by_whom(const PolicyFacts& facts) {
  return facts.change ? fmt::format(" by uid {}", facts.change->uid) : "";
}

/// Returns " (scraper)", and nothing for none.
std::string for_what(const PolicyFacts& facts) {
  const bool is_said = facts.change && !facts.change->reason.empty();
  return is_said ? fmt::format(" ({})", escape(facts.change->reason)) : "";
}

std::string ban_of(const PolicyFacts& facts, Instant now) {
  const Instant until = facts.slot->until;
  const std::string left = until == Instant::max()
                               ? "for ever"
                               : fmt::format("for {} more", human_duration(until - now));
  return fmt::format("banned{} {}{}", by_whom(facts), left, for_what(facts));
}

/// Returns "3 of 200 left", or "3 of 20 permits free".
std::string what_is_left(const PolicyFacts& facts) {
  const bool of_permits = facts.policy.limit && gives_permits(facts.policy.limit->algorithm());
  return fmt::format("{} of {} {}", facts.next.remaining, facts.next.limit,
                     of_permits ? "permits free" : "left");
}

std::string comes_back(const Decision& next, std::string_view how) {
  if (next.retry_after == kNever) return "";
  return fmt::format(", {} in {}", how, human_duration(next.retry_after));
}

std::string apart(const PolicyFacts& facts, const std::string& name) {
  if (standing_of(facts) == Standing::allow) {
    return fmt::format("passes: it is on the allow-list of {}{}{}", name, by_whom(facts),
                       for_what(facts));
  }
  return fmt::format("passes, though {} would deny it (shadow): {}{}", name, what_is_left(facts),
                     comes_back(facts.next, "would pass"));
}

std::string of_override(const PolicyFacts& facts) {
  return facts.slot && facts.slot->own_limit
             ? fmt::format(" (override {})", facts.slot->own_limit->to_string())
             : "";
}

/// Of several that deny, a ban; of bans, and of limits, the one that denies for longest.
bool is_stronger(const PolicyFacts& a, const PolicyFacts& b) noexcept {
  const Holds of_a = holds_under(a);
  const Holds of_b = holds_under(b);
  if (of_a != of_b) return of_a > of_b;
  if (!passes(of_a)) return a.next.retry_after > b.next.retry_after;
  return of_a == Holds::in_use && a.next.reset_after > b.next.reset_after;
}

/// Names those that would deny, too, as long as they are few.
std::string who_else_denies(const KeyFacts& facts, const PolicyFacts* by) {
  constexpr std::size_t kNamed = 3;
  std::vector<std::string> names;
  for (const PolicyFacts& policy : facts.policies)
    if (&policy != by && !passes(holds_under(policy))) names.push_back(escape(policy.policy.name));
  if (names.empty()) return "";
  if (names.size() > kNamed) return fmt::format("; {} more would deny it, too", names.size());
  return fmt::format("; so would {}", fmt::join(names, ", "));
}

}  // namespace

std::string_view to_string(Holds holds) noexcept {
  switch (holds) {
    case Holds::unknown:
      break;
    case Holds::nothing:
      return "free";
    case Holds::in_use:
      return "passes";
    case Holds::apart:
      return "apart";
    case Holds::off:
      return "off";
    case Holds::untold:
      return "untold";
    case Holds::limited:
      return "limited";
    case Holds::full:
      return "full";
    case Holds::banned:
      return "banned";
  }
  return "unknown";
}

std::string names_of_unreadable(const KeyFacts& facts) {
  return fmt::format("{} {}", facts.unreadable.size() == 1 ? "policy" : "policies",
                     fmt::join(facts.unreadable, ", "));
}

Holds holds_under(const PolicyFacts& facts) noexcept {
  if (!facts.next.allowed) {
    return facts.next.reason == Reason::banned ? Holds::banned
           : facts.next.reason == Reason::full ? Holds::full
                                               : Holds::limited;
  }
  if (facts.next.reason == Reason::off) return Holds::off;
  if (facts.next.reason == Reason::shadow || standing_of(facts) == Standing::allow)
    return Holds::apart;
  if (!facts.has_any()) return Holds::unknown;
  return facts.next.reset_after.count() > 0 ? Holds::in_use : Holds::nothing;
}

std::string sentence_of(const PolicyFacts& facts, Instant now) {
  const std::string name = escape(facts.policy.name);
  switch (holds_under(facts)) {
    case Holds::banned:
      if (standing_of(facts) != Standing::ban) return fmt::format("is denied by {}: banned", name);
      return fmt::format("is denied by {}: {}", name, ban_of(facts, now));
    case Holds::full:
      return fmt::format("is denied by {}: its list is full (when_full={})", name,
                         name_of(facts.policy.limit->when_full()));
    case Holds::limited:
      return fmt::format("is limited by {}{}: {}{}", name, of_override(facts), what_is_left(facts),
                         comes_back(facts.next, "passes"));
    case Holds::apart:
      return apart(facts, name);
    case Holds::in_use:
      if (const auto count = facts.count()) {
        return fmt::format("is counted by {}: {}, for {} more", name, *count,
                           human_duration(facts.next.reset_after));
      }
      return fmt::format("passes under {}{}: {}, full in {}", name, of_override(facts),
                         what_is_left(facts), human_duration(facts.next.reset_after));
    case Holds::off:
      return fmt::format("passes under {}: limits are off", name);
    case Holds::untold:  // of one policy it is told
    case Holds::nothing:
    case Holds::unknown:
      break;
  }
  return fmt::format("passes under {}{}: nothing is used", name, of_override(facts));
}

Answer answer_from(const KeyFacts& facts) {
  Answer answer;
  const std::string key = escape(facts.key);
  for (const PolicyFacts& policy : facts.policies) {
    const Holds holds = holds_under(policy);
    if (holds == Holds::unknown) continue;
    if (answer.by == nullptr || is_stronger(policy, *answer.by)) answer.by = &policy;
  }
  if (answer.by != nullptr) answer.holds = holds_under(*answer.by);
  if (answer.holds == Holds::unknown) {
    answer.sentence = facts.policies.empty()
                          ? fmt::format("{} passes: no policy is in force", key)
                          : fmt::format("{} is free: nothing is known of it under {}", key,
                                        counted(facts.policies.size(), "policy", "policies"));
  } else if (answer.holds == Holds::nothing) {
    answer.sentence = fmt::format("{} is free: nothing holds it", key);
  } else if (answer.holds == Holds::off) {
    answer.sentence = fmt::format("{} passes: limits are off{}", key,
                                  facts.off_since ? " since " + iso_time(*facts.off_since) : "");
  } else {
    answer.sentence = fmt::format("{} {}", key, sentence_of(*answer.by, facts.now));
  }
  answer.sentence += who_else_denies(facts, answer.by);
  // Who is denied is denied whatever another policy says.
  if (!facts.unreadable.empty() && passes(answer.holds) && answer.holds != Holds::off) {
    answer.holds = Holds::untold;
    answer.sentence = facts.policies.empty()
                          ? fmt::format("{}: nobody can tell, as {} cannot be read", key,
                                        escape(names_of_unreadable(facts)))
                          : fmt::format("{}; but {} cannot be read, and may deny it",
                                        answer.sentence, escape(names_of_unreadable(facts)));
  }
  return answer;
}

}  // namespace rl::ctl
