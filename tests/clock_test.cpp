#include "shm/clock.hpp"

#include <doctest/doctest.h>
#include <sys/prctl.h>

#include <string>
#include <thread>

#include "shm/os.hpp"
#include "tests/support.hpp"

namespace rl::shm {
namespace {

/// The clock's words of a header, as a segment that was just made has them.
struct Words {
  explicit Words(const ClockEpoch& epoch = {}) { start(epoch); }
  void start(const ClockEpoch& epoch) {
    header.clock_anchor.compare_exchange({}, {epoch.tsc, epoch.boottime_ns});
  }
  Header header{};
};

/// Collects what the library says while a test runs.
struct LogTrap {
  static inline std::string lines;
  LogTrap() {
    lines.clear();
    set_log([](Severity, std::string_view line, void*) noexcept {
      lines.append(line).push_back('\n');
    });
  }
  ~LogTrap() { set_log(nullptr); }
};

bool near(std::uint64_t a, std::uint64_t b, std::uint64_t ns) {
  return a < b ? b - a <= ns : a - b <= ns;
}

TEST_CASE("a_manual_clock_stands_still_until_it_is_advanced") {
  Words words;
  Clock clock(start_clock(false, ClockKind::manual), words.header, true);
  CHECK(clock.now() == 0);
  clock.advance(5);
  CHECK(clock.now() == 5);
  CHECK(clock.drift_allowance(1'000'000) == 0);
}

TEST_CASE("the_boottime_clock_counts_from_the_epoch") {
  Words words;
  const ClockEpoch epoch = start_clock(false, ClockKind::boottime);
  Clock clock(epoch, words.header, true);
  const std::uint64_t now = clock.now();
  CHECK(near(now, read_boottime_ns() - epoch.boottime_ns, 10'000'000'000));
  CHECK(clock.now() >= now);
}

TEST_CASE("the_tsc_never_goes_back_and_keeps_pace_with_the_kernel") {
  if (!tsc_is_trusted()) {
    test::skip("no trusted TSC here");
    return;
  }
  const ClockEpoch epoch = start_clock(true, ClockKind::boottime);
  REQUIRE(epoch.kind == ClockKind::tsc);
  Words words(epoch);
  Clock clock(epoch, words.header, true);
  std::uint64_t last = clock.now();
  const std::uint64_t kernel = read_boottime_ns();
  while (read_boottime_ns() - kernel < 150'000'000) {
    const std::uint64_t now = clock.now();
    REQUIRE(now >= last);
    last = now;
  }
  CHECK_FALSE(clock.left_tsc());
  CHECK(near(clock.now(), read_boottime_ns() - epoch.boottime_ns, 10'000'000));
}

TEST_CASE(
    "a_tsc_that_runs_wrong_is_left_by_all_together_and_time_goes_on_from_the_last_good_reading") {
  if (!tsc_is_trusted()) {
    test::skip("no trusted TSC here");
    return;
  }
  for (const std::uint64_t factor : {2U, 16U}) {  // forged calibration: the TSC seems to race
    LogTrap trap;
    ClockEpoch epoch = start_clock(true, ClockKind::tsc);
    Words words(epoch);
    Clock honest(epoch, words.header, true);
    const std::uint64_t before = honest.now();
    epoch.ns_per_tick_32 *= factor;
    epoch.tsc = __builtin_ia32_rdtsc();
    epoch.boottime_ns = read_boottime_ns();
    const SlotWords honest_anchor = words.header.clock_anchor.words();  // from before that
    REQUIRE(
        words.header.clock_anchor.compare_exchange(honest_anchor, {epoch.tsc, epoch.boottime_ns}));
    Clock forged(epoch, words.header, true);
    (void)forged.now();
    const std::uint64_t start = read_boottime_ns();
    while (!forged.left_tsc() && read_boottime_ns() - start < 2'000'000'000) (void)forged.now();
    REQUIRE(forged.left_tsc());
    CHECK(honest.left_tsc());  // the word is shared
    CHECK(trap.lines.find("CLOCK_BOOTTIME") != std::string::npos);
    const std::uint64_t left = forged.now();
    CHECK(left <= (read_boottime_ns() - epoch.boottime_ns) * factor);
    CHECK(forged.now() >= left);
    CHECK(near(honest.now(), forged.now(), 10'000'000));
    CHECK(honest.now() > before);
  }
}

TEST_CASE("a_tsc_from_before_its_epoch_is_left_at_the_first_look") {
  if (!tsc_is_trusted()) {
    test::skip("no trusted TSC here");
    return;
  }
  LogTrap trap;
  ClockEpoch epoch = start_clock(true, ClockKind::tsc);
  epoch.tsc += std::uint64_t{1} << 40;  // as after a restore on another host
  Words words(epoch);
  Clock clock(epoch, words.header, true);
  const std::uint64_t now = clock.now();
  CHECK(clock.left_tsc());
  CHECK(near(now, read_boottime_ns() - epoch.boottime_ns, 10'000'000'000));
}

TEST_CASE("a_process_that_may_not_read_the_tsc_takes_all_off_it_instead_of_dying") {
  if (!tsc_is_trusted()) {
    test::skip("no trusted TSC here");
    return;
  }
  test::Shared<Words> words;
  const ClockEpoch epoch = start_clock(true, ClockKind::tsc);
  words[0].start(epoch);
  test::Child child([&] {
    set_log([](Severity, std::string_view, void*) noexcept {});
    if (::prctl(PR_SET_TSC, PR_TSC_SIGSEGV) != 0) ::_exit(2);
    Clock clock(epoch, words[0].header, true);
    ::_exit(near(clock.now(), read_boottime_ns() - epoch.boottime_ns, 10'000'000'000) ? 0 : 3);
  });
  CHECK(child.wait() == 0);
  Clock clock(epoch, words[0].header, true);
  CHECK(clock.left_tsc());
}

TEST_CASE("the_look_hook_runs_at_least_every_1024_calls_and_at_once_in_a_forked_child") {
  for (const ClockKind kind : {ClockKind::manual, ClockKind::boottime, ClockKind::tsc}) {
    if (kind == ClockKind::tsc && !tsc_is_trusted()) continue;
    const ClockEpoch epoch = start_clock(false, kind);
    Words words(epoch);
    Clock clock(epoch, words.header, true);
    int looks = 0;
    clock.set_look_hook(
        [](void* count) noexcept {
          ++*static_cast<int*>(count);
          return true;
        },
        &looks);
    (void)clock.now();
    CHECK(looks == 1);
    for (int i = 0; i < 10'240; ++i) (void)clock.now();
    CHECK(looks >= 11);
    const int before = looks;
    const std::uint64_t mine = clock.now();
    for (int i = 0; i < 10'240; ++i) (void)clock.count_call(mine);
    CHECK(looks >= before + 9);
    test::Child child([&] {
      const int inherited = looks;
      (void)clock.now();
      ::_exit(looks == inherited + 1 ? 0 : 1);
    });
    CHECK(child.wait() == 0);
  }
}

TEST_CASE("a_segment_that_ran_for_days_is_left_without_a_jump_in_time") {
  if (!tsc_is_trusted()) {
    test::skip("no trusted TSC here");
    return;
  }
  LogTrap trap;
  ClockEpoch epoch = start_clock(true, ClockKind::tsc);
  // Ten days ago, and the TSC has drifted from the kernel's clock by 20 ppm since: 17 s.
  constexpr std::uint64_t kTenDays = 864'000ULL * 1'000'000'000;
  constexpr std::uint64_t kDrift = kTenDays / 50'000;
  __extension__ using Wide = unsigned __int128;
  const ClockEpoch now = epoch;
  epoch.tsc -= static_cast<std::uint64_t>((Wide{kTenDays + kDrift} << 32) / epoch.ns_per_tick_32);
  epoch.boottime_ns -= kTenDays;
  Words words(now);  // what some process saw a moment ago
  Clock clock(epoch, words.header, true);
  const std::uint64_t before = clock.now();
  CHECK(near(before, kTenDays + kDrift, 10'000'000'000));
  CHECK_FALSE(clock.left_tsc());
  // The TSC jumps, as another thread sees at its first look.
  words.header.clock_anchor.compare_exchange(words.header.clock_anchor.words(),
                                             {now.tsc - (std::uint64_t{1} << 36), now.boottime_ns});
  Clock late(epoch, words.header, true);
  const std::uint64_t after = late.now();
  CHECK(late.left_tsc());
  CHECK(near(after + (static_cast<std::uint64_t>(
                         (Wide{std::uint64_t{1} << 36} * epoch.ns_per_tick_32) >> 32)),
             before, 10'000'000'000));
}

TEST_CASE("where_the_hook_says_that_clocks_differ_there_is_no_time") {
  for (const ClockKind kind : {ClockKind::manual, ClockKind::boottime, ClockKind::tsc}) {
    if (kind == ClockKind::tsc && !tsc_is_trusted()) continue;
    const ClockEpoch epoch = start_clock(false, kind);
    Words words(epoch);
    Clock clock(epoch, words.header, true);
    clock.set_look_hook([](void*) noexcept { return false; }, nullptr);
    for (int i = 0; i < 3; ++i) {
      CHECK(clock.now() == Clock::kNoTime);
      CHECK_FALSE(clock.count_call(0));
    }
    CHECK_FALSE(clock.left_tsc());
  }
}

TEST_CASE("a_process_token_is_the_process_own") {
  const std::uint64_t ours = process_token();
  CHECK(ours == process_token());
  test::Child child(
      [&] { ::_exit(process_token() != ours && process_token() == process_token() ? 0 : 1); });
  CHECK(child.wait() == 0);
}

}  // namespace
}  // namespace rl::shm
