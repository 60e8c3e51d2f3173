/// \file
/// The slots of a table that hold what none can hold, and how each comes back to a state that there
/// is: by a transition of the table (shm/table.hpp), of the very words that were judged. So what
/// changed meanwhile stays, and any number of processes may decide while slots are mended.
///
///     in no state, an insert without a nonce    (i) freed: no call is on its way from there
///     a key under a policy that there is not    (i) freed, as by a reset: nobody can read its debt
///     a second slot of a key                    (i) freed: its key is found in the first
///     a debt that no clock explains             (h) cut, as its next call would
///     an insert that is abandoned               (i) freed, as by a sweep
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "tools/rlctl/doctor/slot_judge.hpp"

namespace rl::ctl {

struct Damage {
  std::uint64_t index = 0;
  shm::SlotWords words;
  JudgedSlot judged;  ///< faulty, or an insert
};

/// Finds them all. An insert counts when it stood unchanged for a second, so where there is one this
/// takes as long; its owner, should it live, begins anew.
std::vector<Damage> damage_of(const View& view);

/// Mends a slot. False when it is not as it was, or not damaged any more: nothing was done. Requires
/// a view that may write.
bool mend(View& view, const Damage& damage);

/// Returns what is, or would be, made of it.
std::string_view mended_to(const Damage& damage) noexcept;
/// Returns what is wrong with it.
std::string_view wrong_with(const Damage& damage) noexcept;

}  // namespace rl::ctl
