#include "tools/rlctl/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>

#include <rl/error.hpp>
#include <rl/version.hpp>

#include "src/nearest.hpp"
#include "tools/rlctl/help.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/verb_table.hpp"

namespace rl::ctl {
namespace {

Error not_understood(const std::string& sentence) {
  return {Errc::bad_option, sentence};
}

std::string names_of(std::span<const Verb> verbs) {
  std::vector<std::string_view> names;
  for (const Verb& verb : verbs) names.push_back(verb.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

/// `rlctl run ... -- COMMAND` has a command line in it, of which every word counts as it is, also an
/// empty one. Returns where that begins, at "--".
int end_of_own(const Verb* verb, int argc, const char* const* argv) {
  if (verb == nullptr || !behind_dashes(*verb)) return argc;
  return static_cast<int>(std::find(argv + 1, argv + argc, std::string_view("--")) - argv);
}

/// Returns the end of a sentence about an option that there is not.
std::string nearest_option(std::string_view typed, const Verb* verb) {
  typed = typed.substr(0, typed.find('='));
  Nearest nearest(typed);
  if (verb != nullptr) {
    for (const Arg arg : verb->takes)
      if (!is_positional(arg)) nearest.offer(spelling(arg));
  } else {
    nearest.offer("--version");
  }
  for (const std::string_view name : {"--json", "--help"}) nearest.offer(name);
  return nearest.name().empty() ? "" : fmt::format("did you mean \"{}\"?", nearest.name());
}

/// CLI11's view of the table of verbs.
class Parser {
 public:
  explicit Parser(std::span<const Verb> verbs) : verbs_(verbs) {
    app_.require_subcommand(0, 1);
    app_.set_help_flag("-h,--help");
    version_ = app_.add_flag("--version")->disable_flag_override();
    json_ = app_.add_flag("--json")->disable_flag_override();
    for (const Verb& verb : verbs) add(verb);
  }

  Command parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      return {nullptr, {}, help_asked()};
    } catch (const CLI::ParseError& e) {
      throw explained(e);
    }
    if (version_->count() > 0) return {nullptr, {}, version()};
    for (const Added& added : added_)
      if (added.app->parsed()) return {added.verb, arguments_of(added), {}};
    throw no_verb();
  }

 private:
  struct Added {
    const Verb* verb;
    CLI::App* app;
    std::vector<std::pair<Arg, CLI::Option*>> options;
  };

  void add(const Verb& verb) {
    CLI::App* parent = &app_;
    std::string_view name = verb.name;
    if (const std::size_t space = name.find(' '); space != name.npos) {
      parent = group(std::string(name.substr(0, space)));
      name.remove_prefix(space + 1);
    }
    Added added{&verb, parent->add_subcommand(std::string(name)), {}};
    for (const Arg arg : verb.needs)
      if (!option(arg).is_behind_dashes) add(added, arg)->required();
    for (const Arg arg : verb.takes) add(added, arg);
    add(added, Arg::json);
    added_.push_back(std::move(added));
  }

  CLI::App* group(const std::string& name) {
    CLI::App*& app = groups_[name];
    if (app == nullptr) {
      app = app_.add_subcommand(name);
      app->require_subcommand(0, 1);
    }
    return app;
  }

  static CLI::Option* add(Added& added, Arg arg) {
    const Option& s = option(arg);
    const std::string text(s.spelling);
    const bool flag = !is_positional(arg) && s.value.empty();
    CLI::Option* option = flag ? added.app->add_flag(text) : added.app->add_option(text);
    if (flag) option->disable_flag_override();
    if (s.takes_many) {
      option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
    }
    added.options.emplace_back(arg, option);
    return option;
  }

  Arguments arguments_of(const Added& added) const {
    Arguments arguments;
    for (const auto& [arg, option] : added.options)
      if (option->count() > 0) arguments.set(arg, option->results());
    if (json_->count() > 0) arguments.set(Arg::json, "");
    return arguments;
  }

  [[nodiscard]] std::string version() const {
    return json_->count() > 0 ? "{\"version\":\"" RL_VERSION "\"}\n" : "rlctl " RL_VERSION "\n";
  }

  [[nodiscard]] std::string help_asked() const {
    for (const Added& added : added_)
      if (added.app->parsed()) return help_on(*added.verb);
    for (const auto& [name, app] : groups_)
      if (app->parsed()) return help_on_group(name);
    return help();
  }

  [[nodiscard]] Error no_verb() const {
    for (const auto& [name, app] : groups_) {
      if (!app->parsed()) continue;
      std::vector<std::string> verbs;
      for (const CLI::App* sub : app->get_subcommands({})) verbs.push_back(sub->get_name());
      return not_understood(
          fmt::format("{}: no verb after it; give one of {}, or see `rlctl {} "
                      "--help`",
                      name, fmt::join(verbs, ", "), name));
    }
    return not_understood(
        fmt::format("no verb; give one of {}, or see `rlctl --help`", names_of(verbs_)));
  }

  /// Turns CLI11's view of an error into a sentence that says what to do.
  [[nodiscard]] Error explained(const CLI::ParseError& e) const {
    const std::vector<std::string> extras = app_.remaining(true);
    const auto used =
        std::find_if(added_.begin(), added_.end(), [](const Added& a) { return a.app->parsed(); });
    if (used == added_.end() || !app_.remaining().empty()) {
      if (extras.empty()) return not_understood(fmt::format("{}; see `rlctl --help`", e.what()));
      if (!extras.front().starts_with('-')) return unknown_verb(extras.front());
      const std::string nearest = nearest_option(extras.front(), nullptr);
      return not_understood(fmt::format("unknown option \"{}\"; {}", extras.front(),
                                        nearest.empty() ? "see `rlctl help`" : nearest));
    }
    const Verb& verb = *used->verb;
    const auto odd = std::find_if(extras.begin(), extras.end(),
                                  [](const std::string& extra) { return extra != "--"; });
    if (odd == extras.end()) {
      if (dynamic_cast<const CLI::ArgumentMismatch*>(&e) != nullptr)
        return mismatch(verb, e.what());
      return not_understood(fmt::format("{}: {}; usage: {}", verb.name, e.what(), usage_of(verb)));
    }
    if (odd->starts_with('-')) {
      if (const std::string nearest = nearest_option(*odd, &verb); !nearest.empty())
        return not_understood(
            fmt::format("{}: unknown option \"{}\"; {}", verb.name, *odd, nearest));
      return not_understood(
          fmt::format("{}: unknown option \"{}\"; see `rlctl {} --help`, or put "
                      "-- before an argument that begins with a dash",
                      verb.name, *odd, verb.name));
    }
    return not_understood(fmt::format("{}: \"{}\" is one argument too many; usage: {}", verb.name,
                                      *odd, usage_of(verb)));
  }

  /// Names the verb that is nearest; all that there are, where none is near.
  [[nodiscard]] Error unknown_verb(const std::string& word) const {
    const CLI::App* of = &app_;
    for (const auto& [name, app] : groups_)
      if (app->parsed()) of = app;
    const std::string group = of == &app_ ? "" : of->get_name() + " ";
    std::vector<std::string> verbs;
    Nearest nearest(word);
    for (const CLI::App* sub : of->get_subcommands({})) {
      nearest.offer(sub->get_name());
      verbs.push_back(sub->get_name());
    }
    const std::string what_to_do =
        nearest.name().empty()
            ? fmt::format("the verbs are {}; see `rlctl {}--help`", fmt::join(verbs, ", "), group)
            : fmt::format("did you mean \"{}{}\"?", group, nearest.name());
    return not_understood(fmt::format("unknown verb \"{}{}\"; {}", group, word, what_to_do));
  }

  /// CLI11's text begins with the option that has too many values, or too few.
  [[nodiscard]] static Error mismatch(const Verb& verb, std::string_view text) {
    const std::string_view name = text.substr(0, text.find_first_of(": "));
    const auto given = std::find_if(verb.takes.begin(), verb.takes.end(),
                                    [&](Arg arg) { return spelling(arg) == name; });
    const bool flag = given == verb.takes.end() || option(*given).value.empty();
    return not_understood(
        flag ? fmt::format("{}: --{} takes no value; leave it out", verb.name, name)
             : fmt::format("{}: {} takes one value: {}", verb.name, name, option(*given).help));
  }

  std::span<const Verb> verbs_;
  CLI::App app_;
  CLI::Option* version_;
  CLI::Option* json_;
  std::map<std::string, CLI::App*> groups_;
  std::vector<Added> added_;
};

}  // namespace

const Verb* verb_named(std::span<const Verb> verbs, int argc, const char* const* argv) {
  std::string name;
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] == '-') continue;
    name += argv[i];
    const auto named = std::find_if(verbs.begin(), verbs.end(),
                                    [&](const Verb& verb) { return verb.name == name; });
    if (named != verbs.end()) return &*named;
    name += ' ';
  }
  return nullptr;
}

Command parse(std::span<const Verb> verbs, int argc, const char* const* argv) {
  const Verb* const verb = verb_named(verbs, argc, argv);
  const int end = end_of_own(verb, argc, argv);
  Command command = Parser(verbs).parse(end, argv);
  if (command.verb == nullptr || command.verb != verb) return command;
  const std::optional<Arg> rest = behind_dashes(*verb);
  if (!rest) return command;
  if (end < argc) command.arguments.set(*rest, Arguments::Values(argv + end + 1, argv + argc));
  const bool is_needed = std::count(verb->needs.begin(), verb->needs.end(), *rest) != 0;
  if (is_needed && end + 1 >= argc) {
    throw not_understood(
        fmt::format("{}: {} is required; usage: {}", verb->name, spelling(*rest), usage_of(*verb)));
  }
  return command;
}

}  // namespace rl::ctl
