// Somebody who cuts a segment's file short right after it was opened and found whole: preloaded into
// rlctl. $RL_CUT_SHORT names the file. The library looks at the file's size twice, when it opens it and
// when it has mapped it; the second look still sees it whole. With $RL_CUT_SHORT_LATE it is cut later: when
// rlctl is about to make a file, and removes what may stand under that file's first name.

#include <dlfcn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace {

constexpr off_t kLeft = 0;

bool is_late() {
  return std::getenv("RL_CUT_SHORT_LATE") != nullptr;
}

void cut() {
  (void)!::truncate(std::getenv("RL_CUT_SHORT"), kLeft);
}

/// Whether this is the second time that the named file is looked at.
bool is_seen_again(const struct stat& seen) {
  static int times = 0;
  if (is_late()) return false;
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
  if (result == 0 && is_seen_again(*to)) cut();
  return result;
}

extern "C" __attribute__((visibility("default"))) int unlink(const char* path) noexcept {
  using Unlink = int (*)(const char*);
  static const auto real = reinterpret_cast<Unlink>(::dlsym(RTLD_NEXT, "unlink"));
  if (is_late() && std::string_view(path).ends_with(".new")) cut();
  return real(path);
}
