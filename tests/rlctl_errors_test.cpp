// What rlctl says to bad input, exit code 2, one sentence, nothing made, changed or lost; and what
// it does when nobody takes its answer.
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>
#include <set>

#include "shm/geometry.hpp"
#include "tests/verb_walk.hpp"

namespace rl::test {
namespace {

/// Whether a verb refuses a segment that it cannot use as it is. Some make one that is not there, or
/// read their file first, and some tell what is wrong with it as their answer.
bool refuses(const VerbCommand& command) {
  static const std::set<std::string> kOthers{"apply", "load",     "metrics",
                                             "rm",    "segments", "doctor"};
  return !kOthers.contains(command.verb);
}

/// The examples of the table of verbs, and what of them is not in it.
std::vector<VerbCommand> verbs_on(const std::string& segment) {
  static const VerbWalk verbs;
  std::vector<VerbCommand> all{{"policy list", {"policy", "list", segment, "--history"}},
                               {"reset", {"reset", segment, "--all", "--force"}},
                               {"clock", {"clock", segment, "--advance", "1s"}}};
  for (VerbCommand& command : verbs.commands(segment))
    if (command.is_whole && refuses(command)) all.push_back(std::move(command));
  return all;
}

void check_every_verb(const std::string& segment, std::string_view part) {
  for (VerbCommand& command : verbs_on(segment)) {
    for (const bool json : {false, true}) {
      if (json) command.words = in_json(command.words);
      CAPTURE(command.verb);
      check_error(rlctl(command.words), part, error_code(command.verb));
    }
  }
}

TEST_CASE("no_segment_is_said_and_none_is_made") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  check_every_verb(name,
                   "/dev/shm/rl." + name + ": no such segment; create it with `rlctl create`");
  check_error(rlctl({"rm", name}), "no such segment");
  check_error(rlctl({"rm", name, "--force"}), "no such segment");
  CHECK_FALSE(std::filesystem::exists("/dev/shm/rl." + name));
}

TEST_CASE("a_bad_name_is_refused_before_anything_is_touched") {
  check_every_verb("", "the segment's name is empty");
  check_every_verb("a/b", "a/b: a name has no slash");
  check_every_verb("a\nb", "a space or a control character");
  check_error(rlctl({"create", ""}), "the segment's name is empty");
  check_error(rlctl({"create", "a/b"}), "a/b: a name has no slash");
  check_error(rlctl({"create", "/dev/shm/"}), "a directory, not a file");
  check_error(rlctl({"rm", "../shm/a"}), "a name has no slash");
}

TEST_CASE("create_refuses_a_name_that_is_taken_and_leaves_it_alone") {
  const Made segment;
  segment.policy("api", "1/s");
  check_error(rlctl({"create", segment.name()}), "already exists");
  CHECK(rlctl({"peek", segment.name(), "api", "k"}).exit_code == 0);
}

TEST_CASE("create_refuses_bad_options_and_makes_nothing") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const auto refused = [&](const std::string& option, const std::string& value,
                           std::string_view part) {
    CAPTURE(option);
    CAPTURE(value);
    check_error(rlctl({"create", name, option, value}), part);
    CHECK_FALSE(std::filesystem::exists("/dev/shm/rl." + name));
  };
  refused("--keys", "0", "0 keys");
  refused("--keys", "-1", "--keys \"-1\": give a whole number");
  refused("--keys", "", "--keys \"\": give a whole number");
  refused("--keys", "1e6", "--keys \"1e6\": give a whole number");
  refused("--keys", "99999999999999999999", "too large");
  refused("--keys", "99999999999999M", "too large");
  refused("--keys", "2000M", "2000000000 keys");
  refused("--mode", "rw", "--mode \"rw\": give octal permissions");
  refused("--mode", "0400", "mode 0400");
  refused("--mode", "1600", "mode 1600");
  refused("--labels", "maybe", "--labels \"maybe\": give one of on, off");
  refused("--clock", "sun", "--clock \"sun\": give one of auto, tsc, boottime, manual");
  refused("--policies", "0", "0 policies");
  refused("--policies", "65536", "65536 policies");
  refused("--owner", "no-such-user", "no user \"no-such-user\"");
  refused("--group", "no-such-group", "no group \"no-such-group\"");
}

TEST_CASE("a_verb_that_is_typed_wrong_is_told_the_nearest") {
  check_error(rlctl({"lst", "web"}), "unknown verb \"lst\"; did you mean \"list\"?");
  check_error(rlctl({"polcy", "set", "web"}), "did you mean \"policy\"?");
  check_error(rlctl({"policy", "sett", "web", "api", "1/s"}),
              "unknown verb \"policy sett\"; did you mean \"policy set\"?\n");
  check_error(rlctl({"override", "unste", "web", "api", "k"}), "\"override unset\"?");
  check_error(rlctl({"policy", "frobnicate", "web"}),
              "the verbs are set, shadow, trial, compare, promote, rm, list");
}

