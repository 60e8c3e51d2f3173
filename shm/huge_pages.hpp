/// \file
/// Pages of 2 MiB where the kernel has them, for tables that are read at random: with pages of 4 KiB
/// it is the page table that is waited for, more than the line (bench/README.md).
///
/// They are asked for by madvise(MADV_COLLAPSE), of Linux 6.1, which makes one page of a range of a
/// tmpfs however transparent huge pages are set (but "deny"). Where that is not to be had, as before
/// 6.1 or where memory is too scattered, pages are small, and nothing else is different.
#pragma once

#include <cstddef>
#include <cstdint>

namespace rl::shm {

inline constexpr std::uint64_t kHugePageBytes = std::uint64_t{2} << 20;

/// Returns an address where so many bytes can be mapped so that huge pages fit, free a moment ago; null
/// when they are less than one. For MAP_FIXED_NOREPLACE: another thread may be faster.
void* place_for_huge_pages(std::size_t bytes) noexcept;

/// Reserves memory for an empty file of a tmpfs in huge pages, from the beginning, as far as they are to
/// be had; for the rest somebody else must. The file is as long as it is to be.
/// Progress: as long as the kernel takes to clear so many bytes.
void reserve_huge_pages(int fd, std::uint64_t bytes) noexcept;

/// Returns how many bytes of a mapping lie in huge pages. Reads a byte of each, and what the kernel says of
/// this process's mappings; 0 where it says nothing.
std::uint64_t bytes_in_huge_pages(const void* address, std::size_t bytes);

}  // namespace rl::shm
