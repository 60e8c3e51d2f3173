/// \file
/// What several verbs do.
#pragma once

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include <rl/rl.hpp>

#include "src/nearest.hpp"
#include "tools/rlctl/arguments.hpp"

namespace rl::ctl {

inline Segment open_to_read(const Arguments& arguments) {
  return Segment::open_read_only(arguments.text(Arg::segment),
                                 {.any_owner = arguments.has(Arg::any_owner)});
}

inline Segment open_to_write(const Arguments& arguments) {
  return Segment::open(arguments.text(Arg::segment), {.any_owner = arguments.has(Arg::any_owner)});
}

/// Returns how a segment is to be made; what the command line does not say is as in `otherwise`.
SegmentOptions creation_options(const Arguments& arguments, SegmentOptions otherwise = {});
/// Returns the key, given as KEY or in a file. Errors: Error (bad_option).
std::string key_of(const Arguments& arguments);

/// Returns "1 key", or "2 keys".
inline std::string counted(std::uint64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", count, count == 1 ? one : many);
}
/// Returns "2 processes are".
inline std::string processes_are(std::uint32_t count) {
  return counted(count, "process is", "processes are");
}

/// Returns what a word of the command line stands for. Errors: Error (bad_option) that names the
/// nearest, or all the words there are.
template <class Value>
Value choice(const Arguments& arguments, Arg arg, Value otherwise,
             std::initializer_list<std::pair<std::string_view, Value>> choices) {
  if (!arguments.has(arg)) return otherwise;
  const std::string& given = arguments.text(arg);
  std::vector<std::string_view> words;
  Nearest nearest(given);
  for (const auto& [word, value] : choices) {
    if (given == word) return value;
    words.push_back(word);
    nearest.offer(word);
  }
  throw Error(
      Errc::bad_option,
      fmt::format("{} \"{}\": {}", spelling(arg), given,
                  nearest.name().empty() ? fmt::format("give one of {}", fmt::join(words, ", "))
                                         : fmt::format("did you mean \"{}\"?", nearest.name())));
}

/// Returns what is to become of what keys have used.
inline Spent spent_of(const Arguments& arguments) {
  return choice(arguments, Arg::spent, Spent::keep,
                {{"keep", Spent::keep}, {"scale", Spent::scale}, {"reset", Spent::reset}});
}

}  // namespace rl::ctl
