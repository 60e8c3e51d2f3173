/// \file
/// Looks at a segment again and again, and reads only. Follows it when it is replaced under its
/// name, and goes on with what it has while the name is gone.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/top/rows.hpp"
#include "tools/rlctl/top/table_walk.hpp"

namespace rl::ctl::live {

/// Threads: one at a time.
class Looker {
 public:
  /// Errors: as Segment::open_read_only.
  Looker(std::string name, bool any_owner);

  /// Looks once. Errors: Error (corrupt) for a segment that was truncated under us; what is odd else
  /// is told in Look::notice.
  Look look(const Wish& wish);

 private:
  /// All that was opened of one file.
  struct Opened;
  void follow();

  std::string name_;
  std::string path_;
  bool any_owner_;
  std::shared_ptr<Opened> opened_;
  std::string notice_;
  std::string replaced_;  ///< when; empty as long as it is the one that was there first
};

}  // namespace rl::ctl::live
