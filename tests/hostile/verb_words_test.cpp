// Every verb of rlctl, walked from its table: keys, reasons and arguments that a terminal would obey.
#include <unistd.h>

#include <iterator>

#include "tests/hostile/walked_verbs.hpp"

namespace rl::hostile {
namespace {

/// What a terminal would obey, or not show, or what is no text at all.
constexpr std::string_view kEvil[] = {"\x1b[31mred\x1b]0;title\x07",
                                      "\xff\xfe\x80",
                                      "two\nlines\r",
                                      "\xc2\x9b"
                                      "31m",
                                      "\xe2\x80\xaeright to left",
                                      "\xed\xa0\x80",
                                      "\"},{\"key\":\"other"};

TEST_CASE("keys_and_reasons_of_any_bytes_never_reach_the_terminal_raw") {
  const VerbWalk verbs;
  const test::Made segment;
  const std::string& name = segment.name();
  segment.policy("api", "2/h");
  for (const std::string_view key : kEvil) {
    const Words keyed{name, "api", "--key-file", "-"};
    const auto with = [&](const Words& verb, const Words& more) {
      Words words = verb;
      words.insert(words.end(), keyed.begin(), keyed.end());
      words.insert(words.end(), more.begin(), more.end());
      const Ran ran = rlctl(words, key);
      check_end(ran, words);
      CHECK(ran.exit_code != 2);
    };
    for (int i = 0; i < 3; ++i) with({"acquire"}, {});
    with({"show"}, {"--json"});
    with({"ban"}, {"--for", "10m", "--reason", std::string(key)});
    with({"unban"}, {});
    with({"allow"}, {"--reason", std::string(key)});
    with({"disallow"}, {"--json"});
    with({"ban"}, {"--for", "ever", "--reason", std::string(key)});
  }
  const std::string before = contents(segment.path());
  for (VerbCommand command : verbs.commands(name)) {
    if (!command.reads()) continue;
    for (const bool json : {false, true}) {
      if (json) command.words = test::in_json(command.words);
      check_end(rlctl(command.words), command.words);
    }
  }
  CHECK(contents(segment.path()) == before);
  for (const char* shown : {"\\x1b[31mred", "\\xff\\xfe\\x80", "two\\x0alines\\x0d"})
    CHECK(rlctl({"list", name}).out.find(shown) != std::string::npos);
}

TEST_CASE("what_export_escapes_is_read_again_as_it_was") {
  const test::Made segment;
  segment.policy("api", "2/h");
  for (const std::string_view key : kEvil)
    (void)rlctl({"allow", segment.name(), "api", "--key-file", "-", "--reason", "why"}, key);
  const std::string file = rlctl({"export", segment.name()}).out;
  CHECK(file.find("\"\\u202Eright to left\" = ") != std::string::npos);
  const Ran applied = rlctl({"apply", segment.name(), "-"}, file);
  CHECK(applied.out == "nothing to change\n");
  const auto exported = nlohmann::json::parse(rlctl({"export", segment.name(), "--json"}).out);
  const auto& allowed = exported.at("policy").at("api").at("allow");
  std::size_t kept = 0;
  for (const std::string_view key : kEvil) kept += allowed.count(std::string(key));
  CHECK(kept == std::size(kEvil) - 2);  // all but what is no UTF-8
}

/// Removes the segments that commands may have made under those names.
struct Leftovers {
  ~Leftovers() {
    for (const std::string_view name : kEvil)
      ::unlink(("/dev/shm/rl." + std::string(name)).c_str());
  }
};

TEST_CASE("arguments_of_any_bytes_are_told_escaped") {
  const Leftovers leftovers;
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  // Some make a file of that name.
  const std::string there = "cd \"$(dirname '" + place.path() + "')\" && exec \"$@\"";
  std::size_t tried = 0;  // two of them at each place, in turn
  for (const VerbCommand& command : verbs.commands(place.path())) {
    const std::size_t first = command.verb.find(' ') == std::string::npos ? 1 : 2;
    for (std::size_t at = first; at < command.words.size(); ++at) {
      for (int turn = 0; turn < 2; ++turn) {
        VerbCommand spoilt = command;
        spoilt.words[at] = kEvil[tried++ % std::size(kEvil)];
        place.put(forged);
        const std::string before = contents(place.path());
        check_end(in_shell(there, spoilt.words), spoilt.words);
        CHECK_MESSAGE((!spoilt.reads() || contents(place.path()) == before), text_of(spoilt.words));
      }
    }
  }
}

}  // namespace
}  // namespace rl::hostile
