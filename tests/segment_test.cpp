#include <rl/segment.hpp>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>
#include <functional>

#include "shm/mapping.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

/// Runs `call`, which must throw an Error of this kind, and returns its sentence.
std::string refused(Errc code, const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    CHECK_MESSAGE(e.code() == code, e.what());
    const std::string sentence = e.what();
    CHECK(sentence.find('\n') == std::string::npos);
    return sentence;
  }
  FAIL_CHECK("nothing was thrown");
  return {};
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Overwrites bytes of a segment's file.
void scribble(const std::string& path, off_t offset, const void* bytes, std::size_t size) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  REQUIRE(::pwrite(fd, bytes, size, offset) == static_cast<ssize_t>(size));
  ::close(fd);
}

TEST_CASE("a_name_stands_for_posix_shared_memory_and_a_path_for_itself") {
  CHECK(shm::path_of("web") == "/dev/shm/rl.web");
  CHECK(shm::path_of("/run/app/limits") == "/run/app/limits");
}

TEST_CASE("a_bad_name_is_refused_before_anything_is_touched") {
  for (const std::string& name :
       {std::string(), std::string("a/b"), std::string("../x"), std::string("a b"),
        std::string("a\nb"), std::string("/tmp/"), std::string(201, 'x')}) {
    CAPTURE(name);
    refused(Errc::bad_name, [&] { (void)Segment::create(name); });
    refused(Errc::bad_name, [&] { (void)Segment::open(name); });
    refused(Errc::bad_name, [&] { (void)Segment::remove(name); });
  }
}

TEST_CASE("a_segment_is_created_opened_and_removed") {
  const std::string name = test::unique_name();
  const test::RemoveAtEnd cleanup(name);
  {
    Segment segment = Segment::create(name, {.keys = 5'000, .mode = 0640});
    CHECK(segment.name() == name);
    struct stat st {};
    REQUIRE(::stat(segment.path().c_str(), &st) == 0);
    CHECK((st.st_mode & 07777U) == 0640U);
    const SegmentInfo info = segment.info();
    CHECK(info.keys == 5'000);
    CHECK(info.slots * 9 >= 5'000 * 16);
    CHECK(info.bytes == static_cast<std::uint64_t>(st.st_size));
    CHECK(static_cast<std::uint64_t>(st.st_blocks) * 512 >= info.bytes);  // reserved, not sparse
    CHECK(info.labels);
    CHECK(info.attached == 1);
    CHECK(info.creator_version == RL_VERSION);
  }
  CHECK(Segment::open(name).info().keys == 5'000);
  CHECK(Segment::open_read_only(name).info().attached == 0);
  CHECK(Segment::remove(name));
  CHECK_FALSE(Segment::remove(name));
  CHECK(contains(refused(Errc::not_found, [&] { (void)Segment::open(name); }), "rlctl create"));
}

TEST_CASE("vitals_are_the_same_without_a_look_at_the_slots") {
  test::Scratch segment;
  Limiter limiter = segment->limiter("api", Limit::per_hour(1));
  REQUIRE(limiter.try_acquire("k"));
  const SegmentInfo info = segment->info();
  const SegmentInfo vitals = segment->vitals();
  CHECK(info.live == 1);
  CHECK(vitals.live == 0);
  CHECK(vitals.idle == 0);
  CHECK(vitals.name == info.name);
  CHECK(vitals.slots == info.slots);
  CHECK(vitals.attached == info.attached);
  CHECK(vitals.policies == info.policies);
  CHECK(vitals.created == info.created);
}

TEST_CASE("the_drift_from_utc_is_told_where_the_clock_is_not_turned_by_hand") {
  test::Scratch segment;
  const auto drift = segment->vitals().clock_drift;
  REQUIRE(drift);
  CHECK(std::chrono::abs(*drift) < std::chrono::seconds(10));
  test::Scratch manual({.keys = 100, .clock = ClockSource::manual});
  CHECK_FALSE(manual->vitals().clock_drift);
}

TEST_CASE("the_umask_does_not_cut_the_mode") {
  const mode_t before = ::umask(0077);
  test::Scratch segment({.keys = 100, .mode = 0666});
  ::umask(before);
  struct stat st {};
  REQUIRE(::stat(segment.path().c_str(), &st) == 0);
  CHECK((st.st_mode & 0777U) == 0666U);
}

TEST_CASE("create_on_an_existing_name_is_refused_and_harms_nothing") {
  test::Scratch segment;
  Limiter limiter = segment->limiter("api", Limit::per_hour(1));
  CHECK(limiter.try_acquire("k"));
  CHECK(
      contains(refused(Errc::exists, [&] { (void)Segment::create(segment.name()); }), "rlctl rm"));
  CHECK_FALSE(limiter.try_acquire("k"));
}

TEST_CASE("options_out_of_range_are_refused") {
  const std::string name = test::unique_name();
  const test::RemoveAtEnd cleanup(name);
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.keys = 0}); });
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.keys = ~0ULL}); });
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.mode = 0400}); });
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.mode = 010600}); });
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.policies = 0}); });
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.policies = 65'536}); });
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.owner = "no-such-user"}); });
  refused(Errc::bad_option, [&] { (void)Segment::create(name, {.group = "no-such-group"}); });
  refused(Errc::not_found, [&] { (void)Segment::open(name); });
}

