/// \file
/// What the doctor checks: a pure function from facts to findings each.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/doctor/finding.hpp"
#include "tools/rlctl/doctor/patient.hpp"

namespace rl::ctl {

using Findings = std::vector<Finding>;

/// One thing to look for.
struct Check {
  std::string_view name;
  bool needs_open;  ///< what it looks at is in the segment
  Findings (*run)(const HostFacts&, const SegmentFacts&);
};

/// Returns all checks, in the order in which they are told.
std::span<const Check> checks();

/// What all checks that can be made found; and the names of those that found nothing.
struct Diagnosis {
  std::vector<Found> found;
  std::vector<std::string_view> fine;
};
Diagnosis diagnose(const HostFacts& host, const SegmentFacts& segment);

// The host and the file: host_checks.cpp
Findings check_that_it_opens(const HostFacts& host, const SegmentFacts& segment);
Findings check_name(const HostFacts& host, const SegmentFacts& segment);
Findings check_room(const HostFacts& host, const SegmentFacts& segment);
Findings check_memory(const HostFacts& host, const SegmentFacts& segment);
Findings check_huge_pages(const HostFacts& host, const SegmentFacts& segment);
Findings check_remove_ipc(const HostFacts& host, const SegmentFacts& segment);
Findings check_permissions(const HostFacts& host, const SegmentFacts& segment);
// The clock: time_checks.cpp
Findings check_time_namespace(const HostFacts& host, const SegmentFacts& segment);
Findings check_tsc(const HostFacts& host, const SegmentFacts& segment);
Findings check_drift(const HostFacts& host, const SegmentFacts& segment);
// What is in it: content_checks.cpp
Findings check_switch(const HostFacts& host, const SegmentFacts& segment);
Findings check_slots(const HostFacts& host, const SegmentFacts& segment);
Findings check_fill(const HostFacts& host, const SegmentFacts& segment);
Findings check_full_lists(const HostFacts& host, const SegmentFacts& segment);
Findings check_lookups(const HostFacts& host, const SegmentFacts& segment);
Findings check_hot_key(const HostFacts& host, const SegmentFacts& segment);
Findings check_ipv6(const HostFacts& host, const SegmentFacts& segment);
Findings check_reaper(const HostFacts& host, const SegmentFacts& segment);
Findings check_seats(const HostFacts& host, const SegmentFacts& segment);
Findings check_policy_ids(const HostFacts& host, const SegmentFacts& segment);
Findings check_policies(const HostFacts& host, const SegmentFacts& segment);

// For fixes.
/// Returns a word that a shell takes as it is (bash, where it has bytes that nobody may be shown).
std::string shell_word(std::string_view word);
/// Returns the options of `rlctl create` that make a segment with the same rights.
std::string rights_of(const SegmentFacts& segment);
/// Returns commands that make the segment anew, in its place and with what its keys owe.
std::string made_anew(const SegmentFacts& segment, std::string_view options);

}  // namespace rl::ctl
