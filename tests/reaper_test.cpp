// Sweeping a segment: what is freed, and what stays.
#include <doctest/doctest.h>

#include <random>
#include <string>

#include "shm/mapping.hpp"
#include "src/core.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

const SegmentOptions kSmall{.keys = 100, .clock = ClockSource::manual};

std::string key(int i) {
  return "key-" + std::to_string(i);
}

SweepReport sweep_all(Reaper& reaper) {
  return reaper.sweep(reaper.round());
}

/// Puts words into the first free slot, as somebody else would.
void put(const test::Scratch& scratch, shm::SlotWords words) {
  const shm::Mapping raw = shm::Mapping::attach(scratch.path(), shm::Access::read_write, false);
  for (std::uint64_t i = 0; i < raw.table().slot_count(); ++i)
    if (raw.table().slot(i).compare_exchange({}, words)) return;
  FAIL("no free slot");
}

TEST_CASE("keys_that_were_idle_for_the_time_that_was_said_are_freed_and_no_others") {
  test::Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_second(1).burst(10));
  REQUIRE(api.try_acquire("early", 1));
  scratch->advance_clock(5s);
  REQUIRE(api.try_acquire("late", 1));
  REQUIRE(api.try_acquire("deep", 10));
  scratch->advance_clock(6s);  // early is idle for 10 s, late for 5, deep owes 4

  Reaper reaper(*scratch, 10s);
  const SweepReport report = sweep_all(reaper);
  CHECK(report.slots == reaper.round());
  CHECK(report.idle_freed == 1);
  CHECK(report.live == 2);
  CHECK(report.free == reaper.round() - 3);
  CHECK_FALSE(scratch->find("api", "early"));
  CHECK(scratch->find("api", "late"));
  CHECK(api.peek("deep").remaining == 6);
  CHECK(scratch->reaper().idle_freed == 1);
  CHECK(scratch->reaper().rounds == 1);
}

