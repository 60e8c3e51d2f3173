#include "tests/stepping/trap_flag.hpp"

#include <link.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <ucontext.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
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
  std::uint64_t frozen_tsc = 0;
  std::uintptr_t stack_top = 0;  ///< above all that the body may change
  bool has_run_on = false;       ///< from an instruction to the end, and is to go back

  Vdso vdso;
  gregset_t registers{};
  Kept floating_point;
  Kept stack;
  Kept thread_locals;

  static Trap trap;

  static void on_trap(int, siginfo_t*, void* context) {
    if (trap.has_run_on) trap.go_back(*static_cast<ucontext_t*>(context));
    trap.visit(*static_cast<ucontext_t*>(context));
  }

  /// Does what RDTSC or RDTSCP would have done; the next instruction is visited like any other.
  static void on_fault(int, siginfo_t*, void* context) {
    greg_t* const registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
    const auto* const code = reinterpret_cast<const unsigned char*>(registers[REG_RIP]);
    const bool is_rdtsc = code[0] == 0x0f && code[1] == 0x31;
    const bool is_rdtscp = code[0] == 0x0f && code[1] == 0x01 && code[2] == 0xf9;
    if (!trap.tsc_is_frozen || (!is_rdtsc && !is_rdtscp)) {
      ::signal(SIGSEGV, SIG_DFL);  // somebody else's: it comes again, and ends us
      return;
    }
    registers[REG_RAX] = static_cast<greg_t>(trap.frozen_tsc & 0xffff'ffffU);
    registers[REG_RDX] = static_cast<greg_t>(trap.frozen_tsc >> 32);
    if (is_rdtscp) registers[REG_RCX] = 0;
    registers[REG_RIP] += is_rdtsc ? 2 : 3;
    trap.visit(*static_cast<ucontext_t*>(context));
  }

  void visit(ucontext_t& context) {
    const int error = errno;
    greg_t* const now = context.uc_mcontext.gregs;
    const auto at = static_cast<std::uintptr_t>(now[REG_RIP]);
    if (!is_over && at >= vdso.begin && at < vdso.end) {
      now[REG_EFL] |= kTrapFlag;
      if (tsc_is_frozen) forbid_tsc(true);
      return;
    }
    if (tsc_is_frozen) forbid_tsc(false);
    const Walk::Next next = is_over ? Walk::Next::leave : walk->visit(instruction);
    if (next == Walk::Next::step) {
      ++instruction;
      has_run_on = false;
      now[REG_EFL] |= kTrapFlag;
      if (tsc_is_frozen) forbid_tsc(true);
    } else {
      is_over = next == Walk::Next::leave;
      if (next == Walk::Next::finish && !has_run_on) keep(context);
      has_run_on = next == Walk::Next::finish;
      now[REG_EFL] &= ~kTrapFlag;
    }
    errno = error;
  }

  void keep(const ucontext_t& context) {
    const auto& machine = context.uc_mcontext;
    std::memcpy(registers, machine.gregs, sizeof registers);
    floating_point.keep(machine.fpregs, floating_point_bytes(machine.fpregs));
    const auto low = static_cast<std::uintptr_t>(registers[REG_RSP]) - kRedZoneBytes;
    stack.keep(reinterpret_cast<const void*>(low), stack_top - low);
    keep_thread_locals(thread_locals);
  }

  /// What raised this trap is not returned to.
  void go_back(ucontext_t& context) const {
    auto& machine = context.uc_mcontext;
    std::memcpy(machine.gregs, registers, sizeof registers);
    floating_point.put_into(machine.fpregs);
    stack.put_back();
    thread_locals.put_back();
  }

  [[gnu::noinline]] void run_body() {
    stack_top = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0)) + 2 * sizeof(void*);
    set_trap_flag();
    walk->body();
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

std::uint64_t Walk::run(Tsc tsc) {
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
  Trap::trap.frozen_tsc = __builtin_ia32_rdtsc();
  Trap::trap.tsc_is_frozen = tsc == Tsc::frozen;
  if (tsc == Tsc::frozen) forbid_tsc(true);
  Trap::trap.run_body();
  Trap::trap.is_over = true;
  forbid_tsc(false);
  return Trap::trap.instruction;
}

}  // namespace rl::test

#else

namespace rl::test {

bool can_step() noexcept {
  return false;
}
std::uint64_t Walk::run(Tsc) {
  throw std::runtime_error("stepping needs x86-64 without a sanitizer");
}

}  // namespace rl::test

#endif
