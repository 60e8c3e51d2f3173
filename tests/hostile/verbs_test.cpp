/// \file
/// Every verb of rlctl, walked from its table, where all is against it: bytes that nobody wrote, keys
/// that a terminal would obey, a file that is cut short under it, nobody who reads, no room to write. It
/// ends by itself, with exit code 0, 1 or 2, says what a terminal only shows, and whoever only reads
/// has changed nothing.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <random>

#include "tests/hostile/forge.hpp"
#include "tests/hostile/terminal.hpp"
#include "tests/verb_walk.hpp"

namespace rl::hostile {
namespace {

using test::Ran;
using test::rlctl;
using test::VerbCommand;
using test::VerbWalk;
using test::Words;
using Random = std::mt19937_64;

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string text_of(const Words& words) {
  std::string text = "rlctl";
  for (const std::string& word : words) text += " " + word;
  return text;
}

bool all_lines(std::string_view text, bool (*holds)(std::string_view)) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == text.npos || !holds(text.substr(0, end))) return false;
    text.remove_prefix(end + 1);
  }
  return true;
}

bool is_object(std::string_view line) {
  return line.starts_with('{') && nlohmann::json::accept(line);
}
bool is_ours(std::string_view line) {
  return line.starts_with("rlctl: ");
}

bool is_json(const Words& words) {
  return std::find(words.begin(), words.end(), "--json") != words.end();
}

/// What each end keeps, whatever led to it.
void check_end(const Ran& ran, const Words& words) {
  CAPTURE(text_of(words));
  CAPTURE(ran.out);
  CAPTURE(ran.err);
  CHECK(ran.exit_code >= 0);
  CHECK(ran.exit_code <= 2);
  CHECK(is_harmless(ran.out));
  CHECK(is_harmless(ran.err));
  CHECK(all_lines(ran.err, is_ours));
  CHECK((ran.exit_code != 2 || !ran.err.empty()));
  if (is_json(words)) CHECK(all_lines(ran.out, is_object));
}

/// As an end, and one that says why.
void check_refusal(const Ran& ran, const Words& words, std::string_view part) {
  check_end(ran, words);
  CAPTURE(text_of(words));
  CAPTURE(ran.err);
  CHECK(ran.exit_code == 2);
  CHECK(ran.err.find(part) != ran.err.npos);
}

/// A place for one segment after the other.
class Place {
 public:
  [[nodiscard]] std::string path() const { return folder_.at("web"); }
  void put(const Forged& forged) const { forged.write_to(path()); }

 private:
  test::Folder folder_;
};

/// Runs each command of each verb, as text and as JSON. `lay` puts the segment there for each anew,
/// and `check` is given the command, how it ended, and whether the file is as it was.
template <class Lay, class Run, class Check>
void walk(const VerbWalk& verbs, const Place& place, Lay lay, Run run, Check check) {
  for (VerbCommand command : verbs.commands(place.path())) {
    for (const bool json : {false, true}) {
      if (json) command.words.push_back("--json");
      lay();
      const std::string before = contents(place.path());
      const Ran ran = run(command.words);
      check(command, ran, contents(place.path()) == before);
    }
  }
}

/// As a user would.
Ran plainly(const Words& words) {
  return rlctl(words);
}

struct Region {
  std::string name;
  std::uint64_t at;
  std::uint64_t end;
};

std::vector<Region> regions_of(const shm::Geometry& g) {
  return {{"seats", g.seats_offset, g.policies_offset},
          {"policies", g.policies_offset, g.journal_offset},
          {"journal", g.journal_offset, g.events_offset},
          {"rings of events", g.events_offset, g.stripes_offset},
          {"stripes", g.stripes_offset, g.pairs_offset},
          {"slots", g.pairs_offset, g.labels_offset},
          {"labels", g.labels_offset, g.total_bytes},
          {"all but the constants", sizeof(shm::HeaderConstants), g.total_bytes}};
}

