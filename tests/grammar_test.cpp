// The grammar of rlctl: what its tables say is what it takes, what help tells, and what the manual
// page has.
#include <fstream>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "tests/rlctl.hpp"
#include "tools/rlctl/command_line.hpp"
#include "tools/rlctl/verb_table.hpp"

namespace rl::test {
namespace {

using ctl::Arg;
using Names = std::set<std::string>;

/// Returns the words of a command without quotes, up to where the shell's part begins.
Words words_in(std::string_view command) {
  Words words;
  std::istringstream text{std::string(command)};
  for (std::string word; text >> word && word != ">";) words.push_back(word);
  return words;
}

ctl::Command parsed(const Words& words) {
  std::vector<const char*> argv;
  for (const std::string& word : words) argv.push_back(word.c_str());
  return ctl::parse(ctl::verbs(), static_cast<int>(argv.size()), argv.data());
}

/// Returns what a verb can be given, without what all verbs take and the manual says once.
template <class Wanted>
Names names_of(const ctl::Verb& verb, Wanted&& is_wanted) {
  Names names;
  for (const std::vector<Arg>* args : {&verb.needs, &verb.takes})
    for (const Arg arg : *args)
      if (is_wanted(arg)) names.insert(std::string(ctl::spelling(arg)));
  return names;
}
bool is_own_option(Arg arg) {
  return !ctl::is_positional(arg) && arg != Arg::any_owner;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// What rlctl.1.scd has of a verb: "*rlctl list* _SEGMENT_", and below it "\t*--rows* _N_".
struct Page {
  std::map<std::string, Names> arguments;
  std::map<std::string, Names> options;
  std::map<std::string, std::string> values;  ///< of "list --rows": "N"
  Names of_all;                               ///< options at the margin
};

std::string between(const std::string& text, char mark, std::size_t& at) {
  const std::size_t begin = text.find(mark, at);
  const std::size_t end = text.find(mark, begin + 1);
  if (begin == text.npos || end == text.npos) return at = text.npos, "";
  at = end + 1;
  return text.substr(begin + 1, end - begin - 1);
}

Page page() {
  const char* path = std::getenv("RL_CTL_MANUAL");
  REQUIRE_MESSAGE(path != nullptr, "RL_CTL_MANUAL says where the page is; meson test sets it");
  std::ifstream file(path);
  Page page;
  std::string verb;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("# ")) verb.clear();
    std::size_t at = 0;
    if (line.starts_with("*rlctl ") && page.of_all.contains("--json")) {
      verb = between(line, '*', at).substr(6);
      page.options[verb];
      page.arguments[verb];
      for (std::string name; !(name = between(line, '_', at)).empty();)
        page.arguments[verb].insert(name);
    } else if (line.starts_with("\t*--")) {
      REQUIRE_MESSAGE(!verb.empty(), line);
      const std::string name = between(line, '*', at);
      page.options[verb].insert(name);
      page.values[verb + ' ' + name] = between(line, '_', at);
    } else if (line.starts_with("*-") && verb.empty()) {
      for (std::string name; !(name = between(line, '*', at)).empty();) page.of_all.insert(name);
    }
  }
  return page;
}

TEST_CASE("every_example_is_accepted_by_the_command_line") {
  for (const ctl::Verb& verb : ctl::verbs()) {
    CAPTURE(verb.example);
    ctl::Command command;
    REQUIRE_NOTHROW(command = parsed(words_in(verb.example)));
    REQUIRE(command.verb != nullptr);
    CHECK(command.verb->name == verb.name);
  }
}

TEST_CASE("a_command_line_that_is_not_accepted_is_noticed") {
  for (const char* command : {"rlctl list web --nope 3", "rlctl list", "rlctl policy web",
                              "rlctl show web api k more", "rlctl list web --rows"}) {
    CAPTURE(command);
    CHECK_THROWS_AS((void)parsed(words_in(command)), const Error&);
  }
}

TEST_CASE("the_manual_has_every_verb_and_option_and_no_other") {
  const Page has = page();
  Names verbs;
  for (const ctl::Verb& verb : ctl::verbs()) {
    const std::string name(verb.name);
    verbs.insert(name);
    CAPTURE(name);
    REQUIRE_MESSAGE(has.options.contains(name), "rlctl.1.scd has no \"*rlctl " << name << "*\"");
    CHECK(has.options.at(name) == names_of(verb, is_own_option));
    CHECK(has.arguments.at(name) == names_of(verb, ctl::is_positional));
    for (const Arg arg : verb.takes) {
      if (!is_own_option(arg)) continue;
      const std::string option = name + ' ' + std::string(ctl::spelling(arg));
      if (has.values.contains(option)) CHECK(has.values.at(option) == ctl::option(arg).value);
    }
  }
  for (const auto& [name, options] : has.options) {
    CAPTURE(name);
    CHECK_MESSAGE(verbs.contains(name), "there is no such verb");
  }
  CHECK(has.of_all == Names{"--json", "--any-owner", "-h", "--help", "--version"});
}

TEST_CASE("every_verb_that_opens_a_segment_takes_any_owner_as_the_manual_says") {
  for (const ctl::Verb& verb : ctl::verbs()) {
    if (verb.needs.empty() || verb.needs.front() != Arg::segment || verb.name == "create") continue;
    CAPTURE(verb.name);
    CHECK(std::count(verb.takes.begin(), verb.takes.end(), Arg::any_owner) == 1);
  }
}

TEST_CASE("help_of_a_verb_is_the_same_however_it_is_asked_for") {
  for (const char* verb : {"list", "policy set", "policy", "help", "complete"}) {
    CAPTURE(verb);
    Words asked = words_in(verb);
    const Ran by_option = rlctl([&] {
      Words words = asked;
      words.emplace_back("--help");
      return words;
    }());
    asked.insert(asked.begin(), "help");
    check_answer(rlctl(asked), 0, by_option.out);
    CHECK(by_option.exit_code == 0);
  }
  check_answer(rlctl({"--help"}), 0, rlctl({"help"}).out);
}

TEST_CASE("help_says_all_of_a_verb") {
  for (const ctl::Verb& verb : ctl::verbs()) {
    CAPTURE(verb.name);
    Words words = words_in(verb.name);
    words.insert(words.begin(), "help");
    const Ran ran = rlctl(words);
    REQUIRE(ran.exit_code == 0);
    CHECK(ran.out.starts_with("Usage: rlctl " + std::string(verb.name)));
    CHECK(ran.out.find("Example:\n  " + std::string(verb.example)) != ran.out.npos);
    for (const std::string& name : names_of(verb, [](Arg) { return true; }))
      CHECK_MESSAGE(ran.out.find("\n  " + name) != ran.out.npos, name);
  }
}

TEST_CASE("help_lists_every_verb_once_and_fits_a_terminal") {
  const std::string text = rlctl({"help"}).out;
  for (const ctl::Verb& verb : ctl::verbs()) {
    CAPTURE(verb.name);
    const std::string row = "\n  " + std::string(verb.name) + "  ";
    const std::size_t at = text.find(row);
    REQUIRE(at != text.npos);
    CHECK(text.find(row, at + 1) == text.npos);
  }
  for (const char* columns : {"40", "80", "200"}) {
    for (const std::string& line :
         lines_of(shell("COLUMNS=" + std::string(columns) + " $RLCTL help load").out)) {
      CAPTURE(line);
      if (line.starts_with("  rlctl")) continue;  // a command is copied whole
      CHECK(line.size() <= std::stoul(columns));
    }
  }
}

TEST_CASE("help_in_json_is_the_whole_table") {
  const std::vector<std::string> lines = lines_of(rlctl({"help", "--json"}).out);
  REQUIRE(lines.size() == ctl::verbs().size());
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const ctl::Verb& verb = ctl::verbs()[i];
    CAPTURE(verb.name);
    const auto object = nlohmann::json::parse(lines[i]);
    CHECK(object.at("verb") == verb.name);
    CHECK(object.at("summary") == verb.summary);
    CHECK(object.at("example") == verb.example);
    CHECK(object.at("group").get<std::string>() != "");
    const auto names = [&](const char* list) {
      Names found;
      for (const auto& row : object.at(list)) found.insert(row.at("name").get<std::string>());
      return found;
    };
    CHECK(names("arguments") == names_of(verb, ctl::is_positional));
    Names options = names_of(verb, [](Arg arg) { return !ctl::is_positional(arg); });
    options.insert("--json");
    CHECK(names("options") == options);
  }
  CHECK(lines_of(rlctl({"help", "policy", "--json"}).out).size() == 7);
  CHECK(lines_of(rlctl({"help", "policy", "set", "--json"}).out).size() == 1);
}

