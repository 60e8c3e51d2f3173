// Limiter::count: what callers are told, and what else of the library does with a policy that counts.

#include <doctest/doctest.h>
#include <rl/rl.h>

#include <string>

#include "src/core.hpp"
#include "tests/dumps.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = std::chrono::nanoseconds(Counter::kTickNs);

SegmentOptions by_hand(std::uint64_t keys = 1'000) {
  return {.keys = keys, .clock = ClockSource::manual};
}

TEST_CASE("each_call_is_told_what_the_key_counts_with_it_and_until_when") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  const Counted first = hits.count("k", 1, 10s);
  CHECK(first);
  CHECK(first.reason == Reason::ok);
  CHECK(first.count == 1);
  CHECK(first.expires_in >= 10s);
  CHECK(first.expires_in < 10s + kTick);
  segment->advance_clock(4s);
  const Counted second = hits.count("k", 5, 10s);
  CHECK(second.count == 6);
  CHECK(second.expires_in == first.expires_in - 4s);
  CHECK(hits.count("other", 2, 10s).count == 2);
  segment->advance_clock(second.expires_in - 1ns);
  CHECK(hits.peek_count("k").count == 6);
  CHECK(hits.peek_count("k").expires_in == 1ns);
  segment->advance_clock(1ns);
  CHECK(hits.peek_count("k").count == 0);
  CHECK(hits.peek_count("k").expires_in == 0ns);
  CHECK(hits.count("k", 1, 10s).count == 1);
}

TEST_CASE("each_call_begins_the_expiry_anew_where_it_says_so") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  for (std::uint64_t n = 1; n <= 5; ++n) {
    const Counted told = hits.count("k", 1, 10s, Expiry::each);
    CHECK(told.count == n);
    CHECK(told.expires_in >= 10s);
    CHECK(told.expires_in < 10s + kTick);
    segment->advance_clock(9s);
  }
  CHECK(hits.peek_count("k").count == 5);
  segment->advance_clock(1s + kTick);
  CHECK(hits.peek_count("k").count == 0);
}

TEST_CASE("the_shortest_expiry_of_a_key_holds") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  CHECK(hits.count("k", 1, 24h).expires_in >= 24h);
  CHECK(hits.count("k", 1, 10s).expires_in < 10s + kTick);
  const Counted third = hits.count("k", 1, 24h);
  CHECK(third.count == 3);
  CHECK(third.expires_in < 10s + kTick);
}

TEST_CASE("a_count_stays_at_the_most_there_is") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  CHECK(hits.count("k", kCountedMax - 1, 1h).count == kCountedMax - 1);
  CHECK(hits.count("k", 3, 1h).count == kCountedMax);
  CHECK(hits.count("k", ~std::uint64_t{0}, 1h).count == kCountedMax);
  CHECK(hits.count("longest", 1, std::chrono::nanoseconds::max()).count == 1);
}

TEST_CASE("a_look_adds_nothing_and_needs_no_right_to_write") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  CHECK(hits.peek_count("k"));
  CHECK(hits.count("k", 0, 0s));
  CHECK_FALSE(segment->find("hits", "k"));
  (void)hits.count("k", 3, 10s);
  Segment reader = Segment::open_read_only(segment.name());
  Limiter looks = reader.limiter("hits");
  CHECK(looks.peek_count("k").count == 3);
  CHECK(looks.count("k", 0, 10s, Expiry::each).count == 3);
  CHECK(looks.count("k", 1, 10s).reason == Reason::invalid);
  CHECK(hits.peek_count("k").count == 3);
}

TEST_CASE("what_makes_no_sense_is_not_counted") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  Limiter api = segment->limiter("api", Limit::per_second(1));
  Limiter uploads = segment->limiter("uploads", Limit::concurrency(1));
  for (const Counted& told :
       {hits.count("", 1, 1s), hits.count("k", 1, 0s), hits.count("k", 1, -1s), hits.peek_count(""),
        api.count("k", 1, 1s), api.peek_count("k"), uploads.count("k", 1, 1s),
        uploads.peek_count("k")}) {
    CHECK_FALSE(told);
    CHECK(told.reason == Reason::invalid);
    CHECK(told.count == 0);
    CHECK(told.expires_in == 0ns);
  }
  CHECK(segment->info().live == 0);
}

