// `rlctl run` and `rlctl acquire --wait`: real commands under limits, real signals, exact counts.
#include <fcntl.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>

#include "shm/os.hpp"
#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;

constexpr int kDenied = 124;
constexpr int kRunFailed = 125;

/// A segment whose time goes on, or is moved by the test, with limits that rlctl runs commands under, and a folder for what
/// these write.
struct Stage {
  explicit Stage(ClockSource clock = ClockSource::automatic)
      : segment(SegmentOptions{.keys = 100, .clock = clock}) {}

  Scratch segment;
  Folder folder;

  Limiter limit(const std::string& policy, const std::string& text) {
    segment->set_policy(policy, Limits::parse(text));
    return segment->limiter(policy);
  }
  [[nodiscard]] Words run_words(const std::string& policy, const Words& options,
                                const Words& command) const {
    Words words{"run", segment.name(), policy, "k"};
    words.insert(words.end(), options.begin(), options.end());
    words.emplace_back("--");
    words.insert(words.end(), command.begin(), command.end());
    return words;
  }
  /// A line of shell whose $F is a file of the test's.
  [[nodiscard]] Words shell_words(const std::string& line) const {
    return {"env", "F=" + file(), "sh", "-c", line};
  }
  /// How often the key was denied, so that who waits is seen to have asked.
  [[nodiscard]] std::uint64_t denials(const std::string& policy) {
    const auto row = segment->find(policy, "k");
    return row ? row->denied_count : 0;
  }
  [[nodiscard]] std::string file() const { return folder.at("written"); }
  [[nodiscard]] std::string written() const { return contents(file()); }
};

/// Becomes the program, with no signal ignored: a shell sets no trap for one that was (as under nohup).
[[noreturn]] void become_rlctl(Words words) {
  words.insert(words.begin(), rlctl_path());
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2})
    (void)::signal(signal, SIG_DFL);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  throw errno;
}

/// The program at work beside the test, with nobody to hear it.
Child started(const Words& words) {
  return Child([words] {
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; ++fd) ::dup2(nowhere, fd);
    become_rlctl(words);
  });
}

/// Looks until it is so; what takes a second at most is given ten times what is usual on a machine
/// that does much else.
void await(const std::function<bool()>& is_so) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!is_so()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    ::usleep(1'000);
  }
}

