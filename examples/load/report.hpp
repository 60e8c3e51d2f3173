/// \file
/// Turns a recording into the table and the verdict of the demo.
#pragma once

#include <cstddef>
#include <string>

#include "examples/load/sender.hpp"
#include "examples/load/verdict.hpp"

namespace examples {

struct Report {
  std::string text;
  bool good = false;
};

/// Judges each client and all together. The table has at most `rows` clients, those that asked
/// most, in the order of the schedule.
Report judge(const Schedule& schedule, const Recording& recording, const Bucket& bucket,
             std::size_t rows);

}  // namespace examples
