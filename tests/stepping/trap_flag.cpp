#include "tests/stepping/trap_flag.hpp"

#include <link.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <stdexcept>
#include <utility>
#include <vector>

#include "tests/support.hpp"

#if defined(__x86_64__) && !RL_TEST_SANITIZED

namespace rl::test {
namespace {

constexpr greg_t kTrapFlag = 0x100;

/// The bytes below the stack pointer that a function without calls may use.
constexpr std::uintptr_t kRedZoneBytes = 128;

/// A piece of memory, kept and put back.
class Kept {
 public:
  void keep(const void* at, std::size_t bytes) {
    at_ = const_cast<void*>(at);
    bytes_.assign(static_cast<const char*>(at), static_cast<const char*>(at) + bytes);
  }
  void put_back() const { std::memcpy(at_, bytes_.data(), bytes_.size()); }
  void put_into(void* at) const { std::memcpy(at, bytes_.data(), bytes_.size()); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

 private:
  void* at_ = nullptr;
  std::vector<char> bytes_;
};

/// With the TSC forbidden, whoever reads it gets a SIGSEGV, and from its handler what we like.
void forbid_tsc(bool forbidden) {
  ::prctl(PR_SET_TSC, forbidden ? PR_TSC_SIGSEGV : PR_TSC_ENABLE, 0, 0, 0);
}

/// The size of the frame's floating point state: the kernel says it in bytes that the hardware
/// leaves to it.
std::size_t floating_point_bytes(const _libc_fpstate* state) {
  constexpr std::size_t kSoftwareBytesAt = 464;
  constexpr std::uint32_t kMagic = 0x4650'5853;
  std::uint32_t words[2];
  std::memcpy(words, reinterpret_cast<const char*>(state) + kSoftwareBytesAt, sizeof words);
  return words[0] == kMagic ? words[1] : sizeof(_libc_fpstate);
}

/// The program's own thread-local variables lie below the thread pointer.
void keep_thread_locals(Kept& kept) {
  std::size_t bytes = 0;
  ::dl_iterate_phdr(
      [](dl_phdr_info* info, std::size_t, void* to) {
        for (int i = 0; i < info->dlpi_phnum; ++i) {
          const auto& header = info->dlpi_phdr[i];
          if (header.p_type != PT_TLS) continue;
          *static_cast<std::size_t*>(to) =
              (header.p_memsz + header.p_align - 1) / header.p_align * header.p_align;
        }
        return 1;  // the first is the program
      },
      &bytes);
  kept.keep(static_cast<const char*>(__builtin_thread_pointer()) - bytes, bytes);
}

/// The kernel's own code in every process, which reads the clock. It is stepped and not visited: it
/// knows no segment, and begins anew whenever the kernel's time moves on, which it would for ever.
struct Vdso {
  std::uintptr_t begin = ::getauxval(AT_SYSINFO_EHDR);
  std::uintptr_t end = begin;
  Vdso() {
    ::dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* to) {
          auto& vdso = *static_cast<Vdso*>(to);
          for (int i = 0; i < info->dlpi_phnum && info->dlpi_addr == vdso.begin; ++i) {
            const auto& header = info->dlpi_phdr[i];
            vdso.end = std::max(vdso.end, vdso.begin + header.p_vaddr + header.p_memsz);
          }
          return 0;
        },
        this);
  }
};

/// All mappings of a file in this process, taken away and given back together.
class Pages {
 public:
  Pages() = default;
  /// Known by the file's number: a mapping from before the file got its name goes by another.
  explicit Pages(const std::string& path) {
    struct stat file {};
    if (::stat(path.c_str(), &file) != 0) throw std::runtime_error("no file " + path);
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);) {
      Range range{};
      unsigned major = 0;
      unsigned minor = 0;
      unsigned long number = 0;
      const int found = std::sscanf(line.c_str(), "%lx-%lx rw-s %*x %x:%x %lu", &range.begin,
                                    &range.end, &major, &minor, &number);
      if (found == 5 && number == file.st_ino && makedev(major, minor) == file.st_dev)
        all_.push_back(range);
    }
    if (all_.empty()) throw std::runtime_error("nothing of " + path + " is mapped");
  }
  void take_away() { protect(true); }
  void give_back() { protect(false); }
  [[nodiscard]] bool are_away() const { return are_away_; }
  [[nodiscard]] bool contain(const void* address) const {
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    return std::any_of(all_.begin(), all_.end(),
                       [at](const Range& range) { return range.begin <= at && at < range.end; });
  }

 private:
  struct Range {
    std::uintptr_t begin;
    std::uintptr_t end;
  };
  void protect(bool away) {
    if (are_away_ == away) return;
    are_away_ = away;
    for (const Range& range : all_) {
      ::mprotect(reinterpret_cast<void*>(range.begin), range.end - range.begin,
                 away ? PROT_NONE : PROT_READ | PROT_WRITE);
    }
  }
  std::vector<Range> all_;
  bool are_away_ = false;
};

