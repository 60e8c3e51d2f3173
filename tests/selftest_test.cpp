// `rlctl selftest`: what it prints, that it leaves nothing behind however it ends, and that it
// finds what is wrong when something is.

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "src/policy.hpp"
#include "tests/rlctl.hpp"
#include "tools/rlctl/selftest/chaos_arena.hpp"
#include "tools/rlctl/selftest/table_check.hpp"

namespace rl::test {
namespace {

using selftest::ChaosCounts;
using selftest::Crowd;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != text.npos;
}

/// The segments that a self-test of this process id left.
std::vector<std::string> segments_of(pid_t pid) {
  std::vector<std::string> names;
  const std::string prefix = "rl.selftest-" + std::to_string(pid) + "-";
  for (const auto& file : std::filesystem::directory_iterator("/dev/shm"))
    if (const std::string name = file.path().filename(); name.starts_with(prefix))
      names.push_back(name.substr(3));
  return names;
}

/// How many live processes are in this process group.
int count_of_group(pid_t group) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream file(entry.path() / "stat");
    std::string text;
    if (!std::getline(file, text)) continue;
    std::istringstream rest(text.substr(text.rfind(')') + 1));
    char state = 'Z';
    pid_t parent = 0;
    pid_t its_group = 0;
    rest >> state >> parent >> its_group;
    count += its_group == group && state != 'Z' && state != 'X' ? 1 : 0;
  }
  return count;
}

bool within_ten_seconds(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    ::usleep(1'000);
  }
  return true;
}

/// A long self-test in a process group of its own, with its output.
class Running {
 public:
  Running() {
    const std::string path = rlctl_path();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::setpgid(0, 0);
      for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) (void)::signal(number, SIG_DFL);
      ::dup2(ends[1], 1);
      ::execl(path.c_str(), path.c_str(), "selftest", "--seconds", "600", nullptr);
      ::_exit(127);
    }
    ::close(ends[1]);
    out_ = ends[0];
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;
  ~Running() {
    if (pid_ > 0) (void)end(SIGKILL);
    ::close(out_);
    for (const std::string& name : segments_of(group())) (void)Segment::remove(name);
  }
  [[nodiscard]] pid_t group() const { return group_; }
  /// Sends a signal once there are segments and children; returns how the program ended.
  int end(int number) {
    group_ = pid_;
    const bool began = within_ten_seconds(
        [&] { return !segments_of(group_).empty() && count_of_group(group_) > 1; });
    ::kill(pid_, number);
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    if (!began) return -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = -1;
  pid_t group_ = -1;
  int out_ = -1;
};

/// Runs a short self-test whose process id is known. `how` stands before its words.
struct Short {
  explicit Short(const std::string& words, const std::string& how = {},
                 const std::string& then = {}) {
    ran = shell("sh -c 'echo $$ >&2; exec " + how + " $RLCTL selftest --seconds 1 " + words + "' " +
                then);
    pid = static_cast<pid_t>(std::strtol(ran.err.c_str(), nullptr, 10));
    ran.err.erase(0, ran.err.find('\n') + 1);
    REQUIRE(pid > 0);
  }
  Ran ran;
  pid_t pid;
};

TEST_CASE("A_P_S_a_short_selftest_reports_part_by_part_and_leaves_nothing") {
  const Short test("");
  CAPTURE(test.ran.out);
  CHECK(test.ran.exit_code == 0);
  CHECK(test.ran.err == "");
  CHECK(segments_of(test.pid).empty());
  const std::vector<std::string> lines = lines_of(test.ran.out);
  REQUIRE(lines.size() == 6);
  CHECK(lines[0].starts_with("librl " RL_VERSION ", selftest of about 1 s, seed "));
  CHECK(lines[1].starts_with("exactness  ok      "));
  CHECK(contains(lines[1], " bursts of 20000 admitted exactly; "));
  CHECK(lines[2].starts_with("chaos      ok      "));
  CHECK(contains(lines[2], " kills, "));
  CHECK(lines[3].starts_with("clock      ok      "));
  CHECK(contains(lines[3], "; a decision takes "));
  CHECK(lines[4].starts_with("memory     ok      "));
  CHECK(lines[5] == "verdict    ok: this machine keeps what librl promises");
}