std::size_t lines_in(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

TEST_CASE("A_twenty_runs_at_ten_an_hour_run_exactly_ten_commands") {
  Stage stage;
  stage.limit("api", "10/h");
  std::vector<Child> runs;
  for (int i = 0; i < 20; ++i)
    runs.push_back(started(stage.run_words("api", {}, stage.shell_words("echo ran >>\"$F\""))));
  int denied = 0;
  for (Child& run : runs) {
    const int code = run.wait();
    CHECK((code == 0 || code == kDenied));
    denied += code == kDenied ? 1 : 0;
  }
  CHECK(denied == 10);
  CHECK(lines_in(stage.written()) == 10);
}

TEST_CASE("A_eight_runs_under_two_permits_are_never_more_than_two_at_once") {
  Stage stage;
  stage.limit("up", "concurrency 2 lease=1m");
  std::vector<Child> runs;
  for (int i = 0; i < 8; ++i) {
    runs.push_back(started(
        stage.run_words("up", {"--wait", "60s"},
                        stage.shell_words("echo begin >>\"$F\"; sleep 0.05; echo end >>\"$F\""))));
  }
  for (Child& run : runs) CHECK(run.wait() == 0);
  // Lines are appended in the order in which they were written.
  std::istringstream lines(stage.written());
  int at_once = 0;
  int begun = 0;
  for (std::string line; std::getline(lines, line);) {
    at_once += line == "begin" ? 1 : -1;
    begun += line == "begin" ? 1 : 0;
    CHECK(at_once <= 2);
    CHECK(at_once >= 0);
  }
  CHECK(begun == 8);
  CHECK(at_once == 0);
}

/// A command that says that it runs, and runs until it is told to end.
constexpr const char* kUntilTold =
    "trap 'echo told >>\"$F\"; exit 7' HUP INT TERM USR1 USR2; echo runs >>\"$F\"; "
    "while :; do sleep 0.01; done";

TEST_CASE("who_finds_all_permits_taken_does_not_run_and_is_told_when_to_come_back") {
  Stage stage;
  stage.limit("up", "concurrency 2 lease=1h");
  std::vector<Child> holders;
  for (int i = 0; i < 2; ++i)
    holders.push_back(started(stage.run_words("up", {}, stage.shell_words(kUntilTold))));
  await([&] { return lines_in(stage.written()) == 2; });
  for (int i = 0; i < 6; ++i) {
    const Ran ran = rlctl(stage.run_words("up", {}, stage.shell_words("echo more >>\"$F\"")));
    check_error(ran, "not run: policy \"up\" denies it (limited); come back in ", kDenied);
  }
  const Ran waited = rlctl(stage.run_words("up", {"--wait", "50ms"}, {"true"}));
  CHECK(waited.exit_code == kDenied);
  for (const Child& holder : holders) holder.signal(SIGTERM);
  for (Child& holder : holders) CHECK(holder.wait() == 7);
  CHECK(stage.written() == "runs\nruns\ntold\ntold\n");
  check_answer(rlctl(stage.run_words("up", {}, {"echo", "now"})), 0, "now\n");
}

TEST_CASE("P_a_run_that_is_killed_locks_nobody_out_and_its_command_is_told_to_end") {
  Stage stage;
  Limiter up = stage.limit("up", "concurrency 1 lease=1h");
  Child holder = started(stage.run_words("up", {}, stage.shell_words(kUntilTold)));
  await([&] { return stage.written() == "runs\n"; });
  CHECK(!up.permit("k"));
  holder.signal(SIGKILL);
  CHECK(holder.wait() == 128 + SIGKILL);
  await([&] { return stage.written() == "runs\ntold\n"; });
  check_answer(rlctl(stage.run_words("up", {"--wait", "60s"}, {"echo", "next"})), 0, "next\n");
}

TEST_CASE("a_command_that_is_killed_gives_its_permit_back_at_once") {
  Stage stage;
  Limiter up = stage.limit("up", "concurrency 1 lease=1h");
  for (const int signal : {SIGKILL, SIGTERM, SIGSEGV}) {
    const Ran ran =
        rlctl(stage.run_words("up", {}, {"sh", "-c", "kill -" + std::to_string(signal) + " $$"}));
    CHECK(ran.exit_code == 128 + signal);
    CHECK(ran.err == "");
    CHECK(up.permit("k"));
  }
}

TEST_CASE("the_commands_exit_code_and_streams_are_its_own") {
  Stage stage;
  stage.limit("api", "1000/h");
  stage.limit("up", "concurrency 1");
  for (const char* policy : {"api", "up"}) {
    CAPTURE(policy);
    for (const int code : {0, 1, 2, 3, 124, 255}) {
      const Ran ran =
          rlctl(stage.run_words(policy, {}, {"sh", "-c", "exit " + std::to_string(code)}));
      check_answer(ran, code, "");
    }
    const Ran ran = rlctl(stage.run_words(policy, {}, {"sh", "-c", "cat; echo no >&2"}), "yes");
    CHECK(ran.exit_code == 0);
    CHECK(ran.out == "yes");
    CHECK(ran.err == "no\n");
  }
}

TEST_CASE("what_stands_behind_the_dashes_is_the_commands_alone") {
  Stage stage;
  stage.limit("api", "1000/h");
  const Words command{"printf", "%s|", "--json", "--help", "", "--", "--cost", "x"};
  check_answer(rlctl(stage.run_words("api", {"--cost", "2"}, command)), 0,
               "--json|--help||--|--cost|x|");
  CHECK(stage.segment->limiter("api").peek("k").remaining == 998);
  const std::string& name = stage.segment.name();
  check_answer(rlctl({"--json", "run", name, "api", "k", "--", "echo", "a"}), 0, "a\n");
  for (const Words& words : {Words{"run", name, "api", "k"}, Words{"run", name, "api", "k", "--"}})
    check_error(rlctl(words), "run: COMMAND is required; usage: rlctl run SEGMENT NAME [KEY]",
                kRunFailed);
  check_error(rlctl({"run", name, "api", "k", "true"}), "\"true\" is one argument too many",
              kRunFailed);
  check_error(rlctl({"run", name, "api", "--", "true"}), "no key is given", kRunFailed);
  check_error(rlctl({"run", name, "api", "k", "--wait", "5", "--", "true"}),
              "--wait \"5\": ", kRunFailed);
  CHECK(rlctl({"run", name, "api", "--key-file", "-", "--", "true"}, "--odd").exit_code == 0);
}

TEST_CASE("a_command_that_cannot_be_run_is_126_or_127_and_is_charged_nothing") {
  Stage stage;
  Limiter api = stage.limit("api", "10/h, 20/d");
  Limiter up = stage.limit("up", "concurrency 1 lease=1h");
  std::ofstream(stage.file()) << "no program";
  for (const char* policy : {"api", "up"}) {
    CAPTURE(policy);
    check_error(rlctl(stage.run_words(policy, {}, {"/nowhere/at-all"})),
                "running /nowhere/at-all: No such file or directory", 127);
    check_error(rlctl(stage.run_words(policy, {}, {"no-such-command-anywhere", "x"})),
                "running no-such-command-anywhere: ", 127);
    check_error(rlctl(stage.run_words(policy, {"--wait", "1s"}, {stage.file()})),
                "Permission denied", 126);
  }
  CHECK(api.peek("k").remaining == 10);
  CHECK(stage.segment->limiter("api#2").peek("k").remaining == 20);
  CHECK(up.permit("k"));
}

TEST_CASE("a_denial_names_the_limit_and_in_json_is_the_decision") {
  Stage stage;
  stage.limit("api", "2/s burst=50, 1/d");
  CHECK(rlctl(stage.run_words("api", {}, {"true"})).exit_code == 0);
  check_error(rlctl(stage.run_words("api", {}, {"true"})),
              "not run: policy \"api#2\" denies it (limited); come back in 1 d", kDenied);
  const Ran json = rlctl(stage.run_words("api", {"--json"}, {"echo", "ran"}));
  CHECK(json.exit_code == kDenied);
  CHECK(json.out == "");
  CHECK(json.err.starts_with(R"({"allowed":false,"reason":"limited","limit":1,"remaining":0,)"));
  CHECK(json.err.ends_with("\"policy\":\"api#2\"}\n"));
  check_error(rlctl(stage.run_words("api", {"--cost", "51"}, {"true"})),
              "a cost of 51 is above the most", kDenied);
  REQUIRE(rlctl({"ban", stage.segment.name(), "api", "k", "--for", "ever"}).exit_code == 0);
  check_error(rlctl(stage.run_words("api", {"--wait", "1h"}, {"true"})),
              "denies it (banned); and no waiting helps", kDenied);
}

TEST_CASE("a_signal_for_a_run_goes_on_to_its_command") {
  Stage stage;
  stage.limit("up", "concurrency 1 lease=1h");
  stage.limit("api", "100/h");
  for (const char* policy : {"up", "api"}) {
    for (const int signal : {SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2}) {
      CAPTURE(signal);
      std::filesystem::remove(stage.file());
      Child run = started(stage.run_words(policy, {}, stage.shell_words(kUntilTold)));
      await([&] { return stage.written() == "runs\n"; });
      run.signal(signal);
      CHECK(run.wait() == 7);
      CHECK(stage.written() == "runs\ntold\n");
    }
  }
}

TEST_CASE("a_terminal_that_hangs_up_tells_the_command_too_though_rlctl_leads_its_session") {
  Stage stage;
  stage.limit("up", "concurrency 1 lease=1h");
  shm::Fd terminal(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC));
  REQUIRE(terminal);
  REQUIRE(::grantpt(terminal.get()) == 0);
  REQUIRE(::unlockpt(terminal.get()) == 0);
  const std::string name = ::ptsname(terminal.get());
  const Words words = stage.run_words("up", {}, stage.shell_words(kUntilTold));
  Child run([&] {
    ::setsid();
    const int end = ::open(name.c_str(), O_RDWR);  // and so it is this session's
    for (int fd = 0; fd <= 2; ++fd) ::dup2(end, fd);
    become_rlctl(words);
  });
  await([&] { return stage.written() == "runs\n"; });
  terminal = shm::Fd();
  CHECK(run.wait() == 7);
  CHECK(stage.written() == "runs\ntold\n");
}

