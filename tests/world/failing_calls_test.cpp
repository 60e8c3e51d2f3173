// Every system call of making, opening and removing a segment made to fail: each in turn, with
// every errno it can give. (failing_moves_test does so while processes go on.)
//
// A process is followed (tests/traced.hpp) to its n-th call, which is not made and returns the
// errno; then it goes on alone. What was asked for either succeeds all the same, which is right
// only where the list below says why, or throws an Error whose code and sentence fit. Afterwards
// the process has no descriptor, mapping or lock more than before, the directory no name and, where
// that can be counted, no file without a name; and a second attempt succeeds.
//
// EINTR comes three times in a row, and has to be lived through or reported like any other. Reads
// come up short once each. A close that fails has closed, as the kernel has it.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <fstream>

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
using test::Optional;
using test::OptionalCalls;
using test::Report;
using test::small;
using test::Stage;
using test::take_all;
using test::three;
using test::warm_up;

// --- calls that may fail, and why ---------------------------------------------------------------

const OptionalCalls kClockCalls = {
    {"openat /sys/devices/system/clocksource/clocksource0/current_clocksource",
     "then the clock is the kernel's"},
    {"read /sys/devices/system/clocksource/clocksource0/current_clocksource",
     "then the clock is the kernel's"},
    {"clock_nanosleep", "then the calibration is short; it is held to the kernel's clock anyway"},
    {"mmap (2)", "of the page that tells forks: then process ids do"},
    {"madvise", "of the page that tells forks: then process ids do"},
};

const OptionalCalls kReservationCalls = {
    {"fstatat DIR/s", "of the first look: the link tells"},
    {"prlimit", "then there is no limit that we know"},
    {"fstatfs DIR/#", "of the first look: the reservation tells"},
    {"ftruncate DIR/#", "then no huge pages are asked for, and the reservation makes it as long"},
    {"fstatfs DIR/# (2)", "for a warning only"},
};

/// Without a seat the process is anonymous, is counted so, and takes its nonces at random.
OptionalCalls seat_calls(const char* open, const char* look) {
  return {{"getrandom 1", "of the number that tells forks: then the process id does"},
          {open, "of the seat"},
          {look, "of the seat"},
          {"fcntl DIR/s", "of the seat: the next one is tried"}};
}

// --- making, opening, removing ------------------------------------------------------------------

Operation creation(Stage& stage, const SegmentOptions& options) {
  Operation create{.name = "create"};
  create.act = [&stage, options] { stage.childs.segment = Segment::create(stage.path, options); };
  create.holds = [&] { return take_all(*stage.childs.segment) == 3; };
  create.let_go = [&] { stage.childs.drop(); };
  create.judge = [&](const Report&) {
    Segment segment = Segment::open(stage.path);
    CHECK(segment.info().keys == 1);
    CHECK(segment.info().attached == 1);
    CHECK(take_all(segment) == 0);
  };
  create.tidy = [&] { CHECK(Segment::remove(stage.path)); };
  create.optional =
      all_of({host_calls(), kReservationCalls, seat_calls("openat DIR/s", "fstat DIR/s")});
  return create;
}

/// The first test of this file: the process that forks the children has not used the library yet.
TEST_CASE("S_create_fails_whole_at_each_call_that_only_the_first_of_a_process_makes") {
  if (!can_trace()) return;
  Stage stage;
  Operation create = creation(stage, small());
  create.name = "the first create of a process";
  create.only = [](const std::string& call) {
    return std::any_of(kClockCalls.begin(), kClockCalls.end(),
                       [&](const Optional& first) { return first.call == call; });
  };
  create.judge = [&, judge = create.judge](const Report& report) {
    CHECK(test::Child([&] { judge(report); }).wait() == 0);
  };
  create.tidy = [&] { CHECK(::unlink(stage.path.c_str()) == 0); };
  create.optional = all_of({kClockCalls, host_calls()});
  try_all(create, stage);
}

TEST_CASE("S_create_fails_whole_at_each_of_its_calls") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  try_all(creation(stage, small()), stage);
}

TEST_CASE("S_create_for_an_owner_and_a_group_fails_whole_at_each_of_its_calls") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  SegmentOptions owned = small();
  owned.owner = std::to_string(::geteuid());
  owned.group = std::to_string(::getegid());
  Operation create = creation(stage, owned);
  create.name = "create for an owner";
  create.only = [](const std::string& call) { return call.find("fchown") == 0; };
  try_all(create, stage);
}

TEST_CASE("S_open_or_create_fails_whole_at_each_call_of_its_creation") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  Operation create = creation(stage, small());
  create.name = "open_or_create, which creates";
  create.act = [&] { stage.childs.segment = Segment::open_or_create(stage.path, small()); };
  create.optional = all_of({host_calls(),
                            kReservationCalls,
                            seat_calls("openat DIR/s (2)", "fstat DIR/s"),
                            {{"openat DIR/s", "there is none", {ENOENT}},
                             {"linkat /proc/self/fd", "a rival was faster: again", {EEXIST}}}});
  try_all(create, stage);
}

