/// \file
/// A process that is followed from call to call and from store to store.
///
/// What a process does to the world is done by its system calls and by its stores to memory that
/// others map. Whoever stops or ends it before each of them, and after the last, has seen every
/// state that a signal at ANY of its instructions can leave behind. `Traced` forks a child and
/// follows it (ptrace) between two marks that the child sets: it stands still before and after each
/// call, and before each store to a shared file. There it can be looked at, killed, left standing
/// for as long as others need, or told that the call failed.
///
/// Stores are found by write protection: the child's shared mappings of files are made read-only,
/// the fault of the store is the stop, and the mapping is opened for this one instruction.
///
/// The child's code is the production code, untouched. x86-64 Linux only.
#pragma once

#include <sys/types.h>
#include <sys/user.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace rl::test {

/// Where a traced process stands.
struct Point {
  enum Kind {
    entry,  ///< before a system call
    exit,   ///< after it
    store,  ///< before a store to a shared file
  } kind;
  long number;  ///< of the call
  std::uint64_t arguments[6];
  std::int64_t result;    ///< at exit
  std::uint64_t address;  ///< of the store
};

/// A forked process under ptrace. Killed and waited for at the end of the scope.
class Traced {
 public:
  enum class Watch { calls, calls_and_stores };

  /// Whether this machine lets a process trace its child; tells why not on false.
  static bool is_possible();

  /// Forks a child that runs `body`, and follows it to its first mark. `directory` is where the
  /// files lie whose mappings are watched.
  Traced(const std::function<void()>& body, const std::string& directory, Watch watch);
  Traced(const Traced&) = delete;
  Traced& operator=(const Traced&) = delete;
  ~Traced();

  /// The child calls these around what is to be followed.
  static void begin() noexcept;
  static void end() noexcept;

  /// Lets the child go on to its next point; nothing when it has passed the second mark, or ended.
  std::optional<Point> next();

  /// At an entry: the call is not made, and returns -error.
  void fail(int error);
  /// At an entry: the call is made, and its result replaced. What the kernel does when close fails.
  void fail_after(int error);
  /// At an entry: the call gets another value for its argument.
  void set_argument(int index, std::uint64_t value);

  /// Ends the child where it stands, and waits for it.
  void kill();
  /// Lets the child go on to its end, unwatched from the second mark on. Returns its exit code, or
  /// 128 + the signal that ended it.
  int finish();

  /// Says what an entry asks for, with the file's name where there is one: "fcntl /dev/shm/x".
  [[nodiscard]] std::string describe(const Point& at) const;
  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  struct Range {
    std::uint64_t begin;
    std::uint64_t end;
  };

  int wait();
  int go_on();
  bool on_call(Point& at);
  void at_entry();
  void at_exit();
  bool is_at_store(std::uint64_t& address);
  void pass_store();
  void protect_shared_files();
  void protect(const Range& range, int protection);
  [[nodiscard]] user_regs_struct registers() const;
  void set_registers(const user_regs_struct& registers) const;
  [[nodiscard]] std::string text_at(std::uint64_t address) const;
  [[nodiscard]] std::string file_of(std::uint64_t fd) const;

  pid_t pid_ = -1;
  std::string directory_;
  Watch watch_;
  bool in_call_ = false;
  bool marked_ = false;  ///< between the marks
  bool passed_end_ = false;
  std::optional<Range> stored_to_;      ///< the child stands before a store
  int signal_ = 0;                      ///< to be delivered when the child goes on
  int status_ = 0;                      ///< how it ended
  std::optional<std::int64_t> result_;  ///< to be put in the place of the call's
  bool new_range_ = false;              ///< the call is an mmap whose result is to be watched
  std::uint64_t call_address_ = 0;      ///< of a syscall instruction in the child
  user_regs_struct entered_{};
  std::vector<Range> ranges_;
};

}  // namespace rl::test
