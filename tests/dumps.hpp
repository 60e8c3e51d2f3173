/// \file
/// Dumps as texts: taking them, loading them, and making their sums fit again.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <rl/rl.hpp>

#include "src/dump_text.hpp"

namespace rl::test {

inline std::string dumped(const Segment& segment, DumpReport* report = nullptr) {
  std::string text;
  const DumpReport written =
      Dump::write(segment, [&](std::string_view part) { text.append(part); });
  if (report != nullptr) *report = written;
  return text;
}

/// Gives a text in pieces of at most so many bytes, as a pipe would.
inline Dump::Source source_of(std::string_view text, std::size_t piece = 1U << 20) {
  return [text, piece](std::span<char> to) mutable {
    const std::size_t size = std::min({text.size(), to.size(), piece});
    std::copy_n(text.data(), size, to.data());
    text.remove_prefix(size);
    return size;
  };
}

inline Dump read(std::string_view text) {
  return Dump::read(source_of(text));
}

inline std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {  // ends: each turn takes a line
    const std::size_t end = std::min(text.find('\n'), text.size() - 1) + 1;
    lines.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
  return lines;
}

inline std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

/// Returns a line without its sum: {"lines":3
inline std::string body_of(const std::string& line) {
  return line.substr(0, line.rfind(",\"sum\":"));
}

/// Gives each body the sum that it must have in its place.
inline std::string sealed(const std::vector<std::string>& bodies) {
  std::string text;
  shm::Hash128 chain = DumpWriter::kChainStart;
  for (const std::string& body : bodies) {
    chain = shm::Hasher(chain)(body.data(), body.size());
    char sum[32];
    std::snprintf(sum, sizeof sum, ",\"sum\":\"%016llx\"}\n",
                  static_cast<unsigned long long>(chain.low));
    text += body + sum;
  }
  return text;
}

}  // namespace rl::test
