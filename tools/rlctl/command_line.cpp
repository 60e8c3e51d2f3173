#include "tools/rlctl/command_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <map>

#include <rl/error.hpp>
#include <rl/version.hpp>

#include "src/nearest.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

struct Spec {
  std::string_view spelling;
  std::string_view value;  ///< empty for a flag
  std::string_view help;
};

/// In the order of Arg.
constexpr std::array<Spec, kArgCount> kSpecs{{
    {"SEGMENT", "", "a name such as web (POSIX shared memory), or an absolute path on a tmpfs"},
    {"SEGMENT", "", "names such as web, or absolute paths"},
    {"NAME", "", "the policy's name"},
    {"LIMIT", "",
     "such as 100/s, 1000/h burst=50, leaky 10/s queue=50, window 1000/h, sliding 100/m or "
     "concurrency 20 lease=30s; options for any rate: when_full=, floor=, shadow, ban_after= with "
     "ban="},
    {"on|off", "", "on or off"},
    {"FILE", "", "a file of limits in TOML, as `rlctl export` writes it; - for standard input"},
    {"KEY", "", "who is limited; put -- before a key that begins with a dash"},
    {"--key-file", "FILE", "read the key's bytes from a file, - for standard input, whole"},
    {"--cost", "N", "how much the call costs (1)"},
    {"--keys", "N", "room for this many keys that owe something at the same time (65536)"},
    {"--mode", "MODE", "octal permissions of the file (0600)"},
    {"--labels", "on|off", "keep the beginning of keys as text, so that they can be shown (on)"},
    {"--owner", "USER", "give the file to this user"},
    {"--group", "GROUP", "give the file to this group"},
    {"--policies", "N", "room for policies over the segment's life (1024)"},
    {"--clock", "NAME", "auto, tsc, boottime, or manual for tests (auto)"},
    {"--spent", "keep|scale|reset",
     "what becomes of what keys have used: as many calls, the same share of what passes at once, "
     "or "
     "nothing (keep)"},
    {"--history", "", "all that the limits ever were, by whom and since when"},
    {"--policy", "NAME", "only this policy, or its keys"},
    {"--match", "GLOB", "only keys that match, as they are shown, such as 'user:*'"},
    {"--sort", "BY", "key, allowed, denied (most first) or remaining (fewest first)"},
    {"--rows", "N", "at most so many keys"},
    {"--heavy", "N",
     "the N keys that were denied most since they are in the table, and nothing else"},
    {"--all", "", "all keys of all policies"},
    {"--force", "", "even while processes are attached"},
    {"--advance", "DURATION", "move a manual clock forward, such as 90s"},
    {"--output", "FILE", "write to this file, whole or not at all"},
    {"--input", "FILE", "read this file instead of standard input"},
    {"--create", "", "make the segment, by default as the one that was dumped"},
    {"--partial", "", "leave keys out whose text is not known whole and that cannot be placed"},
    {"--any-owner", "", "trust a segment whose owner is neither this user nor root"},
    {"--for", "DURATION", "how long the ban lasts, such as 10m; or: ever"},
    {"--reason", "TEXT", "why, for whoever looks later"},
    {"--dry-run", "", "say what would change, and change nothing"},
    {"--prune", "", "take away what the file does not name"},
    {"--count", "", "count the slots that are taken, too: reads the whole table"},
    {"--seconds", "N", "how long to take, about (10)"},
    {"--seed", "N", "repeat the random choices of a run that printed this (a fresh one)"},
    {"--follow", "", "go on with what happens, until a signal ends it"},
    {"--key", "KEY", "only this key"},
    {"--kind", "KIND", "only these, such as denied, banned or changed"},
    {"--sample", "N", "have one in N denials of a thread bring an event from now on; 1: each"},
    {"--json", "", "print JSON, one object a line"},
}};

constexpr std::string_view kAbout =
    "Looks into, sets up and asks the rate limits of a librl segment.\n"
    "Exit status: 0 yes: it is done, or was so before; 1 no: denied, or not all of it; 2 error.";

constexpr std::string_view kBegin =
    "To begin with:\n"
    "  rlctl create web\n"
    "  rlctl policy set web api 100/s burst=200\n"
    "  rlctl acquire web api user:42\n"
    "  rlctl list web\n"
    "Does all this hold here? Try it for 10 s:\n"
    "  rlctl selftest";

const Spec& spec(Arg arg) noexcept {
  return kSpecs[static_cast<std::size_t>(arg)];
}

bool is_positional(Arg arg) noexcept {
  return !spec(arg).spelling.starts_with('-');
}

Error not_understood(const std::string& sentence) {
  return {Errc::bad_option, sentence};
}

