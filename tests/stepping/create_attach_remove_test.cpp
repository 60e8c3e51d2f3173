// Making, opening and removing a segment, killed and stopped before and after every system call and
// before every store to shared memory, and after the last: every state that a signal at any
// instruction can leave behind (tests/traced.hpp says why).
//
// Killed there: under the name is a whole segment or none, the next process goes on at once, and
// nothing is left: no name, no seat's lock, no memory. Stopped there: rivals create, open, remove,
// replace and decide meanwhile, and wait for nothing; then the stopped one goes on, ends with
// success or a clear error, and shares one limit with them.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "tests/stepping/points.hpp"
#include "tests/traced.hpp"

namespace rl {
namespace {

using test::allowed_of;
using test::at_every_point;
using test::can_trace;
using test::check_that_it_is_whole;
using test::exists;
using test::is_retired;
using test::make_used_segment;
using test::Point;
using test::small;
using test::Stage;
using test::Subject;
using test::take_all;
using test::Told;
using test::Traced;
using test::warm_up;

// --- create -------------------------------------------------------------------------------------

Subject creation(Stage& stage) {
  // Name, sizes, secret and clock are words of the header; then there is its own seat.
  Subject create{.name = "create", .call = "linkat", .stores_min = 8};
  create.act = [&](Told&) { stage.childs.segment = Segment::create(stage.path, small()); };
  create.afterwards = [&](Told& told) {
    if (!stage.childs.segment) stage.childs.segment = Segment::open(stage.path);
    told.allowed = take_all(*stage.childs.segment);
  };
  create.tidy = [&] {
    stage.ours.drop();
    CHECK(Segment::remove(stage.path));
  };
  return create;
}

TEST_CASE("S_a_creator_that_is_killed_leaves_a_whole_segment_or_nothing") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  int whole = 0;
  const auto nothing = stage.place.used();
  at_every_point(stage, creation(stage), "killed", nullptr, [&](const Told&) {
    if (exists(stage.path)) {
      ++whole;
    } else {
      CHECK(stage.place.used() == nothing);
      (void)Segment::create(stage.path, small());
    }
    check_that_it_is_whole(stage.path, 3);
  });
  CHECK(whole > 0);
}

TEST_CASE("P_S_of_a_stopped_creator_and_a_rival_exactly_one_wins_and_both_share_one_limit") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  bool won = false;
  int wins = 0;
  const auto rivals = [&] {
    try {
      won = true;
      (void)Segment::create(stage.path, small());
    } catch (const Error& e) {
      won = false;
      CHECK(e.code() == Errc::exists);
    }
    CHECK(take_all(stage.path) == 3);
  };
  at_every_point(stage, creation(stage), "stopped while a rival creates", rivals,
                 [&](const Told& told) {
                   wins += won ? 1 : 0;
                   CHECK(told.outcome == (won ? Told::refused : Told::succeeded));
                   if (won) CHECK(told.code == Errc::exists);
                   CHECK(told.allowed == 0);
                 });
  CHECK(wins > 0);
}

TEST_CASE("P_S_a_stopped_creator_finds_the_segment_that_took_the_place_of_its_own") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  const auto rivals = [&] {
    CHECK(take_all(*(stage.ours.segment = Segment::open_or_create(stage.path, small()))) == 3);
    CHECK(Segment::remove(stage.path));
    CHECK(take_all(*(stage.ours.segment = Segment::create(stage.path, small()))) == 3);
  };
  at_every_point(stage, creation(stage), "stopped while a rival replaces it", rivals,
                 [&](const Told& told) {
                   if (told.outcome == Told::refused) CHECK(told.code == Errc::exists);
                   CHECK(told.allowed == 0);
                 });
}

