// A forged calibration of the TSC, and processes that decide by it: all leave it together, none gets
// more of a key than a burst beyond its limit, and no key stays denied for it.

#include <doctest/doctest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "shm/mapping.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::chrono::nanoseconds;

constexpr std::size_t kProcesses = 4;
constexpr std::size_t kKeys = 3;
constexpr nanoseconds kRunFor = 400ms;  // by the kernel's clock
constexpr nanoseconds kTooLong = 20s;

// A thread looks at the kernel's clock again at the latest when its TSC says that 100 ms have passed
// since its last look. So much time and no more can a forged TSC claim, whatever its factor is: one
// that runs 16 times too fast is found out 16 times sooner. A burst is what passes in that time.
constexpr nanoseconds kUntilLook(shm::Clock::kCheckNs);
constexpr std::uint64_t kBurst = 100;
constexpr nanoseconds kInterval = 1ms;
static_assert(kUntilLook <= kInterval * kBurst);

std::string key_of(std::size_t i) {
  return "user:" + std::to_string(i);
}

nanoseconds since(std::uint64_t boottime_ns) {
  return nanoseconds(static_cast<std::int64_t>(shm::read_boottime_ns() - boottime_ns));
}

/// What the TSC seems to do: so many times of the truth.
struct Factor {
  std::uint64_t times;
  std::uint64_t parts;
};
constexpr std::array kFactors{Factor{2, 1}, Factor{16, 1}, Factor{1, 2}, Factor{1, 16}};

/// How processes come to believe the forged TSC, and what they do then.
enum class Way {
  found_out_at_once,  ///< the first look of each compares with the instant of the creation
  busy,               ///< the first look sees nothing yet; then calls without a pause
  calm,               ///< the same; calls so rare that none of a hundred looks
};

/// What the processes of a trial share.
struct Seen {
  std::atomic<std::size_t> ready;  ///< processes that had their first look
  std::atomic<bool> late;          ///< the TSC was left before anybody decided by it
  std::array<std::atomic<std::uint64_t>, kKeys> admitted;
  std::array<std::atomic<std::uint64_t>, kKeys> by_tsc;  ///< of these: asked before it was left
  std::atomic<std::int64_t> back_ns;                     ///< the longest step back of time
  std::atomic<std::int64_t> longest_wait_ns;             ///< that a denial asked for
  std::atomic<std::size_t> left;  ///< processes that are off the TSC, and say so
};

bool has_decided_by_tsc(const Seen& seen) {
  return std::any_of(seen.by_tsc.begin(), seen.by_tsc.end(),
                     [](const auto& admitted) { return admitted != 0; });
}

void raise_to(std::atomic<std::int64_t>& most, std::int64_t value) {
  std::int64_t before = most.load();
  while (before < value && !most.compare_exchange_weak(before, value)) {  // ends: it only grows
  }
}

/// Holds processes back without having them spin: who renews the anchor needs a CPU.
class Gate {
 public:
  void open() const noexcept {
    const std::uint64_t all = kProcesses;
    REQUIRE(::write(event_.get(), &all, sizeof all) == sizeof all);
  }
  void wait() const noexcept {
    std::uint64_t one = 0;
    REQUIRE(::read(event_.get(), &one, sizeof one) == sizeof one);
  }

 private:
  shm::Fd event_{::eventfd(0, EFD_SEMAPHORE | EFD_CLOEXEC)};
};

/// A segment whose header says that the TSC ticks in another measure than it does.
class Forged {
 public:
  explicit Forged(const Factor& factor)
      : segment_({.keys = 100, .clock = ClockSource::tsc}),
        bytes_(shm::Mapping::attach(segment_.path(), shm::Access::read_write, false)) {
    (void)segment_->limiter("api", Limit::per(1, kInterval).burst(kBurst));
    shm::HeaderConstants& constants = bytes_.header().constants;
    constants.ns_per_tick_32 = constants.ns_per_tick_32 * factor.times / factor.parts;
    constants.checksum = shm::header_checksum(constants);
  }
  [[nodiscard]] const std::string& name() const noexcept { return segment_.name(); }
  [[nodiscard]] Segment& creators() noexcept { return *segment_; }
  [[nodiscard]] std::uint64_t offset() const noexcept {
    return bytes_.header().boottime_offset_ns.load();
  }

