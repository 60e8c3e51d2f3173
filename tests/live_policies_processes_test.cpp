/// \file
/// Limits that are changed under processes that ask: exact between them, also where operators rival
/// and are killed.
#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "shm/mapping.hpp"
#include "shm/policies.hpp"
#include "tests/in_processes.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t kWorkers = 4;

std::uint64_t ns_of(Instant instant) {
  return static_cast<std::uint64_t>(instant.time_since_epoch().count());
}

/// The limits of a policy by time, as its chain has them.
class InForce {
 public:
  explicit InForce(const Segment& segment, std::string_view name) {
    const shm::Mapping mapping =
        shm::Mapping::attach(segment.path(), shm::Access::read_only, false);
    const shm::PolicyTable policies(mapping);
    std::uint64_t from_ns = 0;
    double passed = 0;
    for (std::uint16_t id = policies.find(name); id != 0; id = policies.successor(id)) {
      const shm::PolicyConstants constants = policies.read(id).value();
      spans_.push_back({from_ns, 1.0 / static_cast<double>(constants.interval_ns), passed,
                        static_cast<double>(constants.burst)});
      const std::uint64_t changed_ns = policies.changed_ns(id);
      if (changed_ns == 0) break;
      passed += static_cast<double>(changed_ns - from_ns) * spans_.back().tokens_per_ns;
      from_ns = changed_ns;
    }
  }
  [[nodiscard]] std::size_t size() const { return spans_.size(); }

  /// Tokens that have come back from the beginning until then.
  [[nodiscard]] double come_back_until(std::uint64_t ns) const {
    const Span& span = spans_[at(ns)];
    return span.passed + static_cast<double>(ns - span.from_ns) * span.tokens_per_ns;
  }
  /// Which of the limits is in force then.
  [[nodiscard]] std::size_t at(std::uint64_t ns) const {
    const auto next =
        std::upper_bound(spans_.begin(), spans_.end(), ns,
                         [](std::uint64_t t, const Span& span) { return t < span.from_ns; });
    return static_cast<std::size_t>(next - spans_.begin()) - 1;
  }
  [[nodiscard]] double burst(std::size_t at) const { return spans_[at].burst; }

 private:
  struct Span {
    std::uint64_t from_ns;
    double tokens_per_ns;
    double passed;  ///< before it
    double burst;
  };
  std::vector<Span> spans_;
};

/// An admitted call: it counts at an instant of its own between the two.
struct Admitted {
  std::uint64_t key;
  std::uint64_t before_ns;
  std::uint64_t after_ns;
};

constexpr std::size_t kAdmittedMax = 200'000;

/// What the workers had admitted, each in a part of its own.
struct Book {
  std::atomic<std::uint64_t> counts[kWorkers];
  Admitted calls[kWorkers][kAdmittedMax];

  [[nodiscard]] std::vector<Admitted> of(std::uint64_t key) const {
    std::vector<Admitted> all;
    for (std::size_t w = 0; w < kWorkers; ++w) {
      for (std::uint64_t i = 0; i < counts[w].load(); ++i)
        if (calls[w][i].key == key) all.push_back(calls[w][i]);
    }
    std::sort(all.begin(), all.end(),
              [](const Admitted& a, const Admitted& b) { return a.after_ns < b.after_ns; });
    return all;
  }
};

/// Returns by how much the worst window of a key's calls exceeds what its limits allow: at most what
/// came back in it and the largest burst in force in it (src/convert.hpp has the proof); 0 or less
/// keeps the bound. `share` below 1 allows less than the limits do.
double worst_excess(const std::vector<Admitted>& calls, const InForce& limits, double share) {
  std::vector<double> back_before;
  std::vector<double> back_after;
  std::vector<std::size_t> at_end;
  for (const Admitted& call : calls) {
    back_before.push_back(limits.come_back_until(call.before_ns));
    back_after.push_back(limits.come_back_until(call.after_ns));
    at_end.push_back(limits.at(call.after_ns));
  }
  double worst = -1e18;
  for (std::size_t first = 0; first < calls.size(); ++first) {
    double count = 0;
    std::size_t at = limits.at(calls[first].before_ns);
    double most = limits.burst(at);
    for (std::size_t last = 0; last < calls.size(); ++last) {
      if (calls[last].before_ns < calls[first].before_ns) continue;
      while (at < at_end[last]) most = std::max(most, limits.burst(++at));
      ++count;
      worst = std::max(worst, count - share * (back_after[last] - back_before[first] + most));
    }
  }
  return worst;
}

