/// \file
/// A log, line by line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/replay/log_bytes.hpp"

namespace rl::ctl {

/// Hands out the lines of a log, without their ends ("\n" or "\r\n"); the last may have none. Nothing
/// is copied or allocated for a line. Errors: as LogBytes.
class LogLines {
 public:
  /// Of a line that is longer only so much is handed out.
  static constexpr std::size_t kLineMax = std::size_t{1} << 20;

  explicit LogLines(const std::string& file);

  /// Takes the next line, which is good until the next call. Returns false at the end.
  bool next(std::string_view& line);
  /// Returns the first lines of the log, before any was taken: `most` of them, or as many as it has,
  /// or as are whole within kLineMax; they will come all the same.
  std::vector<std::string_view> look_ahead(std::size_t most);

  [[nodiscard]] const LogBytes& bytes() const noexcept { return bytes_; }

 private:
  bool fill();
  void fill_with_lines(std::size_t most);
  void skip_rest_of_line();

  LogBytes bytes_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;    ///< of what was read and not handed out
  std::size_t end_ = 0;      ///< of the same
  std::size_t scanned_ = 0;  ///< up to here there is no end of a line
  bool is_at_end_ = false;
};

}  // namespace rl::ctl
