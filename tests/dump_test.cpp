// What a key owes is the same after a dump and a load, whatever the segment is by then. (Who reads a
// dump that is no dump: dump_refusals_test.cpp.)
#include <rl/dump.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "tests/dumps.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;
using test::dumped;
using test::read;
using test::Scratch;

SegmentOptions by_hand(std::uint64_t keys = 1'000, bool labels = true) {
  return {.keys = keys, .labels = labels, .clock = ClockSource::manual};
}

/// A segment that a dump made, removed at the end of the scope.
class Loaded {
 public:
  Loaded(const Dump& dump, const SegmentOptions& options, LoadOptions load = {})
      : name_(test::unique_name()),
        end_(name_),
        report_(dump.create(name_, options, load)),
        segment_(Segment::open(name_)) {}
  Segment* operator->() noexcept { return &segment_; }
  Segment& operator*() noexcept { return segment_; }
  [[nodiscard]] const LoadReport& report() const noexcept { return report_; }

 private:
  std::string name_;
  test::RemoveAtEnd end_;
  LoadReport report_;
  Segment segment_;
};

const std::string kLongKey(100, 'k');

/// What keys owe, by policy and text: the rest of their lines, without the place and the sum.
std::map<std::string, std::string> debts_in(const std::string& dump) {
  std::map<std::string, std::string> debts;
  for (const std::string& line : test::lines_of(dump)) {
    if (!line.starts_with("{\"policy\":") || line.find("\"name\":") != line.npos) continue;
    const std::size_t debt = std::min(line.find("\"debt_ns\""), line.find("\"count\""));
    debts[line.substr(0, debt)] = test::body_of(line).substr(debt);
  }
  return debts;
}

