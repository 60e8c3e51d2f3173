// What a segment keeps for long comes along with what keys owe: that limits are off, limits on
// trial, and how often keys were denied and banned. And a dump of the first format is still read.
#include <rl/dump.hpp>

#include <doctest/doctest.h>

#include <string>

#include "tests/dumps.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using test::dumped;
using test::read;
using test::Scratch;

constexpr SegmentOptions kByHand{.keys = 500, .clock = ClockSource::manual};

/// A name for a segment that a dump makes, removed at the end of the scope.
class Name {
 public:
  Name() : name_(test::unique_name()), end_(name_) {}
  operator std::string_view() const noexcept { return name_; }

 private:
  std::string name_;
  test::RemoveAtEnd end_;
};

// --- limits that are off --------------------------------------------------------------------------

TEST_CASE("limits_that_were_off_are_off_in_a_segment_that_is_made_since_when_they_were") {
  Scratch old(kByHand);
  REQUIRE(old->limiter("api", Limit::parse("1/h burst=2")).try_acquire("k", 2));
  REQUIRE(old->switch_limits(false));
  DumpReport written;
  const Dump dump = read(dumped(*old, &written));
  CHECK(written.off);
  const Name name;
  const LoadReport report = dump.create(name, kByHand);
  CHECK(report.was_off);
  CHECK(report.keys == 1);
  Segment fresh = Segment::open(name);
  CHECK(fresh.info().off_since == old->info().off_since);
  CHECK(fresh.limiter("api").try_acquire("k").reason == Reason::off);
  CHECK(fresh.journal().back().change == Change::limits_off);
  CHECK(fresh.journal().back().reason == "from a dump");
  REQUIRE(fresh.switch_limits(true));
  CHECK_FALSE(fresh.limiter("api").try_acquire("k"));
}

TEST_CASE("a_load_leaves_the_switch_of_a_segment_that_is_in_use") {
  Scratch off(kByHand);
  REQUIRE(off->switch_limits(false));
  Scratch on(kByHand);
  DumpReport written;
  const std::string of_on = dumped(*on, &written);
  CHECK_FALSE(written.off);
  CHECK(read(dumped(*off)).load(*on).was_off);
  CHECK_FALSE(on->info().off_since);
  CHECK_FALSE(read(of_on).load(*off).was_off);
  CHECK(off->info().off_since);
}

// --- limits on trial ------------------------------------------------------------------------------

TEST_CASE("a_trial_goes_on_beside_a_policy_that_is_made_and_counts_anew") {
  Scratch old(kByHand);
  Limiter api = old->limiter("api", Limit::parse("1/h burst=10"));
  old->set_candidate("api", Limit::parse("1/h burst=2"));
  for (int i = 0; i < 4; ++i) REQUIRE(api.try_acquire("k"));
  REQUIRE(old->compare("api")->by_candidate.denied == 2);
  DumpReport written;
  const Dump dump = read(dumped(*old, &written));
  CHECK(written.trials == 1);
  CHECK(written.keys == 1);  // what the trial has of it is not the key's
  const Name name;
  CHECK(dump.create(name, kByHand).trials == 1);
  Segment fresh = Segment::open(name);
  REQUIRE(fresh.compare("api"));
  CHECK(fresh.compare("api")->candidate == Limit::parse("1/h burst=2"));
  CHECK(fresh.compare("api")->by_live.allowed == 0);
  CHECK(fresh.compare("api")->by_candidate.denied == 0);
  for (int i = 0; i < 3; ++i) CHECK(fresh.limiter("api").try_acquire("k"));
  CHECK(fresh.limiter("api").peek("k").remaining == 3);
  CHECK(fresh.compare("api")->by_candidate.allowed == 2);
  CHECK(fresh.compare("api")->by_candidate.denied == 1);
  CHECK(fresh.compare("api")->keys_denied == 1);

  // Where the policy is, its trials are as they were.
  REQUIRE(fresh.clear_candidate("api"));
  CHECK(dump.load(fresh).trials == 0);
  CHECK_FALSE(fresh.compare("api"));
  fresh.set_candidate("api", Limit::parse("1/h burst=5"));
  CHECK(dump.load(fresh).trials == 0);
  CHECK(fresh.compare("api")->candidate == Limit::parse("1/h burst=5"));
}