/// Counts new keys until one finds no room. Returns how many did.
std::uint64_t fill(Limiter& hits, std::uint64_t amount) {
  for (std::uint64_t key = 0; key < 1'000; ++key)
    if (!hits.count("key:" + std::to_string(key), amount, 1h)) return key;
  return 1'000;
}

TEST_CASE("S_a_flood_of_new_keys_takes_no_count_away_and_is_told_so") {
  test::Scratch segment(by_hand(1));
  Limiter logins = segment->limiter("logins", Limit::counter());
  CHECK(logins.count("mallory", 1, 1h).count == 1);
  const std::uint64_t before = fill(logins, 9);
  REQUIRE(before < 1'000);
  const Counted refused = logins.count("key:" + std::to_string(before), 1, 1h);
  CHECK_FALSE(refused);
  CHECK(refused.reason == Reason::full);
  CHECK(refused.count == 0);
  CHECK(logins.count("mallory", 1, 1h).count == 2);
  const SegmentInfo info = segment->info();
  CHECK(info.evicted == 0);
  CHECK(info.full_denied == 2);
}

TEST_CASE("who_says_evict_loses_the_smallest_count_first") {
  test::Scratch segment(by_hand(1));
  Limiter hits = segment->limiter("hits", Limit::parse("counter when_full=evict"));
  CHECK(hits.count("small", 1, 1h).count == 1);
  CHECK(hits.count("large", 100, 1h).count == 100);
  CHECK(fill(hits, 9) == 1'000);
  CHECK(hits.peek_count("small").count == 0);
  CHECK(hits.peek_count("large").count == 100);
  CHECK(segment->info().evicted > 0);
}

TEST_CASE("where_limits_are_off_or_removed_nothing_is_counted") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)hits.count("k", 3, 1h);
  (void)segment->switch_limits(false);
  CHECK(hits.count("k", 1, 1h).reason == Reason::off);
  CHECK(hits.peek_count("k").reason == Reason::off);
  (void)segment->switch_limits(true);
  CHECK(hits.count("k", 1, 1h).count == 4);
  CHECK(segment->remove_policy("hits"));
  CHECK_FALSE(hits.count("k", 1, 1h));
  CHECK(hits.count("k", 1, 1h).reason == Reason::off);
  CHECK(hits.peek_count("k").reason == Reason::off);
  // Made anew, it begins anew.
  Limiter again = segment->limiter("hits", Limit::counter());
  CHECK(again.count("k", 1, 1h).count == 1);
  CHECK(hits.count("k", 1, 1h).count == 2);
}

TEST_CASE("a_count_becomes_no_other_limit_and_keeps_what_it_has") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)segment->limiter("api", Limit::per_second(1));
  (void)hits.count("k", 3, 1h);
  CHECK_THROWS_AS(segment->set_policy("hits", Limit::per_second(1)), Error);
  CHECK_THROWS_AS(segment->set_policy("hits", Limit::concurrency(1)), Error);
  CHECK_THROWS_AS(segment->set_policy("api", Limit::counter()), Error);
  CHECK_THROWS_AS(segment->set_candidate("hits", Limit::per_second(1)), Error);
  CHECK_THROWS_AS(segment->set_candidate("api", Limit::counter()), Error);
  CHECK_THROWS_AS(segment->ban("hits", "k", 1h), Error);
  CHECK_THROWS_AS(segment->allow("hits", "k"), Error);
  CHECK_THROWS_AS(segment->set_override("hits", "k", Limit::per_second(1)), Error);
  CHECK_THROWS_AS(segment->set_override("api", "k", Limit::counter()), Error);
  CHECK_THROWS_AS((void)segment->limiters("list", Limits::parse("1/s, counter")), Error);
  segment->set_policy("hits", Limit::counter().when_full(WhenFull::evict));
  CHECK(hits.count("k", 1, 1h).count == 4);
  CHECK(hits.limit() == Limit::counter().when_full(WhenFull::evict));
  segment->set_policy("hits", Limit::counter(), Spent::reset);
  CHECK(hits.count("k", 1, 1h).count == 1);
}

