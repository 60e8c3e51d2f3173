// Overrides, bans, the allow-list, escalation and the journal, on a manual clock.
#include <rl/rl.hpp>

#include <set>

#include <doctest/doctest.h>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

/// A ban ends at the next tick.
constexpr nanoseconds kTick{1 << 26};

SegmentOptions manual(std::uint64_t keys = 1'000) {
  return {.keys = keys, .clock = ClockSource::manual};
}

/// Calls of one key until it is denied; returns how many passed.
int passes(Limiter& limiter, std::string_view key, int most = 10'000) {
  int count = 0;
  while (count < most && limiter.try_acquire(key)) ++count;
  return count;
}

Standing standing_of(const Segment& segment, std::string_view key) {
  const auto row = segment.find("api", key);
  return row ? row->standing : Standing::none;
}

Errc code_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& e) {
    return e.code();
  }
  return Errc::system;
}

TEST_CASE("an_override_is_a_limit_of_one_key") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  CHECK(segment->set_override("api", "vip", Limit::per_second(1'000)));
  CHECK(passes(api, "vip") == 1'000);
  CHECK(passes(api, "user") == 10);
  const Decision denied = api.try_acquire("vip");
  CHECK(denied.reason == Reason::override_);
  CHECK(denied.retry_after == 1ms);
  CHECK(denied.limit == 1'000);
  segment->advance_clock(1ms);
  const Decision allowed = api.try_acquire("vip");
  CHECK(allowed.allowed);
  CHECK(allowed.reason == Reason::override_);
  CHECK(api.try_acquire("vip", 1'001).retry_after == kNever);
  const auto row = segment->find("api", "vip");
  REQUIRE(row);
  CHECK(row->standing == Standing::override_);
  CHECK(row->policy == "api");
  CHECK(row->own_limit == Limit::per_second(1'000));
  CHECK_FALSE(row->idle);
}

TEST_CASE("what_was_used_goes_into_an_override_and_out_again") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  CHECK(passes(api, "vip") == 10);
  segment->set_override("api", "vip", Limit::per_second(100));
  CHECK(passes(api, "vip") == 90);
  CHECK(segment->unset_override("api", "vip"));
  const Decision denied = api.try_acquire("vip");
  CHECK(denied.reason == Reason::limited);
  CHECK(denied.retry_after == 9'100ms);  // 100 tokens at 10 a second, and room for one
  CHECK_FALSE(segment->unset_override("api", "vip"));
  segment->advance_clock(10s);
  CHECK(passes(api, "vip") == 10);
}

TEST_CASE("an_override_is_set_again_and_many_keys_share_an_entry") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  for (int i = 0; i < 20; ++i)
    CHECK(segment->set_override("api", "vip" + std::to_string(i), Limit::per_second(50)));
  CHECK(segment->info().policies == 2);
  CHECK_FALSE(segment->set_override("api", "vip3", Limit::per_second(50)));
  CHECK(segment->set_override("api", "vip3", Limit::per_second(60)));
  CHECK(passes(api, "vip3") == 60);
  CHECK(passes(api, "vip4") == 50);
  CHECK(segment->info().policies == 3);
  CHECK(segment->policies().size() == 1);
}

TEST_CASE("an_override_stays_when_its_policy_changes_and_goes_back_to_what_is_in_force") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->set_override("api", "vip", Limit::per_second(50));
  segment->set_policy("api", Limit::per_second(20));
  CHECK(passes(api, "vip") == 50);
  segment->advance_clock(10s);
  CHECK(segment->unset_override("api", "vip"));
  CHECK(passes(api, "vip") == 20);
  segment->set_policy("api", Limit::fixed_window(7, 1s));
  segment->set_override("api", "vip", Limit::sliding_window(9, 1s));
  CHECK(api.try_acquire("vip").limit == 9);
}

TEST_CASE("a_ban_denies_until_it_is_over_and_keeps_the_debt") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));  // a token a minute
  CHECK(passes(api, "bot") == 60);
  CHECK(segment->ban("api", "bot", 10min, "scraping"));
  const Decision denied = api.try_acquire("bot");
  CHECK_FALSE(denied.allowed);
  CHECK(denied.reason == Reason::banned);
  CHECK(denied.retry_after >= 10min);
  CHECK(denied.retry_after < 10min + kTick);
  CHECK(api.peek("bot").reason == Reason::banned);
  CHECK(api.reserve("bot", 1, Instant::max()).reason == Reason::banned);
  CHECK(api.try_acquire("bot", 1, Priority::low).reason == Reason::banned);
  CHECK(api.try_acquire("other").allowed);
  segment->advance_clock(denied.retry_after - 1ns);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  segment->advance_clock(1ns);
  CHECK(passes(api, "bot") == 10);  // ten minutes' worth, no more
  CHECK(standing_of(*segment, "bot") == Standing::none);
}

TEST_CASE("a_ban_that_is_over_has_ended_at_its_instant_whoever_comes_by_when") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  CHECK(passes(api, "bot") == 60);
  segment->ban("api", "bot", 10min);
  segment->advance_clock(30min + kTick);
  CHECK(passes(api, "bot") == 30);
}

TEST_CASE("a_key_comes_back_to_its_override_after_a_ban") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->set_override("api", "vip", Limit::per(120, 1h));
  CHECK(passes(api, "vip") == 120);
  segment->ban("api", "vip", 10min);
  CHECK(segment->find("api", "vip")->own_limit == Limit::per(120, 1h));
  CHECK(api.try_acquire("vip").reason == Reason::banned);
  segment->advance_clock(10min + kTick);
  CHECK(passes(api, "vip") == 20);
  CHECK(standing_of(*segment, "vip") == Standing::override_);
}

TEST_CASE("an_override_that_is_set_or_unset_under_a_ban_holds_when_it_is_over") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->ban("api", "a", 1min);
  CHECK(segment->set_override("api", "a", Limit::per_second(50)));
  CHECK(api.try_acquire("a").reason == Reason::banned);
  segment->set_override("api", "b", Limit::per_second(50));
  segment->ban("api", "b", 1min);
  CHECK(segment->unset_override("api", "b"));
  CHECK(api.try_acquire("b").reason == Reason::banned);
  segment->advance_clock(2min);
  CHECK(passes(api, "a") == 50);
  CHECK(passes(api, "b") == 10);
}

