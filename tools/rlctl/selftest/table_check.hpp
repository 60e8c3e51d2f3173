/// \file
/// Whether a segment at rest is valid (Guarantee S), read behind the library's back: the strictest
/// of such checks, shared by the self-test and by the tests.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/mapping.hpp"

namespace rl::selftest {

struct TableCheck {
  std::uint64_t policies = 0;
  std::uint64_t members = 0;
  std::uint64_t tentatives = 0;  ///< inserts that were never finished: valid, and in nobody's way
  std::vector<std::string> faults;
};

/// Looks at every policy and every slot of a segment that nobody is using. The list of policies
/// ends, each is whole, and no id of theirs would be given out again; no key has two members, every
/// member is under a policy of that list, and nothing is half written.
///
/// With `latest_ns`, the latest instant at which a call may have been decided, also what the
/// library puts into a segment of its own: policies have limits and names of their own, and nobody
/// owes more than a limit allows as of then. Without, this may be a copy of anybody's bytes.
TableCheck check_table(const shm::Mapping& mapping, std::optional<std::uint64_t> latest_ns);

/// The same for a segment of our own, by its path, as of now. The clocks of two CPUs may differ by
/// as much as admissions may (admissions.hpp); by a second only once the TSC was left, which is
/// when processes change clocks one after the other.
TableCheck check_table(const std::string& path);

}  // namespace rl::selftest
