// A mapping for reading only: every reader works on it, and nothing writes. The mapping is
// PROT_READ, so a write would be a SIGSEGV that ends the child, also where a reader meets a segment
// whose TSC was left, whose inserts are half done, or that is full.

#include <sys/stat.h>

#include <fstream>

#include "shm/mapping.hpp"
#include "tests/world/world.hpp"

namespace rl::test {
namespace {

/// Calls all that a reader can, and all that it cannot.
void use_all(Segment& segment) {
  Limiter api = segment.limiter("api");
  for (int i = 0; i < 3'000; ++i) {
    const std::string key = "k" + std::to_string(i % 300);
    (void)api.peek(key);
    (void)api.peek(key, 1'000);
    must(!api.try_acquire(key) && api.try_acquire(key).reason == Reason::invalid,
         "it decides nothing and says why");
    must(api.try_acquire_at(segment.now(), key).reason == Reason::invalid, "nor at a given time");
    must(!api.reset(key), "it resets nothing");
    (void)segment.find("api", key);
  }
  (void)api.limit();
  (void)api.differs();
  (void)segment.now();
  must(segment.info().policies == 1, "a policy");
  must(segment.policies().size() == 1, "the same");
  std::uint64_t keys = 0;
  segment.for_each_key([&](const KeyInfo&) { ++keys; });
  must(keys > 0, "keys");
  refused(Errc::read_only, [&] { (void)segment.limiter("new", Limit::per_day(1)); });
  refused(Errc::unknown_policy, [&] { (void)segment.limiter("new"); });
  refused(Errc::read_only, [&] { (void)segment.reset_all(); });
  refused(Errc::bad_option, [&] { segment.advance_clock(std::chrono::seconds(1)); });
}

/// The slots of a segment behind the library's back.
std::vector<shm::SlotWords> slots_of(const std::string& path) {
  const shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_only, true);
  std::vector<shm::SlotWords> all;
  for (std::uint64_t i = 0; i < mapping.table().slot_count(); ++i)
    all.push_back(mapping.table().slot(i).words());
  return all;
}

TEST_CASE("every_reader_works_on_a_mapping_for_reading_only_and_writes_nothing") {
  for (const ClockSource clock : {ClockSource::automatic, ClockSource::boottime}) {
    Scratch segment({.keys = 100, .clock = clock});
    Limiter api = segment->limiter("api", Limit::per_day(10));
    for (int i = 0; i < 400; ++i) (void)api.try_acquire("k" + std::to_string(i));  // full, too
    const std::vector<shm::SlotWords> before = slots_of(segment.path());
    CHECK(is_well(in_child([&] {
      Segment reader = Segment::open_read_only(segment.name());
      use_all(reader);
      Child child([&] { use_all(reader); });
      must(child.wait() == 0, "and in a forked child");
      must(segment->info().attached == 1, "it takes no seat");
    })));
    CHECK(slots_of(segment.path()) == before);
  }
}

TEST_CASE("a_mapping_for_reading_only_is_not_writable_at_all") {
  Scratch segment({.keys = 100});
  (void)segment->limiter("api", Limit::per_day(10)).try_acquire("k");
  Child child([&] {
    ::signal(SIGSEGV, SIG_DFL);  // not a crash to report, but what is asked for
    const shm::Mapping mapping =
        shm::Mapping::attach(segment.path(), shm::Access::read_only, false);
    mapping.header().health.evicted.fetch_add(1);  // what the tests of this file would die of
  });
  CHECK(child.wait() == 128 + SIGSEGV);
  CHECK(segment->info().evicted == 0);
}

TEST_CASE("a_reader_follows_a_name_that_is_replaced_and_makes_nothing_anew") {
  Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", Limit::per_day(10));
  CHECK(api.try_acquire("k", 4));
  CHECK(is_well(in_child([&] {
    Said said;
    listen(said);
    Segment reader = Segment::open_read_only(segment.name());
    Limiter seen = reader.limiter("api");
    const auto look = [&] {
      (void)seen.peek("k");
      pause_a_little();
    };
    look();
    must(::unlink(segment.path().c_str()) == 0, "the name is gone");
    must(until([&] { return said.lines > 0; }, look), "noticed");
    must(!is_there(segment.path()) && seen.peek("k").remaining == 6, "it sees what it has");
    Child writer([&] {
      Segment fresh = Segment::create(segment.name(), {.keys = 100});
      must(bool(fresh.limiter("api", Limit::per_day(10)).try_acquire("k", 9)), "a new one");
    });
    must(writer.wait() == 0, "a writer");
    must(until([&] { return seen.peek("k").remaining == 1; }, look), "followed");
  })));
}

}  // namespace
}  // namespace rl::test
