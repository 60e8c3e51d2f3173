/// \file
/// What a limit gives a client that always asks: the numbers of the chart that `explain` draws.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <rl/limit.hpp>

namespace rl::ctl {

/// How many steps a program gets, and no fewer are taken for anybody: none is longer than what passes
/// at once takes to come back, or than a window.
inline constexpr std::size_t kAdmissionSteps = 60;

/// How much was admitted up to an instant, and at it.
struct AdmissionPoint {
  std::chrono::nanoseconds at;
  std::uint64_t admitted = 0;
};

/// Returns `steps` + 1 points, evenly from 0 on, of one key that is idle at first and asks for calls of
/// cost 1 all the time: decided by the limit's own algorithm, as a segment would. So long that what
/// passes at once is seen to pass and to come back; for windows of the clock three of them, as if the
/// client came at the beginning of one. None for permits, which do not come with time.
std::vector<AdmissionPoint> admissions(const Limit& limit, std::size_t steps);

}  // namespace rl::ctl
