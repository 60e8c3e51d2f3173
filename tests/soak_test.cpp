// A small segment under everything at once, for a while: keys that are never seen again, permits, and
// workers and reapers that are killed and replaced all the time. Nothing may grow, and nothing may be
// left behind: no slot, no permit, no seat. Some seconds long; ten minutes when RL_DEEP is set.

#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <random>
#include <vector>

#include "shm/mapping.hpp"
#include "tests/no_key_twice.hpp"
#include "tests/support.hpp"
#include "tests/web.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;
using std::chrono::steady_clock;

constexpr std::size_t kWorkers = 8;
constexpr std::size_t kReapers = 2;
constexpr std::uint64_t kPermits = 5;
/// How much a process may grow after the first tenth of its time: a page here and there is the C
/// library's, and what leaks a byte for each of a million keys is above it.
constexpr long kGrowthMaxKiB = 512;

/// Of a key that comes once. It owes less than the probe ever does, so the probe is never evicted.
Limit of_the_many() {
  return Limit::per_second(100).burst(2);
}
constexpr std::uint64_t kProbesBurst = 100;
constexpr std::chrono::nanoseconds kProbesInterval = 5ms;
Limit of_the_probe() {
  return Limit::per(1, kProbesInterval).burst(kProbesBurst);
}

/// What all workers count together.
struct Counts {
  std::atomic<bool> is_over;
  std::atomic<std::uint64_t> keys;
  std::atomic<std::uint64_t> probes;          ///< that were admitted
  std::atomic<std::uint64_t> permits;         ///< that were had
  std::atomic<std::uint64_t> wrong_releases;  ///< of permits that were held, and were not
};

/// What a worker does until it is killed, or all is over.
void work(Segment& segment, Counts& counts, std::uint64_t life) {
  Limiter many = segment.limiter("many");
  Limiter probe = segment.limiter("probe");
  Limiter uploads = segment.limiter("uploads");
  char key[32];
  for (std::uint64_t i = 0; !counts.is_over; ++i) {
    const int size =
        std::snprintf(key, sizeof key, "%llx-%llx", static_cast<unsigned long long>(life),
                      static_cast<unsigned long long>(i));
    (void)many.try_acquire({key, static_cast<std::size_t>(size)});
    ++counts.keys;
    if (i % 64 == 0 && probe.try_acquire("probe")) ++counts.probes;
    if (i % 256 != 0) continue;
    Permit permit = uploads.permit("k");
    if (!permit) continue;
    ++counts.permits;
    for (int call = 0; call < 16; ++call) (void)many.peek("probe");  // it may be killed with it
    if (!permit.release()) ++counts.wrong_releases;
  }
}

/// Returns a number of /proc/PID/status, in KiB: of the memory that is the process's own.
long own_memory_kib(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("RssAnon:")) return std::strtol(line.c_str() + 8, nullptr, 10);
  }
  return 0;
}

/// Watches that a process does not grow once it is warm.
class Growth {
 public:
  explicit Growth(pid_t pid) : pid_(pid), begin_(steady_clock::now()) {}
  void look(steady_clock::duration of) {
    const long now = own_memory_kib(pid_);
    const bool is_warm = ++looks_ > 3 && steady_clock::now() - begin_ > of / 10;
    (is_warm ? last_ : warm_) = is_warm ? std::max(last_, now) : std::max(warm_, now);
  }
  [[nodiscard]] long kib() const { return last_ - warm_; }
  [[nodiscard]] std::string text() const { return fmt::format("{} KiB, then {}", warm_, last_); }

 private:
  pid_t pid_;
  steady_clock::time_point begin_;
  int looks_ = 0;
  long warm_ = 0;  ///< the most in the first tenth
  long last_ = 0;  ///< the most after it
};

/// What was admitted of the probe by when, to hold it to its limit between any two looks.
class ProbeWatch {
 public:
  void look(const Segment& segment, const Counts& counts) {
    // Read between the two: what was counted came before `after`, what comes is after `before`.
    const std::int64_t before = segment.now().time_since_epoch().count();
    const std::uint64_t count = counts.probes;
    looks_.push_back({before, segment.now().time_since_epoch().count(), count});
  }
  /// Returns by how much the worst window is above its bound; 0: none is.
  [[nodiscard]] std::uint64_t excess() const {
    std::uint64_t worst = 0;
    for (std::size_t i = 0; i < looks_.size(); ++i) {
      for (std::size_t j = i + 1; j < looks_.size(); ++j) {
        const std::uint64_t got = looks_[j].count - looks_[i].count;
        const auto length = static_cast<std::uint64_t>(looks_[j].after_ns - looks_[i].before_ns);
        // Each worker may have been between its call and its count when the window began.
        const std::uint64_t most = kProbesBurst + length / kInterval_ns + kWorkers;
        worst = std::max(worst, got > most ? got - most : 0);
      }
    }
    return worst;
  }

