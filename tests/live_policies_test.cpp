/// \file
/// A limit that is changed while it is asked: src/follow.hpp, src/change.hpp.
#include <doctest/doctest.h>
#include <unistd.h>

#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "shm/policies.hpp"
#include "src/change.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

SegmentOptions by_hand(std::uint32_t policies = 64) {
  return {.keys = 100, .clock = ClockSource::manual, .policies = policies};
}

/// Makes `n` calls of cost 1; returns how many passed.
int call(Limiter& limiter, int n, std::string_view key = "k") {
  int passed = 0;
  for (int i = 0; i < n; ++i) passed += limiter.try_acquire(key) ? 1 : 0;
  return passed;
}

Errc refused(auto&& what) {
  try {
    what();
  } catch (const Error& e) {
    return e.code();
  }
  FAIL("nothing was refused");
  return Errc::system;
}

/// The lines that the library says while this lives.
class Log {
 public:
  Log() {
    set_log(
        [](Severity severity, std::string_view line, void* self) noexcept {
          if (severity == Severity::warning) static_cast<Log*>(self)->lines.emplace_back(line);
        },
        this);
  }
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;
  ~Log() { set_log(nullptr); }
  std::vector<std::string> lines;
};

TEST_CASE("a_change_holds_at_the_next_call_of_every_handle") {
  test::Scratch segment(by_hand());
  Limiter one = segment->limiter("api", Limit::per_hour(3));
  Limiter other = Segment::open(segment.name()).limiter("api");
  CHECK(call(one, 2) == 2);
  segment->set_policy("api", Limit::per_hour(5));
  CHECK(one.limit() == Limit::per_hour(5));
  CHECK(other.limit() == Limit::per_hour(5));
  CHECK(one.try_acquire("k").limit == 5);
  CHECK(other.peek("k").remaining == 2);
  CHECK(call(other, 5) == 2);
  CHECK(call(one, 1) == 0);
  segment->set_policy("api", Limit::per_hour(1));
  CHECK(call(other, 1, "another") == 1);
  CHECK(call(one, 1, "another") == 0);
}

TEST_CASE("A_what_was_spent_stays_spent_as_of_the_change_whenever_the_key_is_called_next") {
  for (const std::chrono::nanoseconds waits : {0ms, 200ms, 50'000ms}) {
    test::Scratch segment(by_hand());
    segment->advance_clock(1s);
    Limiter api = segment->limiter("api", Limit::per_second(1'000).burst(100));
    CHECK(call(api, 100) == 100);
    segment->set_policy("api", Limit::per_second(1).burst(100));
    segment->advance_clock(waits);
    const std::chrono::nanoseconds left = 100s - waits;
    CHECK(api.peek("k").reset_after == left);
    CHECK(segment->find("api", "k")->reset_after == left);
    const auto full_in = api.try_acquire("k").reset_after;
    CHECK(full_in == (waits < 1s ? left : left + 1s));
  }
}

TEST_CASE("scale_keeps_the_share_and_reset_begins_anew") {
  for (const auto& [spent, passes] :
       {std::pair{Spent::keep, 7}, {Spent::scale, 5}, {Spent::reset, 10}}) {
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::per_hour(6));
    CHECK(call(api, 3) == 3);
    segment->set_policy("api", Limit::per_hour(10), spent);
    CHECK(api.peek("k").remaining == static_cast<std::uint64_t>(passes));
    CHECK(call(api, 20) == passes);
  }
}

TEST_CASE("an_algorithm_becomes_another_and_tokens_spent_stay_spent") {
  const std::vector<std::string> limits = {"10/h", "leaky 10/h queue=9", "window 10/h",
                                           "sliding 10/h"};
  for (const std::string& from : limits) {
    for (const std::string& to : limits) {
      INFO(from << " -> " << to);
      test::Scratch segment(by_hand());
      Limiter api = segment->limiter("api", Limit::parse(from));
      CHECK(call(api, 4) == 4);
      segment->set_policy("api", Limit::parse(to));
      CHECK(api.peek("k").remaining == 6);
      CHECK(call(api, 20) == 6);
    }
  }
}

TEST_CASE("A_several_changes_are_followed_one_by_one") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_second(10).burst(10));
  CHECK(call(api, 10) == 10);
  segment->set_policy("api", Limit::per_second(1).burst(10));  // owes 10 s
  segment->advance_clock(4s);                                  // owes 6 s, 6 tokens
  segment->set_policy("api", Limit::per_second(2).burst(10));  // owes 3 s
  segment->advance_clock(1s);                                  // owes 2 s, 4 tokens
  segment->set_policy("api", Limit::per_second(10).burst(10));
  CHECK(api.peek("k").reset_after == 400ms);
  CHECK(call(api, 10) == 6);
}