TEST_CASE("A_overrides_bans_and_allowed_keys_come_along_with_what_they_owe") {
  for (const std::uint64_t keys : {200U, 5'000U}) {
    Scratch old(by_hand());
    old->advance_clock(90s);
    Limiter api = old->limiter("api", Limit::parse("6/h burst=10"));
    old->set_override("api", "vip", Limit::parse("60/h burst=50"));
    REQUIRE(api.try_acquire("vip", 20));
    old->set_override("api", kLongKey, Limit::parse("1/h burst=3"));
    REQUIRE(api.try_acquire("bot", 8));
    old->ban("api", "bot", 10min, "scraping");
    old->set_override("api", "both", Limit::parse("60/h burst=50"));
    old->ban("api", "both", kNever);
    REQUIRE(api.try_acquire("probe", 4));
    old->allow("api", "probe");
    old->advance_clock(1min);  // of the ban, nine minutes are left

    DumpReport written;
    const Dump dump = read(dumped(*old, &written));
    CHECK(written.standings == 6);  // of both, the override and the ban
    CHECK(written.unreadable == 0);
    Loaded fresh(dump, by_hand(keys));
    CHECK(fresh.report().standings == 6);
    CHECK(fresh.report().is_whole());
    Limiter again = fresh->limiter("api");
    CHECK(again.peek("vip").limit == 50);
    CHECK(again.peek("vip").remaining == 31);
    CHECK(again.peek(kLongKey).limit == 3);
    CHECK(again.try_acquire("probe", 1'000).reason == Reason::override_);
    const Decision bot = again.try_acquire("bot");
    CHECK(bot.reason == Reason::banned);
    CHECK(bot.retry_after > 9min - 1s);
    CHECK(bot.retry_after < 9min + 1s);
    CHECK(again.try_acquire("both").retry_after == kNever);
    CHECK(fresh->unban("api", "both"));
    CHECK(again.peek("both").limit == 50);
    CHECK(fresh->disallow("api", "probe"));
    CHECK(again.peek("probe").remaining == 6);
    fresh->advance_clock(9min + 1s);
    CHECK(again.peek("bot").remaining == 3);  // eight were used, and ten minutes give one back
  }
}

TEST_CASE("under_every_algorithm_a_key_owes_the_same_in_a_segment_of_another_size") {
  for (const std::uint64_t keys : {40U, 1'000U, 30'000U}) {
    Scratch old(by_hand());
    old->advance_clock(90s);
    Limiter bucket = old->limiter("bucket", Limit::parse("10/s burst=20"));
    Limiter leaky = old->limiter("leaky", Limit::parse("leaky 10/s queue=9"));
    Limiter fixed = old->limiter("fixed", Limit::parse("window 100/m"));
    Limiter sliding = old->limiter("sliding", Limit::parse("sliding 100/m"));
    for (const std::string& key : {std::string("short"), kLongKey}) {
      REQUIRE(bucket.charge(key, 25));  // more than passes at once
      REQUIRE(leaky.try_acquire(key, 7));
      REQUIRE(fixed.try_acquire(key, 30));
      REQUIRE(sliding.try_acquire(key, 30));
    }
    Loaded fresh(read(dumped(*old)), by_hand(keys));
    CHECK(fresh.report().keys == 8);
    CHECK(fresh.report().policies == 4);
    CHECK(fresh.report().is_whole());
    CHECK(fresh->info().anonymous == 0);
    for (const std::string& key : {std::string("short"), kLongKey}) {
      const Decision owes = fresh->limiter("bucket").peek(key);
      CHECK(owes.reset_after == 2'500ms);
      CHECK(owes.retry_after == 600ms);
      CHECK(fresh->limiter("leaky").peek(key).reset_after == 700ms);
      CHECK(fresh->limiter("fixed").peek(key).remaining == 70);
      CHECK(fresh->limiter("sliding").peek(key).remaining == 70);
    }
    CHECK(debts_in(dumped(*fresh)).size() == 8);
    test::check_that_no_key_has_two_slots(fresh->path());
  }
}

TEST_CASE("times_are_relative_to_the_dump_and_to_the_load") {
  Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::parse("1/s burst=10"));
  REQUIRE(api.try_acquire("k", 3));
  const std::string text = dumped(*segment);
  segment->advance_clock(2s);
  CHECK(api.peek("k").reset_after == 1s);
  CHECK(read(text).load(*segment).keys == 1);
  CHECK(api.peek("k").reset_after == 3s);
  segment->advance_clock(1h);
  CHECK(read(text).load(*segment).keys == 1);
  CHECK(api.peek("k").reset_after == 3s);
  segment->advance_clock(3s);
  CHECK(api.peek("k").remaining == 10);
}

TEST_CASE("what_is_counted_in_a_window_counts_in_the_window_of_the_load_and_weighs_no_less") {
  Scratch old(by_hand());
  Limiter sliding = old->limiter("sliding", Limit::parse("sliding 100/m"));
  REQUIRE(sliding.try_acquire("k", 80));
  old->advance_clock(75s);  // of the 80, three quarters weigh: 60
  REQUIRE(sliding.try_acquire("k", 10));
  REQUIRE(sliding.peek("k").remaining == 30);
  const Dump dump = read(dumped(*old));
  const auto left_when_loaded_at = [&](nanoseconds time) {
    Scratch fresh(by_hand());
    fresh->advance_clock(time);
    CHECK(dump.load(*fresh).keys == 1);
    return fresh->limiter("sliding").peek("k").remaining;
  };
  CHECK(left_when_loaded_at(15s) == 30);
  CHECK(left_when_loaded_at(0s) == 10);   // the window before weighs all of its 80 there
  CHECK(left_when_loaded_at(45s) == 30);  // it weighs 20 only, so 40 more count in this one
  CHECK(left_when_loaded_at(120s + 59s) == 30);
}

TEST_CASE("a_load_replaces_the_keys_that_the_dump_names_and_no_others") {
  Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::parse("1/h burst=10"));
  REQUIRE(api.try_acquire("more", 3));
  REQUIRE(api.try_acquire("less", 3));
  REQUIRE(api.try_acquire("same", 3));
  REQUIRE(api.try_acquire("reset", 3));
  const std::string text = dumped(*segment);
  REQUIRE(api.try_acquire("more", 5));
  REQUIRE(api.set_remaining("less", 9));
  REQUIRE(api.reset("reset"));
  REQUIRE(api.try_acquire("other", 4));
  const LoadReport report = read(text).load(*segment);
  CHECK(report.keys == 4);
  CHECK(report.policies == 0);
  CHECK(report.differing == 0);
  for (const char* key : {"more", "less", "same", "reset"}) CHECK(api.peek(key).remaining == 7);
  CHECK(api.peek("other").remaining == 6);
  CHECK(dumped(*segment) != text);
  test::check_that_no_key_has_two_slots(segment.path());
}

TEST_CASE("counts_of_a_key_come_along") {
  Scratch old(by_hand());
  Limiter api = old->limiter("api", Limit::parse("1/h burst=2"));
  for (int i = 0; i < 5; ++i) (void)api.try_acquire("k");
  Loaded fresh(read(dumped(*old)), by_hand());
  const auto row = fresh->find("api", "k");
  REQUIRE(row);
  CHECK(row->allowed_count == 2);
  CHECK(row->denied_count == 3);
  CHECK(row->key == "k");
}

TEST_CASE("keys_that_owe_nothing_are_left_out_and_keys_of_any_bytes_are_not") {
  Scratch old(by_hand());
  Limiter api = old->limiter("api", Limit::parse("1/h burst=2"));
  Limiter quick = old->limiter("quick", Limit::parse("1/s"));
  REQUIRE(quick.try_acquire("idle"));
  std::vector<std::string> keys;
  for (int byte = 0; byte < 256; ++byte) {
    keys.emplace_back(1, static_cast<char>(byte));
    keys.push_back("a" + keys[keys.size() - 1] + "\"\\\xc3\xa4");
  }
  for (const std::string& key : keys) REQUIRE(api.try_acquire(key));
  old->advance_clock(1s);
  DumpReport written;
  const std::string text = dumped(*old, &written);
  CHECK(written.idle == 1);
  CHECK(written.keys == keys.size());
  CHECK(written.policies == 2);
  CHECK(written.lines == 1 + 2 + keys.size() + 1);
  CHECK(std::all_of(text.begin(), text.end(),
                    [](char c) { return c == '\n' || (c >= ' ' && c <= '~'); }));
  Loaded fresh(Dump::read(test::source_of(text, 7)), by_hand(600));
  CHECK(fresh.report().keys == keys.size());
  for (const std::string& key : keys) {
    CHECK(fresh->limiter("api").peek(key).remaining == 1);
    CHECK(fresh->find("api", key)->key == key);
  }
}

TEST_CASE("policies_that_are_missing_are_made_and_those_that_are_there_stand") {
  Scratch old(by_hand());
  REQUIRE(old->limiter("rate", Limit::parse("10/s burst=20 floor=10")).try_acquire("k", 5));
  REQUIRE(old->limiter("count", Limit::parse("window 100/h")).try_acquire("k", 40));
  REQUIRE(old->limiter("same", Limit::parse("sliding 9/h")).try_acquire("k", 4));
  (void)old->limiter("unused", Limit::parse("leaky 3/m queue=2 delay=1"));
  Scratch fresh(by_hand());
  (void)fresh->limiter("rate", Limit::parse("window 100/h"));
  (void)fresh->limiter("count", Limit::parse("1/h burst=50"));
  const LoadReport report = read(dumped(*old)).load(*fresh);
  CHECK(report.policies == 2);
  CHECK(report.differing == 2);
  CHECK(report.keys == 3);
  CHECK(fresh->limiter("unused").limit() == Limit::parse("leaky 3/m queue=2 delay=1"));
  CHECK(fresh->limiter("rate").limit() == Limit::parse("window 100/h"));
  CHECK(fresh->limiter("rate").peek("k").remaining == 95);
  CHECK(fresh->limiter("count").peek("k").remaining == 10);
  CHECK(fresh->limiter("same").peek("k").remaining == 5);
}

TEST_CASE("a_limit_that_was_changed_is_dumped_as_it_is_now_and_what_keys_owe_follows_it") {
  Scratch old(by_hand());
  REQUIRE(old->limiter("api", Limit::parse("1/h burst=10")).try_acquire("before", 4));
  old->set_policy("api", Limit::parse("leaky 1/m queue=19"));
  old->set_policy("api", Limit::parse("1/m burst=30"));
  REQUIRE(old->limiter("api").try_acquire("after", 7));
  REQUIRE(old->limiter("gone", Limit::parse("1/h")).try_acquire("k"));
  REQUIRE(old->remove_policy("gone"));
  DumpReport written;
  const std::string text = dumped(*old, &written);
  CHECK(written.policies == 1);
  CHECK(written.keys == 2);
  CHECK(written.idle == 1);
  CHECK(written.unreadable == 0);
  CHECK(text.find("\"limit\":\"1/m burst=30\"") != text.npos);
  Loaded fresh(read(text), by_hand(50));
  CHECK(fresh->limiter("api").limit() == Limit::parse("1/m burst=30"));
  CHECK(fresh->limiter("api").peek("before").remaining == 26);
  CHECK(fresh->limiter("api").peek("after").remaining == 23);
  CHECK(fresh->history("api").size() == 1);

  // Into the segment itself, whose limit has been changed once more: as many tokens.
  old->set_policy("api", Limit::parse("window 50/h"));
  const LoadReport report = read(text).load(*old);
  CHECK(report.differing == 1);
  CHECK(report.keys == 2);
  CHECK(old->limiter("api").peek("before").remaining == 46);
  CHECK(old->limiter("api").peek("after").remaining == 43);
  // Or removed, and is made again.
  REQUIRE(old->remove_policy("api"));
  CHECK(read(text).load(*old).policies == 1);
  CHECK(old->limiter("api").peek("after").remaining == 23);
}

TEST_CASE("permits_stay_where_they_are_and_their_policy_comes_along") {
  Scratch old(by_hand());
  Limiter uploads = old->limiter("uploads", Limit::concurrency(3));
  const Permit held = uploads.permit("k");
  REQUIRE(held);
  REQUIRE(uploads.permit("k"));  // and given back
  DumpReport written;
  const std::string text = dumped(*old, &written);
  CHECK(written.permits == 1);
  CHECK(written.keys == 0);
  Loaded fresh(read(text), by_hand());
  CHECK(fresh.report().policies == 1);
  CHECK(fresh->limiter("uploads").limit() == Limit::concurrency(3));
  CHECK(fresh->info().live == 0);
}

/// Loads a dump that must be refused, and nothing may have changed.
void check_refused(const std::string& text, Segment& segment, Errc code, std::string_view part) {
  const auto before = debts_in(dumped(segment));
  const std::size_t policies = segment.policies().size();
  try {
    (void)read(text).load(segment);
    FAIL("it was loaded");
  } catch (const Error& e) {
    CAPTURE(e.what());
    CHECK(e.code() == code);
    CHECK(std::string_view(e.what()).find(part) != std::string_view::npos);
  }
  CHECK(segment.policies().size() == policies);
  CHECK(debts_in(dumped(segment)) == before);
}

TEST_CASE("what_cannot_be_loaded_whole_is_refused_before_anything_is_changed") {
  Scratch old(by_hand());
  (void)old->limiter("new", Limit::parse("1/s"));
  REQUIRE(old->limiter("api", Limit::parse("1/h burst=10")).try_acquire("k"));
  REQUIRE(old->limiter("api").try_acquire(kLongKey));
  const std::string text = dumped(*old);

  Scratch another(by_hand());
  check_refused(text, *another, Errc::bad_option, "1 of the 2 keys of the dump cannot be placed");
  CHECK(another->info().live == 0);
  const LoadReport part = read(text).load(*another, {.partial = true});
  CHECK(part.keys == 1);
  CHECK(part.unknown == 1);
  CHECK_FALSE(part.is_whole());
  CHECK(another->limiter("api").peek("k").remaining == 9);

  Scratch with_permits(by_hand());
  (void)with_permits->limiter("api", Limit::concurrency(3));
  check_refused(text, *with_permits, Errc::bad_limit, "policy \"api\" is concurrency 3 here");

  Scratch full({.keys = 100, .clock = ClockSource::manual, .policies = 1});
  check_refused(text, *full, Errc::too_many, "this takes 2 policy entries, and 1 of 1 are left");

  Segment read_only = Segment::open_read_only(old.name());
  check_refused(text, read_only, Errc::read_only, "opened for reading");

  (void)old->limiter("uploads", Limit::concurrency(200));
  Scratch small(by_hand(100));
  check_refused(dumped(*old), *small, Errc::bad_limit, "200 permits of one key");
  const std::string name = test::unique_name();
  const test::RemoveAtEnd end(name);
  CHECK_THROWS_AS((void)read(dumped(*old)).create(name, by_hand(100)), Error);
  CHECK_THROWS_AS((void)Segment::open(name), Error);  // nothing was made
}

TEST_CASE("a_new_segment_that_has_the_name_already_is_refused_and_stays_as_it_is") {
  Scratch segment(by_hand());
  REQUIRE(segment->limiter("api", Limit::parse("1/h burst=10")).try_acquire("k"));
  const Dump dump = read(dumped(*segment));
  REQUIRE(segment->limiter("api").try_acquire("k"));
  CHECK_THROWS_AS((void)dump.create(segment.name(), by_hand()), Error);
  CHECK(segment->limiter("api").peek("k").remaining == 8);
}

TEST_CASE("keys_without_labels_go_back_to_their_slots") {
  Scratch old(by_hand(1'000, false));
  Limiter api = old->limiter("api", Limit::parse("1/h burst=10"));
  for (int i = 0; i < 900; ++i)
    REQUIRE(api.try_acquire("key-" + std::to_string(i), 1 + static_cast<unsigned>(i) % 9));
  const std::string text = dumped(*old);
  const auto check_all = [&](Segment& segment) {
    for (int i = 0; i < 900; ++i) {
      CAPTURE(i);
      CHECK(segment.limiter("api").peek("key-" + std::to_string(i)).remaining ==
            9 - static_cast<unsigned>(i) % 9);
    }
    test::check_that_no_key_has_two_slots(segment.path());
  };
  Loaded fresh(read(text), read(text).options());
  CHECK(fresh.report().keys == 900);
  check_all(*fresh);
  CHECK_FALSE(fresh->info().labels);

  // In place, too, while they are where they were.
  for (int i = 0; i < 900; ++i)
    REQUIRE(api.set_remaining("key-" + std::to_string(i), 10 - static_cast<unsigned>(i) % 9));
  CHECK(read(text).load(*old).keys == 900);
  check_all(*old);
  REQUIRE(api.reset("key-7"));
  check_refused(text, *old, Errc::bad_option,
                "1 of the 900 keys of the dump cannot be placed, as their text is not known whole "
                "and others have the slots where they were; load into a new segment (--create)");
  CHECK(read(text).load(*old, {.partial = true}).unknown == 1);

  // Of another size, or with another secret, nobody knows where they belong.
  const std::string name = test::unique_name();
  const test::RemoveAtEnd end(name);
  CHECK_THROWS_WITH_AS((void)read(text).create(name, by_hand(2'000, false)),
                       doctest::Contains("they fit a segment of the same size only; make it of the "
                                         "size that the dump says"),
                       Error);
  Scratch another(by_hand(1'000, false));
  check_refused(text, *another, Errc::bad_option, "the segment has another secret");
}

TEST_CASE("what_finds_no_room_is_counted_and_evicts_nobody") {
  Scratch old(by_hand());
  Limiter api = old->limiter("api", Limit::parse("1/h burst=10"));
  for (int i = 0; i < 100; ++i) REQUIRE(api.try_acquire("key-" + std::to_string(i)));
  Loaded tiny(read(dumped(*old)), by_hand(1));
  const LoadReport& report = tiny.report();
  CHECK(report.no_room > 0);
  CHECK(report.keys + report.no_room == 100);
  CHECK_FALSE(report.is_whole());
  CHECK(tiny->info().live == report.keys);
  CHECK(tiny->info().evicted == 0);
}

TEST_CASE("a_segment_that_is_only_readable_can_be_dumped_and_is_not_changed") {
  Scratch segment(by_hand());
  REQUIRE(segment->limiter("api", Limit::parse("1/h burst=10")).try_acquire("k"));
  const std::string text = dumped(*segment);
  Segment reader = Segment::open_read_only(segment.name());
  const auto without_times = [](std::string dump) {
    std::vector<std::string> lines = test::lines_of(dump);
    lines[0].clear();
    for (std::string& line : lines) line = test::body_of(line);
    return lines;
  };
  CHECK(without_times(dumped(reader)) == without_times(text));
}

TEST_CASE("the_options_of_a_dump_make_a_segment_like_the_one_that_was_dumped") {
  Scratch segment({.keys = 77, .labels = false, .clock = ClockSource::manual, .policies = 9});
  const SegmentOptions options = read(dumped(*segment)).options();
  CHECK(options.keys == 77);
  CHECK(options.policies == 9);
  CHECK_FALSE(options.labels);
  CHECK(options.clock == ClockSource::manual);
  CHECK(options.mode == 0600);
}

// --- random tables --------------------------------------------------------------------------------

const char* const kLimits[] = {"10/s burst=20",     "3/m",          "leaky 10/s queue=50 delay=5",
                               "leaky 1/h queue=3", "window 100/m", "window 7/h",
                               "sliding 100/m",     "sliding 3/h"};

std::string random_key(std::mt19937_64& random) {
  std::string key(1 + random() % 60, 'x');
  for (char& c : key) c = static_cast<char>(random());
  return key;
}

TEST_CASE("A_no_random_table_owes_less_after_a_load_into_another_and_at_the_same_time_the_same") {
  std::mt19937_64 random(test::seed());
  INFO("RL_TEST_SEED=" << test::seed());
  for (int round = 0; round < 20; ++round) {
    Scratch old(by_hand());
    struct Key {
      std::string policy;
      std::string key;
    };
    std::vector<Key> keys;
    for (int step = 0; step < 600; ++step) {
      const std::size_t which = random() % std::size(kLimits);
      Limiter limiter = old->limiter("p" + std::to_string(which), Limit::parse(kLimits[which]));
      if (keys.empty() || random() % 2 == 0)
        keys.push_back({"p" + std::to_string(which), random_key(random)});
      const Key& key = keys[random() % keys.size()];
      Limiter of_key = old->limiter(key.policy);
      if (random() % 8 == 0) {
        (void)of_key.charge(key.key, 1 + random() % 40);
      } else {
        (void)of_key.try_acquire(key.key, 1 + random() % 3);
      }
      if (random() % 4 == 0) old->advance_clock(nanoseconds(random() % 1'000'000'000));
    }
    const std::string text = dumped(*old);
    const nanoseconds now = old->now().time_since_epoch();

    // At another time: nobody has more left.
    Loaded another(read(text), by_hand(300 + random() % 2'000));
    another->advance_clock(nanoseconds(random() % 7'200'000'000'000));
    CHECK(read(text).load(*another).is_whole());
    for (const Key& key : keys) {
      const Decision was = old->limiter(key.policy).peek(key.key);
      CHECK(another->limiter(key.policy).peek(key.key).remaining <= was.remaining);
    }

    // At the same time: to the byte.
    Loaded at_once(read(text), by_hand(300 + random() % 2'000));
    at_once->advance_clock(now);
    CHECK(read(text).load(*at_once).is_whole());
    CHECK(debts_in(dumped(*at_once)) == debts_in(text));
    test::check_that_no_key_has_two_slots(at_once->path());
  }
}

}  // namespace
}  // namespace rl
