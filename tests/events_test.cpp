// What happened is told, nobody waits for a reader, and who dies in the middle hurts nobody.
#include <doctest/doctest.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include <rl/rl.hpp>

#include "shm/events.hpp"
#include "shm/mapping.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t kRoom = shm::kEventsPerRing;

struct Got {
  std::vector<Event> events;
  std::uint64_t lost = 0;

  [[nodiscard]] std::size_t of(EventKind kind) const {
    return static_cast<std::size_t>(std::count_if(events.begin(), events.end(),
                                                  [&](const Event& e) { return e.kind == kind; }));
  }
  [[nodiscard]] const Event& first(EventKind kind) const {
    const auto at =
        std::find_if(events.begin(), events.end(), [&](const Event& e) { return e.kind == kind; });
    REQUIRE(at != events.end());
    return *at;
  }
};

Got poll(Events& events) {
  Got got;
  const EventsRead read = events.poll([&](const Event& e) { got.events.push_back(e); });
  CHECK(read.delivered == got.events.size());
  got.lost = read.lost;
  return got;
}

Got all_of_segment(const Segment& segment) {
  Events events(segment);
  return poll(events);
}

/// A limit of so many calls, none of which comes back while a test runs.
Limit so_many(std::uint64_t calls) {
  return Limit::per_hour(1).burst(calls);
}

/// The bytes of a segment, as a process has them that can write anything.
shm::Mapping mapped(const std::string& path) {
  return shm::Mapping::attach(path, shm::Access::read_write, false);
}

shm::EventImage some_event() {
  shm::EventImage image{};
  image.kind = static_cast<std::uint8_t>(EventKind::denied);
  return image;
}

TEST_CASE("the_first_denial_of_each_key_after_it_was_allowed_is_told") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", Limit::per_second(1).burst(2));
  Events events(*segment);
  for (const char* key : {"ann", "bob"})
    for (int i = 0; i < 7; ++i) (void)api.try_acquire(key);
  const Got got = poll(events);
  REQUIRE(got.of(EventKind::denied) == 2);
  const Event& first = got.first(EventKind::denied);
  CHECK(first.policy == "api");
  CHECK(first.key == "ann");
  CHECK(!first.key_truncated);
  CHECK(first.reason == Reason::limited);
  CHECK(first.pid == static_cast<std::uint32_t>(::getpid()));
  CHECK(first.cost == 1);
  CHECK(first.limit == 2);
  CHECK(first.remaining == 0);
  CHECK(first.wait >= 1s);
  CHECK(std::chrono::abs(std::chrono::system_clock::now() - first.when) < 60s);

  segment->advance_clock(10s);
  for (int i = 0; i < 7; ++i) (void)api.try_acquire("ann");
  CHECK(poll(events).of(EventKind::denied) == 1);
  CHECK(poll(events).events.empty());
}

TEST_CASE("of_the_other_denials_one_in_so_many_is_told") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(1));
  segment->set_denials_per_event(7);
  CHECK(segment->denials_per_event() == 8);
  for (int i = 0; i < 1 + 80; ++i) (void)api.try_acquire("k");
  CHECK(all_of_segment(*segment).of(EventKind::denied) == 1 + 80 / 8);
  CHECK_THROWS_AS(segment->set_denials_per_event(0), Error);
}

TEST_CASE("denials_of_each_way_to_ask_are_told") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(1));
  Limiter watched = segment->limiter("watched", so_many(1).shadow(true));
  Limiter jobs = segment->limiter("jobs", Limit::concurrency(1));
  Events events(*segment);
  const Permit held = jobs.permit("p");
  CHECK(!jobs.permit("p"));
  for (int i = 0; i < 2; ++i) (void)watched.try_acquire("w");
  for (int i = 0; i < 2; ++i) (void)api.reserve("r", 1, Instant{});
  std::vector<std::string_view> keys{"b", "b"};
  std::vector<Decision> decisions(2);
  api.try_acquire_batch(keys, decisions);
  CHECK(all_of({{api, "a"}, {watched, "a"}}));
  CHECK(!all_of({{api, "a"}, {watched, "a"}}));
  const Got got = poll(events);
  std::vector<std::string> told;
  for (const Event& e : got.events) told.push_back(e.policy + ":" + e.key);
  std::sort(told.begin(), told.end());
  CHECK(told ==
        std::vector<std::string>{"api:a", "api:b", "api:r", "jobs:p", "watched:a", "watched:w"});
  for (const Event& e : got.events)
    if (e.policy == "watched") CHECK(e.reason == Reason::shadow);
}

