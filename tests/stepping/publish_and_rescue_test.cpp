// Publishing a policy, the first decision of a forked child, and the rescue of a segment whose name
// was taken away, killed and stopped at every point, as in create_attach_remove_test.
//
// The rescue copies a segment without the text of keys, and with it when RL_DEEP is set.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <set>

#include "tests/stepping/points.hpp"

namespace rl {
namespace {

using test::allowed_of;
using test::at_every_point;
using test::can_trace;
using test::check_that_it_is_whole;
using test::check_that_no_key_has_two_slots;
using test::exists;
using test::Hands;
using test::is_retired;
using test::make_used_segment;
using test::small;
using test::Stage;
using test::Subject;
using test::take_all;
using test::three;
using test::Told;
using test::warm_up;

Subject publication(Stage& stage) {
  // The constants are 27 words, two of which may be one store.
  Subject publish{.name = "publish a policy", .call = "", .stores_min = 8};
  publish.prepare = [&] { (void)Segment::create(stage.path, small()); };
  publish.get_ready = [&] { stage.childs.segment = Segment::open(stage.path); };
  publish.act = [&](Told&) {
    stage.childs.limiter = stage.childs.segment->limiter("api", three());
  };
  publish.afterwards = [&](Told& told) { told.allowed = allowed_of(*stage.childs.limiter, 9); };
  publish.tidy = [&] { CHECK(Segment::remove(stage.path)); };
  return publish;
}

TEST_CASE("S_a_publisher_that_is_killed_leaves_a_whole_policy_or_none") {
  if (!can_trace()) return;
  Stage stage;
  at_every_point(stage, publication(stage), "killed", nullptr, [&](const Told&) {
    const auto policies = Segment::open(stage.path).policies();
    CHECK(policies.size() <= 1);
    for (const PolicyInfo& policy : policies) CHECK(policy.limit == three());
    check_that_it_is_whole(stage.path, 3);
  });
}

TEST_CASE("P_S_a_stopped_publisher_and_a_rival_use_one_policy") {
  if (!can_trace()) return;
  Stage stage;
  int allowed = 0;
  std::set<int> bursts;
  at_every_point(
      stage, publication(stage), "stopped while a rival publishes another limit",
      [&] {
        Segment segment = Segment::open(stage.path);
        Limiter limiter = segment.limiter("api", Limit::parse("5/h burst=5"));
        allowed = allowed_of(limiter, 9);
      },
      [&](const Told& told) {
        CHECK(told.outcome == Told::succeeded);
        CHECK(told.allowed == 0);
        CHECK((allowed == 3 || allowed == 5));
        bursts.insert(allowed);
        CHECK(Segment::open(stage.path).policies().size() == 1);
      });
  CHECK(bursts.size() == 2);
}

/// On a key that has no slot yet, so that the child inserts it, and writes its text.
Subject first_decision(Stage& stage) {
  // A seat of its own, the claim, the charge and the text of the key.
  Subject decide{.name = "first decision of a forked child", .call = "fcntl", .stores_min = 4};
  decide.prepare = [&] {
    Segment segment = Segment::create(stage.path, {.keys = 1, .labels = true, .policies = 2});
    (void)segment.limiter("api", three());
    stage.ours.segment = Segment::open(stage.path);
    stage.ours.limiter = stage.ours.segment->limiter("api");
  };
  decide.act = [&](Told& told) { told.allowed = allowed_of(*stage.ours.limiter, 1); };
  decide.tidy = [&] {
    stage.ours.drop();
    CHECK(Segment::remove(stage.path));
  };
  return decide;
}

TEST_CASE("A_S_a_forked_child_killed_in_its_first_decision_has_charged_or_has_not") {
  if (!can_trace()) return;
  Stage stage;
  std::set<int> left;
  at_every_point(stage, first_decision(stage), "killed", nullptr, [&](const Told&) {
    CHECK(stage.ours.segment->info().attached == 1);  // the child's seat is free, the parent's not
    check_that_no_key_has_two_slots(stage.path);
    left.insert(allowed_of(*stage.ours.limiter, 5));
  });
  CHECK(left == std::set<int>{2, 3});
}

TEST_CASE("A_P_a_forked_child_stopped_in_its_first_decision_and_its_parent_share_the_limit") {
  if (!can_trace()) return;
  Stage stage;
  int allowed = 0;
  at_every_point(
      stage, first_decision(stage), "stopped while its parent decides",
      [&] { allowed = allowed_of(*stage.ours.limiter, 5); },
      [&](const Told& told) {
        CHECK(told.allowed + allowed == 3);
        check_that_no_key_has_two_slots(stage.path);
      });
}

/// Two that were attached before the name was taken away are in this process: handles of their own,
/// which know nothing of each other.
Subject rescue_of(Stage& stage) {
  // A header like that of a new segment, the slots, and the word that marks the old one.
  Subject rescue{.name = "rescue", .call = "linkat", .stores_min = 10};
  const auto attach = [&](Hands& hands) {
    hands.segment = Segment::open(stage.path);
    hands.limiter = hands.segment->limiter("api");
  };
  rescue.prepare = [&, attach] {
    make_used_segment(stage.path);
    attach(stage.ours);
    attach(stage.others);
    stage.file = ::open(stage.path.c_str(), O_RDWR | O_CLOEXEC);
  };
  rescue.get_ready = [&, attach] {
    attach(stage.childs);
    REQUIRE(::unlink(stage.path.c_str()) == 0);
  };
  rescue.act = [&](Told&) { (void)stage.childs.limiter->peek("k"); };
  rescue.afterwards = [&](Told& told) { told.allowed = allowed_of(*stage.childs.limiter, 5); };
  rescue.tidy = [&] {
    stage.ours.drop();
    stage.others.drop();
    ::close(stage.file);
    CHECK(Segment::remove(stage.path));
  };
  return rescue;
}

TEST_CASE("S_a_rescuer_that_is_killed_leaves_a_whole_copy_or_nothing_and_the_next_one_does_it") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  at_every_point(stage, rescue_of(stage), "killed", nullptr, [&](const Told&) {
    (void)stage.ours.limiter->peek("k");  // looks around: nobody else holds the right to copy
    CHECK(exists(stage.path));
    CHECK(is_retired(stage.file));
    CHECK(allowed_of(*stage.ours.limiter, 5) == 2);
    check_that_no_key_has_two_slots(stage.path);
    CHECK(take_all(stage.path) == 0);
  });
}

TEST_CASE("P_S_while_a_rescuer_is_stopped_others_decide_and_meet_it_afterwards") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  int waited_for = 0;
  bool moved = false;
  at_every_point(
      stage, rescue_of(stage), "stopped while others decide",
      [&] {
        CHECK(stage.ours.limiter->peek("k").remaining == 2);
        moved = exists(stage.path);
        waited_for += moved ? 0 : 1;
      },
      [&](const Told& told) {
        CHECK(told.outcome == Told::succeeded);
        CHECK(told.allowed == 2);
        (void)stage.others.limiter->peek("k");
        CHECK(allowed_of(*stage.others.limiter, 5) == 0);
        if (moved) CHECK(allowed_of(*stage.ours.limiter, 5) == 0);
        CHECK(is_retired(stage.file));
        CHECK(take_all(stage.path) == 0);
      });
  MESSAGE("at ", waited_for, " of these points the others went on with the old segment meanwhile");
}