TEST_CASE("back_to_the_limit_of_before_is_a_new_entry_and_the_history_has_all") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  segment->set_policy("api", Limit::per_hour(2));
  segment->set_policy("api", Limit::per_hour(1), Spent::scale);
  const std::vector<PolicyInfo> history = segment->history("api");
  REQUIRE(history.size() == 3);
  CHECK(history[0].limit == Limit::per_hour(1));
  CHECK(history[1].limit == Limit::per_hour(2));
  CHECK(history[2].limit == Limit::per_hour(1));
  CHECK(history[2].spent == Spent::scale);
  CHECK(history[2].creator_uid == ::geteuid());
  CHECK(history[0].id < history[1].id);
  CHECK(history[1].id < history[2].id);
  const std::vector<PolicyInfo> policies = segment->policies();
  REQUIRE(policies.size() == 1);
  CHECK(policies[0].id == history[2].id);
  CHECK(api.try_acquire("k").policy == history[2].id);
  CHECK(refused([&] { (void)segment->history("none"); }) == Errc::unknown_policy);
}

TEST_CASE("a_limit_that_is_in_force_already_is_no_change_unless_it_is_to_reset") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(2));
  CHECK(call(api, 2) == 2);
  segment->set_policy("api", Limit::per_hour(2));
  segment->set_policy("api", Limit::per_hour(2), Spent::scale);
  CHECK(segment->history("api").size() == 1);
  CHECK(call(api, 1) == 0);
  segment->set_policy("api", Limit::per_hour(2), Spent::reset);
  CHECK(segment->history("api").size() == 2);
  CHECK(call(api, 3) == 2);
}

TEST_CASE("A_a_refund_is_converted_where_tokens_stay_tokens_and_refused_where_they_do_not") {
  struct {
    const char* to;
    Spent spent;
    bool gives;
  } const changes[] = {{"5/h burst=10", Spent::keep, true},
                       {"leaky 5/h queue=9", Spent::keep, true},
                       {"5/h burst=10", Spent::scale, false},
                       {"5/h burst=10", Spent::reset, false},
                       {"window 10/h", Spent::keep, false}};
  {
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse("window 10/h"));
    Decision d = api.try_acquire("k", 4);
    segment->set_policy("api", Limit::parse("window 8/h"));
    CHECK(api.peek("k").remaining == 4);
    CHECK(api.refund("k", d));
    CHECK(api.peek("k").remaining == 8);
  }
  for (const auto& change : changes) {
    INFO(change.to << " " << static_cast<int>(change.spent));
    test::Scratch segment(by_hand());
    Limiter api = segment->limiter("api", Limit::parse("10/h"));
    Decision d = api.try_acquire("k", 4);
    segment->set_policy("api", Limit::parse(change.to), change.spent);
    const auto before = api.peek("k").remaining;
    CHECK(api.refund("k", d) == change.gives);
    CHECK(api.peek("k").remaining == before + (change.gives ? 4 : 0));
    CHECK_FALSE(api.refund("k", d));
  }
}

