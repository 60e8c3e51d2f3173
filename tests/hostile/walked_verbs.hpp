/// \file
/// What the walks over the verbs of rlctl share: a place for the segment, the commands one by one, and
/// what every end keeps. It ends by itself, with exit code 0, 1 or 2 (`run`: 0, or from 124 on), says
/// what a terminal only shows, and whoever only reads has changed nothing.
#pragma once

#include <doctest/doctest.h>

#include "tests/hostile/forge.hpp"
#include "tests/hostile/terminal.hpp"
#include "tests/verb_walk.hpp"

namespace rl::hostile {

using test::contents;
using test::Ran;
using test::rlctl;
using test::VerbCommand;
using test::VerbWalk;
using test::Words;

inline std::string text_of(const Words& words) {
  std::string text = "rlctl";
  for (const std::string& word : words) text += " " + word;
  return text;
}

inline bool all_lines(std::string_view text, bool (*holds)(std::string_view)) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == text.npos || !holds(text.substr(0, end))) return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

inline bool is_object(std::string_view line) {
  return line.starts_with('{') && nlohmann::json::accept(line);
}
inline bool is_ours(std::string_view line) {
  return line.starts_with("rlctl: ");
}

inline bool is_ours_or_object(std::string_view line) {
  return is_ours(line) || is_object(line);
}

inline bool is_of_run(const Words& words) {
  return test::error_code(words) != 2;
}
inline bool is_json(const Words& words) {
  return std::find(words.begin(), words.end(), "--json") != words.end();
}

/// What each end keeps, whatever led to it.
inline void check_end(const Ran& ran, const Words& words) {
  CAPTURE(text_of(words));
  CAPTURE(ran.out);
  CAPTURE(ran.err);
  const bool is_run = is_of_run(words);
  const bool is_usual = ran.exit_code >= 0 && ran.exit_code <= (is_run ? 0 : 2);
  CHECK((is_usual || (is_run && ran.exit_code >= 124 && ran.exit_code < 128)));
  CHECK(is_harmless(ran.out));
  CHECK(is_harmless(ran.err));
  // Standard output is its command's, so its JSON is on the other.
  CHECK(all_lines(ran.err, is_run ? is_ours_or_object : is_ours));
  CHECK((ran.exit_code != test::error_code(words) || !ran.err.empty()));
  if (is_json(words)) CHECK(all_lines(ran.out, is_object));
}

/// As an end, and one that says why.
inline void check_refusal(const Ran& ran, const Words& words, std::string_view part) {
  check_end(ran, words);
  CAPTURE(text_of(words));
  CAPTURE(ran.err);
  CHECK(ran.exit_code == test::error_code(words));
  CHECK(ran.err.find(part) != ran.err.npos);
}

/// A place for one segment after the other.
class Place {
 public:
  [[nodiscard]] std::string path() const { return folder_.at("web"); }
  void put(const Forged& forged) const { forged.write_to(path()); }

 private:
  test::Folder folder_;
};

/// Runs each command of each verb, as text and as JSON. `lay` puts the segment there for each anew,
/// and `check` is given the command, how it ended, and whether the file is as it was.
template <class Lay, class Run, class Check>
void walk(const VerbWalk& verbs, const Place& place, Lay lay, Run run, Check check) {
  for (VerbCommand command : verbs.commands(place.path())) {
    for (const bool json : {false, true}) {
      if (json) command.words = test::in_json(command.words);
      lay();
      const std::string before = contents(place.path());
      const Ran ran = run(command.words);
      check(command, ran, contents(place.path()) == before);
    }
  }
}

/// As a user would.
inline Ran plainly(const Words& words) {
  return rlctl(words);
}

/// Runs rlctl as a line of shell says, in which "$@" is the whole command.
inline Ran in_shell(const std::string& line, Words words) {
  words.insert(words.begin(), {"sh", "-c", line, "sh", test::rlctl_path()});
  return test::run(words);
}

}  // namespace rl::hostile