Operation opening(Stage& stage) {
  Operation open{.name = "open"};
  open.prepare = [&] { make_used_segment(stage.path); };
  open.act = [&] { stage.childs.segment = Segment::open(stage.path); };
  open.holds = [&] { return take_all(*stage.childs.segment) == 2; };
  open.let_go = [&] { stage.childs.drop(); };
  open.judge = [&](const Report&) {
    Segment segment = Segment::open(stage.path);
    CHECK(segment.info().attached == 1);
    CHECK(take_all(segment) == 0);
  };
  open.tidy = [&] { CHECK(Segment::remove(stage.path)); };
  open.optional = all_of({host_calls(), seat_calls("openat DIR/s (2)", "fstat DIR/s (3)")});
  return open;
}

TEST_CASE("S_open_fails_whole_at_each_of_its_calls") {
  if (!can_trace()) return;
  Stage stage;
  try_all(opening(stage), stage);
}

TEST_CASE("S_open_or_create_fails_whole_at_each_call_of_its_opening") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  Operation open = opening(stage);
  open.name = "open_or_create, which opens";
  open.act = [&] { stage.childs.segment = Segment::open_or_create(stage.path, small()); };
  open.optional.push_back({"openat DIR/s", "creates, is told it exists, opens", {ENOENT}});
  try_all(open, stage);
}

/// What is refused here is memory for the handle, and random numbers for its secret.
TEST_CASE("S_open_or_gives_a_handle_whichever_call_fails_but_for_memory_and_random_numbers") {
  if (!can_trace()) return;
  Stage stage;
  warm_up(stage);
  Operation open{.name = "open_or, where something else has the name"};
  open.prepare = [&] { std::ofstream(stage.path) << std::string(5'000, 'x'); };
  open.act = [&] {
    stage.childs.segment = Segment::open_or(stage.path, small(), {.on_failure = OnFailure::local});
  };
  open.holds = [&] {
    Limiter api = stage.childs.segment->limiter("api", three());
    return stage.childs.segment->fallback().active && allowed_of(api, 4) == 3;
  };
  open.let_go = [&] { stage.childs.drop(); };
  open.tidy = [&] { CHECK(::unlink(stage.path.c_str()) == 0); };
  const char* const reason = "then that is why there is no segment";
  const char* const shared = "then a forked child shares the memory";
  open.optional = all_of({host_calls(),
                          seat_calls("openat /proc/self/fd", "fstat /memfd:librl-seats (2)"),
                          {{"openat DIR/s", reason},
                           {"fstat DIR/s", reason},
                           {"pread DIR/s", reason},
                           {"mmap (2)", shared},
                           {"mmap (4)", shared},
                           {"mremap", shared},
                           {"mremap (2)", shared},
                           {"memfd_create", "then it has no seat"},
                           {"fstat /memfd:librl-seats", "then it has no seat"},
                           {"fstat /memfd:librl-seats (3)", "of the seat"},
                           {"fstat /memfd:librl-seats (4)", "of the file to close", {}, 1},
                           {"fcntl /memfd:librl-seats", "of the seat: the next one is tried"},
                           {"openat /proc/sys/kernel/random/boot_id (2)", "as the first"},
                           {"read /proc/sys/kernel/random/boot_id (2)", "as the first"},
                           {"fstatat /proc/self/ns/time (2)", "as the first"},
                           {"prctl (3)", "as the first"},
                           {"prctl (4)", "as the first"}}});
  try_all(open, stage);
}

TEST_CASE("S_open_read_only_fails_whole_at_each_of_its_calls") {
  if (!can_trace()) return;
  Stage stage;
  Operation open = opening(stage);
  open.name = "open_read_only";
  open.act = [&] { stage.childs.segment = Segment::open_read_only(stage.path); };
  open.holds = [&] { return stage.childs.segment->limiter("api").peek("k").remaining == 2; };
  open.judge = [&](const Report&) {
    Segment segment = Segment::open(stage.path);
    CHECK(take_all(segment) == 2);
  };
  open.optional = host_calls();
  try_all(open, stage);
}

TEST_CASE("S_a_removal_that_fails_leaves_the_segment_as_it_was") {
  if (!can_trace()) return;
  Stage stage;
  int fd = -1;
  Operation remove{.name = "remove"};
  remove.prepare = [&] {
    make_used_segment(stage.path);
    fd = ::open(stage.path.c_str(), O_RDWR | O_CLOEXEC);
    REQUIRE(!is_retired(fd));
  };
  remove.act = [&] {
    stage.childs.removed = Segment::remove(stage.path);
    if (!stage.childs.removed) throw Error(Errc::not_found, "there was nothing to remove, it says");
  };
  remove.is_untouched = [&] { return !is_retired(fd) && exists(stage.path); };
  // Removed for good: the processes that go on with it do not bring it back.
  remove.holds = [&] { return stage.childs.removed && is_retired(fd); };
  remove.let_go = [] {};
  remove.tidy = [&] { ::close(fd); };
  remove.optional = {{"prlimit", "then there is no limit that we know"}};
  try_all(remove, stage);
}

}  // namespace
}  // namespace rl
