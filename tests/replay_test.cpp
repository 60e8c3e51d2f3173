// What `rlctl replay` decides, beside oracles that count with plain integers.
#include "tools/rlctl/replay/replayer.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "tests/support.hpp"
#include "tools/rlctl/replay/limit_shape.hpp"
#include "tools/rlctl/replay/log_trace.hpp"

namespace rl::test {
namespace {

using ctl::Outcome;
using ctl::Share;
using ctl::Timeline;
using ctl::Trace;

constexpr std::uint64_t kSecond = 1'000'000'000;
__extension__ using Wide = unsigned __int128;

/// What one key has used of one limit, each algorithm by its own definition and nothing else.
class Oracle {
 public:
  explicit Oracle(const Limit& limit)
      : limit_(limit),
        period_(static_cast<std::uint64_t>(limit.period().count())),
        interval_((period_ + limit.count() - 1) / limit.count()) {}

  /// Whether a call passes now.
  bool passes(std::uint64_t now) {
    switch (limit_.algorithm()) {
      case Algorithm::token_bucket:
        return owed(now) + interval_ <= interval_ * limit_.burst();
      case Algorithm::leaky:
        return owed(now) + interval_ <= interval_ * (limit_.queue() + 1);
      case Algorithm::fixed_window:
        return calls_[now / period_] + 1 <= limit_.count();
      default:
        break;
    }
    const std::uint64_t window = now / period_;
    const Wide until_end = (window + 1) * period_ - now;
    return Wide{calls_[window - 1]} * until_end + Wide{calls_[window] + 1} * period_ <=
           Wide{limit_.count()} * period_;
  }
  void charge(std::uint64_t now) {
    free_from_ = now + owed(now) + interval_;
    ++calls_[now / period_];
  }

 private:
  [[nodiscard]] std::uint64_t owed(std::uint64_t now) const {
    return free_from_ > now ? free_from_ - now : 0;
  }

