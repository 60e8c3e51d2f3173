#include "shm/fork_files.hpp"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>

namespace rl::shm {
namespace {

constexpr int kVacant = -1;
constexpr int kBeingNoted = -2;

/// A place is its taker's alone from the CAS that takes it to the store that fills it.
struct Noted {
  std::atomic<int> fd{kVacant};
  dev_t device = 0;
  ino_t inode = 0;
};

constinit std::array<Noted, kForkFilesMax> noted{};

bool shows(int fd, const Noted& file) noexcept {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && st.st_dev == file.device && st.st_ino == file.inode;
}

/// Puts a description of this process's own behind the number: for the same file, without the
/// locks. Left as it is when the number shows something else by now, or the file cannot be opened.
void unshare(int fd, const Noted& file) noexcept {
  if (!shows(fd, file)) return;
  char link[32] = "/proc/self/fd/";
  constexpr std::size_t kPrefix = sizeof "/proc/self/fd/" - 1;
  std::to_chars(link + kPrefix, link + sizeof link - 1, fd);  // the rest is zeros
  const int fresh = ::open(link, O_RDWR | O_CLOEXEC);
  if (fresh < 0) {  // no number is left, or no /proc: rather no descriptor than the parent's lock
    ::close(fd);
    return;
  }
  if (shows(fresh, file)) ::dup3(fresh, fd, O_CLOEXEC);
  ::close(fresh);
}

/// Runs in a forked child. Twice changes nothing for the worse.
void unshare_all() noexcept {
  const int error = errno;
  for (const Noted& file : noted) {
    // acquire: pairs with the release in note_for_forks, which a thread of the parent made.
    const int fd = file.fd.load(std::memory_order_acquire);
    if (fd >= 0) unshare(fd, file);
  }
  errno = error;
}

}  // namespace

void in_forked_children(std::atomic<bool>& registered, void (*handler)()) noexcept {
  // relaxed: the C library orders what it was told; the flag only saves repetitions.
  if (registered.load(std::memory_order_relaxed)) return;
  if (::pthread_atfork(nullptr, nullptr, handler) == 0)
    registered.store(true, std::memory_order_relaxed);
}

ForkFile note_for_forks(int fd, dev_t device, ino_t inode) noexcept {
  static constinit std::atomic<bool> registered{false};
  in_forked_children(registered, [] { unshare_all(); });
  for (int place = 0; place < kForkFilesMax; ++place) {
    Noted& file = noted[static_cast<std::size_t>(place)];
    int vacant = kVacant;
    // acquire: pairs with the release in forget_for_forks; the last user's reads are over.
    if (!file.fd.compare_exchange_strong(vacant, kBeingNoted, std::memory_order_acquire,
                                         std::memory_order_relaxed))
      continue;
    file.device = device;
    file.inode = inode;
    file.fd.store(fd, std::memory_order_release);  // pairs with the acquire in unshare_all
    return place;
  }
  return kNotNoted;
}

void forget_for_forks(ForkFile file) noexcept {
  if (file == kNotNoted) return;
  // release: pairs with the acquire of the next to take the place.
  noted[static_cast<std::size_t>(file)].fd.store(kVacant, std::memory_order_release);
}

}  // namespace rl::shm