TEST_CASE("a_reset_forgets_a_count") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)hits.count("k", 3, 1h);
  (void)hits.count("l", 3, 1h);
  CHECK(hits.reset("k"));
  CHECK_FALSE(hits.reset("k"));
  CHECK(hits.count("k", 1, 1h).count == 1);
  CHECK(segment->reset_all() == 2);
  CHECK(hits.peek_count("l").count == 0);
}

TEST_CASE("calls_are_counted_as_allowed_and_keys_are_listed_with_what_they_count") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)hits.count("k", 3, 1h);
  (void)hits.count("k", 4, 1h);
  (void)hits.peek_count("k");
  const auto row = segment->find("hits", "k");
  REQUIRE(row);
  CHECK(row->key == "k");
  CHECK(row->allowed_count == 2);
  CHECK(row->denied_count == 0);
  CHECK(row->limit - row->remaining == 7);
  CHECK(row->reset_after == hits.peek_count("k").expires_in);
  CHECK_FALSE(row->idle);
  const Totals totals = segment->totals();
  REQUIRE(totals.policies.size() == 1);
  CHECK(totals.policies[0].allowed == 2);
  CHECK(totals.policies[0].denied == 0);
}

TEST_CASE("a_dump_keeps_counts_and_what_is_left_of_their_expiry") {
  test::Scratch old(by_hand());
  Limiter hits = old->limiter("hits", Limit::counter());
  (void)hits.count("k", 3, 1h);
  (void)hits.count("gone", 3, 1s);
  old->advance_clock(600s);
  const std::string text = test::dumped(*old);
  CHECK(text.find("\"limit\":\"counter\"") != std::string::npos);
  CHECK(text.find("\"key\":\"k\",\"count\":3,\"left_ns\":") != std::string::npos);
  test::Scratch fresh(by_hand());
  (void)test::read(text).load(*fresh);
  Limiter loaded = fresh->limiter("hits");
  const Counted seen = loaded.peek_count("k");
  CHECK(seen.count == 3);
  CHECK(seen.expires_in >= hits.peek_count("k").expires_in);
  CHECK(seen.expires_in < 3'000s + 2 * kTick);
  CHECK(loaded.peek_count("gone").count == 0);
  CHECK(loaded.count("k", 1, 1h).count == 4);
  test::Scratch other(by_hand());
  (void)other->limiter("hits", Limit::per_second(1));
  CHECK_THROWS_AS((void)test::read(text).load(*other), Error);
}

TEST_CASE("without_a_segment_a_process_counts_alone_or_not_at_all") {
  const std::string nowhere = "/nonexistent-" + test::unique_name() + "/s";
  for (const OnFailure what : {OnFailure::allow, OnFailure::deny, OnFailure::local}) {
    set_log([](Severity, std::string_view, void*) noexcept {});
    Segment segment = Segment::open_or(nowhere, by_hand(), {.on_failure = what, .share = 4});
    Limiter hits = segment.limiter("hits", Limit::counter());
    const Counted told = hits.count("k", 3, 1h);
    const Counted seen = hits.peek_count("k");
    set_log(nullptr);
    CHECK(told.counted == (what == OnFailure::local));
    CHECK(seen.counted == told.counted);
    CHECK(told.reason == (told ? Reason::ok : Reason::unavailable));
    CHECK(seen.reason == told.reason);
    CHECK(told.count == (told ? 3 : 0));
  }
}

TEST_CASE("S_bytes_gone_wrong_end_with_the_next_call_or_a_reset") {
  test::Scratch segment(by_hand());
  Limiter hits = segment->limiter("hits", Limit::counter());
  (void)segment->limiter("api", Limit::per_second(1));
  (void)hits.count("k", 1, 10s);
  shm::Mapping mapping = shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
  const auto scribble = [&](std::uint16_t policy, std::uint64_t state) {
    for (std::uint64_t i = 0; i < mapping.table().slot_count(); ++i) {
      shm::Slot& slot = mapping.table().slot(i);
      const shm::SlotWords words = slot.words();
      if (!shm::is_member(words.tag)) continue;
      const auto identity = shm::identity_of(words.tag);
      REQUIRE(slot.compare_exchange(words, {shm::make_tag(identity, policy), state}));
    }
  };
  scribble(1, ~std::uint64_t{0});
  CHECK(hits.peek_count("k").count == kCountedMax);
  CHECK(hits.count("k", 1, 10s).expires_in < 10s + kTick);
  scribble(2, ~std::uint64_t{0} >> 1);  // of a policy that takes calls
  CHECK(hits.count("k", 1, 10s).reason == Reason::invalid);
  CHECK(hits.peek_count("k").reason == Reason::invalid);
  CHECK(hits.reset("k"));
  CHECK(hits.count("k", 1, 10s).count == 1);
}

TEST_CASE("in_c_a_count_says_the_same") {
  test::Scratch segment(by_hand());
  (void)segment->limiter("api", Limit::per_second(1));
  librl_segment_t* handle = nullptr;
  REQUIRE(librl_open(segment.name().c_str(), nullptr, &handle) == 0);
  librl_limiter_t* hits = nullptr;
  librl_limiter_t* api = nullptr;
  REQUIRE(librl_limiter(handle, "hits", "counter", &hits) == 0);
  REQUIRE(librl_limiter(handle, "api", nullptr, &api) == 0);
  constexpr std::int64_t kSecondNs = 1'000'000'000;
  librl_count_t told = LIBRL_COUNT_INIT;
  CHECK(librl_count(hits, "k", 1, 3, 10 * kSecondNs, 0, &told) == 1);
  CHECK(told.reason == LIBRL_OK);
  CHECK(told.count == 3);
  CHECK(told.expires_in_ns >= 10 * kSecondNs);
  CHECK(told.expires_in_ns < 10 * kSecondNs + kTick.count());
  CHECK(librl_advance_clock(handle, 9 * kSecondNs) == 0);
  CHECK(librl_count(hits, "k", 1, 1, 10 * kSecondNs, 1, nullptr) == 1);
  CHECK(librl_count(hits, "k", 1, 0, 0, 0, &told) == 1);
  CHECK(told.count == 4);
  CHECK(told.expires_in_ns >= 10 * kSecondNs);
  librl_count_t small{4, 0, 0, 0};
  CHECK(librl_count(hits, "k", 1, 1, kSecondNs, 0, &small) == LIBRL_EINVALID);
  CHECK(librl_count(hits, "", 0, 1, kSecondNs, 0, &told) == LIBRL_EINVALID);
  CHECK(told.reason == LIBRL_INVALID);
  CHECK(librl_count(hits, "k", 1, 1, 0, 0, &told) == LIBRL_EINVALID);
  CHECK(librl_count(api, "k", 1, 1, kSecondNs, 0, &told) == LIBRL_EINVALID);
  CHECK(librl_count(nullptr, "k", 1, 1, kSecondNs, 0, &told) == LIBRL_EINVALID);
  (void)segment->switch_limits(false);
  CHECK(librl_count(hits, "k", 1, 1, kSecondNs, 0, &told) == 0);
  CHECK(told.reason == LIBRL_OFF);
  CHECK(told.count == 0);
  librl_limiter_free(hits);
  librl_limiter_free(api);
  librl_close(handle);
}

}  // namespace
}  // namespace rl
