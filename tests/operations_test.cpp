// What an operation makes of a key, held to slow models that know no state but every call.
#include "src/operations.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "tests/lives.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using test::any_up_to;
using test::Kind;
using test::Life;

__extension__ using Wide = __int128;

/// What was counted on a key: every call, from its beginning.
struct Counted {
  std::uint64_t at_ns;  ///< when a call went ahead, or a charge came
  std::uint64_t cost;
};

/// What the model of an algorithm says to a call.
struct Expected {
  bool allowed;
  std::uint64_t wait_ns;
};

template <class P>
struct Ledger;

/// A token bucket, from Guarantee A alone: a call goes ahead as soon as no window that ends with it
/// has more than burst + length / interval.
template <>
struct Ledger<TokenBucket> {
  std::vector<Counted> all;

  /// The earliest instant at which `cost` more keep to the bound, or `now`.
  [[nodiscard]] std::uint64_t grant(const TokenBucket& p, std::uint64_t now,
                                    std::uint64_t cost) const {
    Wide earliest = now;
    Wide sum = cost;
    for (auto entry = all.rbegin(); entry != all.rend(); ++entry) {
      sum += entry->cost;
      earliest = std::max(earliest, entry->at_ns + (sum - p.burst) * p.interval_ns);
    }
    return static_cast<std::uint64_t>(earliest);
  }
  [[nodiscard]] Expected reserve(const TokenBucket& p, std::uint64_t now, std::uint64_t cost,
                                 std::uint64_t patience) const {
    const std::uint64_t wait = grant(p, now, cost) - now;
    const bool fits = wait == 0 || wait + p.tolerance_ns <= p.horizon_ns;
    return {cost <= p.burst && wait <= patience && fits, wait};
  }
  [[nodiscard]] std::uint64_t left(const TokenBucket& p, std::uint64_t now) const {
    Wide tokens = p.burst;
    Wide sum = 0;
    for (auto entry = all.rbegin(); entry != all.rend(); ++entry) {
      sum += entry->cost;  // as many more as the window from here to now has room for
      const Wide since = Wide{now} - entry->at_ns;
      if (since + (p.burst - sum) * p.interval_ns < 0) return 0;
      tokens = std::min(tokens, (since + (p.burst - sum) * p.interval_ns) / p.interval_ns);
    }
    return static_cast<std::uint64_t>(tokens);
  }
};

/// A leaky bucket, as a server that takes one call after the other.
template <>
struct Ledger<LeakyBucket> {
  std::vector<Counted> all;

  [[nodiscard]] std::uint64_t free_at(const LeakyBucket& p, std::uint64_t now) const {
    std::uint64_t served = 0;
    for (const Counted& entry : all)
      served = std::max(served, entry.at_ns) + entry.cost * p.interval_ns;
    return std::max(served, now);
  }
  [[nodiscard]] Expected reserve(const LeakyBucket& p, std::uint64_t now, std::uint64_t cost,
                                 std::uint64_t patience) const {
    const std::uint64_t queued = free_at(p, now) - now;
    const std::uint64_t wait = queued - std::min(queued, p.delay_ns);
    const bool fits = queued + cost * p.interval_ns <= p.places * p.interval_ns;
    return {fits && wait <= patience, wait};
  }
  [[nodiscard]] std::uint64_t left(const LeakyBucket& p, std::uint64_t now) const {
    const std::uint64_t room = p.places * p.interval_ns;
    return (room - std::min(free_at(p, now) - now, room)) / p.interval_ns;
  }
};

/// What was counted in the window of `now`, or in one that many before it.
std::uint64_t sum_in(const Windows& windows, const std::vector<Counted>& all, std::uint64_t now,
                     std::uint64_t before) {
  const auto window_of = [&](std::uint64_t ns) {
    return (ns + windows.phase_ns) / windows.window_ns;
  };
  std::uint64_t sum = 0;
  for (const Counted& entry : all)
    sum += window_of(entry.at_ns) + before == window_of(now) ? entry.cost : 0;
  return sum;
}

template <>
struct Ledger<FixedWindow> {
  std::vector<Counted> all;

  [[nodiscard]] std::uint64_t left(const FixedWindow& p, std::uint64_t now) const {
    return p.limit - std::min(p.limit, sum_in(p.windows, all, now, 0));
  }
  [[nodiscard]] Expected reserve(const FixedWindow& p, std::uint64_t now, std::uint64_t cost,
                                 std::uint64_t) const {
    return {cost <= left(p, now), 0};
  }
};

