// Too little room: a tmpfs that is full, or just large enough, or has no inodes, or is read-only. A
// tmpfs of the test's own is mounted where nobody else sees it. A page that was not reserved would
// end the child with SIGBUS, so its exit code tells.

#include <fcntl.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "shm/mapping.hpp"
#include "tests/world/world.hpp"

namespace rl::test {
namespace {

/// Takes what room is left, to the last page.
void fill(const std::string& folder) {
  const int file = ::open((folder + "/filler").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
  must(file >= 0, "the filler is made");
  const std::string page(4'096, 'x');
  while (::write(file, page.data(), page.size()) > 0) {  // ends: the tmpfs is finite
  }
  ::close(file);
  must(free_bytes(folder) == 0, "the tmpfs is full");
}

/// Writes every page of a segment behind the library's back, each word of it with what it was.
void touch_every_page(const std::string& path) {
  const shm::Mapping mapping = shm::Mapping::attach(path, shm::Access::read_write, false);
  auto* const bytes = reinterpret_cast<char*>(&mapping.header());
  for (std::uint64_t at = 0; at < mapping.geometry().total_bytes; at += 4'096) {
    auto* const word = reinterpret_cast<std::atomic<std::uint64_t>*>(bytes + at);
    word->fetch_add(0, std::memory_order_relaxed);  // a write, also of nothing
  }
}

TEST_CASE("a_create_that_does_not_fit_says_both_sizes_leaves_nothing_and_takes_nothing_meanwhile") {
  CHECK(is_well(on_tmpfs("size=1m", [](const std::string& folder) {
    const std::string path = folder + "/limits";
    const std::uint64_t before = free_bytes(folder);
    // The room of others is not taken while an attempt is made that must fail.
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> least{before};
    std::thread watcher([&] {
      while (!stop) least = std::min(least.load(), free_bytes(folder));
    });
    for (int tries = 0; tries < 100; ++tries) {
      const std::string sentence = refused(Errc::no_space, [&] { (void)Segment::create(path); });
      must(contains(sentence, "needs 8.5 MiB (") && contains(sentence, "has 1.0 MiB free"),
           sentence);
    }
    stop = true;
    watcher.join();
    must(least == before, "no room was taken meanwhile");
    must(std::filesystem::is_empty(folder), "nothing is left");
  })));
}

TEST_CASE("a_segment_that_just_fits_may_be_written_to_its_last_page_on_a_tmpfs_that_is_full") {
  constexpr std::uint64_t kKeys = 5'000;
  const std::uint64_t bytes = shm::geometry_for(kKeys, 1'024, shm::kSeatsMax, true).total_bytes;
  CHECK(is_well(on_tmpfs("size=" + std::to_string(bytes - 4'096), [](const std::string& folder) {
    refused(Errc::no_space, [&] { (void)Segment::create(folder + "/limits", {.keys = kKeys}); });
    must(std::filesystem::is_empty(folder), "nothing is left");
  })));
  CHECK(is_well(on_tmpfs("size=" + std::to_string(bytes), [](const std::string& folder) {
    const std::string path = folder + "/limits";
    Segment segment = Segment::create(path, {.keys = kKeys});
    must(free_bytes(folder) == 0, "it takes all of it");
    touch_every_page(path);
    Limiter api = segment.limiter("api", Limit::per_day(1));
    for (std::uint64_t i = 0; i < 3 * kKeys; ++i)
      must(api.try_acquire("user:" + std::to_string(i)).reason != Reason::invalid, "a decision");
    must(segment.info().evicted > 0, "the table was full, too");
  })));
}

TEST_CASE("a_segment_is_whole_in_memory_when_others_fill_the_rest") {
  CHECK(is_well(on_tmpfs("size=4m", [](const std::string& folder) {
    const std::string path = folder + "/limits";
    Segment segment = Segment::create(path, {.keys = 20'000});
    Limiter api = segment.limiter("api", Limit::per_day(1));
    fill(folder);
    touch_every_page(path);
    for (int i = 0; i < 20'000; ++i) must(bool(api.try_acquire(std::to_string(i))), "admitted");
  })));
}

TEST_CASE("A_half_a_million_keys_fit_into_a_containers_64_mib_and_each_is_remembered") {
  CHECK(is_well(on_tmpfs("size=64m", [](const std::string& folder) {
    (void)Segment::create(folder + "/default");
    must(Segment::remove(folder + "/default"), "a default segment fits");
    constexpr std::uint64_t kKeys = 500'000;
    Segment segment = Segment::create(folder + "/limits", {.keys = kKeys});
    Limiter api = segment.limiter("api", Limit::per_day(1));
    std::uint64_t again = 0;
    for (std::uint64_t i = 0; i < kKeys; ++i)
      must(bool(api.try_acquire("user:" + std::to_string(i))), "a new key is admitted");
    // Backwards: an admission now is of a key that was evicted, and evicts one that was asked.
    for (std::uint64_t i = kKeys; i-- > 0;)
      again += api.try_acquire("user:" + std::to_string(i)) ? 1U : 0U;
    const SegmentInfo info = segment.info();
    ::dprintf(1, "%llu keys tried: %llu evicted, %llu admitted again, %llu live, %llu bytes\n",
              static_cast<unsigned long long>(kKeys), static_cast<unsigned long long>(info.evicted),
              static_cast<unsigned long long>(again), static_cast<unsigned long long>(info.live),
              static_cast<unsigned long long>(info.bytes));
    must(again <= info.evicted, "burst + evictions, counted");
    must(info.evicted <= 10, "fewer than one in fifty thousand");
    must(info.live + info.evicted >= kKeys, "all live");
  })));
}

TEST_CASE(
    "P_a_removed_segment_that_cannot_be_copied_is_gone_on_with_and_copied_once_there_is_room") {
  CHECK(is_well(on_tmpfs("size=1800k", [](const std::string& folder) {
    const std::string path = folder + "/limits";
    Segment segment = Segment::create(path, {.keys = 3'000});
    Limiter api = segment.limiter("api", Limit::per_day(100));
    must(bool(api.try_acquire("k", 40)), "the first");
    fill(folder);
    constexpr std::size_t kWorkers = 4;
    Shared<Said> said(kWorkers);
    Shared<std::atomic<std::uint64_t>> decided(kWorkers);
    Shared<std::atomic<int>> admitted;
    Shared<std::atomic<bool>> stop;
    std::vector<Child> workers;
    for (std::size_t i = 0; i < kWorkers; ++i) {
      workers.emplace_back([&, i] {
        listen(said[i]);
        while (!stop[0]) {
          const Decision d = api.try_acquire("k");
          admitted[0] += d ? 1 : 0;
          must(d || d.reason == Reason::limited, "never without an answer");
          ++decided[i];
        }
      });
    }
    const auto all = [&](auto holds) {
      for (std::size_t i = 0; i < kWorkers; ++i)
        if (!holds(i)) return false;
      return true;
    };
    must(::unlink(path.c_str()) == 0, "the name is gone");
    must(until([&] { return all([&](std::size_t i) { return said[i].lines >= 1; }); },
               pause_a_little),
         "each says so");
    must(contains(said[0].last, "cannot be followed") && contains(said[0].last, "MiB free"),
         said[0].last);
    // They go on, through several more attempts, and say no more.
    std::uint64_t before[kWorkers];
    int lines[kWorkers];
    const auto start = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i < kWorkers; ++i) {
      before[i] = decided[i];
      lines[i] = said[i].lines;
    }
    must(until(
             [&] {
               return std::chrono::steady_clock::now() - start > std::chrono::milliseconds(1'200) &&
                      all([&](std::size_t i) { return decided[i] > before[i] + 1'000; });
             },
             pause_a_little),
         "each decides on");
    must(all([&](std::size_t i) { return said[i].lines == lines[i]; }), "each said it once");
    must(!is_there(path) && admitted[0] == 60, "they shared the old one all the time");

    must(remount(folder, 0, "size=4m"), "room is made");
    must(until([&] { return all([&](std::size_t i) { return contains(said[i].last, "moved"); }); },
               pause_a_little),
         "all move over");
    stop[0] = true;
    for (Child& worker : workers) must(worker.wait() == 0, "a worker ends well");
    Segment fresh = Segment::open(path);
    must(fresh.limiter("api").peek("k").remaining == 0 && admitted[0] == 60, "with what was spent");
  })));
}

TEST_CASE("a_name_that_is_removed_again_and_again_does_not_fill_the_tmpfs") {
  CHECK(is_well(on_tmpfs("size=4100k", [](const std::string& folder) {
    const std::string path = folder + "/limits";
    Segment segment = Segment::create(path, {.keys = 3'000});
    Limiter api = segment.limiter("api", Limit::per_day(100));
    must(bool(api.try_acquire("k", 40)), "the first");
    Said said;
    listen(said);
    // Three segments fit at a time; more than that have been made at the end.
    for (int round = 1; round <= 4; ++round) {
      must(::unlink(path.c_str()) == 0, "the name is gone");
      must(until([&] { return said.lines >= round; },
                 [&] { (void)api.try_acquire("other"), pause_a_little(); }),
           "noticed");
      must(contains(said.last, "moved over"), said.last);
      must(is_there(path) && api.peek("k").remaining == 60, "its contents came along");
    }
  })));
}

TEST_CASE("a_tmpfs_without_inodes_is_said_to_have_none") {
  CHECK(is_well(on_tmpfs("size=8m,nr_inodes=2", [](const std::string& folder) {
    const std::string path = folder + "/limits";
    Segment segment = Segment::create(path, {.keys = 100});  // the folder is the other inode
    const std::string sentence =
        refused(Errc::no_space, [&] { (void)Segment::create(folder + "/b", {.keys = 100}); });
    must(contains(sentence, "nr_inodes"), sentence);
    // Removed, the old file still has the inode: there is none for its copy.
    Limiter api = segment.limiter("api", Limit::per_day(100));
    Said said;
    listen(said);
    must(::unlink(path.c_str()) == 0, "the name is gone");
    must(until([&] { return said.lines > 0; }, [&] { (void)api.try_acquire("k"); }), "noticed");
    must(contains(said.last, "nr_inodes"), said.last);
    must(remount(folder, 0, "size=8m,nr_inodes=10"), "inodes are made");
    must(until([&] { return is_there(path); }, [&] { (void)api.try_acquire("k"); }), "rescued");
  })));
}

TEST_CASE("a_read_only_mount_is_read_and_neither_written_nor_removed_from") {
  CHECK(is_well(on_tmpfs("size=8m", [](const std::string& folder) {
    const std::string path = folder + "/limits";
    Segment before = Segment::create(path, {.keys = 100});
    Limiter api = before.limiter("api", Limit::per_day(10));
    must(bool(api.try_acquire("k")), "the first");
    // The same files under a second, read-only mount.
    const std::string view = folder + "/view";
    const std::string seen = view + "/limits";
    must(::mkdir(view.c_str(), 0755) == 0, "mkdir");
    must(
        ::mount(folder.c_str(), view.c_str(), nullptr, MS_BIND, nullptr) == 0 &&
            ::mount(nullptr, view.c_str(), nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0,
        "read-only from here");
    must(contains(refused(Errc::system, [&] { (void)Segment::create(view + "/b"); }), "EROFS"),
         "create");
    must(contains(refused(Errc::system, [&] { (void)Segment::open(seen); }), "EROFS"), "open");
    must(contains(refused(Errc::system, [&] { (void)Segment::remove(seen); }), "EROFS"), "remove");
    must(Segment::open_read_only(seen).limiter("api").peek("k").remaining == 9, "read");
    must(is_there(seen), "it is still there");
    must(bool(api.try_acquire("k", 9)) && !api.try_acquire("k"), "the mapping goes on");
  })));
}

}  // namespace
}  // namespace rl::test
