#include "tools/rlctl/complete/completion.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/verb_table.hpp"

namespace rl::ctl {
namespace {

bool is_option(std::string_view word) {
  return word.size() > 1 && word.starts_with('-');
}

/// Offers what may stand behind the words `name` so that it becomes the name of a verb: the first
/// word of several once, with what may follow it.
void add_verbs(Place& place, std::span<const Verb> verbs, std::string_view name,
               std::string_view typed) {
  for (const Verb& verb : verbs) {
    if (!verb.name.starts_with(name)) continue;
    std::string_view rest = verb.name.substr(name.size());
    const std::string_view word = rest.substr(0, rest.find(' '));
    if (!word.starts_with(typed)) continue;
    if (word.size() == rest.size()) {
      place.candidates.push_back({std::string(word), std::string(verb.summary)});
      continue;
    }
    rest.remove_prefix(word.size() + 1);
    const auto same = std::find_if(place.candidates.begin(), place.candidates.end(),
                                   [&](const Candidate& c) { return c.word == word; });
    if (same == place.candidates.end()) {
      place.candidates.push_back({std::string(word), std::string(rest)});
    } else {
      same->help += fmt::format(", {}", rest);
    }
  }
}

/// Reads the words of a command line from the left, up to the one that is being typed.
class Reader {
 public:
  explicit Reader(std::span<const Verb> verbs) : verbs_(verbs) {}

  void read(const std::string& word) {
    if (pending_) {
      keep(*pending_, word);
      pending_.reset();
    } else if (is_option(word) && !after_dashes_) {
      read_option(word);
    } else if (verb_ == nullptr) {
      read_verb(word);
    } else {
      if (const std::optional<Arg> arg = next_argument()) keep(*arg, word);
      ++arguments_;
    }
  }

  /// Says what fits where `typed` stands.
  Place place(const std::string& typed) {
    place_.verb = verb_;
    place_.may_be_dashed = after_dashes_;
    if (is_lost_) return place_;
    const std::size_t equals = typed.find('=');
    if (pending_) {
      offer(*pending_, typed);
    } else if (is_option(typed) && !after_dashes_ && equals != typed.npos) {
      place_.before = typed.substr(0, equals + 1);
      if (const std::optional<Arg> arg = option_named(typed.substr(0, equals)))
        offer(*arg, typed.substr(equals + 1));
    } else if (typed.starts_with('-') && !after_dashes_) {
      offer_options(typed);
    } else if (verb_ == nullptr) {
      add_verbs(place_, verbs_, name_, typed);
    } else if (const std::optional<Arg> arg = next_argument()) {
      offer(*arg, typed);
    } else if (typed.empty() && !after_dashes_) {
      offer_options(typed);
    }
    return place_;
  }

 private:
  void read_verb(const std::string& word) {
    name_ += word;
    const auto same = std::find_if(verbs_.begin(), verbs_.end(),
                                   [&](const Verb& verb) { return verb.name == name_; });
    if (same != verbs_.end()) {
      verb_ = &*same;
      return;
    }
    name_ += ' ';
    is_lost_ = std::none_of(verbs_.begin(), verbs_.end(),
                            [&](const Verb& verb) { return verb.name.starts_with(name_); });
  }

  void read_option(const std::string& word) {
    if (word == "--") {
      after_dashes_ = true;
      return;
    }
    const std::size_t equals = word.find('=');
    const std::optional<Arg> arg = option_named(word.substr(0, equals));
    if (!arg) return;
    used_.push_back(*arg);
    if (option(*arg).value.empty()) {
      keep(*arg, "");
    } else if (equals == word.npos) {
      pending_ = arg;
    } else {
      keep(*arg, word.substr(equals + 1));
    }
  }

  void keep(Arg arg, const std::string& text) {
    if (option(arg).completes == Completes::segments) place_.segment = text;
    if (option(arg).completes == Completes::policies) place_.policy = text;
    if (option(arg).completes == Completes::verbs) about_ += text + ' ';
    if (arg == Arg::any_owner) place_.any_owner = true;
  }

  [[nodiscard]] std::vector<Arg> all() const {
    std::vector<Arg> args;
    if (verb_ != nullptr) {
      args = verb_->needs;
      args.insert(args.end(), verb_->takes.begin(), verb_->takes.end());
    }
    args.push_back(Arg::json);
    return args;
  }

  [[nodiscard]] std::optional<Arg> option_named(std::string_view name) const {
    for (const Arg arg : all())
      if (spelling(arg) == name) return arg;
    return {};
  }

  /// What the next word is that is no option.
  [[nodiscard]] std::optional<Arg> next_argument() const {
    if (after_dashes_ && verb_ != nullptr)
      if (const std::optional<Arg> rest = behind_dashes(*verb_)) return rest;
    std::size_t place = 0;
    for (const Arg arg : all()) {
      if (!is_positional(arg) || option(arg).is_behind_dashes) continue;
      if (place == arguments_ || option(arg).takes_many) return arg;
      ++place;
    }
    return {};
  }

  void add(std::string_view word, std::string_view help, std::string_view typed) {
    if (word.starts_with(typed))
      place_.candidates.push_back({place_.before + std::string(word), std::string(help)});
  }

  void offer(Arg arg, const std::string& typed) {
    const Option& about = option(arg);
    if (about.completes == Completes::words) {
      for (const std::string_view word : words_of(about)) add(word, "", typed);
    } else if (about.completes == Completes::verbs) {
      add_verbs(place_, verbs_, about_, typed);
    } else {
      place_.wanted = about.completes;
      place_.typed = typed;
      // A path is the shell's to complete.
      if (about.completes == Completes::segments && typed.starts_with('/'))
        place_.wanted = Completes::files;
      if (!place_.before.empty()) place_.may_be_dashed = true;
    }
  }

  void offer_options(std::string_view typed) {
    for (const Arg arg : all()) {
      const bool is_used = std::find(used_.begin(), used_.end(), arg) != used_.end();
      if (!is_positional(arg) && !is_used) add(spelling(arg), option(arg).help, typed);
    }
    add("--help", "print this help and exit", typed);
    if (verb_ == nullptr) add("--version", "print the version and exit", typed);
  }

  std::span<const Verb> verbs_;
  Place place_;
  const Verb* verb_ = nullptr;
  std::string name_;            ///< of the verb, as far as it stands there
  std::string about_;           ///< what help is asked about
  std::size_t arguments_ = 0;   ///< how many there were that are no options
  std::optional<Arg> pending_;  ///< the option that waits for its value
  std::vector<Arg> used_;
  bool after_dashes_ = false;
  bool is_lost_ = false;  ///< there is no such verb
};

}  // namespace

Place place_of(std::span<const Verb> verbs, std::span<const std::string> words) {
  if (words.size() < 2) return {};
  Reader reader(verbs);
  for (const std::string& word : words.subspan(1, words.size() - 2)) reader.read(word);
  return reader.place(words.back());
}

}  // namespace rl::ctl
