// `rlctl complete`: what the scripts of tools/completion/ ask when somebody presses the key. The exit
// code is 1 where only the shell can know, as a file's name can stand there.

#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/complete/live_words.hpp"
#include "tools/rlctl/complete/typed_line.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verb_table.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

void put_candidate(const Candidate& candidate, bool json) {
  if (json) {
    put_json({{"word", candidate.word}, {"help", candidate.help}});
  } else {
    put(candidate.word + (candidate.help.empty() ? "" : '\t' + candidate.help) + '\n');
  }
}

}  // namespace

int complete(const Arguments& arguments) {
  const bool of_line = arguments.has(Arg::line);
  if (of_line == arguments.has(Arg::typed)) {
    throw Error(Errc::bad_option,
                "complete: give the words behind --, or --line and a line; see `rlctl help "
                "complete`");
  }
  TypedLine line;
  if (of_line) {
    line = read_line(arguments.text(Arg::line), arguments.text(Arg::breaks),
                     arguments.text(Arg::keeps));
  } else {
    line.words = arguments.values(Arg::typed);
    if (line.words.empty()) line.words.emplace_back();  // none is an empty one, being typed
  }
  Place place = place_of(verbs(), line.words);
  place.any_owner |= arguments.has(Arg::any_owner);
  std::vector<Candidate> candidates = place.candidates;
  const std::vector<Candidate> live = live_words(place);
  candidates.insert(candidates.end(), live.begin(), live.end());
  for (Candidate& candidate : candidates) {
    if (of_line) {
      std::optional<std::string> rest = rest_to_type(line, candidate.word);
      if (!rest) continue;
      candidate.word = std::move(*rest);
    }
    put_candidate(candidate, arguments.has(Arg::json));
  }
  return place.wanted == Completes::files ? 1 : 0;
}

}  // namespace rl::ctl
