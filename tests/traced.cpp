#include "tests/traced.hpp"

#include <signal.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>

namespace rl::test {
namespace {

// The kernel ignores arguments of getpid: a mark costs nothing and means nothing.
constexpr std::uint64_t kBegin = 0x7261'6365'0001;
constexpr std::uint64_t kEnd = 0x7261'6365'0002;

constexpr int kCallStop = SIGTRAP | 0x80;  // PTRACE_O_TRACESYSGOOD
constexpr unsigned kHangsAfter_s = 60;
constexpr std::uint64_t kSyscallBytes = 2;

[[noreturn]] void give_up(const char* what) {
  throw std::runtime_error(std::string("ptrace: ") + what + ": " + std::strerror(errno));
}

void* as_pointer(std::uint64_t value) {
  return reinterpret_cast<void*>(value);
}

void ask(__ptrace_request request, pid_t pid, std::uint64_t data, const char* what) {
  if (::ptrace(request, pid, nullptr, as_pointer(data)) != 0) give_up(what);
}

struct CallName {
  long number;
  const char* name;
  enum { nothing, path_first, path_second, fd_first, flags_third } about;
};

constexpr CallName kCallNames[] = {
    {SYS_openat, "openat", CallName::path_second},
    {SYS_close, "close", CallName::fd_first},
    {SYS_fstat, "fstat", CallName::fd_first},
    {SYS_stat, "fstatat", CallName::path_first},  // of older C libraries
    {SYS_lstat, "fstatat", CallName::path_first},
    {SYS_newfstatat, "fstatat", CallName::path_second},
    {SYS_statfs, "statfs", CallName::path_first},
    {SYS_fstatfs, "fstatfs", CallName::fd_first},
    {SYS_read, "read", CallName::fd_first},
    {SYS_write, "write", CallName::fd_first},
    {SYS_pread64, "pread", CallName::fd_first},
    {SYS_pwrite64, "pwrite", CallName::fd_first},
    {SYS_fchmod, "fchmod", CallName::fd_first},
    {SYS_fchown, "fchown", CallName::fd_first},
    {SYS_fallocate, "fallocate", CallName::fd_first},
    {SYS_ftruncate, "ftruncate", CallName::fd_first},
    {SYS_fcntl, "fcntl", CallName::fd_first},
    {SYS_linkat, "linkat", CallName::path_second},
    {SYS_unlink, "unlink", CallName::path_first},
    {SYS_mmap, "mmap", CallName::nothing},
    {SYS_munmap, "munmap", CallName::nothing},
    {SYS_mremap, "mremap", CallName::nothing},
    {SYS_memfd_create, "memfd_create", CallName::nothing},
    {SYS_mprotect, "mprotect", CallName::nothing},
    {SYS_madvise, "madvise", CallName::nothing},
    {SYS_brk, "brk", CallName::nothing},
    {SYS_getrandom, "getrandom", CallName::flags_third},
    {SYS_prctl, "prctl", CallName::nothing},
    {SYS_prlimit64, "prlimit", CallName::nothing},
    {SYS_clock_nanosleep, "clock_nanosleep", CallName::nothing},
    {SYS_clock_gettime, "clock_gettime", CallName::nothing},
    {SYS_futex, "futex", CallName::nothing},
    {SYS_getpid, "getpid", CallName::nothing},
    {SYS_geteuid, "geteuid", CallName::nothing},
    {SYS_getegid, "getegid", CallName::nothing},
};

bool maps_a_shared_file(const user_regs_struct& r) {
  return r.orig_rax == SYS_mmap && (r.r10 & MAP_SHARED) != 0 && (r.r10 & MAP_ANONYMOUS) == 0 &&
         (r.rdx & PROT_WRITE) != 0;
}

}  // namespace

bool Traced::is_possible() {
  try {
    Traced probe(
        [] {
          begin();
          end();
        },
        "/", Watch::calls);
    return probe.marked_ && !probe.next() && probe.finish() == 0;
  } catch (const std::runtime_error& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return false;
  }
}

Traced::Traced(const std::function<void()>& body, const std::string& directory, Watch watch)
    : directory_(directory), watch_(watch) {
  pid_ = ::fork();
  if (pid_ < 0) give_up("fork");
  if (pid_ == 0) {
    if (::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) ::_exit(125);
    ::raise(SIGSTOP);
    ::alarm(kHangsAfter_s);
    try {
      body();
      ::_exit(0);
    } catch (...) {
      ::_exit(1);
    }
  }
  if (wait() != SIGSTOP) give_up("this process may not trace its child");
  ask(PTRACE_SETOPTIONS, pid_, PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL, "setting options");
  while (!marked_ && pid_ > 0) {
    const int stop = go_on();
    Point at{};
    if (stop == kCallStop) {
      (void)on_call(at);
    } else {
      signal_ = stop;
    }
  }
  if (marked_) protect_shared_files();
}

Traced::~Traced() {
  kill();
}

void Traced::begin() noexcept {
  (void)::syscall(SYS_getpid, kBegin);
}

void Traced::end() noexcept {
  (void)::syscall(SYS_getpid, kEnd);
}

/// Returns the signal at which the child stopped, or 0 when it has ended.
int Traced::wait() {
  int status = 0;
  while (::waitpid(pid_, &status, 0) < 0) {
    if (errno != EINTR) give_up("waiting");
  }
  if (WIFSTOPPED(status)) return WSTOPSIG(status);
  status_ = status;
  pid_ = -1;
  return 0;
}

int Traced::go_on() {
  ask(PTRACE_SYSCALL, pid_, static_cast<std::uint64_t>(std::exchange(signal_, 0)), "going on");
  return wait();
}

std::optional<Point> Traced::next() {
  if (stored_to_) pass_store();
  while (pid_ > 0 && !passed_end_) {
    const int stop = go_on();
    Point at{};
    if (stop == kCallStop) {
      if (on_call(at)) return at;
    } else if (stop == SIGSEGV && is_at_store(at.address)) {
      at.kind = Point::store;
      return at;
    } else {
      signal_ = stop;
    }
  }
  return std::nullopt;
}

/// Returns whether the stop is a point, and not a mark.
bool Traced::on_call(Point& at) {
  in_call_ = !in_call_;
  at.kind = in_call_ ? Point::entry : Point::exit;
  if (in_call_) {
    at_entry();
  } else {
    at_exit();
  }
  const user_regs_struct& r = entered_;
  at.number = static_cast<long>(r.orig_rax);
  const std::uint64_t arguments[] = {r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9};
  std::copy(std::begin(arguments), std::end(arguments), at.arguments);
  at.result = static_cast<std::int64_t>(registers().rax);
  if (r.orig_rax != SYS_getpid || (r.rdi != kBegin && r.rdi != kEnd)) return marked_;
  if (!in_call_) {
    marked_ = r.rdi == kBegin;
    passed_end_ = !marked_;
  }
  return false;
}

void Traced::at_entry() {
  entered_ = registers();
  call_address_ = entered_.rip - kSyscallBytes;
  new_range_ = marked_ && watch_ == Watch::calls_and_stores && maps_a_shared_file(entered_);
  if (!new_range_) return;
  user_regs_struct changed = entered_;
  changed.rdx &= ~std::uint64_t{PROT_WRITE};
  set_registers(changed);
}

void Traced::at_exit() {
  user_regs_struct now = registers();
  if (result_) {
    now.rax = static_cast<std::uint64_t>(*std::exchange(result_, std::nullopt));
    set_registers(now);
  }
  const auto result = static_cast<std::int64_t>(now.rax);
  if (new_range_ && (result > 0 || result < -4095)) {
    ranges_.push_back({now.rax, now.rax + entered_.rsi});
  }
  if (entered_.orig_rax == SYS_munmap && result == 0) {
    std::erase_if(ranges_, [&](const Range& range) { return range.begin == entered_.rdi; });
  }
}

void Traced::fail(int error) {
  user_regs_struct none = registers();
  none.orig_rax = ~std::uint64_t{0};
  set_registers(none);
  result_ = -error;
}

void Traced::fail_after(int error) {
  result_ = -error;
}

void Traced::set_argument(int index, std::uint64_t value) {
  user_regs_struct changed = registers();
  decltype(changed.rdi)* const at[] = {&changed.rdi, &changed.rsi, &changed.rdx,
                                       &changed.r10, &changed.r8,  &changed.r9};
  *at[index] = value;
  set_registers(changed);
}

void Traced::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  while (pid_ > 0) (void)wait();
}

