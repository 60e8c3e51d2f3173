// Threads of one process on one segment: deciding on hot and on new keys, evicting, resetting,
// publishing policies, reading everything, and following a segment that is removed under them, all
// at once. Admissions are counted and must be exact (A), no key may have two slots at the end (S).
//
// This is also the test that ThreadSanitizer watches. It knows the 16-byte compare-and-swap as an
// atomic access (__tsan_atomic128), but on x86-64 emulates it under a lock of the process: so
// threads only, no processes beside each other, and nothing that needs to be suppressed.

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <array>
#include <functional>
#include <memory>
#include <set>
#include <stdexcept>
#include <thread>
#include <vector>

#include "tests/support.hpp"

namespace rl {
namespace {

constexpr int kCalls = test::kSanitized ? 4'000 : 40'000;

constexpr std::size_t kThreads = 4;

/// Runs `work(i)` in so many threads that begin together; returns when all have ended.
void in_threads(std::size_t count, const std::function<void(std::size_t)>& work) {
  std::atomic<std::size_t> ready{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < count) std::this_thread::yield();
      work(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// Calls `step` in a thread of its own, again and again, until the end of the scope.
class Meanwhile {
 public:
  explicit Meanwhile(std::function<void(std::uint64_t)> step)
      : thread_([this, step = std::move(step)] {
          while (!stop_) step(steps_++);
        }) {}
  Meanwhile(const Meanwhile&) = delete;
  Meanwhile& operator=(const Meanwhile&) = delete;
  ~Meanwhile() {
    stop_ = true;
    thread_.join();
  }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<std::uint64_t> steps_{0};
  std::thread thread_;
};

/// Every key that the table shows is there once.
void check_that_no_key_has_two_slots(const Segment& segment) {
  std::set<std::string> keys;
  segment.for_each_key([&](const KeyInfo& key) {
    if (key.key) CHECK(keys.insert(key.policy + " " + *key.key).second);
  });
  CHECK(!keys.empty());
}

/// One comes back every 315 s: none while a test runs.
Limit thousand() {
  return Limit::parse("1000/3650d");
}

TEST_CASE("A_threads_that_share_one_limiter_are_admitted_exactly_the_burst") {
  test::Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", thousand());
  for (int round = 0; round < 5; ++round) {
    const std::string key = "hot-" + std::to_string(round);
    std::atomic<int> admitted{0};
    in_threads(kThreads, [&](std::size_t) {
      for (int i = 0; i < kCalls / 8; ++i) admitted += api.try_acquire(key) ? 1 : 0;
    });
    CHECK(admitted == 1'000);
    CHECK(api.peek(key).remaining == 0);
  }
}

TEST_CASE("A_threads_with_limiters_or_mappings_of_their_own_share_the_limit_too") {
  test::Scratch segment({.keys = 1'000});
  for (const bool own_mapping : {false, true}) {
    CAPTURE(own_mapping);
    const std::string key = own_mapping ? "mapped" : "handed";
    std::atomic<int> admitted{0};
    in_threads(kThreads, [&](std::size_t) {
      Segment own = own_mapping ? Segment::open(segment.name()) : *segment;
      for (int i = 0; i < 20; ++i) {
        Limiter api = own.limiter("api", thousand());
        for (int call = 0; call < kCalls / 160; ++call) admitted += api.try_acquire(key) ? 1 : 0;
      }
    });
    CHECK(segment->limiter("api").peek(key).remaining == 0);
    CHECK(admitted == 1'000);
  }
  CHECK(segment->policies().size() == 1);
}

TEST_CASE("A_S_each_new_key_is_admitted_once_though_threads_insert_it_at_once") {
  test::Scratch segment({.keys = 20'000});
  Limiter once = segment->limiter("once", Limit::per_day(1));
  constexpr int kKeys = 5'000;
  std::atomic<int> admitted{0};
  in_threads(kThreads, [&](std::size_t) {
    for (int i = 0; i < kKeys; ++i)
      admitted += once.try_acquire("user:" + std::to_string(i)) ? 1 : 0;
  });
  CHECK(admitted == kKeys);
  CHECK(segment->info().evicted == 0);
  check_that_no_key_has_two_slots(*segment);
}

TEST_CASE("A_P_S_threads_decide_evict_reset_publish_and_read_all_at_once") {
  test::Scratch segment({.keys = 100});
  Limiter hot = segment->limiter("hot", Limit::parse("20000/3650d"));
  Limiter churn = segment->limiter("churn", Limit::per_day(2));
  Limiter flash = segment->limiter("flash", Limit::per_second(1'000'000).burst(2));
  // It owes more than any other key from here on, so it is never the one to be evicted.
  REQUIRE(hot.try_acquire("hot", 100));
  std::atomic<std::uint64_t> admitted{100};
  std::atomic<std::uint64_t> rows{0};
  std::atomic<std::uint64_t> resets{0};
  std::uint64_t policies = 0;
  {
    Meanwhile reads([&](std::uint64_t) {
      (void)segment->info();
      segment->for_each_key([&](const KeyInfo& key) { rows += key.policy.empty() ? 0U : 1U; });
      (void)segment->find("hot", "hot");
      (void)segment->policies();
      (void)hot.peek("hot");
      (void)churn.peek("user:1");
    });
    Meanwhile publishes([&](std::uint64_t step) {
      if (step < 500) (void)segment->limiter("p" + std::to_string(step), Limit::per_hour(9));
      policies = std::min<std::uint64_t>(step + 1, 500);
      std::this_thread::yield();
    });
    Meanwhile removes([&](std::uint64_t step) {
      resets += churn.reset("user:" + std::to_string(step % 500)) ? 1U : 0U;
    });
    in_threads(kThreads, [&](std::size_t thread) {
      for (int i = 0; i < kCalls; ++i) {
        admitted += hot.try_acquire("hot") ? 1U : 0U;
        const std::string key = "user:" + std::to_string((i * 7 + static_cast<int>(thread)) % 500);
        (void)churn.try_acquire(key);
        (void)flash.try_acquire_at(segment->now(), key);
        const std::array<std::string_view, 3> keys{key, "hot", "hot"};
        std::array<Decision, 3> decisions;
        if (i % 16 == 0) hot.try_acquire_batch(keys, decisions);
        admitted += decisions[1].allowed + decisions[2].allowed;
        if (i % 1'000 == 0) (void)segment->limiter("late-" + std::to_string(i), thousand());
      }
    });
    while (reads.steps() == 0 || publishes.steps() == 0 || rows == 0) std::this_thread::yield();
  }
  CHECK(admitted == 20'000 - hot.peek("hot").remaining);
  CHECK(admitted <= 20'000);
  const SegmentInfo info = segment->info();
  CHECK(info.evicted > 0);
  CHECK(info.gave_up == 0);
  CHECK(info.policies >= 3 + policies);
  MESSAGE((4 * 3 * kCalls) << " decisions tried, " << info.evicted << " evictions, "
                           << info.tentatives_freed << " tentatives freed, " << resets.load()
                           << " resets, " << policies << " policies");
  // Resets and evictions have ended, so what is there is not moving.
  check_that_no_key_has_two_slots(*segment);
}

TEST_CASE("A_P_threads_of_a_forked_child_take_its_seat_all_at_once") {
  test::Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", thousand());
  constexpr int kForks = 20;
  for (int fork = 0; fork < kForks; ++fork) {
    test::Child child([&] {
      std::atomic<int> admitted{0};
      const std::string key = "hot-" + std::to_string(fork);
      in_threads(kThreads, [&](std::size_t) {
        for (int i = 0; i < 500; ++i) admitted += api.try_acquire(key) ? 1 : 0;
      });
      if (admitted != 1'000) throw std::runtime_error("not exactly the limit");
      if (segment->info().attached != 2) throw std::runtime_error("not one seat each");
    });
    CHECK(child.wait() == 0);
  }
  CHECK(segment->info().attached == 1);
  CHECK(segment->info().anonymous == 0);
}

TEST_CASE("A_S_threads_take_and_give_back_permits_and_never_more_are_out_than_there_are") {
  constexpr int kPermits = 2;
  test::Scratch segment({.keys = 1'000});
  Limiter limiter = segment->limiter("up", Limit::concurrency(kPermits));
  std::atomic<int> out{0};
  std::atomic<int> too_many{0};
  std::atomic<std::uint64_t> lost{0};
  std::atomic<int> taken{0};
  in_threads(kThreads, [&](std::size_t) {
    while (taken < kCalls / 4) {  // ends: somebody always gets one
      Permit permit = limiter.permit("hot");
      if (!permit) continue;
      if (++out > kPermits) ++too_many;
      const int mine = ++taken;
      if (mine % 8 == 0) lost += permit.fence() != 0 ? 0U : 1U;
      if (mine % 16 == 0) lost += permit.renew() ? 0U : 1U;
      if (mine % 32 == 0) std::this_thread::yield();
      --out;
      lost += permit.release() ? 0U : 1U;
    }
  });
  CHECK(too_many == 0);
  CHECK(lost == 0);
  CHECK(limiter.peek_permit("hot").remaining == kPermits);
}

TEST_CASE("A_P_threads_follow_a_segment_that_is_removed_under_them_again_and_again") {
  static std::atomic<int> moves;
  moves = 0;
  test::Scratch segment({.keys = 500});
  Limiter api = segment->limiter("api", thousand());
  set_log([](Severity, std::string_view line, void*) noexcept {
    if (line.find("moved over") != line.npos) ++moves;
  });
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> decided[kThreads] = {};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      while (!stop) (void)api.try_acquire("user:" + std::to_string(decided[t]++ % 300));
    });
  }
  const auto in_time = [&](const auto& done) {
    const auto start = std::chrono::steady_clock::now();
    while (!done() && std::chrono::steady_clock::now() - start < std::chrono::seconds(20))
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    return done();
  };
  // The segment before the last is let go of each time, with the threads in the middle of it.
  for (int round = 1; round <= 3; ++round) {
    REQUIRE(::unlink(segment.path().c_str()) == 0);
    CHECK(in_time([&] { return moves >= round; }));
    std::uint64_t before[kThreads];
    for (std::size_t t = 0; t < kThreads; ++t) before[t] = decided[t];
    CHECK(in_time([&] {
      for (std::size_t t = 0; t < kThreads; ++t)
        if (decided[t] < before[t] + 100) return false;
      return true;
    }));
    const std::string key = "after-" + std::to_string(round);
    std::atomic<int> admitted{0};
    in_threads(2, [&](std::size_t) {
      for (int i = 0; i < 1'000; ++i) admitted += api.try_acquire(key) ? 1 : 0;
    });
    CHECK(admitted == 1'000);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  set_log(nullptr);
  check_that_no_key_has_two_slots(*segment);
}

}  // namespace
}  // namespace rl
