// Checks of a segment's clock.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/rlctl/doctor/checks.hpp"
#include "tools/rlctl/host/mapped_files.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

bool kernel_trusts_tsc(const HostFacts& host) {
  return host.clocksource == "tsc";
}
bool can_choose_tsc(const HostFacts& host) {
  return std::find(host.clocksources.begin(), host.clocksources.end(), "tsc") !=
         host.clocksources.end();
}

constexpr std::string_view kChooseTsc =
    "echo tsc > /sys/devices/system/clocksource/clocksource0/current_clocksource";

}  // namespace

Findings check_time_namespace(const HostFacts& host, const SegmentFacts& segment) {
  std::vector<pid_t> strangers;
  for (const Holder& holder : segment.holders) {
    const bool is_known = holder.time_namespace != 0 && host.time_namespace != 0;
    if (is_known && holder.time_namespace != host.time_namespace) strangers.push_back(holder.pid);
  }
  if (strangers.empty()) return {};
  return {{Harm::bad,
           fmt::format("{} {} no part in the segment's clock, and can decide nothing",
                       processes(strangers), strangers.size() == 1 ? "has" : "have"),
           "they were forked into another time namespace, whose clock may be offset",
           fmt::format("kill {}   # and start them without `unshare --time`",
                       fmt::join(strangers, " ")),
           {{"processes", strangers.size()}}}};
}

Findings check_tsc(const HostFacts& host, const SegmentFacts& segment) {
  const SegmentInfo& info = segment.open->info;
  if (info.tsc_left) {
    return {{Harm::warning, "it began on the TSC and had to leave it, so that calls take longer",
             "the TSC jumped, froze or did not keep pace with the kernel's clock, as when a "
             "virtual machine is moved",
             made_anew(segment, "--clock boottime")}};
  }
  if (info.clock == ClockSource::tsc && !(kernel_trusts_tsc(host) && host.has_invariant_tsc)) {
    return {{Harm::warning, "it is on the TSC, which is not to be trusted any more",
             fmt::format("the kernel's own clock is {} now{}", escape(host.clocksource),
                         host.has_invariant_tsc ? "" : ", and the CPU's TSC is not invariant"),
             made_anew(segment, "--clock boottime")}};
  }
  if (!host.is_x86 || info.clock != ClockSource::boottime || !host.has_invariant_tsc) return {};
  if (!kernel_trusts_tsc(host) && !can_choose_tsc(host)) return {};  // a host without: so be it
  return {{Harm::note, "a call reads the kernel's clock, which takes longer than the TSC",
           kernel_trusts_tsc(host)
               ? "it was created with --clock boottime, or before the kernel "
                 "trusted the TSC"
               : fmt::format("the kernel's own clock is {}", escape(host.clocksource)),
           kernel_trusts_tsc(host)
               ? made_anew(segment, "--clock auto")
               : fmt::format("{} && {}", kChooseTsc, made_anew(segment, "--clock auto"))}};
}

Findings check_drift(const HostFacts&, const SegmentFacts& segment) {
  const auto& drift = segment.open->info.clock_drift;
  constexpr std::chrono::seconds kShows{1};
  if (!drift || (*drift<kShows&& * drift> - kShows)) return {};
  const auto& policies = segment.open->policies;
  const bool has_windows =
      std::any_of(policies.begin(), policies.end(), [](const PolicyInfo& policy) {
        return policy.limit && (policy.limit->algorithm() == Algorithm::fixed_window ||
                                policy.limit->algorithm() == Algorithm::sliding_window);
      });
  const bool is_ahead = drift->count() > 0;
  return {
      {has_windows ? Harm::warning : Harm::note,
       fmt::format("its clock is {} {} UTC{}", human_duration(is_ahead ? *drift : -*drift),
                   is_ahead ? "ahead of" : "behind",
                   has_windows ? ", and so are the ends of its windows" : ""),
       "the host's time was set since it was made, or NTP steers it by more than the TSC is off",
       made_anew(segment, ""),
       {{"drift_ns", std::int64_t{drift->count()}}}}};
}

}  // namespace rl::ctl
