#include "bench/scratch.hpp"

#include <fmt/format.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <new>
#include <stdexcept>

#include "shm/huge_pages.hpp"
#include "shm/mapping.hpp"

namespace rl::bench {
namespace {

// What a signal handler may touch: plain memory and lock-free atomics.
constexpr std::size_t kFilesMax = 32;
constexpr std::size_t kPathBytes = 128;
constexpr std::size_t kChildrenMax = 1'024;
constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGPIPE, SIGABRT};

struct FileEntry {
  std::atomic<bool> used;
  char path[kPathBytes];
};
FileEntry files[kFilesMax];
std::atomic<pid_t> children[kChildrenMax];
static_assert(std::atomic<pid_t>::is_always_lock_free);

extern "C" void clean_up(int number) {
  for (std::atomic<pid_t>& child : children) {
    const pid_t pid = child.load(std::memory_order_relaxed);
    if (pid > 0) ::kill(pid, SIGKILL);
  }
  for (FileEntry& file : files) {
    if (file.used.load(std::memory_order_relaxed)) ::unlink(file.path);
  }
  ::signal(number, SIG_DFL);
  ::raise(number);
}

int wait_for(std::size_t entry) noexcept {
  const pid_t pid = children[entry].load(std::memory_order_relaxed);
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0) {
    if (errno != EINTR) break;
  }
  children[entry].store(0, std::memory_order_relaxed);
  return status;
}

}  // namespace

void* map_shared(std::size_t bytes) {
  const shm::Fd file(::memfd_create("bench", MFD_CLOEXEC));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) throw std::bad_alloc();
  shm::reserve_huge_pages(file.get(), bytes);
  void* const place = shm::place_for_huge_pages(bytes);  // null: wherever
  void* const at = ::mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file.get(), 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  return at;
}

void clean_up_on_signals() {
  for (const int number : kSignals) {
    struct sigaction action {};
    action.sa_handler = clean_up;
    ::sigaction(number, &action, nullptr);
  }
}

std::string unique_prefix() {
  return fmt::format("bench-{}-", ::getpid());
}

std::string unique_name() {
  static std::atomic<unsigned> count{0};
  return fmt::format("{}{}", unique_prefix(), count.fetch_add(1, std::memory_order_relaxed));
}

RemovedFile::RemovedFile(const std::string& path) : entry_(0) {
  while (entry_ < kFilesMax && files[entry_].used.load(std::memory_order_relaxed)) ++entry_;
  if (entry_ == kFilesMax || path.size() >= kPathBytes) {
    throw std::length_error(fmt::format("{}: no room to remember it for removal", path));
  }
  std::memcpy(files[entry_].path, path.c_str(), path.size() + 1);
  // release: the handler, in this thread, must not see the flag before the path.
  files[entry_].used.store(true, std::memory_order_release);
}

RemovedFile::~RemovedFile() {
  ::unlink(files[entry_].path);
  files[entry_].used.store(false, std::memory_order_relaxed);
}

Scratch::Scratch(const SegmentOptions& options)
    : name_(unique_name()), file_(shm::path_of(name_)), segment_(Segment::create(name_, options)) {}

pid_t Children::begin_child() {
  std::size_t entry = 0;
  while (entry < kChildrenMax && children[entry].load(std::memory_order_relaxed) != 0) ++entry;
  if (entry == kChildrenMax) throw std::length_error("too many children");
  entries_.reserve(entries_.size() + 1);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) throw std::runtime_error(fmt::format("fork: {}", std::strerror(errno)));
  if (pid > 0) {
    children[entry].store(pid, std::memory_order_relaxed);
    entries_.push_back(entry);
    return pid;
  }
  for (const int number : kSignals) ::signal(number, SIG_DFL);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) end_child(1);  // it died before the line above
  return 0;
}

void Children::end_child(int code) noexcept {
  ::_exit(code);
}

void Children::wait_for_all() {
  int bad = 0;
  for (const std::size_t entry : entries_) {
    const int status = wait_for(entry);
    if (status != 0) bad = status;
  }
  entries_.clear();
  if (bad != 0) throw std::runtime_error(fmt::format("a child failed, wait status {:#x}", bad));
}

Children::~Children() {
  for (const std::size_t entry : entries_) {
    ::kill(children[entry].load(std::memory_order_relaxed), SIGKILL);
    wait_for(entry);
  }
}

}  // namespace rl::bench
