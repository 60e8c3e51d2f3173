// rlctl dump and rlctl load: what they answer, to the byte, the files they leave, and the unit that
// runs them at shutdown and at boot.
#include <fcntl.h>
#include <sys/stat.h>

#include <fstream>

#include "shm/geometry.hpp"
#include "shm/mapping.hpp"
#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

constexpr std::string_view kHex = "0123456789abcdef";

void write_to(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

/// A segment with two keys that owe something, and one that does not.
class Used : public Made {
 public:
  explicit Used(const Words& options = {}) : Made(options) {
    policy("api", "1/s burst=10");
    policy("win", "window 5/h");
    CHECK(rlctl({"acquire", name(), "api", "idle"}).exit_code == 0);
    CHECK(rlctl({"clock", name(), "--advance", "2s"}).exit_code == 0);
    CHECK(rlctl({"acquire", name(), "api", "user:42", "--cost", "7"}).exit_code == 0);
    CHECK(rlctl({"acquire", name(), "win", "a\"b\n", "--cost", "3"}).exit_code == 0);
  }
  [[nodiscard]] std::string dump() const {
    const Ran ran = rlctl({"dump", name()});
    CHECK(ran.exit_code == 0);
    CHECK(ran.err == "");
    return ran.out;
  }
};

Ran load(const Words& arguments, std::string_view input) {
  Words words{"load"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  return rlctl(words, input);
}

/// A name that what the test makes goes by.
class Name {
 public:
  Name() : name_(unique_name()), end_(name_) {}
  operator const std::string&() const noexcept { return name_; }

 private:
  std::string name_;
  RemoveAtEnd end_;
};

TEST_CASE("dump_writes_a_line_for_the_segment_each_policy_and_each_key_that_owes") {
  const Used segment;
  std::string text = segment.masked(segment.dump());
  for (const char* prefix : {"\"secret\":\"", "\"sum\":\""}) text = masked(text, prefix, kHex, "*");
  text = masked(text, "\"unix_ns\":", kDigits, "N");
  // Keys come in the order of their slots, which is random.
  const std::string first =
      R"({"policy":1,"key":"user:42","debt_ns":7000000000,"allowed":1,"denied":0,"sum":"*"})"
      "\n";
  const std::string second =
      R"({"policy":2,"key":"a\"b\u000a","count":3,"into_ns":2000000000,"allowed":1,"denied":0,"sum":"*"})"
      "\n";
  const std::string head =
      R"({"librl_dump":2,"library":")" RL_VERSION
      R"(","layout":1,"segment":"NAME","unix_ns":N,"now_ns":2000000000,"keys":100,"pairs":23,)"
      R"("policies":1024,"labels":true,"clock":"manual","secret":"*","off_unix_ns":0,"sum":"*"})"
      "\n"
      R"({"policy":1,"name":"api","kind":"limit","limit":"1/s burst=10","interval_ns":1000000000,"sum":"*"})"
      "\n"
      R"({"policy":2,"name":"win","kind":"limit","limit":"window 5/h","interval_ns":720000000000,"sum":"*"})"
      "\n";
  const std::string end = "{\"lines\":6,\"sum\":\"*\"}\n";
  CAPTURE(text);
  CHECK((text == head + first + second + end || text == head + second + first + end));
}