TEST_CASE("a_command_begins_with_the_signals_and_the_files_of_who_ran_it") {
  Stage stage;
  stage.limit("api", "1000/h");
  stage.limit("up", "concurrency 1");
  const std::string trapped = "trap '' PIPE CHLD INT; exec ";
  const std::string look =
      "sh -c 'grep -E \"Sig(Ign|Blk|Cgt)\" /proc/self/status; ls /proc/self/fd'";
  const std::string alone = shell(trapped + look).out;
  CHECK(lines_in(alone) > 5);
  for (const char* policy : {"api", "up"}) {
    CAPTURE(policy);
    check_answer(
        shell(trapped + "$RLCTL run " + stage.segment.name() + " " + policy + " k -- " + look), 0,
        alone);
  }
  // Nobody was to know how children end, and the exit code is there all the same.
  CHECK(shell("trap '' CHLD; exec $RLCTL run " + stage.segment.name() + " up k -- sh -c 'exit 9'")
            .exit_code == 9);
}

TEST_CASE("a_lease_is_renewed_for_as_long_as_the_command_runs") {
  Stage stage(ClockSource::manual);
  Limiter up = stage.limit("up", "concurrency 1 lease=1s");
  Child run = started(stage.run_words("up", {}, stage.shell_words(kUntilTold)));
  await([&] { return stage.written() == "runs\n"; });
  for (int half = 0; half < 6; ++half) {  // three leases, on a clock that the test turns
    stage.segment->advance_clock(500ms);
    REQUIRE(!up.peek_permit("k"));
    await([&] { return up.peek_permit("k").retry_after > 900ms; });
  }
  run.signal(SIGTERM);
  CHECK(run.wait() == 7);
  CHECK(up.peek_permit("k"));
}

