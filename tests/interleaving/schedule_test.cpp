/// \file
/// The table's protocol as production compiles it, with a schedule in between any two accesses:
/// thousands of short runs of two to four actors that call, reap, reset, turn the clock, are killed
/// and stopped, on lists that are empty, full, and full of what the dead left. The oracle holds
/// every step of every run to the guarantees.
///
/// RL_TEST_SEED=N runs one run alone and tells every access of it. RL_RUNS=N sets how many there
/// are, RL_FIRST_SEED=N where they begin.
#include <doctest/doctest.h>

#include <cstdlib>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tests/interleaving/world.hpp"
#include "tests/support.hpp"

namespace rl::test {
namespace {

Scene draw_scene(Random& random) {
  constexpr std::uint64_t kIntervalNs = 1'000;
  const std::uint64_t burst = 1 + random.below(3);
  // Sometimes the clock stands where nonces look like states: a torn reading is then hard to tell.
  const std::uint64_t base =
      random.one_in(2) ? std::uint64_t{1} << 40 : ((1 + random.below(4)) << 48) - 2 * kIntervalNs;
  return {.bucket = TokenBucket::of(kIntervalNs, burst),
          .evicts = random.one_in(2),
          .resets = random.one_in(3),
          .callers_times = random.one_in(4),
          .actors = 2 + random.pick(Schedule::kActorsMax - 1),
          .calls = 1 + random.pick(4),
          .now_ns = base + random.below(3 * kIntervalNs)};
}

std::uint64_t number_from(const char* variable, std::uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  return text != nullptr ? std::strtoull(text, nullptr, 0) : otherwise;
}

/// A stress test proves that it stressed.
void check_all_was_seen(const Evidence& e) {
  for (const std::uint64_t seen :
       {e.admitted, e.denied, e.full, e.failed_swaps, e.torn, e.claims, e.overwrites,
        e.displacements, e.evictions, e.withdrawals, e.kills, e.promotions_of_others, e.frees,
        e.cuts, e.killed, e.stopped, e.left_alone}) {
    CHECK(seen > 0);
  }
}

/// Runs the run of this seed; returns what was violated, or nothing.
std::string run_one(std::uint64_t seed, Evidence& evidence, bool traces) {
  Random random(seed);
  static Schedule schedule;  // its stacks are used anew by every run
  const Scene scene = draw_scene(random);
  World world(schedule, random, scene, evidence, traces);
  world.furnish();
  schedule.begin(random, scene.actors);
  schedule.draw_fates();
  if (random.one_in(4)) world.alone_at_step = random.below(200);
  for (int actor = 0; actor < scene.actors; ++actor) {
    schedule.start(actor, [&world, actor] { world.play(actor); });
  }
  schedule.run();
  evidence.killed += static_cast<std::uint64_t>(schedule.killed());
  evidence.stopped += static_cast<std::uint64_t>(schedule.stopped());

  // Whatever was left behind: one who comes later, alone, is served.
  if (world.oracle.violation().empty()) {
    schedule.begin(random, 1);
    schedule.start(0, [&world] {
      for (std::uint64_t key = 1; key <= World::kKeys; ++key) {
        world.alone_at_step = 0;
        (void)world.acquire(0, key, 1);
      }
    });
    schedule.run();
  }
  if (world.oracle.violation().empty()) world.oracle.end_run();
  return world.oracle.violation();
}

TEST_CASE("ASP_hold_at_every_step_of_any_schedule_of_calls_reaps_resets_kills_and_stops") {
  Evidence e;
  if (std::getenv("RL_TEST_SEED") != nullptr) {
    const std::string violation = run_one(seed(), e, true);
    CHECK_MESSAGE(violation.empty(), violation);
    return;
  }
  const std::uint64_t runs = number_from("RL_RUNS", is_deep() ? 10'000'000 : 400'000);
  Random seeds(number_from("RL_FIRST_SEED", seed()));
  for (std::uint64_t run = 0; run < runs; ++run) {
    const std::uint64_t its_seed = seeds.next();
    const std::string violation = run_one(its_seed, e, false);
    if (violation.empty()) continue;
    FAIL("run " << run << ": " << violation << "; RL_TEST_SEED=" << its_seed << " tells it");
  }
  MESSAGE(runs << " runs, " << e.calls << " calls (" << e.admitted << " admitted, " << e.denied
               << " denied, " << e.full << " full), " << e.accesses << " accesses tried");
  MESSAGE("seen: " << e.failed_swaps << " failed swaps, " << e.torn << " torn readings, "
                   << e.claims << " claims, " << e.overwrites << " overwrites (b), "
                   << e.displacements << " displacements (c), " << e.evictions << " evictions (d), "
                   << e.withdrawals << " withdrawals (e), " << e.kills << " kills (f), "
                   << e.promotions << " promotions (g), " << e.promotions_of_others
                   << " of them of others' tentatives, " << e.frees << " frees (i), " << e.cuts
                   << " states cut to the horizon; " << e.killed << " actors killed, " << e.stopped
                   << " stopped, " << e.left_alone << " left alone");
  MESSAGE("the longest call made " << e.most_accesses << " accesses, the longest alone "
                                   << e.most_alone);
  check_all_was_seen(e);
}

/// A turn of a told story: the actor goes on until it comes to this swap of its own, or to its end.
struct Turn {
  static constexpr int kItsEnd = std::numeric_limits<int>::max();
  int actor;
  int before_swap = kItsEnd;
};

/// Runs a told story; returns what was violated, or nothing. A story goes as it is told or it says
/// nothing: every turn must begin before the place where it is to stop, and stop right there.
std::string tell(const std::vector<std::function<void(World&)>>& actors,
                 const std::vector<Turn>& turns) {
  Random random(1);
  Schedule schedule;
  Evidence evidence;
  const Scene scene{.bucket = TokenBucket::of(1'000, 1), .now_ns = std::uint64_t{1} << 40};
  World world(schedule, random, scene, evidence, std::getenv("RL_TEST_SEED") != nullptr);
  schedule.begin(random, static_cast<int>(actors.size()));
  for (std::size_t i = 0; i < actors.size(); ++i) {
    schedule.start(static_cast<int>(i), [&, i] { actors[i](world); });
  }
  std::size_t turn = 0;
  bool has_begun = false;
  std::string otherwise;
  schedule.choose_by([&] {
    while (turn < turns.size()) {
      const Turn& t = turns[turn];
      const bool has_ended = schedule.has_ended(t.actor);
      if (!has_ended && world.swaps(t.actor) < t.before_swap) {
        has_begun = true;
        return t.actor;
      }
      const bool as_told = has_ended == (t.before_swap == Turn::kItsEnd);
      if ((!has_begun || !as_told) && otherwise.empty()) {
        otherwise = "turn " + std::to_string(turn) + " of the story went otherwise: actor " +
                    std::to_string(t.actor) + " came to " + std::to_string(world.swaps(t.actor)) +
                    " swaps" + (has_begun ? "" : " before it");
      }
      ++turn;
      has_begun = false;
    }
    return Schedule::kNobody;
  });
  schedule.run();
  if (!world.oracle.violation().empty()) return world.oracle.violation();
  world.oracle.end_run();
  return world.oracle.violation().empty() ? otherwise : world.oracle.violation();
}

std::function<void(World&)> call(int actor) {
  return [actor](World& world) { (void)world.acquire(actor, 1, 1); };
}

/// Calls, waits until nothing is owed, and frees the slot.
std::function<void(World&)> call_and_reap(int actor) {
  return [actor](World& world) {
    (void)world.acquire(actor, 1, 1);
    world.advance(world.scene.bucket.tolerance_ns);
    world.reap(actor, 0, World::kSlots);
  };
}

TEST_CASE("A_a_call_stopped_before_its_claim_while_the_key_comes_and_goes_is_not_a_free_one") {
  const auto call_again = [](World& world) {
    (void)world.acquire(0, 1, 1);
    (void)world.acquire(0, 1, 1);
  };
  const std::string violation = tell({call_again, call_and_reap(1)}, {{0, 1}, {1}, {0}});
  CHECK_MESSAGE(violation.empty(), violation);
}

TEST_CASE("A_a_call_stopped_before_its_promote_is_not_fooled_by_another_claim_of_its_key") {
  const std::string violation =
      tell({call(0), call_and_reap(1), call(2)}, {{0, 2}, {1}, {2, 2}, {0}, {2}});
  CHECK_MESSAGE(violation.empty(), violation);
}

TEST_CASE("A_a_call_stopped_on_an_idle_member_is_not_fooled_by_the_next_idle_one_in_its_slot") {
  // Actor 0 dies after its claim; 1 finishes it, idle; 2 looks at that and is stopped. 1 charges,
  // all is paid and freed; 3 is faster to claim, and 1 finishes it, idle. Then 2 goes on.
  const auto call_reap_call = [](World& world) {
    call_and_reap(1)(world);
    (void)world.acquire(1, 1, 1);
  };
  const std::string violation =
      tell({call(0), call_reap_call, call(2), call(3)},
           {{0, 2}, {1, 2}, {2, 1}, {1, 4}, {3, 2}, {1, 6}, {2}, {1}, {3}});
  CHECK_MESSAGE(violation.empty(), violation);
}

TEST_CASE("P_a_call_whose_rival_is_faster_every_time_gives_up_at_its_bound") {
  Random random(1);
  Schedule schedule;
  Evidence evidence;
  const Scene scene{.bucket = TokenBucket::of(1, 1U << 30), .now_ns = std::uint64_t{1} << 40};
  World world(schedule, random, scene, evidence, false);
  world.oracle.expect_giving_up();
  schedule.begin(random, 2);
  Verdict verdict = Verdict::allowed;
  std::uint64_t successes = 0;
  schedule.start(0, [&] { verdict = world.acquire(0, 1, 1); });
  schedule.start(1, [&] {
    while (!schedule.has_ended(0)) {
      (void)world.acquire(1, 1, 1);
      ++successes;
    }
  });
  int answered = 0;
  std::uint64_t due = 0;
  schedule.choose_by([&] {  // before each swap of 0, one whole call of 1
    if (schedule.has_ended(0)) return Schedule::kNobody;
    if (world.swaps(0) > answered) {
      answered = world.swaps(0);
      due = successes + 1;
    }
    return successes < due ? 1 : 0;
  });
  schedule.run();
  CHECK_MESSAGE(world.oracle.violation().empty(), world.oracle.violation());
  REQUIRE(verdict == Verdict::gave_up);
  MESSAGE("gave up after " << successes << " successes of its rival and " << evidence.most_accesses
                           << " accesses of its own");
}

}  // namespace
}  // namespace rl::test