  /// Has the first look of this thread see nothing wrong yet, however long it took to get here: what
  /// it compares with is of just now. A look that came too late all the same is undone.
  void have_it_believed(const Segment& segment) noexcept {
    const std::uint64_t began = shm::read_boottime_ns();
    do {
      bytes_.header().boottime_offset_ns.store(0);
      renew_anchor();
      (void)segment.now();
    } while (offset() != 0 && since(began) < kTooLong);
  }

 private:
  /// Both clocks as they are now, in the place where a first look finds what others saw last.
  void renew_anchor() noexcept {
    constexpr std::uint64_t kTightTicks = 5'000;
    const std::uint64_t tsc = __builtin_ia32_rdtsc();
    const std::uint64_t boottime = shm::read_boottime_ns();
    if (__builtin_ia32_rdtsc() - tsc > kTightTicks) return;  // stopped in between
    shm::Slot& anchor = bytes_.header().clock_anchor;
    anchor.compare_exchange(anchor.words(), {tsc, boottime});
  }

  test::Scratch segment_;
  shm::Mapping bytes_;
};

/// One thread of a process of its own: looks once, and when all have done so decides until its time is
/// over.
void work(Segment& segment, Forged& forged, const Gate& gate, Seen& seen, Way way) {
  Limiter api = segment.limiter("api");
  if (way != Way::found_out_at_once) forged.have_it_believed(segment);
  Instant last = segment.now();
  ++seen.ready;
  gate.wait();
  if (way != Way::found_out_at_once && forged.offset() != 0 && !has_decided_by_tsc(seen)) {
    seen.late = true;
    return;
  }
  const std::uint64_t began = shm::read_boottime_ns();
  // Who is calm keeps to the TSC until a look is due, however long the kernel says that this takes.
  while (since(began) < kRunFor || (forged.offset() == 0 && since(began) < kTooLong)) {
    for (std::size_t i = 0; i < kKeys; ++i) {
      const bool by_tsc = forged.offset() == 0;
      const Instant now = segment.now();
      raise_to(seen.back_ns, (last - now).count());
      last = now;
      const Decision d = api.try_acquire(key_of(i));
      seen.admitted.at(i) += d.allowed ? 1 : 0;
      seen.by_tsc.at(i) += d.allowed && by_tsc ? 1 : 0;
      raise_to(seen.longest_wait_ns, d.retry_after.count());
    }
    if (way == Way::calm) std::this_thread::sleep_for(1ms);
  }
  // Its time is the kernel's, with the offset that all have.
  const std::uint64_t before = shm::read_boottime_ns() + forged.offset();
  const auto now = static_cast<std::uint64_t>(segment.now().time_since_epoch().count());
  const std::uint64_t after = shm::read_boottime_ns() + forged.offset();
  if (before <= now && now <= after && segment.info().tsc_left) ++seen.left;
}

/// Every key passes again when it says that it will, and that is soon.
void check_that_no_key_is_locked_out(Limiter api) {
  for (std::size_t i = 0; i < kKeys; ++i) {
    Decision d = api.try_acquire(key_of(i));
    if (d) continue;
    REQUIRE(d.reason == Reason::limited);
    REQUIRE(d.retry_after <= kUntilLook + kBurst * kInterval);
    std::this_thread::sleep_for(d.retry_after);
    d = api.try_acquire(key_of(i));
    REQUIRE(d.allowed);
  }
}

