/// \file
/// The seats: who is attached, and the nonces that inserts need.
///
/// A seat is held by a lock of the kernel (OFD, one byte of the file) on a description of its own.
/// It ends with the process, however it ends, and a process id that comes back or lives in another
/// namespace means nothing to it. A forked child gets a description without the lock before fork()
/// returns (shm/fork_files.hpp, which names the few that do not), so it keeps no dead parent's
/// seat; at its first call it closes that one and takes a seat of its own. It never unlocks what it
/// inherited, which would unlock the parent's.
///
/// Nonces come from a counter IN the seat, fetched and added there and never set back, so that
/// neither a fork nor a successor on the same seat repeats one: (seat + 1) << 48 | counter, with
/// the top bit set. A process that finds no free seat is anonymous and draws them at random, with
/// the two top bits set. The top bit keeps nonces apart from the states of members: a torn reading
/// that joins a tentative's tag and a member's state must equal no tentative to come.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <optional>
#include <string>

#include "shm/fork_files.hpp"
#include "shm/mapping.hpp"

namespace rl::shm {

/// Who sits on a seat: the seat, and which of its holders.
struct Sitter {
  std::uint32_t seat;
  std::uint64_t generation;
  friend bool operator==(const Sitter&, const Sitter&) = default;
};

/// This process's part in a segment, through forks.
///
/// Progress: a call that finds the seat taken is one load; the first in a process makes up to
/// 1,024 system calls. Threads and processes: any; threads that take a seat at once keep one of
/// them.
class Participant {
 public:
  /// `mapping` must be writable and outlive the participant.
  Participant(const Mapping& mapping, std::string path) noexcept
      : mapping_(mapping), path_(std::move(path)) {}
  /// For a segment without a name: its file is `file`, as if a parent had left it to us.
  Participant(const Mapping& mapping, Fd file);
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;
  ~Participant();

  /// Makes sure that this process, and not its parent, has the seat.
  void attend() noexcept { (void)holder(); }

  /// Takes a seat anew if the descriptor is gone: a daemon that closed all it had. Returns whether
  /// it did.
  bool renew() noexcept;

  /// Returns a number never returned before to anybody, and not 0.
  [[nodiscard]] std::uint64_t nonce() noexcept;

  /// Returns where this process sits; nothing when it found no seat.
  [[nodiscard]] std::optional<Sitter> sitter() noexcept;

  /// Returns the same number as long as this process sits where it does, for who wants to spread
  /// processes: a load.
  [[nodiscard]] std::uint32_t seat() const noexcept {
    const Holder* const seen = holder_.load(std::memory_order_acquire);  // as in holder()
    return seen != nullptr && seen->seat != kAnonymous ? seen->seat : 0;
  }

  /// Returns the id of this process. Progress: no system call once it has looked for a seat.
  [[nodiscard]] std::uint32_t pid() const noexcept;

  /// Whether another process has had the seat since: a load, and no system call. Only the low 8
  /// bits of the generation count, as a permit has no more. False for a seat that there is not.
  [[nodiscard]] bool has_successor(const Sitter& sitter) const noexcept;

  /// Returns a descriptor of the segment's file, or -1.
  [[nodiscard]] int file() noexcept { return holder().fd.load(std::memory_order_acquire); }

  /// Gives the seat up and closes the file, for a segment that was left.
  void leave() noexcept { close_file(holder()); }

  /// The right to copy the segment: a lock of the kernel on a byte of its file, tried once.
  class CopyLock {
   public:
    explicit CopyLock(Participant& participant) noexcept;
    CopyLock(const CopyLock&) = delete;
    CopyLock& operator=(const CopyLock&) = delete;
    ~CopyLock();
    [[nodiscard]] explicit operator bool() const noexcept { return held_; }

   private:
    int fd_;
    bool held_;
  };

  /// Counts the seats that are held, this process's included.
  static std::uint32_t count_attached(const Mapping& mapping, const std::string& path) noexcept;

 private:
  static constexpr std::uint32_t kAnonymous = ~std::uint32_t{0};
  struct Holder {
    std::uint64_t process = 0;  ///< whose: see process_token
    std::atomic<int> fd{-1};
    std::uint32_t pid = 0;
    std::uint32_t seat = kAnonymous;
    std::uint64_t generation = 0;
    ForkFile fork_file = kNotNoted;
    Holder* previous = nullptr;  ///< the parent's; kept while another thread may still read it
  };

  Holder& holder() noexcept;
  void take_seat(Holder& holder, Holder* inherited) const noexcept;
  void close_file(Holder& holder) const noexcept;

  friend class Liveness;

  const Mapping& mapping_;
  std::string path_;
  std::atomic<Holder*> holder_{nullptr};
};

/// The right to lead the reapers of a segment: a lock of the kernel on a byte of its file, through a
/// description of its own. It ends with its object, and with its process, however that ends: a
/// forked child has none (but for the few that shm/fork_files.hpp names).
class ReaperLock {
 public:
  /// Tries once. `mapping` must outlive the lock.
  ReaperLock(const Mapping& mapping, const std::string& path) noexcept;
  ReaperLock(const ReaperLock&) = delete;
  ReaperLock& operator=(const ReaperLock&) = delete;
  ~ReaperLock();
  /// Whether this process has it: not its parent, and not one that closed all its descriptors.
  [[nodiscard]] bool is_ours() const noexcept {
    return process_ == process_token() && mapping_.is_shown_by(fd_);
  }

  /// Whether anybody has it.
  static bool is_held(const Mapping& mapping, const std::string& path) noexcept;

 private:
  const Mapping& mapping_;
  std::uint64_t process_ = 0;
  int fd_ = -1;  ///< -1: another has it
  ForkFile fork_file_ = kNotNoted;
};

/// Says who of those that sat on seats has died. For one scan: whoever lived when it was asked
/// lives to the end of it. (The dead are not remembered: their seat may go to a living one
/// meanwhile.)
///
/// Progress: one load where the seat has had another holder since; else a few system calls for the
/// first seat that is asked about, and one for each other. Threads: one at a time.
class Liveness {
 public:
  explicit Liveness(Participant& participant) noexcept : participant_(participant) {}

  /// Whether the process that had this seat still lives. Who cannot be asked about lives: where the
  /// segment's file cannot be opened, or for a seat that there is not.
  /// Accuracy: a holder that closed all its descriptors is taken for dead, as its lock is gone; one
  /// that died is taken for alive while a successor with the same 8 bits sits there, or for the
  /// instant in which a successor has the lock but has not yet raised the generation.
  [[nodiscard]] bool is_alive(const Sitter& sitter) noexcept;

 private:
  [[nodiscard]] bool may_be_locked(std::uint32_t seat) noexcept;

  Participant& participant_;
  Fd file_;
  bool opened_ = false;
  std::array<std::uint64_t, kSeatsMax / 64> lived_{};  ///< a bit for each seat
};

}  // namespace rl::shm
