/// \file
/// Gathers what the doctor looks at: of the host, and of a segment. Writes nothing anywhere.
#pragma once

#include <string>
#include <string_view>

#include "tools/rlctl/doctor/patient.hpp"
#include "tools/rlctl/host/segment_files.hpp"

namespace rl::ctl {

/// What there is to know beside any segment; what cannot be read is as it is on most hosts.
HostFacts facts_of_host();

/// Looks for RemoveIPC in the text of a configuration of systemd; the last one counts. Nothing when
/// it is not there.
std::optional<bool> remove_ipc_in(std::string_view text);

/// Looks into a segment. `host` says which processes have what; the table is read whole. Never
/// throws for what is wrong with the segment.
SegmentFacts facts_of_segment(const std::string& name, const HostSegments& host, bool any_owner);

/// Counts what the keys of a segment tell together: by whom it is called most, and how many single
/// IPv6 addresses are of one network.
Traffic traffic_of(const Segment& segment);

}  // namespace rl::ctl