TEST_CASE("the_command_line_is_checked_whole") {
  check_error(rlctl({}), "no verb; give one of create, info");
  check_error(rlctl({"web", "info"}), "unknown verb \"web\"; the verbs are create, info,");
  check_error(
      rlctl({"policy"}),
      "policy: no verb after it; give one of set, shadow, trial, compare, promote, rm, list");
  check_error(rlctl({"--loud"}), "unknown option \"--loud\"");
  check_error(rlctl({"info"}), "info: SEGMENT is required; usage: rlctl info SEGMENT");
  check_error(rlctl({"info", "a", "b"}), "info: \"b\" is one argument too many");
  check_error(rlctl({"info", "a", "--keys", "3"}), "info: unknown option \"--keys\"");
  check_error(rlctl({"create", "a", "--keys"}), "create: --keys takes one value");
  check_error(rlctl({"create", "a", "--keys", "1", "--keys", "2"}),
              "create: --keys takes one value");
  check_error(rlctl({"rm", "a", "--force=no"}), "rm: --force takes no value");
  check_error(rlctl({"\x1b[31m\n"}), "unknown verb \"\\x1b[31m\\x0a\"");
}

TEST_CASE("a_limit_that_cannot_be_is_refused_and_not_made") {
  const Made segment;
  const auto refused = [&](const std::string& limit, std::string_view part) {
    CAPTURE(limit);
    check_error(rlctl({"policy", "set", segment.name(), "api", limit}), part);
    check_error(rlctl({"explain", limit}), part);
  };
  refused("", "the limit is empty");
  refused("fast", "cannot read on at \"fast\"");
  refused("100", "cannot read on at the end");
  refused("100/x", "the period is a number");
  refused("0/s", "a limit of 0 calls");
  refused("1/s burst=0", "a burst of 0");
  refused("1/s leap=3", "the options of a token bucket are");
  refused("1/s\n2/s", "\\n2/s");
  refused("999999999/s", "the nearest that fits is 1000M/s");
  refused("1/d burst=1000000", "at most burst=");
  check_error(rlctl({"policy", "set", segment.name(), "", "1/s"}), "the policy's name is empty");
  check_error(rlctl({"policy", "set", segment.name(), "a b", "1/s"}), "a space or a control");
  check_answer(rlctl({"policy", "list", segment.name(), "--json"}), 0, "");
}

TEST_CASE("an_empty_key_a_cost_of_0_and_an_unknown_policy_are_errors") {
  const Made segment;
  segment.policy("api", "1/s");
  const std::string& name = segment.name();
  for (const char* verb : {"acquire", "peek", "show", "reset"}) {
    CAPTURE(verb);
    check_error(rlctl({verb, name, "api", ""}), "the key is empty");
    check_error(rlctl({verb, name, "api"}), "no key is given");
    check_error(rlctl({verb, name, "api", "--key-file", "-"}), "--key-file -: it is empty");
    check_error(rlctl({verb, name, "api", "--key-file", "/nowhere"}), "--key-file /nowhere: ");
    check_error(rlctl({verb, name, "api", "--key-file", "/"}), "--key-file /: Is a directory");
    check_error(rlctl({verb, name, "api", "k", "--key-file", "-"}, "k"), "keep one");
    check_error(rlctl({verb, name, "other", "k"}), "no policy \"other\"");
  }
  for (const char* verb : {"acquire", "peek"}) {
    check_error(rlctl({verb, name, "api", "k", "--cost", "0"}), "--cost 0: ");
    check_error(rlctl({verb, name, "api", "k", "--cost", "-1"}), "--cost \"-1\": ");
    check_error(rlctl({verb, name, "api", "k", "--cost", "x"}), "--cost \"x\": ");
  }
  check_error(rlctl({"list", name, "--policy", "other"}), "no policy \"other\"");
  check_error(rlctl({"list", name, "--sort", "age"}), "the fields are policy, key, ");
  check_error(rlctl({"list", name, "--sort", "-deneid"}), "did you mean \"denied\"?");
  check_error(rlctl({"list", name, "--columns", "key,deneid"}), "did you mean \"denied\"?");
  check_error(rlctl({"list", name, "--columns", "key,"}), "no column \"\"; give some of policy, ");
  check_error(rlctl({"list", name, "--columns", "key,denied,key"}), "key is given twice");
  check_error(rlctl({"list", name, "--where", "denied>"}), "--where: at 8: ");
  check_error(rlctl({"list", name, "--where", "x\033[31m=1"}), "no field is named ");
  check_error(rlctl({"list", name, "--rows", "all"}), "--rows \"all\": ");
  check_error(rlctl({"reset", name}), "what to reset is not said");
  check_error(rlctl({"reset", name, "api", "k", "--all"}), "keep one");
  check_error(rlctl({"clock", name, "--advance", "soon"}), "--advance \"soon\": give a duration");
  check_error(rlctl({"clock", name, "--advance", "5"}), "--advance \"5\": give a duration");
  check_error(rlctl({"clock", name, "--advance", "300000d"}), "above 292 years");
  check_answer(rlctl({"list", name, "--json"}), 0, "");
}