TEST_CASE("changes_bans_evictions_and_full_lists_are_told") {
  test::Scratch segment({.keys = 1, .clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(2).when_full(WhenFull::evict));
  Events events(*segment);
  segment->set_policy("api", so_many(3).when_full(WhenFull::evict));
  CHECK(segment->ban("api", "bad", 1min, "scans"));
  for (int i = 0; i < 60; ++i) (void)api.try_acquire("key " + std::to_string(i));
  segment->set_policy("api", so_many(3).when_full(WhenFull::deny));
  for (int i = 0; i < 5; ++i) (void)api.try_acquire("late " + std::to_string(i));
  const Got got = poll(events);
  CHECK(got.of(EventKind::changed) == 2);
  CHECK(got.first(EventKind::changed).change == Change::policy_set);
  CHECK(got.first(EventKind::changed).policy == "api");
  CHECK(got.first(EventKind::banned).key == "bad");
  CHECK(got.first(EventKind::banned).change == Change::banned);
  CHECK(got.first(EventKind::banned).wait == 1min);
  CHECK(got.of(EventKind::evicted) == segment->info().evicted);
  CHECK(got.of(EventKind::evicted) > 30);
  CHECK(got.of(EventKind::full) == 1);
  CHECK(got.first(EventKind::full).key.starts_with("late "));
  CHECK(got.first(EventKind::full).reason == Reason::full);
}

TEST_CASE("a_key_that_is_banned_for_its_denials_is_told") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(1).ban_after(3, 1min, 10min));
  for (int i = 0; i < 5; ++i) (void)api.try_acquire("k");
  const Got got = all_of_segment(*segment);
  CHECK(got.first(EventKind::banned).key == "k");
  CHECK(got.first(EventKind::banned).policy == "api");
  CHECK(got.first(EventKind::banned).wait == 10min);
}

TEST_CASE("a_segment_that_may_not_keep_keys_has_their_text_nowhere") {
  test::Scratch segment({.labels = false, .clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(1).ban_after(3, 1min, 10min));
  for (int i = 0; i < 9; ++i) (void)api.try_acquire("a-secret-key");
  (void)segment->ban("api", "a-secret-key", 1min);
  CHECK(all_of_segment(*segment).first(EventKind::denied).key.empty());
  const shm::Mapping mapping = mapped(segment.path());
  const std::string_view bytes(reinterpret_cast<const char*>(&mapping.header()),
                               mapping.geometry().total_bytes);
  CHECK(bytes.find("a-secret-key") == bytes.npos);
}

TEST_CASE("the_text_of_a_long_key_is_cut") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(1));
  const std::string key(100, 'x');
  for (int i = 0; i < 2; ++i) (void)api.try_acquire(key);
  const Event told = all_of_segment(*segment).first(EventKind::denied);
  CHECK(told.key == key.substr(0, shm::EventImage::kKeyBytes));
  CHECK(told.key_truncated);
}

TEST_CASE("what_nobody_reads_is_overwritten_and_counted") {
  test::Scratch segment;
  const shm::Mapping bytes = mapped(segment.path());
  Events late(*segment);
  for (std::uint64_t i = 0; i < kRoom + 10; ++i) {
    shm::EventImage image = some_event();
    shm::write_event(bytes, 3, image);
  }
  CHECK(segment->totals().events == kRoom + 10);
  CHECK(segment->totals().events_lost == 10);
  const Got got = poll(late);
  CHECK(got.events.size() == kRoom);
  CHECK(got.lost == 10);
}

TEST_CASE("what_a_consumer_has_read_is_not_lost_and_the_next_one_goes_on_from_there") {
  test::Scratch segment;
  const shm::Mapping bytes = mapped(segment.path());
  const auto write = [&](std::uint64_t count) {
    for (std::uint64_t i = 0; i < count; ++i) {
      shm::EventImage image = some_event();
      shm::write_event(bytes, 3, image);
    }
  };
  {
    Events consumer(*segment, Events::From::oldest, Events::As::consumer);
    write(kRoom);
    CHECK(poll(consumer).events.size() == kRoom);
  }
  write(20);
  CHECK(segment->totals().events_lost == 0);
  Events next(*segment, Events::From::oldest, Events::As::consumer);
  CHECK(poll(next).events.size() == 20);
  CHECK(all_of_segment(*segment).events.size() == kRoom);  // who only looks sees all that is there
  Events from_now(*segment, Events::From::now);
  CHECK(poll(from_now).events.empty());
}

TEST_CASE("what_a_consumer_was_not_told_the_next_one_has") {
  test::Scratch segment;
  const shm::Mapping bytes = mapped(segment.path());
  for (int i = 0; i < 20; ++i) {
    shm::EventImage image = some_event();
    shm::write_event(bytes, 3, image);
  }
  Events dies(*segment, Events::From::oldest, Events::As::consumer);
  CHECK_THROWS_AS(dies.poll([](const Event&) { throw 1; }), int);
  Events next(*segment, Events::From::oldest, Events::As::consumer);
  CHECK(poll(next).events.size() == 20);
}

