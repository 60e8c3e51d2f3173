#include "tests/hostile/scratch.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <vector>

namespace rl::hostile {
namespace {

namespace fs = std::filesystem;

/// Made before main, so that the parent and every child mean the same path.
class Janitor {
 public:
  Janitor() : owner_(::getpid()), path_("/dev/shm/rl.test-" + std::to_string(owner_) + "-hostile") {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
    const pid_t child = ::fork();
    if (child == 0) {
      ::close(ends[1]);
      if (::fork() == 0) wait_and_clean(ends[0]);  // nobody's child, so nobody waits for it
      ::_exit(0);
    }
    ::close(ends[0]);  // the other end is open in this process and its children till they end
    (void)::waitpid(child, nullptr, 0);
  }
  Janitor(const Janitor&) = delete;
  Janitor& operator=(const Janitor&) = delete;
  ~Janitor() {
    if (::getpid() != owner_) return;
    const std::vector<fs::path> left = leftovers();
    if (left.empty()) return;
    for (const fs::path& path : left) std::printf("left behind: %s\n", path.c_str());
    (void)std::fflush(nullptr);
    ::_exit(1);
  }
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  /// What bears the name of this program, also that of test::unique_name().
  [[nodiscard]] std::vector<fs::path> leftovers() const noexcept {
    const std::string ours = "test-" + std::to_string(owner_) + "-";
    std::vector<fs::path> left;
    std::error_code ignored;
    for (const auto* const folder : {"/dev/shm", "/tmp"}) {
      for (const auto& file : fs::directory_iterator(folder, ignored))
        if (file.path().filename().string().find(ours) == 3) left.push_back(file.path());
    }
    return left;
  }

  [[noreturn]] void wait_and_clean(int end) const noexcept {
    (void)::setsid();
    for (const int number : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) (void)::signal(number, SIG_IGN);
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; fd <= 2; ++fd) (void)::dup2(nothing, fd);  // whoever reads them sees the end
    char byte = 0;
    while (::read(end, &byte, 1) > 0) {  // ends: nobody writes
    }
    std::error_code ignored;
    for (const fs::path& path : leftovers()) fs::remove_all(path, ignored);
    ::_exit(0);
  }

  pid_t owner_;
  std::string path_;
};

const Janitor janitor;

}  // namespace

const std::string& scratch_path() {
  return janitor.path();
}

void remove_scratch() noexcept {
  std::error_code ignored;
  fs::remove_all(scratch_path(), ignored);
  fs::remove_all(scratch_path() + "-copy", ignored);
}

void end_with_parent() noexcept {
  (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
}

}  // namespace rl::hostile
