#include "tools/rlctl/replay/log_trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <new>

#include <rl/error.hpp>

#include "tools/rlctl/progress_bar.hpp"
#include "tools/rlctl/replay/log_lines.hpp"

namespace rl::ctl {
namespace {

constexpr std::size_t kShownBytes = 80;

std::string beginning(std::string_view line) {
  return std::string(line.substr(0, kShownBytes)) + (line.size() > kShownBytes ? "..." : "");
}

/// The same in a sentence, which ends at a NUL and is to be readable whatever is in the log.
std::string quoted(std::string_view line) {
  std::string text = beginning(line);
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c < ' ' || c > '~'; }, '.');
  return '"' + text + '"';
}

LogFormat format_of(const LogWanted& wanted, LogLines& lines) {
  constexpr std::size_t kLinesToGuess = 50;
  if (wanted.format) return *wanted.format;
  const auto first = lines.look_ahead(kLinesToGuess);
  if (first.empty()) {
    throw Error(Errc::bad_option, fmt::format("{}: empty; give a log with at least one request",
                                              lines.bytes().name()));
  }
  if (const auto format = guessed_format(first, wanted.time_field)) return *format;
  throw Error(Errc::bad_option,
              fmt::format("{}: its first lines are neither combined, JSON nor LTSV, such as {}; "
                          "say which with --format, where the time stands with --time",
                          lines.bytes().name(), quoted(first.front())));
}

[[noreturn]] void fail_without_requests(const LogTrace& log) {
  std::string why;
  if (const LeftOut& out = log.left_out; out.of(LineRead::no_key) != 0) {
    why = fmt::format("{} lines name nobody by that --key", out.of(LineRead::no_key));
  } else if (!out.first.empty()) {
    const LeftOut::Line& line = out.first.front();
    why = fmt::format("line {} {}: {}", line.number,
                      line.why == LineRead::no_time
                          ? "has no time that can be read"
                          : fmt::format("is not of the format {}", name_of(log.format)),
                      quoted(line.text));
  } else {
    why = "it is empty";
  }
  throw Error(Errc::bad_option,
              fmt::format("{}: no request to replay, as {}; see --format, --time and --key",
                          log.name, why));
}

void read_lines(LogLines& lines, LineReader& reader, bool by_address, LogTrace& log) {
  constexpr std::uint64_t kTellEvery = std::uint64_t{1} << 14;
  ProgressBar progress("reading");
  const LogBytes& bytes = lines.bytes();
  std::string_view line;
  LogEntry entry;
  for (std::uint64_t number = 1; lines.next(line); ++number) {
    const LineRead read = reader.read(line, entry);
    if (read == LineRead::entry) {
      log.trace.add(entry.key, entry.unix_ns);
      if (by_address && !entry.is_address) ++log.without_address;
    } else {
      log.left_out.add(number, read, line);
    }
    if (number % kTellEvery == 0)
      progress.show(bytes.bytes_there() != 0 ? bytes.bytes_read() : number, bytes.bytes_there());
  }
}

}  // namespace

void LeftOut::add(std::uint64_t number, LineRead why, std::string_view line) {
  ++counts[static_cast<std::size_t>(why)];
  if (why == LineRead::no_key || first.size() >= kShown) return;
  first.push_back({number, why, beginning(line)});
}

LogTrace read_log(const LogWanted& wanted) {
  LogLines lines(wanted.file);
  LogTrace log;
  log.name = lines.bytes().name();
  log.format = format_of(wanted, lines);
  LineReader reader(log.format, wanted.key, wanted.time_field);
  try {
    read_lines(lines, reader, wanted.key.is_address(), log);
  } catch (const std::bad_alloc&) {
    throw Error(
        Errc::bad_option,
        fmt::format("{}: {} requests of {} keys, at 12 bytes a request, are more than there "
                    "is memory for; replay a part of the log",
                    log.name, log.trace.size(), log.trace.key_count()));
  }
  if (log.trace.size() == 0) fail_without_requests(log);
  return log;
}

}  // namespace rl::ctl