TEST_CASE("P_S_open_or_create_stopped_anywhere_succeeds_whatever_rivals_do") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  Subject both = creation(stage);
  both.name = "open_or_create";
  both.act = [&](Told&) { stage.childs.segment = Segment::open_or_create(stage.path, small()); };
  const auto succeeds = [](const Told& told) {
    CHECK(told.outcome == Told::succeeded);
    CHECK(told.allowed == 0);
  };
  at_every_point(
      stage, both, "stopped while a rival does the same",
      [&] {
        stage.ours.segment = Segment::open_or_create(stage.path, small());
        CHECK(take_all(*stage.ours.segment) == 3);
      },
      succeeds);
  at_every_point(
      stage, both, "stopped while rivals create, remove and create",
      [&] {
        if (!Segment::remove(stage.path)) (void)Segment::create(stage.path, small());
        (void)Segment::remove(stage.path);
        stage.ours.segment = Segment::create(stage.path, small());
        CHECK(take_all(*stage.ours.segment) == 3);
      },
      succeeds);
}

// --- open ---------------------------------------------------------------------------------------

Subject opening(Stage& stage) {
  Subject open{.name = "open", .call = "openat", .stores_min = 1};  // its seat
  open.prepare = [&] { make_used_segment(stage.path); };
  open.act = [&](Told&) { stage.childs.segment = Segment::open(stage.path); };
  open.afterwards = [&](Told& told) {
    if (stage.childs.segment) told.allowed = take_all(*stage.childs.segment);
  };
  open.tidy = [&] {
    stage.ours.drop();
    (void)Segment::remove(stage.path);
  };
  return open;
}

TEST_CASE("S_a_process_that_is_killed_while_it_opens_leaves_no_trace") {
  if (!can_trace()) return;
  Stage stage;
  at_every_point(stage, opening(stage), "killed", nullptr,
                 [&](const Told&) { check_that_it_is_whole(stage.path, 2); });
}

TEST_CASE("P_S_a_process_stopped_while_it_opens_shares_one_limit_with_those_that_went_on") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  const auto shares = [&](const Told& told) {
    CHECK(told.outcome == Told::succeeded);
    CHECK(told.allowed == 0);
  };
  at_every_point(
      stage, opening(stage), "stopped while a rival decides",
      [&] { CHECK(take_all(stage.path) == 2); }, shares);
  at_every_point(
      stage, opening(stage), "stopped while a rival replaces the segment",
      [&] {
        CHECK(Segment::remove(stage.path));
        stage.ours.segment = Segment::create(stage.path, small());
        CHECK(take_all(*stage.ours.segment) == 3);
      },
      shares);
}

TEST_CASE("P_S_a_process_stopped_while_it_opens_what_is_removed_is_told_or_goes_on_with_it") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  at_every_point(
      stage, opening(stage), "stopped while the segment is removed",
      [&] { CHECK(Segment::remove(stage.path)); },
      [&](const Told& told) {
        if (told.outcome == Told::refused) CHECK(told.code == Errc::not_found);
        CHECK(told.allowed == (told.outcome == Told::succeeded ? 2 : 0));
        CHECK_FALSE(exists(stage.path));  // nobody brings it back
      });
  int rescued = 0;
  at_every_point(
      stage, opening(stage), "stopped while the name is taken away",
      [&] { CHECK(::unlink(stage.path.c_str()) == 0); },
      [&](const Told& told) {
        if (told.outcome == Told::refused) CHECK(told.code == Errc::not_found);
        CHECK(told.allowed == (told.outcome == Told::succeeded ? 2 : 0));
        CHECK(exists(stage.path) == (told.outcome == Told::succeeded));  // brought back, as it was
        if (exists(stage.path)) check_that_it_is_whole(stage.path, 0);
        rescued += exists(stage.path) ? 1 : 0;
      });
  CHECK(rescued > 0);
}

// --- remove -------------------------------------------------------------------------------------

Subject removal(Stage& stage) {
  Subject remove{.name = "remove", .call = "unlink"};  // marks the file without mapping it
  remove.prepare = [&] {
    make_used_segment(stage.path);
    stage.file = ::open(stage.path.c_str(), O_RDWR | O_CLOEXEC);
  };
  remove.act = [&](Told& told) { told.removed = Segment::remove(stage.path); };
  remove.tidy = [&] {
    stage.ours.drop();
    ::close(stage.file);
    (void)Segment::remove(stage.path);
  };
  return remove;
}

