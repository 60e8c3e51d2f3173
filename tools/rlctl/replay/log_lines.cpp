#include "tools/rlctl/replay/log_lines.hpp"

#include <algorithm>
#include <cstring>

namespace rl::ctl {
namespace {

constexpr std::size_t kReadBytes = std::size_t{1} << 20;

std::string_view without_return(std::string_view line) noexcept {
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

LogLines::LogLines(const std::string& file)
    : bytes_(file), buffer_(LogLines::kLineMax + kReadBytes) {}

/// Reads more behind what is there. Returns false at the end of the log.
bool LogLines::fill() {
  if (is_at_end_) return false;
  if (begin_ != 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  const std::size_t got = bytes_.read(std::span(buffer_).subspan(end_));
  end_ += got;
  is_at_end_ = got == 0;
  return !is_at_end_;
}

bool LogLines::next(std::string_view& line) {
  for (;;) {  // ends: each turn reads on, or is the last
    const char* const from = buffer_.data() + scanned_;
    if (const void* const found = std::memchr(from, '\n', end_ - scanned_); found != nullptr) {
      const auto at = static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data());
      line = without_return({buffer_.data() + begin_, at - begin_}).substr(0, kLineMax);
      begin_ = scanned_ = at + 1;
      return true;
    }
    scanned_ = end_;
    if (end_ - begin_ > kLineMax) {
      line = {buffer_.data() + begin_, kLineMax};
      // What is handed out lies below; what comes on is read behind it.
      begin_ += kLineMax;
      skip_rest_of_line();
      return true;
    }
    if (fill()) continue;
    line = without_return({buffer_.data() + begin_, end_ - begin_});
    begin_ = end_;
    return !line.empty();
  }
}

/// Drops what is at hand of a line that is too long, and all of it that comes on: the line that was
/// handed out stays where it is.
void LogLines::skip_rest_of_line() {
  std::size_t end = begin_;
  for (;;) {  // ends: reads on until the line does, or the log
    const std::size_t got = bytes_.read(std::span(buffer_).subspan(end));
    const void* const found = std::memchr(buffer_.data() + end, '\n', got);
    if (got == 0) {
      is_at_end_ = true;
      begin_ = end_ = scanned_ = end;
      return;
    }
    if (found == nullptr) continue;
    begin_ = scanned_ =
        static_cast<std::size_t>(static_cast<const char*>(found) - buffer_.data()) + 1;
    end_ = end + got;
    return;
  }
}

/// Reads on to the end of so many lines, or of the log; a pipe brings them little by little.
void LogLines::fill_with_lines(std::size_t most) {
  std::size_t seen = 0;
  std::size_t ends = 0;
  do {  // ends: each turn reads on, or is the last
    const std::string_view fresh(buffer_.data() + seen, end_ - seen);
    ends += static_cast<std::size_t>(std::count(fresh.begin(), fresh.end(), '\n'));
    seen = end_;
  } while (ends < most && end_ <= kLineMax && fill());
}

std::vector<std::string_view> LogLines::look_ahead(std::size_t most) {
  std::vector<std::string_view> lines;
  fill_with_lines(most);
  std::string_view rest(buffer_.data(), end_);
  while (!rest.empty() && lines.size() < most) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    // The last may not be there whole.
    if (end == rest.size() && !is_at_end_ && !lines.empty()) break;
    lines.push_back(without_return(rest.substr(0, end)));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return lines;
}

}  // namespace rl::ctl
