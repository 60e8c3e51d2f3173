/// \file
/// The name goes away under a live process at awkward moments: see the head of src/core.hpp.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <thread>

#include "shm/geometry.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

bool exists(const std::string& path) {
  struct stat st {};
  return ::stat(path.c_str(), &st) == 0;
}

/// Decides until the name shows a segment again, for at most ten times the second that it may take.
bool brings_it_back(Limiter& limiter, const std::string& path) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!exists(path) && std::chrono::steady_clock::now() < deadline)
    (void)limiter.try_acquire("k");
  return exists(path);
}

/// Holds whoever says a line, which is in the middle of a look, until he is let go.
class HeldInItsLook {
 public:
  HeldInItsLook() {
    set_log(
        [](Severity, std::string_view, void* self) noexcept {
          auto& held = *static_cast<HeldInItsLook*>(self);
          held.is_held = true;
          while (!held.may_go) std::this_thread::yield();
        },
        this);
  }
  HeldInItsLook(const HeldInItsLook&) = delete;
  HeldInItsLook& operator=(const HeldInItsLook&) = delete;
  ~HeldInItsLook() { set_log(nullptr); }

  std::atomic<bool> is_held{false};
  std::atomic<bool> may_go{false};
};

TEST_CASE("P_a_child_that_is_forked_while_another_thread_looks_at_the_name_looks_itself") {
  test::Scratch segment({.keys = 100});
  const std::string path = segment.path();
  Limiter api = segment->limiter("api", Limit::per_second(1'000'000));
  HeldInItsLook held;
  REQUIRE(::unlink(path.c_str()) == 0);
  std::atomic<bool> over{false};
  std::thread looker([&] {
    while (!over) (void)api.try_acquire("k");
  });
  while (!held.is_held) std::this_thread::yield();  // it made the segment anew, and says so

  test::Child child([&] {
    held.may_go = true;  // for this process: nobody else is held in it
    if (::unlink(path.c_str()) != 0 || !brings_it_back(api, path)) throw 1;
  });
  CHECK(child.wait() == 0);
  over = true;
  held.may_go = true;
  looker.join();
}

TEST_CASE("S_a_daemon_whose_descriptor_became_another_file_leaves_that_files_locks_alone") {
  test::Scratch segment({.keys = 100});
  const std::string path = segment.path();
  Limiter api = segment->limiter("api", Limit::per_second(1'000'000));
  const std::string database = "/tmp/rl-" + test::unique_name();
  test::Child daemon([&] {
    (void)api.try_acquire("k");
    if (::close_range(3, ~0U, 0) != 0) throw 1;
    const int fd = ::open(database.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0) throw 1;
    for (int number = 3; number < 32; ++number) {
      if (number != fd && ::dup2(fd, number) != number) throw 1;
    }
    struct flock lock {};
    lock.l_type = F_WRLCK;
    if (::fcntl(fd, F_OFD_SETLK, &lock) != 0) throw 1;  // from 0 on: all of it
    if (::unlink(path.c_str()) != 0 || !brings_it_back(api, path)) throw 1;
    const int other = ::open(database.c_str(), O_RDWR);
    lock = {};
    lock.l_type = F_WRLCK;
    lock.l_start = offsetof(shm::Header, retired);
    lock.l_len = 1;
    if (::fcntl(other, F_OFD_GETLK, &lock) != 0 || lock.l_type == F_UNLCK) throw 1;
  });
  CHECK(daemon.wait() == 0);
  CHECK(::unlink(database.c_str()) == 0);
}

}  // namespace
}  // namespace rl