TEST_CASE("A_a_limit_that_is_changed_1000_times_under_four_workers_keeps_the_bound_of_each_key") {
  constexpr std::uint64_t kKeys = 6;
  constexpr int kChanges = 1'000;
  const char* const limits[] = {"100/s burst=20",      "1000/s burst=5", "300/s burst=1",
                                "leaky 500/s queue=9", "20/s burst=30",  "2000/s burst=2"};
  test::Scratch segment({.keys = 1'000, .policies = 1'100});
  Limiter api = segment->limiter("api", Limit::parse(limits[0]));
  test::Shared<Book> book;
  test::Shared<std::atomic<bool>> is_over;
  const std::uint64_t seed = test::seed();
  test::in_processes(kWorkers + 1, [&](std::size_t which) {
    std::mt19937_64 random(seed + which);
    if (which == kWorkers) {
      std::size_t limit = 0;
      for (int change = 0; change < kChanges; ++change) {
        limit = (limit + 1 + random() % (std::size(limits) - 1)) % std::size(limits);
        segment->set_policy("api", Limit::parse(limits[limit]), Spent::keep);
        const auto until =
            std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 3'000);
        while (std::chrono::steady_clock::now() < until) ::sched_yield();
      }
      is_over[0] = true;
      return;
    }
    std::uint64_t count = 0;
    while (!is_over[0] && count < kAdmittedMax) {
      const std::uint64_t key = random() % kKeys;
      const std::uint64_t before_ns = ns_of(segment->now());
      if (!api.try_acquire("k" + std::to_string(key))) continue;
      book[0].calls[which][count] = {key, before_ns, ns_of(segment->now())};
      book[0].counts[which] = ++count;
    }
  });
  const InForce in_force(*segment, "api");
  CHECK(in_force.size() == 1 + kChanges);
  std::size_t admitted = 0;
  double worst_of_half = -1e18;
  for (std::uint64_t key = 0; key < kKeys; ++key) {
    const std::vector<Admitted> calls = book[0].of(key);
    admitted += calls.size();
    INFO("key " << key << ", " << calls.size() << " admitted, seed " << seed);
    CHECK(worst_excess(calls, in_force, 1) <= 1e-3);
    worst_of_half = std::max(worst_of_half, worst_excess(calls, in_force, 0.5));
  }
  CHECK(worst_of_half > 0);  // the workers asked for all there was, and this oracle can tell
  MESSAGE(in_force.size() << " limits in force, " << admitted << " calls admitted");
}

TEST_CASE("A_a_change_holds_in_every_process_at_the_call_after_it") {
  constexpr std::uint64_t kRounds = 100;
  test::Scratch segment({.keys = 100, .policies = 200});
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  test::Shared<std::atomic<std::uint64_t>> round;  // the limit that is in force by now
  test::Shared<std::atomic<std::uint64_t>> seen_by(kWorkers);
  test::in_processes(kWorkers + 1, [&](std::size_t which) {
    for (std::uint64_t next = 1; next <= kRounds; ++next) {
      if (which == kWorkers) {
        segment->set_policy("api", Limit::per_hour(next + 1));
        round[0] = next;
        for (std::size_t worker = 0; worker < kWorkers; ++worker)
          while (seen_by[worker] < next) ::sched_yield();
        continue;
      }
      while (round[0] < next) ::sched_yield();
      if (api.try_acquire("k" + std::to_string(which)).limit != next + 1) throw 1;
      seen_by[which] = next;
    }
  });
}

TEST_CASE("S_operators_that_change_a_limit_at_once_all_enter_its_history_once") {
  constexpr std::uint64_t kChanges = 50;
  test::Scratch segment({.keys = 100, .policies = 1'000});
  (void)segment->limiter("api", Limit::per_hour(1));
  test::in_processes(kWorkers, [&](std::size_t which) {
    for (std::uint64_t i = 0; i < kChanges; ++i)
      segment->set_policy("api", Limit::per_hour(10 + which * kChanges + i), Spent::reset);
  });
  const std::vector<PolicyInfo> history = segment->history("api");
  REQUIRE(history.size() == 1 + kWorkers * kChanges);
  std::set<std::uint16_t> ids;
  std::set<std::uint64_t> counts;
  for (const PolicyInfo& entry : history) {
    ids.insert(entry.id);
    counts.insert(entry.limit->count());
  }
  CHECK(ids.size() == history.size());
  CHECK(counts.size() == history.size());
  CHECK(segment->limiter("api").limit() == *history.back().limit);
}

TEST_CASE("S_rivals_that_use_up_the_ids_leave_those_that_are_kept_for_bans") {
  test::Scratch segment({.keys = 100, .policies = 64});
  (void)segment->limiter("api", Limit::per_hour(1));
  test::in_processes(kWorkers, [&](std::size_t which) {
    try {
      for (std::uint64_t n = 10;; ++n) {  // ends: there are only so many ids
        segment->set_policy("api", Limit::per_hour(n * kWorkers + which));
        segment->set_override("api", "vip", Limit::per_hour(n * kWorkers + which));
      }
    } catch (const Error& e) {
      if (e.code() != Errc::too_many) throw;
    }
  });
  CHECK(segment->info().policies == 64 - shm::ids_kept(64));
  CHECK(segment->ban("api", "bot", 1h));
  CHECK(segment->info().policies == 64 - shm::ids_kept(64) + 1);
}

TEST_CASE("SP_operators_that_are_killed_at_any_time_leave_a_change_or_none_and_no_key_in_doubt") {
  test::Scratch segment({.keys = 100, .policies = 60'000});
  Limiter api = segment->limiter("api", Limit::per_second(1'000));
  std::mt19937_64 random(test::seed());
  for (int kill = 0; kill < 50; ++kill) {
    test::Child operator_process([&] {
      for (std::uint64_t n = 1;; ++n) segment->set_policy("api", Limit::per_second(n % 1'000 + 1));
    });
    const auto until =
        std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 5'000);
    while (std::chrono::steady_clock::now() < until) (void)api.try_acquire("k");
    operator_process.signal(SIGKILL);
    REQUIRE(operator_process.wait() == 128 + SIGKILL);
    const Decision d = api.try_acquire("k");
    REQUIRE((d.reason == Reason::ok || d.reason == Reason::limited));
    REQUIRE(d.policy == segment->history("api").back().id);
    REQUIRE(d.limit == segment->limiter("api").limit().burst());
  }
  CHECK(segment->info().live <= 1);
}

}  // namespace
}  // namespace rl