TEST_CASE("a_selftest_in_json_has_an_object_a_line") {
  const Short test("--json");
  CHECK(test.ran.exit_code == 0);
  std::vector<std::string> parts;
  for (const std::string& line : lines_of(test.ran.out)) {
    const auto object = nlohmann::json::parse(line);
    parts.push_back(object.at("part"));
    CHECK(object.at("ok") == true);
    if (parts.back() == "verdict") {
      CHECK(object.at("seconds") == 1);
      CHECK(object.at("version") == RL_VERSION);
    } else {
      CHECK(object.at("faults").empty());
    }
    if (parts.back() == "exactness") CHECK(object.at("bursts") >= 1);
    if (parts.back() == "chaos") CHECK(object.at("calls") >= 1);
    if (parts.back() == "memory") CHECK(object.at("bytes_reserved") >= object.at("bytes"));
  }
  CHECK(parts == std::vector<std::string>{"exactness", "chaos", "clock", "memory", "verdict"});
}

TEST_CASE(
    "a_selftest_that_is_interrupted_ends_by_that_signal_and_leaves_no_segment_and_no_process") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) {
    CAPTURE(number);
    Running running;
    CHECK(running.end(number) == 128 + number);
    CHECK(segments_of(running.group()).empty());
    CHECK(count_of_group(running.group()) == 0);
  }
}

TEST_CASE("the_children_of_a_selftest_that_was_killed_die_and_its_segments_bear_its_name") {
  Running running;
  CHECK(running.end(SIGKILL) == 128 + SIGKILL);
  CHECK(within_ten_seconds([&] { return count_of_group(running.group()) == 0; }));
  CHECK_FALSE(segments_of(running.group()).empty());
}

TEST_CASE("a_reader_that_leaves_ends_a_selftest_quietly_and_cleanly") {
  // The exit code is that of the self-test, which goes round the pipe.
  const Ran ran = shell(
      "{ sh -c 'echo $$ >&2; exec $RLCTL selftest --seconds 1'; echo \"ended with $?\" >&2; } "
      "| head -1");
  CHECK(lines_of(ran.out).size() == 1);
  const std::vector<std::string> told = lines_of(ran.err);
  REQUIRE(told.size() == 2);
  CHECK(told[1] == "ended with " + std::to_string(128 + SIGPIPE));
  CHECK(segments_of(static_cast<pid_t>(std::stol(told[0]))).empty());
}

TEST_CASE("a_selftest_takes_the_seed_that_another_printed") {
  const Short text("--seed 18446744073709551615");
  CHECK(text.ran.out.starts_with("librl " RL_VERSION
                                 ", selftest of about 1 s, seed 18446744073709551615\n"));
  const Short json("--seed 7 --json");
  CHECK(nlohmann::json::parse(lines_of(json.ran.out).back()).at("seed") == 7);
  check_error(rlctl({"selftest", "--seed", "x"}), "--seed \"x\": give a whole number");
}

TEST_CASE("a_selftest_with_a_bad_command_line_is_refused") {
  check_error(rlctl({"selftest", "--seconds", "0"}), "--seconds 0: give at least 1");
  check_error(rlctl({"selftest", "--seconds", "x"}), "--seconds \"x\": give a whole number");
  check_error(rlctl({"selftest", "--seconds", "-1"}), "--seconds \"-1\": give a whole number");
  check_error(rlctl({"selftest", "--seconds", "86401"}), "at most 86400");
  check_error(rlctl({"selftest", "--seconds"}), "selftest: --seconds takes one value");
  check_error(rlctl({"selftest", "web"}), "selftest: \"web\" is one argument too many");
  check_error(rlctl({"selftest", "--force"}), "selftest: unknown option \"--force\"");
}

TEST_CASE("a_selftest_that_has_no_room_for_its_segments_is_an_error") {
  const std::string small = "mount -t tmpfs -o size=64k tmpfs /dev/shm";
  if (shell("unshare -m sh -c '" + small + "'").exit_code != 0) {
    MESSAGE("skipped: a tmpfs cannot be mounted here");
    return;
  }
  const Ran ran = shell("exec unshare -m sh -c '" + small + " && exec $RLCTL selftest'");
  CHECK(ran.exit_code == 2);
  CHECK(contains(ran.err, "the segment needs "));
}

