#include "shm/huge_pages.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>

#include "shm/os.hpp"

namespace rl::shm {
namespace {

#ifdef MADV_COLLAPSE
constexpr int kCollapse = MADV_COLLAPSE;
#else
constexpr int kCollapse = 25;  // younger than some C libraries, in all kernels the same
#endif

constexpr std::uint64_t up_to_huge(std::uint64_t bytes) noexcept {
  return (bytes + kHugePageBytes - 1) & ~(kHugePageBytes - 1);
}

}  // namespace

void* place_for_huge_pages(std::size_t bytes) noexcept {
  if (bytes < kHugePageBytes || bytes > SIZE_MAX - kHugePageBytes) return nullptr;
  const std::size_t with_slack = bytes + kHugePageBytes;
  void* const all =
      ::mmap(nullptr, with_slack, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (all == MAP_FAILED) return nullptr;
  (void)::munmap(all, with_slack);
  return reinterpret_cast<void*>(up_to_huge(reinterpret_cast<std::uintptr_t>(all)));
}

void reserve_huge_pages(int fd, std::uint64_t bytes) noexcept {
  void* const place = place_for_huge_pages(bytes);
  if (place == nullptr) return;
  void* const mapped =
      ::mmap(place, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
  if (mapped == MAP_FAILED) return;
  // Where nothing is the kernel makes nothing, and of small pages it copies each: so there is one of these
  // in each of those. All are asked for at once, as each time it waits for all CPUs.
  constexpr std::uint64_t kSmallest = 4096;
  const std::uint64_t whole = bytes & ~(kHugePageBytes - 1);
  bool goes_on = true;
  for (std::uint64_t at = 0; goes_on && at < whole; at += kHugePageBytes)
    goes_on = reserve_part(fd, at, kSmallest) == 0;
  // "Try again" is said where a page was just being looked at.
  for (int tries = 0; goes_on && tries < 3; ++tries)
    goes_on = ::madvise(mapped, whole, kCollapse) != 0 && errno == EAGAIN;
  (void)::munmap(mapped, bytes);
}

std::uint64_t bytes_in_huge_pages(const void* address, std::size_t bytes) {
  const auto* const memory = static_cast<const volatile char*>(address);
  for (std::size_t at = 0; at < bytes; at += kHugePageBytes) (void)memory[at];

  // "7f…-7f… rw-s …" begins a mapping, and lines such as "ShmemPmdMapped:  2048 kB" follow.
  std::ifstream smaps("/proc/self/smaps");
  const auto begin = reinterpret_cast<std::uintptr_t>(address);
  std::uint64_t huge_kib = 0;
  bool is_ours = false;
  for (std::string line; std::getline(smaps, line);) {
    unsigned long from = 0;
    unsigned long to = 0;
    unsigned long kib = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
      if (from >= begin + bytes) break;
      is_ours = from >= begin && to <= begin + bytes + 4095;
    } else if (is_ours && (std::sscanf(line.c_str(), "ShmemPmdMapped: %lu kB", &kib) == 1 ||
                           std::sscanf(line.c_str(), "AnonHugePages: %lu kB", &kib) == 1)) {
      huge_kib += kib;
    }
  }
  return huge_kib << 10;
}

}  // namespace rl::shm
