#include "shm/participant.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <cerrno>
#include <new>

namespace rl::shm {
namespace {

/// A lock of the kernel on one byte of the file, which nobody reads or writes for it.
struct flock byte_lock(std::uint64_t offset, short type) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = static_cast<off_t>(offset);
  lock.l_len = 1;
  return lock;
}

struct flock seat_lock(const Mapping& mapping, std::uint32_t seat, short type) noexcept {
  return byte_lock(mapping.geometry().seats_offset + std::uint64_t{seat} * sizeof(Seat), type);
}

struct flock copy_lock(short type) noexcept {
  return byte_lock(offsetof(Header, retired), type);
}

struct flock reaper_lock(short type) noexcept {
  return byte_lock(offsetof(Header, reaping), type);
}

}  // namespace

Participant::Participant(const Mapping& mapping, Fd file) : mapping_(mapping) {
  auto* const left_to_us = new Holder{};
  // relaxed, both: nobody else sees the participant yet.
  left_to_us->fd.store(file.release(), std::memory_order_relaxed);
  holder_.store(left_to_us, std::memory_order_relaxed);
}

Participant::~Participant() {
  for (Holder* h = holder_.load(std::memory_order_relaxed);
       h != nullptr;) {  // no other user is left
    close_file(*h);
    delete std::exchange(h, h->previous);
  }
}

/// Closes a holder's descriptor, once, and only if its number still is what we opened. Closing, not
/// unlocking: the lock belongs to the open file, which a parent or child may share.
void Participant::close_file(Holder& holder) const noexcept {
  const int fd = holder.fd.exchange(-1, std::memory_order_acq_rel);  // one thread gets to close it
  if (mapping_.is_shown_by(fd)) ::close(fd);
  // Not before: a child that is forked in between must not share the lock.
  if (fd >= 0) forget_for_forks(holder.fork_file);
}

Participant::Holder& Participant::holder() noexcept {
  static constinit Holder nobody{};
  Holder* seen =
      holder_.load(std::memory_order_acquire);  // pairs with the CAS below: the holder's fields
  const std::uint64_t self = process_token();
  while (seen == nullptr || seen->process != self) {
    auto* const mine = new (std::nothrow) Holder{};
    if (mine == nullptr) return nobody;
    take_seat(*mine, seen);
    mine->process = self;
    mine->previous = seen;
    if (holder_.compare_exchange_strong(seen, mine, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
      return *mine;
    }
    close_file(*mine);  // another thread of this process was faster; seen is its
    delete mine;
  }
  return *seen;
}

void Participant::take_seat(Holder& holder, Holder* inherited) const noexcept {
  // One thread of a child gets the inherited descriptor, and no number is looked at twice: once
  // closed, the kernel gives it to the next who opens something.
  const int known =
      inherited != nullptr ? inherited->fd.exchange(-1, std::memory_order_acq_rel) : -1;
  Fd fd = mapping_.reopen(path_, known);
  if (known >= 0 && known != fd.get() && mapping_.is_shown_by(known)) ::close(known);
  if (known >= 0) forget_for_forks(inherited->fork_file);
  if (fd) holder.fork_file = note_for_forks(fd.get(), mapping_.device(), mapping_.inode());
  const std::uint32_t capacity = mapping_.geometry().seat_capacity;
  const std::uint32_t pid = holder.pid = static_cast<std::uint32_t>(::getpid());
  for (std::uint32_t i = 0; fd && i < capacity; ++i) {
    const std::uint32_t seat = (pid + i) % capacity;
    struct flock lock = seat_lock(mapping_, seat, F_WRLCK);
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) continue;
    Seat& entry = mapping_.seats()[seat];
    // relaxed: that it goes up under the lock is all that is asked of it.
    holder.generation = entry.generation.fetch_add(1, std::memory_order_relaxed) + 1;
    entry.pid.store(pid, std::memory_order_relaxed);
    entry.since_unix_ns.store(read_unix_ns(), std::memory_order_relaxed);
    holder.seat = seat;
    break;
  }
  if (holder.seat == kAnonymous)
    mapping_.header().health.anonymous.fetch_add(1, std::memory_order_relaxed);
  holder.fd.store(fd.release(), std::memory_order_release);
}

bool Participant::renew() noexcept {
  Holder* seen = &holder();
  if (mapping_.is_shown_by(seen->fd.load(std::memory_order_acquire))) return false;
  auto* const mine = new (std::nothrow) Holder{};
  if (mine == nullptr) return false;
  take_seat(*mine, nullptr);
  mine->process = process_token();
  mine->previous = seen;
  const bool has_file =
      mine->fd.load(std::memory_order_relaxed) >= 0;  // without, the old one is as good
  if (!has_file || !holder_.compare_exchange_strong(seen, mine, std::memory_order_acq_rel,
                                                    std::memory_order_acquire)) {
    close_file(*mine);
    delete mine;
    return false;
  }
  return true;
}

std::uint32_t Participant::pid() const noexcept {
  const Holder* const seen = holder_.load(std::memory_order_acquire);  // as in holder()
  const bool is_known = seen != nullptr && seen->process == process_token();
  return is_known ? seen->pid : static_cast<std::uint32_t>(::getpid());
}

std::optional<Sitter> Participant::sitter() noexcept {
  const Holder& h = holder();
  if (h.seat == kAnonymous) return std::nullopt;
  return Sitter{h.seat, h.generation};
}

