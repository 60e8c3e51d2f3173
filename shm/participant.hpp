/// \file
/// The seats: who is attached, and the nonces that inserts need.
///
/// A seat is held by a lock of the kernel (OFD, one byte of the file) on a description of its own.
/// It ends with the process, however it ends, and a process id that comes back or lives in another
/// namespace means nothing to it. A forked child closes the inherited description at its first call
/// and takes a seat of its own; it never unlocks it, which would unlock the parent's. (A child that
/// neither calls nor executes another program keeps the seat of a parent that died.)
///
/// Nonces come from a counter IN the seat, fetched and added there and never set back, so that
/// neither a fork nor a successor on the same seat repeats one: (seat + 1) << 48 | counter, with the
/// top bit set. A process that finds no free seat is anonymous and draws them at random, with the
/// two top bits set. The top bit keeps nonces apart from the states of members: a torn reading that
/// joins a tentative's tag and a member's state must equal no tentative to come.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "shm/mapping.hpp"

namespace rl::shm {

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
  Participant(const Participant&) = delete;
  Participant& operator=(const Participant&) = delete;
  ~Participant();

  /// Makes sure that this process, and not its parent, has the seat.
  void attend() noexcept { (void)holder(); }

  /// Takes a seat anew if the descriptor is gone: a daemon that closed all it had.
  void renew() noexcept;

  /// Returns a number never returned before to anybody, and not 0.
  [[nodiscard]] std::uint64_t nonce() noexcept;

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
    std::uint32_t seat = kAnonymous;
    Holder* previous = nullptr;  ///< the parent's; kept while another thread may still read it
  };

  Holder& holder() noexcept;
  void take_seat(Holder& holder, Holder* inherited) const noexcept;
  void close_file(Holder& holder) const noexcept;

  const Mapping& mapping_;
  std::string path_;
  std::atomic<Holder*> holder_{nullptr};
};

}  // namespace rl::shm