/// What holds, whatever the TSC claimed. `elapsed` has passed by the kernel's clock.
void check(Seen& seen, const Factor& factor, nanoseconds elapsed) {
  CHECK(seen.left == kProcesses);
  const std::uint64_t by_now = kBurst + static_cast<std::uint64_t>(elapsed / kInterval);
  for (std::size_t i = 0; i < kKeys; ++i) {
    CAPTURE(i);
    // On the TSC, from the first call on: a burst, and what passes until the look; and of each
    // process a call whose clock was read when the TSC had been left.
    CHECK(seen.by_tsc.at(i) <= 2 * kBurst + kProcesses);
    // And what it gave too early, the slot remembers: in the end it is no more than by a true clock,
    // but for the calls in flight.
    CHECK(seen.admitted.at(i) <= by_now + kProcesses);
    CHECK(seen.admitted.at(i) >= kBurst);
  }
  // A TSC that lagged is left forwards. One that raced is left for what is true: the time that it
  // claimed is taken back, once, and nobody waits for more than that.
  CHECK(nanoseconds(seen.back_ns) <= (factor.times > factor.parts ? kUntilLook : 0ns));
  const nanoseconds longest(seen.longest_wait_ns);
  CHECK(longest <= (kUntilLook + kInterval) * 1'001 / 1'000 + 1ns);
}

/// Returns whether the processes decided by the forged TSC, or were meant to find it out at once.
bool try_once(const Factor& factor, Way way) {
  Forged forged(factor);
  // From here on: a look that was good is where time goes on from when the TSC is left.
  const std::uint64_t began = shm::read_boottime_ns();
  while (way == Way::found_out_at_once && since(began) < 1ms) {
  }  // ends with the time that even half of shows beyond what is tolerated
  const Gate gate;
  test::Shared<Seen> shared;
  Seen& seen = shared[0];
  std::vector<test::Child> children;
  for (std::size_t p = 0; p < kProcesses; ++p) {
    children.emplace_back([&] {
      Segment segment = Segment::open(forged.name());
      // Attaching looks, too; a thread of its own has its first look yet to come.
      std::thread([&] { work(segment, forged, gate, seen, way); }).join();
    });
  }
  while (seen.ready < kProcesses) {
    REQUIRE(since(began) < 2 * kTooLong);
    std::this_thread::sleep_for(1ms);
  }
  CHECK((forged.offset() != 0) == (way == Way::found_out_at_once));
  gate.open();
  for (test::Child& child : children) REQUIRE(child.wait() == 0);
  if (seen.late) return false;
  check(seen, factor, since(began));
  CHECK(forged.creators().info().tsc_left);
  check_that_no_key_is_locked_out(forged.creators().limiter("api"));
  return way == Way::found_out_at_once || has_decided_by_tsc(seen);
}

void try_all_factors(Way way) {
  if (!shm::tsc_is_trusted()) {
    test::skip("no trusted TSC here");
    return;
  }
  set_log([](Severity, std::string_view, void*) noexcept {});
  for (const Factor& factor : kFactors) {
    CAPTURE(factor.times);
    CAPTURE(factor.parts);
    constexpr int kTries = 1'000;  // one may be kept from deciding until its next look is due
    int tries = 1;
    while (!try_once(factor, way) && tries < kTries) ++tries;
    CHECK(tries < kTries);
  }
  set_log(nullptr);
}

TEST_CASE("A_processes_that_find_a_forged_calibration_at_their_first_look_leave_the_tsc_together") {
  try_all_factors(Way::found_out_at_once);
}

TEST_CASE("A_busy_processes_on_a_forged_tsc_leave_it_together_and_give_away_at_most_a_burst") {
  try_all_factors(Way::busy);
}

TEST_CASE("A_calm_processes_on_a_forged_tsc_leave_it_together_and_give_away_at_most_a_burst") {
  try_all_factors(Way::calm);
}

}  // namespace
}  // namespace rl
