// Every verb of rlctl, walked from its table: no room to write, nobody who reads, nothing to read from.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>

#include "tests/hostile/walked_verbs.hpp"

namespace rl::hostile {
namespace {

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