TEST_CASE("of_two_bans_the_one_that_ends_later_holds") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  CHECK(segment->ban("api", "bot", 10min));
  CHECK_FALSE(segment->ban("api", "bot", 5min));
  CHECK(api.try_acquire("bot").retry_after >= 10min);
  CHECK(segment->ban("api", "bot", 20min));
  CHECK(api.try_acquire("bot").retry_after >= 20min);
  CHECK(segment->ban("api", "bot", kNever));
  CHECK(api.try_acquire("bot").retry_after == kNever);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(segment->find("api", "bot")->until == Instant::max());
  CHECK_FALSE(segment->ban("api", "bot", 20min));
  segment->advance_clock(24h * 365);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(segment->unban("api", "bot"));
  CHECK(passes(api, "bot") == 10);
  CHECK_FALSE(segment->unban("api", "bot"));
}

TEST_CASE("a_ban_for_ever_that_is_lifted_leaves_what_was_owed_when_it_began") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  CHECK(passes(api, "bot", 45) == 45);
  segment->ban("api", "bot", kNever);
  segment->advance_clock(1h);
  segment->unban("api", "bot");
  CHECK(passes(api, "bot") == 15);
}

TEST_CASE("a_key_that_was_never_seen_is_banned") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  CHECK(segment->ban("api", "stranger", 1min));
  CHECK(segment->find("api", "stranger")->key == "stranger");
  CHECK(api.try_acquire("stranger").reason == Reason::banned);
  segment->advance_clock(1min + kTick);
  CHECK(passes(api, "stranger") == 10);
}

TEST_CASE("a_change_of_the_limit_during_a_ban_holds_when_it_is_over") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  CHECK(passes(api, "bot") == 60);
  segment->ban("api", "bot", 10min);  // owes 50 by its end
  segment->advance_clock(5min);
  segment->set_policy("api", Limit::per(120, 1h));
  segment->advance_clock(5min + kTick);
  CHECK(passes(api, "bot") == 70);
  CHECK(api.try_acquire("bot").limit == 120);
}