TEST_CASE("dump_into_a_file_leaves_it_whole_or_as_it_was_and_to_its_owner_alone") {
  const Used segment;
  const Folder folder;
  const std::string file = folder.at("web.dump");
  check_answer(shell("umask 000; exec $RLCTL dump " + segment.name() + " --output " + file), 0,
               "dumped 2 keys of 2 policies to " + file + "; 1 that owes nothing left out\n");
  struct stat st {};
  REQUIRE(::stat(file.c_str(), &st) == 0);
  CHECK((st.st_mode & 0777U) == 0600U);
  check_answer(
      rlctl({"dump", segment.name(), "--output", file, "--json"}), 0,
      R"({"file":")" + file +
          R"(","lines":6,"policies":2,"keys":2,"standings":0,"conducts":0,"trials":0,"off":false,)"
          R"("idle":1,"permits":0,"unreadable":0})"
          "\n");
  const std::string whole = contents(file);
  CHECK(whole.ends_with("\"}\n"));

  // No room half-way: nothing has changed, and nothing is left.
  const Ran full =
      shell("ulimit -f 0; trap '' XFSZ; exec $RLCTL dump " + segment.name() + " --output " + file);
  check_error(full, ".new: writing it: File too large (EFBIG)");
  CHECK(contents(file) == whole);
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1);

  check_error(rlctl({"dump", segment.name(), "--output", "/dev/null"}),
              "/dev/null: not a regular file");
  CHECK(std::filesystem::is_character_file("/dev/null"));
  check_error(rlctl({"dump", segment.name(), "--output", folder.at("no/such")}), "making it");
  check_error(rlctl({"dump", "no-" + segment.name(), "--output", file}), "no such segment");
  CHECK(contents(file) == whole);
}

TEST_CASE("load_makes_a_segment_of_another_size_and_every_key_owes_what_it_did") {
  const Used segment;
  for (const char* keys : {"50", "30000"}) {
    const Name fresh;
    check_answer(
        load({fresh, "--create", "--keys", keys}, segment.dump()), 0,
        "loaded 2 keys into " + static_cast<const std::string&>(fresh) + "; 2 policies made\n");
    check_answer(rlctl({"peek", fresh, "api", "user:42"}), 0,
                 "would be allowed: 3 of 10 left, full in 7 s\n");
    CHECK(rlctl({"peek", fresh, "win", "a\"b\n", "--cost", "3"}).exit_code == 1);
    CHECK(rlctl({"peek", fresh, "win", "a\"b\n", "--cost", "2"}).exit_code == 0);
    const Ran info = rlctl({"info", fresh, "--json"});
    CHECK(info.out.find("\"keys\":" + std::string(keys) + ",") != info.out.npos);
    CHECK(info.out.find("\"clock\":\"manual\"") != info.out.npos);
    CHECK(info.out.find("\"anonymous\":0") != info.out.npos);
  }
}

TEST_CASE("load_replaces_in_place_what_the_dump_names_and_reports_in_json") {
  const Used segment;
  const std::string text = segment.dump();
  const Folder folder;
  write_to(folder.at("dump"), text);
  REQUIRE(rlctl({"clock", segment.name(), "--advance", "1d"}).exit_code == 0);
  check_answer(
      rlctl({"load", segment.name(), "--input", folder.at("dump"), "--json"}), 0,
      R"({"name":")" + segment.name() +
          R"(","policies_made":0,"policies_differing":0,"keys":2,"standings":0,"conducts":0,"trials":0,)"
          R"("was_off":false,"off":false,"idle":0,"no_room":0,"unknown":0})"
          "\n");
  check_answer(rlctl({"peek", segment.name(), "api", "user:42"}), 0,
               "would be allowed: 3 of 10 left, full in 7 s\n");
  const Made other;
  other.policy("api", "window 9/h");
  check_answer(
      load({other.name()}, text), 0,
      "loaded 2 keys into " + other.name() +
          "; 1 policy made; 1 policy with another limit here, under which debts are as many "
          "tokens\n");
  CHECK(rlctl({"peek", other.name(), "api", "user:42"}).out ==
        "would be allowed: 2 of 9 left, full in 1 h\n");
}

