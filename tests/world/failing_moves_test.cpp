// Every system call of publishing a policy, of the first decision of a forked child, of a rescue
// and of moving over made to fail, as in failing_calls_test. These throw nothing: a decision is
// made in any case, and what could not be followed is said in the log.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include "shm/geometry.hpp"
#include "tests/support.hpp"
#include "tests/world/failing_calls.hpp"

namespace rl {
namespace {

using test::all_of;
using test::allowed_of;
using test::can_trace;
using test::exists;
using test::host_calls;
using test::is_retired;
using test::make_used_segment;
using test::Operation;
using test::OptionalCalls;
using test::Report;
using test::small;
using test::Stage;
using test::take_all;
using test::three;
using test::warm_up;

/// The look around that a process takes at its first decision, and each second.
const OptionalCalls kLookCalls = {
    {"fstatat /proc/self/ns/time", "then time namespaces are not compared"},
    {"fstat DIR/s", "of the seat's file: then it is opened anew"},
    {"fstatat DIR/s", "of the name: said once, looked at again in a second"},
};

TEST_CASE("S_a_policy_is_published_whole_whichever_call_fails") {
  if (!can_trace()) return;
  Stage stage;
  Operation publish{.name = "publish a policy"};
  publish.prepare = [&] { (void)Segment::create(stage.path, small()); };
  publish.get_ready = [&] { stage.childs.segment = Segment::open(stage.path); };
  publish.act = [&] { stage.childs.limiter = stage.childs.segment->limiter("api", three()); };
  publish.holds = [&] { return allowed_of(*stage.childs.limiter, 5) == 3; };
  publish.let_go = [&] { stage.childs.drop(); };
  publish.judge = [&](const Report&) {
    Segment segment = Segment::open(stage.path);
    CHECK(segment.policies().size() == 1);
    CHECK(take_all(segment) == 0);
  };
  publish.tidy = [&] { CHECK(Segment::remove(stage.path)); };
  publish.optional = kLookCalls;
  try_all(publish, stage);
}

TEST_CASE("A_the_first_decision_of_a_forked_child_is_exact_whichever_call_fails") {
  if (!can_trace()) return;
  Stage stage;
  Operation decide{.name = "first decision of a forked child"};
  decide.prepare = [&] {
    stage.ours.segment = Segment::create(stage.path, small());
    stage.ours.limiter = stage.ours.segment->limiter("api", three());
    REQUIRE(allowed_of(*stage.ours.limiter, 1) == 1);
  };
  decide.act = [&] { stage.childs.decision = stage.ours.limiter->try_acquire("k"); };
  decide.holds = [&] {
    return stage.childs.decision->allowed && allowed_of(*stage.ours.limiter, 5) == 1;
  };
  decide.let_go = [&] { stage.ours.drop(); };
  decide.judge = [&](const Report&) {
    CHECK(stage.ours.segment->info().attached == 1);  // the parent has kept its seat
    CHECK(allowed_of(*stage.ours.limiter, 1) == 0);
  };
  decide.tidy = [&] {
    stage.ours.drop();
    CHECK(Segment::remove(stage.path));
  };
  decide.gives_up = {.descriptors = 1, .mappings = 1};
  decide.optional =
      all_of({kLookCalls,
              {{"getrandom 1", "of the number that tells forks: then the process id does"},
               {"openat /proc/self/fd", "of a seat: then the file is opened by its name"},
               {"fstat DIR/s (2)", "of a seat: then the file is opened by its name"},
               {"fstat DIR/s (3)", "of the inherited seat: it may be another's file now", {}, 1},
               {"fcntl DIR/s", "of a seat: the next one is tried"},
               {"fstat DIR/s (4)", "of the seat's file: then it is opened anew"}}});
  try_all(decide, stage);
}

/// Whether a process holds the right to copy the segment that had the name.
bool is_being_copied(int old_file) {
  return test::is_locked("/proc/self/fd/" + std::to_string(old_file),
                         offsetof(shm::Header, retired), 1);
}

TEST_CASE("S_a_rescue_that_fails_leaves_nothing_and_the_next_process_does_it") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  int old_file = -1;
  Operation rescue{.name = "rescue of a segment whose name was removed"};
  rescue.prepare = [&] {
    make_used_segment(stage.path);
    stage.ours.segment = Segment::open(stage.path);
    stage.ours.limiter = stage.ours.segment->limiter("api");
    old_file = ::open(stage.path.c_str(), O_RDWR | O_CLOEXEC);
  };
  rescue.get_ready = [&] {
    stage.childs.segment = Segment::open(stage.path);
    stage.childs.limiter = stage.childs.segment->limiter("api");
    REQUIRE(::unlink(stage.path.c_str()) == 0);
  };
  rescue.act = [&] {
    stage.childs.decision = stage.childs.limiter->try_acquire("k");
    if (!exists(stage.path)) throw Error(Errc::system, test::first_warning());
  };
  rescue.is_untouched = [&] { return !is_retired(old_file) && !is_being_copied(old_file); };
  rescue.holds = [&] { return stage.childs.decision->allowed; };
  rescue.let_go = [&] { stage.childs.drop(); };
  // The decision that looks still charges the old segment, after it was copied. So of the 3 the
  // copy has lost 1, or 2 if the child went on with the old one.
  rescue.judge = [&](const Report& report) {
    CHECK(allowed_of(*stage.ours.limiter, 1) == 1);
    CHECK(allowed_of(*stage.ours.limiter, 5) == (report.outcome == Report::succeeded ? 2 : 1));
    Segment segment = Segment::open(stage.path);
    CHECK(take_all(segment) == 0);
    CHECK(is_retired(old_file));
  };
  rescue.tidy = [&] {
    stage.ours.drop();
    ::close(old_file);
    CHECK(Segment::remove(stage.path));
  };
  rescue.only_logs = true;
  rescue.optional = {
      {"fstatat /proc/self/ns/time", "then time namespaces are not compared"},
      {"fstat DIR/s", "of the seat's file: it is opened anew, or looked for in a second"},
      {"fstat DIR/s (2)", "of the seat's file: the name is gone, so it is"},
      {"openat DIR/s", "the name is gone", {ENOENT}},
      {"fcntl DIR/s", "to copy alone: then several copy", {ENOLCK, ENOMEM, EINVAL}},
      {"fstatat DIR/s (2)", "of the first look: the link tells"},
      {"prlimit", "then there is no limit that we know"},
      {"fstatfs DIR/#", "of the first look: the reservation tells"},
      {"ftruncate DIR/#", "then no huge pages are asked for, and the reservation makes it as long"},
      {"fstatfs DIR/# (2)", "for a warning only"},
      {"linkat /proc/self/fd", "a rival was faster: again", {EEXIST}},
      {"fcntl DIR/s (2)", "of giving back: nobody copies the old segment any more"},
      {"prctl", "a kernel that will not say has not forbidden the TSC"},
      {"openat DIR/s (2)", "of the new seat"},
      {"fstat DIR/s (4)",
       "of the file whose byte is locked: then nothing is, and several may copy"},
      {"fstat DIR/s (5)", "of the new seat"},
      {"fcntl DIR/s (3)", "of the new seat: the next one is tried"}};
  try_all(rescue, stage);
}

TEST_CASE("S_a_process_that_cannot_follow_goes_on_with_what_it_has_and_says_so") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  Operation follow{.name = "following a segment that was replaced"};
  follow.prepare = [&] { make_used_segment(stage.path); };
  follow.get_ready = [&] {
    stage.childs.segment = Segment::open(stage.path);
    stage.childs.limiter = stage.childs.segment->limiter("api");
    REQUIRE(::unlink(stage.path.c_str()) == 0);
    (void)Segment::create(stage.path, small());
  };
  // The first decision looks and still charges the old segment, of which one is left then; the
  // second is the first of the new one.
  follow.act = [&] {
    REQUIRE(allowed_of(*stage.childs.limiter, 1) == 1);
    stage.childs.decision = stage.childs.limiter->try_acquire("k");
    if (stage.childs.decision->remaining != 2) throw Error(Errc::system, test::first_warning());
  };
  follow.is_untouched = [&] { return stage.childs.decision->remaining == 0; };
  follow.holds = [&] { return stage.childs.decision->allowed; };
  follow.let_go = [&] { stage.childs.drop(); };
  follow.judge = [&](const Report& report) {
    Segment segment = Segment::open(stage.path);
    CHECK(take_all(segment) == (report.outcome == Report::succeeded ? 2 : 3));
  };
  follow.tidy = [&] { CHECK(Segment::remove(stage.path)); };
  follow.only_logs = true;
  follow.optional = all_of({host_calls(),
                            {{"fstatat /proc/self/ns/time (2)", "then they are not compared"},
                             {"fstat DIR/s", "of the seat's file: looked for in a second"},
                             {"openat DIR/s", "copies, is told it exists, opens", {ENOENT}},
                             {"openat DIR/s (2)", "of the new seat"},
                             {"fstat DIR/s (4)", "of the new seat"},
                             {"fcntl DIR/s", "of the new seat: the next one is tried"}}});
  try_all(follow, stage);
}

}  // namespace
}  // namespace rl
