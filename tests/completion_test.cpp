// What rlctl offers where a command line is being typed, and how bash is told.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <random>
#include <set>

#include <rl/rl.hpp>

#include "tests/rlctl.hpp"
#include "tools/rlctl/apart.hpp"
#include "tools/rlctl/complete/completion.hpp"
#include "tools/rlctl/complete/typed_line.hpp"
#include "tools/rlctl/verb_table.hpp"

namespace rl::test {
namespace {

using ctl::Completes;
using Offers = std::set<std::string>;

ctl::Place place(Words words) {
  words.insert(words.begin(), "rlctl");
  return ctl::place_of(ctl::verbs(), words);
}

Offers offers(const Words& words) {
  Offers found;
  for (const ctl::Candidate& candidate : place(words).candidates) found.insert(candidate.word);
  return found;
}

/// What the program offers, without what it says of each.
Offers offered(Words words) {
  words.insert(words.begin(), {"complete", "--", "rlctl"});
  const Ran ran = rlctl(words);
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  Offers found;
  std::istringstream lines(ran.out);
  for (std::string line; std::getline(lines, line);) found.insert(line.substr(0, line.find('\t')));
  return found;
}

TEST_CASE("verbs_are_offered_word_by_word") {
  CHECK(offers({""}).contains("list"));
  CHECK(offers({""}).contains("policy"));
  CHECK(!offers({""}).contains("policy set"));
  CHECK(offers({"over"}) == Offers{"override"});
  CHECK(offers({"override", ""}) == Offers{"set", "unset", "list"});
  CHECK(offers({"policy", "sh"}) == Offers{"shadow"});
  CHECK(offers({"help", "override", "u"}) == Offers{"unset"});
  CHECK(offers({"help", "list", ""}) == Offers{});
  CHECK(offers({"--json", "over"}) == Offers{"override"});
  CHECK(offers({"nosuch", ""}) == Offers{});
  CHECK(offers({"-"}) == Offers{"--json", "--help", "--version"});
  CHECK(ctl::place_of(ctl::verbs(), Words{}).candidates.empty());
  CHECK(ctl::place_of(ctl::verbs(), Words{"rlctl"}).candidates.empty());
}

TEST_CASE("options_are_offered_once_and_where_nothing_else_fits") {
  CHECK(offers({"list", "web", "--so"}) == Offers{"--sort"});
  CHECK(!offers({"list", "web", "--sort", "key", "--"}).contains("--sort"));
  CHECK(!offers({"list", "web", "--sort=key", "--"}).contains("--sort"));
  CHECK(offers({"info", "web", ""}) == Offers{"--any-owner", "--json", "--help"});
  CHECK(offers({"info", "web", "--", ""}) == Offers{});
  CHECK(offers({"show", "web", "api", "--", "--so"}) == Offers{});
}

TEST_CASE("words_are_offered_behind_their_option_and_behind_its_equals_sign") {
  CHECK(offers({"list", "web", "--sort", "d"}) == Offers{"denied"});
  CHECK(offers({"list", "web", "--sort=d"}) == Offers{"--sort=denied"});
  CHECK(offers({"policy", "shadow", "web", "api", ""}) == Offers{"on", "off"});
  CHECK(offers({"list", "web", "--rows", ""}) == Offers{});
  CHECK(offers({"list", "web", "--nosuch=x"}) == Offers{});
}

TEST_CASE("what_is_to_be_looked_up_comes_with_what_stands_before") {
  CHECK(place({"info", ""}).wanted == Completes::segments);
  CHECK(place({"info", "/dev"}).wanted == Completes::files);
  CHECK(place({"apply", "web", "x"}).wanted == Completes::files);
  const ctl::Place policy = place({"list", "--any-owner", "web", "--policy=a"});
  CHECK(policy.wanted == Completes::policies);
  CHECK(policy.segment == "web");
  CHECK(policy.before == "--policy=");
  CHECK(policy.typed == "a");
  CHECK(policy.any_owner);
  const ctl::Place key = place({"events", "web", "--policy", "api", "--key", "us"});
  CHECK(key.wanted == Completes::keys);
  CHECK(key.policy == "api");
  CHECK(key.typed == "us");
  CHECK(!key.may_be_dashed);
  CHECK(place({"show", "web", "api", "--", "-x"}).may_be_dashed);
  CHECK(place({"policy", "set", "web", "api", "1/s", ""}).wanted == Completes::nothing);
  CHECK(place({"metrics", "web", "sh"}).wanted == Completes::segments);
}

TEST_CASE("behind_the_dashes_of_run_stands_a_command_and_no_key") {
  CHECK(place({"run", "web", "api", "us"}).wanted == Completes::keys);
  CHECK(place({"run", "web", "api", "k", "mo"}).wanted == Completes::nothing);
  CHECK(place({"run", "web", "api", "k", "--", "/bin/tr"}).wanted == Completes::files);
  CHECK(place({"run", "web", "api", "k", "--", "tar", "-c", ""}).wanted == Completes::files);
  CHECK(offers({"run", "web", "api", "k", "--", "tar", "--wa"}) == Offers{});
  CHECK(offers({"run", "web", "api", "k", "--wa"}) == Offers{"--wait"});
  CHECK(offers({"run", "web", "api", "k", "--on-failure", ""}) == Offers{"allow", "deny"});
}

TEST_CASE("a_line_is_read_as_bash_reads_it") {
  const auto words = [](std::string_view line) { return ctl::read_line(line, " :=", "").words; };
  CHECK(words("rlctl list ") == Words{"rlctl", "list", ""});
  CHECK(words("rlctl  'a b' \"c d\" e\\ f") == Words{"rlctl", "a b", "c d", "e f"});
  CHECK(words("rlctl '' x") == Words{"rlctl", "", "x"});
  CHECK(words("rlctl \"a\\\"b\\c\" x'y'\"z\"") == Words{"rlctl", "a\"b\\c", "xyz"});
  CHECK(words("cat x | rlctl list") == Words{"rlctl", "list"});
  CHECK(words("rlctl 'a | b") == Words{"rlctl", "a | b"});
  CHECK(words("") == Words{""});
}

TEST_CASE("only_what_bash_replaces_is_told") {
  const auto rest = [](std::string_view line, std::string_view word, std::string_view keeps = "") {
    return ctl::rest_to_type(ctl::read_line(line, " \"'@=:", keeps), word);
  };
  CHECK(rest("rlctl user:4", "user:42") == "42");
  CHECK(rest("rlctl 2001:db8:", "2001:db8::1") == ":1");
  CHECK(rest("rlctl user\\:4", "user:42") == "user:42");
  CHECK(rest("rlctl 'user:4", "user:42") == "user:42");
  CHECK(rest("rlctl us'er:4", "user:42") == "er:42");
  CHECK(rest("rlctl me@", "me@host") == "host");
  CHECK(rest("rlctl me@", "me@host", "@") == "@host");
  CHECK(rest("rlctl --sort=de", "--sort=denied") == "denied");
  CHECK(rest("rlctl a", "a b$c") == "a\\ b\\$c");
  CHECK(rest("rlctl \"a", "a b$c\"") == "a b\\$c\\\"");
  CHECK(rest("rlctl 'a", "a'b") == std::nullopt);
  CHECK(rest("rlctl \"a", "a!b") == std::nullopt);
}

TEST_CASE("what_is_told_makes_the_word_whatever_was_typed_of_it") {
  const std::uint64_t seed = test::seed();
  INFO("RL_TEST_SEED=", seed);
  std::mt19937_64 random(seed);
  constexpr std::string_view kLetters = "ab: =@'\"\\$`;&|<>(){}*?~#[]";
  for (int round = 0; round < 20'000; ++round) {
    std::string word;
    for (std::size_t size = 1 + random() % 8; word.size() < size;)
      word += kLetters[random() % kLetters.size()];
    // Some of it was typed, with a backslash before everything, or within quotes.
    const std::string head = word.substr(0, random() % (word.size() + 1));
    const char quote = "\\'\""[random() % 3];
    std::string typed = "rlctl ";
    if (quote != '\\') typed += quote;
    bool can_be_typed = true;
    for (const char c : head) {
      if (quote == '\\' || (quote == '"' && std::string_view("\"\\$`").find(c) < 4)) typed += '\\';
      typed += c;
      can_be_typed &= quote != '\'' || c != '\'';
    }
    if (!can_be_typed) continue;
    const ctl::TypedLine line = ctl::read_line(typed, " \t\n\"'@><=;|&(:", "@");
    CAPTURE(typed);
    CAPTURE(word);
    REQUIRE(line.words.back() == head);
    const std::optional<std::string> rest = ctl::rest_to_type(line, word);
    if (!rest) {
      CHECK((quote == '\'' && word.find('\'') != word.npos));
      continue;
    }
    std::string whole = "rlctl ";
    if (quote != '\\') whole += quote;
    CHECK(line.done == 0);
    whole += *rest;
    if (quote != '\\') whole += quote;
    CHECK(ctl::read_line(whole, "", "").words == Words{"rlctl", word});
  }
}

TEST_CASE("segments_policies_and_keys_are_those_that_are_there") {
  const Made segment;
  segment.policy("api", "100/s, 1000/h");
  segment.policy("jobs", "5/s");
  for (const char* key :
       {"user:42", "user:43", "2001:db8::1", "-dash", "a\x1b[31m", "b\\c", "\xff"})
    rlctl({"acquire", segment.name(), "api", "--", key});
  rlctl({"acquire", segment.name(), "jobs", "user:7"});
  const std::string& name = segment.name();
  CHECK(offered({"info", name.substr(0, name.size() - 1)}).contains(name));
  CHECK(offered({"create", name}) == Offers{});
  CHECK(offered({"show", name, ""}) == Offers{"api", "jobs"});
  CHECK(offered({"show", name, "api#"}) == Offers{"api#2"});
  CHECK(offered({"show", name, "api", ""}) == Offers{"2001:db8::1", "user:42", "user:43"});
  CHECK(offered({"show", name, "api", "--", "-"}) == Offers{"-dash"});
  CHECK(offered({"show", name, "jobs", "us"}) == Offers{"user:7"});
  CHECK(offered({"events", name, "--key=user:"}) ==
        Offers{"--key=user:42", "--key=user:43", "--key=user:7"});
}

TEST_CASE("verbs_that_end_something_offer_the_keys_that_have_it") {
  const Made segment;
  segment.policy("api", "100/s");
  const std::string& name = segment.name();
  rlctl({"acquire", name, "api", "plain"});
  rlctl({"ban", name, "api", "banned", "--for", "1h"});
  rlctl({"allow", name, "api", "allowed"});
  rlctl({"override", "set", name, "api", "special", "5/s"});
  CHECK(offered({"unban", name, "api", ""}) == Offers{"banned"});
  CHECK(offered({"disallow", name, "api", ""}) == Offers{"allowed"});
  CHECK(offered({"override", "unset", name, "api", ""}) == Offers{"special"});
  CHECK(offered({"show", name, "api", ""}).size() == 4);
}

TEST_CASE("of_many_keys_a_thousand_are_offered") {
  Scratch scratch({.keys = 5'000});
  Limiter api = scratch->limiter("api", Limit::per_hour(100));
  for (int i = 0; i < 3'000; ++i) (void)api.try_acquire("user:" + std::to_string(i));
  CHECK(offered({"show", scratch.name(), "api", ""}).size() == 1'000);
  CHECK(offered({"show", scratch.name(), "api", "user:299"}).size() == 11);
}

TEST_CASE("work_apart_tells_what_it_had_told_when_it_died_or_took_too_long") {
  using namespace std::chrono_literals;
  using ctl::ApartEnd;
  const auto check = [](const ctl::ToldApart& told, const std::string& text, ApartEnd end) {
    CHECK(told.text == text);
    CHECK(told.end == end);
  };
  const auto one_and = [](auto&& next) {
    return ctl::told_apart(60s, [&](const ctl::Tell& tell) {
      tell("one");
      next(tell);
    });
  };
  check(one_and([](const ctl::Tell& tell) { tell(" two"); }), "one two", ApartEnd::done);
  check(one_and([](const ctl::Tell&) { throw 1; }), "one", ApartEnd::done);
  check(one_and([](const ctl::Tell&) { ::raise(SIGKILL); }), "one", ApartEnd::stopped);
  check(one_and([](const ctl::Tell&) { ::raise(SIGBUS); }), "one", ApartEnd::memory_lost);
  const std::string much(1'000'000, 'x');
  check(one_and([&](const ctl::Tell& tell) { tell(much); }), "one" + much, ApartEnd::done);
  // Who never ends is ended: this would hang.
  const ctl::ToldApart ended = ctl::told_apart(10ms, [](const ctl::Tell&) {
    for (;;) ::pause();  // ends: it is killed
  });
  check(ended, "", ApartEnd::stopped);
}

TEST_CASE("what_cannot_be_read_offers_nothing_and_says_nothing") {
  CHECK(offered({"show", "no-such-segment", ""}) == Offers{});
  CHECK(offered({"show", "a/b", ""}) == Offers{});
  CHECK(offered({"show", "", "", ""}) == Offers{});
  const Made segment;
  segment.policy("api", "1/s");
  rlctl({"acquire", segment.name(), "api", "k"});
  CHECK(offered({"show", segment.name(), "nope", ""}) == Offers{});
  const int fd = ::open(segment.path().c_str(), O_RDWR);
  REQUIRE(fd >= 0);
  REQUIRE(::pwrite(fd, "XXXXXXXX", 8, 0) == 8);
  ::close(fd);
  CHECK(offered({"show", segment.name(), ""}) == Offers{});
  ::unlink(segment.path().c_str());
}

TEST_CASE("looking_for_what_fits_writes_nothing") {
  const Made segment;
  segment.policy("api", "1/s");
  rlctl({"acquire", segment.name(), "api", "k"});
  REQUIRE(::chmod(segment.path().c_str(), 0400) == 0);
  const auto bytes = [&] { return shell("sha256sum < " + segment.path()).out; };
  const std::string before = bytes();
  CHECK(offered({"show", segment.name(), "api", ""}) == Offers{"k"});
  CHECK(bytes() == before);
}

TEST_CASE("complete_answers_in_json_and_for_a_line_too") {
  check_answer(rlctl({"complete", "--json", "--", "rlctl", "list", "web", "--sort=d"}), 0,
               "{\"word\":\"--sort=denied\",\"help\":\"\"}\n");
  check_answer(rlctl({"complete", "--line", "rlctl list web --sort=d", "--breaks", "="}), 0,
               "denied\n");
  check_answer(rlctl({"complete", "--", "rlctl", "apply", "web", "x"}), 1, "");
  check_error(rlctl({"complete"}), "complete: give the words behind --, or --line and a line");
  check_error(rlctl({"complete", "--line", "rlctl ", "--", "rlctl"}), "complete: give the words");
}

}  // namespace
}  // namespace rl::test
