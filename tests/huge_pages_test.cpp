// Pages of 2 MiB: asked for, seen, and done without.
#include "shm/huge_pages.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include <rl/segment.hpp>

#include "shm/mapping.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::uint64_t kKeys = 200'000;  // some 24 MB

/// Whether this kernel gives huge pages of a tmpfs to who asks: Linux 6.1, unless they are forbidden.
bool kernel_has_them() {
  const shm::Fd file(::memfd_create("test", MFD_CLOEXEC));
  constexpr std::uint64_t kBytes = shm::kHugePageBytes;
  REQUIRE(::ftruncate(file.get(), kBytes) == 0);
  shm::reserve_huge_pages(file.get(), kBytes);
  struct stat st {};
  REQUIRE(::fstat(file.get(), &st) == 0);
  return static_cast<std::uint64_t>(st.st_blocks) * 512 == kBytes;
}

TEST_CASE("a_segment_lies_in_huge_pages_where_the_kernel_has_them") {
  test::Scratch segment({.keys = kKeys});
  const SegmentInfo info = segment->info();
  if (!kernel_has_them()) {
    CHECK(info.huge_bytes == 0);
    return;
  }
  // All but what is left of the last one.
  CHECK(info.huge_bytes == info.bytes / shm::kHugePageBytes * shm::kHugePageBytes);

  SUBCASE("for who attaches, too") {
    CHECK(Segment::open(segment.name()).info().huge_bytes == info.huge_bytes);
    CHECK(Segment::open_read_only(segment.name()).info().huge_bytes == info.huge_bytes);
  }
}

TEST_CASE("a_segment_lies_in_small_pages_on_request") {
  test::Scratch segment({.keys = kKeys, .huge_pages = HugePages::never});
  CHECK(segment->info().huge_bytes == 0);
}

TEST_CASE("all_memory_is_reserved_whatever_the_pages") {
  for (const HugePages pages : {HugePages::automatic, HugePages::never}) {
    test::Scratch segment({.keys = kKeys, .huge_pages = pages});
    struct stat st {};
    REQUIRE(::stat(segment.path().c_str(), &st) == 0);
    CHECK(static_cast<std::uint64_t>(st.st_size) == segment->info().bytes);
    CHECK(st.st_blocks * 512 >= st.st_size);
  }
}

TEST_CASE("what_is_smaller_than_a_huge_page_is_not_placed_for_one") {
  CHECK(shm::place_for_huge_pages(shm::kHugePageBytes - 1) == nullptr);
  CHECK(shm::place_for_huge_pages(SIZE_MAX) == nullptr);
  const auto place = reinterpret_cast<std::uintptr_t>(shm::place_for_huge_pages(16 << 20));
  CHECK(place != 0);
  CHECK(place % shm::kHugePageBytes == 0);
}

TEST_CASE("huge_pages_are_not_to_be_had_in_a_file_that_is_none_of_a_tmpfs") {
  const shm::Fd file = shm::open_file("/dev/null", O_RDWR);
  shm::reserve_huge_pages(file.get(), 16 << 20);  // and nothing happens
  CHECK(shm::bytes_in_huge_pages("a page of this program", 1) == 0);
}

}  // namespace
}  // namespace rl