 private:
  static constexpr auto kInterval_ns = static_cast<std::uint64_t>(kProbesInterval.count());
  struct Look {
    std::int64_t before_ns;
    std::int64_t after_ns;
    std::uint64_t count;
  };
  std::vector<Look> looks_;
};

Child start_reaper(const std::string& segment) {
  return Child([&] {
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, 2);
    const std::string reaper = program("RLREAPER");
    ::execl(reaper.c_str(), reaper.c_str(), segment.c_str(), "--idle", "10ms", "--rate", "10M",
            static_cast<char*>(nullptr));
    ::_exit(127);
  });
}

/// The whole of it: workers and reapers, and what is watched meanwhile.
class Soak {
 public:
  explicit Soak(steady_clock::duration length)
      : length_(length), scratch_({.keys = 2'000}), random_(seed()) {
    (void)scratch_->limiter("many", of_the_many());
    (void)scratch_->limiter("probe", of_the_probe());
    (void)scratch_->limiter("uploads", Limit::concurrency(kPermits, 24h));
    before_ = file();
    for (std::size_t i = 0; i < kWorkers; ++i) workers_.push_back(start_worker());
    for (std::size_t i = 0; i < kReapers; ++i) reapers_.push_back(start_reaper(scratch_.name()));
    REQUIRE(poll_until([&] { return scratch_->reaper().leads; }));
  }

  /// In the first half the leading reaper is killed, too, and the other takes over; in the second the
  /// last two live on.
  void run() {
    Growth worker(workers_[0].pid());
    kill_until(length_ / 2, true, [&] { worker.look(length_); });
    CHECK(poll_until([&] { return scratch_->reaper().leads; }));
    Growth first(reapers_[0].pid());
    Growth second(reapers_[1].pid());
    kill_until(length_ / 2, false, [&] {
      worker.look(length_);
      first.look(length_ / 2);
      second.look(length_ / 2);
    });
    MESSAGE(kills_ << " workers and " << takeovers_ << " leading reapers killed; "
                   << counts_[0].keys.load() << " keys, " << counts_[0].permits.load()
                   << " permits, " << counts_[0].probes.load() << " calls of the probe admitted");
    MESSAGE("memory of a worker " << worker.text() << "; of the reapers " << first.text() << " and "
                                  << second.text());
    CHECK(kills_ > 10);
    CHECK(takeovers_ > 0);
    CHECK(counts_[0].keys > 100'000);
    CHECK(counts_[0].permits > 100);
    CHECK(counts_[0].wrong_releases == 0);
    CHECK(probe_.excess() == 0);
    CHECK(counts_[0].probes > kProbesBurst);
    if (kSanitized) return;  // it keeps what was freed, to find who uses it
    CHECK(worker.kib() <= kGrowthMaxKiB);
    CHECK(first.kib() <= kGrowthMaxKiB);
    CHECK(second.kib() <= kGrowthMaxKiB);
  }

  void end() {
    const std::size_t alive = 1 + kWorkers + kReapers;
    CHECK(poll_until([&] { return scratch_->info().attached == alive; }));
    counts_[0].is_over = true;
    for (Child& child : workers_) CHECK(child.wait() == 0);
    CHECK(poll_until([&] { return scratch_->info().attached == 1 + kReapers; }));
    CHECK(scratch_->reaper().corrupt == 0);
    for (Child& reaper : reapers_) {
      reaper.signal(SIGTERM);
      CHECK(reaper.wait() == 0);
    }
    check_permits();
    check_seats();
    check_slots();
    CHECK(file() == before_);
  }

 private:
  struct File {
    off_t bytes;
    blkcnt_t blocks;
    friend bool operator==(const File&, const File&) = default;
  };

  Child start_worker() {
    const std::uint64_t life = random_();
    return Child([&] { work(*scratch_, counts_[0], life); });
  }

  template <class Look>
  void kill_until(steady_clock::duration length, bool leader_too, Look&& look) {
    const auto end = steady_clock::now() + length;
    auto next_look = steady_clock::now();
    auto next_takeover = steady_clock::now();
    while (steady_clock::now() < end) {
      ::usleep(
          static_cast<useconds_t>(random_() % 20'000));  // when they are killed is what is random
      // The first lives on.
      Child& worker = workers_[1 + random_() % (kWorkers - 1)];
      worker.signal(SIGKILL);
      if (worker.wait() == 128 + SIGKILL) ++kills_;
      worker = start_worker();
      if (leader_too && steady_clock::now() >= next_takeover) {
        take_over();
        next_takeover = steady_clock::now() + 1s;
      }
      if (steady_clock::now() < next_look) continue;
      next_look = steady_clock::now() + 50ms;
      look();
      if (probe_looks_++ % (is_deep() ? 8 : 1) == 0) probe_.look(*scratch_, counts_[0]);
      CHECK(file() == before_);
    }
  }

  /// Kills the reaper that leads: the other does, then.
  void take_over() {
    const auto leads = [&](const Child& reaper) {
      const ReaperInfo info = scratch_->reaper();
      return info.leads && info.pid == static_cast<std::uint32_t>(reaper.pid());
    };
    const std::size_t leader = leads(reapers_[0]) ? 0 : 1;
    reapers_[leader].signal(SIGKILL);
    (void)reapers_[leader].wait();
    Child& other = reapers_[1 - leader];
    const std::uint64_t rounds = scratch_->reaper().rounds;
    CHECK(poll_until([&] { return leads(other) && scratch_->reaper().rounds > rounds; }));
    reapers_[leader] = start_reaper(scratch_.name());
    ++takeovers_;
  }

  /// All permits can be taken, and no more.
  void check_permits() {
    Limiter uploads = scratch_->limiter("uploads");
    std::vector<Permit> permits;
    for (std::uint64_t i = 0; i < kPermits; ++i) {
      CHECK(poll_until([&] {
        Permit permit = uploads.permit("k");
        if (permit) permits.push_back(std::move(permit));
        return permits.size() == i + 1;
      }));
    }
    CHECK(!uploads.permit("k"));
  }

  /// Nobody but this process has one, and nobody ever found none: in a long run there were more
  /// processes than seats.
  void check_seats() {
    const shm::Mapping mapping =
        shm::Mapping::attach(scratch_.path(), shm::Access::read_only, false);
    const std::uint32_t seats = mapping.geometry().seat_capacity;
    std::uint64_t sitters = 0;
    for (std::uint32_t i = 0; i < seats; ++i)
      sitters += mapping.seats()[i].generation.load(std::memory_order_relaxed);  // of who is gone
    MESSAGE(sitters << " processes sat on " << seats << " seats");
    CHECK(sitters > kWorkers + kReapers);
    if (is_deep()) CHECK(sitters > seats);
    CHECK(scratch_->info().attached == 1);
    CHECK(scratch_->info().anonymous == 0);
  }

  /// A sweep finds nothing that stays.
  void check_slots() {
    check_that_no_key_has_two_slots(scratch_.path());
    Reaper reaper(*scratch_, 1ms);
    SweepReport report;
    CHECK(poll_until([&] {
      report = reaper.sweep(reaper.round());
      return report.free == report.slots;
    }));
    CHECK(report.slots == reaper.round());
    CHECK(report.live == 0);
    CHECK(report.standing == 0);
    CHECK(report.permits_out == 0);
    CHECK(report.tentatives == 0);
    CHECK(report.corrupt == 0);
    CHECK(report.unreadable == 0);
  }

  [[nodiscard]] File file() const {
    struct stat status {};
    REQUIRE(::stat(scratch_.path().c_str(), &status) == 0);
    return {status.st_size, status.st_blocks};
  }

  steady_clock::duration length_;
  Scratch scratch_;
  File before_{};
  std::mt19937_64 random_;
  Shared<Counts> counts_;
  std::vector<Child> workers_;
  std::vector<Child> reapers_;
  ProbeWatch probe_;
  std::uint64_t probe_looks_ = 0;
  std::uint64_t kills_ = 0;
  std::uint64_t takeovers_ = 0;
};

TEST_CASE("A_S_nothing_grows_and_nothing_is_left_whoever_is_killed") {
  INFO("seed ", seed());
  Soak soak(is_deep() ? steady_clock::duration(10min) : steady_clock::duration(5s));
  soak.run();
  soak.end();
}

}  // namespace
}  // namespace rl::test
