// There is no segment to be had, for every reason that there is, and then there is one again; and
// the same under load.
#include <doctest/doctest.h>
#include <grp.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstddef>
#include <fstream>

#include "shm/geometry.hpp"
#include "tests/in_processes.hpp"
#include "tests/rlctl.hpp"
#include "tests/world/world.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;

constexpr OnFailure kAll[] = {OnFailure::allow, OnFailure::deny, OnFailure::local};
const SegmentOptions kSmall{.keys = 100};

void write_garbage(const std::string& path) {
  std::ofstream(path) << std::string(5'000, 'x');
}

/// Why a segment cannot be had: makes it so, and what is said of it then.
struct Cause {
  const char* name;
  void (*make)(const std::string& path);
  const char* said;
};

const Cause kCauses[] = {
    {"something else", write_garbage, "not a librl segment"},
    {"an empty file", [](const std::string& path) { std::ofstream(path).close(); }, "too short"},
    {"a directory",
     [](const std::string& path) { must(::mkdir(path.c_str(), 0700) == 0, "mkdir"); },
     "not a regular file"},
    {"a symbolic link",
     [](const std::string& path) { must(::symlink("elsewhere", path.c_str()) == 0, "symlink"); },
     "a symbolic link"},
    {"a segment of another layout",
     [](const std::string& path) {
       (void)Segment::create(path, kSmall);
       const std::uint32_t version = shm::kLayoutVersion + 1;
       std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
       file.seekp(offsetof(shm::HeaderConstants, layout_version));
       file.write(reinterpret_cast<const char*>(&version), sizeof version);
     },
     "but this library"},
    {"a segment cut short",
     [](const std::string& path) {
       (void)Segment::create(path, kSmall);
       must(::truncate(path.c_str(), 8'192) == 0, "truncate");
     },
     "8192"},
};

/// Decides until the segment is there, for at most ten times the second that it may take.
bool comes_back(const Segment& segment, Limiter& limiter) {
  return until([&] { return !segment.fallback().active; },
               [&] { (void)limiter.try_acquire("asks"), pause_a_little(); });
}

/// What a first call of a key gets without a segment.
void must_stand_in(Limiter& api, OnFailure what) {
  const Decision d = api.try_acquire("k");
  must(d.allowed == (what != OnFailure::deny), "allowed or denied");
  must(d.reason == (what == OnFailure::local ? Reason::ok : Reason::unavailable), "why");
  must(what != OnFailure::local || d.limit == 10, "a part of the limit");
}

/// In the way of a segment, and out of it again.
void must_come_back(const Cause& cause, OnFailure what, const std::string& path) {
  cause.make(path);
  Said said;
  listen(said);
  Segment segment = Segment::open_or(path, kSmall, {.on_failure = what, .share = 4});
  must(said.lines == 1 && contains(said.last, "rate limiter unavailable: "), said.last);
  must(contains(said.last, cause.said), said.last);
  must(contains(segment.fallback().why, cause.said), segment.fallback().why);
  Limiter api = segment.limiter("api", Limit::per_day(40));
  must_stand_in(api, what);
  must(segment.fallback().active && said.lines == 1, "it is said once");

  std::filesystem::remove_all(path);
  must(comes_back(segment, api), "comes back");
  must(said.lines == 2 && contains(said.last, "available again"), said.last);
  must(api.limit() == Limit::per_day(40), "the whole limit");
  must(api.try_acquire("k").remaining == 39, "nothing was used of it");
  must(Segment::open(path).limiter("api").peek("k").remaining == 39, "it is the file's");
  must(segment.fallback().calls > 1 && !segment.fallback().why.empty(), "what was is told");
}

TEST_CASE("P_whatever_is_in_the_way_it_is_said_once_and_when_it_is_gone_all_is_as_it_should_be") {
  const Folder folder;
  in_processes(std::size(kCauses) * std::size(kAll), [&](std::size_t which) {
    const Cause& cause = kCauses[which / std::size(kAll)];
    must_come_back(cause, kAll[which % std::size(kAll)], folder.at(std::to_string(which)));
  });
}

TEST_CASE("a_file_that_somebody_else_put_right_is_used_with_what_is_in_it") {
  const Folder folder;
  const std::string path = folder.at("limits");
  for (const OnFailure what : kAll) {
    write_garbage(path);
    Said said;
    listen(said);
    Segment segment = Segment::open_or(path, kSmall, {.on_failure = what});
    Limiter api = segment.limiter("api", Limit::per_day(40));
    Limiter named = segment.limiter("named");
    Limiter missing = segment.limiter("missing");
    must_stand_in(named, what == OnFailure::local ? OnFailure::deny : what);
    Segment good = Segment::create(folder.at("good"), kSmall);
    CHECK(good.limiter("api", Limit::per_day(7)).try_acquire("k", 2));
    CHECK(good.limiter("named", Limit::per_day(9)).try_acquire("k", 2));
    std::filesystem::rename(folder.at("good"), path);
    CHECK(comes_back(segment, api));
    // The segment's limit stands, whatever was asked for.
    CHECK(api.try_acquire("k").remaining == 4);
    CHECK(api.differs());
    CHECK(until([&] { return named.limit() == Limit::per_day(9); }, pause_a_little));
    CHECK(named.try_acquire("k").remaining == 6);
    // Nobody has made this one yet; until somebody does, it answers as before.
    must_stand_in(missing, what == OnFailure::local ? OnFailure::deny : what);
    Limiter made = good.limiter("missing", Limit::per_day(3));
    CHECK(until([&] { return missing.limit() == Limit::per_day(3); }, pause_a_little));
    CHECK(missing.try_acquire("k").remaining == 2);
    set_log(nullptr);
    CHECK(Segment::remove(path));
  }
}

TEST_CASE("where_the_segment_is_there_or_can_be_made_nothing_stands_in") {
  const Folder folder;
  const std::string path = folder.at("limits");
  for (int round = 0; round < 2; ++round) {
    Segment segment = Segment::open_or(path, kSmall, {.on_failure = OnFailure::local, .share = 4});
    CHECK_FALSE(segment.fallback().active);
    CHECK(segment.fallback().calls == 0);
    CHECK(segment.fallback().why.empty());
    CHECK(segment.limiter("api", Limit::per_day(40)).try_acquire("k").remaining ==
          (round == 0 ? 39 : 38));
  }
}

TEST_CASE("what_the_caller_got_wrong_is_refused_whatever_stands_in") {
  const Folder folder;
  const std::string path = folder.at("limits");
  const auto refuse = [](Errc code, const std::string& name, const SegmentOptions& options,
                         const Fallback& fallback) {
    (void)refused(code, [&] { (void)Segment::open_or(name, options, fallback); });
  };
  refuse(Errc::bad_option, path, kSmall, {.share = 0});
  refuse(Errc::bad_option, path, kSmall, {.on_failure = static_cast<OnFailure>(3)});
  refuse(Errc::bad_option, path, {.keys = 0}, {});
  refuse(Errc::bad_name, "a name", kSmall, {});
  refuse(Errc::bad_name, "", kSmall, {});
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("P_a_folder_that_is_missing_is_waited_for") {
  const Folder folder;
  const std::string path = folder.at("later") + "/limits";
  Said said;
  listen(said);
  Segment segment = Segment::open_or(path, kSmall, {.on_failure = OnFailure::allow});
  CHECK(contains(said.last, "does it exist"));
  Limiter api = segment.limiter("api", Limit::per_day(40));
  CHECK(api.try_acquire("k").reason == Reason::unavailable);
  std::filesystem::create_directory(folder.at("later"));
  CHECK(comes_back(segment, api));
  CHECK(api.try_acquire("k").remaining == 39);
  set_log(nullptr);
}

TEST_CASE("A_a_name_that_is_free_is_left_for_two_seconds_to_those_who_still_have_the_segment") {
  const Folder folder;
  const std::string path = folder.at("limits");
  for (const bool somebody_has_it : {false, true}) {
    CAPTURE(somebody_has_it);
    Said said;
    listen(said);
    Limiter old = Segment::create(path, kSmall).limiter("api", Limit::per_day(40));
    CHECK(old.try_acquire("k", 30));
    write_garbage(folder.at("garbage"));
    std::filesystem::rename(folder.at("garbage"), path);
    Segment segment = Segment::open_or(path, kSmall, {.on_failure = OnFailure::deny});
    Limiter api = segment.limiter("api", Limit::per_day(40));
    std::filesystem::remove(path);
    const auto start = std::chrono::steady_clock::now();
    CHECK(until([&] { return !segment.fallback().active; },
                [&] {
                  (void)api.try_acquire("asks");
                  if (somebody_has_it) (void)old.try_acquire("asks");
                }));
    if (!somebody_has_it) CHECK(std::chrono::steady_clock::now() - start >= 2s);
    CHECK(api.try_acquire("k").remaining == (somebody_has_it ? 9 : 39));
    set_log(nullptr);
    CHECK(Segment::remove(path));
  }
}

TEST_CASE("P_who_may_not_open_the_segment_is_on_it_as_soon_as_he_may") {
  if (::geteuid() != 0) {
    skip("needs root to become somebody else");
    return;
  }
  constexpr unsigned kNobody = 65'534;
  Scratch segment(kSmall);
  Limiter api = segment->limiter("api", Limit::per_day(40));
  CHECK(api.try_acquire("k", 30));
  Shared<std::atomic<bool>> denied;
  Child worker([&] {
    const gid_t group = kNobody;
    must(::setgroups(1, &group) == 0 && ::setgid(kNobody) == 0 && ::setuid(kNobody) == 0, "become");
    Said said;
    listen(said);
    Segment own = Segment::open_or(segment.name(), kSmall, {.on_failure = OnFailure::local});
    must(contains(said.last, "may not open it"), said.last);
    Limiter limiter = own.limiter("api", Limit::per_day(40));
    must(limiter.try_acquire("k").remaining == 39, "on its own");
    denied[0] = true;
    must(comes_back(own, limiter), "comes back");
    must(limiter.try_acquire("k").remaining == 9, "one limit");
  });
  CHECK(until([&] { return denied[0].load(); }, pause_a_little));
  CHECK(::chmod(segment.path().c_str(), 0666) == 0);
  CHECK(worker.wait() == 0);
  CHECK(api.peek("k").remaining == 9);
}

TEST_CASE("P_a_segment_that_finds_no_room_is_made_when_there_is_some") {
  CHECK(is_well(on_tmpfs("size=256k", [](const std::string& folder) {
    const std::string path = folder + "/limits";
    Said said;
    listen(said);
    Segment segment = Segment::open_or(path, {.keys = 5'000}, {.on_failure = OnFailure::deny});
    must(contains(said.last, "MiB free"), said.last);
    Limiter api = segment.limiter("api", Limit::per_day(40));
    must(api.try_acquire("k").reason == Reason::unavailable, "denied");
    must(std::filesystem::is_empty(folder), "nothing is left");
    must(remount(folder, 0, "size=8m"), "room is made");
    must(comes_back(segment, api), "comes back");
    must(api.try_acquire("k").remaining == 39, "one limit");
    must(segment.info().keys == 5'000, "as it was to be");
  })));
}

TEST_CASE("P_a_process_without_descriptors_decides_and_is_on_the_segment_when_it_has_some") {
  Scratch segment(kSmall);
  Limiter api = segment->limiter("api", Limit::per_day(40));
  CHECK(api.try_acquire("k", 30));
  Child worker([&] {
    rlimit files{};
    must(::getrlimit(RLIMIT_NOFILE, &files) == 0, "getrlimit");
    const rlim_t before = std::exchange(files.rlim_cur, 3);
    must(::setrlimit(RLIMIT_NOFILE, &files) == 0, "no more files");
    Said said;
    listen(said);
    Segment own = Segment::open_or(segment.name(), kSmall, {.on_failure = OnFailure::local});
    must(contains(said.last, "EMFILE"), said.last);
    Limiter limiter = own.limiter("api", Limit::per_day(40));
    Limiter uploads = own.limiter("uploads", Limit::concurrency(2));
    must(limiter.try_acquire("k").remaining == 39, "on its own");
    // Who has no seat gets no permit, as everywhere.
    must(uploads.permit("k").decision().reason == Reason::unavailable, "no permit");
    files.rlim_cur = before;
    must(::setrlimit(RLIMIT_NOFILE, &files) == 0, "files again");
    must(comes_back(own, limiter), "comes back");
    must(limiter.try_acquire("k").remaining == 9, "one limit");
    must(bool(uploads.permit("k")), "a permit");
  });
  CHECK(worker.wait() == 0);
}

/// Counts how often a file is opened.
class Opens {
 public:
  explicit Opens(const std::string& path) : fd_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {
    must(::inotify_add_watch(fd_, path.c_str(), IN_OPEN) >= 0, "inotify");
  }
  Opens(const Opens&) = delete;
  Opens& operator=(const Opens&) = delete;
  ~Opens() { ::close(fd_); }
  /// How many there were since the last time. To be asked often: the kernel counts two in a row as
  /// one.
  int fresh() noexcept {
    char events[4'096];
    const ssize_t got = ::read(fd_, events, sizeof events);
    return got > 0 ? static_cast<int>(got / static_cast<ssize_t>(sizeof(inotify_event))) : 0;
  }

 private:
  int fd_;
};

TEST_CASE("P_a_stand_in_looks_for_the_segment_at_most_once_a_second_however_often_it_is_asked") {
  const Folder folder;
  const std::string path = folder.at("limits");
  write_garbage(path);
  for (const OnFailure what : kAll) {
    Said said;
    listen(said);
    Segment segment = Segment::open_or(path, kSmall, {.on_failure = what});
    Limiter api = segment.limiter("api", Limit::per_day(40));
    Limiter other = segment.limiter("other", Limit::concurrency(5));
    Opens opens(path);
    const auto start = std::chrono::steady_clock::now();
    int looks = 0;
    CHECK(until([&] { return (looks += opens.fresh()) >= 3; },
                [&] {
                  (void)api.try_acquire("k");
                  (void)other.permit("k");
                  (void)segment.now();
                }));
    CHECK(std::chrono::steady_clock::now() - start >= 2s);
    set_log(nullptr);
  }
}

TEST_CASE("a_permit_of_ones_own_is_lost_when_the_segment_is_there_and_one_for_none_is_not") {
  const Folder folder;
  const std::string path = folder.at("limits");
  for (const OnFailure what : {OnFailure::allow, OnFailure::local}) {
    write_garbage(path);
    Said said;
    listen(said);
    Segment segment = Segment::open_or(path, kSmall, {.on_failure = what});
    Limiter uploads = segment.limiter("uploads", Limit::concurrency(2, 1h));
    Permit before = uploads.permit("k");
    REQUIRE((before && before.holds() && before.renew()));
    std::filesystem::remove(path);
    CHECK(until([&] { return !segment.fallback().active; },
                [&] { (void)uploads.peek_permit("k"), pause_a_little(); }));
    const bool stands_for_none = what == OnFailure::allow;
    CHECK(before.holds() == stands_for_none);
    CHECK(before.renew() == stands_for_none);
    CHECK(before.fence() == 0);
    Permit a = uploads.permit("k");
    Permit b = uploads.permit("k");
    CHECK((a && b && a.fence() != 0));
    CHECK(before.release() == stands_for_none);
    CHECK_FALSE(uploads.permit("k"));
    set_log(nullptr);
    CHECK(Segment::remove(path));
  }
}

/// What four workers did in each part of the test, which all go through together.
enum Part : std::size_t { kAlone, kTogether, kReplaced, kRestored, kParts };
constexpr std::size_t kWorkers = 4;

struct Load {
  Shared<std::atomic<std::size_t>> part;
  Shared<std::atomic<int>> admitted{kParts * kWorkers};
  Shared<std::atomic<int>> calls{kParts * kWorkers};
  Shared<std::atomic<bool>> is_on_it{kWorkers};

  int admitted_in(Part p) {
    int sum = 0;
    for (std::size_t i = 0; i < kWorkers; ++i) sum += admitted[p * kWorkers + i];
    return sum;
  }
  /// Waits until each worker has made so many calls in a part.
  bool each_calls(Part p, int times) {
    return until(
        [&] {
          for (std::size_t i = 0; i < kWorkers; ++i)
            if (calls[p * kWorkers + i] < times) return false;
          return true;
        },
        pause_a_little);
  }
  bool all_are_on_it() {
    return until([&] { return is_on_it[0] && is_on_it[1] && is_on_it[2] && is_on_it[3]; },
                 pause_a_little);
  }
  /// A worker's calls, one after the other, until all parts are over. The part is read before a
  /// call, so that what is admitted belongs to it or to a later one.
  void work(std::size_t who, const Segment& segment, Limiter& api) {
    for (;;) {
      const std::size_t now = part[0];
      if (now == kParts) return;
      const std::string key = now == kAlone ? "alone" : "together";
      const Decision d = api.try_acquire(key);
      must(d.reason == Reason::ok || d.reason == Reason::limited, "always a true answer");
      admitted[now * kWorkers + who] += d ? 1 : 0;
      ++calls[now * kWorkers + who];
      is_on_it[who] = !segment.fallback().active;
    }
  }
};

TEST_CASE("A_P_four_processes_under_load_keep_their_parts_and_then_one_limit_again") {
  const Folder folder;
  const std::string path = folder.at("limits");
  write_garbage(path);
  constexpr int kLimit = 400;
  Load load;
  std::vector<Child> workers;
  for (std::size_t who = 0; who < kWorkers; ++who) {
    workers.emplace_back([&, who] {
      Said said;
      listen(said);
      Segment segment = Segment::open_or(path, {.keys = 1'000},
                                         {.on_failure = OnFailure::local, .share = kWorkers});
      must(segment.fallback().active, "not to be had");
      Limiter api = segment.limiter("api", Limit::fixed_window(kLimit, 24h * 365));
      load.work(who, segment, api);
    });
  }
  // Each keeps its part, though it asks for more.
  CHECK(load.each_calls(kAlone, 1'000));
  for (std::size_t who = 0; who < kWorkers; ++who)
    CHECK(load.admitted[kAlone * kWorkers + who] == kLimit / static_cast<int>(kWorkers));

  // Removed: one makes the segment, and all are on it.
  std::filesystem::remove(path);
  CHECK(load.all_are_on_it());
  load.part[0] = kTogether;
  CHECK(load.each_calls(kTogether, 1'000));
  CHECK(load.admitted_in(kTogether) == kLimit);
  CHECK(load.admitted_in(kAlone) <= 2 * kLimit);  // of another key, once alone and once together

  // Overwritten by garbage under their feet: they go on with what they have, all together.
  write_garbage(folder.at("garbage"));
  std::filesystem::rename(folder.at("garbage"), path);
  load.part[0] = kReplaced;
  const auto start = std::chrono::steady_clock::now();
  CHECK(until([&] { return std::chrono::steady_clock::now() - start > 1'500ms; }, pause_a_little));
  CHECK(load.each_calls(kReplaced, 1'000));
  // Who comes now keeps its part alone.
  Shared<std::atomic<bool>> is_late_on_its_own;
  Child late([&] {
    Said said;
    listen(said);
    Segment segment = Segment::open_or(path, {.keys = 1'000},
                                       {.on_failure = OnFailure::local, .share = kWorkers});
    Limiter api = segment.limiter("api", Limit::fixed_window(kLimit, 24h * 365));
    for (int i = 0; i < kLimit / static_cast<int>(kWorkers); ++i)
      must(bool(api.try_acquire("together")), "its part");
    must(!api.try_acquire("together"), "no more than its part");
    is_late_on_its_own[0] = true;
    must(comes_back(segment, api), "comes back");
    must(api.peek("together").remaining == 0, "to the one that the others had all the time");
  });
  CHECK(until([&] { return is_late_on_its_own[0].load(); }, pause_a_little));
  // And it is removed: they bring the segment back with what was spent.
  std::filesystem::remove(path);
  load.part[0] = kRestored;
  CHECK(until([&] { return is_there(path); }, pause_a_little));
  CHECK(load.each_calls(kRestored, 1'000));
  CHECK(load.admitted_in(kReplaced) + load.admitted_in(kRestored) == 0);

  CHECK(late.wait() == 0);
  CHECK(load.admitted_in(kReplaced) + load.admitted_in(kRestored) == 0);
  load.part[0] = kParts;
  for (Child& worker : workers) CHECK(worker.wait() == 0);
}

TEST_CASE(
    "A_S_processes_that_come_back_while_the_segment_comes_and_goes_have_one_limit_each_time") {
  const Folder folder;
  const std::string path = folder.at("limits");
  for (int round = 0; round < 3; ++round) {
    CAPTURE(round);
    write_garbage(path);
    Shared<std::atomic<int>> ready;
    Shared<std::atomic<int>> admitted;
    Child restorer([&] {
      must(until([&] { return ready[0] == 4; }, pause_a_little), "all are without");
      std::filesystem::remove(path);
    });
    in_processes(4, [&](std::size_t) {
      Said said;
      listen(said);
      Segment segment = Segment::open_or(path, kSmall, {.on_failure = OnFailure::deny});
      Limiter api = segment.limiter("api", Limit::per_day(1'000));
      must(segment.fallback().active, "without");
      ++ready[0];
      int mine = 0;
      must(until([&] { return !segment.fallback().active; },
                 [&] { mine += api.try_acquire("k") ? 1 : 0; }),
           "comes back");
      for (int i = 0; i < 2'000; ++i) mine += api.try_acquire("k") ? 1 : 0;
      admitted[0] += mine;
    });
    CHECK(restorer.wait() == 0);
    CHECK(admitted[0] == 1'000);
    CHECK(Segment::remove(path));
  }
}

TEST_CASE("A_S_threads_that_call_while_one_of_them_comes_back_lose_no_answer") {
  const Folder folder;
  const std::string path = folder.at("limits");
  write_garbage(path);
  Said said;
  listen(said);
  Segment segment = Segment::open_or(path, kSmall, {.on_failure = OnFailure::local, .share = 10});
  Limiter api = segment.limiter("api", Limit::fixed_window(1'000, 24h * 365));
  std::atomic<int> alone{0};
  std::atomic<int> strange{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      const auto start = std::chrono::steady_clock::now();
      while (segment.fallback().active && std::chrono::steady_clock::now() - start < kTenSeconds) {
        const Decision d = api.try_acquire("k");
        if (d && d.limit == 100) ++alone;
        if (d.reason != Reason::ok && d.reason != Reason::limited) ++strange;
      }
      for (int call = 0; call < 2'000; ++call) (void)api.try_acquire("k");
    });
  }
  std::filesystem::remove(path);
  for (std::thread& thread : threads) thread.join();
  CHECK_FALSE(segment.fallback().active);
  CHECK(alone == 100);
  CHECK(strange == 0);
  CHECK(segment.find("api", "k")->allowed_count <= 1'000);
  CHECK(api.peek("k").remaining == 0);
  CHECK(api.limit().count() == 1'000);
  set_log(nullptr);
}

}  // namespace
}  // namespace rl::test