int Traced::finish() {
  while (next()) {
  }
  if (pid_ > 0) {
    for (const Range& range : ranges_) protect(range, PROT_READ | PROT_WRITE);
    ranges_.clear();
    ask(PTRACE_DETACH, pid_, 0, "letting go");
    while (pid_ > 0) (void)wait();
  }
  return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
}

// --- stores -------------------------------------------------------------------------------------

/// Protects what the child had mapped before its first mark; what it maps later is protected there.
void Traced::protect_shared_files() {
  if (watch_ != Watch::calls_and_stores) return;
  std::ifstream maps("/proc/" + std::to_string(pid_) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0;
    unsigned long to = 0;
    if (line.find(" rw-s ") == std::string::npos || line.find(directory_) == std::string::npos ||
        std::sscanf(line.c_str(), "%lx-%lx", &from, &to) != 2) {
      continue;
    }
    ranges_.push_back({from, to});
    protect(ranges_.back(), PROT_READ);
  }
}

/// Whether the signal is the fault of a store to a range that we protect; notes which.
bool Traced::is_at_store(std::uint64_t& address) {
  siginfo_t info{};
  if (::ptrace(PTRACE_GETSIGINFO, pid_, nullptr, &info) != 0) give_up("reading the signal");
  address = reinterpret_cast<std::uint64_t>(info.si_addr);
  if (info.si_code != SEGV_ACCERR) return false;
  for (const Range& range : ranges_) {
    if (address >= range.begin && address < range.end) stored_to_ = range;
  }
  return stored_to_.has_value();
}