TEST_CASE("a_change_after_the_end_of_a_ban_converts_what_is_owed_since") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  CHECK(passes(api, "bot") == 60);
  segment->ban("api", "bot", 10min);
  segment->advance_clock(20min + kTick);  // owes 40
  segment->set_policy("api", Limit::per(3'600, 1h).burst(100));
  segment->advance_clock(10s);  // and 30
  CHECK(passes(api, "bot") == 70);
}

TEST_CASE("the_allow_list_lets_all_pass_and_keeps_the_debt") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  CHECK(passes(api, "probe") == 60);
  CHECK(segment->allow("api", "probe", "monitoring"));
  CHECK_FALSE(segment->allow("api", "probe"));
  CHECK(passes(api, "probe", 500) == 500);
  const Decision decision = api.try_acquire("probe", 1'000'000);
  CHECK(decision.allowed);
  CHECK(decision.reason == Reason::override_);
  CHECK(decision.limit == 0);
  segment->advance_clock(10min + kTick);
  CHECK(segment->disallow("api", "probe"));
  CHECK_FALSE(segment->disallow("api", "probe"));
  CHECK(passes(api, "probe") == 10);
}

TEST_CASE("a_key_on_the_allow_list_is_not_banned_and_a_ban_ends_where_it_is_allowed") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->allow("api", "probe");
  CHECK(code_of([&] { segment->ban("api", "probe", 1min); }) == Errc::bad_option);
  segment->ban("api", "bot", kNever);
  CHECK(segment->allow("api", "bot"));
  CHECK(api.try_acquire("bot").allowed);
  CHECK(segment->set_override("api", "bot", Limit::per_second(3)));
  CHECK(passes(api, "bot", 100) == 100);  // still allowed
  CHECK(segment->disallow("api", "bot"));
  CHECK(passes(api, "bot") == 3);
}

TEST_CASE("charges_under_a_ban_are_owed_when_it_is_over") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  segment->ban("api", "bot", 1min);
  const Decision charged = api.charge("bot", 25);
  CHECK(charged.allowed);
  CHECK(charged.reason == Reason::banned);
  CHECK(charged.cost == 25);
  CHECK(charged.retry_after >= 1min);
  segment->advance_clock(1min + kTick);
  CHECK(passes(api, "bot") == 35);
}

TEST_CASE("a_refund_gives_nothing_where_the_key_stands_apart_since") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  Decision before = api.try_acquire("bot", 30);
  segment->ban("api", "bot", 1s);
  CHECK_FALSE(api.refund("bot", before));
  segment->set_override("api", "vip", Limit::per(60, 1h));
  Decision under = api.try_acquire("vip", 30);
  CHECK(under.reason == Reason::override_);
  CHECK(api.refund("vip", under));
  CHECK(passes(api, "vip") == 60);
}

TEST_CASE("a_reset_forgets_the_debt_and_keeps_the_standing") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  segment->set_override("api", "vip", Limit::per(5, 1h));
  CHECK(passes(api, "vip") == 5);
  CHECK(api.reset("vip"));
  CHECK(passes(api, "vip") == 5);
  CHECK(passes(api, "bot") == 60);
  segment->ban("api", "bot", 1min);
  segment->allow("api", "probe");
  CHECK(segment->reset_all() >= 2);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(api.try_acquire("probe", 1'000).reason == Reason::override_);
  CHECK(passes(api, "vip") == 5);
  segment->advance_clock(1min + kTick);
  CHECK(passes(api, "bot") == 60);
  CHECK(api.set_remaining("bot", 0));
}

TEST_CASE("set_remaining_under_a_ban_forgets_what_is_owed") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  CHECK(passes(api, "bot") == 60);
  segment->ban("api", "bot", 1min);
  CHECK(api.set_remaining("bot", 60));
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  segment->advance_clock(1min + kTick);
  CHECK(passes(api, "bot") == 60);
}

TEST_CASE("a_removed_policy_keeps_its_bans_and_overrides") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->ban("api", "bot", 1h);
  segment->set_override("api", "vip", Limit::per_second(2));
  segment->remove_policy("api");
  CHECK(api.try_acquire("user", 100).reason == Reason::off);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(passes(api, "vip") == 2);
  segment->advance_clock(2h);
  CHECK(api.try_acquire("bot").reason == Reason::off);
}

