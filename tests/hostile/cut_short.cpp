// Somebody who cuts a segment's file short right after it was opened and found whole: preloaded into
// rlctl. $RL_CUT_SHORT names the file. The library looks at the file's size twice, when it opens it and
// when it has mapped it; the second look still sees it whole.

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>

namespace {

constexpr off_t kLeft = 0;

/// Whether this is the second time that the named file is looked at.
bool is_seen_again(const struct stat& seen) {
  static int times = 0;
  const char* const path = std::getenv("RL_CUT_SHORT");
  struct stat named {};
  if (path == nullptr || ::lstat(path, &named) != 0) return false;
  if (named.st_dev != seen.st_dev || named.st_ino != seen.st_ino) return false;
  return ++times == 2;
}

}  // namespace

extern "C" __attribute__((visibility("default"))) int fstat(int fd, struct stat* to) noexcept {
  using Fstat = int (*)(int, struct stat*);
  static const auto real = reinterpret_cast<Fstat>(::dlsym(RTLD_NEXT, "fstat"));
  const int result = real(fd, to);
  if (result == 0 && is_seen_again(*to)) (void)!::truncate(std::getenv("RL_CUT_SHORT"), kLeft);
  return result;
}