TEST_CASE("bans_over_overrides_need_an_entry_each_and_that_is_said_before_anything_is_changed") {
  Scratch old(kByHand);
  (void)old->limiter("api", Limit::parse("10/s"));
  for (const char* limit : {"21/s", "22/s", "23/s"}) {
    old->set_override("api", limit, Limit::parse(limit));
    old->ban("api", limit, kNever);
  }
  const Dump dump = read(dumped(*old));
  SegmentOptions tight = kByHand;
  tight.policies = 6;  // a limit, three overrides, and a ban over each: 7
  Scratch full(tight);
  CHECK_THROWS_WITH_AS((void)dump.load(*full), doctest::Contains("this takes 7 policy entries"),
                       Error);
  CHECK(full->policies().empty());
  tight.policies = 7;
  Scratch enough(tight);
  CHECK(dump.load(*enough).standings == 6);
  CHECK(enough->info().policies == 7);
}

TEST_CASE("a_trial_and_what_bans_need_entries_and_that_is_said_before_anything_is_changed") {
  Scratch old(kByHand);
  (void)old->limiter("api", Limit::parse("1/h ban_after=1/m ban=1m"));
  old->set_candidate("api", Limit::parse("2/h"));
  const Dump dump = read(dumped(*old));
  SegmentOptions tight = kByHand;
  tight.policies = 3;  // the limit, what it keeps of conduct, its bans; and none for the trial
  Scratch full(tight);
  CHECK_THROWS_WITH_AS((void)dump.load(*full),
                       doctest::Contains("this takes 4 policy entries, and 3 of 3 are left"),
                       Error);
  CHECK(full->policies().empty());
  tight.policies = 4;
  Scratch enough(tight);
  CHECK(dump.load(*enough).trials == 1);
}

// --- conduct --------------------------------------------------------------------------------------

const std::string kLongKey(60, 'k');

/// Has a key denied until it is banned, and waits for the end of the ban; so many times.
void ban_for_denials(Segment& segment, Limiter& limiter, const std::string& key, int times) {
  for (int i = 0; i < times; ++i) {
    Decision denied = limiter.try_acquire(key);
    for (int calls = 0; calls < 20 && denied.reason != Reason::banned; ++calls)
      denied = limiter.try_acquire(key);
    REQUIRE(denied.reason == Reason::banned);
    segment.advance_clock(denied.retry_after);
  }
}

/// How long the next ban for denials is.
std::chrono::nanoseconds next_ban(Limiter& limiter, const std::string& key) {
  for (int calls = 0; calls < 20; ++calls) {
    const Decision denied = limiter.try_acquire(key);
    if (denied.reason == Reason::banned) return denied.retry_after;
  }
  FAIL("it is not banned");
  return {};
}

void check_next_ban_is_the_sixth(Segment& segment, const std::string& key) {
  Limiter api = segment.limiter("api");
  const std::chrono::nanoseconds length = next_ban(api, key);
  CHECK(length >= 320s);
  CHECK(length < 321s);
}

constexpr const char* kBans = "1/d burst=1 ban_after=3/m ban=10s";