TEST_CASE("a_selftest_finds_a_machine_whose_cpus_disagree_about_the_time") {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  MESSAGE("skipped: a sanitizer wants to be loaded first");
#else
  const char* const skewed = std::getenv("RL_SKEWED_CLOCK");
  REQUIRE(skewed != nullptr);
  cpu_set_t cpus;
  REQUIRE(::sched_getaffinity(0, sizeof cpus, &cpus) == 0);
  if (!CPU_ISSET(0, &cpus) || !CPU_ISSET(1, &cpus)) {
    MESSAGE("skipped: needs CPUs 0 and 1");
    return;
  }
  const std::string preload = std::string("env LD_PRELOAD=") + skewed;
  const Short text("", preload);
  CAPTURE(text.ran.out);
  CHECK(text.ran.exit_code == 1);
  CHECK(contains(text.ran.out, "\nclock      FAILED  "));
  CHECK(contains(text.ran.out, "\n           -  the clocks of two CPUs disagree by at least "));
  CHECK(contains(text.ran.out, "\nverdict    FAILED: "));
  CHECK(segments_of(text.pid).empty());

  const Short json("--json", preload);
  CHECK(json.ran.exit_code == 1);
  const auto verdict = nlohmann::json::parse(lines_of(json.ran.out).back());
  CHECK(verdict.at("ok") == false);
#endif
}

// --- the judge, fed with what must not be
// ---------------------------------------------------------

/// Judges an arena in which nobody was killed.
std::vector<std::string> faults_in(selftest::Arena& arena, std::uint64_t kills = 0) {
  ChaosCounts counts;
  counts.kills = kills;
  judge(arena, counts);
  return counts.faults;
}

void check_one_fault(const std::vector<std::string>& faults, std::string_view part) {
  REQUIRE(faults.size() == 1);
  CAPTURE(faults[0]);
  CHECK(contains(faults[0], part));
}

/// Records `count` admissions of a key, 10 us apart.
void forge(selftest::Arena& arena, Crowd crowd, std::uint32_t nth, std::int64_t count) {
  const std::uint32_t key = spec_of(crowd).first_key + nth;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t at_ns = 1'000'000 + 10'000 * i;
    REQUIRE(arena.records.add(static_cast<std::size_t>(i % 2), {key, 0, at_ns, at_ns}));
  }
}

TEST_CASE("A_one_admission_above_the_bound_is_found_and_one_below_is_none") {
  for (const std::int64_t count : {20, 21}) {
    selftest::Arena arena(2);
    forge(arena, Crowd::hot, 1, count);
    const std::vector<std::string> faults = faults_in(arena);
    if (count == 20) CHECK(faults.empty());
    if (count == 21) check_one_fault(faults, "key hot-1 of 2k/s burst=20 when_full=deny: 21 adm");
  }
}

TEST_CASE("A_a_reset_excuses_one_burst_of_its_own_key_and_no_more") {
  const std::int64_t burst = 3;
  for (const std::int64_t count : {2 * burst, 2 * burst + 2}) {
    selftest::Arena arena(2);
    forge(arena, Crowd::crowd, 3, count);
    check_one_fault(faults_in(arena), "key crowd-3 of ");
    arena.resets[spec_of(Crowd::crowd).first_key + 4].store(1);
    check_one_fault(faults_in(arena), "key crowd-3 of ");
    arena.resets[spec_of(Crowd::crowd).first_key + 3].store(1);
    CHECK(faults_in(arena).empty() == (count == 2 * burst));
  }
}

TEST_CASE("A_evictions_excuse_as_many_bursts_as_there_were_and_a_reset_only_its_own_keys") {
  selftest::Arena arena(2);
  forge(arena, Crowd::flood, 0, 3);
  forge(arena, Crowd::flood, 1, 3);
  check_one_fault(faults_in(arena), "broke their bounds in 2 windows");
  arena.resets[spec_of(Crowd::flood).first_key + 3].store(1);
  check_one_fault(faults_in(arena), "broke their bounds in 2 windows");
  forge(arena, Crowd::flood, 3, 3);
  check_one_fault(faults_in(arena), "broke their bounds in 2 windows");
  forge(arena, Crowd::flood, 7, 6);
  arena.resets[spec_of(Crowd::flood).first_key + 7].store(1);
  check_one_fault(faults_in(arena), "broke their bounds in 3 windows");
  shm::Health& health = arena.yielding.view.mapping.header().health;
  health.evicted.store(2);
  check_one_fault(faults_in(arena), "broke their bounds in 3 windows");
  health.evicted.store(3);
  CHECK(faults_in(arena).empty());
  arena.firm.view.mapping.header().health.evicted.store(1);
  check_one_fault(faults_in(arena), "1 slots were evicted where no policy evicts");
}

