#include "tools/metrics/families.hpp"

#include <array>
#include <chrono>

namespace rl::metrics {
namespace {

using Add = std::vector<Sample>&;

double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}
double unix_seconds(std::chrono::system_clock::time_point time) {
  return seconds(time.time_since_epoch());
}

/// Labels of a segment's sample: the segment's own and what comes behind it.
struct Of {
  const std::string& segment;
  [[nodiscard]] Labels operator()(Labels more = {}) const {
    more.emplace(more.begin(), "segment", segment);
    return more;
  }
};

// --- what has one sample for each policy ---------------------------------------------------------

void decisions(const Of& of, const Known& known, Add add) {
  for (const PolicyTotals& p : known.totals.policies) {
    add.push_back({"", of({{"policy", p.policy}, {"outcome", "allowed"}}), p.allowed});
    add.push_back({"", of({{"policy", p.policy}, {"outcome", "denied"}}), p.denied});
    add.push_back({"", of({{"policy", p.policy}, {"outcome", "would_deny"}}), p.would_deny});
  }
}

void refunds(const Of& of, const Known& known, Add add) {
  for (const PolicyTotals& p : known.totals.policies)
    add.push_back({"", of({{"policy", p.policy}}), p.refunds});
}

void waits(const Of& of, const Known& known, Add add) {
  for (const PolicyTotals& p : known.totals.policies)
    add.push_back({"", of({{"policy", p.policy}}), p.waits});
}

void wait_seconds(const Of& of, const Known& known, Add add) {
  for (const PolicyTotals& p : known.totals.policies)
    add.push_back({"", of({{"policy", p.policy}}), seconds(p.waited)});
}

void trial_decisions(const Of& of, const Known& known, Add add) {
  for (const auto& [policy, trial] : known.trials) {
    const auto put = [&, &name = policy](const char* limit, const Comparison::Counts& counts) {
      add.push_back(
          {"", of({{"policy", name}, {"limit", limit}, {"outcome", "allowed"}}), counts.allowed});
      add.push_back(
          {"", of({{"policy", name}, {"limit", limit}, {"outcome", "denied"}}), counts.denied});
    };
    put("in_force", trial.by_live);
    put("on_trial", trial.by_candidate);
  }
}

/// Of keys with the same beginning, which is all of their text that is kept, the first is told.
void top_denied(const Of& of, const Known& known, Add add) {
  for (const DeniedKey& key : known.most_denied)
    if (key.key) add.push_back({"", of({{"policy", key.policy}, {"key", *key.key}}), key.denied});
}

// --- what has a label with a few words -----------------------------------------------------------

void evictions(const Of& of, const Known& known, Add add) {
  add.push_back({"", of({{"rule", "idle"}}), known.totals.idle_overwritten});
  add.push_back({"", of({{"rule", "owing"}}), known.vitals.evicted});
}

void full_lists(const Of& of, const Known& known, Add add) {
  add.push_back({"", of({{"outcome", "allowed"}}), known.vitals.full_allowed});
  add.push_back({"", of({{"outcome", "denied"}}), known.vitals.full_denied});
}

void clock_info(const Of& of, const Known& known, Add add) {
  const ClockSource clock = known.vitals.clock;
  const char* const source = clock == ClockSource::tsc      ? "tsc"
                             : clock == ClockSource::manual ? "manual"
                                                            : "boottime";
  add.push_back({"", of({{"source", source}}), std::uint64_t{1}});
}

/// The buckets of a histogram add up.
void lookup_lines(const Of& of, const Known& known, Add add) {
  const auto& by_line = known.totals.by_line;
  std::uint64_t count = 0;
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < by_line.size(); ++i) {
    count += by_line[i];
    sum += by_line[i] * (i + 1);
    add.push_back({"_bucket", of({{"le", std::to_string(i + 1)}}), count});
  }
  add.push_back({"_bucket", of({{"le", "+Inf"}}), count});
  add.push_back({"_sum", of(), sum});
  add.push_back({"_count", of(), count});
}

// --- the table -----------------------------------------------------------------------------------

/// A family of one sample for each segment, unless that is not known.
using Value = std::optional<Number> (*)(const Known&);
/// A family of several.
using Several = void (*)(const Of&, const Known&, Add);