TEST_CASE("help_on_what_there_is_not_names_the_nearest") {
  check_error(rlctl({"help", "lst"}), "unknown verb \"lst\"; did you mean \"list\"?");
  check_error(rlctl({"help", "polcy"}), "did you mean \"policy\"?");
  check_error(rlctl({"help", "policy", "sett"}), "did you mean \"policy set\"?");
  check_error(rlctl({"help", "nothing-like-it"}), "see `rlctl help`");
}

/// Returns a command that gives `word` for `wanted`, and for all else that the verb needs what may be.
Words with_word(const ctl::Verb& verb, Arg wanted, const std::string& word,
                const std::string& segment) {
  Words words = words_in(verb.name);
  for (const Arg arg : verb.needs)
    if (!ctl::option(arg).is_behind_dashes)
      words.push_back(arg == wanted         ? word
                      : arg == Arg::segment ? segment
                      : arg == Arg::limit   ? "1/s"
                                            : "api");
  for (const Arg arg : verb.takes)
    if (arg == Arg::limit) words.push_back("1/s");
  if (!ctl::is_positional(wanted))
    words.insert(words.end(), {std::string(ctl::spelling(wanted)), word});
  if (verb.error_code != 2) words.insert(words.end(), {"key", "--", "true"});
  return words;
}

TEST_CASE("the_words_of_an_option_are_those_that_its_verbs_take") {
  const Made segment;
  segment.policy("api", "1/s");
  for (const ctl::Option& option : ctl::options()) {
    if (option.words.empty()) continue;
    CAPTURE(option.spelling);
    std::string all;
    for (const std::string_view word : ctl::words_of(option))
      all.append(all.empty() ? "" : ", ").append(word);
    const std::string wanted = " " + all + "\n";
    std::string said;
    for (const ctl::Verb& verb : ctl::verbs())
      if (names_of(verb, [&](Arg arg) { return arg == option.arg; }).size() == 1)
        said += rlctl(with_word(verb, option.arg, "xyzzy", segment.name())).err;
    CAPTURE(said);
    CHECK(said.find("\"xyzzy\": ") != said.npos);
    CHECK(said.find(wanted) != said.npos);
  }
}

}  // namespace
}  // namespace rl::test