TEST_CASE("A_a_window_that_was_over_when_its_limit_changed_gives_nothing_back") {
  for (const char* limit : {"window 10/h", "sliding 10/h"}) {
    for (const auto later : {1h, 2h}) {  // what fades is owed, and not given back either
      INFO(limit << ", " << later.count() << " hours later");
      test::Scratch segment(by_hand());
      Limiter api = segment->limiter("api", Limit::parse(limit));
      segment->advance_clock(24h);
      Decision over = api.try_acquire("k", 4);
      segment->advance_clock(later);
      Decision d = api.try_acquire("k", 5);
      segment->set_policy("api", Limit::parse(limit + std::string(" floor=20")));
      const auto before = api.peek("k").remaining;
      CHECK_FALSE(api.refund("k", over));
      CHECK(api.peek("k").remaining == before);
      CHECK(api.refund("k", d));
      CHECK(api.peek("k").remaining == before + 5);
    }
  }
}

TEST_CASE("A_a_charge_of_another_segment_gives_nothing_back_after_a_change_either") {
  test::Scratch other(by_hand());
  Limiter theirs = other->limiter("api", Limit::parse("1/m burst=10"));
  other->advance_clock(1'000h);
  Decision charge = theirs.try_acquire("k", 5);
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::parse("1/m burst=10"));
  segment->advance_clock(24h);
  CHECK(api.try_acquire("k", 5));
  Decision copy = charge;
  CHECK_FALSE(api.refund("k", copy));
  segment->set_policy("api", Limit::parse("1/m burst=20"));
  const auto before = api.peek("k").remaining;
  CHECK_FALSE(api.refund("k", charge));
  CHECK(api.peek("k").remaining == before);
}

TEST_CASE("A_an_owing_key_of_a_slower_limit_is_not_idle_though_its_old_units_say_so") {
  test::Scratch segment({.keys = 1, .clock = ClockSource::manual});
  Limiter api = segment->limiter("api", Limit::parse("1000/s burst=100 when_full=deny"));
  const std::uint64_t slots = segment->info().slots;
  for (std::uint64_t i = 0; i < slots; ++i) REQUIRE(api.try_acquire("k" + std::to_string(i), 100));
  segment->set_policy("api", Limit::parse("1/s burst=100 when_full=deny"));
  segment->advance_clock(1s);
  const Decision d = api.try_acquire("newcomer");
  CHECK_FALSE(d);
  CHECK(d.reason == Reason::full);
  CHECK(segment->info().live == slots);
  CHECK(api.peek("k0").remaining == 1);
}

TEST_CASE("a_key_that_owes_nothing_owes_nothing_after_a_change") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_second(1));
  CHECK(call(api, 1) == 1);
  segment->advance_clock(1s);
  segment->set_policy("api", Limit::per_hour(1));
  CHECK(segment->find("api", "k")->idle);
  CHECK(api.peek("never seen").remaining == 1);
  CHECK(call(api, 1) == 1);
  CHECK(call(api, 1) == 0);
}

TEST_CASE("a_removed_policy_limits_nothing_until_it_is_made_again") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  CHECK(call(api, 2) == 1);
  CHECK(segment->remove_policy("api"));
  CHECK_FALSE(segment->remove_policy("api"));
  CHECK_FALSE(segment->remove_policy("never-there"));
  CHECK(segment->policies().empty());
  for (const char* key : {"k", "never seen"}) {
    const Decision d = api.try_acquire(key, 1'000);
    CHECK(d);
    CHECK(d.reason == Reason::off);
  }
  CHECK(api.peek("k"));
  CHECK(refused([&] { (void)segment->limiter("api"); }) == Errc::unknown_policy);
  Limiter started = segment->limiter("api", Limit::per_hour(2));
  CHECK(call(started, 3) == 2);
  CHECK(call(api, 1) == 0);
  CHECK(segment->history("api").size() == 3);
}