TEST_CASE("P_every_verb_ends_clearly_on_random_bytes_and_a_reader_changes_none") {
  const VerbWalk verbs;
  const Place place;
  Random random(test::seed());
  INFO("RL_TEST_SEED=", test::seed());
  for (const Region& region : regions_of(Forged({}).geometry())) {
    CAPTURE(region.name);
    Forged forged({});
    for (std::uint64_t at = region.at; at < region.end; ++at)
      forged.bytes()[at] = static_cast<unsigned char>(random());
    forged.header().retired.store(0, std::memory_order_relaxed);  // one thread
    if (random() % 2 == 0) forged.seal_policies();
    walk(
        verbs, place, [&] { place.put(forged); }, plainly,
        [](const VerbCommand& command, const Ran& ran, bool is_as_it_was) {
          check_end(ran, command.words);
          CHECK_MESSAGE((!command.reads() || is_as_it_was), text_of(command.words));
        });
  }
}

TEST_CASE("a_reader_changes_no_byte_of_a_segment_that_is_sound") {
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  std::size_t answered = 0;
  walk(
      verbs, place, [&] { place.put(forged); }, plainly,
      [&](const VerbCommand& command, const Ran& ran, bool is_as_it_was) {
        check_end(ran, command.words);
        answered += ran.exit_code != 2;
        CHECK_MESSAGE((!command.reads() || is_as_it_was), text_of(command.words));
      });
  CHECK(answered > 60);  // or the commands are wrong, and nothing is read
}

TEST_CASE("a_segment_that_is_cut_short_under_a_verb_is_said_and_no_crash") {
  if (test::kSanitized) return test::skip("a sanitizer wants to be loaded first");
  const char* const cut_short = std::getenv("RL_CUT_SHORT_LIBRARY");
  REQUIRE(cut_short != nullptr);
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  std::size_t lost = 0;
  walk(
      verbs, place, [&] { place.put(forged); },
      [&](Words words) {
        words.insert(words.begin(), {"env", std::string("LD_PRELOAD=") + cut_short,
                                     "RL_CUT_SHORT=" + place.path(), test::rlctl_path()});
        return test::run(words);
      },
      [&](const VerbCommand& command, const Ran& ran, bool) {
        check_end(ran, command.words);
        lost += ran.err.find("its file was cut short while it was open") != ran.err.npos;
      });
  CHECK(lost > 40);
}

TEST_CASE("a_segment_that_is_cut_short_while_it_is_followed_is_said_and_no_crash") {
  const Place place;
  place.put(Forged({}));
  REQUIRE(rlctl({"off", place.path()}).exit_code == 0);  // an event
  // The first line says that it looks at the rings, over and over.
  const Ran ran = test::run(
      {"bash", "-c",
       "coproc \"$0\" events \"$1\" --follow --json && read -r line <&\"${COPROC[0]}\" && "
       "truncate -s 0 \"$1\" && wait \"$COPROC_PID\"",
       test::rlctl_path(), place.path()});
  CAPTURE(ran.err);
  CHECK(ran.exit_code == 2);
  CHECK(ran.err.starts_with("rlctl: the segment's memory is gone"));
}

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
      if (json) command.words.push_back("--json");
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

/// Runs rlctl as a line of shell says, in which "$@" is the whole command.
Ran in_shell(const std::string& line, Words words) {
  words.insert(words.begin(), {"sh", "-c", line, "sh", test::rlctl_path()});
  return test::run(words);
}

/// Removes the segments that commands may have made under those names.
struct Made {
  ~Made() {
    for (const std::string_view name : kEvil)
      ::unlink(("/dev/shm/rl." + std::string(name)).c_str());
  }
};

