#include "shm/participant.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <set>
#include <thread>
#include <vector>

#include "tests/support.hpp"

namespace rl::shm {
namespace {

struct ParticipantFixture {
  ParticipantFixture() : path(path_of(name)), mapping(Mapping::create(path, options())) {}
  static CreateOptions options() {
    return {100, 16, true, 0600, {}, {}, false, ClockKind::boottime, false};
  }
  std::uint32_t attached() const { return Participant::count_attached(mapping, path); }

  std::string name = test::unique_name();
  test::RemoveAtEnd cleanup{name};
  std::string path;
  Mapping mapping;
};

/// A pipe: one side waits for the other, or for its death.
struct Gate {
  int ends[2];
  Gate() { REQUIRE(::pipe2(ends, O_CLOEXEC) == 0); }
  ~Gate() {
    ::close(ends[0]);
    ::close(ends[1]);
  }
  void open() const { REQUIRE(::write(ends[1], "x", 1) == 1); }
  void wait() const {
    char c;
    REQUIRE(::read(ends[0], &c, 1) == 1);
  }
};

TEST_CASE_FIXTURE(ParticipantFixture, "a_seat_is_held_as_long_as_its_process_lives") {
  CHECK(attached() == 0);
  {
    Participant participant(mapping, path);
    CHECK(attached() == 0);  // nothing is taken before it is needed
    participant.attend();
    CHECK(attached() == 1);
  }
  CHECK(attached() == 0);
  test::Child child([&] {
    Participant participant(mapping, path);
    participant.attend();
    ::_exit(attached() == 1 ? 0 : 1);
  });
  CHECK(child.wait() == 0);
  CHECK(attached() == 0);
}

TEST_CASE_FIXTURE(ParticipantFixture, "a_killed_process_loses_its_seat_at_once") {
  Gate gate;
  test::Child child([&] {
    Participant participant(mapping, path);
    participant.attend();
    gate.open();
    for (;;) ::pause();
  });
  gate.wait();
  CHECK(attached() == 1);
  child.signal(SIGKILL);
  CHECK(child.wait() == 128 + SIGKILL);
  CHECK(attached() == 0);
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_forked_child_takes_a_seat_of_its_own_and_does_not_keep_its_dead_parents") {
  Gate seated;
  Gate grandchild_may_end;
  test::Child parent([&] {
    Participant participant(mapping, path);
    participant.attend();
    const pid_t pid = ::fork();
    if (pid == 0) {
      participant.attend();
      seated.open();
      grandchild_may_end.wait();
      ::_exit(0);
    }
    seated.wait();
    ::_exit(attached() == 2 ? 0 : 1);  // dies before its child
  });
  CHECK(parent.wait() == 0);
  CHECK(attached() == 1);
  grandchild_may_end.open();
  for (int i = 0; attached() != 0 && i < 1'000; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  CHECK(attached() == 0);
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_child_that_never_calls_does_not_keep_the_seat_of_its_killed_parent") {
  Gate forked;
  Gate child_may_end;
  test::Child parent([&] {
    Participant participant(mapping, path);
    participant.attend();
    if (::fork() == 0) {
      forked.open();  // it never calls the library
      child_may_end.wait();
      ::_exit(0);
    }
    for (;;) ::pause();
  });
  forked.wait();
  CHECK(attached() == 1);
  parent.signal(SIGKILL);
  CHECK(parent.wait() == 128 + SIGKILL);
  CHECK(attached() == 0);
  child_may_end.open();
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_child_takes_its_own_seat_after_the_name_is_gone_and_its_parent_was_killed") {
  Gate forked;
  Gate parent_is_dead;
  Gate seated;
  Gate child_may_end;
  test::Child parent([&] {
    Participant participant(mapping, path);
    participant.attend();
    if (::fork() == 0) {
      forked.open();
      parent_is_dead.wait();
      participant.attend();
      if (mapping.is_shown_by(participant.file()) && participant.sitter()) seated.open();
      child_may_end.wait();
      ::_exit(0);
    }
    for (;;) ::pause();
  });
  forked.wait();
  // Our own way to the file, as its name goes.
  const Fd file = open_file(path.c_str(), O_RDWR);
  const std::string shown = "/proc/self/fd/" + std::to_string(file.get());
  REQUIRE(::unlink(path.c_str()) == 0);
  parent.signal(SIGKILL);
  CHECK(parent.wait() == 128 + SIGKILL);
  CHECK(Participant::count_attached(mapping, shown) == 0);
  parent_is_dead.open();
  seated.wait();
  child_may_end.open();
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_number_that_now_shows_another_file_is_left_alone_in_a_forked_child") {
  Participant participant(mapping, path);
  const int number = participant.file();
  REQUIRE(number >= 0);
  char text[] = "/tmp/rl-test-XXXXXX";
  const int other = ::mkstemp(text);
  REQUIRE(::unlink(text) == 0);
  REQUIRE(::dup3(other, number, O_CLOEXEC) == number);
  test::Child child([&] {
    // The same description still: what the child writes moves the parent's place in the file.
    ::_exit(::write(number, "x", 1) == 1 ? 0 : 1);
  });
  CHECK(child.wait() == 0);
  CHECK(::lseek(other, 0, SEEK_CUR) == 1);
  ::close(other);
}

TEST_CASE_FIXTURE(ParticipantFixture, "a_place_for_forks_is_had_again_when_its_file_is_closed") {
  for (int i = 0; i < 3 * kForkFilesMax; ++i) {
    Participant participant(mapping, path);
    participant.attend();
  }
  // All places are free again: the last participant's file is covered, too.
  std::vector<ForkFile> places;
  for (ForkFile place; (place = note_for_forks(0, 0, 0)) != kNotNoted;) places.push_back(place);
  CHECK(places.size() == kForkFilesMax);
  for (const ForkFile place : places) forget_for_forks(place);
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_sitter_lives_until_its_process_ends_or_its_seat_is_taken") {
  Participant asking(mapping, path);
  asking.attend();
  REQUIRE(asking.sitter());
  test::Shared<Sitter> sitter;
  Gate seated;
  test::Child child([&] {
    Participant participant(mapping, path);
    sitter[0] = participant.sitter().value();
    seated.open();
    for (;;) ::pause();
  });
  seated.wait();
  {
    Liveness liveness(asking);
    CHECK(liveness.is_alive(sitter[0]));
    CHECK(liveness.is_alive(*asking.sitter()));  // its own lock counts, too
    CHECK_FALSE(liveness.is_alive({sitter[0].seat, sitter[0].generation + 1}));
    CHECK_FALSE(asking.has_successor(sitter[0]));
    child.signal(SIGKILL);
    CHECK(child.wait() == 128 + SIGKILL);
    CHECK(liveness.is_alive(sitter[0]));  // what a scan has learnt stands
  }
  CHECK_FALSE(Liveness(asking).is_alive(sitter[0]));
  mapping.seats()[sitter[0].seat].generation.fetch_add(1);
  CHECK(asking.has_successor(sitter[0]));
  CHECK_FALSE(Liveness(asking).is_alive(sitter[0]));
}

TEST_CASE_FIXTURE(ParticipantFixture, "who_cannot_be_asked_about_is_taken_for_alive") {
  Participant asking(mapping, "/nowhere/at/all");
  Participant other(mapping, path);
  other.attend();  // first, or it would take the seat that is asked about
  Participant gone(mapping, path);
  const Sitter sitter = gone.sitter().value();
  gone.leave();
  CHECK(Liveness(asking).is_alive(sitter));  // it has no way to the file
  CHECK_FALSE(Liveness(other).is_alive(sitter));
  CHECK(Liveness(other).is_alive({kSeatsMax, 0}));  // bytes gone wrong
}

TEST_CASE_FIXTURE(ParticipantFixture, "a_child_that_takes_its_seat_leaves_its_parents_alone") {
  Participant participant(mapping, path);
  participant.attend();
  test::Child child([&] {
    participant.attend();
    ::_exit(attached() == 2 ? 0 : 1);
  });
  CHECK(child.wait() == 0);
  CHECK(attached() == 1);
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "no_nonce_is_given_twice_by_parents_children_threads_and_successors_on_a_seat") {
  constexpr std::size_t kEach = 500;
  test::Shared<std::uint64_t> nonces(6 * kEach);
  Participant participant(mapping, path);
  const auto draw = [&](std::size_t who) {
    for (std::size_t i = 0; i < kEach; ++i) nonces[who * kEach + i] = participant.nonce();
  };
  std::thread first([&] { draw(0); });
  std::thread second([&] { draw(1); });
  first.join();
  second.join();
  for (const std::size_t who : {2U, 3U}) {
    test::Child child([&] { draw(who); });
    CHECK(child.wait() == 0);
  }
  for (const std::size_t who : {4U, 5U}) {  // one after the other on the same seat
    Participant other(mapping, path);
    for (std::size_t i = 0; i < kEach; ++i) nonces[who * kEach + i] = other.nonce();
  }
  std::set<std::uint64_t> all;
  for (std::size_t i = 0; i < 6 * kEach; ++i) all.insert(nonces[i]);
  CHECK(all.size() == 6 * kEach);
  CHECK(all.count(0) == 0);
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_process_without_a_free_seat_is_anonymous_counted_and_still_has_nonces") {
  std::vector<std::unique_ptr<Participant>> all;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  const rlim_t needed = kSeatsMax + 64;
  if (files.rlim_cur < needed) {
    const rlimit wider{needed, std::max(needed, files.rlim_max)};
    if (::setrlimit(RLIMIT_NOFILE, &wider) != 0) {
      test::skip("too few file descriptors");
      return;
    }
  }
  for (std::uint32_t i = 0; i < kSeatsMax; ++i) {
    all.push_back(std::make_unique<Participant>(mapping, path));
    all.back()->attend();
  }
  CHECK(attached() == kSeatsMax);
  CHECK(mapping.header().health.anonymous.load() == 0);
  Participant late(mapping, path);
  late.attend();
  CHECK(mapping.header().health.anonymous.load() == 1);
  const std::uint64_t a = late.nonce();
  const std::uint64_t b = late.nonce();
  CHECK(a != b);
  CHECK(((a & b) >> 63) == 1);
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_child_that_closed_all_descriptors_as_daemons_do_has_its_seat_all_the_same") {
  Participant participant(mapping, path);
  participant.attend();
  test::Child child([&] {
    for (int fd = 3; fd < 256; ++fd) ::close(fd);
    participant.attend();  // its descriptor gets the number of the one that was inherited
    ::_exit(mapping.is_shown_by(participant.file()) && attached() == 2 ? 0 : 1);
  });
  CHECK(child.wait() == 0);
}

TEST_CASE_FIXTURE(ParticipantFixture,
                  "a_descriptor_number_that_now_is_somebody_elses_is_not_closed") {
  Participant participant(mapping, path);
  participant.attend();
  test::Child child([&] {
    for (int fd = 3; fd < 256; ++fd) ::close(fd);
    int reused = -1;
    for (int fd = 3; fd < 64; ++fd) reused = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const std::uint64_t nonce = participant.nonce();
    for (int fd = 3; fd <= reused; ++fd) {
      if (::fcntl(fd, F_GETFD) < 0) ::_exit(1);
    }
    ::_exit(nonce != 0 ? 0 : 2);
  });
  CHECK(child.wait() == 0);
}

TEST_CASE_FIXTURE(ParticipantFixture, "the_inherited_description_is_closed_in_the_child") {
  Participant participant(mapping, path);
  const int inherited = participant.file();
  test::Child child([&] {
    participant.attend();
    // Its number may already be the child's own; what counts is how many descriptors show the
    // segment.
    int shown = 0;
    for (int fd = 0; fd < 1'024; ++fd) shown += mapping.is_shown_by(fd) ? 1 : 0;
    ::_exit(shown == 1 ? 0 : 1);
  });
  CHECK(child.wait() == 0);
  CHECK(mapping.is_shown_by(inherited));
}

}  // namespace
}  // namespace rl::shm
