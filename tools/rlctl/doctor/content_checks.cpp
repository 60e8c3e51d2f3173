// Checks of what a segment holds. They are made where it could be opened.
#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/doctor/checks.hpp"
#include "tools/rlctl/lists.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

using selftest::SlotFault;

std::string percent(double share) {
  return fmt::format("{:.1f} %", 100 * share);
}

/// Of a table of which some slots were looked at: what all may hold.
std::uint64_t of_all(const TableSurvey& table, std::uint64_t count) {
  const double all = share_of(count, table.looked_at) * static_cast<double>(table.slots);
  return table.is_sampled() ? static_cast<std::uint64_t>(all) : count;
}

std::string repaired(const SegmentFacts& segment) {
  return fmt::format("rlctl repair {} --yes", shell_word(segment.name));
}
/// Twice what was promised, or what is taken already.
std::string with_more_keys(const SegmentFacts& segment) {
  const TableSurvey& table = segment.open->table;
  const std::uint64_t keys = 2 * std::max(segment.open->info.keys, of_all(table, table.taken()));
  if (segment.open->info.labels) return made_anew(segment, fmt::format("--keys {}", keys));
  return fmt::format(
      "rlctl create {} --labels off --keys {}   # in a new one: without labels no "
      "key can be moved to another size",
      shell_word(segment.name + "2"), keys);
}

}  // namespace

Findings check_switch(const HostFacts&, const SegmentFacts& segment) {
  const SegmentInfo& info = segment.open->info;
  if (!info.off_since) return {};
  return {{Harm::bad,
           fmt::format("LIMITS ARE OFF since {}: every call passes", iso_time(*info.off_since)),
           "somebody has said `rlctl off`; `rlctl history` tells who",
           fmt::format("rlctl on {}", shell_word(segment.name)),
           {{"off_allowed", info.off_allowed}}}};
}

Findings check_slots(const HostFacts&, const SegmentFacts& segment) {
  const TableSurvey& table = segment.open->table;
  Findings findings;
  if (const std::uint64_t faulty = table.of(SlotUse::faulty); faulty != 0) {
    Finding finding{Harm::bad,
                    fmt::format("{} of {} slots hold{} what none can hold", faulty, table.looked_at,
                                faulty == 1 ? "s" : ""),
                    "", repaired(segment)};
    for (std::size_t i = 1; i < selftest::kSlotFaults; ++i) {
      const auto fault = static_cast<SlotFault>(i);
      if (table.of(fault) == 0) continue;
      finding.cause += fmt::format("{}{}: {}", finding.cause.empty() ? "" : "; ", table.of(fault),
                                   selftest::to_string(fault));
    }
    finding.cause += "; something else has written to the file, or the memory is bad";
    finding.numbers = {{"slots", faulty}};
    findings.push_back(std::move(finding));
  }
  const std::uint64_t inserts = table.of(SlotUse::insert);
  if (inserts != 0 && segment.open->info.attached == 0) {
    findings.push_back({Harm::note,
                        fmt::format("{} insert{} of keys were begun and never finished", inserts,
                                    inserts == 1 ? "" : "s"),
                        "a process was killed in the middle of it; nobody is held up",
                        repaired(segment),
                        {{"inserts", inserts}}});
  }
  if (const std::uint64_t unknown = table.of(SlotUse::unknown); unknown != 0) {
    findings.push_back(
        {Harm::warning,
         fmt::format("{} keys have limits that cannot be read here", unknown),
         "a newer version of librl has made them, or their entry is damaged (see policies)",
         "rlctl --version   # and install the newer one everywhere",
         {{"keys", unknown}}});
  }
  return findings;
}

Findings check_fill(const HostFacts&, const SegmentFacts& segment) {
  constexpr double kNearlyFull = 0.8;
  const TableSurvey& table = segment.open->table;
  const std::uint64_t taken = of_all(table, table.taken());
  const double share = share_of(taken, segment.open->info.keys);
  if (share < kNearlyFull) return {};
  return {{share > 1 ? Harm::bad : Harm::warning,
           fmt::format("{}{} keys owe something or stand apart, and room was promised for {}",
                       table.is_sampled() ? "about " : "", taken, segment.open->info.keys),
           share > 1 ? "when all 16 slots of a key's list are taken, when_full decides"
                     : "it is nearly full",
           with_more_keys(segment),
           {{"taken", taken}, {"keys", segment.open->info.keys}}}};
}

