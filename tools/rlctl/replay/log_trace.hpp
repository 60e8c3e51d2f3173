/// \file
/// A log, read into a trace; and what of it could not be read.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "tools/rlctl/replay/log_format.hpp"
#include "tools/rlctl/replay/trace.hpp"

namespace rl::ctl {

/// Lines that are no requests, or nobody's.
struct LeftOut {
  static constexpr std::size_t kShown = 3;
  struct Line {
    std::uint64_t number;  ///< the first is 1
    LineRead why;
    std::string text;  ///< its beginning, as it stands there
  };
  std::array<std::uint64_t, 4> counts{};  ///< by LineRead
  std::vector<Line> first;                ///< of those that could not be read, the first kShown

  void add(std::uint64_t number, LineRead why, std::string_view line);
  [[nodiscard]] std::uint64_t of(LineRead why) const noexcept {
    return counts[static_cast<std::size_t>(why)];
  }
  [[nodiscard]] std::uint64_t unparsed() const noexcept {
    return of(LineRead::other_format) + of(LineRead::no_time);
  }
};

struct LogWanted {
  std::string file;  ///< "-" is standard input
  std::optional<LogFormat> format;
  KeyChoice key;
  std::string time_field;
};

struct LogTrace {
  std::string name;
  LogFormat format = LogFormat::combined;
  Trace trace;
  LeftOut left_out;
  std::uint64_t without_address = 0;  ///< requests whose client is none, where that is the key
};

/// Reads a log, with a bar on terminals. Errors: as LogBytes and LineReader; Error (bad_option) for a
/// log without any request, and for one that needs more memory than there is.
LogTrace read_log(const LogWanted& wanted);

}  // namespace rl::ctl
