/// \file
/// Hostile files: what somebody may have put where a segment is looked for, or do to the file while
/// it is opened. Each is refused with its own reason, by whatever opens it, and nothing waits,
/// follows a link or touches what is not there. Truncation of a file that is mapped already is the
/// one thing that no library can prevent (README, threat model); that it happens while the file is
/// opened is found out.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <functional>

#include "shm/os.hpp"
#include "tests/hostile/forge.hpp"
#include "tests/hostile/trials.hpp"

namespace {
/// What happens to the file in the middle of opening it, right after its header was read.
std::function<void()> after_reading;  // NOLINT: a seam of this program
}  // namespace

// The library's own pread, in this program.
extern "C" ssize_t pread(int fd, void* to, std::size_t bytes, off_t at) {
  const ssize_t got = ::syscall(SYS_pread64, fd, to, bytes, at);
  if (after_reading) std::exchange(after_reading, nullptr)();
  return got;
}

namespace rl::hostile {
namespace {

void demand_refusal(Errc wanted, const std::function<void()>& call, const std::string& what) {
  const auto got = attempt(call);
  demand(got.has_value(), what + ": was not refused");
  demand(got == wanted, what + ": was refused with another reason");
}

/// The file lies at scratch_path(): nothing opens it.
Trial refused(const std::string& name, Errc wanted, std::function<void()> plant) {
  return {name, [=] {
            const std::string path = scratch_path();
            plant();
            demand_refusal(
                wanted, [&] { (void)Segment::open(path); }, "open");
            demand_refusal(
                wanted, [&] { (void)Segment::open_read_only(path); }, "open_read_only");
            demand_refusal(
                wanted, [&] { (void)Segment::open_or_create(path); }, "open_or_create");
            demand_refusal(
                Errc::exists, [&] { (void)Segment::create(path); }, "create");
            (void)attempt([&] { (void)Segment::remove(path); });
            std::filesystem::remove_all(path);
            return std::optional(wanted);
          }};
}

void run_all(const std::string& what, const std::vector<Trial>& trials) {
  const CleanUp clean_up;
  const Outcomes outcomes = run_trials(trials);
  MESSAGE(what << ": " << outcomes.text());
  CHECK(outcomes.tried() == trials.size());
}

void plant_socket() {
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, scratch_path().c_str(), sizeof address.sun_path - 1);
  demand(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "bind");
  ::close(fd);
}

TEST_CASE("SP_what_is_no_file_is_refused_and_nobody_waits_for_it") {
  const std::string path = scratch_path();
  test::Scratch valid;
  const std::string target = valid.path();
  std::vector<Trial> trials{
      refused("a folder", Errc::not_a_segment, [=] { ::mkdir(path.c_str(), 0700); }),
      refused("a fifo", Errc::not_a_segment, [=] { ::mkfifo(path.c_str(), 0600); }),
      refused("a socket", Errc::not_a_segment, plant_socket),
      refused("a link to a segment", Errc::not_a_segment,
              [=] { (void)!::symlink(target.c_str(), path.c_str()); }),
      refused("a link to nothing", Errc::not_a_segment,
              [=] { (void)!::symlink("/no/such/file", path.c_str()); }),
      refused("a link to itself", Errc::not_a_segment,
              [=] { (void)!::symlink(path.c_str(), path.c_str()); }),
  };
  run_all("no files", trials);
  CHECK(valid->info().keys == 1'000);
}

TEST_CASE("SP_a_device_is_refused_and_not_read") {
  const std::string path = "/tmp/rl-" + test::unique_name();
  if (::mknod(path.c_str(), S_IFCHR | 0600, 0x0105) != 0) {  // 1, 5: /dev/zero
    MESSAGE("skipped: needs the right to make a device");
    return;
  }
  const auto code = attempt([&] { (void)Segment::open(path); });
  const auto removal = attempt([&] { (void)Segment::remove(path); });
  ::unlink(path.c_str());
  // Where the mount has nodev, the kernel does not let it be opened.
  CHECK((code == Errc::not_a_segment || code == Errc::permission));
  CHECK((removal == Errc::not_a_segment || removal == Errc::permission));
}

TEST_CASE("SP_a_file_of_any_other_length_is_refused") {
  Forged forged({});
  const std::uint64_t whole = forged.geometry().total_bytes;
  std::vector<Trial> trials;
  const auto add = [&](std::uint64_t bytes, Errc wanted) {
    trials.push_back(refused(std::to_string(bytes) + " bytes", wanted,
                             [=] { Forged({}).write_to(scratch_path(), bytes); }));
  };
  for (const std::uint64_t bytes : {0U, 1U, 8U, 255U}) add(bytes, Errc::not_a_segment);
  for (std::uint64_t at = shm::kPageBytes; at < whole; at += shm::kPageBytes) {
    add(at - 1, Errc::corrupt);
    add(at, Errc::corrupt);
    add(at + 1, Errc::corrupt);
  }
  add(256, Errc::corrupt);
  add(whole - 1, Errc::corrupt);
  add(whole + 1, Errc::corrupt);
  add(whole * 1'000'000, Errc::corrupt);
  run_all("lengths", trials);
}

/// A header that is whole in itself, but not for us.
Trial header_trial(const std::string& name, Errc wanted, void (*spoil)(shm::HeaderConstants&)) {
  return refused(name, wanted, [=] {
    Forged forged({});
    spoil(forged.header().constants);
    forged.seal_header();
    forged.write_to(scratch_path());
  });
}

TEST_CASE("SP_a_header_that_is_whole_but_not_ours_is_refused_with_its_reason") {
  using Constants = shm::HeaderConstants;
  const std::vector<Trial> trials{
      header_trial("another magic", Errc::not_a_segment, [](Constants& c) { ++c.magic; }),
      header_trial("another byte order", Errc::not_a_segment,
                   [](Constants& c) { c.magic = __builtin_bswap64(c.magic); }),
      header_trial("a later version", Errc::wrong_version,
                   [](Constants& c) { ++c.layout_version; }),
      header_trial("an earlier version", Errc::wrong_version,
                   [](Constants& c) { --c.layout_version; }),
      header_trial("another fingerprint", Errc::wrong_version,
                   [](Constants& c) { ++c.fingerprint; }),
      header_trial("another boot", Errc::wrong_host, [](Constants& c) { ++c.boot_id[0]; }),
      header_trial("another boot, by its end", Errc::wrong_host,
                   [](Constants& c) { ++c.boot_id[1]; }),
      header_trial("another time namespace", Errc::wrong_host,
                   [](Constants& c) { ++c.time_namespace; }),
      header_trial("no keys", Errc::corrupt, [](Constants& c) { c.keys = 0; }),
      header_trial("more keys", Errc::corrupt, [](Constants& c) { c.keys += 100; }),
      header_trial("too many keys", Errc::corrupt, [](Constants& c) { c.keys = ~0ULL; }),
      header_trial("one pair", Errc::corrupt, [](Constants& c) { c.pair_count = 1; }),
      header_trial("2^61 pairs", Errc::corrupt, [](Constants& c) { c.pair_count = 1ULL << 61; }),
      header_trial("no policies", Errc::corrupt, [](Constants& c) { c.policy_capacity = 0; }),
      header_trial("65,536 policies", Errc::corrupt,
                   [](Constants& c) { c.policy_capacity = 65'536; }),
      header_trial("no seats", Errc::corrupt, [](Constants& c) { c.seat_capacity = 0; }),
      header_trial("1,025 seats", Errc::corrupt, [](Constants& c) { c.seat_capacity = 1'025; }),
      header_trial("wide labels", Errc::corrupt, [](Constants& c) { c.label_bytes = 72; }),
      header_trial("labels that are not there", Errc::corrupt,
                   [](Constants& c) { c.label_bytes = 0; }),
      header_trial("policies in the header", Errc::corrupt,
                   [](Constants& c) { c.policies_offset = 0; }),
      header_trial("seats elsewhere", Errc::corrupt,
                   [](Constants& c) { c.seats_offset = ~0ULL - 63; }),
      header_trial("pairs elsewhere", Errc::corrupt, [](Constants& c) { c.pairs_offset += 128; }),
      header_trial("labels elsewhere", Errc::corrupt,
                   [](Constants& c) { c.labels_offset -= 4'096; }),
      header_trial("a long header", Errc::corrupt, [](Constants& c) { c.header_bytes *= 2; }),
      header_trial("no clock", Errc::corrupt, [](Constants& c) { c.clock_kind = 0; }),
      header_trial("a clock of tomorrow", Errc::corrupt, [](Constants& c) { c.clock_kind = 4; }),
      header_trial("a TSC that stands still", Errc::corrupt, [](Constants& c) {
        c.clock_kind = static_cast<std::uint32_t>(shm::ClockKind::tsc);
        c.ns_per_tick_32 = 0;
      })};
  run_all("headers", trials);
}

TEST_CASE("SP_a_huge_file_of_holes_is_refused_before_it_is_touched") {
  std::vector<Trial> trials;
  for (const std::uint64_t keys :
       {std::uint64_t{100'000}, std::uint64_t{10'000'000}, shm::kKeysMax}) {
    trials.push_back(refused(std::to_string(keys) + " keys", Errc::corrupt, [=] {
      Forged forged({});
      shm::HeaderConstants& c = forged.header().constants;
      const shm::Geometry g = shm::geometry_for(keys, shm::kPoliciesMax, shm::kSeatsMax, true);
      c.keys = g.keys;
      c.pair_count = g.pair_count;
      c.policy_capacity = g.policy_capacity;
      c.seat_capacity = g.seat_capacity;
      c.policies_offset = g.policies_offset;
      c.journal_offset = g.journal_offset;
      c.events_offset = g.events_offset;
      c.stripes_offset = g.stripes_offset;
      c.pairs_offset = g.pairs_offset;
      c.labels_offset = g.labels_offset;
      c.total_bytes = g.total_bytes;  // up to 126 GB
      forged.seal_header();
      forged.write_to(scratch_path(), g.total_bytes);
    }));
  }
  run_all("holes", trials);
}

TEST_CASE("SP_a_file_that_is_cut_short_while_it_is_opened_is_refused_and_not_touched") {
  std::vector<Trial> trials;
  for (const off_t bytes : {off_t{0}, off_t{256}, off_t{4'096}, off_t{8'192}, off_t{1} << 40}) {
    for (const bool writes : {false, true}) {
      trials.push_back({std::to_string(bytes) + " bytes", [=] {
                          const std::string path = scratch_path();
                          Forged({}).write_to(path);
                          after_reading = [=] { (void)!::truncate(path.c_str(), bytes); };
                          const auto code = attempt([&] {
                            (void)(writes ? Segment::open(path) : Segment::open_read_only(path));
                          });
                          demand(!after_reading, "the header was not read");
                          demand(code == Errc::corrupt, "it was not found out");
                          Forged({}).write_to(path);
                          after_reading = [=] { (void)!::truncate(path.c_str(), bytes); };
                          (void)attempt([&] { (void)Segment::remove(path); });
                          after_reading = nullptr;
                          return code;
                        }});
    }
  }
  run_all("cut short", trials);
}

TEST_CASE("SP_a_live_segment_whose_name_shows_something_hostile_goes_on_as_it_was") {
  const CleanUp clean_up;
  const std::string path = scratch_path();
  const std::vector<std::pair<std::string, std::function<void()>>> plants{
      {"nothing to map", [=] { Forged({}).write_to(path, 100); }},
      {"a header that is damaged",
       [=] {
         Forged forged({});
         ++forged.header().constants.checksum;
         forged.write_to(path);
       }},
      {"another boot",
       [=] {
         Forged forged({});
         ++forged.header().constants.boot_id[0];
         forged.seal_header();
         forged.write_to(path);
       }},
      {"a fifo", [=] { ::mkfifo(path.c_str(), 0600); }},
      {"a link", [=] { (void)!::symlink("/dev/zero", path.c_str()); }},
  };
  std::vector<Trial> trials;
  for (const auto& [name, plant] : plants) {
    trials.push_back({name, [path, plant = plant] {
                        Segment segment = Segment::create(path, {.keys = 100});
                        Limiter limiter = segment.limiter("api", Limit::per_day(1));
                        // A second handle has not read the clock yet: it looks at the name first.
                        Segment late = Segment::open(path);
                        Limiter lately = late.limiter("api");
                        demand(limiter.try_acquire("k").allowed, "the first call is allowed");
                        ::unlink(path.c_str());
                        plant();
                        demand(!lately.try_acquire("k").allowed, "the second call is denied");
                        look(late);
                        ::unlink(path.c_str());
                        return std::optional<Errc>();
                      }});
  }
  run_all("names", trials);
}

TEST_CASE("a_program_of_trials_that_is_killed_leaves_no_file_and_no_child") {
  constexpr const char* kEndless = "RL_TEST_ENDLESS";
  if (std::getenv(kEndless) != nullptr) {  // we are the one that is killed
    return run_all("endless", {{"it waits", [] {
                                  Forged({}).write_to(scratch_path() + "-copy");
                                  Forged({}).write_to(scratch_path());
                                  for (;;) ::pause();
                                  return std::optional<Errc>();
                                }}});
  }
  const auto comes = [](const std::function<bool()>& condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      ::usleep(1'000);
    }
    return true;
  };
  for (const int number : {SIGKILL, SIGTERM, SIGINT}) {
    CAPTURE(number);
    test::Child program([] {
      const int nothing = ::open("/dev/null", O_RDWR);
      for (const int fd : {1, 2}) ::dup2(nothing, fd);
      ::setenv(kEndless, "1", 1);
      ::execl("/proc/self/exe", "self", "-tc=a_program_of_trials_that_is_killed*", nullptr);
    });
    const std::string path = "/dev/shm/rl.test-" + std::to_string(program.pid()) + "-hostile";
    CHECK(comes([&] { return ::access(path.c_str(), F_OK) == 0; }));
    program.signal(number);
    CHECK(program.wait() == 128 + number);
    // The files go last, when the child that holds the janitor's pipe is gone, too.
    CHECK(comes([&] {
      return ::access(path.c_str(), F_OK) != 0 && ::access((path + "-copy").c_str(), F_OK) != 0;
    }));
  }
}

TEST_CASE("P_whoever_locks_the_whole_file_stops_nobody") {
  std::vector<Trial> trials;
  for (const int type : {F_RDLCK, F_WRLCK}) {
    trials.push_back({type == F_RDLCK ? "for reading" : "for writing", [=] {
                        const std::string path = scratch_path();
                        Forged({}).write_to(path);
                        const shm::Fd fd =
                            shm::open_file(path.c_str(), type == F_RDLCK ? O_RDONLY : O_RDWR);
                        struct flock lock {};
                        lock.l_type = static_cast<short>(type);
                        demand(::fcntl(fd.get(), F_OFD_SETLK, &lock) == 0, "fcntl");
                        Segment segment = Segment::open(path);
                        use_policies(segment);
                        look(segment);
                        demand(segment.info().anonymous > 0, "a seat was taken all the same");
                        Segment outlived = Segment::open(path);
                        ::unlink(path.c_str());
                        use_policies(outlived);  // finds no name, and no lock to copy under
                        return std::optional<Errc>();
                      }});
  }
  run_all("locks", trials);
}

TEST_CASE("SP_another_users_segment_is_refused_whatever_its_mode") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: needs root to give a file away");
    return;
  }
  const std::string path = scratch_path();
  std::vector<Trial> trials;
  for (const unsigned mode : {0600U, 0666U, 0777U, 06777U}) {
    trials.push_back({"mode " + std::to_string(mode), [=] {
                        Forged({}).write_to(path);
                        demand(::chown(path.c_str(), 65'534, 65'534) == 0, "chown");
                        demand(::chmod(path.c_str(), mode) == 0, "chmod");
                        demand_refusal(
                            Errc::permission, [&] { (void)Segment::open(path); }, "open");
                        Segment trusted = Segment::open(path, {.any_owner = true});
                        use_policies(trusted);
                        look(trusted);
                        (void)Segment::remove(path);
                        return std::optional<Errc>();
                      }});
  }
  run_all("owners", trials);
}

}  // namespace
}  // namespace rl::hostile
