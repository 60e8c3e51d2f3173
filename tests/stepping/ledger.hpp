/// \file
/// What the totals and the events of a stepped segment say, read from its bytes: totals are exact,
/// and of the events at most one is half written.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "tests/stepping/steps.hpp"

namespace rl::test {

/// The calls that all stripes have counted, allowed or denied.
std::uint64_t calls_counted(const shm::Mapping& mapping);

/// The events whose number was drawn, but whose record is not whole.
std::uint64_t events_not_whole(const shm::Mapping& mapping);

/// How many calls a step is; nothing where that depends on what it meets.
std::optional<std::uint64_t> calls_of(const Step& step);

/// Says what is wrong with what was counted since `before`, or nothing: the rivals' calls, and the
/// victim's, which was killed where it has no outcome.
std::string find_miscount(std::uint64_t before, const Step& victim, bool is_killed,
                          const Script& rivals, const shm::Mapping& mapping);

}  // namespace rl::test
