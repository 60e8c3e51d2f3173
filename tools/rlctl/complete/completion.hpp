/// \file
/// What may stand at the end of a command line that is being typed, as far as the tables tell: the
/// rest is looked up (live_words.hpp). Pure.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/options.hpp"

namespace rl::ctl {

struct Verb;

/// Something that may be typed, whole, and what is said of it.
struct Candidate {
  std::string word;
  std::string help;
};

/// What fits where the last word is being typed.
struct Place {
  std::vector<Candidate> candidates;  ///< that begin as what is typed
  /// What is to be looked up: Completes::segments, policies or keys; or files, which the shell does.
  Completes wanted = Completes::nothing;
  std::string typed;           ///< how what is looked up must begin
  std::string before;          ///< stands before it in the same word, such as "--policy="
  bool may_be_dashed = false;  ///< it may begin with a dash
  const Verb* verb = nullptr;
  std::string segment;  ///< as it was given, or empty
  std::string policy;
  bool any_owner = false;
};

/// `words` begin with the name of the program; the last is being typed, and may be empty. What makes
/// no sense has a place where nothing fits.
Place place_of(std::span<const Verb> verbs, std::span<const std::string> words);

}  // namespace rl::ctl