std::uint64_t Participant::nonce() noexcept {
  constexpr std::uint64_t kNonce = std::uint64_t{1} << 63;  // no debt has it (token_bucket.hpp)
  constexpr std::uint64_t kRandom = std::uint64_t{1} << 62;
  const Holder& h = holder();
  if (h.seat != kAnonymous) {
    // relaxed: that no two adds return the same is all that is asked of it.
    const std::uint64_t count =
        mapping_.seats()[h.seat].nonce.fetch_add(1, std::memory_order_relaxed);
    return kNonce | std::uint64_t{h.seat + 1} << 48 | ((count + 1) & kIdentityMask);
  }
  std::uint64_t bits = 0;
  if (::getrandom(&bits, sizeof bits, GRND_NONBLOCK) != sizeof bits) {
    // No kernel to ask (a sandbox): hash what no other draw of any process has.
    static constinit std::atomic<std::uint64_t> draws{0};
    const std::uint64_t facts[] = {process_token(), draws.fetch_add(1, std::memory_order_relaxed),
                                   read_boottime_ns(), static_cast<std::uint64_t>(::getpid())};
    bits = Hasher(mapping_.constants().secret)(facts, sizeof facts).low;
  }
  return kNonce | kRandom | bits;
}

Participant::CopyLock::CopyLock(Participant& participant) noexcept : fd_(participant.file()) {
  // A daemon that closed all it had may have opened another file under this number since.
  if (!participant.mapping_.is_shown_by(fd_)) fd_ = -1;
  struct flock lock = copy_lock(F_WRLCK);
  // Without a file there is nothing to agree on: then several copy, and one of them gets the name.
  held_ = fd_ < 0 || ::fcntl(fd_, F_OFD_SETLK, &lock) == 0 || (errno != EAGAIN && errno != EACCES);
}

Participant::CopyLock::~CopyLock() {
  struct flock lock = copy_lock(F_UNLCK);
  if (held_ && fd_ >= 0) ::fcntl(fd_, F_OFD_SETLK, &lock);
}

namespace {

/// Asked on a description that has no lock itself: a lock does not conflict with its own. A read
/// lock is asked for, as readers of the file may hold those without being meant. Nothing is known
/// when the kernel does not tell.
std::optional<bool> is_locked(const Fd& fd, struct flock lock) noexcept {
  lock.l_type = F_RDLCK;
  if (::fcntl(fd.get(), F_OFD_GETLK, &lock) != 0) return std::nullopt;
  return lock.l_type != F_UNLCK;
}
std::optional<bool> is_seat_locked(const Mapping& mapping, const Fd& fd,
                                   std::uint32_t seat) noexcept {
  return is_locked(fd, seat_lock(mapping, seat, F_RDLCK));
}

}  // namespace

ReaperLock::ReaperLock(const Mapping& mapping, const std::string& path) noexcept
    : mapping_(mapping) {
  Fd file = mapping.reopen(path, -1);
  struct flock lock = reaper_lock(F_WRLCK);
  if (!file || ::fcntl(file.get(), F_OFD_SETLK, &lock) != 0) return;
  fork_file_ = note_for_forks(file.get(), mapping.device(), mapping.inode());
  process_ = process_token();
  fd_ = file.release();
}

/// Closes only what still is what we opened, as a seat's does.
ReaperLock::~ReaperLock() {
  if (mapping_.is_shown_by(fd_)) ::close(fd_);
  if (fd_ >= 0) forget_for_forks(fork_file_);
}

bool ReaperLock::is_held(const Mapping& mapping, const std::string& path) noexcept {
  const Fd file = mapping.reopen(path, -1);
  return file && is_locked(file, reaper_lock(F_RDLCK)).value_or(false);
}

std::uint32_t Participant::count_attached(const Mapping& mapping,
                                          const std::string& path) noexcept {
  const Fd fd = mapping.reopen(path, -1);
  std::uint32_t held = 0;
  for (std::uint32_t seat = 0; fd && seat < mapping.geometry().seat_capacity; ++seat) {
    if (mapping.seats()[seat].generation.load(std::memory_order_relaxed) == 0) continue;
    if (is_seat_locked(mapping, fd, seat).value_or(false)) ++held;
  }
  return held;
}

bool Participant::has_successor(const Sitter& sitter) const noexcept {
  if (sitter.seat >= mapping_.geometry().seat_capacity) return false;
  // relaxed: the caller has read what the sitter wrote, with acquire, and the generation went up
  // before that; a still newer one is what is asked for.
  const std::uint64_t now =
      mapping_.seats()[sitter.seat].generation.load(std::memory_order_relaxed);
  return static_cast<std::uint8_t>(now) != static_cast<std::uint8_t>(sitter.generation);
}

bool Liveness::is_alive(const Sitter& sitter) noexcept {
  if (sitter.seat >= participant_.mapping_.geometry().seat_capacity) return true;
  return !participant_.has_successor(sitter) && may_be_locked(sitter.seat);
}

bool Liveness::may_be_locked(std::uint32_t seat) noexcept {
  std::uint64_t& lived = lived_[seat / 64];
  const std::uint64_t bit = std::uint64_t{1} << seat % 64;
  if ((lived & bit) != 0) return true;
  // Who only reads takes no seat, and has no descriptor that stands for it.
  const int known = participant_.mapping_.writable() ? participant_.file() : -1;
  if (!opened_) file_ = participant_.mapping_.reopen(participant_.path_, known);
  opened_ = true;
  if (file_ && !is_seat_locked(participant_.mapping_, file_, seat).value_or(true)) return false;
  lived |= bit;
  return true;
}

}  // namespace rl::shm
