/// \file
/// Files of limits that rivals apply to one segment under load, and are killed at.
#include <fcntl.h>

#include <fstream>
#include <random>

#include "tests/in_processes.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kWorkers = 4;
constexpr std::size_t kKeys = 3;  // the last has an override in the one file

/// What both files say of the segment, and of another policy than the workers ask.
constexpr std::string_view kOne = R"([segment]
keys = 1000
clock = "manual"
policies = 60000

[policy.api]
limit = "100k/h"

[policy.api.override]
key2 = "180k/h"

[policy.api.ban]
bot = { reason = "one" }

[policy.search]
limit = "5/s burst=10, 1000/d"

[policy.search.allow]
monitor = "one"
)";
constexpr std::string_view kOther = R"([policy.api]
limit = "150k/h"

[policy.api.allow]
monitor = "other"

[policy.search]
limit = "7/s, 5/h, 9/d"

[policy.search.override]
vip = "8/s, 6/h, 10/d"
)";

/// The larger of the limits that a key was under, each of which has what it gives per hour at once.
std::uint64_t most_at_once(std::size_t key) {
  return key + 1 == kKeys ? 180'000 : 150'000;
}

std::string written(const Folder& folder, const std::string& name, std::string_view text) {
  std::ofstream(folder.at(name)) << text;
  return folder.at(name);
}

/// A process that is rlctl itself, so that a signal meets it.
Child applying(const std::string& segment, const std::string& file) {
  const std::string program = rlctl_path();
  return Child([&] {
    const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    (void)::dup2(null, STDOUT_FILENO);
    (void)::dup2(null, STDERR_FILENO);
    ::execl(program.c_str(), "rlctl", "apply", segment.c_str(), file.c_str(), "--prune", nullptr);
    throw 1;
  });
}

TEST_CASE("ASP_files_that_rivals_apply_and_are_killed_at_keep_the_bound_and_can_be_applied_again") {
  const int kTurns = is_deep() ? 1'000 : 40;
  constexpr auto kTurn = 6min;  // in which 10,000 calls come back under the smaller limit
  const std::uint64_t seed = test::seed();
  INFO("RL_TEST_SEED=" << seed);
  std::mt19937_64 random(seed);
  const Folder folder;
  const std::string one = written(folder, "one.toml", kOne);
  const std::string other = written(folder, "other.toml", kOther);
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  REQUIRE(rlctl({"apply", name, one}).exit_code == 0);
  Segment segment = Segment::open(name);
  Shared<std::atomic<std::uint64_t>> passed(kKeys);
  Shared<std::atomic<std::uint64_t>> lost;
  Shared<std::atomic<std::uint64_t>> applied;
  Shared<std::atomic<bool>> is_over;
  Limiter api = segment.limiter("api");

  std::vector<Child> children;
  for (std::size_t which = 0; which < kWorkers; ++which) {
    children.emplace_back([&] {
      while (!is_over[0]) {  // ends with the turns
        for (std::size_t key = 0; key < kKeys; ++key) {
          const Decision d = api.try_acquire("key" + std::to_string(key));
          passed[key] += d ? 1U : 0U;
          const bool was_decided = d.reason == Reason::ok || d.reason == Reason::limited ||
                                   d.reason == Reason::override_;
          lost[0] += was_decided ? 0U : 1U;
        }
        (void)api.try_acquire("bot");
        (void)api.try_acquire("monitor");
      }
    });
  }
  children.emplace_back([&] {
    while (!is_over[0]) {  // ends with the turns
      const Ran ran = rlctl({"apply", name, other, "--prune"});
      if (ran.exit_code != 0) throw 1;
      ++applied[0];
    }
  });

  int killed = 0;
  for (int turn = 0; turn < kTurns; ++turn) {
    Child rival = applying(name, one);
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 5'000);
    while (std::chrono::steady_clock::now() < until) ::sched_yield();
    const bool is_killed = random() % 4 != 0;
    if (is_killed) rival.signal(SIGKILL);
    const int code = rival.wait();
    REQUIRE((code == 0 || (is_killed && code == 128 + SIGKILL)));
    killed += code != 0 ? 1 : 0;
    segment.advance_clock(kTurn);
  }
  is_over[0] = true;
  for (Child& child : children) CHECK(child.wait() == 0);

  const Ran last = rlctl({"apply", name, one, "--prune"});
  CAPTURE(last.err);
  CHECK(last.exit_code == 0);
  check_answer(rlctl({"apply", name, one, "--prune", "--dry-run"}), 0, "nothing to change\n");
  CHECK(segment.limiters("search").limits().to_string() == "5/s burst=10, 1k/d");
  CHECK(segment.standings().size() == 4);  // an override, a ban, and an allowed key of two limits
  check_that_no_key_has_two_slots(segment.path());

  CHECK(lost[0] == 0);
  for (std::size_t key = 0; key < kKeys; ++key) {
    while (api.try_acquire("key" + std::to_string(key))) ++passed[key];
    CAPTURE(key);
    const auto back = static_cast<std::uint64_t>(kTurns * kTurn / 1min) * most_at_once(key) / 60;
    CHECK(passed[key] <= most_at_once(key) + back);
    CHECK(passed[key] >= 100'000);  // what passes at once under the smallest
  }
  MESSAGE(killed << " of " << kTurns << " were killed beside " << applied[0].load()
                 << " of the rival");
}

TEST_CASE("S_rivals_of_which_one_makes_the_segment_all_end_with_what_the_file_says") {
  const Folder folder;
  const std::string file = written(folder, "one.toml", kOne);
  for (int round = 0; round < 10; ++round) {
    const std::string name = unique_name();
    const RemoveAtEnd end(name);
    Shared<std::atomic<int>> makers;
    in_processes(kWorkers, [&](std::size_t) {
      const Ran ran = rlctl({"apply", name, file});
      if (ran.exit_code != 0) throw 1;
      makers[0] += ran.out.starts_with("+ segment") ? 1 : 0;
    });
    CHECK(makers[0] == 1);
    check_answer(rlctl({"apply", name, file, "--prune", "--dry-run"}), 0, "nothing to change\n");
  }
}

}  // namespace
}  // namespace rl::test