std::string names_of(std::span<const Verb> verbs) {
  std::vector<std::string_view> names;
  for (const Verb& verb : verbs) names.push_back(verb.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string usage_of(const Verb& verb) {
  std::string usage = fmt::format("rlctl {}", verb.name);
  for (const Arg arg : verb.needs) usage += fmt::format(" {}", spelling(arg));
  for (const Arg arg : verb.takes)
    if (is_positional(arg)) usage += fmt::format(" [{}]", spelling(arg));
  return usage + " [OPTIONS]";
}

/// CLI11's view of the table of verbs.
class Parser {
 public:
  explicit Parser(std::span<const Verb> verbs) : verbs_(verbs) {
    app_.require_subcommand(0, 1);
    app_.set_help_flag("-h,--help", "print this help and exit");
    app_.get_formatter()->column_width(28);
    app_.get_formatter()->label("REQUIRED", "");
    app_.get_formatter()->label("SUBCOMMAND", "VERB");
    app_.get_formatter()->label("Positionals", "Arguments");
    app_.footer(std::string(kBegin));
    version_ = app_.add_flag("--version")
                   ->description("print the version and exit")
                   ->disable_flag_override();
    json_ = app_.add_flag("--json")
                ->description(std::string(spec(Arg::json).help))
                ->disable_flag_override();
    for (const Verb& verb : verbs) add(verb);
  }

  Command parse(int argc, const char* const* argv) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      return {nullptr, {}, app_.help()};
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
    Added added{&verb, parent->add_subcommand(std::string(name), std::string(verb.summary)), {}};
    added.app->group("Verbs");
    for (const Arg arg : verb.needs) add(added, arg)->required();
    for (const Arg arg : verb.takes) add(added, arg);
    add(added, Arg::json);
    added_.push_back(std::move(added));
  }

  static std::string_view about_group(std::string_view name) {
    return name == "override" ? "override set, unset, list: single keys with a limit of their own"
                              : "policy set, policy list: the limits of a segment";
  }

  CLI::App* group(const std::string& name) {
    CLI::App*& app = groups_[name];
    if (app == nullptr) {
      app = app_.add_subcommand(name, std::string(about_group(name)));
      app->require_subcommand(0, 1)->group("Verbs")->footer("");
    }
    return app;
  }

  static CLI::Option* add(Added& added, Arg arg) {
    const Spec& s = spec(arg);
    const std::string text(s.spelling);
    const std::string help(s.help);
    const bool flag = !is_positional(arg) && s.value.empty();
    CLI::Option* option = flag ? added.app->add_flag(text) : added.app->add_option(text);
    option->description(help);
    if (flag) {
      option->disable_flag_override();
    } else {
      option->type_name(std::string(s.value));
    }
    if (arg == Arg::limit || arg == Arg::segments) {  // words, unquoted
      option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args();
    }
    added.options.emplace_back(arg, option);
    return option;
  }

  Arguments arguments_of(const Added& added) const {
    Arguments arguments;
    for (const auto& [arg, option] : added.options)
      if (option->count() > 0)
        arguments.set(arg, fmt::format("{}", fmt::join(option->results(), " ")));
    if (json_->count() > 0) arguments.set(Arg::json, {});
    return arguments;
  }

  [[nodiscard]] std::string version() const {
    return json_->count() > 0 ? "{\"version\":\"" RL_VERSION "\"}\n" : "rlctl " RL_VERSION "\n";
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
      return not_understood(
          fmt::format("unknown option \"{}\"; see `rlctl --help`", extras.front()));
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
    const auto given = std::find_if(kSpecs.begin(), kSpecs.end(),
                                    [&](const Spec& s) { return s.spelling == name; });
    const bool flag = given == kSpecs.end() || given->value.empty();
    return not_understood(
        flag ? fmt::format("{}: --{} takes no value; leave it out", verb.name, name)
             : fmt::format("{}: {} takes one value: {}", verb.name, name, given->help));
  }

  std::span<const Verb> verbs_;
  CLI::App app_{std::string(kAbout), "rlctl"};
  CLI::Option* version_;
  CLI::Option* json_;
  std::map<std::string, CLI::App*> groups_;
  std::vector<Added> added_;
};

}  // namespace

const std::string& Arguments::text(Arg arg) const noexcept {
  static const std::string empty;
  return has(arg) ? *texts_[index(arg)] : empty;
}

std::uint64_t Arguments::count(Arg arg, std::uint64_t otherwise, std::uint64_t most) const {
  return has(arg) ? parse_count(spelling(arg), text(arg), most) : otherwise;
}

std::string_view spelling(Arg arg) noexcept {
  return spec(arg).spelling;
}

Command parse(std::span<const Verb> verbs, int argc, const char* const* argv) {
  return Parser(verbs).parse(argc, argv);
}

}  // namespace rl::ctl
