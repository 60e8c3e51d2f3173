/// \file
/// Every verb of rlctl that works on a segment, walked from the table as `rlctl help --json` tells it:
/// so what tries them all tries a new one, too.
#pragma once

#include <algorithm>
#include <array>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

#include "tests/rlctl.hpp"

namespace rl::test {

/// Verbs that may change a segment. Any other, a new one included, leaves every byte as it is.
inline bool is_writer(std::string_view verb) {
  static constexpr std::array<std::string_view, 21> kWriters{"policy set",   "policy shadow",
                                                             "policy trial", "policy promote",
                                                             "policy rm",    "apply",
                                                             "acquire",      "reset",
                                                             "off",          "on",
                                                             "ban",          "unban",
                                                             "override set", "override unset",
                                                             "allow",        "disallow",
                                                             "rm",           "create",
                                                             "load",         "repair",
                                                             "run"};
  return std::find(kWriters.begin(), kWriters.end(), verb) != kWriters.end();
}

/// One way to use a verb, on a segment of the test's choice.
struct VerbCommand {
  std::string verb;
  Words words;           ///< of the verb, and all that stands behind it
  bool is_whole = true;  ///< the example of the table, not what is left without its options
  [[nodiscard]] bool reads() const { return !is_writer(verb); }
};

/// Has a command answer in JSON: before its verb, as what stands at its end may be another's.
inline Words in_json(Words words) {
  words.insert(words.begin(), "--json");
  return words;
}

/// What an error of a verb ends with: `run` has the codes 1 and 2 of its command.
inline int error_code(std::string_view verb) {
  return verb == "run" ? 125 : 2;
}
/// The same of a whole command.
inline int error_code(const Words& words) {
  const auto verb = std::find_if(words.begin(), words.end(),
                                 [](const std::string& word) { return word != "--json"; });
  return verb == words.end() ? 2 : error_code(*verb);
}

/// The table of verbs, and the files that its examples name.
class VerbWalk {
 public:
  VerbWalk() {
    const Ran table = rlctl({"help", "--json"});
    REQUIRE_MESSAGE(table.exit_code == 0, table.err);
    std::istringstream lines(table.out);
    for (std::string line; std::getline(lines, line);) table_.push_back(Json::parse(line));
    REQUIRE(table_.size() > 30);
    const Made segment;
    segment.policy("api", "100/s burst=200");
    std::ofstream(folder_.at("limits.toml")) << rlctl({"export", segment.name()}).out;
    std::ofstream(folder_.at("web.dump")) << rlctl({"dump", segment.name()}).out;
  }

  /// The example of each verb but create, and what is left of it without its options. Who looks again
  /// after a while does so soon, and who waits does not: what is tried here is the look, a thousand
  /// times, not the wait. A command that is run does nothing.
  [[nodiscard]] std::vector<VerbCommand> commands(const std::string& segment) const {
    std::vector<VerbCommand> all;
    for (const Json& verb : table_) {
      const std::string name = verb.at("verb");
      if (name == "create" || !begins_with_segment(verb)) continue;
      const Words whole = example(verb, segment, true);
      const Words bare = example(verb, segment, false);
      all.push_back({name, whole});
      if (bare != whole) all.push_back({name, bare, false});
    }
    return all;
  }

  [[nodiscard]] const Folder& folder() const noexcept { return folder_; }

 private:
  using Json = nlohmann::json;

  static bool begins_with_segment(const Json& verb) {
    const Json& arguments = verb.at("arguments");
    return !arguments.empty() && arguments[0].at("completes") == "segments";
  }

  /// The words of an example, up to a redirection; quotes are taken off.
  static Words words_of(const std::string& example) {
    Words words;
    char quote = 0;
    bool inside = false;
    for (const char c : example) {
      if (quote == 0 && (c == '>' || c == '|')) break;
      if (c == quote || (quote == 0 && (c == '"' || c == '\''))) {
        quote = quote == 0 ? c : '\0';
      } else if (c == ' ' && quote == 0) {
        inside = false;
      } else {
        if (!inside) words.emplace_back();
        inside = true;
        words.back() += c;
      }
    }
    return words;
  }

  [[nodiscard]] std::string as_ours(const Json& argument, const std::string& word,
                                    const std::string& segment) const {
    const std::string completes = argument.at("completes");
    if (completes == "segments") return segment;
    return completes == "files" ? folder_.at(std::filesystem::path(word).filename()) : word;
  }

  [[nodiscard]] Words example(const Json& verb, const std::string& segment, bool options) const {
    const Words given = words_of(verb.at("example"));
    const Json& arguments = verb.at("arguments");
    Words words = words_of(verb.at("verb"));
    std::size_t positional = 0;
    for (std::size_t i = words.size() + 1; i < given.size(); ++i) {
      if (given[i] == "--") {
        words.insert(words.end(), {"--", "true"});
        break;
      }
      if (!given[i].starts_with("--")) {
        const std::size_t at = std::min(positional++, arguments.size() - 1);
        words.push_back(as_ours(arguments[at], given[i], segment));
        continue;
      }
      const auto option = std::find_if(verb.at("options").begin(), verb.at("options").end(),
                                       [&](const Json& o) { return o.at("name") == given[i]; });
      REQUIRE_MESSAGE(option != verb.at("options").end(), given[i]);
      const bool has_value = option->at("value") != "";
      // Without an end there would be none of the test; an interval is set below.
      if (options && given[i] != "--follow" && given[i] != "--interval" && given[i] != "--wait") {
        words.push_back(given[i]);
        if (has_value && i + 1 < given.size())
          words.push_back(as_ours(*option, given[i + 1], segment));
      }
      i += has_value ? 1 : 0;
    }
    if (positional == 0) words.push_back(segment);
    if (has_option(verb, "--interval")) words.insert(words.end(), {"--interval", "10ms"});
    return words;
  }

  static bool has_option(const Json& verb, const std::string& name) {
    const Json& options = verb.at("options");
    return std::any_of(options.begin(), options.end(),
                       [&](const Json& o) { return o.at("name") == name; });
  }

  Folder folder_;
  std::vector<Json> table_;
};

}  // namespace rl::test
