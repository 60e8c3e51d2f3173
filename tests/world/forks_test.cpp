// A fork at every stage: before there is a segment, between segment and limiter, with a limiter, in
// the middle of another thread's decisions, twice, as a daemon, by posix_spawn. Parents, children
// and grandchildren share one limit exactly, and a program that is executed inherits nothing of
// ours.

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <set>
#include <thread>

#include "tests/rlctl.hpp"
#include "tests/world/world.hpp"

namespace rl::test {
namespace {

constexpr int kBurst = 100;
const Limit& limit() {
  static const Limit kLimit = Limit::per_day(kBurst);
  return kLimit;
}

/// The stages at which a process may fork.
enum class Stage { before_anything, with_a_name, with_a_segment, with_a_limiter, after_a_decision };

TEST_CASE("A_a_fork_at_any_stage_shares_one_limit_with_parent_siblings_and_grandchildren") {
  for (const Stage stage : {Stage::before_anything, Stage::with_a_name, Stage::with_a_segment,
                            Stage::with_a_limiter, Stage::after_a_decision}) {
    CAPTURE(static_cast<int>(stage));
    const std::string name = unique_name();
    const RemoveAtEnd cleanup(name);
    Shared<std::atomic<int>> admitted;
    CHECK(is_well(in_child([&] {  // nothing of the library was used in it yet
      std::unique_ptr<Segment> segment;
      std::unique_ptr<Limiter> limiter;
      if (stage >= Stage::with_a_name) (void)Segment::open_or_create(name, {.keys = 1'000});
      if (stage >= Stage::with_a_segment)
        segment = std::make_unique<Segment>(Segment::open_or_create(name, {.keys = 1'000}));
      if (stage >= Stage::with_a_limiter)
        limiter = std::make_unique<Limiter>(segment->limiter("api", limit()));
      if (stage >= Stage::after_a_decision) admitted[0] += limiter->try_acquire("k") ? 1 : 0;
      const auto work = [&] {
        Segment own = segment ? *segment : Segment::open_or_create(name, {.keys = 1'000});
        Limiter api = limiter ? *limiter : own.limiter("api", limit());
        for (int i = 0; i < 200; ++i) {
          admitted[0] += api.try_acquire("k") ? 1 : 0;
          must(bool(api.try_acquire(std::to_string(::getpid()), kBurst)) == (i == 0),
               "its own key");
        }
      };
      std::vector<Child> children;
      for (int i = 0; i < 4; ++i) {
        children.emplace_back([&] {
          Child grandchild(work);
          work();
          must(grandchild.wait() == 0, "a grandchild");
        });
      }
      work();
      for (Child& child : children) must(child.wait() == 0, "a child");
    })));
    CHECK(admitted[0] == kBurst);
    CHECK(Segment::open(name).info().attached == 1);  // ours, just now
  }
}

TEST_CASE("A_S_a_fork_in_the_middle_of_other_threads_decisions_leaves_a_child_that_works") {
  Scratch segment({.keys = 500, .clock = ClockSource::manual});
  // The clock stands still, so nothing comes back, and the table holds all keys: every admission
  // can be accounted for.
  Limiter api = segment->limiter("api", Limit::per_day(1'000'000));
  Limiter few = segment->limiter("few", limit());
  Shared<std::atomic<std::uint64_t>> admitted(2);
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&, t] {
      for (std::uint64_t i = 0; !stop; ++i) {
        admitted[0] += api.try_acquire("hot") ? 1U : 0U;
        (void)api.try_acquire("k" + std::to_string(i % 150) + "-" + std::to_string(t));
        if (i % 64 == 0) (void)api.reset("k" + std::to_string(i % 150) + "-" + std::to_string(t));
      }
    });
  }
  constexpr int kForks = 200;
  for (int fork = 0; fork < kForks; ++fork) {
    Child child([&] {
      for (int i = 0; i < 20; ++i) {
        admitted[0] += api.try_acquire("hot") ? 1U : 0U;
        admitted[1] += few.try_acquire("k") ? 1U : 0U;
      }
      (void)segment->info();
    });
    CHECK(child.wait() == 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  const std::uint64_t spent = 1'000'000 - api.peek("hot").remaining;
  CHECK(segment->info().evicted == 0);
  CHECK(admitted[0] == spent);
  CHECK(admitted[1] == kBurst);
  std::set<std::string> keys;
  segment->for_each_key([&](const KeyInfo& key) {
    CHECK(keys.insert(key.policy + " " + key.key.value_or("?")).second);
  });
  MESSAGE(kForks << " forks tried amid " << admitted[0].load() << " admissions");
}

TEST_CASE("A_children_whose_parent_is_gone_go_on") {
  Scratch segment({.keys = 1'000});
  Shared<std::atomic<int>> admitted;
  Shared<std::atomic<int>> ended;
  CHECK(is_well(in_child([&] {
    Segment own = Segment::open(segment.name());
    Limiter api = own.limiter("api", limit());
    (void)api.try_acquire("other");  // it has a seat
    const pid_t parent = ::getpid();
    for (int i = 0; i < 4; ++i) {
      if (::fork() != 0) continue;
      ::alarm(60);  // nobody can wait for it, so it ends itself if it hangs
      while (::getppid() == parent) std::this_thread::yield();
      for (int call = 0; call < 200; ++call) admitted[0] += api.try_acquire("k") ? 1 : 0;
      (void)api.try_acquire("k" + std::to_string(i));  // a new key takes a seat of its own
      ++ended[0];
      ::_exit(0);
    }
  })));
  CHECK(until([&] { return ended[0] == 4; }, pause_a_little));
  CHECK(admitted[0] == kBurst);
  CHECK(until([&] { return segment->info().attached == 1; }, pause_a_little));
}

/// Closes all descriptors, as daemons do, and takes their numbers.
void close_all_and_open_others() {
  const bool closed = ::syscall(SYS_close_range, 0U, ~0U, 0U) == 0;
  for (int fd = 0; !closed && fd < 1'024; ++fd) ::close(fd);
  for (int i = 0; i < 16; ++i) (void)::open("/dev/null", O_RDWR | O_CLOEXEC);
}

/// How many of the others are still open.
int others_open() {
  struct stat null {};
  struct stat st {};
  int open = 0;
  if (::stat("/dev/null", &null) != 0) return -1;
  for (int fd = 0; fd < 64; ++fd)
    open += ::fstat(fd, &st) == 0 && st.st_rdev == null.st_rdev ? 1 : 0;
  return open;
}

TEST_CASE("a_handle_that_is_dropped_closes_no_descriptor_that_is_now_somebody_elses") {
  Scratch segment({.keys = 1'000});
  Child child([&] {
    auto own = std::make_unique<Segment>(Segment::open(segment.name()));
    if (!own->limiter("api", limit()).try_acquire("k")) ::_exit(1);
    close_all_and_open_others();
    own.reset();
    ::_exit(others_open() == 16 ? 0 : 2);
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("A_a_daemon_that_forked_twice_and_closed_all_descriptors_shares_the_limit") {
  Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", limit());
  CHECK(api.try_acquire("k", 40));
  Shared<std::atomic<int>> admitted;
  Shared<std::atomic<int>> ended;
  CHECK(is_well(in_child([&] {
    (void)api.try_acquire("other");
    if (::fork() != 0) ::_exit(0);
    ::setsid();
    if (::fork() != 0) ::_exit(0);
    ::alarm(60);  // nobody can wait for it
    close_all_and_open_others();
    for (int i = 0; i < 2'000; ++i) {
      admitted[0] += api.try_acquire("k") ? 1 : 0;
      (void)api.try_acquire("k" + std::to_string(i % 500));
    }
    ended[0] = others_open() == 16 ? 1 : 2;  // none of them was closed by us
    ::_exit(0);
  })));
  CHECK(until([&] { return ended[0] != 0; }, pause_a_little));
  CHECK(ended[0] == 1);
  CHECK(admitted[0] == kBurst - 40);
}

/// Counts the descriptors that show the segment's file, as a program sees them that this process
/// executes.
std::string open_files_after_exec() {
  const Ran ran = run({"sh", "-c", "ls -l /proc/self/fd"});
  CHECK(ran.exit_code == 0);
  return ran.out;
}

TEST_CASE("an_executed_program_inherits_no_descriptor_of_ours") {
  Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", limit());
  CHECK(api.try_acquire("k"));
  Segment reader = Segment::open_read_only(segment.name());
  (void)reader.info();
  CHECK_FALSE(contains(open_files_after_exec(), segment.name()));
  Child child([&] {
    must(bool(api.try_acquire("new")), "a child takes a seat of its own");
    must(!contains(open_files_after_exec(), segment.name()), "and keeps it to itself");
    // Nor after the segment was made anew, with the descriptors of both.
    Said said;
    listen(said);
    must(::unlink(segment.path().c_str()) == 0, "the name is gone");
    must(until([&] { return said.lines > 0; },
               [&] { (void)api.try_acquire("new"), pause_a_little(); }),
         "noticed");
    const std::string files = open_files_after_exec();
    must(!contains(files, "/dev/shm"), files);
  });
  CHECK(child.wait() == 0);
}

TEST_CASE("A_rlctl_spawned_from_a_process_that_decides_works_on_the_same_segment") {
  Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", limit());
  std::atomic<bool> stop{false};
  std::thread decides([&] {
    while (!stop) (void)api.try_acquire("other");
  });
  const std::string program = rlctl_path();
  int admitted = 0;
  constexpr int kSpawned = 20;
  for (int i = 0; i < kSpawned; ++i) {
    std::vector<std::string> words = {program,  "acquire", segment.name(), "api", "k",
                                      "--cost", "9"};
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    posix_spawn_file_actions_t quiet;
    posix_spawn_file_actions_init(&quiet);
    posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", O_WRONLY, 0);
    pid_t pid = 0;
    REQUIRE(::posix_spawn(&pid, program.c_str(), &quiet, nullptr, argv.data(), environ) == 0);
    posix_spawn_file_actions_destroy(&quiet);
    int status = 0;
    REQUIRE(::waitpid(pid, &status, 0) == pid);
    REQUIRE(WIFEXITED(status));
    admitted += WEXITSTATUS(status) == 0 ? 1 : 0;
    CHECK((WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 1));
  }
  stop = true;
  decides.join();
  CHECK(admitted == kBurst / 9);
  CHECK(api.peek("k").remaining == kBurst % 9);
}

}  // namespace
}  // namespace rl::test
