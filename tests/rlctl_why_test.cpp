// rlctl why: what holds for a key, in one sentence first, and everything behind it.
#include <nlohmann/json.hpp>

#include "shm/mapping.hpp"
#include "tests/rlctl.hpp"
#include "tests/web.hpp"

namespace rl::test {
namespace {

using nlohmann::json;

const SegmentOptions kManual{.keys = 1'000, .clock = ClockSource::manual};

Ran why(const Scratch& segment, Words more) {
  more.insert(more.begin(), {"why", segment.name()});
  return rlctl(more);
}

std::string first_line(const Ran& ran) {
  CHECK(ran.err == "");
  return ran.out.substr(0, ran.out.find('\n'));
}

json object_of(const Scratch& segment, Words more) {
  more.emplace_back("--json");
  const Ran ran = why(segment, more);
  CAPTURE(ran.err);
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 1);
  json object = json::parse(ran.out, nullptr, false);
  REQUIRE(object.is_object());
  CHECK(object["passes"] == (ran.exit_code == 0));
  return object;
}

std::string by_me() {
  return "by uid " + std::to_string(::geteuid());
}

TEST_CASE("a_banned_key_is_told_by_whom_until_when_and_why") {
  Scratch segment(kManual);
  (void)segment->limiter("api", Limit::per_second(100));
  (void)segment->limiter("other", Limit::per_second(100));
  segment->ban("api", "203.0.113.5", std::chrono::minutes(10), "scraper");
  segment->advance_clock(std::chrono::minutes(1));
  const Ran ran = why(segment, {"203.0.113.5"});
  CHECK(ran.exit_code == 1);
  CHECK(first_line(ran) ==
        "203.0.113.5 is denied by api: banned " + by_me() + " for 9 min 1 s more (scraper)");
  CHECK(ran.out.find("Under 1 other policy nothing is kept of it") != ran.out.npos);
  const json object = object_of(segment, {"203.0.113.5"});
  CHECK(object["verdict"] == "banned");
  CHECK(object["policy"] == "api");
  const json& api = object["policies"][0];
  CHECK(api["standing"] == "banned");
  CHECK(api["uid"] == ::geteuid());
  CHECK(api["reason"] == "scraper");
  CHECK(api["left_ns"] > 9 * 60'000'000'000);
  CHECK(api["left_ns"] < 9 * 60'000'000'000 + 1'000'000'000);
  CHECK(object["policies"][1]["known"] == false);
  CHECK(object["events"][0]["change"] == "banned");
  CHECK(object["events"][0]["reason"] == "scraper");
  segment->ban("api", "for:ever", kNever);
  CHECK(first_line(why(segment, {"for:ever"})) ==
        "for:ever is denied by api: banned " + by_me() + " for ever");
  CHECK(object_of(segment, {"for:ever"})["policies"][0]["left_ns"].is_null());
}

TEST_CASE("a_counted_key_is_told_what_it_counts_and_until_when") {
  Scratch segment(kManual);
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)hits.count("k", 3, std::chrono::minutes(10));
  segment->advance_clock(std::chrono::minutes(1));
  const Ran ran = why(segment, {"k"});
  CHECK(ran.exit_code == 0);
  CHECK(first_line(ran) == "k is counted by hits: 3, for 9 min 1 s more");
  CHECK(ran.out.find("3 counted") != ran.out.npos);
  CHECK(object_of(segment, {"k"})["policies"][0]["count"] == 3);
  const Ran listed = rlctl({"list", segment.name(), "--columns", "key,used", "--json"});
  CHECK(listed.out == "{\"key\":\"k\",\"used\":3}\n");
  for (const char* verb : {"acquire", "peek"}) {
    const Ran refused = rlctl({verb, segment.name(), "hits", "k"});
    CHECK(refused.exit_code != 0);
    CHECK_MESSAGE(refused.err.find("only counts, and takes no calls") != refused.err.npos,
                  refused.err);
  }
  CHECK(rlctl({"reset", segment.name(), "hits", "k"}).exit_code == 0);
  CHECK(hits.peek_count("k").count == 0);
  segment->advance_clock(std::chrono::minutes(1));
  CHECK(why(segment, {"k"}).exit_code == 0);
}

TEST_CASE("a_limited_key_is_told_what_is_left_and_when_it_passes") {
  Scratch segment(kManual);
  Limiter api = segment->limiter("api", Limit::per_second(100).burst(200));
  Limiter slow = segment->limiter("slow", Limit::per_second(10));
  for (int i = 0; i < 201; ++i) (void)api.try_acquire("user:42");
  const Ran ran = why(segment, {"user:42"});
  CHECK(ran.exit_code == 1);
  CHECK(first_line(ran) == "user:42 is limited by api: 0 of 200 left, passes in 10 ms");
  (void)slow.try_acquire("user:42", 10);
  // The longer one has the word.
  CHECK(first_line(why(segment, {"user:42"})) ==
        "user:42 is limited by slow: 0 of 10 left, passes in 100 ms; so would api");
  CHECK(first_line(why(segment, {"user:42", "--policy", "api"})) ==
        "user:42 is limited by api: 0 of 200 left, passes in 10 ms");
  const json object = object_of(segment, {"user:42"});
  CHECK(object["policies"][0]["retry_after_ns"] == 10'000'000);
  CHECK(object["policies"][0]["reset_after_ns"] == 2'000'000'000);
  CHECK(object["policies"][0]["denied_count"] == 1);
  REQUIRE(object["events"].size() == 1);
  CHECK(object["events"][0]["cost"] == 1);
  CHECK(object["events"][0]["remaining"] == 0);
  CHECK(object["events"][0]["pid"] == ::getpid());
  segment->advance_clock(std::chrono::milliseconds(500));
  const Ran later = why(segment, {"user:42"});
  CHECK(later.exit_code == 0);
  CHECK(first_line(later) == "user:42 passes under api: 50 of 200 left, full in 1.5 s");
  segment->advance_clock(std::chrono::minutes(1));
  CHECK(first_line(why(segment, {"user:42"})) == "user:42 is free: nothing holds it");
  CHECK(object_of(segment, {"user:42"})["verdict"] == "free");
}

TEST_CASE("keys_that_pass_though_they_stand_apart_say_so") {
  Scratch segment(kManual);
  Limiter watching = segment->limiter("watching", Limit::parse("1/s shadow"));
  (void)segment->limiter("api", Limit::per_second(1));
  segment->allow("api", "10.0.0.1", "monitoring");
  Ran ran = why(segment, {"10.0.0.1"});
  CHECK(ran.exit_code == 0);
  CHECK(first_line(ran) ==
        "10.0.0.1 passes: it is on the allow-list of api " + by_me() + " (monitoring)");
  for (int i = 0; i < 2; ++i) (void)watching.try_acquire("ann");
  ran = why(segment, {"ann"});
  CHECK(ran.exit_code == 0);
  CHECK(first_line(ran) ==
        "ann passes, though watching would deny it (shadow): 0 of 1 left, would pass in 1 s");
  segment->set_override("api", "vip", Limit::per_second(1'000));
  const json vip = object_of(segment, {"vip"});
  CHECK(vip["policies"][1]["override"] == "1k/s");
  CHECK(vip["policies"][1]["limit"] == 1'000);
  Limiter api = segment->limiter("api");
  (void)api.try_acquire("vip", 1'000);
  CHECK(first_line(why(segment, {"vip"})) ==
        "vip is limited by api (override 1k/s): 0 of 1000 left, passes in 1 ms");
  segment->switch_limits(false);
  ran = why(segment, {"vip"});
  CHECK(ran.exit_code == 0);
  CHECK(first_line(ran).starts_with("vip passes: limits are off since 20"));
  CHECK(object_of(segment, {"vip"}).contains("off_since"));
}

TEST_CASE("denials_that_lead_to_a_ban_are_counted_out") {
  Scratch segment(kManual);
  Limiter api = segment->limiter("api", Limit::parse("1/h ban_after=3/m ban=10m"));
  for (int i = 0; i < 3; ++i) (void)api.try_acquire("ann");
  json denials = object_of(segment, {"ann"})["policies"][0]["denials"];
  CHECK(denials["count"] == 2);
  CHECK(denials["ban_after"] == 3);
  CHECK(denials["bans_in_a_row"] == 0);
  CHECK(why(segment, {"ann"}).out.find("api: 2 of the 3 denials that ban are counted") !=
        std::string::npos);
  (void)api.try_acquire("ann");
  CHECK(first_line(why(segment, {"ann"})) ==
        "ann is denied by api: banned " + by_me() + " for 10 min 1 s more (3 denials)");
  denials = object_of(segment, {"ann"})["policies"][0]["denials"];
  CHECK(denials["count"] == 0);
  CHECK(denials["bans_in_a_row"] == 1);
}

TEST_CASE("permits_are_told_with_their_holders_and_a_trial_with_what_it_would_have") {
  Scratch segment(kManual);
  Limiter uploads = segment->limiter("uploads", Limit::parse("concurrency 2 lease=30s"));
  Permit first = uploads.permit("bob");
  CHECK(first_line(why(segment, {"bob"})) ==
        "bob passes under uploads: 1 of 2 permits free, full in 30.1 s");
  Permit second = uploads.permit("bob");
  const Ran ran = why(segment, {"bob"});
  CHECK(ran.exit_code == 1);
  CHECK(
      first_line(ran).starts_with("bob is limited by uploads: 0 of 2 permits free, passes in 30"));
  const std::string holder = "held by process " + std::to_string(::getpid());
  CHECK(ran.out.find(holder) != ran.out.npos);
  const json permits = object_of(segment, {"bob"})["policies"][0]["permits"];
  REQUIRE(permits.size() == 2);
  CHECK(permits[0]["pid"] == ::getpid());
  CHECK(permits[0]["left_ns"] > 29'000'000'000);
  Limiter api = segment->limiter("api", Limit::per_second(10));
  segment->set_candidate("api", Limit::per_second(2));
  for (int i = 0; i < 3; ++i) (void)api.try_acquire("bob");
  const json trial = object_of(segment, {"bob"})["policies"][1]["trial"];
  CHECK(trial["policy_limit"] == "2/s");
  CHECK(trial["remaining"] == 0);
  CHECK(trial["denied_count"] == 1);
}

TEST_CASE("permits_of_a_process_that_died_are_free") {
  Scratch segment({.keys = 100});
  (void)segment->limiter("uploads", Limit::parse("concurrency 2 lease=1h"));
  Child holder([&] {
    Segment own = Segment::open(segment.name());
    Limiter uploads = own.limiter("uploads");
    const Permit first = uploads.permit("bob");
    const Permit second = uploads.permit("bob");
    while (true) ::pause();  // ends: it is killed
  });
  REQUIRE(poll_until([&] { return why(segment, {"bob"}).exit_code == 1; }));
  holder.signal(SIGKILL);
  (void)holder.wait();
  const Ran ran = why(segment, {"bob"});
  CHECK(ran.exit_code == 0);
  CHECK(first_line(ran).starts_with("bob is free"));
}

TEST_CASE("another_spelling_of_an_address_finds_its_key") {
  Scratch segment(kManual);
  Limiter api = segment->limiter("api", Limit::per_second(10));
  (void)api.try_acquire(AddressKey("2001:db8:1:2::7"));
  (void)api.try_acquire("203.0.113.7");
  (void)api.try_acquire(AddressKey("203.0.113.7", {.ipv4 = 24}));
  for (const char* spelling : {"2001:DB8:1:2::7", "2001:db8:1:2:0:0:0:9", "[2001:db8:1:2::7]:443",
                               "2001:db8:1:2::/64 ", "2001:db8:1:2:ffff::"}) {
    CAPTURE(spelling);
    const Ran ran = why(segment, {spelling});
    CHECK(ran.exit_code == 0);
    CHECK(first_line(ran) == "2001:db8:1:2::/64 passes under api: 9 of 10 left, full in 100 ms");
    CHECK(ran.out.find("2001:db8:1:2::/64 is its key") != ran.out.npos);
    const json object = object_of(segment, {spelling});
    CHECK(object["asked"] == spelling);
    CHECK(object["key"] == "2001:db8:1:2::/64");
  }
  for (const char* spelling : {"203.0.113.7:8080", "::ffff:203.0.113.7", " 203.0.113.7"})
    CHECK(object_of(segment, {spelling})["key"] == "203.0.113.7");
  CHECK(object_of(segment, {"203.0.113.7"})["also_kept"] == json{"203.0.113.0/24"});
  CHECK(object_of(segment, {"203.0.113.9"})["key"] == "203.0.113.0/24");
}

TEST_CASE("of_several_spellings_that_are_kept_the_answer_is_of_the_one_that_is_denied") {
  Scratch segment(kManual);
  Limiter api = segment->limiter("api", Limit::per_second(10));
  (void)api.try_acquire("203.0.113.7");
  segment->ban("api", "203.0.113.0/24", std::chrono::minutes(10));
  const Ran ran = why(segment, {"203.0.113.7"});
  CHECK(ran.exit_code == 1);
  CHECK(first_line(ran).starts_with("203.0.113.0/24 is denied by api: banned"));
  CHECK(ran.out.find("nothing worse holds there: 203.0.113.7.") != ran.out.npos);
  CHECK(object_of(segment, {"203.0.113.7"})["also_kept"] == json{"203.0.113.7"});
}

TEST_CASE("an_unknown_key_passes_and_a_near_one_is_offered") {
  Scratch segment(kManual);
  Limiter api = segment->limiter("api", Limit::per_second(10));
  (void)api.try_acquire("user:42");
  const Ran ran = why(segment, {"usr:42"});
  CHECK(ran.exit_code == 0);
  CHECK(first_line(ran) == "usr:42 is free: nothing is known of it under 1 policy");
  CHECK(ran.out.find("user:42: did you mean that?") != ran.out.npos);
  CHECK(object_of(segment, {"usr:42"})["nearest"] == "user:42");
  CHECK(object_of(segment, {"usr:42"})["verdict"] == "unknown");
  CHECK(!object_of(segment, {"somebody else"}).contains("nearest"));
  Scratch empty(kManual);
  CHECK(first_line(why(empty, {"ann"})) == "ann passes: no policy is in force");
}

TEST_CASE("nothing_of_a_key_reaches_the_terminal_as_it_is_and_nothing_is_written") {
  const Made made;
  made.policy("api", "1/s");
  const std::string odd("a\nb\x01\xff");
  for (int i = 0; i < 2; ++i) (void)rlctl({"acquire", made.name(), "api", "--key-file", "-"}, odd);
  const std::string before = contents(made.path());
  const Ran ran = rlctl({"why", made.name(), "--key-file", "-"}, odd);
  CHECK(ran.exit_code == 1);
  CHECK(ran.out.starts_with("a\\x0ab\\x01\\xff is limited by api: 0 of 1 left, passes in 1 s\n"));
  CHECK(ran.out.find('\x01') == ran.out.npos);
  CHECK((contents(made.path()) == before));
}

TEST_CASE("a_key_longer_than_any_label_is_answered_for") {
  Scratch segment(kManual);
  Limiter api = segment->limiter("api", Limit::per_second(10));
  const std::string key(500, 'k');
  (void)api.try_acquire(key, 10);
  segment->ban("api", key, std::chrono::minutes(1), "long");
  const json object = object_of(segment, {key});
  CHECK(object["verdict"] == "banned");
  CHECK(object["policies"][0]["reason"] == "long");
  CHECK(object_of(segment, {key + "k"})["verdict"] == "unknown");
  CHECK(why(segment, {key}).out.find("any key that begins like it") != std::string::npos);
  segment->ban("api", "short", std::chrono::minutes(1));
  CHECK(why(segment, {"short"}).out.find("begins like it") == std::string::npos);
}

TEST_CASE("what_is_typed_wrong_is_explained") {
  Scratch segment(kManual);
  (void)segment->limiter("api", Limit::per_second(10));
  check_error(why(segment, {}), "no key is given");
  check_error(why(segment, {"ann", "--policy", "apj"}), "did you mean \"api\"?");
  check_error(why(segment, {""}), "the key is empty");
  check_error(rlctl({"why", unique_name(), "ann"}), "no such segment");
}

/// Fills a table of so few keys that most lists are full, and returns a key that finds no slot.
std::string key_without_room(Segment& segment, const std::string& policy) {
  Limiter filler = segment.limiter("filler", Limit::parse("5/h when_full=deny"));
  for (int i = 0; i < 1'000; ++i) (void)filler.try_acquire("filler:" + std::to_string(i), 5);
  Limiter limiter = segment.limiter(policy);
  const std::uint64_t before = segment.info().full_denied;
  for (int i = 0; i < 1'000; ++i) {
    const std::string key = "new:" + std::to_string(i);
    if (limiter.try_acquire(key).reason != Reason::full) continue;
    CHECK(segment.info().full_denied == before + 1);
    return key;
  }
  FAIL("every key has found a slot");
  return "";
}

TEST_CASE("a_key_whose_list_is_full_is_denied_or_evicts_as_its_policy_says") {
  Scratch segment({.keys = 10, .clock = ClockSource::manual});
  (void)segment->limiter("strict", Limit::parse("10/s when_full=deny"));
  const std::string key = key_without_room(*segment, "strict");
  const Ran ran = why(segment, {key, "--policy", "strict"});
  CHECK(ran.exit_code == 1);
  CHECK(first_line(ran) == key + " is denied by strict: its list is full (when_full=deny)");
  CHECK(ran.out.find("strict: all 16 slots that it could have are taken") != ran.out.npos);
  const json object = object_of(segment, {key, "--policy", "strict"});
  CHECK(object["verdict"] == "full");
  CHECK(object["policies"][0]["list_full"] == true);
  CHECK(object["policies"][0]["when_full"] == "deny");
  CHECK(object["policies"][0]["limit"] == 10);
  // A key that has its slot passes there as ever, and what time has made idle is room.
  CHECK(
      !object_of(segment, {"filler:0", "--policy", "filler"})["policies"][0].contains("list_full"));
  segment->advance_clock(std::chrono::hours(2));
  CHECK(why(segment, {key, "--policy", "strict"}).exit_code == 0);
  CHECK(segment->limiter("strict").try_acquire(key).allowed);
}

TEST_CASE("a_full_list_lets_pass_where_the_policy_evicts_allows_or_only_watches") {
  struct Case {
    const char* limit;
    const char* says;
  };
  for (const Case& one :
       {Case{"10/s when_full=evict", "its next call takes that of the one that owes least"},
        Case{"10/s when_full=allow", "a call without one passes, uncounted"},
        Case{"10/s when_full=deny shadow", "a call without one passes, as this only watches"}}) {
    CAPTURE(one.limit);
    Scratch segment({.keys = 10, .clock = ClockSource::manual});
    (void)segment->limiter("strict", Limit::parse("10/s when_full=deny"));
    (void)key_without_room(*segment, "strict");
    Limiter api = segment->limiter("api", Limit::parse(one.limit));
    int full = 0;
    for (int i = 0; i < 20; ++i) {
      const std::string key = "k" + std::to_string(i);
      const Ran ran = why(segment, {key, "--policy", "api"});
      CHECK(ran.exit_code == 0);
      if (ran.out.find(one.says) != ran.out.npos) ++full;
      if (full == 1) {
        CHECK(api.try_acquire(key).allowed);
        break;
      }
    }
    CHECK(full == 1);
  }
}

TEST_CASE("a_policy_that_is_damaged_leaves_the_answer_open_unless_another_denies") {
  Scratch segment(kManual);
  Limiter api = segment->limiter("api", Limit::per_second(1));
  (void)segment->limiter("other", Limit::per_second(10));
  const shm::Mapping mapping = shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
  ++mapping.policies()[1].constants.burst;  // what the checksum denies
  const Ran ran = why(segment, {"ann"});
  CHECK(ran.exit_code == 2);
  CHECK(ran.out.find(" cannot be read, and may deny it\n") != ran.out.npos);
  CHECK(ran.out.find("is damaged and says nothing") != ran.out.npos);
  CHECK(ran.err.find("so nobody can tell whether ann passes; see `rlctl doctor`") != ran.err.npos);
  CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  const Ran in_json = why(segment, {"ann", "--json"});
  CHECK(in_json.exit_code == 2);
  const json object = json::parse(in_json.out, nullptr, false);
  REQUIRE(object.is_object());
  CHECK(object["verdict"] == "untold");
  CHECK(object["passes"].is_null());
  CHECK(object["unreadable"].size() == 1);
  (void)api.try_acquire("ann");
  CHECK(why(segment, {"ann"}).exit_code == 1);
  segment->switch_limits(false);
  CHECK(why(segment, {"ann"}).exit_code == 0);
}

}  // namespace
}  // namespace rl::test