/// What an instruction begins with that does more than compute, whatever memory it touches.
bool asks_outside(std::uintptr_t at) {
  const auto* const code = reinterpret_cast<const unsigned char*>(at);
  const bool is_syscall = code[0] == 0x0f && code[1] == 0x05;
  const bool is_rdtsc = code[0] == 0x0f && code[1] == 0x31;
  const bool is_rdtscp = code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xf9;
  return is_syscall || is_rdtsc || is_rdtscp;
}

/// Sets a handler for a signal, and puts the old one back at the end of the scope.
class Handler {
 public:
  Handler(int signal, void (*handler)(int, siginfo_t*, void*)) : signal_(signal) {
    struct sigaction action {};
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    if (::sigaction(signal, &action, &before_) != 0) throw std::runtime_error("no handler");
  }
  Handler(const Handler&) = delete;
  Handler& operator=(const Handler&) = delete;
  ~Handler() { ::sigaction(signal_, &before_, nullptr); }

 private:
  int signal_;
  struct sigaction before_ {};
};

/// The 128 bytes below the stack pointer belong to whoever this is inlined into.
inline void set_trap_flag() noexcept {
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\tpushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\t"
      "leaq 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}
inline void clear_trap_flag() noexcept {
  asm volatile(
      "leaq -128(%%rsp), %%rsp\n\tpushfq\n\tandq $~0x100, (%%rsp)\n\tpopfq\n\t"
      "leaq 128(%%rsp), %%rsp" ::
          : "memory", "cc");
}

}  // namespace

/// The one walk there can be at a time.
struct Trap {
  Walk* walk = nullptr;
  bool is_over = false;  ///< nothing is visited any more
  std::uint64_t instruction = 0;
  bool tsc_is_frozen = false;
  bool tsc_is_forbidden = false;
  std::uint64_t frozen_tsc = 0;
  std::uintptr_t stack_top = 0;  ///< above all that the body may change
  bool has_run_on = false;       ///< from an instruction to the end, and is to go back
  bool visits_all = true;
  Pages pages;
  /// The body has returned: what is left of the walk is one visit.
  enum class End { not_yet, reached, visited } end = End::not_yet;

  Vdso vdso;
  gregset_t registers{};
  End kept_end = End::not_yet;
  Kept floating_point;
  Kept stack;
  Kept thread_locals;

  static Trap trap;

  static void on_trap(int, siginfo_t*, void* context) {
    if (trap.has_run_on) {
      trap.go_back(*static_cast<ucontext_t*>(context));
      trap.visit(*static_cast<ucontext_t*>(context));
    } else {
      trap.arrive(*static_cast<ucontext_t*>(context));
    }
  }

  static void on_fault(int, siginfo_t* info, void* context) {
    auto& machine = *static_cast<ucontext_t*>(context);
    if (trap.pages.are_away() && trap.pages.contain(info->si_addr)) {
      --trap.instruction;  // it was taken for one that does not matter, and did nothing yet
      trap.visit(machine);
    } else if (!trap.read_tsc(machine.uc_mcontext.gregs)) {
      ::signal(SIGSEGV, SIG_DFL);  // somebody else's: it comes again, and ends us
    } else {
      trap.arrive(machine);
    }
  }