TEST_CASE("A_calls_that_are_told_of_a_full_table_are_as_many_as_are_counted") {
  selftest::Arena arena(2);
  arena.notes[1].full.store(1);
  check_one_fault(faults_in(arena, 9), "1 calls were told that the table is full, but 0 are");
  arena.firm.view.mapping.header().health.full_denied.store(2);
  arena.yielding.view.mapping.header().health.full_allowed.store(1);
  check_one_fault(faults_in(arena, 1), "1 calls were told that the table is full, but 3 are");
  CHECK(faults_in(arena, 2).empty());  // each kill may have ended a call that was counted
}

void admit(Decision& d) {
  d.allowed = true;
  d.reason = Reason::ok;
}

TEST_CASE("A_chaos_finds_a_limiter_that_is_broken_in_any_crowd") {
  struct Broken {
    std::string how;
    selftest::Fault fault;
    std::string_view found;
  };
  static int denials = 0;
  const Broken limiters[] = {
      {"admits every call on keys that may be evicted",
       [](Crowd crowd, Decision& d) {
         if (crowd == Crowd::flood) admit(d);
       },
       "the keys that may be evicted broke their bounds in "},
      {"admits one denied call in four on keys that may be evicted",
       [](Crowd crowd, Decision& d) {
         if (crowd == Crowd::flood && !d.allowed && ++denials % 4 == 0) admit(d);
       },
       "the keys that may be evicted broke their bounds in "},
      {"admits one denied call in a hundred on hot keys",
       [](Crowd crowd, Decision& d) {
         if (crowd == Crowd::hot && !d.allowed && ++denials % 100 == 0) admit(d);
       },
       "key hot-"},
      {"admits every call on keys that come and go",
       [](Crowd crowd, Decision& d) {
         if (crowd == Crowd::crowd) admit(d);
       },
       "key crowd-"},
      {"admits every call on guests",
       [](Crowd crowd, Decision& d) {
         if (crowd == Crowd::guests) admit(d);
       },
       "key guests-"},
      {"charges calls that it denies",
       [](Crowd crowd, Decision& d) {
         if (crowd == Crowd::ledger && ++denials % 2 == 0) d.allowed = false;
       },
       "the ledger owes "},
      {"calls a full table a limit",
       [](Crowd, Decision& d) {
         if (d.reason == Reason::full && !d.allowed) d.reason = Reason::limited;
       },
       "calls were told that the table is full, but "},
  };
  std::uint64_t round = 0;
  for (const Broken& limiter : limiters) {
    CAPTURE(limiter.how);
    ChaosCounts all;
    const auto is_found = [&] {
      return std::any_of(all.faults.begin(), all.faults.end(),
                         [&](const std::string& fault) { return contains(fault, limiter.found); });
    };
    // A machine that gives us little may need another round.
    while (!is_found() && all.rounds < 10)
      all.add(selftest::run_chaos(
          {seed() + round++, 4, std::chrono::milliseconds(200), limiter.fault}));
    CHECK_MESSAGE(is_found(), "not found in " << all.rounds << " rounds of " << all.calls
                                              << " calls, RL_TEST_SEED=" << seed());
  }
}

TEST_CASE("A_a_ledger_that_owes_less_or_more_than_was_admitted_is_found") {
  selftest::Arena arena(2);
  CHECK(faults_in(arena).empty());
  for (int i = 0; i < 10; ++i)
    REQUIRE(arena.limiter(Crowd::ledger).try_acquire(arena.key(Crowd::ledger, 0)));
  check_one_fault(faults_in(arena), "the ledger owes 11, but 1 calls were admitted");
  check_one_fault(faults_in(arena, 9), "the ledger owes 11, but 1 calls were admitted");
  CHECK(faults_in(arena, 10).empty());  // each kill may have charged a call that nobody noted
  arena.notes[0].ledger.store(10);
  CHECK(faults_in(arena).empty());
  arena.notes[1].ledger.store(100);
  check_one_fault(faults_in(arena), "the ledger owes 11, but 111 calls were admitted");
}

