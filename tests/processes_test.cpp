// Real processes on one segment: exactness (Guarantee A), progress (P) and safety (S) from outside.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

#include <algorithm>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include "shm/mapping.hpp"
#include "src/policy.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using test::StartingGun;

using namespace std::chrono_literals;
using test::StartingGun;

TEST_CASE("A_eight_processes_on_one_key_get_exactly_the_limit_200_times") {
  for (int repeat = 0; repeat < 200; ++repeat) {
    test::Scratch segment({.keys = 100});
    Limiter api = segment->limiter("api", Limit::parse("100/h burst=100"));
    test::Shared<std::atomic<int>> admitted;
    StartingGun gun;
    std::vector<test::Child> children;
    for (int i = 0; i < 8; ++i) {
      children.emplace_back([&] {
        gun.wait();
        for (int call = 0; call < 50; ++call) admitted[0] += api.try_acquire("hot") ? 1 : 0;
      });
    }
    gun.fire();
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
    REQUIRE(admitted[0] == 100);
  }
}

/// What eight processes got of one key.
struct Grants {
  std::atomic<int> admitted;
  std::array<std::atomic<std::int64_t>, 100> wait_ns;
};

TEST_CASE("A_eight_processes_on_one_key_get_exactly_the_limit_of_every_algorithm") {
  const char* const limits[] = {"1/h burst=100", "leaky 1/h queue=99",
                                "leaky 1/h queue=99 delay=99", "window 100/h", "sliding 100/h"};
  for (const char* text : limits) {
    CAPTURE(text);
    const Limit limit = Limit::parse(text);
    for (int repeat = 0; repeat < 20; ++repeat) {
      test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
      Limiter api = segment->limiter("api", limit);
      test::Shared<Grants> grants;
      StartingGun gun;
      std::vector<test::Child> children;
      for (int i = 0; i < 8; ++i) {
        children.emplace_back([&] {
          gun.wait();
          for (int call = 0; call < 50; ++call) {
            const Decision d = api.try_acquire("hot");
            if (!d) continue;
            const int nth = grants[0].admitted++;
            if (nth < 100) grants[0].wait_ns.at(static_cast<std::size_t>(nth)) = d.wait.count();
          }
        });
      }
      gun.fire();
      for (test::Child& child : children) REQUIRE(child.wait() == 0);
      REQUIRE(grants[0].admitted == 100);
      // One goes ahead at once, and each of the others has an instant of its own.
      std::vector<std::int64_t> waits(grants[0].wait_ns.begin(), grants[0].wait_ns.end());
      std::sort(waits.begin(), waits.end());
      const bool all_wait = limit.queue() > limit.delay();
      for (std::size_t i = 0; i < waits.size(); ++i) {
        const auto place = static_cast<std::int64_t>(i);
        REQUIRE(waits[i] == (all_wait ? place * limit.interval().count() : 0));
      }
    }
  }
}

TEST_CASE("A_what_eight_processes_take_and_give_back_is_there_again_to_the_last_call") {
  for (const char* text : {"1/h burst=100", "window 100/h", "sliding 100/h"}) {
    CAPTURE(text);
    test::Scratch segment({.keys = 100, .clock = ClockSource::manual});
    Limiter api = segment->limiter("api", Limit::parse(text));
    test::Shared<std::atomic<int>> kept;
    StartingGun gun;
    std::vector<test::Child> children;
    for (int i = 0; i < 8; ++i) {
      children.emplace_back([&] {
        gun.wait();
        for (int call = 0; call < 5'000; ++call) {
          Decision d = api.try_acquire("hot", 1 + static_cast<std::uint64_t>(call % 3));
          if (!d) continue;
          if (call % 1'000 == 0) {
            kept[0] += static_cast<int>(d.cost);
          } else if (!api.refund("hot", d)) {
            throw 1;
          }
        }
      });
    }
    gun.fire();
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
    CHECK(kept[0] > 0);
    CHECK(static_cast<int>(api.peek("hot").remaining) == 100 - kept[0]);
  }
}

