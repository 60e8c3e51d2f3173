// What a process may be forbidden: large files, descriptors, address space, /proc, system calls.
// Setting up answers with an Error; a decision goes on; nothing ends the process.

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include <cstddef>
#include <vector>

#include "tests/world/world.hpp"

namespace rl::test {
namespace {

void limit_to(__rlimit_resource resource, rlim_t most) {
  const rlimit limit{most, RLIM_INFINITY};
  if (::setrlimit(resource, &limit) != 0) {
    rlimit now{};
    (void)::getrlimit(resource, &now);
    now.rlim_cur = most;  // a plain user keeps the upper limit there is
    must(::setrlimit(resource, &now) == 0, "setrlimit");
  }
}

/// Ends the child where even the upper limit on file sizes is too low for what it is to do.
void must_be_allowed_16_mib() {
  rlimit now{};
  if (::getrlimit(RLIMIT_FSIZE, &now) != 0 || now.rlim_max < 16 << 20) ::_exit(kNotAllowed);
}

/// Leaves this process so much more address space than it has in use.
void leave_address_space(rlim_t bytes) {
  FILE* const statm = std::fopen("/proc/self/statm", "r");
  unsigned long pages = 0;
  must(statm != nullptr && std::fscanf(statm, "%lu", &pages) == 1, "/proc/self/statm");
  std::fclose(statm);
  limit_to(RLIMIT_AS, rlim_t{pages} * 4'096 + bytes);
}

TEST_CASE("a_limit_on_file_sizes_is_an_error_and_never_the_end_of_a_process") {
  CHECK(is_well(in_child([] {
    must_be_allowed_16_mib();
    const std::string name = unique_name();
    const RemoveAtEnd cleanup(name);
    for (const rlim_t most : {rlim_t{0}, rlim_t{4'096}, rlim_t{1} << 20}) {
      limit_to(RLIMIT_FSIZE, most);
      const std::string sentence = refused(Errc::no_space, [&] { (void)Segment::create(name); });
      must(contains(sentence, "ulimit -f") && contains(sentence, "8.5 MiB"), sentence);
    }
    // A limit that the segment fits in is none.
    limit_to(RLIMIT_FSIZE, 16 << 20);
    Segment segment = Segment::create(name);
    limit_to(RLIMIT_FSIZE, 0);
    must(bool(segment.limiter("api", Limit::per_day(1)).try_acquire("k")), "a decision");
    must(bool(Segment::open(name).limiter("b", Limit::per_day(1)).try_acquire("k")), "attached");
    must(contains(refused(Errc::system, [&] { (void)Segment::remove(name); }), "ulimit -f"), "rm");
    limit_to(RLIMIT_FSIZE, 1 << 20);
    must(Segment::remove(name), "removed");
  })));
}

TEST_CASE("P_a_worker_that_may_write_no_file_outlives_the_removal_of_its_segment") {
  Scratch segment({.keys = 1'000});
  CHECK(is_well(in_child([&] {
    must_be_allowed_16_mib();
    Said said;
    listen(said);
    Limiter api = segment->limiter("api", Limit::per_day(100));
    must(bool(api.try_acquire("k", 40)), "the first");
    limit_to(RLIMIT_FSIZE, 0);
    must(::unlink(segment.path().c_str()) == 0, "the name is gone");
    const auto decide = [&] {
      (void)api.try_acquire("k", 1'000);
      pause_a_little();
    };
    must(until([&] { return said.lines > 0; }, decide), "noticed");
    must(contains(said.last, "ulimit -f"), said.last);
    must(!is_there(segment.path()) && api.peek("k").remaining == 60, "it goes on");
    // Somebody who may make it does, in the place of the name.
    Child other([&] {
      limit_to(RLIMIT_FSIZE, 16 << 20);
      (void)Segment::create(segment.name(), {.keys = 1'000});
    });
    must(other.wait() == 0, "made");
    must(until([&] { return contains(said.last, "moved over"); }, decide), "followed");
  })));
}

/// UndefinedBehaviorSanitizer opens a pipe to look at an object of a class that it meets for the
/// first time, and takes it for damaged where there is no descriptor left: so it meets one before.
void meet_an_error() {
  refused(Errc::not_found, [] { (void)Segment::open(unique_name()); });
  try {
    (void)Segment::open(unique_name());
  } catch (const std::exception& e) {
    must(contains(e.what(), "no such segment"), e.what());
  }
}

TEST_CASE("without_descriptors_setting_up_is_an_error_and_a_decision_goes_on") {
  Scratch segment({.keys = 1'000});
  CHECK(is_well(in_child([&] {
    Limiter api = segment->limiter("api", Limit::per_day(1'000'000));
    Said said;
    listen(said);
    meet_an_error();
    limit_to(RLIMIT_NOFILE, 64);
    while (::open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0) {  // ends: at the limit
    }
    const std::string name = unique_name();
    const RemoveAtEnd cleanup(name);
    must(contains(refused(Errc::system, [&] { (void)Segment::open(segment.name()); }), "EMFILE"),
         "open");
    must(contains(refused(Errc::system, [&] { (void)Segment::create(name); }), "EMFILE"), "create");
    must(!is_there("/dev/shm/rl." + name), "nothing is left");
    // This child never decided: its seat would need a descriptor.
    for (int i = 0; i < 5'000; ++i)
      must(bool(api.try_acquire("k" + std::to_string(i % 2'000))), "a decision");
    Child grandchild([&] {
      for (int i = 0; i < 5'000; ++i)
        must(bool(api.try_acquire("g" + std::to_string(i % 2'000))), "a decision");
    });
    must(grandchild.wait() == 0, "a child goes on, too");
    must(::unlink(segment.path().c_str()) == 0, "the name is gone");
    must(until([&] { return said.lines > 0; },
               [&] { must(bool(api.try_acquire("k")), "a decision"), pause_a_little(); }),
         "it says that it cannot follow");
    for (int fd = 3; fd < 64; ++fd) ::close(fd);  // now it can: what it lacked is there
    must(until([&] { return is_there(segment.path()); },
               [&] { must(bool(api.try_acquire("k")), "a decision"), pause_a_little(); }),
         "made anew");
  })));
}

TEST_CASE("too_little_address_space_is_an_error_and_leaves_nothing") {
  if (kSanitized) {
    skip("a sanitizer takes terabytes of address space for itself");
    return;
  }
  Scratch segment({.keys = 1'000'000});
  CHECK(is_well(in_child([&] {
    leave_address_space(50 << 20);
    const std::string name = unique_name();
    const RemoveAtEnd cleanup(name);
    const std::string sentence =
        refused(Errc::system, [&] { (void)Segment::create(name, {.keys = 1'000'000}); });
    must(contains(sentence, "mapping ") && contains(sentence, "ENOMEM"), sentence);
    must(!is_there("/dev/shm/rl." + name), "nothing is left");
    must(contains(refused(Errc::system, [&] { (void)Segment::open(segment.name()); }), "ENOMEM"),
         "open");
    must(Segment::create(name, {.keys = 1'000}).info().keys == 1'000, "a small one fits");
  })));
  // A worker that cannot map a second one goes on with the first.
  Scratch other({.keys = 500'000});
  CHECK(is_well(in_child([&] {
    Said said;
    listen(said);
    Limiter api = other->limiter("api", Limit::per_day(100));
    must(bool(api.try_acquire("k", 40)), "the first");
    leave_address_space(8 << 20);
    must(::unlink(other.path().c_str()) == 0, "the name is gone");
    must(until([&] { return said.lines > 0; },
               [&] { (void)api.try_acquire("k", 1'000), pause_a_little(); }),
         "noticed");
    must(contains(said.last, "ENOMEM"), said.last);
    must(api.peek("k").remaining == 60 && !is_there(other.path()), "it goes on, nothing is left");
  })));
}

TEST_CASE("memory_that_may_not_be_locked_makes_no_difference") {
  CHECK(is_well(in_child([] {
    limit_to(RLIMIT_MEMLOCK, 0);
    Scratch segment({.keys = 1'000});
    must(bool(segment->limiter("api", Limit::per_day(1)).try_acquire("k")), "a decision");
  })));
}

TEST_CASE("without_proc_create_says_what_it_lacks_and_everything_else_works") {
  Scratch segment({.keys = 1'000});
  CHECK(is_well(in_child([&] {
    leave_mount_namespace();
    if (::umount2("/proc", MNT_DETACH) != 0) ::_exit(kNotAllowed);
    if (is_there("/proc/self")) ::_exit(kNotAllowed);  // there was another below
    const std::string name = unique_name();
    const RemoveAtEnd cleanup(name);
    must(contains(refused(Errc::not_found, [&] { (void)Segment::create(name); }), "is /proc"),
         "create");
    must(!is_there("/dev/shm/rl." + name), "nothing is left");
    Segment own = Segment::open(segment.name());
    Limiter api = own.limiter("api", Limit::per_day(100));
    must(bool(api.try_acquire("k", 40)), "a decision");
    must(own.info().attached >= 1 && own.find("api", "k")->remaining == 60, "a look into it");
    Child child([&] { must(bool(api.try_acquire("k")), "a decision after a fork"); });
    must(child.wait() == 0, "a child");
    Said said;
    listen(said);
    must(::unlink(segment.path().c_str()) == 0, "the name is gone");
    must(until([&] { return said.lines > 0; },
               [&] { (void)api.try_acquire("k", 1'000), pause_a_little(); }),
         "noticed");
    must(contains(said.last, "is /proc"), said.last);
    must(api.peek("k").remaining == 59, "it goes on");
  })));
}

/// From now on these system calls fail with EPERM in this process and its children.
void forbid(const std::vector<unsigned>& numbers) {
  std::vector<sock_filter> filter{{BPF_LD | BPF_W | BPF_ABS, 0, 0, offsetof(seccomp_data, nr)}};
  for (const unsigned number : numbers) {
    filter.push_back({BPF_JMP | BPF_JEQ | BPF_K, 0, 1, number});
    filter.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ERRNO | EPERM});
  }
  filter.push_back({BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW});
  sock_fprog program{static_cast<unsigned short>(filter.size()), filter.data()};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ::_exit(kNotAllowed);
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) ::_exit(kNotAllowed);
}

TEST_CASE("A_a_sandbox_without_locks_random_numbers_and_files_keeps_the_limit") {
  const std::vector<std::vector<unsigned>> sandboxes = {
      {SYS_getrandom},
      {SYS_fcntl},
      {SYS_getrandom, SYS_fcntl, SYS_openat, SYS_newfstatat, SYS_fstat, SYS_madvise}};
  for (std::size_t i = 0; i < sandboxes.size(); ++i) {
    CAPTURE(i);
    Scratch segment({.keys = 1'000});
    Limiter api = segment->limiter("api", Limit::per_day(100));
    Limiter many = segment->limiter("many", Limit::per_day(1));
    const int before = 40;
    REQUIRE(api.try_acquire("k", before));
    CHECK(is_well(in_child([&] {
      Said said;
      listen(said);
      forbid(sandboxes[i]);
      Shared<std::atomic<int>> admitted(2);
      std::vector<Child> children;
      for (int worker = 0; worker < 4; ++worker) {
        children.emplace_back([&] {
          for (int call = 0; call < 2'000; ++call) {
            admitted[0] += api.try_acquire("k") ? 1 : 0;
            // New keys need numbers that never repeat, though there is no seat to take them from.
            admitted[1] += many.try_acquire("k" + std::to_string(call % 500)) ? 1 : 0;
          }
        });
      }
      for (Child& child : children) must(child.wait() == 0, "a worker ends well");
      must(admitted[0] == 100 - before, "exactly the rest");
      must(admitted[1] == 500, "each new key once");
      if (i == 0) {
        const std::string name = unique_name();
        must(contains(refused(Errc::permission, [&] { (void)Segment::create(name); }), "getrandom"),
             "create needs a secret");
      }
    })));
    CHECK(api.peek("k").remaining == 0);
  }
}

}  // namespace
}  // namespace rl::test
