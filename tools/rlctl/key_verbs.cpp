#include <utility>
#include <vector>

#include "shm/labels.hpp"
#include "tools/rlctl/asking.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/input.hpp"
#include "tools/rlctl/key_columns.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/turn.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// Prints what `policy` decided, which is named as `by` where it is one of several. Returns the
/// exit code.
int answer(const Arguments& arguments, const Decision& decision, std::uint64_t cost,
           std::string_view asked, std::string_view policy, std::string_view by = {}) {
  if (decision.reason == Reason::invalid || decision.reason == Reason::unavailable) {
    throw Error(Errc::system,
                fmt::format("policy \"{}\" of {} cannot decide ({}); see `rlctl info`", policy,
                            arguments.text(Arg::segment), to_string(decision.reason)));
  }
  if (arguments.has(Arg::json)) {
    put_json(json_of(decision, by));
  } else {
    put(text_of(decision, by, asked));
  }
  if (decision.reason == Reason::never) {
    complain(never_passes(cost, std::string(policy), decision));
  }
  return decision.allowed ? 0 : 1;
}

/// The same for what a list decided, or the one limit that it has.
int answer(const Arguments& arguments, const Limiters& limiters, const AllOf& all,
           std::uint64_t cost, std::string_view asked) {
  return answer(arguments, all.decision, cost, asked, limiters.policy(all.which),
                decided_by(limiters, all));
}

/// A key without a slot, which is the same as an idle one. Its label is what a slot would hold.
KeyInfo never_seen(std::string policy, std::string key, const Limit& limit, bool labels) {
  KeyInfo row;
  row.policy = std::move(policy);
  row.limit = row.remaining = limit.burst();
  if (labels) {
    row.key_truncated = key.size() > shm::kLabelTextBytes;
    key.resize(shm::text_in_label(key).size());
    row.key = std::move(key);
  }
  return row;
}

/// What ends a wait: whatever ends a program that somebody runs by hand or from a script.
HeldSignals ending_signals() {
  return HeldSignals({SIGHUP, SIGINT, SIGQUIT, SIGTERM});
}

/// Takes a permit and gives it back: that one could be had is what is to be known. Returns the exit
/// code.
int take_permit(const Arguments& arguments, const Wish& wish) {
  Limiter limiter = wish.limiters[0];
  const Permit permit =
      wish.wait ? ctl::take_permit(wish, ending_signals()) : limiter.permit(wish.key);
  const bool has_one = permit && permit.decision().reason == Reason::ok;
  if (!has_one || arguments.has(Arg::json))
    return answer(arguments, wish.limiters, {.decision = permit.decision()}, 1, "");
  put(fmt::format("took a permit, one of {}, for up to {}; it is given back now\n",
                  permit.decision().limit, human_duration(limiter.limit().lease())));
  return 0;
}

/// Makes a call that may wait for its turn, and says so. Returns the exit code.
int acquire_in_turn(const Arguments& arguments, const Wish& wish) {
  AllOf all = take_turn(wish, ending_signals());
  const std::chrono::nanoseconds waited = all.decision.wait;
  const bool has_waited = all && waited > waited.zero();
  const std::string asked = has_waited ? fmt::format("after {} ", human_duration(waited)) : "";
  if (!arguments.has(Arg::json)) all.decision.wait = waited.zero();  // that is over
  return answer(arguments, wish.limiters, all, wish.cost, asked);
}

/// A key's row under one policy, and the text of the limit that it is under.
std::pair<KeyInfo, std::string> row_of(const Segment& segment, const std::string& policy,
                                       const Limiter& limiter, const std::string& key,
                                       bool labels) {
  const Limit limit = limiter.limit();
  const auto found = segment.find(policy, key);
  KeyInfo row = found ? *found : never_seen(policy, key, limit, labels);
  if (gives_permits(limiter)) {  // all of the key's, not the slot that has its own name
    const Decision seen = limiter.peek_permit(key);
    row.part = SlotPart::key;
    row.remaining = seen.remaining;
    row.reset_after = seen.reset_after;
    row.idle = seen.remaining == limit.count();
  }
  std::string text = (row.own_limit ? *row.own_limit : limit).to_string();
  return {std::move(row), std::move(text)};
}

}  // namespace