TEST_CASE("limits_that_are_off_let_all_calls_pass_and_charge_nothing") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  CHECK(call(api, 2) == 1);
  CHECK(segment->switch_limits(false));
  CHECK_FALSE(segment->switch_limits(false));
  CHECK(segment->info().off_since.has_value());
  for (int i = 0; i < 5; ++i) CHECK(api.try_acquire("k").reason == Reason::off);
  CHECK(api.peek("k").reason == Reason::off);
  CHECK_FALSE(api.try_acquire(""));
  CHECK(segment->info().off_allowed == 5);
  CHECK(segment->switch_limits(true));
  CHECK_FALSE(segment->info().off_since.has_value());
  CHECK(call(api, 1) == 0);
  CHECK(api.peek("k").reset_after == 1h);
}

TEST_CASE("calls_do_not_become_permits_nor_permits_calls") {
  test::Scratch segment(by_hand());
  (void)segment->limiter("api", Limit::per_hour(1));
  (void)segment->limiter("uploads", Limit::concurrency(2));
  CHECK(refused([&] { segment->set_policy("api", Limit::concurrency(1)); }) == Errc::bad_limit);
  CHECK(refused([&] { segment->set_policy("uploads", Limit::per_hour(1)); }) == Errc::bad_limit);
  CHECK(refused([&] { segment->set_policy("many", Limit::concurrency(101)); }) == Errc::bad_limit);
  CHECK(segment->history("api").size() == 1);
}

TEST_CASE("a_program_that_asks_for_another_limit_is_warned_once_and_both_are_shown") {
  Log log;
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  CHECK(log.lines.empty());
  Limiter other = segment->limiter("api", Limit::per_hour(7));
  Limiter same = segment->limiter("api", Limit::per_hour(7));
  REQUIRE(log.lines.size() == 2);  // one for each limiter
  CHECK(log.lines[0].find("policy api is 1/h in the segment, 7/h in the code") !=
        std::string::npos);
  CHECK(other.differs());
  CHECK_FALSE(api.differs());
  CHECK(call(other, 3) == 1);
  CHECK(log.lines.size() == 2);
  CHECK(segment->policies().at(0).asked == Limit::per_hour(7));
  CHECK(segment->info().policies == 2);  // noted once
  segment->set_policy("api", Limit::per_hour(7));
  CHECK_FALSE(other.differs());
  CHECK_FALSE(segment->policies().at(0).asked);
  CHECK(api.differs());
}

TEST_CASE("ids_that_are_used_up_are_an_error_and_the_limit_in_force_stands") {
  test::Scratch segment(by_hand(3));
  Limiter api = segment->limiter("api", Limit::per_hour(1));
  segment->set_policy("api", Limit::per_hour(2));
  segment->set_policy("api", Limit::per_hour(3));
  CHECK(segment->info().policies == 3);
  CHECK(refused([&] { segment->set_policy("api", Limit::per_hour(4)); }) == Errc::too_many);
  CHECK(call(api, 5) == 3);
}

TEST_CASE("a_segment_that_is_open_for_reading_is_not_changed") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_second(1'000).burst(100));
  CHECK(call(api, 100) == 100);
  Segment reader = Segment::open_read_only(segment.name());
  const Limiter looker = reader.limiter("api");
  CHECK(refused([&] { reader.set_policy("api", Limit::per_hour(1)); }) == Errc::read_only);
  CHECK(refused([&] { reader.remove_policy("api"); }) == Errc::read_only);
  CHECK(refused([&] { reader.switch_limits(false); }) == Errc::read_only);
  segment->set_policy("api", Limit::per_second(1).burst(100));
  CHECK(looker.peek("k").reset_after == 100s);
  CHECK(looker.limit() == Limit::per_second(1).burst(100));
}

/// A change as an operator leaves it who was killed before he dated it.
void change_without_a_date(const Segment& segment, std::string_view name, const Limit& limit) {
  const std::string path = segment.path();
  const View view(shm::Mapping::attach(path, shm::Access::read_write, false), path);
  const auto make = [&](std::uint16_t) { return std::optional(new_constants(view, limit)); };
  (void)view.policies.succeed(view.policies.find(name), name, make);
}