TEST_CASE("what_is_lost_is_said_and_the_exit_code_is_1") {
  const Made segment;
  segment.policy("api", "1/h burst=5");
  for (int i = 0; i < 60; ++i)
    REQUIRE(rlctl({"acquire", segment.name(), "api", std::to_string(i)}).exit_code == 0);
  const Ran dump = rlctl({"dump", segment.name()});
  const Name tiny;
  const Ran ran = load({tiny, "--create", "--keys", "1"}, dump.out);
  CHECK(ran.exit_code == 1);
  CHECK(ran.out ==
        "loaded 16 keys into " + static_cast<const std::string&>(tiny) + "; 1 policy made\n");
  CHECK(ran.err ==
        "rlctl: 44 keys found no room, and what they owed is forgotten; load into a segment with "
        "more keys (--create --keys)\n");
}

TEST_CASE("keys_that_cannot_be_placed_are_refused_or_left_out") {
  const Made segment;
  segment.policy("api", "1/h burst=5");
  REQUIRE(rlctl({"acquire", segment.name(), "api", "short"}).exit_code == 0);
  REQUIRE(rlctl({"acquire", segment.name(), "api", std::string(40, 'k')}).exit_code == 0);
  const Ran dump = rlctl({"dump", segment.name()});
  const Made other;
  check_error(
      load({other.name()}, dump.out),
      other.path() +
          ": 1 of the 2 keys of the dump cannot be placed, as their text is not known whole "
          "and the segment has another secret; load into a new segment (--create), or leave "
          "them out (--partial)");
  CHECK(rlctl({"policy", "list", other.name(), "--json"}).out == "");
  const Ran part = load({other.name(), "--partial"}, dump.out);
  CHECK(part.exit_code == 1);
  CHECK(part.out == "loaded 1 key into " + other.name() + "; 1 policy made\n");
  CHECK(part.err ==
        "rlctl: 1 key left out, as their text is not known whole, and what they owed is "
        "forgotten\n");
}

TEST_CASE("a_dump_that_is_cut_or_edited_is_refused_with_its_line_and_nothing_is_made") {
  const Used segment;
  const std::string text = segment.dump();
  const Name fresh;
  check_error(
      load({fresh, "--create"}, text.substr(0, text.size() - 1)),
      "line 6 of the dump: its end is missing: the dump was cut short; nothing is loaded of "
      "it, take the dump anew");
  check_error(load({fresh, "--create"}, text.substr(0, text.find("{\"lines\""))),
              "line 6 of the dump: it is missing: the dump was cut short");
  std::string edited = text;
  edited.replace(edited.find("burst=10"), 8, "burst=99");
  check_error(
      load({fresh, "--create"}, edited),
      "line 2 of the dump: its checksum does not fit: it was changed, or lines are missing, "
      "doubled or not in their order");
  check_error(load({fresh, "--create"}, "hello\n"),
              "line 1 of the dump: it does not begin as a dump of librl does");
  CHECK_FALSE(std::filesystem::exists("/dev/shm/rl." + static_cast<const std::string&>(fresh)));
}

TEST_CASE("load_says_what_it_needs") {
  const Used segment;
  const std::string text = segment.dump();
  const Name none;
  check_error(load({none}, text), "no such segment");
  check_error(load({segment.name(), "--create"}, text), "already exists");
  check_error(load({segment.name(), "--keys", "5"}, text),
              "--keys is for a segment that is made; add --create, or leave it out");
  check_error(rlctl({"load", segment.name(), "--input", "/no/such/file"}),
              "/no/such/file: opening it: No such file or directory (ENOENT)");
  check_error(rlctl({"load", segment.name(), "--input", "/dev/shm"}), "/dev/shm: reading it");
}

TEST_CASE("permits_are_left_out_of_a_dump_and_that_is_said") {
  const Made segment;
  Limiter uploads = Segment::open(segment.name()).limiter("uploads", Limit::concurrency(2));
  const Permit held = uploads.permit("k");
  REQUIRE(held);
  const Ran ran = rlctl({"dump", segment.name()});
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "rlctl: left out: 1 permit that is out, as who has them cannot be moved\n");
  const Name fresh;
  CHECK(load({fresh, "--create"}, ran.out).exit_code == 0);
  CHECK(rlctl({"acquire", fresh, "uploads", "k"}).exit_code == 0);
}