TEST_CASE("a_sweep_takes_as_many_slots_as_it_is_given_and_goes_on_where_it_was") {
  test::Scratch scratch(kSmall);
  Reaper reaper(*scratch, 0s);
  CHECK(reaper.sweep(7).slots == 7);
  CHECK(reaper.sweep(reaper.round() - 7).slots == reaper.round() - 7);
  CHECK(scratch->reaper().rounds == 1);
  CHECK(reaper.sweep(1'000'000'000).slots == reaper.round());
  CHECK(reaper.sweep(0).slots == 0);
}

TEST_CASE("A_whoever_sweeps_between_any_two_calls_changes_no_decision") {
  std::mt19937_64 random(test::seed());
  INFO("seed ", test::seed());
  test::Scratch swept(kSmall);
  test::Scratch left(kSmall);
  Reaper reaper(*swept, 0s);
  const char* const limits[] = {"10/s burst=3", "leaky 10/s queue=3", "window 5/s", "sliding 5/s",
                                "5/s ban_after=3/s ban=2s"};
  for (const char* const& limit : limits) {
    CAPTURE(limit);
    const std::string policy = "p" + std::to_string(&limit - limits);
    Limiter a = swept->limiter(policy, Limit::parse(limit));
    Limiter b = left->limiter(policy, Limit::parse(limit));
    for (int i = 0; i < 2'000; ++i) {
      const std::string who = key(static_cast<int>(random() % 8));
      const std::uint64_t cost = 1 + random() % 3;
      const Decision swepts = a.try_acquire(who, cost);
      const Decision lefts = b.try_acquire(who, cost);
      CHECK(swepts.allowed == lefts.allowed);
      CHECK(swepts.remaining == lefts.remaining);
      CHECK(swepts.retry_after == lefts.retry_after);
      CHECK(swepts.reason == lefts.reason);
      const std::chrono::nanoseconds step(random() % 200'000'000);
      swept->advance_clock(step);
      left->advance_clock(step);
      (void)sweep_all(reaper);
    }
  }
  CHECK(swept->reaper().idle_freed > 1'000);
}

TEST_CASE("overrides_bans_and_allowed_keys_stay_and_a_ban_that_is_over_goes") {
  test::Scratch scratch(kSmall);
  (void)scratch->limiter("api", Limit::per_second(10));
  scratch->set_override("api", "vip", Limit::per_second(100));
  scratch->allow("api", "monitor");
  scratch->ban("api", "bot", 1min);
  Reaper reaper(*scratch, 1s);
  SweepReport report = sweep_all(reaper);
  CHECK(report.standing == 3);
  CHECK(report.idle_freed == 0);
  scratch->advance_clock(2min);
  report = sweep_all(reaper);
  CHECK(report.standing == 2);
  CHECK(report.idle_freed == 1);
  CHECK_FALSE(scratch->find("api", "bot"));
}

TEST_CASE("permits_stay_while_they_are_out_and_go_a_second_after_they_were_given_back") {
  test::Scratch scratch(kSmall);
  Limiter up = scratch->limiter("up", Limit::concurrency(3, 30s));
  Permit held = up.permit("k");
  Permit given = up.permit("k");
  REQUIRE(held);
  REQUIRE(given.release());
  Reaper reaper(*scratch, 0s);
  SweepReport report = sweep_all(reaper);
  CHECK(report.permits_out == 1);
  CHECK(report.live >= 1);
  scratch->advance_clock(2s);
  report = sweep_all(reaper);
  CHECK(report.permits_out == 1);
  CHECK(report.idle_freed >= 1);
  CHECK(held.renew());
  scratch->advance_clock(1min);  // its lease is over
  (void)sweep_all(reaper);
  CHECK(sweep_all(reaper).permits_out == 0);
  CHECK_FALSE(held.renew());
}

TEST_CASE("fencing_numbers_go_on_when_a_limit_is_removed_swept_and_made_again") {
  test::Scratch scratch(kSmall);
  Limiter up = scratch->limiter("up", Limit::concurrency(3, 30s));
  Permit first = up.permit("k");
  Permit second = up.permit("k");
  REQUIRE(first.fence() != 0);
  const std::uint64_t last = second.fence();
  scratch->remove_policy("up");
  Reaper reaper(*scratch, 0s);
  (void)sweep_all(reaper);
  Limiter again = scratch->limiter("up", Limit::concurrency(3, 30s));
  CHECK(again.permit("k").fence() > last);
}

TEST_CASE("permits_given_back_go_however_many_there_are") {
  test::Scratch scratch({.keys = 20'000, .clock = ClockSource::manual});
  Limiter up = scratch->limiter("up", Limit::concurrency(1, 30s));
  for (int i = 0; i < 10'000; ++i) REQUIRE(up.permit(key(i)).release());
  Reaper reaper(*scratch, 0s);
  std::uint64_t freed = 0;
  for (int round = 0; round < 40; ++round) {  // a place for each of 4,096 at a time
    freed += sweep_all(reaper).idle_freed;
    scratch->advance_clock(2s);
  }
  CHECK(freed >= 10'000);
  CHECK(sweep_all(reaper).free == reaper.round());
}

TEST_CASE("a_ban_s_level_is_remembered_for_as_long_as_the_limit_in_force_says") {
  test::Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::parse("1/d ban_after=2/m ban=1s"));
  REQUIRE(api.try_acquire("k"));
  for (int denial = 0; denial < 2; ++denial) REQUIRE_FALSE(api.try_acquire("k"));
  scratch->advance_clock(2s);  // the first ban is over
  REQUIRE(api.try_acquire("k").reason == Reason::limited);
  scratch->set_policy("api", Limit::parse("1/d ban_after=2/m ban=1h"));
  scratch->advance_clock(
      3min);  // the denial, and 64 bans of a second, are forgotten; not 64 of an hour
  Reaper reaper(*scratch, 0s);
  (void)sweep_all(reaper);
  for (int denial = 0; denial < 2; ++denial) REQUIRE_FALSE(api.try_acquire("k"));
  CHECK(scratch->find("api", "k")->ban_level == 1);
}

TEST_CASE("an_insert_that_nobody_goes_on_with_is_freed_after_a_second") {
  test::Scratch scratch(kSmall);
  put(scratch, {shm::make_tag(0x1234, 0), 0x8000'0000'0000'0001U});
  Reaper reaper(*scratch);
  CHECK(sweep_all(reaper).tentatives == 1);
  scratch->advance_clock(900ms);
  CHECK(sweep_all(reaper).tentatives == 1);
  scratch->advance_clock(200ms);
  const SweepReport report = sweep_all(reaper);
  CHECK(report.tentatives == 0);
  CHECK(report.tentatives_freed == 1);
  CHECK(sweep_all(reaper).free == reaper.round());
}

TEST_CASE("keys_of_a_trial_that_is_over_are_freed_though_they_owe") {
  test::Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_second(10));
  scratch->set_candidate("api", Limit::per_hour(10));
  REQUIRE(api.try_acquire("k"));
  Reaper reaper(*scratch, 0s);
  CHECK(sweep_all(reaper).live == 2);
  scratch->clear_candidate("api");
  const SweepReport report = sweep_all(reaper);
  CHECK(report.live == 1);
  CHECK(report.idle_freed == 1);
}

TEST_CASE("slots_that_are_in_no_state_are_counted_and_left") {
  test::Scratch scratch(kSmall);
  put(scratch, {7, 7});                                // no identity
  put(scratch, {shm::make_tag(0x1234, 999), 12'345});  // a policy that there is not
  Reaper reaper(*scratch, 0s);
  const SweepReport report = sweep_all(reaper);
  CHECK(report.corrupt == 1);
  CHECK(report.unreadable == 1);
  CHECK(report.free == reaper.round() - 2);
  CHECK(scratch->reaper().corrupt == 1);
}

TEST_CASE("a_slot_is_counted_as_what_it_is_whatever_stands_beside_it") {
  std::mt19937_64 random(test::seed());
  INFO("seed ", test::seed());
  test::Scratch scratch({.keys = 2'000, .clock = ClockSource::manual});
  scratch->advance_clock(1h);
  (void)scratch->limiter("bucket", Limit::per_day(10));
  (void)scratch->limiter("window", Limit::parse("window 10/d"));
  const shm::Mapping raw = shm::Mapping::attach(scratch.path(), shm::Access::read_write, false);
  const auto table = raw.table();
  const std::uint64_t now = 3'600'000'000'000;
  SweepReport expected;
  for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
    const std::uint64_t who = 1 + random() % 1'000'000;
    // Mostly what is plain; the rest lies among it anywhere.
    switch (const auto kind = random() % 100) {
      case 0:  // no identity, and a state that would owe
        REQUIRE(table.put_unseen(i, {random() % 2, now + 1 + who}));
        ++expected.corrupt;
        break;
      case 1:
        REQUIRE(table.put_unseen(i, {shm::make_tag(who, 999), now + who}));
        ++expected.unreadable;
        break;
      case 2:
        REQUIRE(table.put_unseen(i, {shm::make_tag(who, 0), now + who}));
        ++expected.tentatives;
        break;
      case 3:
        REQUIRE(table.put_unseen(i, {shm::make_tag(who, 1), now - who}));
        ++expected.idle_freed;
        break;
      case 4:
        REQUIRE(table.put_unseen(i, {shm::make_tag(who, 2), 86'400'000'000'001}));
        ++expected.live;
        break;
      default:
        expected.live += kind % 2;
        expected.free += 1 - kind % 2;
        if (kind % 2 == 1) REQUIRE(table.put_unseen(i, {shm::make_tag(who, 1), now + who}));
        break;
    }
  }
  Reaper reaper(*scratch, 0s);
  SweepReport seen;
  while (seen.slots < reaper.round())
    seen += reaper.sweep(std::min(1 + random() % 100, reaper.round() - seen.slots));
  CHECK(seen.corrupt == expected.corrupt);
  CHECK(seen.unreadable == expected.unreadable);
  CHECK(seen.tentatives == expected.tentatives);
  CHECK(seen.idle_freed == expected.idle_freed);
  CHECK(seen.live == expected.live);
  CHECK(seen.free == expected.free);
}

TEST_CASE("a_report_says_how_full_the_table_is") {
  test::Scratch scratch(kSmall);
  Reaper reaper(*scratch, 0s);
  CHECK(SweepReport{}.fill() == 0);
  CHECK(sweep_all(reaper).fill() == 0);
  Limiter api = scratch->limiter("api", Limit::per_second(1).burst(10));
  for (int i = 0; i < 20; ++i) REQUIRE(api.try_acquire(key(i), i < 12 ? 10 : 1));
  scratch->allow("api", "monitor");
  const Permit held = scratch->limiter("up", Limit::concurrency(3, 30s)).permit("k");
  REQUIRE(held);
  scratch->advance_clock(2s);  // eight are idle
  const auto slots = static_cast<double>(reaper.round());
  CHECK(sweep_all(reaper).fill() == doctest::Approx(14 / slots));
}

TEST_CASE("samples_that_saw_each_pair_once_have_each_key_in_its_line") {
  test::Scratch scratch({.keys = 2'304, .clock = ClockSource::manual});  // 512 pairs: 8 blocks
  Limiter one = scratch->limiter("one", Limit::per_day(10));
  Limiter two = scratch->limiter("two", Limit::per_day(10));
  const shm::Mapping raw = shm::Mapping::attach(scratch.path(), shm::Access::read_only, false);
  const shm::Hasher hashers[] = {hasher_for(raw, "one"), hasher_for(raw, "two")};
  std::array<std::uint64_t, 4> expected{};
  for (int i = 0; i < 2'304; ++i) {
    const std::string who = (i % 3 == 0 ? "with-more-than-31-bytes-of-text-" : "") + key(i);
    REQUIRE((i % 2 == 0 ? one : two).try_acquire(who));
    const auto hash = shm::KeyHash::from(hashers[i % 2](who.data(), who.size()));
    const shm::CandidateList list = raw.table().candidates(hash);
    for (int position = 0; position < list.kSize; ++position)
      if (list.slot_at(position) == raw.table().find(hash))
        ++expected[static_cast<std::size_t>(position / list.kPerLine)];
  }
  Reaper reaper(*scratch);
  REQUIRE(reaper.round() == 4'096);
  SweepReport seen;
  for (int turn = 0; turn < 64; ++turn) seen += sweep_all(reaper);
  CHECK(seen.by_line == expected);
  CHECK(expected[0] > expected[1]);
  CHECK(expected[1] + expected[2] + expected[3] > 0);
}

TEST_CASE("a_slot_of_which_nobody_knows_the_key_is_in_no_line") {
  for (const bool labels : {false, true}) {
    CAPTURE(labels);
    test::Scratch scratch({.keys = 100, .labels = labels, .clock = ClockSource::manual});
    Limiter api = scratch->limiter("api", Limit::per_day(10));
    if (labels) {
      put(scratch, {shm::make_tag(0x1234, 1), 86'400'000'000'000});
      put(scratch, {shm::make_tag(0x1235, 999), 12'345});
    } else {
      for (int i = 0; i < 50; ++i) REQUIRE(api.try_acquire(key(i)));
    }
    Reaper reaper(*scratch);
    for (int turn = 0; turn < 64; ++turn)
      CHECK(sweep_all(reaper).by_line == std::array<std::uint64_t, 4>{});
  }
}

TEST_CASE("one_leads_and_the_next_when_that_has_ended") {
  test::Scratch scratch(kSmall);
  CHECK_FALSE(scratch->reaper().leads);
  {
    Reaper first(*scratch);
    CHECK(first.lead());
    CHECK(first.lead());
    CHECK(scratch->reaper().leads);
    Reaper second(*scratch);
    CHECK_FALSE(second.lead());
    first = Reaper(*scratch);  // ends
    CHECK(second.lead());
    CHECK_FALSE(first.lead());
  }
  CHECK_FALSE(scratch->reaper().leads);
}

TEST_CASE("a_table_of_idle_keys_takes_new_ones_with_a_reaper_and_without") {
  for (const bool is_swept : {false, true}) {
    CAPTURE(is_swept);
    test::Scratch scratch({.keys = 5'000, .clock = ClockSource::manual});
    Limiter api = scratch->limiter("api", Limit::per_second(1));
    const int slots = static_cast<int>(Reaper(*scratch).round());
    for (int i = 0; i < 2 * slots; ++i) {  // until hardly a slot is free
      REQUIRE(api.try_acquire(key(i)));
      if (i % 1'000 == 0) scratch->advance_clock(2s);
    }
    scratch->advance_clock(2s);
    REQUIRE(scratch->info().idle > static_cast<std::uint64_t>(slots) * 95 / 100);
    Reaper reaper(*scratch, 0s);
    if (is_swept)
      CHECK(sweep_all(reaper).idle_freed > static_cast<std::uint64_t>(slots) * 95 / 100);
    for (int i = 0; i < 5'000; ++i) REQUIRE(api.try_acquire("new-" + key(i)).reason == Reason::ok);
    const SegmentInfo info = scratch->info();
    CHECK(info.evicted == 0);
    CHECK(info.gave_up == 0);
    CHECK(info.live == 5'000);
  }
}

TEST_CASE("a_segment_that_may_only_be_read_is_refused") {
  test::Scratch scratch(kSmall);
  const Segment reader = Segment::open_read_only(scratch.name());
  try {
    Reaper reaper(reader);
    FAIL("it was taken");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::read_only);
  }
}

}  // namespace
}  // namespace rl