TEST_CASE("a_permit_that_is_lost_is_told_once_and_the_command_goes_on") {
  Stage stage(ClockSource::manual);
  Limiter up = stage.limit("up", "concurrency 1 lease=1s");
  const std::string go = stage.folder.at("go");
  const std::string err = stage.folder.at("err");
  Child run([&] {
    const Ran ran = rlctl(stage.run_words("up", {},
                                          stage.shell_words("echo runs >>\"$F\"; until [ -e " + go +
                                                            " ]; do sleep 0.01; done; exit 5")));
    std::ofstream(err) << ran.err;
    if (ran.exit_code != 5) throw ran.exit_code;
  });
  await([&] { return stage.written() == "runs\n"; });
  std::optional<Permit> other;  // has it from the moment that the lease is over
  await([&] {
    stage.segment->advance_clock(2s);
    other.emplace(up.permit("k"));
    return static_cast<bool>(*other);
  });
  // A renewal comes each third of a second: by now some were tried, and told once.
  ::usleep(1'200'000);
  std::ofstream(go) << "";
  CHECK(run.wait() == 0);
  const std::string said = contents(err);
  CAPTURE(said);
  CHECK(lines_in(said) == 1);
  CHECK(said.starts_with("rlctl: the permit could not be renewed: "));
  CHECK(other->holds());
}

TEST_CASE("without_a_segment_a_command_runs_only_where_that_was_said") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const Words run{"run", name, "api", "k"};
  const auto with = [&](const Words& more) {
    Words words = run;
    words.insert(words.end(), more.begin(), more.end());
    return rlctl(words);
  };
  const auto check_runs = [&](std::string_view why) {
    const Ran ran = with({"--on-failure", "allow", "--", "sh", "-c", "echo ran; exit 3"});
    CHECK(ran.exit_code == 3);
    CHECK(ran.out == "ran\n");
    CHECK(ran.err.find(why) != ran.err.npos);
    CHECK(ran.err.ends_with("; going on without a limit (--on-failure allow)\n"));
    CHECK(lines_in(ran.err) == 1);
    for (const Words& deny : {Words{}, Words{"--on-failure", "deny"}}) {
      Words words = deny;
      words.insert(words.end(), {"--", "echo", "ran"});
      check_error(with(words), why, kRunFailed);
    }
  };
  check_runs("no such segment");
  CHECK_FALSE(std::filesystem::exists("/dev/shm/rl." + name));
  REQUIRE(rlctl({"create", name, "--keys", "100"}).exit_code == 0);
  check_runs("no policy \"api\"");
  REQUIRE(rlctl({"policy", "set", name, "api", "1/h"}).exit_code == 0);
  const Ran charged = with({"--on-failure", "allow", "--", "echo", "ran"});
  check_answer(charged, 0, "ran\n");
  CHECK(with({"--on-failure", "allow", "--", "echo", "ran"}).exit_code == kDenied);

  // What was typed wrong is so with a segment and without.
  check_error(rlctl({"run", "a/b", "api", "k", "--on-failure", "allow", "--", "true"}),
              "a name has no slash", kRunFailed);
  check_error(with({"--on-failure", "perhaps", "--", "true"}),
              "--on-failure \"perhaps\": give one of allow, deny", kRunFailed);
  REQUIRE(rlctl({"policy", "set", name, "tries", "counter"}).exit_code == 0);
  check_error(rlctl({"run", name, "tries", "k", "--on-failure", "allow", "--", "true"}),
              "only counts, and takes no calls", kRunFailed);
}

