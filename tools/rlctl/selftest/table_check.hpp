/// \file
/// Whether a table at rest is valid (Guarantee S), read from the segment's file behind the
/// library's back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace rl::selftest {

struct TableCheck {
  std::uint64_t members = 0;
  std::uint64_t tentatives = 0;  ///< inserts that were never finished: valid, and in nobody's way
  std::vector<std::string> faults;
};

/// Looks at every slot of a segment that nobody is using: no key has two members, every member has
/// a policy that can be read and a debt that its limit allows, and nothing is half written.
TableCheck check_table(const std::string& path);

}  // namespace rl::selftest