TEST_CASE("A_a_change_whose_operator_was_killed_is_dated_by_the_next_call_on_any_key") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_second(1'000).burst(100));
  CHECK(call(api, 100) == 100);
  change_without_a_date(*segment, "api", Limit::per_second(1).burst(100));
  CHECK(segment->history("api").size() == 2);
  segment->advance_clock(50ms);  // of 100 tokens, 50 are back
  CHECK(call(api, 1, "another") == 1);
  segment->advance_clock(10s);
  CHECK(api.peek("k").reset_after == 40s);
}

TEST_CASE("A_a_call_at_a_time_before_the_change_counts_at_the_change") {
  test::Scratch segment(by_hand());
  segment->advance_clock(1s);
  Limiter api = segment->limiter("api", Limit::per_second(1'000).burst(10));
  segment->advance_clock(1s);
  const Instant before = segment->now() - 500ms;
  segment->set_policy("api", Limit::per_second(1).burst(10));
  CHECK(api.try_acquire_at(before, "k", 10));
  CHECK(api.peek("k").reset_after == 10s);
}

TEST_CASE("A_a_date_far_ahead_by_bytes_gone_wrong_ends_no_debt") {
  test::Scratch segment(by_hand());
  segment->advance_clock(1s);
  Limiter api = segment->limiter("api", Limit::per_hour(10));
  CHECK(call(api, 10) == 10);
  segment->set_policy("api", Limit::per_hour(5).burst(10));
  {
    const shm::Mapping mapping =
        shm::Mapping::attach(segment.path(), shm::Access::read_write, false);
    mapping.policies()[0].changed_ns.store(~std::uint64_t{0}, std::memory_order_relaxed);
  }
  CHECK(call(api, 1) == 0);
  CHECK(api.peek("k").reset_after == 2h);
}

TEST_CASE("A_who_takes_a_change_without_a_date_for_the_limit_in_force_dates_it_first") {
  for (const bool starts : {true, false}) {
    test::Scratch segment(by_hand());
    segment->advance_clock(1s);
    Limiter api = segment->limiter("api", Limit::per_second(1'000).burst(100));
    CHECK(call(api, 100) == 100);
    change_without_a_date(*segment, "api", Limit::per_second(1).burst(100));
    const Limit taken = starts ? segment->limiter("api").limit() : api.limit();
    CHECK(taken == Limit::per_second(1).burst(100));
    segment->advance_clock(10s);  // would be all of the old debt, and a tenth of the new
    CHECK(api.peek("k").reset_after == 90s);
  }
}

TEST_CASE("A_a_limit_that_only_watches_denies_nobody_and_charges_only_what_passes") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_hour(2).shadow(true));
  CHECK(call(api, 2) == 2);
  const Decision d = api.try_acquire("k");
  CHECK(d);
  CHECK(d.reason == Reason::shadow);
  CHECK(d.retry_after == 30min);
  CHECK(d.charged == 0);
  CHECK(segment->find("api", "k")->denied_count == 1);
  segment->set_policy("api", Limit::per_hour(2));
  CHECK(call(api, 1) == 0);
}

TEST_CASE("A_changes_come_along_when_a_removed_segment_is_made_anew") {
  test::Scratch segment({.keys = 100});
  Limiter api = segment->limiter("api", Limit::per_hour(9));
  CHECK(call(api, 3) == 3);
  segment->set_policy("api", Limit::per_hour(5));
  segment->set_policy("api", Limit::per_hour(4));
  REQUIRE(::unlink(segment.path().c_str()) == 0);
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (::access(segment.path().c_str(), F_OK) != 0 && std::chrono::steady_clock::now() < deadline)
    (void)api.try_acquire("other");
  Segment again = Segment::open(segment.name());
  CHECK(again.history("api").size() == 3);
  Limiter fresh = again.limiter("api");
  CHECK(fresh.limit() == Limit::per_hour(4));
  CHECK(call(fresh, 5) == 1);
}

}  // namespace
}  // namespace rl
