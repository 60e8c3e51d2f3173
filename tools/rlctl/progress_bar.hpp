/// \file
/// How far something has come, on standard error while it is a terminal.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace rl::ctl {

/// A line that is drawn anew some ten times a second, and gone at the end of its life. Nothing is
/// ever shown where standard error is no terminal.
class ProgressBar {
 public:
  explicit ProgressBar(std::string what);
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  ~ProgressBar();
  /// `all` is 0 where nobody knows how much there is: then what is done is counted.
  void show(std::uint64_t done, std::uint64_t all);

 private:
  std::string what_;
  bool is_seen_;
  bool is_drawn_ = false;
  std::chrono::steady_clock::time_point next_;
};

}  // namespace rl::ctl