TEST_CASE("A_processes_that_open_for_themselves_share_the_limit_too") {
  const std::string name = test::unique_name();
  const test::RemoveAtEnd cleanup(name);
  test::Shared<std::atomic<int>> admitted;
  StartingGun gun;
  std::vector<test::Child> children;
  for (int i = 0; i < 8; ++i) {
    children.emplace_back([&] {
      gun.wait();
      Limiter api =
          Segment::open_or_create(name, {.keys = 100}).limiter("api", Limit::per_hour(100));
      for (int call = 0; call < 50; ++call) admitted[0] += api.try_acquire("hot") ? 1 : 0;
    });
  }
  gun.fire();
  for (test::Child& child : children) CHECK(child.wait() == 0);
  CHECK(admitted[0] == 100);
  CHECK(Segment::open(name).policies().size() == 1);
}

/// One admission of a recorded run.
struct Admission {
  std::uint32_t key;
  std::int64_t at_ns;
};

/// Bound A in every window at once: the sum of costs from s to e is at most burst + (e - s) /
/// interval for all s and e exactly if a bucket that is run over the admissions in the order of
/// their instants never overflows.
bool obeys_bound_A(std::vector<std::int64_t> instants, std::int64_t interval, std::int64_t burst,
                   std::int64_t in_flight) {
  std::sort(instants.begin(), instants.end());
  std::int64_t debt = 0;
  std::int64_t last = 0;
  for (const std::int64_t at : instants) {
    debt = std::max<std::int64_t>(0, debt - (at - last)) + interval;
    last = at;
    if (debt > (burst + in_flight) * interval) return false;
  }
  return true;
}