TEST_CASE("limits_that_were_off_stay_off_in_a_segment_that_is_made_and_that_is_said") {
  const Used segment;
  segment.policy("strict", "1/h ban_after=1/m ban=10m");
  REQUIRE(rlctl({"policy", "trial", segment.name(), "api", "20/s"}).exit_code == 0);
  REQUIRE(rlctl({"acquire", segment.name(), "strict", "bot"}).exit_code == 0);
  REQUIRE(rlctl({"acquire", segment.name(), "strict", "bot"}).exit_code == 1);
  REQUIRE(rlctl({"off", segment.name()}).exit_code == 0);
  const Folder folder;
  const std::string file = folder.at("web.dump");
  check_answer(rlctl({"dump", segment.name(), "--output", file}), 0,
               "dumped 2 keys of 3 policies to " + file +
                   "; 1 that stands apart; 1 whose denials are remembered; 1 that owes nothing "
                   "left out; 1 limit on trial; limits are off\n");

  const Name fresh;
  const std::string& name = fresh;
  const Ran made = rlctl({"load", name, "--create", "--input", file});
  CHECK(made.exit_code == 0);
  CHECK(made.out == "loaded 2 keys into " + name +
                        "; 3 policies made; 1 that stands apart; 1 whose denials are remembered; "
                        "1 trial goes on, counted anew\n");
  CHECK(made.err == "rlctl: limits of " + name +
                        " are off, as they were: every call passes until `rlctl on " + name +
                        "`\n");
  CHECK(rlctl({"acquire", name, "api", "user:42", "--cost", "9"}).exit_code == 0);
  CHECK(rlctl({"on", name}).exit_code == 0);
  CHECK(rlctl({"acquire", name, "api", "user:42", "--cost", "9"}).exit_code == 1);

  // One that is in use keeps its switch.
  const Ran used = rlctl({"load", name, "--input", file, "--json"});
  CHECK(used.exit_code == 0);
  CHECK(used.out.find(R"("was_off":true,"off":false)") != used.out.npos);
  CHECK(used.err == "rlctl: limits were off when the dump was taken; " + name +
                        " is in use, and keeps its own switch (`rlctl off " + name +
                        "` switches them off)\n");
  CHECK(rlctl({"acquire", name, "api", "user:42", "--cost", "9"}).exit_code == 1);
}

// --- upgrade --------------------------------------------------------------------------------------