TEST_CASE("of_rival_creators_exactly_one_wins_and_open_or_create_always_succeeds") {
  for (int round = 0; round < 20; ++round) {
    const std::string name = test::unique_name();
    const test::RemoveAtEnd cleanup(name);
    test::Shared<std::atomic<int>> created;
    std::vector<test::Child> children;
    for (int i = 0; i < 6; ++i) {
      children.emplace_back([&, i] {
        if (i % 2 == 0) {
          (void)Segment::open_or_create(name, {.keys = 100});
          return;
        }
        try {
          (void)Segment::create(name, {.keys = 100});
          ++created[0];
        } catch (const Error& e) {
          if (e.code() != Errc::exists) throw;
        }
      });
    }
    for (test::Child& child : children) CHECK(child.wait() == 0);
    CHECK(created[0] <= 1);
    CHECK(Segment::open(name).info().keys == 100);
  }
}

TEST_CASE("what_is_not_a_segment_is_refused_with_the_reason") {
  const std::string name = test::unique_name();
  const std::string path = shm::path_of(name);
  struct Remove {
    std::string path;
    ~Remove() { ::remove(path.c_str()); }
  } cleanup{path};
  const auto attach = [&] { (void)Segment::open(name); };
  const auto attach_for_reading = [&] { (void)Segment::open_read_only(name); };

  std::ofstream(path).close();
  CHECK(contains(refused(Errc::not_a_segment, attach), "0 bytes"));
  std::ofstream(path) << std::string(10'000, 'x');
  CHECK(contains(refused(Errc::not_a_segment, attach), "7878787878787878"));
  ::unlink(path.c_str());

  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  refused(Errc::not_a_segment, attach);
  refused(Errc::not_a_segment, attach_for_reading);
  ::rmdir(path.c_str());

  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  refused(Errc::not_a_segment, attach);
  refused(Errc::not_a_segment, attach_for_reading);
  ::unlink(path.c_str());

  test::Scratch target;
  REQUIRE(::symlink(target.path().c_str(), path.c_str()) == 0);
  CHECK(contains(refused(Errc::not_a_segment, attach), "symbolic link"));
}

TEST_CASE("a_header_with_any_byte_gone_wrong_is_refused") {
  test::Scratch segment;
  const int fd = ::open(segment.path().c_str(), O_RDWR | O_CLOEXEC);
  for (off_t at = 0; at < static_cast<off_t>(sizeof(shm::HeaderConstants)); ++at) {
    unsigned char byte = 0;
    REQUIRE(::pread(fd, &byte, 1, at) == 1);
    for (const int flip : {0xff, 0x01, 0x80}) {
      const auto wrong = static_cast<unsigned char>(byte ^ flip);
      REQUIRE(::pwrite(fd, &wrong, 1, at) == 1);
      CAPTURE(at);
      CHECK_THROWS_AS((void)Segment::open(segment.name()), Error);
    }
    REQUIRE(::pwrite(fd, &byte, 1, at) == 1);
  }
  ::close(fd);
  CHECK_NOTHROW((void)Segment::open(segment.name()));
}

TEST_CASE("remove_takes_segments_of_any_damage_and_nothing_else") {
  const std::string path = "/tmp/rl-" + test::unique_name();
  std::ofstream(path) << "somebody's file";
  refused(Errc::not_a_segment, [&] { (void)Segment::remove(path); });
  CHECK(::unlink(path.c_str()) == 0);
  REQUIRE(::mkdir(path.c_str(), 0700) == 0);
  CHECK_THROWS_AS((void)Segment::remove(path), Error);
  CHECK(::rmdir(path.c_str()) == 0);

  test::Scratch damaged;
  const std::uint32_t version = 99;
  scribble(damaged.path(), offsetof(shm::HeaderConstants, layout_version), &version,
           sizeof version);
  CHECK(Segment::remove(damaged.name()));
}

TEST_CASE("another_version_is_refused_with_both_versions") {
  test::Scratch segment;
  const std::uint32_t version = 99;
  scribble(segment.path(), offsetof(shm::HeaderConstants, layout_version), &version,
           sizeof version);
  const std::string sentence =
      refused(Errc::wrong_version, [&] { (void)Segment::open(segment.name()); });
  CHECK(contains(sentence, "layout 99/"));
  CHECK(contains(sentence, "reads 1/"));
}

TEST_CASE("the_other_byte_order_is_told_from_rubbish") {
  test::Scratch segment;
  const std::uint64_t magic = __builtin_bswap64(shm::kMagic);
  scribble(segment.path(), 0, &magic, sizeof magic);
  CHECK(contains(refused(Errc::not_a_segment, [&] { (void)Segment::open(segment.name()); }),
                 "byte order"));
}

TEST_CASE("a_truncated_or_grown_segment_is_refused_with_both_sizes") {
  for (const off_t change : {-4096, -1, 1, 4096}) {
    test::Scratch segment;
    struct stat st {};
    REQUIRE(::stat(segment.path().c_str(), &st) == 0);
    REQUIRE(::truncate(segment.path().c_str(), st.st_size + change) == 0);
    const std::string sentence =
        refused(Errc::corrupt, [&] { (void)Segment::open(segment.name()); });
    CHECK(contains(sentence, std::to_string(st.st_size)));
    CHECK(contains(sentence, std::to_string(st.st_size + change)));
  }
}

TEST_CASE("too_little_room_is_an_error_with_the_needed_and_the_free_size_and_leaves_nothing") {
  if (::geteuid() != 0) {
    test::skip("needs root to mount a tmpfs");
    return;
  }
  const std::string directory = "/tmp/rl-" + test::unique_name();
  REQUIRE(::mkdir(directory.c_str(), 0700) == 0);
  struct Unmount {
    std::string at;
    ~Unmount() {
      ::umount2(at.c_str(), MNT_DETACH);
      ::rmdir(at.c_str());
    }
  } cleanup{directory};
  if (::mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=1m") != 0) {
    test::skip("no right to mount here");
    return;
  }
  const std::string path = directory + "/limits";
  const std::string sentence =
      refused(Errc::no_space, [&] { (void)Segment::create(path, {.keys = 65'536}); });
  CHECK(contains(sentence, "1.0 MiB free"));
  CHECK(contains(sentence, "8.5 MiB"));
  refused(Errc::not_found, [&] { (void)Segment::open(path); });
  CHECK_NOTHROW((void)Segment::create(path, {.keys = 1'000, .policies = 16}));
}

TEST_CASE("another_users_segment_is_refused_unless_told_otherwise") {
  if (::geteuid() != 0) {
    test::skip("needs root to give a file away");
    return;
  }
  test::Scratch segment({.keys = 100, .owner = "65534"});
  CHECK(contains(refused(Errc::permission, [&] { (void)Segment::open(segment.name()); }),
                 "--any-owner"));
  CHECK_NOTHROW((void)Segment::open(segment.name(), {.any_owner = true}));
  test::Child nobody([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    (void)Segment::open(segment.name());
  });
  CHECK(nobody.wait() == 0);
}

TEST_CASE("a_user_without_the_right_to_write_may_read_or_nothing") {
  if (::geteuid() != 0) {
    test::skip("needs root to become somebody else");
    return;
  }
  test::Scratch readable({.keys = 100, .mode = 0644});
  test::Scratch hidden({.keys = 100, .mode = 0600});
  (void)readable->limiter("api", Limit::per_hour(3)).try_acquire("k");
  test::Child nobody([&] {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(2);
    refused(Errc::permission, [&] { (void)Segment::open(readable.name()); });
    refused(Errc::permission, [&] { (void)Segment::open(hidden.name()); });
    refused(Errc::permission, [&] { (void)Segment::open_read_only(hidden.name()); });
    Segment segment = Segment::open_read_only(readable.name());
    if (segment.limiter("api").peek("k").remaining != 2) ::_exit(3);
  });
  CHECK(nobody.wait() == 0);
}

TEST_CASE("an_absolute_path_on_a_tmpfs_is_taken_as_it_is") {
  const std::string path = "/dev/shm/" + test::unique_name();
  const test::RemoveAtEnd cleanup(path);
  Segment segment = Segment::create(path, {.keys = 100});
  CHECK(segment.path() == path);
  CHECK_NOTHROW((void)Segment::open(path));
}

TEST_CASE("a_path_in_no_directory_is_an_error") {
  refused(Errc::not_found, [] { (void)Segment::create("/no/such/directory/limits"); });
}

TEST_CASE("memory_stays_within_128_bytes_for_each_key_promised_and_64_without_labels") {
  for (const std::uint64_t keys : {150'000ULL, 1'000'000ULL, 16'000'000ULL}) {
    CHECK(shm::geometry_for(keys, 1'024, shm::kSeatsMax, true).total_bytes <= keys * 128);
    CHECK(shm::geometry_for(keys, 1'024, shm::kSeatsMax, false).total_bytes <= keys * 64);
  }
}

TEST_CASE("what_a_segment_takes_whatever_its_keys_is_less_than_a_mebibyte") {
  for (const std::uint64_t keys : {1ULL, 65'536ULL, 100'000ULL, 16'000'000ULL}) {
    for (const bool labels : {true, false}) {
      const shm::Geometry g = shm::geometry_for(keys, 1'024, shm::kSeatsMax, labels);
      CHECK(g.pairs_offset < (1U << 20));
      CHECK(g.total_bytes - g.pairs_offset <= keys * (labels ? 121 : 57) + 3 * shm::kPageBytes);
    }
  }
}

}  // namespace
}  // namespace rl