Findings check_full_lists(const HostFacts&, const SegmentFacts& segment) {
  const SegmentInfo& info = segment.open->info;
  const std::uint64_t all = info.evicted + info.full_allowed + info.full_denied + info.gave_up;
  if (all == 0) return {};
  const bool is_beyond = info.evicted + info.full_allowed != 0;  // of what limits allow
  return {{is_beyond || info.gave_up != 0 ? Harm::warning : Harm::note,
           fmt::format("calls found no room: {} keys that owed something were evicted, {} calls "
                       "allowed, {} denied; {} ran out of tries",
                       info.evicted, info.full_allowed, info.full_denied, info.gave_up),
           "at some time since it was made, more keys owed something than there was room for",
           with_more_keys(segment),
           {{"evicted", info.evicted},
            {"full_allowed", info.full_allowed},
            {"full_denied", info.full_denied},
            {"gave_up", info.gave_up}}}};
}

Findings check_lookups(const HostFacts&, const SegmentFacts& segment) {
  const auto& by_line = segment.open->table.by_line;
  const std::uint64_t keys = by_line[0] + by_line[1] + by_line[2] + by_line[3];
  const std::uint64_t lines = by_line[0] + 2 * by_line[1] + 3 * by_line[2] + 4 * by_line[3];
  constexpr std::uint64_t kEnough = 1'000;
  constexpr double kMany = 1.5;
  const double mean = share_of(lines, keys);
  if (keys < kEnough || mean < kMany) return {};
  return {{Harm::note,
           fmt::format("a key is found in {:.2f} cache lines on average, and should be in 1", mean),
           "the table was full of idle keys, or is full of others, when these came",
           fmt::format("rlreaper {}   # or make room: {}", shell_word(segment.name),
                       with_more_keys(segment)),
           {{"lines_per_key", mean}, {"keys", keys}}}};
}

Findings check_hot_key(const HostFacts&, const SegmentFacts& segment) {
  const Traffic& traffic = segment.open->traffic;
  constexpr std::uint64_t kEnough = 10'000;
  constexpr std::uint64_t kSome = 8;
  const double share = share_of(traffic.most_calls, traffic.calls);
  if (traffic.calls < kEnough || traffic.keys < kSome || share <= 0.5) return {};
  const std::string name = shell_word(segment.name);
  return {{Harm::note,
           fmt::format("one key makes {} of the calls: {} under {}", percent(share),
                       shown_key(traffic.most_called, false), escape(traffic.its_policy)),
           "one client calls more than all others, or what makes keys makes one of many",
           traffic.most_called
               ? fmt::format("rlctl show {} {} -- {}   # and ban it, if it means harm", name,
                             shell_word(traffic.its_policy), shell_word(*traffic.most_called))
               : fmt::format("rlctl list {} --heavy 10", name),
           {{"calls", traffic.most_calls}, {"all_calls", traffic.calls}}}};
}

Findings check_ipv6(const HostFacts&, const SegmentFacts& segment) {
  const Traffic& traffic = segment.open->traffic;
  constexpr std::uint64_t kCrowd = 8;  // of one network
  if (traffic.widest_network_keys < kCrowd) return {};
  return {
      {Harm::warning,
       fmt::format("{} keys are single IPv6 addresses of networks that have others, {} of them "
                   "of {}",
                   traffic.single_ipv6_keys, traffic.widest_network_keys, traffic.widest_network),
       "any host has 2^64 addresses: whoever changes his has no limit, and takes the table's "
       "room",
       "make keys with rl::AddressKey, which counts IPv6 by /64",
       {{"keys", traffic.single_ipv6_keys}, {"widest_network_keys", traffic.widest_network_keys}}}};
}

Findings check_reaper(const HostFacts&, const SegmentFacts& segment) {
  const ReaperInfo& reaper = segment.open->reaper;
  constexpr std::chrono::seconds kLate{30};  // it sweeps at least once a second
  const std::string name = shell_word(segment.name);
  if (reaper.beat_ago.count() < 0) return {};  // there never was one, and need not be
  if (!reaper.leads) {
    return {
        {Harm::warning,
         fmt::format("its reaper is gone; it last swept {} ago", human_duration(reaper.beat_ago)),
         fmt::format("process {} leads no more, and no other stands by", reaper.pid),
         fmt::format("rlreaper {}   # or: systemctl restart rlreaper@{}", name, name),
         {{"beat_ago_ns", std::int64_t{reaper.beat_ago.count()}}}}};
  }
  if (reaper.beat_ago < kLate) return {};
  // Its pid is what it says itself, and another one's here if it has a pid namespace of its own.
  const bool is_here = std::any_of(segment.holders.begin(), segment.holders.end(),
                                   [&](const Holder& h) { return h.pid == pid_t(reaper.pid); });
  return {{Harm::warning,
           fmt::format("its reaper last swept {} ago", human_duration(reaper.beat_ago)),
           fmt::format("process {} leads, and is stopped or stuck", reaper.pid),
           is_here ? fmt::format("kill -CONT {}   # else: kill {}", reaper.pid, reaper.pid)
                   : fmt::format("rlreaper {}   # and end the other, which has pid {} in a pid "
                                 "namespace of its own",
                                 name, reaper.pid),
           {{"beat_ago_ns", std::int64_t{reaper.beat_ago.count()}}}}};
}