/// Lets the one instruction store that was stopped before it did.
void Traced::pass_store() {
  const Range range = *std::exchange(stored_to_, std::nullopt);
  protect(range, PROT_READ | PROT_WRITE);
  ask(PTRACE_SINGLESTEP, pid_, 0, "stepping");
  if (wait() != SIGTRAP) give_up("a store ended in something else than a step");
  protect(range, PROT_READ);
}

/// Makes the child call mprotect, with an instruction of its own; its registers are put back.
void Traced::protect(const Range& range, int protection) {
  const user_regs_struct before = registers();
  user_regs_struct call = before;
  call.rip = call_address_;
  call.rax = SYS_mprotect;
  call.orig_rax = ~std::uint64_t{0};  // nothing is to be restarted
  call.rdi = range.begin;
  call.rsi = range.end - range.begin;
  call.rdx = static_cast<std::uint64_t>(protection);
  set_registers(call);
  ask(PTRACE_SINGLESTEP, pid_, 0, "stepping");
  if (wait() != SIGTRAP || registers().rax != 0) give_up("protecting a mapping");
  set_registers(before);
}

// --- looking into the child ---------------------------------------------------------------------

user_regs_struct Traced::registers() const {
  user_regs_struct registers{};
  if (::ptrace(PTRACE_GETREGS, pid_, nullptr, &registers) != 0) give_up("reading registers");
  return registers;
}

void Traced::set_registers(const user_regs_struct& registers) const {
  if (::ptrace(PTRACE_SETREGS, pid_, nullptr, &registers) != 0) give_up("writing registers");
}

std::string Traced::text_at(std::uint64_t address) const {
  std::string text;
  for (char c = 0; text.size() < 4096; text += c, ++address) {
    iovec here{&c, 1};
    iovec there{as_pointer(address), 1};
    if (::process_vm_readv(pid_, &here, 1, &there, 1, 0) != 1 || c == '\0') break;
  }
  return text;
}

std::string Traced::file_of(std::uint64_t fd) const {
  char text[4096];
  const std::string link = "/proc/" + std::to_string(pid_) + "/fd/" + std::to_string(fd);
  const ssize_t size = ::readlink(link.c_str(), text, sizeof text);
  return size < 0 ? "fd " + std::to_string(static_cast<int>(fd))
                  : std::string(text, static_cast<std::size_t>(size));
}

std::string Traced::describe(const Point& at) const {
  for (const CallName& call : kCallNames) {
    if (call.number != at.number) continue;
    const std::string name = call.name;
    switch (call.about) {
      case CallName::path_first:
        return name + " " + text_at(at.arguments[0]);
      case CallName::path_second:
        // fstat is fstatat of an empty path in newer C libraries
        if (text_at(at.arguments[1]).empty()) return "fstat " + file_of(at.arguments[0]);
        return name + " " + text_at(at.arguments[1]);
      case CallName::fd_first:
        return name + " " + file_of(at.arguments[0]);
      case CallName::flags_third:
        return name + " " + std::to_string(at.arguments[2]);
      case CallName::nothing:
        return name;
    }
  }
  return "call " + std::to_string(at.number);
}

}  // namespace rl::test