std::string key_of(const Arguments& arguments) {
  const bool from_file = arguments.has(Arg::key_file);
  const Arg given = arguments.has(Arg::run_key) ? Arg::run_key : Arg::key;
  if (from_file == arguments.has(given)) {
    throw Error(Errc::bad_option,
                from_file ? "both a KEY and --key-file are given; keep one"
                          : "no key is given; give KEY, or --key-file FILE (- for standard input)");
  }
  std::string key =
      from_file ? read_whole("--key-file", arguments.text(Arg::key_file)) : arguments.text(given);
  if (key.empty()) {
    throw Error(Errc::bad_option, from_file ? fmt::format("--key-file {}: it is empty; a key has "
                                                          "at least one byte",
                                                          arguments.text(Arg::key_file))
                                            : "the key is empty; a key has at least one byte");
  }
  return key;
}

int acquire(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  const std::uint64_t cost = cost_of(arguments);
  const auto wait = wait_of(arguments);
  Segment segment = open_to_write(arguments);
  Limiters limiters = segment.limiters(arguments.text(Arg::policy));
  check_can_be_asked(arguments, limiters);
  const Wish wish{segment, limiters, key, cost, wait};
  if (gives_permits(limiters)) return take_permit(arguments, wish);
  if (wait) return acquire_in_turn(arguments, wish);
  return answer(arguments, limiters, limiters.try_acquire(key, cost), cost, "");
}

int peek(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  const std::uint64_t cost = cost_of(arguments);
  Segment segment = open_to_read(arguments);
  const Limiters limiters = segment.limiters(arguments.text(Arg::policy));
  check_can_be_asked(arguments, limiters);
  const bool of_permits = gives_permits(limiters);
  const AllOf seen =
      of_permits ? AllOf{.decision = limiters[0].peek_permit(key)} : limiters.peek(key, cost);
  return answer(arguments, limiters, seen, cost, "would be ");
}

int show(const Arguments& arguments) {
  const std::string key = key_of(arguments);
  Segment segment = open_to_read(arguments);
  const Limiters limiters = segment.limiters(arguments.text(Arg::policy));
  const SegmentInfo info = segment.vitals();
  std::vector<std::pair<KeyInfo, std::string>> rows;
  for (std::size_t i = 0; i < limiters.size(); ++i)
    rows.push_back(row_of(segment, limiters.policy(i), limiters[i], key, info.labels));
  const bool json = arguments.has(Arg::json);
  put_keys(
      [&](const auto& visit) {
        for (const auto& [row, limit] : rows) visit({row, limit});
      },
      KeyColumns::usual(json), json, info);
  return 0;
}

int reset(const Arguments& arguments) {
  const bool all = arguments.has(Arg::all);
  const bool named = arguments.has(Arg::policy);
  if (all == named || (all && arguments.has(Arg::key_file))) {
    throw Error(Errc::bad_option, all ? "both --all and a key are given; keep one"
                                      : "what to reset is not said; give NAME KEY, or --all");
  }
  std::uint64_t forgotten = 0;
  if (all) {
    const std::uint32_t attached = open_to_read(arguments).info().attached;
    if (attached != 0 && !arguments.has(Arg::force)) {
      throw Error(Errc::exists,
                  fmt::format("{}: {} attached, and all their keys would start anew; stop them "
                              "first, or say --force",
                              arguments.text(Arg::segment), processes_are(attached)));
    }
    forgotten = open_to_write(arguments).reset_all();
  } else {
    const std::string key = key_of(arguments);
    Segment segment = open_to_write(arguments);
    Limiters limiters = segment.limiters(arguments.text(Arg::policy));
    if (gives_permits(limiters)) {
      throw Error(
          Errc::bad_option,
          fmt::format("policy \"{}\" gives permits, which are out until they are given back, "
                      "their process ends, or their lease does; `rlctl list {} --policy {}` "
                      "shows whose they are",
                      arguments.text(Arg::policy), arguments.text(Arg::segment),
                      arguments.text(Arg::policy)));
    }
    forgotten = limiters.reset(key) ? 1 : 0;
  }
  if (arguments.has(Arg::json)) {
    put_json(Json{{"forgotten", forgotten}});
  } else if (all) {
    put(fmt::format("forgot what {} {} had consumed\n", forgotten,
                    forgotten == 1 ? "key" : "keys"));
  } else {
    put(forgotten != 0 ? "forgot what the key had consumed\n" : "the key had consumed nothing\n");
  }
  return 0;
}

}  // namespace rl::ctl
