/// \file
/// What the verbs share that make a call or look at one: acquire, peek and run.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include <rl/rl.hpp>

#include "tools/rlctl/arguments.hpp"

namespace rl::ctl {

/// Returns how much the call costs. Errors: Error (bad_option) for 0.
std::uint64_t cost_of(const Arguments& arguments);

/// Returns how long the call may wait for its turn; nothing where that is not said.
std::optional<std::chrono::nanoseconds> wait_of(const Arguments& arguments);

/// Whether a policy gives permits, and takes no calls.
bool gives_permits(const Limiter& limiter);
bool gives_permits(const Limiters& limiters);

/// Errors: Error (bad_option) for a policy that only counts, so that there is no call to be made or
/// looked at; and for a cost where permits are given.
void check_can_be_asked(const Arguments& arguments, const Limiters& limiters);

/// Returns the name of the limit that decided, where it is one of several; empty where it is alone.
std::string decided_by(const Limiters& limiters, const AllOf& all);

/// Returns a sentence about a cost that can never pass.
std::string never_passes(std::uint64_t cost, const std::string& policy, const Decision& decision);

}  // namespace rl::ctl