TEST_CASE("a_key_at_its_limit_all_the_time_does_not_drown_what_is_rare") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", Limit::per_second(1));
  Events events(*segment);
  segment->set_policy("api", Limit::per_second(1).burst(1).floor(1));
  for (int i = 0; i < 20'000; ++i) {  // allowed, denied, allowed, denied
    (void)api.try_acquire("k");
    (void)api.try_acquire("k");
    segment->advance_clock(1s);
  }
  const Totals totals = segment->totals();
  CHECK(totals.policies.at(0).denied == 20'000);
  CHECK(totals.events < 10'000);  // 1,000 a second, and the sampled ones
  CHECK(poll(events).of(EventKind::changed) == 1);
}

TEST_CASE("P_any_number_of_dead_writers_hold_a_reader_up_for_one_second") {
  test::Scratch segment;
  const shm::Mapping bytes = mapped(segment.path());
  Events events(*segment);
  bytes.event_rings()[2].next.fetch_add(60, std::memory_order_relaxed);  // drawn, and killed
  CHECK(poll(events).events.empty());
  const auto begin = std::chrono::steady_clock::now();
  Got got;
  while (got.lost == 0 && std::chrono::steady_clock::now() < begin + 10s) {
    std::this_thread::sleep_for(10ms);
    got = poll(events);
  }
  CHECK(got.lost == 60);
}

TEST_CASE("P_an_event_whose_writer_died_holds_a_reader_up_for_a_second_at_most") {
  test::Scratch segment;
  const shm::Mapping bytes = mapped(segment.path());
  Events events(*segment);
  shm::EventImage image = some_event();
  shm::write_event(bytes, 0, image);
  bytes.event_rings()[0].next.fetch_add(1, std::memory_order_relaxed);  // drawn, and killed
  shm::write_event(bytes, 0, image);
  CHECK(poll(events).events.size() == 1);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  Got rest;
  while (rest.events.empty() && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(10ms);
    rest = poll(events);
  }
  CHECK(rest.events.size() == 1);
  CHECK(rest.lost == 1);
}

TEST_CASE("S_an_event_that_was_half_written_over_by_a_late_writer_is_lost_and_not_shown") {
  test::Scratch segment;
  const shm::Mapping bytes = mapped(segment.path());
  shm::EventImage image = some_event();
  for (int i = 0; i < 3; ++i) shm::write_event(bytes, 0, image);
  for (std::size_t word = 2; word < 9; ++word)
    bytes.event_rings()[0].records[1].words[word].store(word * 77, std::memory_order_relaxed);
  Events events(*segment);
  CHECK(poll(events).events.size() == 1);
  std::this_thread::sleep_for(1100ms);
  const Got rest = poll(events);
  CHECK(rest.events.size() == 1);
  CHECK(rest.lost == 1);
}

TEST_CASE("SP_hostile_numbers_cost_a_reader_no_more_than_a_ring") {
  test::Scratch segment;
  const shm::Mapping bytes = mapped(segment.path());
  shm::EventImage image = some_event();
  for (int i = 0; i < 300; ++i) shm::write_event(bytes, 5, image);
  Events events(*segment);
  for (const std::uint64_t next : {~std::uint64_t{0}, std::uint64_t{0}, std::uint64_t{1} << 63}) {
    bytes.event_rings()[5].next.store(next, std::memory_order_relaxed);
    bytes.event_rings()[5].read_to.store(~next, std::memory_order_relaxed);
    const Got got = poll(events);
    CHECK(got.events.size() <= kRoom);
    Events other(*segment, Events::From::oldest, Events::As::consumer);
    CHECK(poll(other).events.size() <= kRoom);
  }
}

TEST_CASE("a_read_only_segment_can_be_watched_but_not_consumed") {
  test::Scratch segment({.clock = ClockSource::manual});
  Limiter api = segment->limiter("api", so_many(1));
  for (int i = 0; i < 2; ++i) (void)api.try_acquire("k");
  const Segment looked_at = Segment::open_read_only(segment.name());
  CHECK(all_of_segment(looked_at).of(EventKind::denied) == 1);
  CHECK_THROWS_AS(Events(looked_at, Events::From::oldest, Events::As::consumer), Error);
}

TEST_CASE("a_reader_follows_a_segment_that_was_made_anew") {
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", so_many(1));
  Events events(*segment);
  REQUIRE(::unlink(segment.path().c_str()) == 0);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  Got got;
  while (got.of(EventKind::copied) == 0 && std::chrono::steady_clock::now() < deadline) {
    (void)api.try_acquire("k");
    got = poll(events);
  }
  CHECK(got.of(EventKind::copied) == 1);
}

}  // namespace
}  // namespace rl