TEST_CASE("a_segment_of_another_layout_is_refused_with_the_commands_that_move_its_state") {
  const Used segment;
  const std::string text = segment.dump();
  // As another version would have left it: another layout, or the same number and other bytes.
  for (const std::size_t at : {offsetof(shm::HeaderConstants, layout_version),
                               offsetof(shm::HeaderConstants, fingerprint)}) {
    std::fstream file(segment.path(), std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(static_cast<std::streamoff>(at));
    file.put('\x63');
    file.close();
    for (const Words& words :
         {Words{"dump", segment.name()}, Words{"info", segment.name()},
          Words{"acquire", segment.name(), "api", "k"}, Words{"list", segment.name()}}) {
      check_error(
          rlctl(words),
          "or move its state to this one: `rlctl dump` of that version, `rlctl rm --force`, "
          "then `rlctl load --create` of this one");
    }
    check_error(load({segment.name()}, text), "but this library (" RL_VERSION ") reads");
  }
  // And so they do.
  CHECK(rlctl({"rm", segment.name(), "--force"}).exit_code == 0);
  CHECK(load({segment.name(), "--create"}, text).exit_code == 0);
  check_answer(rlctl({"peek", segment.name(), "api", "user:42"}), 0,
               "would be allowed: 3 of 10 left, full in 7 s\n");
}

// --- the unit of systemd --------------------------------------------------------------------------

std::string unit_path() {
  const char* path = std::getenv("RL_STATE_UNIT");
  REQUIRE_MESSAGE(path != nullptr, "RL_STATE_UNIT says where the unit is; meson test sets it");
  return path;
}

/// The command of a line of the unit, such as ExecStart=, as systemd gives it to the shell for a
/// segment.
std::string command_of(const std::string& line, const std::string& segment) {
  std::ifstream unit(unit_path());
  const std::string begin = line + "/bin/sh -c '";
  std::string command;
  for (std::string text; std::getline(unit, text);)
    if (text.starts_with(begin) && text.ends_with('\'')) command = text.substr(begin.size());
  REQUIRE_MESSAGE(!command.empty(), line);
  command.pop_back();
  const auto replace = [&](const std::string& what, const std::string& by) {
    for (std::size_t at = 0; (at = command.find(what, at)) != command.npos; at += by.size())
      command.replace(at, what.size(), by);  // ends: `at` grows
  };
  replace("%i", segment);
  replace("$$", "$");
  // It is not installed there yet.
  const std::size_t end = command.find("/bin/rlctl");
  REQUIRE(end != command.npos);
  const std::size_t from = command.rfind(' ', end) + 1;
  replace(command.substr(from, end - from) + "/bin/rlctl", rlctl_path());
  return command;
}

Ran run_unit(const std::string& line, const std::string& segment, const Folder& state) {
  return shell("STATE_DIRECTORY=" + state.path() + "; export STATE_DIRECTORY; " +
               command_of(line, segment));
}

TEST_CASE("the_unit_keeps_what_keys_owe_over_a_reboot") {
  const Used segment;
  const Folder state;
  const std::string dump = state.at(segment.name() + ".dump");
  const Ran stopped = run_unit("ExecStop=", segment.name(), state);
  CHECK(stopped.err == "");
  REQUIRE(stopped.exit_code == 0);
  REQUIRE(std::filesystem::exists(dump));

  // It is not touched while it is there.
  const std::string before = contents(segment.path());
  check_answer(run_unit("ExecStart=", segment.name(), state), 0, "");
  CHECK(contents(segment.path()) == before);

  // The reboot: /dev/shm is empty.
  REQUIRE(rlctl({"rm", segment.name()}).exit_code == 0);
  check_answer(run_unit("ExecStart=", segment.name(), state), 0,
               "loaded 2 keys into " + segment.name() + "; 2 policies made\n");
  check_answer(rlctl({"peek", segment.name(), "api", "user:42"}), 0,
               "would be allowed: 3 of 10 left, full in 7 s\n");

  // A dump that is refused is put aside, and the boot goes on.
  REQUIRE(rlctl({"rm", segment.name()}).exit_code == 0);
  write_to(dump, "half a du");
  const Ran refused = run_unit("ExecStart=", segment.name(), state);
  CHECK(refused.exit_code == 0);
  CHECK(refused.err.find("line 1 of the dump") != refused.err.npos);
  CHECK(contents(dump + ".refused") == "half a du");
  CHECK_FALSE(std::filesystem::exists(dump));
  check_answer(run_unit("ExecStart=", segment.name(), state), 0, "");  // the first boot
  check_answer(run_unit("ExecStop=", segment.name(), state), 0, "");   // nobody had made it
  CHECK_FALSE(std::filesystem::exists(dump));
}

TEST_CASE("the_unit_is_one_that_systemd_understands") {
  if (shell("command -v systemd-analyze").exit_code != 0) return skip("no systemd-analyze here");
  const Folder folder;
  const std::string unit = folder.at("librl-state@web.service");
  std::filesystem::copy_file(unit_path(), unit);
  const Ran ran = run({"systemd-analyze", "verify", "--man=no", unit});
  CAPTURE(ran.err);
  CHECK(ran.exit_code == 0);
  CHECK(ran.err.find("librl-state") == ran.err.npos);
}

}  // namespace
}  // namespace rl::test
