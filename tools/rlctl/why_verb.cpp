// `rlctl why SEGMENT KEY`: everything that holds for one key, the answer first.
#include <algorithm>
#include <utility>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/event_text.hpp"
#include "tools/rlctl/spellings.hpp"
#include "tools/rlctl/verbs.hpp"
#include "tools/rlctl/why.hpp"

namespace rl::ctl {
namespace {

/// How many of its last events are shown to people; programs get all.
constexpr std::size_t kEventsShown = 10;
constexpr std::string_view kWhichEvents =
    "of denials the first after each admission, and a sample: not every decision";

/// Whose key it is, after other spellings were tried.
struct Asked {
  std::string typed;
  KeyFacts facts;  ///< of the spelling that is kept, if one is; of several, of what holds most
  std::vector<std::string> also_kept{};  ///< other spellings of it
  std::string nearest{};                 ///< one that is kept and looks alike, if none of these is

  [[nodiscard]] bool is_respelled() const { return facts.key != typed; }
};

Asked look_at(KeyLooker& looker, const std::string& typed) {
  Asked asked{typed, looker.look_at(typed)};
  for (const std::string& spelling : spellings_of(typed)) {
    KeyFacts facts = looker.look_at(spelling);
    if (!facts.is_known()) continue;
    if (asked.facts.is_known()) {
      if (answer_from(facts).holds > answer_from(asked.facts).holds) std::swap(facts, asked.facts);
      asked.also_kept.push_back(facts.key);
    } else {
      asked.facts = std::move(facts);
    }
  }
  if (!asked.facts.is_known()) asked.nearest = looker.nearest_to(typed);
  return asked;
}

/// A policy that says nothing of a call: its clock is not ours, or bytes are wrong.
void check_that_it_decides(const PolicyFacts& facts, const std::string& segment) {
  const Reason reason = facts.next.reason;
  if (reason != Reason::unavailable && reason != Reason::invalid) return;
  throw Error(Errc::system, fmt::format("policy \"{}\" of {} cannot decide ({}); see `rlctl info`",
                                        facts.policy.name, segment, to_string(reason)));
}

// --- for people -----------------------------------------------------------------------------------

std::string stands(const PolicyFacts& facts, Instant now) {
  if (!facts.slot) return facts.has_any() ? "" : "unknown";
  const KeyInfo& slot = *facts.slot;
  switch (slot.standing) {
    case Standing::ban:
      return slot.until == Instant::max()
                 ? "banned for ever"
                 : fmt::format("banned for {}", human_duration(slot.until - now));
    case Standing::allow:
      return "allowed";
    case Standing::override_:
      return "override";
    case Standing::none:
      break;
  }
  return slot.idle ? "idle" : "live";
}

/// Returns the limit that the key is under, which may be its own.
std::string limit_of(const PolicyFacts& facts) {
  if (facts.slot && facts.slot->own_limit) return facts.slot->own_limit->to_string();
  return facts.policy.limit ? facts.policy.limit->to_string() : "?";
}

std::string what_is_left(const PolicyFacts& facts) {
  if (const auto count = facts.count()) return fmt::format("{} counted", *count);
  return fmt::format("{} of {}", facts.next.remaining, facts.next.limit);
}

Cells cells_of(const PolicyFacts& facts, Instant now) {
  const Decision& next = facts.next;
  const bool is_counted = next.limit != 0 && next.reason != Reason::full;
  const std::string passes = next.allowed                  ? "now"
                             : next.reason == Reason::full ? "when there is room"
                             : next.retry_after == kNever
                                 ? "never"
                                 : "in " + human_duration(next.retry_after);
  return {escape(facts.policy.name),
          stands(facts, now),
          passes,
          is_counted ? what_is_left(facts) : "",
          full_in(next.reset_after),
          facts.slot ? fmt::format("{}", facts.slot->allowed_count) : "",
          facts.slot ? fmt::format("{}", facts.slot->denied_count) : "",
          limit_of(facts)};
}

Table policies_table() {
  return Table({{"policy", Table::left},
                {"stands", Table::left},
                {"passes", Table::left},
                {"left", Table::right},
                {"full in", Table::right},
                {"allowed", Table::right},
                {"denied", Table::right},
                {"limit", Table::left}});
}

void put_policies(const KeyFacts& facts) {
  Table table = policies_table();
  std::vector<Cells> rows;
  std::size_t untouched = 0;
  for (const PolicyFacts& policy : facts.policies) {
    if (policy.has_any() || policy.room != Room::there)
      rows.push_back(cells_of(policy, facts.now));
    else
      ++untouched;
  }
  for (const Cells& cells : rows) table.measure(cells);
  if (!rows.empty()) put("\n" + paint(Paint::strong, table.header()));
  for (const Cells& cells : rows) put(table.line(cells));
  if (untouched != 0 && !rows.empty()) {
    put(fmt::format("Under {} nothing is kept of it, and it passes.\n",
                    counted(untouched, "other policy", "other policies")));
  }
}

/// What becomes of a call that finds its list full; nothing where it is not.
std::string text_of_room(const PolicyFacts& facts) {
  constexpr std::string_view kTaken =
      "all 16 slots that it could have are taken by keys that owe something or stand apart";
  switch (facts.room) {
    case Room::there:
      break;
    case Room::evicting:
      return fmt::format("{}; its next call takes that of the one that owes least", kTaken);
    case Room::none:
      return fmt::format("{}; a call without one {}", kTaken,
                         !facts.next.allowed            ? "is denied"
                         : facts.policy.limit->shadow() ? "passes, as this only watches"
                                                        : "passes, uncounted");
  }
  return "";
}

/// What there is beside the row of a policy, a line each.
void put_more(const PolicyFacts& facts) {
  const std::string name = escape(facts.policy.name);
  if (facts.room != Room::there) {
    put(fmt::format("{}: {} (when_full={}; see `rlctl doctor`)\n", name, text_of_room(facts),
                    name_of(facts.policy.limit->when_full())));
  }
  if (facts.change) {
    put(fmt::format("{}: {} at {} by uid {}, process {}{}\n", name, to_string(facts.change->change),
                    iso_time(facts.change->when), facts.change->uid, facts.change->pid,
                    facts.change->reason.empty() ? "" : ": " + escape(facts.change->reason)));
  }
  if (facts.slot && facts.slot->standing == Standing::ban && facts.slot->own_limit)
    put(fmt::format("{}: after the ban it is under an override, {}\n", name, limit_of(facts)));
  if (facts.denials && facts.denials->count != 0) {
    put(fmt::format("{}: {} of the {} denials that ban are counted, forgotten in {}\n", name,
                    facts.denials->count, facts.policy.limit->ban_after(),
                    human_duration(facts.denials->left)));
  }
  if (facts.denials && facts.denials->level != 0) {
    put(fmt::format("{}: {} so far, and the next is longer\n", name,
                    counted(facts.denials->level, "ban", "bans")));
  }
  if (facts.policy.limit && facts.policy.limit->shadow())
    put(fmt::format("{}: watches only (shadow), and denies nobody but by a ban\n", name));
  for (const PermitOut& permit : facts.permits) {
    put(fmt::format("{}: a permit is out, held by {}, for {} more at most\n", name,
                    permit.pid == 0 ? "nobody known" : fmt::format("process {}", permit.pid),
                    human_duration(permit.left)));
  }
  if (facts.trial) {
    put(fmt::format("{}: on trial is {}: {} left, {} denied\n", name,
                    facts.trial->limit.to_string(), facts.trial->remaining,
                    facts.trial->denied_count));
  }
}

void put_events(const KeyFacts& facts) {
  const std::size_t shown = std::min(facts.events.size(), kEventsShown);
  if (shown == 0) return;
  const auto first = facts.events.end() - static_cast<std::ptrdiff_t>(shown);
  const bool is_cut = std::any_of(first, facts.events.end(),
                                  [](const Event& event) { return event.key_truncated; });
  put(fmt::format("\n{} last {} told ({}):\n", is_cut ? "The" : "Its",
                  shown == 1 ? "event" : fmt::format("{} events", shown), kWhichEvents));
  if (is_cut) put("(Where the key ends in ... they may be of any key that begins like it.)\n");
  Table table = table_for(static_cast<const Event*>(nullptr));
  std::vector<Cells> rows;
  for (auto event = first; event != facts.events.end(); ++event)
    rows.push_back(ctl::cells_of(*event, change_told_by(*event, facts.journal)));
  for (const Cells& cells : rows) table.measure(cells);
  put(paint(Paint::strong, table.header()));
  for (const Cells& cells : rows) put(table.line(cells));
}

/// What was made of what was typed.
void put_spelling(const Asked& asked) {
  const std::string typed = escape(asked.typed);
  const std::vector<std::string>& others = asked.also_kept;
  const bool is_kept = std::find(others.begin(), others.end(), asked.typed) != others.end();
  if (asked.is_respelled() && !is_kept)
    put(fmt::format("(Nothing is kept of {}, as it is written; {} is its key.)\n", typed,
                    escape(asked.facts.key)));
  for (const std::string& spelling : others)
    put(fmt::format("(Also kept, and nothing worse holds there: {}.)\n", escape(spelling)));
  if (asked.facts.is_known()) return;
  std::vector<std::string> tried;
  for (const std::string& spelling : spellings_of(asked.typed)) tried.push_back(escape(spelling));
  if (!tried.empty())
    put(fmt::format("(Tried as well, and not kept: {}.)\n", fmt::join(tried, ", ")));
  if (!asked.nearest.empty())
    put(fmt::format("(Kept is {}: did you mean that?)\n", escape(asked.nearest)));
}

void put_text(const Asked& asked, const Answer& answer) {
  const KeyFacts& facts = asked.facts;
  put(paint(passes(answer.holds) ? Paint::good : Paint::bad, answer.sentence + "\n"));
  put_spelling(asked);
  if (facts.off_since && answer.holds != Holds::off)
    put(fmt::format("Limits are off since {}: every call passes.\n", iso_time(*facts.off_since)));
  for (const std::string& name : facts.unreadable)
    put(fmt::format("Policy {} is damaged and says nothing; see `rlctl doctor`.\n", escape(name)));
  put_policies(facts);
  for (const PolicyFacts& policy : facts.policies) put_more(policy);
  put_events(facts);
}

// --- for programs ---------------------------------------------------------------------------------

Json json_or_null(std::chrono::nanoseconds length) {
  return length == kNever ? Json(nullptr) : Json(length.count());
}

void add_standing(Json& object, const PolicyFacts& facts, Instant now) {
  if (!facts.slot) return;
  const KeyInfo& slot = *facts.slot;
  object["allowed_count"] = slot.allowed_count;
  object["denied_count"] = slot.denied_count;
  object["standing"] = to_string(slot.standing);
  if (slot.own_limit) object["override"] = slot.own_limit->to_string();
  if (slot.standing == Standing::ban) {
    object["left_ns"] =
        slot.until == Instant::max() ? Json(nullptr) : Json((slot.until - now).count());
    object["level"] = slot.ban_level;
  }
  if (!facts.change) return;
  object["since"] = iso_time(facts.change->when);
  object["uid"] = facts.change->uid;
  object["pid"] = facts.change->pid;
  object["reason"] = escape(facts.change->reason);
}

void add_parts(Json& object, const PolicyFacts& facts) {
  if (const auto count = facts.count()) object["count"] = *count;
  if (facts.denials) {
    object["denials"] = {{"count", facts.denials->count},
                         {"ban_after", facts.policy.limit->ban_after()},
                         {"bans_in_a_row", facts.denials->level},
                         {"left_ns", facts.denials->left.count()}};
  }
  if (facts.policy.limit && gives_permits(facts.policy.limit->algorithm())) {
    Json permits = Json::array();
    for (const PermitOut& permit : facts.permits) {
      permits.push_back({{"pid", permit.pid == 0 ? Json(nullptr) : Json(permit.pid)},
                         {"left_ns", permit.left.count()}});
    }
    object["permits"] = std::move(permits);
  }
  if (facts.trial) {
    object["trial"] = {{"policy_limit", facts.trial->limit.to_string()},
                       {"remaining", facts.trial->remaining},
                       {"denied_count", facts.trial->denied_count},
                       {"reset_after_ns", facts.trial->reset_after.count()}};
  }
}

Json json_of(const PolicyFacts& facts, Instant now) {
  const Decision& next = facts.next;
  Json object{{"policy", escape(facts.policy.name)},
              {"policy_limit", facts.policy.limit ? Json(facts.policy.limit->to_string()) : Json()},
              {"known", facts.has_any()},
              {"verdict", to_string(holds_under(facts))},
              {"passes", next.allowed},
              {"limit", next.limit},
              {"remaining", next.remaining},
              {"retry_after_ns", json_or_null(next.retry_after)},
              {"reset_after_ns", json_or_null(next.reset_after)}};
  if (facts.policy.limit && facts.policy.limit->shadow()) object["shadow"] = true;
  if (facts.room != Room::there) {
    object["list_full"] = true;
    object["when_full"] = name_of(facts.policy.limit->when_full());
  }
  add_standing(object, facts, now);
  add_parts(object, facts);
  return object;
}

Json json_of(const Asked& asked, const Answer& answer) {
  const KeyFacts& facts = asked.facts;
  Json object{{"key", escape(facts.key)},
              {"asked", escape(asked.typed)},
              {"verdict", to_string(answer.holds)},
              {"passes", answer.holds == Holds::untold ? Json() : Json(passes(answer.holds))},
              {"sentence", answer.sentence},
              {"policy", answer.by != nullptr ? Json(escape(answer.by->policy.name)) : Json()}};
  if (facts.off_since) object["off_since"] = iso_time(*facts.off_since);
  if (!asked.nearest.empty()) object["nearest"] = escape(asked.nearest);
  object["also_kept"] = Json::array();
  for (const std::string& spelling : asked.also_kept)
    object["also_kept"].push_back(escape(spelling));
  object["policies"] = Json::array();
  for (const PolicyFacts& policy : facts.policies)
    object["policies"].push_back(json_of(policy, facts.now));
  object["unreadable"] = Json::array();
  for (const std::string& name : facts.unreadable) object["unreadable"].push_back(escape(name));
  object["events_are"] = kWhichEvents;
  object["events"] = Json::array();
  for (const Event& event : facts.events)
    object["events"].push_back(ctl::json_of(event, change_told_by(event, facts.journal)));
  return object;
}

}  // namespace

int why(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  const Segment segment = open_to_read(arguments);
  KeyLooker looker(segment, arguments.text(Arg::only_policy), arguments.has(Arg::any_owner));
  const Asked asked = look_at(looker, key);
  for (const PolicyFacts& facts : asked.facts.policies)
    check_that_it_decides(facts, arguments.text(Arg::segment));
  const Answer answer = answer_from(asked.facts);
  if (arguments.has(Arg::json)) {
    put_json(json_of(asked, answer));
  } else {
    put_text(asked, answer);
  }
  if (answer.holds == Holds::untold) {
    throw Error(Errc::corrupt,
                fmt::format("{} of {} cannot be read, so nobody can tell whether {} passes; see "
                            "`rlctl doctor`",
                            names_of_unreadable(asked.facts), arguments.text(Arg::segment),
                            asked.facts.key));
  }
  return passes(answer.holds) ? 0 : 1;
}

}  // namespace rl::ctl
