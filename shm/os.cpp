#include "shm/os.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

namespace rl {
namespace {
std::atomic<LogFn> log_fn{nullptr};
std::atomic<void*> log_context{nullptr};
}  // namespace

void set_log(LogFn fn, void* context) noexcept {
  log_context.store(context, std::memory_order_relaxed);
  log_fn.store(fn, std::memory_order_release);  // pairs with the acquire in shm::log: its context
}

namespace shm {

constexpr std::size_t kPageBytes = 4096;

Fd::~Fd() {
  if (fd_ >= 0) ::close(fd_);
}

void require_wide_compare_and_swap() {
#if defined(__x86_64__)
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_CMPXCHG16B) == 0) {
    throw Error(
        Errc::unsupported,
        "this CPU has no 16-byte compare-and-swap (cmpxchg16b), which librl is built on; use a "
        "machine of 2008 or later");
  }
#endif
}

Fd open_file(const char* path, int flags, unsigned mode) noexcept {
  int fd;
  do {
    fd = ::open(path, flags | O_CLOEXEC, mode);
  } while (fd < 0 && errno == EINTR);
  return Fd(fd);
}

int reserve_part(int fd, std::uint64_t offset, std::uint64_t bytes) noexcept {
  constexpr int kTriesMax = 1'000;  // a profiler sends a signal every few milliseconds
  int error = EINTR;
  for (int tries = 0; error == EINTR && tries < kTriesMax; ++tries)
    error = ::posix_fallocate(fd, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  return error;
}

std::string errno_text(int error) {
  const char* name = ::strerrorname_np(error);
  return fmt::format("{} ({})",
                     ::strerrordesc_np(error) ? ::strerrordesc_np(error) : "unknown error",
                     name ? name : std::to_string(error));
}

Error os_error(std::string_view what, int error) {
  Errc code = Errc::system;
  if (error == EACCES || error == EPERM) code = Errc::permission;
  if (error == ENOENT) code = Errc::not_found;
  if (error == ENOSPC) code = Errc::no_space;
  return {code, fmt::format("{}: {}", what, errno_text(error))};
}

std::uint64_t file_size_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_FSIZE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY) {
    return ~std::uint64_t{0};
  }
  return limit.rlim_cur;
}

void log(Severity severity, std::string_view line) noexcept {
  if (const LogFn fn = log_fn.load(std::memory_order_acquire)) {
    fn(severity, line, log_context.load(std::memory_order_relaxed));
  } else if (severity == Severity::warning) {
    std::fprintf(stderr, "librl: %.*s\n", static_cast<int>(line.size()), line.data());
  }
}

Random128 random_bits() {
  Random128 bits{};
  ssize_t got;
  do {
    got = ::getrandom(&bits, sizeof bits, 0);
  } while (got < 0 && errno == EINTR);
  if (got != sizeof bits) throw os_error("getrandom", errno);
  return bits;
}

BootId boot_id() noexcept {
  BootId id{};
  const Fd fd = open_file("/proc/sys/kernel/random/boot_id", O_RDONLY);
  char text[36];
  if (!fd || ::read(fd.get(), text, sizeof text) != sizeof text) return id;
  unsigned digits = 0;
  for (const char c : text) {
    const char* hex = "0123456789abcdef";
    const char* at = std::strchr(hex, c);
    if (c == '\0' || at == nullptr) continue;
    std::uint64_t& word = id.words[digits++ / 16 % 2];
    word = word << 4 | static_cast<std::uint64_t>(at - hex);
  }
  return id;
}

std::uint64_t time_namespace() noexcept {
  struct stat st {};
  return ::stat("/proc/self/ns/time", &st) == 0 ? st.st_ino : 0;
}

namespace {
/// A page that the kernel empties in every forked child, however it was forked. Made without a
/// guarded static: a fork in the middle of one would leave the child waiting for a thread it does
/// not have.
std::atomic<std::uint64_t>& wiped_on_fork() noexcept {
  static constinit std::atomic<std::atomic<std::uint64_t>*> made{nullptr};
  static constinit std::atomic<std::uint64_t> never_wiped{0};  // for kernels before 4.14
  std::atomic<std::uint64_t>* word =
      made.load(std::memory_order_acquire);  // pairs with the CAS below
  if (word != nullptr) return *word;
  void* page =
      ::mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const bool wipes = page != MAP_FAILED && ::madvise(page, kPageBytes, MADV_WIPEONFORK) == 0;
  auto* const mine = wipes ? static_cast<std::atomic<std::uint64_t>*>(page) : &never_wiped;
  if (made.compare_exchange_strong(word, mine, std::memory_order_acq_rel,
                                   std::memory_order_acquire))
    return *mine;
  if (page != MAP_FAILED) ::munmap(page, kPageBytes);
  return *word;
}
}  // namespace

std::uint64_t process_token() noexcept {
  std::atomic<std::uint64_t>& word = wiped_on_fork();
  // relaxed: threads of one process agree on the value by the CAS; nothing hangs on it.
  std::uint64_t token = word.load(std::memory_order_relaxed);
  if (token != 0) return token;
  std::uint64_t fresh = 0;
  if (::getrandom(&fresh, sizeof fresh, GRND_NONBLOCK) != sizeof fresh || fresh == 0) {
    fresh = static_cast<std::uint64_t>(::getpid());
  }
  return word.compare_exchange_strong(token, fresh, std::memory_order_relaxed) ? fresh : token;
}

}  // namespace shm
}  // namespace rl