TEST_CASE("A_a_call_waits_for_its_turn_and_never_goes_early") {
  for (const char* text :
       {"20/s burst=1", "leaky 20/s queue=9", "window 1/50ms", "20/s burst=1, 100/h"}) {
    CAPTURE(text);
    Stage stage;
    stage.limit("api", text);
    const Instant began = stage.segment->now();
    const Ran first = rlctl({"acquire", stage.segment.name(), "api", "k", "--wait", "60s"});
    CHECK(first.exit_code == 0);
    CHECK(first.out.starts_with("allowed: "));
    for (int i = 0; i < 3; ++i) {
      const Ran next =
          rlctl({"--json", "acquire", stage.segment.name(), "api", "k", "--wait", "60s"});
      CHECK(next.exit_code == 0);
      CHECK(next.out.starts_with(R"({"allowed":true,)"));
      CHECK(rlctl(stage.run_words("api", {"--wait", "60s"}, {"true"})).exit_code == 0);
    }
    // Windows begin with the clock's periods: of seven, five lie between the first and the last.
    const auto least = std::string_view(text).starts_with("window") ? 5 * 50ms : 6 * 50ms;
    CHECK(stage.segment->now() - began >= least);
  }
}

TEST_CASE("a_leaky_limit_has_a_command_wait_as_long_as_it_says") {
  Stage stage;
  stage.limit("api", "leaky 20/s queue=9");
  const Instant began = stage.segment->now();
  for (int i = 0; i < 4; ++i) CHECK(rlctl(stage.run_words("api", {}, {"true"})).exit_code == 0);
  CHECK(stage.segment->now() - began >= 3 * 50ms);
}

TEST_CASE("a_turn_that_would_come_too_late_is_denied_at_once_and_charges_nothing") {
  for (const char* text : {"1/h", "leaky 1/h queue=5", "window 1/h", "sliding 1/h", "1/h, 5/d"}) {
    CAPTURE(text);
    const Made made;
    made.policy("api", text);
    const Words acquire{"acquire", made.name(), "api", "k", "--wait", "59m"};
    CHECK(rlctl(acquire).exit_code == 0);
    const std::string before = rlctl({"show", made.name(), "api", "k", "--json"}).out;
    const Ran ran = rlctl(acquire);  // on a clock that stands still
    CHECK(ran.exit_code == 1);
    const char* when =
        std::string_view(text) == "sliding 1/h" ? ", come back in 2 h: " : ", come back in 1 h: ";
    CHECK(ran.out.find(when) != ran.out.npos);
    CHECK(ran.err == "");
    CHECK(masked(rlctl({"show", made.name(), "api", "k", "--json"}).out, "denied_count\":", kDigits,
                 "0") == before);
  }
}

TEST_CASE("acquire_waits_for_a_permit_until_one_is_given_back") {
  Stage stage;
  Limiter up = stage.limit("up", "concurrency 1 lease=1h");
  Permit permit = up.permit("k");
  REQUIRE(permit);
  const Words acquire{"acquire", stage.segment.name(), "up", "k", "--wait"};
  const auto with = [&](const char* wait) {
    Words words = acquire;
    words.emplace_back(wait);
    return words;
  };
  const Ran denied = rlctl(with("20ms"));
  CHECK(denied.exit_code == 1);
  CHECK(denied.out.starts_with("denied, come back in "));
  const Words waiting = with("60s");
  Child waiter = started(waiting);
  const auto before = stage.denials("up");
  await([&] { return stage.denials("up") > before; });
  CHECK(permit.release());
  CHECK(waiter.wait() == 0);
  CHECK(up.permit("k"));
}

