// Overrides, bans and escalation between real processes: no call is lost or given twice while an
// operator changes where its key stands, or dies in the middle of it.

#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <random>
#include <vector>

#include "tests/in_processes.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kProcesses = 4;

/// On a clock that stands, so that nothing comes back by time: 1,000 calls pass under the limit,
/// 1,500 under the override, and no debt of either is beyond what the other can hold.
const Limit kLimit = Limit::per_hour(1'000);
const Limit kOverride = Limit::per_hour(1'500);

SegmentOptions standing_still() {
  return {.keys = 1'000, .clock = ClockSource::manual};
}

/// Uses up what is left of the override; returns how much that was.
std::uint64_t drain(Segment& segment, Limiter& api) {
  (void)segment.unban("api", "key");
  (void)segment.set_override("api", "key", kOverride);
  std::uint64_t passed = 0;
  while (api.try_acquire("key")) ++passed;
  CHECK(api.try_acquire("key").reason == Reason::override_);
  return passed;
}

TEST_CASE("A_no_call_passes_twice_while_an_operator_changes_where_its_key_stands") {
  constexpr int kRounds = 300;
  test::Scratch segment(standing_still());
  Limiter api = segment->limiter("api", kLimit);
  test::Shared<std::atomic<std::uint64_t>> passed;
  test::Shared<std::atomic<std::uint64_t>> denied_by_ban;
  test::Shared<std::atomic<std::uint64_t>> wrong;
  test::Shared<std::atomic<int>> ban;  // odd: banned for certain
  test::Shared<std::atomic<bool>> ends;
  test::in_processes(kProcesses + 1, [&](std::size_t which) {
    if (which == kProcesses) {
      for (int round = 0; round < kRounds; ++round) {
        (void)segment->set_override("api", "key", kOverride);
        (void)segment->ban("api", "key", kNever);
        ++ban[0];
        // Ends: the others call without a pause.
        for (const std::uint64_t seen = denied_by_ban[0]; denied_by_ban[0] == seen; ::sched_yield())
          wrong[0] += segment->find("api", "key")->standing == Standing::ban ? 0U : 1U;
        ++ban[0];
        (void)segment->unset_override("api", "key");  // under the ban
        (void)segment->unban("api", "key");
      }
      ends[0] = true;
      return;
    }
    while (!ends[0]) {  // ends with the operator
      const int before = ban[0];
      const Decision decision = api.try_acquire("key");
      const bool was_banned = before % 2 == 1 && ban[0] == before;
      if (was_banned && decision.reason != Reason::banned) ++wrong[0];
      if (decision) ++passed[0];
      if (decision.reason == Reason::banned) ++denied_by_ban[0];
    }
  });
  CHECK(wrong[0] == 0);
  CHECK(denied_by_ban[0] >= kRounds);
  CHECK(passed[0] > 0);
  CHECK(passed[0] + drain(*segment, api) == 1'500);
  test::check_that_no_key_has_two_slots(segment.path());
}

TEST_CASE("S_an_operator_that_is_killed_anywhere_leaves_a_key_that_stands_somewhere") {
  const int kKills = test::is_deep() ? 1'000 : 60;
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  test::Scratch segment(standing_still());
  Limiter api = segment->limiter("api", kLimit);
  test::Shared<std::atomic<std::uint64_t>> rounds;
  std::uint64_t passed = 0;
  for (int kill = 0; kill < kKills; ++kill) {
    const std::uint64_t before = rounds[0];
    test::Child killed([&] {
      Segment own = Segment::open(segment.name());
      for (;;) {  // ends with the kill
        (void)own.set_override("api", "key", kOverride);
        (void)own.ban("api", "key", kNever, "until killed");
        (void)own.unset_override("api", "key");
        (void)own.unban("api", "key");
        ++rounds[0];
      }
    });
    const std::uint64_t enough = before + 1 + random() % 200;
    while (rounds[0] < enough) {  // ends: the operator waits for nobody
      const Decision decision = api.try_acquire("key");
      if (decision) ++passed;
      if (decision.reason == Reason::unavailable || decision.reason == Reason::full) FAIL("lost");
    }
    killed.signal(SIGKILL);
    REQUIRE(killed.wait() == 128 + SIGKILL);
    test::check_that_no_key_has_two_slots(segment.path());
    for (const JournalInfo& change : segment->journal()) REQUIRE(change.policy == "api");
  }
  CHECK(segment->info().policies == 4);  // the limit, the override, and a ban of each
  CHECK(passed + drain(*segment, api) == 1'500);
}

TEST_CASE("A_so_many_denials_make_one_ban_whoever_is_denied") {
  constexpr std::uint64_t kDenials = 50;
  constexpr int kKeys = 40;
  test::Scratch segment(standing_still());
  Limiter api = segment->limiter("api", Limit::parse("1/h ban_after=50/1h ban=10m"));
  test::Shared<std::atomic<std::uint64_t>> denials(kKeys);
  test::in_processes(kProcesses, [&](std::size_t) {
    for (std::size_t key = 0; key < kKeys; ++key) {
      const std::string name = "bot" + std::to_string(key);
      // Ends with the ban.
      for (Reason reason{}; reason != Reason::banned;) {
        const Decision decision = api.try_acquire(name);
        reason = decision.reason;
        if (reason == Reason::limited) ++denials[key];
      }
    }
  });
  // A call that was under way when the key was banned may have been denied by the limit still: it is
  // counted, too, and of all such calls none is lost or counted twice.
  std::uint64_t counted = 0;
  std::uint64_t bans = 0;
  segment->for_each_key([&](const KeyInfo& row) {
    if (row.part == SlotPart::conduct) counted += row.limit - row.remaining;
    if (row.standing == Standing::ban) bans += row.ban_level + 1;
  });
  std::uint64_t rest = 0;
  std::uint64_t times = 0;
  for (std::size_t key = 0; key < kKeys; ++key) {
    CHECK(denials[key] >= kDenials);
    rest += denials[key] % kDenials;
    times += denials[key] / kDenials;
  }
  CHECK(counted == rest);
  CHECK(bans == times);
  CHECK(times <= kProcesses * kKeys);  // each process bans a key once, and is told then
  const auto journal = segment->journal();
  const auto noted = std::count_if(journal.begin(), journal.end(), [](const JournalInfo& change) {
    return change.change == Change::banned && change.reason == "50 denials";
  });
  CHECK(static_cast<std::uint64_t>(noted) <= times);
  CHECK(noted >= kKeys);
}

}  // namespace
}  // namespace rl