TEST_CASE("arguments_of_any_bytes_are_told_escaped") {
  const Made leftovers;
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

TEST_CASE("an_answer_that_has_no_room_is_an_error_of_every_verb") {
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  const std::pair<std::string, std::string_view> kinds[] = {
      {"exec \"$@\" >/dev/full", "No space left on device"},
      {"exec \"$@\" >&-", "Bad file descriptor"}};
  for (const auto& [line, part] : kinds) {
    walk(
        verbs, place, [&] { place.put(forged); },
        [&, &line = line](const Words& words) { return in_shell(line, words); },
        [&, part = part](const VerbCommand& command, const Ran& ran, bool is_as_it_was) {
          CHECK_MESSAGE((!command.reads() || is_as_it_was), text_of(command.words));
          check_end(ran, command.words);
          place.put(forged);
          const Ran heard = rlctl(command.words);
          if (heard.exit_code != 2 && !heard.out.empty()) check_refusal(ran, command.words, part);
        });
  }
}

/// Runs rlctl with nobody at the other end of its standard output.
Ran without_reader(Words words, const std::string& err) {
  words.insert(words.begin(), test::rlctl_path());
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  test::Child child([&] {
    (void)::signal(SIGPIPE, SIG_DFL);
    ::dup2(ends[1], 1);
    ::dup2(::open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), 2);
    ::dup2(::open("/dev/null", O_RDONLY), 0);
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  });
  ::close(ends[1]);
  const int code = child.wait();
  return {code, "", contents(err)};
}

TEST_CASE("a_reader_that_has_gone_ends_every_verb_quietly") {
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  const std::string err = verbs.folder().at("err");
  walk(
      verbs, place, [&] { place.put(forged); },
      [&](const Words& words) { return without_reader(words, err); },
      [&](const VerbCommand& command, const Ran& ran, bool is_as_it_was) {
        CAPTURE(text_of(command.words));
        CAPTURE(ran.exit_code);
        CAPTURE(ran.err);
        CHECK((!command.reads() || is_as_it_was));
        place.put(forged);
        const Ran heard = rlctl(command.words);
        // Who writes as it goes is told by a signal; who watches its reader sees it go.
        CHECK((ran.exit_code == heard.exit_code || ran.exit_code == 128 + SIGPIPE));
        CHECK(ran.err.size() <= heard.err.size());
      });
}

TEST_CASE("a_closed_standard_input_changes_no_answer") {
  const VerbWalk verbs;
  const Place place;
  const Forged forged({});
  walk(
      verbs, place, [&] { place.put(forged); },
      [&](const Words& words) { return in_shell("exec \"$@\" <&-", words); },
      [&](const VerbCommand& command, const Ran& ran, bool) {
        check_end(ran, command.words);
        place.put(forged);
        CHECK_MESSAGE(ran.exit_code == rlctl(command.words).exit_code, text_of(command.words));
      });
}

/// A tmpfs that has no room left, on a folder.
class FullTmpfs {
 public:
  FullTmpfs()
      : mounted_(::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=4k,mode=0755") == 0) {
    if (mounted_) std::ofstream(folder_.at("full")) << std::string(4'096, 'x');
  }
  FullTmpfs(const FullTmpfs&) = delete;
  FullTmpfs& operator=(const FullTmpfs&) = delete;
  ~FullTmpfs() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool is_mounted() const noexcept { return mounted_; }
  [[nodiscard]] const test::Folder& folder() const noexcept { return folder_; }

 private:
  test::Folder folder_;
  bool mounted_;
};

TEST_CASE("a_file_that_has_no_room_is_an_error_and_none_is_left") {
  const FullTmpfs full;
  if (!full.is_mounted()) return test::skip("a tmpfs cannot be mounted here");
  const VerbWalk verbs;
  const Place place;
  place.put(Forged({}));
  const std::string to = full.folder().at("out");
  std::size_t written = 0;
  for (VerbCommand command : verbs.commands(place.path())) {
    const auto output = std::find(command.words.begin(), command.words.end(), "--output");
    if (output == command.words.end()) continue;
    ++written;
    *(output + 1) = to;
    check_refusal(rlctl(command.words), command.words, "No space left on device");
    *(output + 1) = "/dev/full";
    check_refusal(rlctl(command.words), command.words, "not a regular file");
    *(output + 1) = verbs.folder().path();
    check_refusal(rlctl(command.words), command.words, "not a regular file");
  }
  CHECK(written >= 2);
  std::error_code ignored;
  for (const auto& left : std::filesystem::directory_iterator(full.folder().path(), ignored))
    CHECK(left.path().filename() == "full");
}

}  // namespace
}  // namespace rl::hostile