TEST_CASE("S_a_stopped_rescuer_does_not_bring_back_what_others_copied_and_removed_for_good") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  bool removed = false;
  int times = 0;
  at_every_point(
      stage, rescue_of(stage), "stopped while others copy the segment and remove the copy",
      [&] {
        (void)stage.ours.limiter->peek("k");  // looks around: makes it anew, or finds it made
        (void)allowed_of(*stage.ours.limiter, 5);
        removed = exists(stage.path) && Segment::remove(stage.path);
        times += removed ? 1 : 0;
      },
      [&](const Told& told) {
        CHECK(told.outcome == Told::succeeded);
        CHECK(exists(stage.path) != removed);
        if (!removed) CHECK(Segment::remove(stage.path));
        make_used_segment(stage.path);  // for the tidying
      });
  CHECK(times > 10);
}

TEST_CASE("P_S_a_stopped_rescuer_gives_way_to_a_segment_that_was_made_meanwhile") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  at_every_point(
      stage, rescue_of(stage), "stopped while a new segment is made",
      [&] {
        CHECK(take_all(*(stage.others.segment = Segment::open_or_create(stage.path, small()))) >=
              2);
      },
      [&](const Told& told) {
        CHECK(told.outcome == Told::succeeded);
        CHECK(told.allowed == 0);
        (void)stage.ours.limiter->peek("k");
        CHECK(allowed_of(*stage.ours.limiter, 5) == 0);
      });
}

}  // namespace
}  // namespace rl