TEST_CASE("a_key_that_was_banned_five_times_is_banned_as_long_as_the_sixth_time") {
  for (const std::uint64_t keys : {100U, 500U, 20'000U}) {
    Scratch old(kByHand);
    old->advance_clock(1h);
    Limiter api = old->limiter("api", Limit::parse(kBans));
    for (const std::string& key : {std::string("bot"), kLongKey})
      ban_for_denials(*old, api, key, 5);
    DumpReport written;
    const Dump dump = read(dumped(*old, &written));
    CHECK(written.conducts == 2);
    CHECK(written.unreadable == 0);
    const Name name;
    SegmentOptions options = kByHand;
    options.keys = keys;
    const LoadReport report = dump.create(name, options);
    CHECK(report.conducts == 2);
    CHECK(report.is_whole());
    Segment fresh = Segment::open(name);
    test::check_that_no_key_has_two_slots(fresh.path());
    check_next_ban_is_the_sixth(fresh, "bot");
    check_next_ban_is_the_sixth(fresh, kLongKey);
  }
}

TEST_CASE("conduct_comes_along_without_labels_into_the_same_size_and_by_text_under_any_secret") {
  SegmentOptions unnamed = kByHand;
  unnamed.labels = false;
  Scratch old(unnamed);
  Limiter api = old->limiter("api", Limit::parse(kBans));
  ban_for_denials(*old, api, "bot", 5);
  const Dump dump = read(dumped(*old));
  const Name name;
  CHECK(dump.create(name, dump.options()).conducts == 1);
  Segment fresh = Segment::open(name);
  check_next_ban_is_the_sixth(fresh, "bot");
  CHECK(dump.load(*old).conducts == 1);  // in place
  // With another secret nobody knows where.
  Scratch other(unnamed);
  CHECK_THROWS_AS((void)dump.load(*other), Error);
  CHECK(dump.load(*other, {.partial = true}).conducts == 0);

  Scratch named(kByHand);
  Limiter again = named->limiter("api", Limit::parse(kBans));
  ban_for_denials(*named, again, "bot", 5);
  Scratch another(kByHand);
  CHECK(read(dumped(*named)).load(*another).conducts == 1);
  check_next_ban_is_the_sixth(*another, "bot");
}

TEST_CASE("denials_that_are_being_counted_count_on_and_a_level_fades_when_it_would_have") {
  Scratch old(kByHand);
  Limiter api = old->limiter("api", Limit::parse(kBans));
  REQUIRE(api.try_acquire("k"));
  REQUIRE_FALSE(api.try_acquire("k"));
  old->advance_clock(20s);
  REQUIRE_FALSE(api.try_acquire("k"));  // the second of three
  const Dump dump = read(dumped(*old));
  {
    Scratch at_once(kByHand);
    REQUIRE(dump.load(*at_once).conducts == 1);
    at_once->advance_clock(39s);
    CHECK_FALSE(at_once->limiter("api").try_acquire("k"));  // the third, within the minute
    CHECK(at_once->limiter("api").try_acquire("k").reason == Reason::banned);
  }
  Scratch later(kByHand);
  REQUIRE(dump.load(*later).conducts == 1);
  later->advance_clock(41s);
  CHECK_FALSE(later->limiter("api").try_acquire("k"));  // the first of the next minute
  CHECK(later->limiter("api").try_acquire("k").reason == Reason::limited);

  // 64 bans' time after the last was over.
  ban_for_denials(*old, api, "bot", 2);
  const Dump banned = read(dumped(*old));
  for (const bool is_forgotten : {false, true}) {
    Scratch fresh(kByHand);
    REQUIRE(banned.load(*fresh).conducts >= 1);
    fresh->advance_clock(is_forgotten ? 641s : 639s);
    Limiter limiter = fresh->limiter("api");
    const std::chrono::nanoseconds length = next_ban(limiter, "bot");
    CHECK(length >= (is_forgotten ? 10s : 40s));
    CHECK(length < (is_forgotten ? 11s : 41s));
  }
}

TEST_CASE("a_load_replaces_what_is_remembered_of_a_key_and_a_ban_keeps_its_level") {
  Scratch segment(kByHand);
  Limiter api = segment->limiter("api", Limit::parse(kBans));
  ban_for_denials(*segment, api, "bot", 2);
  const auto length = next_ban(api, "bot");  // the third
  REQUIRE(length >= 40s);
  const Dump dump = read(dumped(*segment));
  segment->advance_clock(length);
  ban_for_denials(*segment, api, "bot", 2);
  CHECK(dump.load(*segment).conducts == 1);
  const auto row = segment->find("api", "bot");
  REQUIRE(row);
  CHECK(row->ban_level == 2);
  segment->advance_clock(length + 1s);
  CHECK(next_ban(api, "bot") < 81s);
  test::check_that_no_key_has_two_slots(segment.path());
}

// --- the first format -----------------------------------------------------------------------------

/// As the first version wrote it.
constexpr std::string_view kFormat1 =
    R"({"librl_dump":1,"library":"0.1.0","layout":1,"segment":"golden-15153","unix_ns":)"
    R"(1795313729843997782,"now_ns":90000000000,"keys":30,"pairs":7,"policies":1024,"la)"
    R"(bels":true,"clock":"manual","secret":"cf4f8c688898741a3cf1b772c3518e84","sum":"f)"
    R"(4954f1b91a5815e"})"
    "\n"
    R"({"policy":1,"name":"api","kind":"limit","limit":"6/h burst=10","interval_ns":600)"
    R"(000000000,"sum":"27a91f302aba8b3b"})"
    "\n"
    R"({"policy":2,"name":"win","kind":"limit","limit":"sliding 9/h","interval_ns":4000)"
    R"(00000000,"sum":"5da8e036b172c57a"})"
    "\n"
    R"({"policy":1,"key":"probe","standing":"allowed","sum":"a1fdab03921fa216"})"
    "\n"
    R"({"policy":2,"key":"a\"b","before":0,"count":3,"into_ns":90000000000,"allowed":1,)"
    R"("denied":0,"sum":"57f919109b755ecc"})"
    "\n"
    R"({"policy":1,"key":"vip","standing":"override","limit":"60/h","sum":"a1216b0ede89)"
    R"(0766"})"
    "\n"
    R"({"policy":1,"key":"bot","standing":"banned","left_ns":600013339648,"owed":0,"sum)"
    R"(":"9d757690d47f7b6b"})"
    "\n"
    R"({"policy":1,"key":"user:42","debt_ns":4200000000000,"allowed":1,"denied":0,"sum")"
    R"(:"28ca709094b69cbc"})"
    "\n"
    R"({"policy":1,"begins":"a-key-that-is-longer-th","place":"c02b8d01fd01f5dd","sides)"
    R"(":3,"identity":"3133d6eff11c","debt_ns":600000000000,"allowed":1,"denied":0,"sum)"
    R"(":"799489aa541fbda0"})"
    "\n"
    R"({"lines":10,"sum":"e0ca9d1525d2a5e7"})"
    "\n";