struct Row {
  std::string_view name;
  Type type;
  std::string_view help;
  Value value;
  Several several;
};

constexpr Row one(std::string_view name, Type type, std::string_view help, Value value) {
  return {name, type, help, value, nullptr};
}
/// `Get` is a lambda, which has all that it knows in its type.
template <class Get>
constexpr Row one(std::string_view name, Type type, std::string_view help, Get) {
  return {name, type, help, [](const Known& k) -> std::optional<Number> { return Get{}(k); },
          nullptr};
}
constexpr Row some(std::string_view name, Type type, std::string_view help, Several several) {
  return {name, type, help, nullptr, several};
}

std::optional<Number> when_counted(const Known& k, std::uint64_t SlotCounts::*count) {
  return k.slots ? std::optional<Number>((*k.slots).*count) : std::nullopt;
}

std::optional<Number> fill(const Known& k) {
  if (!k.slots || k.vitals.slots == 0) return std::nullopt;
  const std::uint64_t taken = k.slots->live + k.slots->standing + k.slots->permits_out;
  return static_cast<double>(taken) / static_cast<double>(k.vitals.slots);
}

std::optional<Number> last_sweep(const Known& k) {
  if (k.reaper.beat_ago.count() < 0) return std::nullopt;
  return unix_seconds(std::chrono::system_clock::now() - k.reaper.beat_ago);
}

std::optional<Number> drift(const Known& k) {
  return k.vitals.clock_drift ? std::optional<Number>(seconds(*k.vitals.clock_drift))
                              : std::nullopt;
}

std::optional<Number> corrupt(const Known& k) {
  return k.reaper.rounds != 0 ? std::optional<Number>(k.reaper.corrupt) : std::nullopt;
}

constexpr Type kGauge = Type::gauge;
constexpr Type kCounter = Type::counter;

