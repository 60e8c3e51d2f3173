#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <optional>
#include <random>
#include <vector>

#include "src/core.hpp"
#include "src/permit_slots.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr auto kTick = nanoseconds(kTickNs);

/// A segment on a manual clock, and its insides.
struct Fixture {
  explicit Fixture(std::uint64_t permits = 3, nanoseconds lease = 30s)
      : limiter(scratch->limiter("uploads", Limit::concurrency(permits, lease))),
        view(shm::Mapping::attach(scratch.path(), shm::Access::read_write, false), scratch.path()) {
    scratch->advance_clock(100s);
  }

  Permit take(std::string_view key = "k") { return limiter.permit(key); }
  std::vector<Permit> take_all() {
    std::vector<Permit> all;
    for (std::uint64_t i = 0; i < limiter.limit().count(); ++i) {
      all.push_back(take());
      REQUIRE(all.back());
    }
    return all;
  }
  HintWord hint(std::string_view key = "k") {
    const auto hash = shm::KeyHash::from(hasher()(key.data(), key.size()));
    const std::uint64_t index = view.table.find(hash);
    if (index == view.table.kNowhere) return {};
    return HintWord::of(view.table.slot(index).words().state);
  }
  shm::Hasher hasher() const { return hasher_for(view.mapping, "uploads"); }
  std::uint64_t members() {
    std::uint64_t n = 0;
    for (std::uint64_t i = 0; i < view.table.slot_count(); ++i)
      n += shm::is_member(view.table.slot(i).tag()) ? 1U : 0U;
    return n;
  }
  /// Overwrites what is idle with keys of another limit, which are idle themselves afterwards.
  void flood() {
    Limiter other = scratch->limiter("other", Limit::parse("1/s when_full=deny"));
    for (int i = 0; i < 5'000; ++i) (void)other.try_acquire("flood" + std::to_string(i));
    scratch->advance_clock(1s);
  }

  test::Scratch scratch{{.keys = 1'000, .clock = ClockSource::manual}};
  Limiter limiter;
  View view;
};

TEST_CASE("A_no_more_permits_are_out_than_the_limit_and_one_given_back_is_had_again") {
  Fixture f;
  std::vector<Permit> all = f.take_all();
  Permit denied = f.take();
  CHECK_FALSE(denied);
  CHECK(denied.decision().reason == Reason::limited);
  CHECK(denied.decision().limit == 3);
  CHECK(f.take("another"));  // other keys have their own
  CHECK(all[1].release());
  Permit again = f.take();
  CHECK(again);
  CHECK_FALSE(f.take());
  all.clear();  // given back at the end of their lives
  CHECK(f.take());
}

TEST_CASE("what_a_taker_is_told_is_true") {
  Fixture f(1);
  Permit permit = f.take();
  REQUIRE(permit);
  const Decision& d = permit.decision();
  CHECK(d.allowed);
  CHECK(d.reason == Reason::ok);
  CHECK(d.limit == 1);
  CHECK(d.remaining == 0);
  CHECK(d.retry_after == 0ns);
  CHECK(d.reset_after == permit.lease_end() - f.scratch->now());
  CHECK(d.reset_after >= 30s);
  CHECK(d.reset_after < 30s + kTick);
  CHECK(d.charged == 0);
  Decision copy = d;
  CHECK_FALSE(f.limiter.refund("k", copy));
  CHECK(permit.holds());
}

TEST_CASE("P_a_denial_says_when_the_first_lease_ends_and_that_is_true") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  for (int run = 0; run < 200; ++run) {
    CAPTURE(run);
    Fixture f(1 + random() % 5, 1s + std::chrono::milliseconds(random() % 20'000));
    std::vector<Permit> all;
    while (Permit permit = f.take()) {
      all.push_back(std::move(permit));
      f.scratch->advance_clock(nanoseconds(random() % 300'000'000));
    }
    // By a look at all, and by the hint alone: the same answer, and nobody is let in early.
    for (const nanoseconds later : {0ns, nanoseconds(random() % 400'000'000)}) {
      f.scratch->advance_clock(later);
      const Permit denied = f.take();
      if (denied) break;  // the first lease has ended meanwhile
      const nanoseconds wait = denied.decision().retry_after;
      REQUIRE(wait > 0ns);
      CHECK(denied.lease_end() == Instant{});
      if (random() % 2 == 0) continue;
      f.scratch->advance_clock(wait - 1ns);
      CHECK_FALSE(f.take());
      f.scratch->advance_clock(1ns);
      CHECK(f.take());
      break;
    }
  }
}

TEST_CASE("A_a_holder_whose_lease_ran_out_has_lost_its_permit_and_learns_it") {
  Fixture f(1);
  Permit slow = f.take();
  REQUIRE(slow);
  f.scratch->advance_clock(slow.lease_end() - f.scratch->now() - 1ns);
  CHECK(slow.holds());
  CHECK_FALSE(f.take());
  f.scratch->advance_clock(1ns);
  CHECK_FALSE(slow.holds());
  CHECK_FALSE(slow.renew());
  CHECK(slow.fence() == 0);
  Permit next = f.take();
  REQUIRE(next);
  CHECK_FALSE(slow.release());
  CHECK(next.holds());  // not given back by the one who lost it
  CHECK_FALSE(f.take());
}

TEST_CASE("a_lease_that_ran_out_unnoticed_is_not_said_to_have_been_given_back") {
  Fixture f(1);
  Permit slow = f.take();
  f.scratch->advance_clock(40s);
  CHECK_FALSE(slow.release());
  CHECK(f.take());
}

TEST_CASE("a_permit_of_one_who_died_is_had_at_once_and_counted_as_taken_over") {
  Fixture f(1);
  test::Child holder([&] {
    const Permit dies = f.take();
    REQUIRE(dies);
    ::raise(SIGKILL);
  });
  REQUIRE(holder.wait() == 128 + SIGKILL);
  const Permit next = f.take();
  CHECK(next);
  CHECK(f.scratch->totals().permits_reclaimed == 1);
}

TEST_CASE("a_renewed_lease_runs_from_then") {
  Fixture f(1, 10s);
  Permit permit = f.take();
  for (int i = 0; i < 5; ++i) {
    f.scratch->advance_clock(9s);
    REQUIRE(permit.renew());
    CHECK(permit.lease_end() >= f.scratch->now() + 10s);
    CHECK(permit.lease_end() < f.scratch->now() + 10s + kTick);
    CHECK_FALSE(f.take());
  }
  CHECK(permit.holds());
  CHECK(permit.release());
  CHECK_FALSE(permit.renew());
  CHECK(f.take());
}

TEST_CASE("S_a_permit_is_given_back_once") {
  Fixture f(2);
  Permit first = f.take();
  CHECK(first.release());
  CHECK_FALSE(first);
  CHECK_FALSE(first.release());
  CHECK_FALSE(first.holds());
  Permit next = f.take();
  CHECK_FALSE(first.release());
  CHECK(next.holds());
}

TEST_CASE("a_permit_moves_with_its_object") {
  Fixture f(2);
  Permit a = f.take();
  Permit b = std::move(a);
  CHECK_FALSE(a);  // NOLINT: a moved one holds nothing
  CHECK(b.holds());
  Permit c = f.take();
  CHECK_FALSE(f.take());
  b = std::move(c);  // what b held is given back
  CHECK(b.holds());
  CHECK(f.take());
  Permit& same = b;
  b = std::move(same);
  CHECK(b.holds());
  std::optional<Permit> left;
  {
    Limiter gone = f.scratch->limiter("short", Limit::concurrency(1));
    left.emplace(gone.permit("k"));
  }
  CHECK(left->holds());  // longer than the limiter it came from
  CHECK(left->release());
}

TEST_CASE("A_fencing_numbers_rise_from_holder_to_holder_also_when_their_slots_were_overwritten") {
  Fixture f(2);
  std::uint64_t last = 0;
  for (int i = 0; i < 20; ++i) {
    CAPTURE(i);
    Permit permit = f.take();
    for (int again = 0; again < 3; ++again) {
      const std::uint64_t number = permit.fence();
      CHECK(number > last);
      last = number;
    }
    permit.release();
    CHECK(permit.fence() == 0);
    f.scratch->advance_clock(i % 3 == 0 ? 0ns : 1ms);
    f.flood();
  }
}

TEST_CASE("S_a_flood_of_keys_takes_no_permit_away_while_it_is_out") {
  Fixture f(3);
  std::vector<Permit> all = f.take_all();
  CHECK_FALSE(f.take());  // and a mark, which stays for its second
  const HintWord marked = f.hint();
  CHECK(marked.mark == HintWord::saturated);
  f.flood();
  CHECK(f.hint() == marked);
  for (const Permit& permit : all) CHECK(permit.holds());
  CHECK_FALSE(f.take());
  for (Permit& permit : all) CHECK(permit.release());
  f.flood();
  CHECK(f.take_all().size() == 3);
}

TEST_CASE("a_process_that_works_for_many_keys_uses_one_slot_of_each_again_and_again") {
  Fixture f(100);
  for (int round = 0; round < 20; ++round) {
    std::vector<Permit> all;
    for (int key = 0; key < 50; ++key) all.push_back(f.take("k" + std::to_string(key)));
    for (const Permit& permit : all) REQUIRE(permit);
  }
  CHECK(f.members() == 50);
}

TEST_CASE("a_denial_by_the_hint_looks_at_no_other_permit") {
  Fixture f(8);
  std::vector<Permit> all = f.take_all();
  CHECK_FALSE(f.take());
  CHECK(f.hint().mark == HintWord::saturated);
  // All others are freed behind everybody's back, without a word to the hint: who looks at one of
  // them, or at all, finds one.
  for (std::uint32_t i = 1; i < 8; ++i) {
    const std::uint32_t hidden = (f.hint().index + i) % 8;
    const std::uint64_t index =
        f.view.table.find(hash_of_permit(f.hasher(), f.hasher()("k", 1), hidden));
    REQUIRE(index != f.view.table.kNowhere);
    REQUIRE(f.view.table.free_if(index, [](shm::SlotWords) { return true; }));
  }
  CHECK_FALSE(f.take());
  f.scratch->advance_clock(HintWord::kValidMax * kTick);
  CHECK(f.take());  // the hint is not believed for longer
}

TEST_CASE("who_gives_back_clears_the_hint") {
  Fixture f(2);
  std::vector<Permit> all = f.take_all();
  CHECK_FALSE(f.take());
  CHECK(f.hint().mark == HintWord::saturated);
  const std::uint32_t releases = f.hint().releases;
  all.pop_back();
  CHECK(f.hint().mark == HintWord::clear);
  CHECK(f.hint().releases == releases + 1);
  all.push_back(f.take());
  CHECK(all.back());
  all.clear();
  CHECK(f.hint().releases == releases + 1);  // nobody was denied, nobody need be told
}

TEST_CASE("a_mark_of_one_who_died_while_looking_is_taken_over") {
  Fixture f(2);
  std::vector<Permit> all = f.take_all();
  CHECK_FALSE(f.take());
  const auto now = static_cast<std::uint64_t>(f.scratch->now().time_since_epoch().count());
  const auto hash = shm::KeyHash::from(f.hasher()("k", 1));
  const auto mark_at = [&](std::uint64_t ns) {
    (void)f.view.table.step_member(hash, [&](std::uint16_t policy, std::uint64_t state) {
      const HintWord mark = marked(HintWord::of(state), ns);
      return shm::Transition{shm::Transition::store, policy, mark.state()};
    });
  };
  for (const std::uint64_t ago : {std::uint64_t{0}, 2 * kTickNs, 20 * kTickNs}) {
    CAPTURE(ago);
    mark_at(now - ago);
    CHECK_FALSE(f.take());
    CHECK(f.hint().mark == HintWord::saturated);
    CHECK(is_saturated(f.hint(), now));
  }
}

TEST_CASE("peek_permit_says_how_many_permits_are_free_and_takes_none") {
  Fixture f(3, 10s);
  Decision seen = f.limiter.peek_permit("k");
  CHECK(seen.allowed);
  CHECK(seen.limit == 3);
  CHECK(seen.remaining == 3);
  CHECK(seen.reset_after == 0ns);
  CHECK(f.members() == 0);
  Permit first = f.take();
  f.scratch->advance_clock(2s);
  Permit second = f.take();
  seen = f.limiter.peek_permit("k");
  CHECK(seen.remaining == 1);
  CHECK(seen.reset_after == second.lease_end() - f.scratch->now());
  Permit third = f.take();
  seen = Segment::open_read_only(f.scratch.name()).limiter("uploads").peek_permit("k");
  CHECK_FALSE(seen.allowed);
  CHECK(seen.reason == Reason::limited);
  CHECK(seen.remaining == 0);
  CHECK(seen.retry_after == first.lease_end() - f.scratch->now());
  f.scratch->advance_clock(seen.retry_after);
  CHECK(f.limiter.peek_permit("k").remaining == 1);
}

TEST_CASE("a_listed_permit_says_who_holds_it_and_for_how_long") {
  Fixture f(1);
  const auto parts = [&] {
    std::vector<KeyInfo> rows;
    f.scratch->for_each_key([&](const KeyInfo& row) { rows.push_back(row); });
    std::sort(rows.begin(), rows.end(),
              [](const KeyInfo& a, const KeyInfo& b) { return a.part < b.part; });
    return rows;
  };
  Permit permit = f.take("user:42");
  REQUIRE(permit.fence() != 0);
  CHECK_FALSE(f.take("user:42"));
  std::vector<KeyInfo> rows = parts();
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].part == SlotPart::permit);
  CHECK(rows[0].holder_pid == static_cast<std::uint32_t>(::getpid()));
  CHECK(rows[0].reset_after == permit.lease_end() - f.scratch->now());
  CHECK(rows[0].remaining == 0);
  CHECK(rows[0].allowed_count == 1);
  CHECK(rows[1].part == SlotPart::hint);
  CHECK(rows[1].denied_count == 1);
  CHECK(rows[2].part == SlotPart::fence);
  CHECK(rows[0].key == "user:42");
  CHECK(rows[1].key == "user:42");
  for (const KeyInfo& row : rows) CHECK_FALSE(row.idle);
  permit.release();
  rows = parts();
  CHECK(rows[0].idle);
  CHECK(rows[0].holder_pid == 0);
  CHECK(rows[0].remaining == 1);
}

TEST_CASE("calls_that_make_no_sense_are_invalid") {
  Fixture f;
  CHECK(f.take("").decision().reason == Reason::invalid);
  CHECK(f.limiter.try_acquire("k").reason == Reason::invalid);
  CHECK(f.limiter.peek("k").reason == Reason::invalid);
  CHECK(f.limiter.peek_permit("").reason == Reason::invalid);
  Limiter rate = f.scratch->limiter("rate", Limit::per_second(10));
  CHECK(rate.permit("k").decision().reason == Reason::invalid);
  CHECK_FALSE(rate.permit("k"));
  CHECK(rate.peek_permit("k").reason == Reason::invalid);
  Segment reader = Segment::open_read_only(f.scratch.name());
  CHECK(reader.limiter("uploads").permit("k").decision().reason == Reason::invalid);
  CHECK(f.members() == 0);
}

TEST_CASE("a_limit_that_the_segment_has_no_room_for_is_refused_by_name") {
  test::Scratch small({.keys = 10});
  CHECK_NOTHROW((void)small->limiter("ten", Limit::concurrency(10)));
  try {
    (void)small->limiter("eleven", Limit::concurrency(11));
    FAIL("was taken");
  } catch (const Error& e) {
    CHECK(e.code() == Errc::bad_limit);
    CHECK(std::string(e.what()).find("at most 10") != std::string::npos);
  }
  CHECK(small->policies().size() == 1);
}

TEST_CASE("a_table_without_room_denies_and_says_so") {
  test::Scratch tiny({.keys = 9, .clock = ClockSource::manual});
  tiny->advance_clock(100s);
  Limiter limiter = tiny->limiter("uploads", Limit::concurrency(9));
  std::vector<Permit> all;
  Reason last = Reason::ok;
  for (int key = 0; last != Reason::full && key < 100; ++key) {
    Permit permit = limiter.permit("k" + std::to_string(key));
    last = permit.decision().reason;
    if (permit) all.push_back(std::move(permit));
  }
  CHECK(last == Reason::full);
  CHECK(tiny->info().full_denied > 0);
  for (const Permit& permit : all) CHECK(permit.holds());
}

TEST_CASE("S_resets_leave_permits_that_are_out") {
  Fixture f(2);
  std::vector<Permit> all = f.take_all();
  CHECK_FALSE(f.limiter.reset("k"));
  Limiter rate = f.scratch->limiter("rate", Limit::per_second(10));
  CHECK(rate.try_acquire("k"));
  CHECK(f.scratch->reset_all() == 1);
  for (const Permit& permit : all) CHECK(permit.holds());
  CHECK_FALSE(f.take());
  all.clear();
  f.scratch->advance_clock(2s);  // the hint has had its second
  CHECK(f.scratch->reset_all() == 3);
  CHECK(f.members() == 0);
}

TEST_CASE("S_a_copy_of_a_segment_keeps_permits_out_and_their_holders_can_give_them_back") {
  Fixture f(2);
  std::vector<Permit> all = f.take_all();
  REQUIRE(::unlink(f.scratch.path().c_str()) == 0);
  // A second of use later the process notices, and makes the segment anew from its contents.
  for (int i = 0; ::access(f.scratch.path().c_str(), F_OK) != 0 && i < 20'000'000; ++i)
    (void)f.limiter.permit("other");
  REQUIRE(::access(f.scratch.path().c_str(), F_OK) == 0);
  Segment fresh = Segment::open(f.scratch.name());
  Limiter limiter = fresh.limiter("uploads");
  CHECK_FALSE(limiter.permit("k"));
  CHECK(all[0].holds());
  CHECK(all[0].renew());
  CHECK(all[0].fence() != 0);
  CHECK(all[0].release());
  CHECK(limiter.permit("k"));
  CHECK(all[1].holds());
  fresh.advance_clock(31s);
  CHECK_FALSE(all[1].holds());
  CHECK(limiter.permit("k"));
}

TEST_CASE("S_bytes_gone_wrong_in_every_slot_neither_crash_nor_hang_and_heal_by_time") {
  INFO("seed ", test::seed());
  std::mt19937_64 random(test::seed());
  Fixture f(4);
  for (int run = 0; run < 2'000; ++run) {
    CAPTURE(run);
    std::vector<Permit> all;
    for (int i = 0; i < 3; ++i) all.push_back(f.take());
    if (!all.empty() && all.front()) (void)all.front().fence();
    for (std::uint64_t i = 0; i < f.view.table.slot_count(); ++i) {
      const shm::SlotWords words = f.view.table.slot(i).words();
      if (!shm::is_member(words.tag) || random() % 2 == 0) continue;
      const std::uint64_t state = random() >> random() % 64;
      (void)f.view.table.try_step(i, words.tag, [&](std::uint16_t policy, std::uint64_t) {
        return shm::Transition{shm::Transition::store, policy, state};
      });
    }
    for (Permit& permit : all) {
      (void)permit.holds();
      (void)permit.renew();
      (void)permit.fence();
    }
    (void)f.take();
    all.clear();
    f.scratch->for_each_key([](const KeyInfo&) {});
  }
  f.scratch->advance_clock(35s);
  CHECK(f.take_all().size() == 4);
}

}  // namespace
}  // namespace rl