/// A segment with one key, and the place of its slot.
struct Planted {
  Planted() {
    REQUIRE(segment->limiter("api", Limit::per_hour(1'000)).try_acquire("k"));
    CHECK(selftest::check_table(segment.path()).faults.empty());
    for (at = 0; !shm::is_member(table.slot(at).tag()); ++at) {
    }
  }
  void plant(std::uint64_t index, shm::SlotWords words) const {
    REQUIRE(table.slot(index).compare_exchange(table.slot(index).words(), words));
  }
  void check_found(std::string_view part) const {
    check_one_fault(selftest::check_table(segment.path()).faults, part);
  }
  Scratch segment;
  shm::Mapping mapping = shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
  shm::Table<shm::Slot> table = mapping.table();
  std::uint64_t at = 0;
};

TEST_CASE("S_a_key_that_is_planted_twice_is_found") {
  const Planted planted;
  planted.plant((planted.at + 1) % planted.table.slot_count(),
                planted.table.slot(planted.at).words());
  planted.check_found("its key has slot ");
}

TEST_CASE("S_a_slot_of_no_policy_or_of_no_key_or_with_too_much_debt_is_found") {
  const Planted planted;
  const shm::SlotWords words = planted.table.slot(planted.at).words();
  const std::uint64_t identity = shm::identity_of(words.tag);
  planted.plant(planted.at, {shm::make_tag(identity, 99), words.state});
  planted.check_found("its policy is none of the list");
  planted.plant(planted.at, {shm::make_tag(0, 1), words.state});
  planted.check_found("neither free, nor an insert, nor a key");
  planted.plant(planted.at, {0, words.state});
  planted.check_found("neither free, nor an insert, nor a key");
  planted.plant(planted.at, {words.tag, words.state + 10'000'000'000'000});
  planted.check_found("it owes more than its limit allows");
  const rl::View view(shm::Mapping::attach(planted.segment.path(), shm::Access::read_only, false),
                      planted.segment.path());
  const std::uint64_t hour_ns = 3'600'000'000'000;
  planted.plant(planted.at, {words.tag, view.clock.now() + hour_ns + 100'000'000});
  planted.check_found("it owes more than its limit allows");
  const std::uint64_t most = words.state + hour_ns;
  planted.plant(planted.at, {words.tag, most});
  CHECK(selftest::check_table(view.mapping, words.state).faults.empty());
  check_one_fault(selftest::check_table(view.mapping, words.state - 1).faults,
                  "it owes more than its limit allows");
  CHECK(selftest::check_table(view.mapping, std::nullopt).faults.empty());
  planted.plant(planted.at, {shm::make_tag(identity, 0), 0});
  planted.check_found("an insert without a nonce");
  planted.plant(planted.at, {shm::make_tag(identity, 0), 1});
  const selftest::TableCheck check = selftest::check_table(planted.segment.path());
  CHECK(check.faults.empty());
  CHECK(check.tentatives == 1);
}

TEST_CASE("S_a_list_of_policies_that_is_damaged_is_found") {
  Planted planted;
  (void)planted.segment->limiter("web", Limit::per_hour(5));
  shm::PolicyEntry* const entries = planted.mapping.policies();
  shm::Header& header = planted.mapping.header();
  entries[1].next.store(1);
  planted.check_found("policy 1: the list of policies is a ring");
  entries[1].next.store(0);
  header.policy_next.store(2);
  planted.check_found("the id 2 of a policy would be given out again");
  header.policy_next.store(3);
  header.policy_first.store(2);  // the member's policy is whole, and on no list
  planted.check_found("its policy is none of the list");
  header.policy_first.store(1);
  ++entries[1].constants.burst;
  planted.check_found("policy 2: it is on the list and not whole");
  --entries[1].constants.burst;
  CHECK(selftest::check_table(planted.segment.path()).faults.empty());
  entries[1].constants = entries[0].constants;
  planted.check_found("policy 2: ");
}

/// A slot whose compare-and-swaps all fail, as if a rival were always faster.
struct Losing : shm::Slot {
  static bool compare_exchange(shm::SlotWords, shm::SlotWords) noexcept { return false; }
};

TEST_CASE("P_a_watched_call_that_gives_up_is_counted_and_told") {
  Scratch segment({.keys = 1});
  (void)segment->limiter("api", Limit::per_hour(5).when_full(WhenFull::deny));
  rl::View view(shm::Mapping::attach(segment.path(), shm::Access::read_write, false),
                segment.path());
  const Decision decision = selftest::watched_acquire<Losing>(selftest::bind(view, "api"), "k");
  CHECK_FALSE(decision.allowed);
  CHECK(decision.reason == Reason::full);
  CHECK(view.mapping.header().health.gave_up == 1);
  CHECK(view.mapping.header().health.full_denied == 1);
}

TEST_CASE("A_S_a_watched_call_gives_the_librarys_answer_and_leaves_the_same_bytes") {
  INFO("RL_TEST_SEED=" << seed());
  std::mt19937_64 random(seed());
  Scratch segment({.keys = 18, .clock = ClockSource::manual, .policies = 4});
  std::vector<Limiter> limiters;
  const std::vector<std::string> names{"evict", "allow", "deny"};
  for (const std::string& rule : names)
    limiters.push_back(segment->limiter(rule, Limit::parse("10/s burst=3 when_full=" + rule)));
  // A copy keeps the secret, so every key has the same slots in it.
  const std::string name = unique_name();
  const RemoveAtEnd copied(name);
  const std::string path = "/dev/shm/rl." + name;
  rl::View original(shm::Mapping::attach(segment.path(), shm::Access::read_write, false),
                    segment.path());
  rl::View view(shm::Mapping::recreate(path, original.mapping, rl::state_in_copy), path);
  std::vector<rl::Binding> bindings;
  for (const std::string& rule : names) bindings.push_back(selftest::bind(view, rule));

  std::uint64_t reasons[16] = {};
  for (int i = 0; i < 20'000; ++i) {
    const std::size_t which = random() % names.size();
    const std::string key = std::to_string(random() % (random() % 2 == 0 ? 60 : 6));
    const Decision librarys = limiters[which].try_acquire(key);
    const Decision ours = selftest::watched_acquire(bindings[which], key);
    ++reasons[static_cast<std::size_t>(ours.reason)];
    REQUIRE(ours.allowed == librarys.allowed);
    REQUIRE(ours.reason == librarys.reason);
    REQUIRE(ours.policy == librarys.policy);
    REQUIRE(ours.limit == librarys.limit);
    REQUIRE(ours.remaining == librarys.remaining);
    if (random() % 2 == 0) {
      const auto step = std::chrono::nanoseconds(random() % 10'000'000);
      segment->advance_clock(step);
      view.mapping.header().manual_ns.fetch_add(static_cast<std::uint64_t>(step.count()));
    }
  }
  for (const Reason reason : {Reason::ok, Reason::limited, Reason::full})
    CHECK(reasons[static_cast<std::size_t>(reason)] > 100);
  const shm::Health& health = view.mapping.header().health;
  CHECK(health.evicted > 0);
  CHECK(health.idle_overwritten > 0);
  CHECK(std::memcmp(&health, &original.mapping.header().health, sizeof health) == 0);
  const shm::Geometry& g = view.mapping.geometry();  // slots, counts and labels are the end of it
  CHECK(std::memcmp(&view.table.slot(0), &original.table.slot(0),
                    static_cast<std::size_t>(g.total_bytes - g.pairs_offset)) == 0);
}

TEST_CASE("P_a_process_that_fails_or_does_not_end_is_told_and_ended") {
  std::vector<selftest::Process> processes;
  processes.emplace_back([] { ::_exit(3); });
  processes.emplace_back([] { (void)::raise(SIGKILL); });
  processes.emplace_back([] {});
  std::vector<std::string> faults = selftest::wait_for_all(processes, selftest::kPatience);
  std::sort(faults.begin(), faults.end(), [](const std::string& a, const std::string& b) {
    return a.substr(a.rfind(' ')) < b.substr(b.rfind(' '));
  });
  REQUIRE(faults.size() == 2);
  CHECK(faults[0].ends_with(" ended with 137"));
  CHECK(faults[1].ends_with(" ended with 3"));

  processes.emplace_back([] {
    for (;;) ::pause();
  });
  const pid_t pid = processes[0].pid();
  faults = selftest::wait_for_all(processes, std::chrono::milliseconds(20));
  check_one_fault(faults, " did not end");
  CHECK(::kill(pid, 0) != 0);
}

}  // namespace
}  // namespace rl::test