TEST_CASE(
    "A_eight_processes_on_1000_keys_of_a_refilling_limit_stay_within_the_bound_at_every_key") {
  constexpr std::size_t kProcesses = 8;
  constexpr std::size_t kEach = 60'000;
  constexpr std::uint32_t kKeys = 1'000;
  for (const bool own_time : {false, true}) {
    test::Scratch segment({.keys = 4 * kKeys});
    Limiter api = segment->limiter("api", Limit::per_second(1'000).burst(3));
    test::Shared<Admission> admissions(kProcesses * kEach);
    test::Shared<std::size_t> counts(kProcesses);
    StartingGun gun;
    std::vector<test::Child> children;
    for (std::size_t p = 0; p < kProcesses; ++p) {
      children.emplace_back([&, p] {
        std::mt19937 random(static_cast<unsigned>(p));
        gun.wait();
        for (std::size_t call = 0; call < kEach; ++call) {
          const auto key = static_cast<std::uint32_t>(random() % kKeys);
          const std::string text = "user:" + std::to_string(key);
          const Instant now = segment->now();
          const Decision d = own_time ? api.try_acquire_at(now, text) : api.try_acquire(text);
          if (d) admissions[p * kEach + counts[p]++] = {key, now.time_since_epoch().count()};
        }
      });
    }
    gun.fire();
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
    std::vector<std::vector<std::int64_t>> by_key(kKeys);
    std::size_t total = 0;
    for (std::size_t p = 0; p < kProcesses; ++p) {
      for (std::size_t i = 0; i < counts[p]; ++i) {
        const Admission& a = admissions[p * kEach + i];
        by_key[a.key].push_back(a.at_ns);
        ++total;
      }
    }
    // With the caller's time the recorded instant is the one that counts. Otherwise the call read
    // the clock itself, a little later, so calls of the other processes may have been in flight at
    // a window's ends.
    const std::int64_t in_flight = own_time ? 0 : kProcesses - 1;
    for (const auto& instants : by_key) {
      REQUIRE(obeys_bound_A(instants, api.limit().interval().count(), 3, in_flight));
    }
    CHECK(total > 4 * kKeys);  // the refill was seen
    CHECK(segment->info().evicted == 0);
    test::check_that_no_key_has_two_slots(segment.path());
  }
}

TEST_CASE("P_S_1000_workers_killed_at_random_leave_the_table_valid_and_the_others_deciding") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  // Small and churned: inserts, overwrites, evictions and full lists all the time.
  test::Scratch segment({.keys = 200});
  Limiter hot = segment->limiter("hot", Limit::per_hour(1'000'000));
  // Keys must owe for so long that lists fill, however many calls this machine makes just now; under
  // a sanitizer it is a tenth of them.
  Limiter churn =
      segment->limiter("churn", Limit::per_second(test::kSanitized ? 200 : 2'000).burst(2));
  test::Shared<std::atomic<std::uint64_t>> decided(2);
  test::Shared<std::atomic<std::uint64_t>> hot_admitted;
  const auto work = [&](std::atomic<std::uint64_t>& count) {
    std::mt19937 choose(static_cast<unsigned>(::getpid()));
    for (;;) {
      if (hot.try_acquire("hot")) ++hot_admitted[0];
      (void)churn.try_acquire("k" + std::to_string(choose() % 1'000));
      if (choose() % 64 == 0) (void)churn.reset("k" + std::to_string(choose() % 1'000));
      ++count;
    }
  };
  test::Child survivor([&] { work(decided[0]); });
  constexpr std::uint64_t kKills = test::kSanitized ? 100 : 1'000;
  for (std::uint64_t kill = 0; kill < kKills; ++kill) {
    const std::uint64_t before = decided[1];
    test::Child victim([&] { work(decided[1]); });
    // Kill it in the middle of its work, not of its birth.
    while (decided[1] == before) std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 200));
    victim.signal(SIGKILL);
    REQUIRE(victim.wait() == 128 + SIGKILL);
  }
  const std::uint64_t before = decided[0];
  const auto start = std::chrono::steady_clock::now();
  while (decided[0] < before + 1'000 && std::chrono::steady_clock::now() - start < 10s)
    std::this_thread::yield();
  CHECK(decided[0] >= before + 1'000);
  survivor.signal(SIGKILL);
  (void)survivor.wait();

  const std::uint64_t spent = 1'000'000 - hot.peek("hot").remaining;
  const std::uint64_t refilled = 1'000'000ULL * 60 / 3'600;  // at most what a minute brings back
  CHECK(hot_admitted[0] <= spent + refilled);
  CHECK(spent <=
        hot_admitted[0] + kKills + 1);  // a victim may die between its charge and its count
  const SegmentInfo info = segment->info();
  MESSAGE("kills " << kKills << ", calls " << 2 * (decided[0] + decided[1]) << ", evictions "
                   << info.evicted << ", tentatives freed " << info.tentatives_freed << ", gave up "
                   << info.gave_up);
  CHECK(info.evicted > 0);
  CHECK(info.gave_up == 0);
  CHECK(info.attached <= 1);  // ours alone
  test::check_that_no_key_has_two_slots(segment.path());
}

TEST_CASE("P_a_stopped_worker_stops_nobody") {
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", Limit::per_second(1'000'000));
  test::Shared<std::atomic<std::uint64_t>> calls;
  for (int stop = 0; stop < 50; ++stop) {
    const std::uint64_t before = calls[0];
    test::Child worker([&] {
      for (;;) {
        (void)api.try_acquire("k" + std::to_string(calls[0]++ % 300));
      }
    });
    while (calls[0] < before + 100) std::this_thread::yield();
    worker.signal(SIGSTOP);
    int status = 0;
    REQUIRE(::waitpid(worker.pid(), &status, WUNTRACED) == worker.pid());
    for (int i = 0; i < 300; ++i)
      REQUIRE(api.try_acquire("k" + std::to_string(i)).reason != Reason::full);
  }
}

TEST_CASE("a_segment_that_is_removed_under_live_processes_is_made_anew_with_its_contents") {
  set_log([](Severity, std::string_view, void*) noexcept {});
  test::Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", Limit::per_hour(100));
  for (int i = 0; i < 40; ++i) (void)api.try_acquire("k");
  struct stat first {};
  REQUIRE(::stat(segment.path().c_str(), &first) == 0);
  REQUIRE(::unlink(segment.path().c_str()) == 0);  // by accident: rm, or a logout

  // Within a second of use; held to ten.
  struct stat now {};
  const auto start = std::chrono::steady_clock::now();
  while (::stat(segment.path().c_str(), &now) != 0 &&
         std::chrono::steady_clock::now() - start < 10s) {
    (void)api.try_acquire("other");
    std::this_thread::sleep_for(1ms);
  }
  REQUIRE(::stat(segment.path().c_str(), &now) == 0);
  CHECK(now.st_ino != first.st_ino);
  Segment fresh = Segment::open(segment.name());
  CHECK(fresh.limiter("api").peek("k").remaining == 60);
  CHECK(fresh.find("api", "k")->key == "k");
  CHECK(fresh.find("api", "k")->allowed_count == 40);
  // Both handles now count together.
  CHECK(api.try_acquire("k"));
  CHECK(fresh.limiter("api").peek("k").remaining == 59);
  set_log(nullptr);
}

TEST_CASE("processes_whose_segment_was_replaced_meet_again_on_one_segment") {
  test::Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", Limit::per_hour(1'000'000));
  test::Shared<std::atomic<int>> seen_apart(4);
  test::Shared<std::atomic<bool>> stop;
  std::vector<test::Child> children;
  for (std::size_t i = 0; i < 4; ++i) {
    children.emplace_back([&, i] {
      set_log([](Severity, std::string_view,
                 void* moves) noexcept { ++*static_cast<std::atomic<int>*>(moves); },
              &seen_apart[i]);
      while (!stop[0]) (void)api.try_acquire("k");
    });
  }
  for (int round = 0; round < 4; ++round) {
    REQUIRE(::unlink(segment.path().c_str()) == 0);
    const auto start = std::chrono::steady_clock::now();
    const auto all_moved = [&] {
      for (std::size_t i = 0; i < 4; ++i) {
        if (seen_apart[i] <= round) return false;
      }
      return true;
    };
    while (!all_moved() && std::chrono::steady_clock::now() - start < 20s)
      std::this_thread::sleep_for(10ms);
    REQUIRE(all_moved());
  }
  // All four are attached to the one that has the name.
  CHECK(Segment::open_read_only(segment.name()).info().attached == 4);
  stop[0] = true;
  for (test::Child& child : children) CHECK(child.wait() == 0);
}

TEST_CASE("a_segment_that_is_removed_on_purpose_stays_away_and_its_processes_follow_the_next") {
  test::Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", Limit::per_hour(100));
  for (int i = 0; i < 40; ++i) (void)api.try_acquire("k");
  static std::atomic<int> lines;
  lines = 0;
  set_log([](Severity, std::string_view, void*) noexcept { ++lines; });
  REQUIRE(Segment::remove(segment.name()));
  const auto start = std::chrono::steady_clock::now();
  while (lines == 0 && std::chrono::steady_clock::now() - start < 10s)
    (void)api.try_acquire("other");
  CHECK(lines == 1);  // noticed and said, once
  struct stat st {};
  CHECK(::stat(segment.path().c_str(), &st) != 0);
  CHECK(api.peek("k").remaining == 60);  // until there is a new one, the limits go on

  Segment fresh = Segment::create(segment.name(), {.keys = 5'000});
  while (lines < 2 && std::chrono::steady_clock::now() - start < 20s)
    (void)api.try_acquire("other");
  CHECK(api.peek("k").remaining == 100);
  (void)api.try_acquire("k");
  CHECK(fresh.limiter("api").peek("k").remaining == 99);
  set_log(nullptr);
}

TEST_CASE("a_daemon_that_closed_all_descriptors_still_rescues_its_segment_and_has_a_seat") {
  test::Scratch segment({.keys = 1'000});
  (void)segment->limiter("api", Limit::per_hour(100));
  test::Child daemon([&] {
    set_log([](Severity, std::string_view, void*) noexcept {});
    Segment own = Segment::open(segment.name());
    Limiter api = own.limiter("api");
    for (int i = 0; i < 40; ++i) (void)api.try_acquire("k");
    for (int fd = 3; fd < 256; ++fd) ::close(fd);
    const auto start = std::chrono::steady_clock::now();
    const auto is_there = [&] { return ::access(segment.path().c_str(), F_OK) == 0; };
    const auto until = [&](auto done) {
      while (!done() && std::chrono::steady_clock::now() - start < 20s) {
        (void)api.try_acquire("other");
        std::this_thread::sleep_for(1ms);
      }
      return done();
    };
    // Its seat is gone with the descriptor; the next look takes a new one.
    if (!until([&] { return Segment::open_read_only(segment.name()).info().attached == 2; }))
      ::_exit(1);
    ::unlink(segment.path().c_str());
    if (!until(is_there)) ::_exit(2);
    ::_exit(Segment::open_read_only(segment.name()).limiter("api").peek("k").remaining == 60 ? 0
                                                                                             : 3);
  });
  CHECK(daemon.wait() == 0);
}

TEST_CASE("a_damaged_segment_that_is_removed_does_not_come_back") {
  test::Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", Limit::per_hour(100));
  static std::atomic<int> lines;
  lines = 0;
  set_log([](Severity, std::string_view, void*) noexcept { ++lines; });
  const int file = ::open(segment.path().c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::pwrite(file, "x", 1, offsetof(shm::HeaderConstants, keys)) == 1);
  ::close(file);
  REQUIRE(Segment::remove(segment.name()));
  const auto start = std::chrono::steady_clock::now();
  while (lines == 0 && std::chrono::steady_clock::now() - start < 10s) (void)api.try_acquire("k");
  CHECK(lines == 1);
  CHECK(::access(segment.path().c_str(), F_OK) != 0);
  set_log(nullptr);
}

TEST_CASE("a_remove_that_is_not_allowed_leaves_the_segment_as_it_was") {
  if (::geteuid() != 0) {
    test::skip("needs root to become somebody else");
    return;
  }
  test::Scratch segment({.keys = 100, .mode = 0666});
  test::Child nobody([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(77);
    try {
      (void)Segment::remove(segment.name());
    } catch (const Error& e) {
      ::_exit(e.code() == Errc::permission ? 0 : 2);
    }
    ::_exit(1);
  });
  CHECK(nobody.wait() == 0);
  const shm::Mapping mapping = shm::Mapping::attach(segment.path(), shm::Access::read_only, false);
  CHECK(mapping.header().retired.load() == 0);
}

/// Holds of a copy, whatever happened to its segment meanwhile.
void check_that_a_copy_is_whole(const std::string& name) {
  Segment copy = Segment::open(name);
  test::check_that_no_key_has_two_slots(copy.path());
  std::set<std::uint16_t> ids;
  std::set<std::string> names;
  for (const PolicyInfo& policy : copy.policies()) {
    REQUIRE(policy.limit);
    REQUIRE(ids.insert(policy.id).second);
    REQUIRE(names.insert(policy.name).second);
  }
  copy.for_each_key([&](const KeyInfo& key) { REQUIRE(names.contains(key.policy)); });
  REQUIRE_NOTHROW((void)copy.limiter("new", Limit::per_second(2)));
  for (const PolicyInfo& policy : copy.policies()) names.erase(policy.name);
  CHECK(names.empty());
}

TEST_CASE("a_segment_that_is_copied_while_others_decide_is_a_valid_one") {
  int amid = 0;  // copies that the publisher was at to the end
  for (int round = 0; round < 150; ++round) {
    test::Scratch segment({.keys = 600, .policies = 2'000});
    const shm::Mapping old = shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
    test::Shared<std::atomic<int>> published;
    test::Shared<std::atomic<bool>> moving;
    test::Child publisher([&] {
      for (int i = 0; i < 1'900; ++i) {
        // A key of a policy so new that the copy may have missed it.
        (void)segment->limiter("p" + std::to_string(i), Limit::per_hour(1)).try_acquire("new");
        ++published[0];
      }
    });
    test::Child mover([&] {
      Limiter api = segment->limiter("api", Limit::per_hour(1'000));
      for (std::uint64_t i = 0;; ++i) {
        // What comes back finds other slots free than it left: keys move all the time.
        (void)api.reset("k" + std::to_string(i * 13 % 701));
        (void)api.try_acquire("k" + std::to_string(i % 701));
        moving[0] = true;
      }
    });
    // The first copy as soon as both are at it, the others some policies later, more in each round.
    for (int copies = 0; copies < 4; ++copies) {
      const int policies = 1 + copies * (1 + round / 8);
      CAPTURE(policies);
      while (published[0] < policies || !moving[0]) std::this_thread::yield();
      const std::string name = test::unique_name();
      const test::RemoveAtEnd cleanup(name);
      { const shm::Mapping copy = shm::Mapping::recreate(shm::path_of(name), old, state_in_copy); }
      amid += published[0] < 1'900 ? 1 : 0;
      check_that_a_copy_is_whole(name);
    }
  }
  CHECK(amid > 300);
}

TEST_CASE("a_child_in_another_time_namespace_is_refused_and_harms_nobody") {
  if (::geteuid() != 0) {
    test::skip("needs root to make a time namespace");
    return;
  }
  for (const ClockSource clock : {ClockSource::boottime, ClockSource::automatic}) {
    test::Scratch segment({.keys = 100, .clock = clock});
    Limiter api = segment->limiter("api", Limit::per_hour(5));
    CHECK(api.try_acquire("k", 5));
    test::Child parent([&] {
      set_log([](Severity, std::string_view, void*) noexcept {});
      if (::unshare(CLONE_NEWTIME) != 0) ::_exit(77);
      const int offsets = ::open("/proc/self/timens_offsets", O_WRONLY | O_CLOEXEC);
      if (::write(offsets, "boottime 100000 0", 17) != 17) ::_exit(77);
      test::Child child([&] {
        for (int i = 0; i < 3; ++i) {
          if (api.try_acquire("k").reason != Reason::unavailable) ::_exit(1);
          if (api.try_acquire_at(segment->now(), "k").reason != Reason::unavailable) ::_exit(2);
        }
      });
      ::_exit(child.wait());
    });
    const int code = parent.wait();
    if (code == 77) {
      test::skip("no right to make a time namespace");
      return;
    }
    CHECK(code == 0);
    CHECK(api.try_acquire("k").reason == Reason::limited);
    CHECK_FALSE(segment->info().tsc_left);
    CHECK(segment->info().clamped == 0);
  }
}

TEST_CASE("a_fork_in_the_middle_of_a_threads_create_leaves_a_child_that_works") {
  for (int delay_us = 0; delay_us < 12'000; delay_us += 1'000) {
    const std::string name = test::unique_name();
    const test::RemoveAtEnd cleanup(name);
    test::Child fresh_process([&] {  // nothing of the library was used in it yet
      const std::string other = test::unique_name();
      std::thread creator([&] {
        (void)Segment::create(other, {.keys = 100});
        (void)Segment::remove(other);
      });
      std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
      test::Child child(
          [&] { (void)Segment::create(name, {.keys = 100}).limiter("api", Limit::per_hour(1)); });
      creator.join();
      ::_exit(child.wait());
    });
    CHECK(fresh_process.wait() == 0);
  }
}

TEST_CASE("a_policy_defined_by_many_processes_at_once_is_one_policy") {
  for (int round = 0; round < 20; ++round) {
    test::Scratch segment({.keys = 100, .policies = 64});
    StartingGun gun;
    std::vector<test::Child> children;
    for (int i = 0; i < 6; ++i) {
      children.emplace_back([&] {
        gun.wait();
        for (int p = 0; p < 5; ++p)
          (void)segment->limiter("p" + std::to_string(p), Limit::per_second(1));
      });
    }
    gun.fire();
    for (test::Child& child : children) CHECK(child.wait() == 0);
    CHECK(segment->policies().size() == 5);
  }
}

}  // namespace
}  // namespace rl
