/// \file
/// Lines of logs as `rlctl replay` reads them, for libFuzzer: each line in each format and by each
/// kind of key. What is an entry names somebody and an instant; what is read again is the same.
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "tests/hostile/surface.hpp"
#include "tools/rlctl/replay/log_format.hpp"

namespace {

using namespace rl::ctl;
using rl::hostile::demand;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

void read(LineReader& reader, std::string_view line) {
  LogEntry first;
  const LineRead read = reader.read(line, first);
  demand(read == LineRead::entry || !text_of(read).empty(), "left out without a reason");
  if (read != LineRead::entry) return;
  demand(!first.key.empty(), "an entry of nobody");
  demand(first.unix_ns < kLogTimeMax, "an instant that no log has");
  const std::string key(first.key);
  LogEntry again;
  demand(reader.read(line, again) == read && again.key == key && again.unix_ns == first.unix_ns,
         "read again, it is another entry");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto lines = lines_of(text);
  (void)guessed_format(lines);
  for (const LogFormat format : {LogFormat::combined, LogFormat::json, LogFormat::ltsv}) {
    for (const char* key : {"ip", "ip/24/48", "path", "user"}) {
      LineReader reader(format, KeyChoice::parse(key), {});
      for (const std::string_view line : lines) read(reader, line);
    }
  }
  return 0;
}