template <>
struct Ledger<SlidingWindow> {
  std::vector<Counted> all;

  /// What is used, times the window's length.
  [[nodiscard]] Wide used(const SlidingWindow& p, std::uint64_t now) const {
    const Wide length = p.windows.window_ns;
    const Wide until_end = length - (Wide{now} + p.windows.phase_ns) % length;
    return sum_in(p.windows, all, now, 1) * until_end + sum_in(p.windows, all, now, 0) * length;
  }
  [[nodiscard]] Expected reserve(const SlidingWindow& p, std::uint64_t now, std::uint64_t cost,
                                 std::uint64_t) const {
    const Wide length = p.windows.window_ns;
    return {used(p, now) + cost * length <= p.limit * length, 0};
  }
  [[nodiscard]] std::uint64_t left(const SlidingWindow& p, std::uint64_t now) const {
    const Wide length = p.windows.window_ns;
    const Wide left = p.limit * length - used(p, now);
    return left < 0 ? 0 : static_cast<std::uint64_t>(left / length);
  }
};

template <class P>
constexpr bool kHasLine = std::is_same_v<P, TokenBucket> || std::is_same_v<P, LeakyBucket>;

/// How much may be charged here so that nothing is forgiven, mostly little.
template <class P>
std::uint64_t any_charge(Life<P>& key, std::uint64_t state) {
  const std::uint64_t room = charge_room(key.params, state, key.now);
  return std::min(room, 1 + key.random() % (most_at_once(key.params) + 1));
}

