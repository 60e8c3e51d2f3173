#include "shm/participant.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <new>

namespace rl::shm {
namespace {

off_t lock_offset(const Mapping& mapping, std::uint32_t seat) noexcept {
  return static_cast<off_t>(mapping.geometry().seats_offset + std::uint64_t{seat} * sizeof(Seat));
}

struct flock lock_of(const Mapping& mapping, std::uint32_t seat, short type) noexcept {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = lock_offset(mapping, seat);
  lock.l_len = 1;
  return lock;
}

}  // namespace

Participant::~Participant() {
  const std::uint64_t self = process_token();
  for (Holder* h = holder_.load(std::memory_order_relaxed);
       h != nullptr;) {  // no other user is left
    if (h->fd >= 0 && (h->process == self || h->previous == nullptr) &&
        mapping_.is_shown_by(h->fd)) {
      ::close(h->fd);  // closing, not unlocking: a parent's lock stays
    }
    delete std::exchange(h, h->previous);
  }
}

const Participant::Holder& Participant::holder() noexcept {
  static const Holder kNobody{};
  Holder* seen =
      holder_.load(std::memory_order_acquire);  // pairs with the CAS below: the holder's fields
  const std::uint64_t self = process_token();
  while (seen == nullptr || seen->process != self) {
    auto* const mine = new (std::nothrow) Holder(take_seat(seen));
    if (mine == nullptr) return kNobody;
    mine->process = self;
    mine->previous = seen;
    Holder* const inherited = seen;
    if (holder_.compare_exchange_strong(seen, mine, std::memory_order_acq_rel,
                                        std::memory_order_acquire)) {
      if (inherited != nullptr && mapping_.is_shown_by(inherited->fd)) {
        ::close(std::exchange(inherited->fd, -1));
      }
      return *mine;
    }
    if (mine->fd >= 0) ::close(mine->fd);  // another thread of this process was faster; seen is its
    delete mine;
  }
  return *seen;
}

Participant::Holder Participant::take_seat(const Holder* inherited) const noexcept {
  Holder holder;
  Fd fd = mapping_.reopen(path_, inherited != nullptr ? inherited->fd : -1);
  const std::uint32_t capacity = mapping_.geometry().seat_capacity;
  const auto pid = static_cast<std::uint32_t>(::getpid());
  for (std::uint32_t i = 0; fd && i < capacity; ++i) {
    const std::uint32_t seat = (pid + i) % capacity;
    struct flock lock = lock_of(mapping_, seat, F_WRLCK);
    if (::fcntl(fd.get(), F_OFD_SETLK, &lock) != 0) continue;
    Seat& entry = mapping_.seats()[seat];
    // acq_rel: whoever reads the new generation sees nothing of the last holder's turn after it.
    entry.generation.fetch_add(1, std::memory_order_acq_rel);
    entry.pid.store(pid, std::memory_order_relaxed);
    entry.since_unix_ns.store(read_unix_ns(), std::memory_order_relaxed);
    holder.seat = seat;
    break;
  }
  if (holder.seat == kAnonymous)
    mapping_.header().health.anonymous.fetch_add(1, std::memory_order_relaxed);
  holder.fd = fd.release();
  return holder;
}

std::uint64_t Participant::nonce() noexcept {
  constexpr std::uint64_t kRandom = std::uint64_t{1} << 63;
  const Holder& h = holder();
  if (h.seat != kAnonymous) {
    // relaxed: that no two adds return the same is all that is asked of it.
    const std::uint64_t count =
        mapping_.seats()[h.seat].nonce.fetch_add(1, std::memory_order_relaxed);
    return std::uint64_t{h.seat + 1} << 48 | ((count + 1) & kIdentityMask);
  }
  std::uint64_t bits = 0;
  while (::getrandom(&bits, sizeof bits, 0) != sizeof bits) {
    // Only a signal can interrupt 8 bytes of an initialised pool.
  }
  return bits | kRandom;
}

std::uint32_t Participant::count_attached(const Mapping& mapping,
                                          const std::string& path) noexcept {
  const Fd fd = mapping.reopen(path, -1);
  std::uint32_t held = 0;
  for (std::uint32_t seat = 0; fd && seat < mapping.geometry().seat_capacity; ++seat) {
    if (mapping.seats()[seat].generation.load(std::memory_order_relaxed) == 0) continue;
    struct flock lock = lock_of(mapping, seat, F_RDLCK);
    if (::fcntl(fd.get(), F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK) ++held;
  }
  return held;
}

}  // namespace rl::shm
