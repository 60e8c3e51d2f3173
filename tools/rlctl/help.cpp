#include "tools/rlctl/help.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include <rl/error.hpp>

#include "src/nearest.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verb_table.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

struct GroupName {
  Group group;
  std::string_view word;
  std::string_view title;
};
constexpr std::array<GroupName, 5> kGroups{{
    {Group::look, "look", "Look into a segment"},
    {Group::limits, "limits", "Set limits"},
    {Group::single, "keys", "Treat single keys"},
    {Group::state, "state", "Keep segments"},
    {Group::machine, "machine", "This machine, and rlctl itself"},
}};

constexpr std::string_view kAbout =
    "Looks into, sets up and asks the rate limits of a librl segment.\n"
    "Exit status: 0 yes: it is done, or was so before; 1 no: denied, or not all of it; 2 error.\n";

constexpr std::string_view kBegin =
    "To begin with:\n"
    "  rlctl create web\n"
    "  rlctl policy set web api 100/s burst=200\n"
    "  rlctl acquire web api user:42\n"
    "  rlctl list web\n"
    "Does all this hold here? Try it for 10 s:\n"
    "  rlctl selftest\n"
    "`rlctl help VERB` says the rest of a verb; `rlctl help --json` says all, for programs.\n";

/// A name, and what is said of it.
struct Row {
  std::string name;
  std::string_view text;
};
const std::vector<Row> kOfAnyVerb{{"-h, --help", "print this help and exit"}};
const std::vector<Row> kOfRlctl{{"-h, --help", "print this help and exit"},
                                {"--version", "print the version and exit"}};

/// A name longer than this has a line of its own.
std::size_t name_columns() {
  return std::min<std::size_t>(24, terminal().columns / 3);
}

/// Returns words in lines that fit, each after the first moved in by `indent`.
std::string in_lines(std::string_view text, std::size_t indent) {
  const std::size_t columns = terminal().columns;
  std::string lines;
  std::size_t used = indent;
  while (!text.empty()) {  // ends: each round takes a word away
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    if (used > indent && used + 1 + word.size() > columns) {
      lines += fmt::format("\n{:{}}", "", indent);
      used = indent;
    } else if (used > indent) {
      lines += ' ';
      ++used;
    }
    lines += word;
    used += word.size();
  }
  return lines + '\n';
}

std::string section(std::string_view title, const std::vector<Row>& rows) {
  if (rows.empty()) return {};
  const std::size_t width = name_columns();
  std::string lines = '\n' + paint(Paint::strong, fmt::format("{}:\n", title));
  for (const Row& row : rows) {
    lines += fmt::format("  {:<{}}", row.name, width);
    if (row.name.size() >= width) lines += fmt::format("\n  {:{}}", "", width);
    lines += in_lines(row.text, width + 2);
  }
  return lines;
}

Row row_of(Arg arg) {
  const Option& about = option(arg);
  return {about.value.empty() ? std::string(about.spelling)
                              : fmt::format("{} {}", about.spelling, about.value),
          about.help};
}

std::vector<Row> rows_of(const Verb& verb, bool positional) {
  std::vector<Row> rows;
  for (const std::vector<Arg>* args : {&verb.needs, &verb.takes})
    for (const Arg arg : *args)
      if (is_positional(arg) == positional && !option(arg).is_behind_dashes)
        rows.push_back(row_of(arg));
  if (const std::optional<Arg> rest = behind_dashes(verb); rest && positional)
    rows.push_back(row_of(*rest));
  return rows;
}

Json json_of(Arg arg, bool required) {
  static constexpr std::array<std::string_view, 7> kCompletes{
      "nothing", "verbs", "segments", "policies", "keys", "files", "words"};
  const Option& about = option(arg);
  Json object{{"name", about.spelling}};
  if (is_positional(arg)) {
    object["required"] = required;
    object["many"] = about.takes_many;
  } else {
    object["value"] = about.value;
  }
  object["help"] = about.help;
  object["completes"] = kCompletes.at(static_cast<std::size_t>(about.completes));
  object["words"] = words_of(about);
  return object;
}