  /// Does what RDTSC or RDTSCP would have done; the next instruction is one like any other.
  [[nodiscard]] bool read_tsc(greg_t* registers_now) const {
    const auto* const code = reinterpret_cast<const unsigned char*>(registers_now[REG_RIP]);
    const bool is_rdtsc = code[0] == 0x0f && code[1] == 0x31;
    const bool is_rdtscp = code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xf9;
    if (!tsc_is_frozen || (!is_rdtsc && !is_rdtscp)) return false;
    registers_now[REG_RAX] = static_cast<greg_t>(frozen_tsc & 0xffff'ffffU);
    registers_now[REG_RDX] = static_cast<greg_t>(frozen_tsc >> 32);
    if (is_rdtscp) registers_now[REG_RCX] = 0;
    registers_now[REG_RIP] += is_rdtsc ? 2 : 3;
    return true;
  }

  /// Before each instruction.
  void arrive(ucontext_t& context) {
    greg_t* const now = context.uc_mcontext.gregs;
    const auto at = static_cast<std::uintptr_t>(now[REG_RIP]);
    if (!is_over && at >= vdso.begin && at < vdso.end) {
      step(now);
    } else if (is_over || visits_all || end == End::reached || asks_outside(at)) {
      visit(context);
    } else {
      ++instruction;
      pages.take_away();
      step(now);
    }
  }

  void visit(ucontext_t& context) {
    const int error = errno;
    greg_t* const now = context.uc_mcontext.gregs;
    if (tsc_is_frozen) forbid(false);
    pages.give_back();
    const Walk::Next next = is_over ? Walk::Next::leave : walk->visit(instruction);
    if (next == Walk::Next::step) {
      if (end == End::reached) end = End::visited;
      ++instruction;
      step(now);
    } else {
      is_over = next == Walk::Next::leave;
      if (next == Walk::Next::finish && !has_run_on) keep(context);
      has_run_on = next == Walk::Next::finish;
      now[REG_EFL] &= ~kTrapFlag;
    }
    errno = error;
  }

  void step(greg_t* now) {
    has_run_on = false;
    now[REG_EFL] |= kTrapFlag;
    if (tsc_is_frozen) forbid(true);
  }

  void forbid(bool forbidden) {
    if (std::exchange(tsc_is_forbidden, forbidden) != forbidden) forbid_tsc(forbidden);
  }

  void keep(const ucontext_t& context) {
    const auto& machine = context.uc_mcontext;
    std::memcpy(registers, machine.gregs, sizeof registers);
    kept_end = end;
    floating_point.keep(machine.fpregs, floating_point_bytes(machine.fpregs));
    const auto low = static_cast<std::uintptr_t>(registers[REG_RSP]) - kRedZoneBytes;
    stack.keep(reinterpret_cast<const void*>(low), stack_top - low);
    keep_thread_locals(thread_locals);
  }

  /// What raised this trap is not returned to.
  void go_back(ucontext_t& context) {
    auto& machine = context.uc_mcontext;
    end = kept_end;
    std::memcpy(machine.gregs, registers, sizeof registers);
    floating_point.put_into(machine.fpregs);
    stack.put_back();
    thread_locals.put_back();
  }

  [[gnu::noinline]] void run_body() {
    stack_top = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) + 2 * sizeof(void*);
    set_trap_flag();
    walk->body();
    end = End::reached;
    clear_trap_flag();
    if (!has_run_on) return;
    walk->finished();
    ::raise(SIGTRAP);
    __builtin_unreachable();
  }
};

Trap Trap::trap;

bool can_step() noexcept {
  return true;
}

std::uint64_t Walk::run(Tsc tsc, Visits visits, const std::string& shared) {
  // A stack of its own: a visit needs more of it than the body may have left.
  alignas(16) static char stack[1 << 18];
  stack_t alternate{};
  alternate.ss_sp = stack;
  alternate.ss_size = sizeof stack;
  if (::sigaltstack(&alternate, nullptr) != 0) throw std::runtime_error("no stack for the handler");
  const Handler trap(SIGTRAP, Trap::on_trap);
  const Handler fault(SIGSEGV, Trap::on_fault);
  Trap::trap.walk = this;
  Trap::trap.is_over = false;
  Trap::trap.instruction = 0;
  Trap::trap.has_run_on = false;
  Trap::trap.visits_all = visits == Visits::all;
  Trap::trap.pages = Pages(shared);
  Trap::trap.end = Trap::End::not_yet;
  Trap::trap.frozen_tsc = __builtin_ia32_rdtsc();
  Trap::trap.tsc_is_frozen = tsc == Tsc::frozen;
  if (tsc == Tsc::frozen) Trap::trap.forbid(true);
  Trap::trap.run_body();
  Trap::trap.is_over = true;
  Trap::trap.pages.give_back();
  Trap::trap.forbid(false);
  return Trap::trap.instruction;
}

}  // namespace rl::test

#else

namespace rl::test {

bool can_step() noexcept {
  return false;
}
std::uint64_t Walk::run(Tsc, Visits, const std::string&) {
  throw std::runtime_error("stepping needs x86-64 without a sanitizer");
}

}  // namespace rl::test

#endif