TEST_CASE("a_wait_that_a_signal_ends_leaves_nothing_charged_and_runs_nothing") {
  for (const char* text : {"1/h burst=1", "leaky 1/h queue=5"}) {
    CAPTURE(text);
    Stage stage;
    Limiter api = stage.limit("api", text);
    REQUIRE(api.try_acquire("k"));
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
      const Words command = stage.shell_words("echo ran >>\"$F\"");
      for (const Words& words : {Words{"acquire", stage.segment.name(), "api", "k", "--wait", "5h"},
                                 stage.run_words("api", {"--wait", "5h"}, command)}) {
        CAPTURE(signal);
        CHECK(api.peek("k").reset_after <= 1h);
        Child waiter = started(words);
        await([&] { return api.peek("k").reset_after > 90min; });  // it stands in the line
        waiter.signal(signal);
        CHECK(waiter.wait() == 128 + signal);
        CHECK(api.peek("k").reset_after <= 1h);
      }
    }
    CHECK(stage.written() == "");
  }
}

TEST_CASE("a_wait_of_a_window_a_list_or_a_permit_is_ended_by_a_signal_too") {
  for (const char* text : {"window 1/d", "1/d, 2/d", "concurrency 1 lease=1h"}) {
    CAPTURE(text);
    Stage stage;
    Limiter api = stage.limit("api", text);
    const bool of_permits = std::string_view(text).starts_with("concurrency");
    const Permit permit = api.permit("k");
    if (!of_permits) REQUIRE(api.try_acquire("k"));
    const auto before = stage.denials("api");
    Child waiter =
        started(stage.run_words("api", {"--wait", "30d"}, stage.shell_words("echo ran >>\"$F\"")));
    await([&] { return stage.denials("api") > before; });
    waiter.signal(SIGINT);
    CHECK(waiter.wait() == 128 + SIGINT);
    CHECK(stage.written() == "");
    if (std::string_view(text) == "1/d, 2/d")
      CHECK(stage.segment->limiter("api#2").peek("k").remaining == 2);
  }
}

TEST_CASE("a_signal_that_is_ignored_ends_no_wait") {
  Stage stage;
  Limiter api = stage.limit("api", "1/h");
  REQUIRE(api.try_acquire("k"));
  const std::string line =
      "trap '' INT HUP; exec $RLCTL acquire " + stage.segment.name() + " api k --wait 5h";
  Child waiter([&] { throw shell(line).exit_code; });
  await([&] { return api.peek("k").reset_after > 90min; });
  // The waiter is the child's child, which no name but its place in the line tells.
  std::string pid;
  await([&] {
    pid = contents("/proc/" + std::to_string(waiter.pid()) + "/task/" +
                   std::to_string(waiter.pid()) + "/children");
    return !pid.empty();
  });
  const pid_t child = std::stoi(pid);
  for (const int signal : {SIGINT, SIGHUP}) CHECK(::kill(child, signal) == 0);
  CHECK(api.peek("k").reset_after > 90min);
  CHECK(::kill(child, SIGTERM) == 0);
  CHECK(waiter.wait() == 1);
  CHECK(api.peek("k").reset_after <= 1h);
}

TEST_CASE("a_manual_clock_that_nobody_moves_ends_a_wait_and_one_that_is_moved_too") {
  const Made made;
  made.policy("api", "1/s");
  REQUIRE(rlctl({"acquire", made.name(), "api", "k"}).exit_code == 0);
  const Words acquire{"acquire", made.name(), "api", "k", "--wait", "10s"};
  const Ran denied = rlctl(acquire);
  CHECK(denied.exit_code == 1);
  CHECK(denied.out.starts_with("denied, come back in 1 s: "));
  Segment segment = Segment::open(made.name());
  Limiter api = segment.limiter("api");
  Child waiter = started(acquire);
  await([&] { return api.peek("k").reset_after > 1s; });  // it stands in the line
  await([&] {
    segment.advance_clock(500ms);
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(waiter.pid()), &info, WEXITED | WNOHANG | WNOWAIT) ==
               0 &&
           info.si_pid == waiter.pid();
  });
  CHECK(waiter.wait() == 0);
}

}  // namespace
}  // namespace rl::test