TEST_CASE_TEMPLATE("A_calls_reservations_and_charges_agree_with_a_list_of_them_all", P, TokenBucket,
                   LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t waited = 0;
  std::uint64_t denied = 0;
  std::uint64_t exceeded = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    key.now += 4 * key.scale;  // the first window has none before it
    Ledger<P> ledger;
    std::uint64_t state = 0;
    for (int call = 0; call < 20; ++call) {
      key.now += key.random() % (key.random() % 8 == 0 ? 3 * key.scale : key.scale / 8 + 2);
      if (key.random() % 8 == 0) {
        const std::uint64_t cost = any_charge(key, state);
        exceeded += cost > ledger.left(key.params, key.now) ? 1 : 0;
        state = charge(key.params, state, key.now, cost);
        ledger.all.push_back({key.now, cost});
      }
      const std::uint64_t cost = key.cost();
      const std::uint64_t patience = key.random() % 2 * any_up_to(key.random, 2 * key.scale);
      const Expected expected = ledger.reserve(key.params, key.now, cost, patience);
      const Verdict v = reserve(key.params, state, key.now, cost, patience);
      REQUIRE(v.allowed == expected.allowed);
      REQUIRE(v.wait_ns == (expected.allowed ? expected.wait_ns : 0));
      if (v.allowed) {
        const std::uint64_t starts = std::is_same_v<P, TokenBucket> ? v.wait_ns : 0;
        ledger.all.push_back({key.now + starts, cost});
      } else {
        REQUIRE(v.state == state);
      }
      state = v.state;
      waited += v.wait_ns != 0 ? 1 : 0;
      denied += v.allowed ? 0 : 1;
      REQUIRE(v.remaining == ledger.left(key.params, key.now));
      REQUIRE(peek(key.params, state, key.now, 1).remaining == v.remaining);
    }
  }
  CHECK(denied > 1'000);
  CHECK(exceeded > 300);
  CHECK((waited > 1'000) == kHasLine<P>);
}

TEST_CASE(
    "P_a_reservation_waits_no_longer_than_said_though_a_clock_that_is_set_back_says_otherwise") {
  const TokenBucket bucket = TokenBucket::of(1'000, 1).with_horizon(1'000'000);
  const std::uint64_t now = 5'000;
  Reserve stands{1, std::uint64_t{1} << 60, 0};
  CHECK_FALSE(stands.act(bucket, now + 1'000, now).allowed);
  Reserve waits{1, std::uint64_t{1} << 60, 1'000};
  CHECK(waits.act(bucket, now + 1'000, now).wait_ns == 1'000);
}

TEST_CASE_TEMPLATE("A_who_is_denied_a_reservation_passes_at_once_exactly_after_retry_after", P,
                   TokenBucket, LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t denied = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t state = 0;
    for (int call = 0; call < 20; ++call) {
      key.step(8, 8);
      if (key.random() % 8 == 0) state = charge(key.params, state, key.now, key.cost());
      const std::uint64_t cost = key.cost();
      const std::uint64_t patience = key.random() % 2 * any_up_to(key.random, key.scale);
      const Verdict v = reserve(key.params, state, key.now, cost, patience);
      REQUIRE(v.wait_ns <= patience);
      if (!v.allowed) {
        ++denied;
        const std::uint64_t then = key.now + v.retry_after_ns;
        REQUIRE(reserve(key.params, state, then, cost, 0).allowed);
        REQUIRE_FALSE(reserve(key.params, state, then - 1, cost, 0).allowed);
        REQUIRE(acquire(key.params, state, then, cost).wait_ns == 0);
      }
      state = v.state;
    }
  }
  CHECK(denied > 1'000);
}

/// Who went ahead, and when; `order` in which it was decided.
struct Granted {
  std::uint64_t at_ns;
  std::uint64_t cost;
  std::size_t order;
};

// What is given back between the first decision of a window and the last comes on top, and nothing
// else: charges only take away.
TEST_CASE("A_the_bound_holds_for_grants_whatever_is_called_reserved_charged_and_given_back") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t met = 0;
  std::uint64_t refunds = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<TokenBucket> key(test::seed() + run);
    const TokenBucket bucket = key.params.with_horizon(4 * key.scale + 4'000);
    std::uint64_t tat = 0;
    std::vector<Granted> granted;
    std::vector<std::uint64_t> given_ns{0};  // before each decision, from the beginning on
    struct Charged {
      std::uint64_t state, cost, wait_ns;
    } last{0, 0, 0};
    for (int call = 0; call < 40; ++call) {
      key.step(8, 16);
      const std::uint64_t kind = key.random() % 8;
      if (kind == 0) {
        tat = charge(bucket, tat, key.now, key.cost());
      } else if (kind == 1 && (last.wait_ns == 0 || last.state == tat)) {
        const std::uint64_t back = refund(bucket, tat, last.state, last.cost, key.now);
        given_ns.back() += tat - back;
        refunds += tat != back ? 1 : 0;
        tat = back;
        last = {0, 0, 0};
      } else {
        const std::uint64_t cost = key.cost();
        const std::uint64_t patience = kind < 5 ? 0 : any_up_to(key.random, 2 * key.scale);
        const Verdict v = reserve(bucket, tat, key.now, cost, patience);
        if (!v.allowed) continue;
        tat = v.state;
        last = {v.state, cost, v.wait_ns};
        granted.push_back({key.now + v.wait_ns, cost, granted.size()});
        given_ns.push_back(given_ns.back());
      }
    }
    std::stable_sort(granted.begin(), granted.end(),
                     [](const Granted& a, const Granted& b) { return a.at_ns < b.at_ns; });
    for (std::size_t first = 0; first < granted.size(); ++first) {
      std::uint64_t sum = 0;
      std::size_t from = granted[first].order;
      std::size_t to = from;
      for (std::size_t i = first; i < granted.size(); ++i) {
        sum += granted[i].cost;
        from = std::min(from, granted[i].order);
        to = std::max(to, granted[i].order);
        const std::uint64_t length = granted[i].at_ns - granted[first].at_ns;
        const std::uint64_t given = given_ns[to] - given_ns[from];
        REQUIRE(sum * bucket.interval_ns <= bucket.tolerance_ns + length + given);
        met += sum == bucket.burst + length / bucket.interval_ns ? 1 : 0;
      }
    }
  }
  CHECK(met > 1'000);  // the bound is met, not only kept
  CHECK(refunds > 1'000);
}

TEST_CASE("A_grants_of_a_leaky_bucket_stay_apart_whatever_is_reserved_charged_and_given_back") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t refunds = 0;
  std::uint64_t waited = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<LeakyBucket> key(test::seed() + run);
    const LeakyBucket bucket = LeakyBucket::of(key.params.interval_ns, key.params.places - 1, 0)
                                   .with_horizon(key.scale * 4);
    std::uint64_t tat = 0;
    std::vector<Counted> line;  // who goes ahead when, and nobody is in it twice
    std::uint64_t last = 0;     // the state after the last of them
    for (int call = 0; call < 40; ++call) {
      key.step(8, 16);
      const std::uint64_t kind = key.random() % 8;
      const std::uint64_t cost = key.cost();
      if (kind == 0) {
        tat = charge(bucket, tat, key.now, cost);
      } else if (kind == 1 && !line.empty()) {
        const std::uint64_t back = refund(bucket, tat, last, line.back().cost, key.now);
        if (back == tat) continue;
        REQUIRE(tat == last);
        tat = back;
        line.pop_back();
        last = 0;
        ++refunds;
      } else {
        const std::uint64_t patience = any_up_to(key.random, 2 * key.scale);
        const Verdict v = reserve(bucket, tat, key.now, cost, patience);
        if (!v.allowed) continue;
        const std::uint64_t grant = key.now + v.wait_ns;
        if (!line.empty())
          REQUIRE(grant >= line.back().at_ns + line.back().cost * bucket.interval_ns);
        line.push_back({grant, cost});
        tat = last = v.state;
        waited += v.wait_ns != 0 ? 1 : 0;
      }
    }
  }
  CHECK(refunds > 1'000);
  CHECK(waited > 1'000);
}

TEST_CASE_TEMPLATE("with_remaining_leaves_what_a_key_never_seen_has_that_used_the_rest", P,
                   TokenBucket, LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t less = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t state = 0;
    for (int call = 0; call < 10; ++call) {
      key.now += key.random() % (key.scale / 4 + 2);
      state = acquire(key.params, state, key.now, key.cost()).state;
      if (key.random() % 4 == 0) state = charge(key.params, state, key.now, key.cost());
      const std::uint64_t most = most_at_once(key.params);
      const std::uint64_t left = key.random() % 4 == 0 ? key.random() : key.random() % (most + 1);
      const std::uint64_t used = most - std::min(left, most);
      const std::uint64_t set = with_remaining(key.params, state, key.now, left);
      const std::uint64_t fresh = idle_state(key.params, key.now);
      REQUIRE(set == (used == 0 ? fresh : acquire(key.params, fresh, key.now, used).state));
      REQUIRE(is_idle(key.params, set, key.now) == (left >= most));
      less += set < state ? 1 : 0;

      // A reading that lags behind the last call does not make it less than was meant.
      const std::uint64_t before = key.now - std::min(key.now, key.random() % key.scale);
      const std::uint64_t late = with_remaining(key.params, state, before, left);
      REQUIRE(peek(key.params, late, before, 1).remaining == std::min(left, most));
      if (key.random() % 2 == 0) state = set;
    }
  }
  CHECK(less > 1'000);
}

TEST_CASE_TEMPLATE("A_a_key_owes_no_less_after_a_settlement_than_had_the_true_cost_been_known", P,
                   TokenBucket, LeakyBucket, FixedWindow, SlidingWindow) {
  INFO("RL_TEST_SEED=" << test::seed());
  std::uint64_t given = 0;
  std::uint64_t charged = 0;
  for (std::uint64_t run = 0; run < 10'000; ++run) {
    Life<P> key(test::seed() + run);
    std::uint64_t before = 0;
    for (int call = 0; call < 5; ++call) {
      key.now += key.random() % (key.scale / 8 + 2);
      before = acquire(key.params, before, key.now, key.cost()).state;
    }
    const std::uint64_t estimate = key.cost();
    const std::uint64_t actual = key.random() % (2 * estimate + 1);
    const Verdict held = acquire(key.params, before, key.now, estimate);
    if (!held.allowed) continue;
    const auto settle = [&](std::uint64_t state) {
      return actual <= estimate ? refund(key.params, state, held.state, estimate - actual, key.now)
                                : charge(key.params, state, key.now, actual - estimate);
    };
    const auto owes_as_much = [&](std::uint64_t a, std::uint64_t b) {
      const Verdict of_a = peek(key.params, a, key.now, 1);
      const Verdict of_b = peek(key.params, b, key.now, 1);
      return of_a.remaining <= of_b.remaining && of_a.reset_after_ns >= of_b.reset_after_ns;
    };
    std::uint64_t known = actual == 0 ? before : charge(key.params, before, key.now, actual);
    REQUIRE(owes_as_much(settle(held.state), known));
    REQUIRE(owes_as_much(known, settle(held.state)));

    std::uint64_t state = held.state;
    for (std::uint64_t call = key.random() % 2 * (key.random() % 8); call != 0; --call) {
      key.now += key.random() % (key.scale / 4 + 2);
      const std::uint64_t cost = key.cost();
      const Verdict v = acquire(key.params, state, key.now, cost);
      if (v.allowed) known = charge(key.params, known, key.now, cost);
      state = v.state;
    }
    key.now += key.random() % (key.scale / 2 + 2);
    const std::uint64_t settled = settle(state);
    REQUIRE(owes_as_much(settled, known));
    given += settled < state ? 1 : 0;
    charged += settled > state ? 1 : 0;
  }
  CHECK(given > 100);
  CHECK(charged > 100);
}

}  // namespace
}  // namespace rl