Json json_of(const Verb& verb) {
  const auto group = std::find_if(kGroups.begin(), kGroups.end(),
                                  [&](const GroupName& name) { return name.group == verb.group; });
  Json arguments = Json::array();
  Json options = Json::array();
  const auto add = [&](Arg arg, bool required) {
    (is_positional(arg) ? arguments : options).push_back(json_of(arg, required));
  };
  for (const Arg arg : verb.needs) add(arg, true);
  for (const Arg arg : verb.takes) add(arg, false);
  add(Arg::json, false);
  return {{"verb", verb.name},       {"summary", verb.summary}, {"group", group->word},
          {"usage", usage_of(verb)}, {"example", verb.example}, {"arguments", arguments},
          {"options", options}};
}

bool begins_with_word(std::string_view text, std::string_view word) {
  return text.starts_with(word) && (text.size() == word.size() || text[word.size()] == ' ');
}

std::string usage_line(std::string_view usage) {
  return paint(Paint::strong, "Usage: ") + in_lines(usage, 7);
}

/// Returns the verbs that are asked for: one, those of a group, or all. Errors: Error (bad_option).
std::vector<const Verb*> verbs_under(std::string_view words) {
  std::vector<const Verb*> found;
  Nearest nearest(words);
  for (const Verb& verb : verbs()) {
    if (words.empty() || begins_with_word(verb.name, words)) found.push_back(&verb);
    nearest.offer(verb.name.substr(0, verb.name.find(' ')));
    nearest.offer(verb.name);
  }
  if (!found.empty()) return found;
  throw Error(
      Errc::bad_option,
      fmt::format("unknown verb \"{}\"; {}", words,
                  nearest.name().empty() ? "see `rlctl help`"
                                         : fmt::format("did you mean \"{}\"?", nearest.name())));
}

}  // namespace

std::string usage_of(const Verb& verb) {
  std::string usage = fmt::format("rlctl {}", verb.name);
  const auto add = [&](Arg arg, std::string_view form) {
    if (!is_positional(arg) || option(arg).is_behind_dashes) return;
    usage += ' ' + fmt::format(fmt::runtime(form), spelling(arg));
    if (arg != Arg::limit && option(arg).takes_many) usage += "...";
  };
  for (const Arg arg : verb.needs) add(arg, "{}");
  for (const Arg arg : verb.takes) add(arg, "[{}]");
  usage += " [OPTIONS]";
  if (const std::optional<Arg> rest = behind_dashes(verb)) {
    const bool is_needed = std::count(verb.needs.begin(), verb.needs.end(), *rest) != 0;
    usage += fmt::format(fmt::runtime(is_needed ? " -- {}..." : " [-- {}...]"), spelling(*rest));
  }
  return usage;
}

std::string help() {
  std::string text = std::string(kAbout) + '\n' + usage_line("rlctl VERB ... [OPTIONS]");
  for (const GroupName& group : kGroups) {
    std::vector<Row> rows;
    for (const Verb& verb : verbs())
      if (verb.group == group.group) rows.push_back({std::string(verb.name), verb.summary});
    text += section(group.title, rows);
  }
  text += section("Options", kOfRlctl);
  return text + '\n' + std::string(kBegin);
}

std::string help_on(const Verb& verb) {
  std::vector<Row> options = rows_of(verb, false);
  options.push_back(row_of(Arg::json));
  options.insert(options.end(), kOfAnyVerb.begin(), kOfAnyVerb.end());
  return usage_line(usage_of(verb)) + '\n' + in_lines(fmt::format("{}.", verb.summary), 0) +
         section("Arguments", rows_of(verb, true)) + section("Options", options) + '\n' +
         paint(Paint::strong, "Example:\n") + fmt::format("  {}\n", verb.example);
}

std::string help_on_group(std::string_view word) {
  std::vector<Row> rows;
  for (const Verb& verb : verbs())
    if (begins_with_word(verb.name, word)) rows.push_back({std::string(verb.name), verb.summary});
  return usage_line(fmt::format("rlctl {} VERB ... [OPTIONS]", word)) + section("Verbs", rows) +
         fmt::format("\n`rlctl help {}` says the rest.\n", rows.front().name);
}

int help(const Arguments& arguments) {
  const std::string& words = arguments.text(Arg::about);
  const std::vector<const Verb*> asked = verbs_under(words);
  if (arguments.has(Arg::json)) {
    for (const Verb* verb : asked) put_json(json_of(*verb));
  } else if (words.empty()) {
    put(help());
  } else {
    put(asked.front()->name == words ? help_on(*asked.front()) : help_on_group(words));
  }
  return 0;
}

}  // namespace rl::ctl