constexpr std::array kRows{
    some("rl_decisions_total", kCounter,
         "Calls that were decided: allowed, denied, or would_deny (passed, in shadow).", decisions),
    some("rl_refunds_total", kCounter, "Calls that were given back.", refunds),
    some("rl_waits_total", kCounter, "Allowed calls that had to wait for their turn.", waits),
    some("rl_wait_seconds_total", kCounter, "How long they had to wait, together.", wait_seconds),
    some("rl_trial_decisions_total", kCounter,
         "Calls of a trial, as the limit in_force and the one on_trial decided them; from 0 with "
         "each trial.",
         trial_decisions),
    some("rl_top_denied", kGauge,
         "Denials of the keys that have the most, since each has its slot.", top_denied),
    one("rl_slots", kGauge, "Slots of the table.", [](const Known& k) { return k.vitals.slots; }),
    one("rl_slots_live", kGauge, "Slots of keys that owe something, when all were last looked at.",
        [](const Known& k) { return when_counted(k, &SlotCounts::live); }),
    one("rl_slots_standing", kGauge,
        "Slots of overrides, bans and allowed keys, when all were last looked at.",
        [](const Known& k) { return when_counted(k, &SlotCounts::standing); }),
    one("rl_permits_out", kGauge, "Permits that were out, when all slots were last looked at.",
        [](const Known& k) { return when_counted(k, &SlotCounts::permits_out); }),
    one("rl_keys_promised", kGauge, "Keys that there is room for.",
        [](const Known& k) { return k.vitals.keys; }),
    one("rl_fill_ratio", kGauge, "Share of the slots that live keys, standings and permits take.",
        fill),
    some("rl_lookup_lines", Type::histogram,
         "Keys that came into the table, by how many cache lines of slots are looked at to find "
         "them.",
         lookup_lines),
    one("rl_cas_retries_total", kCounter, "Tries that a rival's success has undone.",
        [](const Known& k) { return k.totals.retries; }),
    some("rl_evictions_total", kCounter,
         "Slots that new keys took from others: idle ones, or owing ones where all were.",
         evictions),
    some("rl_full_lists_total", kCounter, "Calls that found no slot, by what when_full decided.",
         full_lists),
    one("rl_gave_up_total", kCounter, "Calls that ran out of tries.",
        [](const Known& k) { return k.vitals.gave_up; }),
    one("rl_states_clamped_total", kCounter,
        "States that were further ahead than any clock explains.",
        [](const Known& k) { return k.vitals.clamped; }),
    one("rl_tentatives_freed_total", kCounter, "Marks of inserts that were abandoned, and freed.",
        [](const Known& k) { return k.vitals.tentatives_freed + k.reaper.tentatives_freed; }),
    one("rl_permits_reclaimed_total", kCounter, "Permits that were taken back from dead processes.",
        [](const Known& k) { return k.totals.permits_reclaimed + k.reaper.permits_freed; }),
    one("rl_events_total", kCounter, "Events that were written.",
        [](const Known& k) { return k.totals.events; }),
    one("rl_events_lost_total", kCounter,
        "Events that were overwritten before a consumer had read them.",
        [](const Known& k) { return k.totals.events_lost; }),
    some("rl_clock_info", kGauge, "1, with the clock in use: tsc, boottime or manual.", clock_info),
    one("rl_clock_drift_seconds", kGauge,
        "How far the segment's clock is ahead of UTC, as counted since it was made.", drift),
    one("rl_tsc_left", kGauge, "1 when the segment began on the TSC and had to leave it.",
        [](const Known& k) { return std::uint64_t{k.vitals.tsc_left}; }),
    one("rl_processes_attached", kGauge, "Processes that are attached, rlreaper among them.",
        [](const Known& k) { return k.vitals.attached; }),
    one("rl_processes_anonymous_total", kCounter, "Times that a process found no free seat.",
        [](const Known& k) { return k.vitals.anonymous; }),
    one("rl_reaper_leads", kGauge, "1 while a reaper leads.",
        [](const Known& k) { return std::uint64_t{k.reaper.leads}; }),
    one("rl_reaper_last_sweep_timestamp_seconds", kGauge, "When a reaper last swept, Unix time.",
        last_sweep),
    one("rl_reaper_rounds_total", kCounter, "How often the whole table was swept.",
        [](const Known& k) { return k.reaper.rounds; }),
    one("rl_reaper_idle_freed_total", kCounter, "Idle slots that a reaper freed.",
        [](const Known& k) { return k.reaper.idle_freed; }),
    one("rl_corrupt_slots", kGauge,
        "Slots in no state that there is, in the last round of a reaper.", corrupt),
    one("rl_limits_off", kGauge, "1 while limits are off: every call passes.",
        [](const Known& k) { return std::uint64_t{k.vitals.off_since.has_value()}; }),
    one("rl_off_allowed_total", kCounter, "Calls that passed while limits were off.",
        [](const Known& k) { return k.vitals.off_allowed; }),
    one("rl_policies_used", kGauge, "Entries for policies that are used; none is used twice.",
        [](const Known& k) { return k.vitals.policies; }),
    one("rl_policies_room", kGauge, "Entries for policies that there are.",
        [](const Known& k) { return k.vitals.policy_room; }),
    one("rl_segment_bytes", kGauge, "Size of the segment.",
        [](const Known& k) { return k.vitals.bytes; }),
    one("rl_segment_created_timestamp_seconds", kGauge, "When it was made, Unix time.",
        [](const Known& k) { return unix_seconds(k.vitals.created); }),
};

}  // namespace

std::vector<Family> families_of(std::span<const Facts> segments) {
  std::vector<Family> families;
  Family up{"rl_segment_up",
            kGauge,
            "1 when the segment can be read; when it cannot, 0 and no other number.",
            {}};
  for (const Facts& facts : segments)
    up.samples.push_back({"", Of{facts.segment}(), std::uint64_t{facts.known.has_value()}});
  families.push_back(std::move(up));
  for (const Row& row : kRows) {
    Family family{row.name, row.type, row.help, {}};
    for (const auto& [segment, known] : segments) {
      if (!known) continue;
      if (row.several != nullptr) {
        row.several(Of{segment}, *known, family.samples);
      } else if (const std::optional<Number> value = row.value(*known)) {
        family.samples.push_back({"", Of{segment}(), *value});
      }
    }
    families.push_back(std::move(family));
  }
  return families;
}

}  // namespace rl::metrics