Findings check_seats(const HostFacts&, const SegmentFacts& segment) {
  const OpenFacts& open = *segment.open;
  const bool is_full = open.info.attached >= open.seats;
  if (!is_full && open.info.anonymous == 0) return {};
  return {{is_full ? Harm::warning : Harm::note,
           is_full ? fmt::format("all {} seats are taken", open.seats)
                   : fmt::format("{} times a process found no free seat", open.info.anonymous),
           "more processes attach than there are seats, or something holds locks on the file; "
           "without a seat a process asks the kernel for numbers, and its permits last a lease",
           fmt::format("rlctl segments --json   # tells who has it; run fewer than {}", open.seats),
           {{"attached", std::uint64_t{open.info.attached}},
            {"seats", std::uint64_t{open.seats}},
            {"anonymous", open.info.anonymous}}}};
}

Findings check_policy_ids(const HostFacts&, const SegmentFacts& segment) {
  const OpenFacts& open = *segment.open;
  constexpr std::uint32_t kLast = 10;  // one in so many
  const std::uint32_t room = open.info.policy_room - std::min(open.info.policy_room, open.ids_kept);
  const std::uint32_t left = room - std::min(room, open.info.policies);
  if (left > room / kLast) return {};
  return {{left == 0 ? Harm::bad : Harm::warning,
           left == 0 ? "no limit can be changed any more: all ids of policies are used"
                     : fmt::format("{} of {} ids are left for changes of limits", left, room),
           "each change of a limit, override and trial takes one, and none is used twice",
           made_anew(segment,
                     fmt::format("--policies {}", std::min(2 * open.info.policy_room, 65'535U))),
           {{"left", std::uint64_t{left}}, {"room", std::uint64_t{room}}}}};
}

namespace {

/// A list of limits, or the one, as it is in force and as code asks for it.
struct Asked {
  std::string in_force;
  std::string by_code;
  bool differs = false;
};

Asked asked_of(const std::vector<PolicyInfo>& policies, const std::string& name) {
  Asked asked;
  for (const PolicyInfo& part : policies_of(policies, name)) {
    if (!part.limit) break;
    const std::string_view comma = asked.in_force.empty() ? "" : ", ";
    asked.in_force.append(comma).append(part.limit->to_string());
    asked.by_code.append(comma).append(part.asked.value_or(*part.limit).to_string());
    asked.differs |= part.asked.has_value();
  }
  return asked;
}

}  // namespace

Findings check_policies(const HostFacts&, const SegmentFacts& segment) {
  Findings findings;
  const std::string name = shell_word(segment.name);
  const std::vector<PolicyInfo>& policies = segment.open->policies;
  for (const PolicyInfo& policy : policies) {
    const std::string policy_name = escape(policy.name);
    const Asked asked = asked_of(policies, policy.name);
    if (asked.differs && !is_part_of_list(policies, policy.name)) {
      findings.push_back({Harm::warning,
                          fmt::format("code asks for {} as {}, and {} is in force", asked.by_code,
                                      policy_name, asked.in_force),
                          "the segment's limit stands; it was changed here, or in the code",
                          fmt::format("rlctl policy set {} {} {}", name, shell_word(policy.name),
                                      shell_word(asked.by_code)),
                          {{"policy", policy_name}}});
    } else if (!policy.limit && !policy.removed) {
      findings.push_back(
          {Harm::bad,
           fmt::format("the policy of id {} cannot be read", policy.id),
           "it is damaged, or a newer version of librl has made it",
           fmt::format("rlctl rm {} --force && rlctl create {}{}", name, name, rights_of(segment)),
           {{"id", std::uint64_t{policy.id}}}});
    }
  }
  return findings;
}

}  // namespace rl::ctl