TEST_CASE("a_dump_of_the_first_format_is_read_as_it_was_written") {
  const Dump dump = read(kFormat1);
  const Name name;
  const LoadReport report = dump.create(name, dump.options());
  CHECK(report.policies == 2);
  CHECK(report.keys == 3);
  CHECK(report.standings == 3);
  CHECK(report.conducts == 0);
  CHECK(report.trials == 0);
  CHECK_FALSE(report.was_off);
  CHECK(report.is_whole());
  Segment fresh = Segment::open(name);
  CHECK(fresh.info().keys == 30);
  Limiter api = fresh.limiter("api");
  CHECK(api.peek("user:42").remaining == 3);
  CHECK(api.peek("a-key-that-is-longer-than-any-label-is").remaining == 9);
  CHECK(api.peek("vip").limit == 60);
  CHECK(api.try_acquire("bot").reason == Reason::banned);
  CHECK(api.try_acquire("probe", 1'000).reason == Reason::override_);
  CHECK(fresh.limiter("win").peek("a\"b").remaining == 6);
  // What it had not is no member of it.
  std::vector<std::string> bodies;
  for (const std::string& line : test::lines_of(kFormat1)) bodies.push_back(test::body_of(line));
  bodies.insert(bodies.end() - 1, R"({"policy":1,"key":"k","conduct":"1/s ban_after=1/m ban=1m",)"
                                  R"("denials":0,"level":1,"left_ns":1)");
  bodies.back() = "{\"lines\":11";
  CHECK_THROWS_WITH_AS((void)read(test::sealed(bodies)), doctest::Contains("line 10 of the dump"),
                       Error);
}

}  // namespace
}  // namespace rl