  Limit limit_;
  std::uint64_t period_;
  std::uint64_t interval_;
  std::uint64_t free_from_ = 0;                   ///< of buckets: when nothing is owed any more
  std::map<std::uint64_t, std::uint64_t> calls_;  ///< by window
};

/// Returns by key how many calls are denied where all limits must allow.
std::vector<std::uint32_t> denied_by_oracle(const Trace& trace, const Limits& limits) {
  const std::vector<Oracle> fresh(limits.begin(), limits.end());
  std::vector<std::vector<Oracle>> keys(trace.key_count(), fresh);
  std::vector<std::uint32_t> denied(trace.key_count());
  for (std::size_t i = 0; i < trace.size(); ++i) {
    const auto [key, now] = trace[i];
    bool all_pass = true;
    for (Oracle& oracle : keys[key]) all_pass = oracle.passes(now) && all_pass;
    if (!all_pass) ++denied[key];
    for (Oracle& oracle : keys[key])
      if (all_pass) oracle.charge(now);
  }
  return denied;
}

/// Calls of keys of which each comes at a pace of its own, in bursts now and then, over some hours.
Trace random_trace(std::uint64_t seed, std::size_t calls, std::uint64_t step_ns) {
  std::mt19937_64 random(seed);
  Trace trace;
  std::uint64_t now = 1'700'000'000 * kSecond + random() % (3'600 * kSecond);
  for (std::size_t i = 0; i < calls; ++i) {
    const std::uint64_t pause = random() % 500 == 0 ? 2'000 : 2;
    now += random() % pause * step_ns;
    // Few keys call often, and many once or twice.
    const std::uint64_t key = random() % (std::uint64_t{1} << (random() % 12));
    trace.add("client-" + std::to_string(key), now);
    if (random() % 100 == 0) trace.add("back", now - random() % kSecond);
  }
  return trace;
}

/// The log that RL_ACCESS_LOG names, or one that was made up.
Trace some_log() {
  const char* const path = std::getenv("RL_ACCESS_LOG");
  if (path == nullptr) return random_trace(1, 5'000, kSecond);
  return ctl::read_log({path, std::nullopt, {}, {}}).trace;
}

void check_beside_oracle(const Trace& trace) {
  int denying = 0;
  for (const char* text :
       {"5/s burst=10", "30/m burst=20", "1/10s burst=1", "100/h", "7/s burst=3", "leaky 1/s",
        "leaky 20/m queue=5 delay=2", "window 10/m", "window 100/h", "window 3/7s", "sliding 10/m",
        "sliding 100/h", "sliding 3/7s", "10/s burst=20, 100/h", "window 5/m, sliding 40/h, 30/m",
        "20/m shadow", "window 50/d when_full=deny"}) {
    CAPTURE(text);
    const Limits limits = Limits::parse(text);
    const Outcome outcome = ctl::replay(trace, limits, Timeline(trace));
    const auto expected = denied_by_oracle(trace, limits);
    CHECK((outcome.denied_of_key == expected));
    std::uint64_t sum = 0;
    for (const std::uint32_t denied : expected) sum += denied;
    CHECK(outcome.denied == sum);
    CHECK(ctl::count_denied(trace, limits) == sum);
    std::uint64_t in_parts = 0;
    for (const std::uint64_t denied : outcome.denied_in_part) in_parts += denied;
    CHECK(in_parts == sum);
    if (sum != 0) ++denying;
  }
  CHECK(denying >= 14);  // limits that never deny show nothing
}

}  // namespace

TEST_CASE("A_a_replay_denies_what_an_oracle_of_plain_integers_denies_over_a_log") {
  check_beside_oracle(some_log());
}

TEST_CASE("A_a_replay_denies_what_an_oracle_of_plain_integers_denies_at_random") {
  const std::uint64_t seed = test::seed();
  INFO("seed ", seed);
  check_beside_oracle(random_trace(seed, 20'000, kSecond / 8));
  check_beside_oracle(random_trace(seed + 1, 20'000, kSecond));
}

TEST_CASE("windows_lie_where_the_utc_of_the_log_has_them") {
  Trace trace;
  const std::uint64_t hour = 1'431'856'800 * kSecond;  // 17 May 2015, 10:00
  for (const std::uint64_t at : {hour - kSecond, hour - 1, hour, hour + 1}) trace.add("a", at);
  CHECK(ctl::count_denied(trace, Limits::parse("window 1/h")) == 2);
  CHECK(ctl::count_denied(trace, Limits::parse("window 2/h")) == 0);
  CHECK(ctl::count_denied(trace, Limits::parse("window 3/d")) == 1);
}

TEST_CASE("denials_that_lead_to_a_ban_deny_what_comes_while_it_lasts") {
  Trace trace;
  const std::uint64_t at = 1'431'856'800 * kSecond;
  for (std::uint64_t i = 0; i < 100; ++i) trace.add("a", at + i * kSecond);
  // One passes, two denials ban: for 30 s, then, after one call, for a minute.
  CHECK(ctl::count_denied(trace, Limits::parse("1/10s burst=1")) == 90);
  CHECK(ctl::count_denied(trace, Limits::parse("1/10s burst=1 ban_after=2/m ban=30s")) > 95);
}

TEST_CASE("a_concurrency_limit_and_a_counter_are_refused") {
  Trace trace;
  trace.add("a", kSecond);
  CHECK_THROWS_AS((void)ctl::count_denied(trace, Limits::parse("concurrency 5")), Error);
  CHECK_THROWS_AS((void)ctl::count_denied(trace, Limits::parse("counter")), Error);
}

TEST_CASE("a_trace_keeps_its_order_and_its_time_never_goes_back") {
  Trace trace;
  trace.add("a", 5 * kSecond);
  trace.add("b", 3 * kSecond);
  trace.add("a", 4 * kSecond);
  trace.add("", 6 * kSecond + 1);
  REQUIRE(trace.size() == 4);
  REQUIRE(trace.key_count() == 3);
  CHECK(trace.key(trace[2].key) == "a");
  CHECK(trace[0].key == trace[2].key);
  CHECK(trace[1].unix_ns == 5 * kSecond);
  CHECK(trace[3].unix_ns == 6 * kSecond + 1);
  CHECK(trace.backwards() == 2);
  CHECK(trace.furthest_back_ns() == 2 * kSecond);
  CHECK(!trace.has_whole_seconds());
}

TEST_CASE("a_trace_tells_many_keys_apart") {
  Trace trace;
  for (int i = 0; i < 100'000; ++i) trace.add("key " + std::to_string(i % 50'000), kSecond);
  CHECK(trace.key_count() == 50'000);
  for (std::size_t i = 0; i < 50'000; ++i) {
    REQUIRE(trace[i].key == trace[i + 50'000].key);
    REQUIRE(trace.key(trace[i].key) == "key " + std::to_string(i));
  }
}

TEST_CASE("parts_of_the_time_have_round_lengths_and_beginnings") {
  const auto parts = [](std::uint64_t first, std::uint64_t last) {
    Trace trace;
    trace.add("a", first * kSecond);
    trace.add("a", last * kSecond);
    const Timeline timeline(trace);
    CHECK(timeline.part_of(first * kSecond) == 0);
    CHECK(timeline.part_of(last * kSecond) == timeline.parts() - 1);
    CHECK(timeline.begin_ns() % timeline.part_ns() == 0);
    return std::pair(timeline.parts(), timeline.part_ns() / kSecond);
  };
  CHECK(parts(1'000, 1'000) == std::pair<std::size_t, std::uint64_t>(1, 1));
  CHECK(parts(1'000, 1'059) == std::pair<std::size_t, std::uint64_t>(60, 1));
  CHECK(parts(1'000, 1'060) == std::pair<std::size_t, std::uint64_t>(31, 2));
  CHECK(parts(0, 86'399) == std::pair<std::size_t, std::uint64_t>(48, 1'800));
  CHECK(parts(0, 100 * 86'400) == std::pair<std::size_t, std::uint64_t>(51, 2 * 86'400));
}

TEST_CASE("limits_of_one_shape_keep_their_proportions_and_options") {
  const auto with = [](const char* text, std::uint64_t count) {
    return ctl::with_count(Limits::parse(text), count).to_string();
  };
  CHECK(with("100/s burst=200", 50) == "50/s burst=100");
  CHECK(with("100/s", 50) == "50/s");
  CHECK(with("100/s burst=1", 50) == "50/s burst=1");
  CHECK(with("10/s burst=15", 11) == "11/s burst=17");
  CHECK(with("leaky 10/s queue=50 delay=5", 20) == "leaky 20/s queue=100 delay=10");
  CHECK(with("leaky 10/s", 20) == "leaky 20/s");
  CHECK(with("window 100/h shadow", 7) == "window 7/h shadow");
  CHECK(with("sliding 100/h floor=20 when_full=deny", 7) ==
        Limits::parse("sliding 7/h floor=20 when_full=deny").to_string());
  CHECK(with("10/s, 1000/h", 5) == "5/s, 500/h");
  CHECK(with("10/m ban_after=5/m ban=1h", 20) == "20/m ban_after=5/m ban=1h");
  CHECK_THROWS_AS((void)with("sliding 10/s", 1'000'000), Error);
}

TEST_CASE("a_share_is_read_exactly") {
  CHECK(Share::parse("--suggest", "0.1%").of(1'000) == 1);
  CHECK(Share::parse("--suggest", "0.1%").of(999) == 0);
  CHECK(Share::parse("--suggest", "33.333333%").of(300'000'000) == 99'999'999);
  CHECK(Share::parse("--suggest", "0%").of(1'000) == 0);
  CHECK(Share::parse("--suggest", "100 %").of(1'000) == 1'000);
  for (const char* wrong : {"", "%", "1", "0.1", "-1%", "101%", "1e1%", "0.1234567%", "1.%", "x%",
                            ".5%", "100.1%", "1 2%"}) {
    CAPTURE(wrong);
    CHECK_THROWS_AS(Share::parse("--suggest", wrong), Error);
  }
}

TEST_CASE("the_smallest_count_and_its_neighbour_are_those_that_all_replays_show") {
  const std::uint64_t seed = test::seed();
  INFO("seed ", seed);
  const Trace trace = random_trace(seed, 3'000, kSecond / 4);
  for (const char* text :
       {"10/m", "10/m burst=3", "leaky 5/m queue=2", "window 5/m", "sliding 5/m"}) {
    CAPTURE(text);
    const Limits limits = Limits::parse(text);
    const auto denied = [&](std::uint64_t count) {
      return std::optional(ctl::count_denied(trace, ctl::with_count(limits, count)));
    };
    const std::uint64_t most = trace.size() / 50;
    const auto found = ctl::smallest_count(5'000, most, ctl::is_monotone(limits), denied);
    REQUIRE(found);
    CHECK(found->denied == *denied(found->count));
    CHECK(found->denied <= most);
    if (!ctl::is_monotone(limits)) continue;
    for (std::uint64_t count = 1; count < found->count; ++count) REQUIRE(*denied(count) > most);
    if (found->smaller_count) CHECK(found->smaller_denied == *denied(*found->smaller_count));
  }
}

TEST_CASE("where_more_does_not_always_help_smaller_counts_are_looked_at_too") {
  // 7 will do, 8 and 9 will not, 10 and all above will.
  const auto denied = [](std::uint64_t count) -> std::optional<std::uint64_t> {
    return count == 7 || count >= 10 ? 0 : 5;
  };
  CHECK(ctl::smallest_count(1'000, 0, true, denied)->count == 10);
  CHECK(ctl::smallest_count(1'000, 0, false, denied)->count == 7);
}

TEST_CASE("no_count_is_found_where_none_will_do_or_limits_end_before") {
  const auto never = [](std::uint64_t) { return std::optional<std::uint64_t>(5); };
  CHECK(!ctl::smallest_count(1'000, 4, true, never));
  const auto odd_only = [](std::uint64_t count) {
    return count % 2 == 0 ? std::nullopt : std::optional<std::uint64_t>(count > 20 ? 0 : 9);
  };
  const auto found = ctl::smallest_count(1'000, 0, true, odd_only);
  REQUIRE(found);  // though every power of two is missing
  CHECK(found->count == 21);
  CHECK(found->smaller_count == 19);
}

}  // namespace rl::test