TEST_CASE("what_is_no_segment_is_never_touched") {
  const Folder folder;
  const Made segment;
  std::ofstream(folder.at("text")) << "precious";
  std::ofstream(folder.at("zeros")) << std::string(100'000, '\0');
  std::filesystem::create_directory(folder.at("directory"));
  std::filesystem::create_symlink(segment.path(), folder.at("link"));
  REQUIRE(::mkfifo(folder.at("fifo").c_str(), 0600) == 0);
  const std::pair<std::string, std::string> cases[] = {{"text", "8 bytes long, too short"},
                                                       {"zeros", "not a librl segment"},
                                                       {"directory", "not a regular file"},
                                                       {"link", "a symbolic link"},
                                                       {"fifo", "not a regular file"}};
  for (const auto& bad : cases) {
    const std::string& file = bad.first;
    const std::string& part = bad.second;
    CAPTURE(file);
    check_every_verb(folder.at(file), part);
    check_error(rlctl({"rm", folder.at(file), "--force"}), part);
    check_error(rlctl({"create", folder.at(file)}), "already exists");
    CHECK(std::filesystem::exists(std::filesystem::symlink_status(folder.at(file))));
  }
  CHECK(contents(folder.at("text")) == "precious");
  CHECK(contents(folder.at("zeros")) == std::string(100'000, '\0'));
}

/// Checks that a segment that was spoilt is refused, not changed, and can be removed by force.
void check_spoilt(const Made& segment, std::string_view part) {
  const std::string before = contents(segment.path());
  check_every_verb(segment.name(), part);
  check_error(rlctl({"rm", segment.name()}), "then remove it with --force");
  CHECK(contents(segment.path()) == before);
  check_answer(rlctl({"rm", segment.name(), "--force"}), 0, "removed " + segment.name() + "\n");
}

TEST_CASE("another_layout_version_is_refused_with_both") {
  const Made segment;
  std::fstream file(segment.path(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(offsetof(shm::HeaderConstants, layout_version));
  const std::uint32_t version = 77;
  file.write(reinterpret_cast<const char*>(&version), sizeof version);
  file.close();
  check_spoilt(segment, "layout 77/");
}

TEST_CASE("a_wrong_size_is_refused") {
  for (const int change : {-4'096, 4'096}) {
    const Made segment;
    const auto bytes = static_cast<std::int64_t>(std::filesystem::file_size(segment.path()));
    std::filesystem::resize_file(segment.path(), static_cast<std::uintmax_t>(bytes + change));
    check_spoilt(segment, std::to_string(bytes + change) + " bytes long, its header says " +
                              std::to_string(bytes));
  }
}

TEST_CASE("a_damaged_header_is_refused") {
  const Made segment;
  std::fstream file(segment.path(), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(offsetof(shm::HeaderConstants, keys));
  file.put('\x7f');
  file.close();
  check_spoilt(segment, "the header is damaged");
}

/// Runs rlctl as a user who is neither root nor the segment's owner; skips when nobody can.
class Nobody {
 public:
  [[nodiscard]] bool can_run() const {
    return ::geteuid() == 0 && rlctl({"--version"}).exit_code == 0;
  }
  [[nodiscard]] Ran rlctl(Words words) const {
    const Words start{"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", rlctl_path()};
    words.insert(words.begin(), start.begin(), start.end());
    return run(words);
  }
};

TEST_CASE("without_permission_nothing_opens") {
  const Nobody nobody;
  if (!nobody.can_run()) {
    skip("needs root, setpriv and a program that nobody may run");
    return;
  }
  const Made segment;
  for (const VerbCommand& command : verbs_on(segment.name()))
    check_error(nobody.rlctl(command.words), "this user may not open it for ",
                error_code(command.verb));
  check_error(nobody.rlctl({"rm", segment.name(), "--force"}), "this user may not open it");
  CHECK(std::filesystem::exists(segment.path()));
}

TEST_CASE("read_permission_is_enough_for_verbs_that_read") {
  const Nobody nobody;
  if (!nobody.can_run()) {
    skip("needs root, setpriv and a program that nobody may run");
    return;
  }
  const Made segment({"--mode", "0644"});
  segment.policy("api", "1/s");
  const std::string before = contents(segment.path());
  for (const VerbCommand& command : verbs_on(segment.name())) {
    CAPTURE(command.verb);
    const Ran ran = nobody.rlctl(command.words);
    CAPTURE(ran.err);
    const bool is_refused = ran.err.find("may not open it for writing") != ran.err.npos;
    // What only reads is told something else at most: that there is no candidate, say.
    CHECK((is_refused != command.reads() || command.words.back() == "1s"));
  }
  check_error(nobody.rlctl({"acquire", segment.name(), "api", "k"}), "may not open it for writing");
  CHECK(contents(segment.path()) == before);
}

TEST_CASE("a_strangers_segment_is_trusted_only_when_told") {
  if (::geteuid() != 0) {
    skip("only root can give a segment away");
    return;
  }
  const Made segment({"--owner", "65534"});
  check_every_verb(segment.name(), "say --any-owner");
  check_error(rlctl({"rm", segment.name()}), "say --any-owner");
  CHECK(rlctl({"policy", "set", segment.name(), "api", "1/s", "--any-owner"}).exit_code == 0);
  CHECK(rlctl({"acquire", segment.name(), "api", "k", "--any-owner"}).exit_code == 0);
  CHECK(rlctl({"info", segment.name(), "--any-owner"}).exit_code == 0);
  CHECK(rlctl({"rm", segment.name(), "--any-owner"}).exit_code == 0);
}

/// A tmpfs of 1 MiB on a folder, unmounted at the end.
class SmallTmpfs {
 public:
  SmallTmpfs()
      : mounted_(::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, "size=1m,mode=0755") == 0) {}
  SmallTmpfs(const SmallTmpfs&) = delete;
  SmallTmpfs& operator=(const SmallTmpfs&) = delete;
  ~SmallTmpfs() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  [[nodiscard]] bool is_mounted() const noexcept { return mounted_; }
  [[nodiscard]] const Folder& folder() const noexcept { return folder_; }

 private:
  Folder folder_;
  bool mounted_;
};

TEST_CASE("a_full_tmpfs_is_said_with_what_is_needed_and_nothing_is_left") {
  const SmallTmpfs tmpfs;
  if (!tmpfs.is_mounted()) {
    skip("a tmpfs cannot be mounted here");
    return;
  }
  const Ran ran = rlctl({"create", tmpfs.folder().at("limits")});
  check_error(ran, "the segment needs ");
  check_error(ran, "has 1.0 MiB free; create it with fewer keys");
  CHECK(std::filesystem::is_empty(tmpfs.folder().path()));
  CHECK(rlctl({"create", tmpfs.folder().at("limits"), "--keys", "100"}).exit_code == 0);
  CHECK(rlctl({"rm", tmpfs.folder().at("limits")}).exit_code == 0);
}

TEST_CASE("an_answer_that_cannot_be_written_is_an_error") {
  const Made segment;
  segment.policy("api", "1/s");
  check_error(shell("$RLCTL info " + segment.name() + " > /dev/full"), "No space left on device");
  check_error(shell("$RLCTL --help > /dev/full"), "No space left on device");
  check_error(shell("$RLCTL policy list " + segment.name() + " --json >&-"), "Bad file descriptor");
}

TEST_CASE("a_reader_that_leaves_ends_it_quietly") {
  Scratch segment({.keys = 5'000});
  Limiter limiter = segment->limiter("api", Limit::per_day(1));
  for (int i = 0; i < 5'000; ++i) REQUIRE(limiter.try_acquire("user:" + std::to_string(i)));
  check_answer(
      shell("$RLCTL list " + segment.name() + " | head -1"), 0,
      "policy  key        allowed  denied  remaining  limit  full in  state  policy limit\n");
  CHECK(shell("$RLCTL list " + segment.name() + " --json --sort key | head -2").err == "");
}

TEST_CASE("closed_descriptors_never_become_the_segment") {
  const Made segment;
  segment.policy("api", "1/s");
  CHECK(shell("$RLCTL acquire " + segment.name() + " api k <&- >&- 2>&-").exit_code == 2);
  CHECK(rlctl({"info", segment.name()}).exit_code == 0);
  check_error(shell("$RLCTL acquire " + segment.name() + " api --key-file - <&-"),
              "Bad file descriptor");
}

}  // namespace
}  // namespace rl::test