TEST_CASE("several_limits_at_once_are_told_of_a_ban") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  Limiter day = segment->limiter("day", Limit::per_day(1'000));
  segment->ban("day", "bot", 1h);
  const AllOf all = all_of({{api, "bot"}, {day, "bot"}});
  CHECK_FALSE(all);
  CHECK(all.which == 1);
  CHECK(all.decision.reason == Reason::banned);
  CHECK(api.peek("bot").remaining == 10);
  std::string_view keys[] = {"bot", "user"};
  Decision decisions[2];
  day.try_acquire_batch(keys, decisions);
  CHECK(decisions[0].reason == Reason::banned);
  CHECK(decisions[1].reason == Reason::ok);
}

TEST_CASE("S_floods_of_keys_never_take_what_stands_apart") {
  test::Scratch segment(manual(64));
  Limiter api = segment->limiter("api", Limit::per(10, 24h));
  segment->set_override("api", "vip", Limit::per(20, 24h));
  segment->ban("api", "bot", 24h);
  segment->allow("api", "probe");
  for (int i = 0; i < 20'000; ++i) (void)api.try_acquire("flood" + std::to_string(i));
  CHECK(segment->info().evicted > 10'000);
  CHECK(standing_of(*segment, "vip") == Standing::override_);
  CHECK(standing_of(*segment, "bot") == Standing::ban);
  CHECK(standing_of(*segment, "probe") == Standing::allow);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(passes(api, "vip") == 20);
}

TEST_CASE("no_more_than_half_of_a_list_stands_apart") {
  test::Scratch segment(manual(9));  // 16 slots: one list
  Limiter api = segment->limiter("api", Limit::per_second(10));
  for (int i = 0; i < 8; ++i) CHECK(segment->ban("api", "bot" + std::to_string(i), 1h));
  CHECK(code_of([&] { segment->ban("api", "bot8", 1h); }) == Errc::too_many);
  CHECK(code_of([&] { segment->allow("api", "bot8"); }) == Errc::too_many);
  CHECK(segment->ban("api", "bot7", 2h));  // stands apart already
  CHECK(segment->unban("api", "bot0"));
  CHECK(segment->ban("api", "bot8", 1h));
  CHECK(api.try_acquire("user").allowed);
}

TEST_CASE("what_cannot_be_done_is_refused") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  (void)segment->limiter("jobs", Limit::concurrency(3));
  CHECK(code_of([&] { segment->ban("nobody", "bot", 1s); }) == Errc::unknown_policy);
  CHECK(code_of([&] { segment->ban("api", "", 1s); }) == Errc::bad_option);
  CHECK(code_of([&] { segment->ban("api", "bot", 0s); }) == Errc::bad_option);
  CHECK(code_of([&] { segment->ban("api", "bot", 24h * 30'000); }) == Errc::bad_option);
  CHECK(code_of([&] { segment->ban("jobs", "bot", 1s); }) == Errc::bad_limit);
  CHECK(code_of([&] { segment->set_override("jobs", "bot", Limit::per_second(1)); }) ==
        Errc::bad_limit);
  CHECK(code_of([&] { segment->set_override("api", "bot", Limit::concurrency(2)); }) ==
        Errc::bad_limit);
  Segment reader = Segment::open_read_only(segment.name());
  CHECK(code_of([&] { reader.ban("api", "bot", 1s); }) == Errc::read_only);
  segment->ban("api", "bot", 1min, "x");
  CHECK(reader.standings().size() == 1);
  CHECK(reader.limiter("api").peek("bot").reason == Reason::banned);
}

TEST_CASE("so_many_denials_ban_a_key_and_each_further_ban_is_twice_as_long") {
  test::Scratch segment(manual());
  Limiter login = segment->limiter("api", Limit::parse("5/m ban_after=3/1m ban=10m"));
  CHECK(passes(login, "bot") == 5);  // and one denial
  CHECK(login.try_acquire("bot").reason == Reason::limited);
  CHECK(login.try_acquire("bot").reason == Reason::limited);  // the third bans
  CHECK(login.try_acquire("bot").reason == Reason::banned);
  CHECK(login.try_acquire("bot").retry_after <= 10min + kTick);
  CHECK(login.try_acquire("user").allowed);
  segment->advance_clock(10min + kTick);
  CHECK(passes(login, "bot") == 5);
  for (int i = 0; i < 2; ++i) CHECK(login.try_acquire("bot").reason == Reason::limited);
  CHECK(login.try_acquire("bot").retry_after > 19min);
  CHECK(segment->find("api", "bot")->ban_level == 1);
  CHECK(segment->unban("api", "bot"));  // forgets the conduct, too
  CHECK(passes(login, "bot") == 5);
  for (int i = 0; i < 2; ++i) CHECK(login.try_acquire("bot").reason == Reason::limited);
  CHECK(login.try_acquire("bot").retry_after <= 10min + kTick);
  const auto journal = segment->journal();
  REQUIRE_FALSE(journal.empty());
  CHECK(journal.back().change == Change::banned);
  CHECK(journal.back().after == "for 10m");
  CHECK(journal.back().reason == "3 denials");
}

TEST_CASE("denials_that_come_apart_ban_nobody") {
  test::Scratch segment(manual());
  Limiter login = segment->limiter("api", Limit::parse("1/s ban_after=3/1m ban=10m"));
  for (int i = 0; i < 20; ++i) {
    CHECK(passes(login, "user") == 1);
    CHECK(login.try_acquire("user").reason == Reason::limited);
    segment->advance_clock(61s);
  }
}

TEST_CASE("a_limit_that_only_watches_bans_nobody_and_a_changed_one_does") {
  test::Scratch segment(manual());
  Limiter login = segment->limiter("api", Limit::parse("1/h shadow ban_after=2/1m ban=10m"));
  for (int i = 0; i < 10; ++i) CHECK(login.try_acquire("user").allowed);
  CHECK(standing_of(*segment, "user") == Standing::none);
  segment->set_policy("api", Limit::parse("1/h ban_after=2/1m ban=10m"));
  CHECK_FALSE(login.try_acquire("user").allowed);
  CHECK_FALSE(login.try_acquire("user").allowed);
  CHECK(login.try_acquire("user").reason == Reason::banned);
}

TEST_CASE("an_override_may_ban_for_denials_and_a_key_comes_back_to_it") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->set_override("api", "bot", Limit::parse("1/h ban_after=2/1m ban=1m"));
  CHECK(passes(api, "bot") == 1);
  CHECK(api.try_acquire("bot").reason == Reason::override_);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  segment->advance_clock(1min + kTick);
  CHECK(api.try_acquire("bot").reason == Reason::override_);
}

TEST_CASE("denials_that_all_of_and_batches_are_told_count_too") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::parse("1/h ban_after=4/1m ban=1m"));
  Limiter day = segment->limiter("day", Limit::per_day(1'000));
  CHECK(api.try_acquire("bot").allowed);
  for (int i = 0; i < 2; ++i) CHECK_FALSE(all_of({{api, "bot"}, {day, "bot"}}));
  std::string_view keys[] = {"bot", "bot"};
  Decision decisions[2];
  api.try_acquire_batch(keys, decisions);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(day.peek("bot").remaining == 1'000);
}

TEST_CASE("where_limits_have_used_up_the_ids_keys_can_still_be_banned_and_allowed") {
  test::Scratch segment({.keys = 1'000, .clock = ClockSource::manual, .policies = 32});
  Limiter api = segment->limiter("api", Limit::per(60, 1h));
  Limiter login = segment->limiter("login", Limit::per(60, 1h));
  std::uint64_t count = 60;
  const auto change = [&] { segment->set_policy("api", Limit::per(++count, 1h)); };
  while (segment->info().policies < 28) change();
  CHECK(code_of(change) == Errc::too_many);
  CHECK(code_of([&] { segment->set_override("api", "vip", Limit::per(5, 1h)); }) == Errc::too_many);
  CHECK(code_of([&] { segment->set_candidate("api", Limit::per(5, 1h)); }) == Errc::too_many);
  CHECK(code_of([&] { segment->remove_policy("api"); }) == Errc::too_many);
  CHECK(segment->info().policies == 28);

  CHECK(segment->ban("api", "bot", 1h));
  CHECK(segment->allow("api", "probe"));
  CHECK(segment->ban("login", "bot", 1h));
  CHECK(segment->allow("login", "probe"));
  CHECK(segment->info().policies == 32);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(login.try_acquire("probe", 100).reason == Reason::override_);
  CHECK(segment->ban("login", "bot2", 1h));  // as many as there are keys, under one entry
  CHECK(code_of(change) == Errc::too_many);
}

TEST_CASE("the_journal_says_who_changed_what") {
  test::Scratch segment(manual());
  (void)segment->limiter("api", Limit::per_second(10));
  segment->set_policy("api", Limit::per_second(20));
  segment->set_policy("api", Limit::per_second(20));  // changes nothing
  segment->set_override("api", "vip", Limit::per_second(50));
  segment->set_override("api", "vip", Limit::per_second(60));
  segment->ban("api", "vip", 90s, "because");
  segment->unban("api", "vip");
  segment->switch_limits(false);
  segment->switch_limits(true);
  segment->remove_policy("api");
  const auto journal = segment->journal();
  REQUIRE(journal.size() == 8);
  const auto is = [&](std::size_t i, Change change, std::string_view key, std::string_view before,
                      std::string_view after) {
    CHECK(journal[i].number == i);
    CHECK(journal[i].change == change);
    CHECK(journal[i].key == key);
    CHECK(journal[i].before == before);
    CHECK(journal[i].after == after);
    CHECK(journal[i].uid == ::geteuid());
    CHECK(journal[i].pid == static_cast<std::uint32_t>(::getpid()));
    CHECK_FALSE(journal[i].cut);
  };
  is(0, Change::policy_set, "", "10/s", "20/s");
  is(1, Change::override_set, "vip", "", "50/s");
  is(2, Change::override_set, "vip", "50/s", "60/s");
  is(3, Change::banned, "vip", "60/s", "for 1m 30s");
  is(4, Change::unbanned, "vip", "banned", "");
  is(5, Change::limits_off, "", "", "");
  is(6, Change::limits_on, "", "", "");
  is(7, Change::policy_removed, "", "20/s", "");
  CHECK(journal[3].reason == "because");
  CHECK(journal[3].policy == "api");
}

TEST_CASE("the_journal_tells_a_bans_length_as_people_do") {
  test::Scratch segment(manual());
  (void)segment->limiter("api", Limit::per_second(10));
  const auto told = [&](std::chrono::nanoseconds length) {
    segment->ban("api", "bot", length);
    const std::string after = segment->journal().back().after;
    segment->unban("api", "bot");
    return after;
  };
  CHECK(told(1ns) == "for 1ms");
  CHECK(told(250ms) == "for 250ms");
  CHECK(told(1s) == "for 1s");
  CHECK(told(1s + 1ns) == "for 2s");
  CHECK(told(558'648ms) == "for 9m 19s");
  CHECK(told(48h + 5s) == "for 2d 5s");
  CHECK(told(24h * 26'687) == "for 26687d");
  CHECK(told(kNever) == "for ever");
}

TEST_CASE("the_journal_keeps_the_last_256_and_cuts_what_is_too_long") {
  test::Scratch segment(manual());
  (void)segment->limiter("api", Limit::per_second(10));
  const std::string key(500, 'k');
  for (int i = 0; i < 300; ++i) {
    segment->ban("api", key, 1min, std::string(500, 'r'));
    segment->unban("api", key);
  }
  const auto journal = segment->journal();
  REQUIRE(journal.size() == 256);
  CHECK(journal.front().number == 600 - 256);
  CHECK(journal.back().number == 599);
  CHECK(journal.back().cut);
  CHECK(key.starts_with(journal.back().key));
  CHECK(journal.back().key.size() >= 31);
}

TEST_CASE("standings_are_listed_with_who_and_why") {
  test::Scratch segment(manual());
  (void)segment->limiter("api", Limit::per_second(10));
  segment->set_override("api", "vip", Limit::per_second(50));
  segment->ban("api", "bot", 90s, "because");
  segment->allow("api", "probe", "monitoring");
  std::set<std::string> keys;
  for (const StandingInfo& info : segment->standings()) {
    REQUIRE(info.key);
    keys.insert(*info.key);
    REQUIRE(info.change);
    CHECK(info.change->uid == ::geteuid());
    if (info.standing == Standing::ban) {
      CHECK(info.change->reason == "because");
      CHECK(info.until >= Instant(90s));
    }
    if (info.standing == Standing::override_) CHECK(info.limit == Limit::per_second(50));
  }
  CHECK(keys == std::set<std::string>{"bot", "probe", "vip"});
  segment->advance_clock(2min);
  CHECK(segment->standings().size() == 2);
}

TEST_CASE("standings_come_along_when_a_segment_is_made_anew") {
  test::Scratch segment(manual());
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->ban("api", "bot", 1h, "because");
  segment->set_override("api", "vip", Limit::per_second(50));
  REQUIRE(::unlink(segment.path().c_str()) == 0);
  test::RemoveAtEnd again(segment.name());
  for (int i = 0; i < 3'000'000 && ::access(segment.path().c_str(), F_OK) != 0; ++i)
    (void)api.try_acquire("user");
  Segment fresh = Segment::open(segment.name());
  CHECK(fresh.limiter("api").try_acquire("bot").reason == Reason::banned);
  CHECK(fresh.standings().size() == 2);
  CHECK(fresh.journal().size() == 2);
}

}  // namespace
}  // namespace rl
