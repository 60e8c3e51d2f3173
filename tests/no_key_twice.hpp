/// \file
/// Guarantee S, read from the segment's file behind the library's back.
#pragma once

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "shm/mapping.hpp"

namespace rl::test {

/// Every key of the table has one slot.
inline void check_that_no_key_has_two_slots(const std::string& path) {
  const shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_only, false);
  const shm::Table<shm::Slot> table = mapping.table();
  std::set<std::uint64_t> seen;
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    const std::uint64_t tag = table.settled(table.slot(i)).tag;
    if (shm::is_member(tag)) REQUIRE(seen.insert(shm::identity_of(tag)).second);
  }
}

}  // namespace rl::test