TEST_CASE("S_a_removal_that_is_killed_has_removed_or_leaves_a_segment_that_works") {
  if (!can_trace()) return;
  Stage stage;
  int marked = 0;
  at_every_point(stage, removal(stage), "killed", nullptr, [&](const Told&) {
    if (!exists(stage.path)) {
      CHECK(is_retired(stage.file));
      return;
    }
    marked += is_retired(stage.file) ? 1 : 0;
    check_that_it_is_whole(stage.path, 2);
    CHECK(Segment::remove(stage.path));
    CHECK(is_retired(stage.file));
  });
  MESSAGE("at ", marked, " of these points the segment is marked as removed and keeps its name");
}

/// What a removal that was killed between its mark and its unlink costs: the segment works, but
/// when its name is taken away later it is not brought back. Its processes go on with it until
/// there is a new one.
TEST_CASE("S_a_segment_whose_removal_was_killed_half_way_keeps_its_limits_and_loses_its_rescue") {
  if (!can_trace()) return;
  Stage stage;
  make_used_segment(stage.path);
  Traced child([&] { Traced::begin(), (void)Segment::remove(stage.path), Traced::end(); },
               stage.place.directory(), Traced::Watch::calls);
  std::optional<Point> at = child.next();
  while (at && child.describe(*at).find("unlink") != 0) at = child.next();
  REQUIRE(at);
  child.kill();
  Segment segment = Segment::open(stage.path);
  Limiter limiter = segment.limiter("api");
  REQUIRE(::unlink(stage.path.c_str()) == 0);
  CHECK(allowed_of(limiter, 5) == 2);
  CHECK_FALSE(exists(stage.path));
}

TEST_CASE("P_S_of_a_stopped_remover_and_a_rival_exactly_one_removes_and_for_good") {
  if (!can_trace()) return;
  Stage stage;
  bool removed = false;
  at_every_point(
      stage, removal(stage), "stopped while a rival removes",
      [&] { removed = Segment::remove(stage.path); },
      [&](const Told& told) {
        CHECK(told.outcome == Told::succeeded);
        CHECK(told.removed != removed);
        CHECK_FALSE(exists(stage.path));
        CHECK(is_retired(stage.file));
      });
}

TEST_CASE("P_S_a_stopped_remover_does_not_stop_those_who_decide") {
  if (!can_trace()) return;
  Stage stage;
  at_every_point(
      stage, removal(stage), "stopped while a rival decides",
      [&] {
        if (exists(stage.path)) CHECK(take_all(stage.path) == 2);
      },
      [&](const Told& told) {
        CHECK(told.removed);
        CHECK_FALSE(exists(stage.path));
        CHECK(is_retired(stage.file));
      });
}

/// A remover means a name. If it opens the new segment, that one is removed for good. If it had
/// opened the old one, it leaves the new one alone; but if it was stopped between its last look at
/// the name and its last step, it takes the name of the new one, which it has not marked: so the
/// processes of the new one bring it back, as after an rm.
TEST_CASE("P_S_a_stopped_remover_never_harms_the_limits_of_the_segment_that_came_after") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  int removed = 0;
  int brought_back = 0;
  at_every_point(
      stage, removal(stage), "stopped while a rival replaces the segment",
      [&] {
        (void)Segment::remove(stage.path);
        make_used_segment(stage.path);
        stage.ours.segment = Segment::open(stage.path);
        stage.ours.limiter = stage.ours.segment->limiter("api");
        ::close(stage.file);
        stage.file = ::open(stage.path.c_str(), O_RDWR | O_CLOEXEC);
      },
      [&](const Told& told) {
        CHECK(told.outcome == Told::succeeded);
        const bool is_gone = !exists(stage.path);
        const bool for_good = is_retired(stage.file);
        if (is_gone) CHECK(told.removed);
        (void)stage.ours.limiter->peek("k");  // looks around
        CHECK(exists(stage.path) == !for_good);
        CHECK(allowed_of(*stage.ours.limiter, 5) == 2);
        if (exists(stage.path)) CHECK(take_all(stage.path) == 0);
        removed += for_good ? 1 : 0;
        brought_back += is_gone && !for_good ? 1 : 0;
      });
  MESSAGE("at ", removed, " of these points the new segment was removed for good, at ",
          brought_back, " it lost its name and was brought back");
}

}  // namespace
}  // namespace rl
