// The name is taken away under four workers that decide all the time: removed, or replaced by
// whatever else can bear a name, several times in a row. Each worker notices while it is used, says
// so, and meets the others on one segment; at the end the limit is shared, counted exactly.

#include <fcntl.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "shm/mapping.hpp"
#include "tests/world/world.hpp"

namespace rl::test {
namespace {

/// Four processes that decide on one limiter, in turn on a hot key, on old keys and on new ones.
class Workers {
 public:
  static constexpr std::size_t kCount = 4;

  explicit Workers(const Segment& segment) : segment_(segment) {
    for (std::size_t i = 0; i < kCount; ++i) children_.emplace_back([this, i] { work(i); });
    REQUIRE(everybody_decides_on());
  }

  /// Whether every worker says a line with `part` that it had not said before `forget_lines`.
  bool all_say(std::string_view part) {
    return until([&] { return all([&](std::size_t i) { return contains(said_[i].last, part); }); },
                 pause_a_little);
  }
  void forget_lines() {
    for (std::size_t i = 0; i < kCount; ++i) said_[i].last[0] = '\0';
  }
  /// Whether every worker gets a thousand more answers.
  bool everybody_decides_on() {
    std::uint64_t before[kCount];
    for (std::size_t i = 0; i < kCount; ++i) before[i] = decided_[i];
    return until(
        [&] { return all([&](std::size_t i) { return decided_[i] > before[i] + 1'000; }); },
        pause_a_little);
  }
  /// Lets all workers ask for `key` a thousand times each and returns how often they were admitted.
  int admissions_of(const std::string& key) {
    count_key_[0] = {};
    (void)key.copy(count_key_[0].text, sizeof count_key_[0].text - 1);
    admitted_[0] = 0;
    const int round = ++round_[0];
    REQUIRE(until([&] { return all([&](std::size_t i) { return counted_[i] == round; }); },
                  pause_a_little));
    return admitted_[0];
  }
  /// Ends all of them; whether each ended well.
  bool end() {
    stop_[0] = true;
    bool well = true;
    for (Child& child : children_) well = child.wait() == 0 && well;
    children_.clear();
    return well;
  }
  std::uint64_t decisions() {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kCount; ++i) sum += decided_[i];
    return sum;
  }

 private:
  struct Text {
    char text[64];
  };

  void work(std::size_t i) {
    listen(said_[i]);
    Limiter hot = segment_.limiter("hot", Limit::per_second(1'000'000));
    Limiter count = segment_.limiter("count", Limit::per_day(100));
    int counted = 0;
    for (std::uint64_t call = 0; !stop_[0]; ++call) {
      const bool fresh = call % 16 == 0;
      const Decision d = hot.try_acquire(fresh ? std::to_string(call / 16 % 500) : "hot");
      must(d.reason == Reason::ok || d.reason == Reason::limited, to_string(d.reason));
      ++decided_[i];
      if (const int round = round_[0]; round != counted) {
        const std::string key = count_key_[0].text;
        for (int tries = 0; tries < 1'000; ++tries) admitted_[0] += count.try_acquire(key) ? 1 : 0;
        counted_[i] = counted = round;
      }
    }
  }
  template <class Holds>
  bool all(Holds&& holds) {
    for (std::size_t i = 0; i < kCount; ++i)
      if (!holds(i)) return false;
    return true;
  }

  Segment segment_;
  Shared<Said> said_{kCount};
  Shared<std::atomic<std::uint64_t>> decided_{kCount};
  Shared<std::atomic<int>> counted_{kCount};
  Shared<std::atomic<int>> round_;
  Shared<std::atomic<int>> admitted_;
  Shared<Text> count_key_;
  Shared<std::atomic<bool>> stop_;
  std::vector<Child> children_;
};

/// Whatever the workers were through: they decide on one segment, which has the name, exactly.
void check_that_they_share_one(Workers& workers, const Scratch& segment, const std::string& key) {
  CHECK(workers.admissions_of(key) == 100);
  Segment seen = Segment::open_read_only(segment.name());
  CHECK(seen.limiter("count").peek(key).remaining == 0);
  CHECK(seen.find("count", key)->limit == 100);
}

/// Puts something else in the place of the name, at one instant.
void replace(const std::string& from, const std::string& to) {
  REQUIRE(::rename(from.c_str(), to.c_str()) == 0);
}

TEST_CASE("A_P_workers_whose_segment_is_removed_or_replaced_again_and_again_meet_on_one") {
  Scratch segment({.keys = 5'000});
  Workers workers(*segment);
  const std::string path = segment.path();
  check_that_they_share_one(workers, segment, "before");
  const int rounds = is_deep() ? 6 : 2;
  for (int round = 0; round < rounds; ++round) {
    CAPTURE(round);
    workers.forget_lines();
    if (round % 2 == 0) {
      REQUIRE(::unlink(path.c_str()) == 0);  // made anew, with what was spent
    } else {
      const std::string other = unique_name();
      (void)Segment::create(other, {.keys = 3'000});
      replace(shm::path_of(other), path);  // an empty one: the policies come along
    }
    CHECK(workers.all_say("moved over"));
    CHECK(workers.everybody_decides_on());
    if (round == 0) CHECK(workers.admissions_of("before") == 0);
    check_that_they_share_one(workers, segment, "round-" + std::to_string(round));
    CHECK(Segment::open_read_only(segment.name()).info().attached == Workers::kCount);
  }
  MESSAGE(workers.decisions() << " decisions tried in " << rounds << " rounds");
  CHECK(workers.end());
}

/// What may stand where the segment was, and what the library says of it.
struct Plant {
  std::string said;
  std::function<void(const std::string& path, const Scratch& elsewhere)> make;
};

std::vector<Plant> all_plants() {
  std::vector<Plant> plants = {
      {"symbolic link",
       [](const std::string& path, const Scratch& elsewhere) {
         std::filesystem::create_symlink(elsewhere.path(), path);
       }},
      {"layout 99/",
       [](const std::string& path, const Scratch&) {
         (void)Segment::create(path, {.keys = 100});
         std::fstream file(path, std::ios::binary | std::ios::in | std::ios::out);
         file.seekp(offsetof(shm::HeaderConstants, layout_version));
         const std::uint32_t version = 99;
         file.write(reinterpret_cast<const char*>(&version), sizeof version);
       }},
  };
  if (is_deep()) {
    plants.push_back({"not a regular file", [](const std::string& path, const Scratch&) {
                        REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
                      }});
    plants.push_back({"not a regular file", [](const std::string& path, const Scratch&) {
                        std::filesystem::create_directory(path);
                      }});
    plants.push_back({"too short", [](const std::string& path, const Scratch&) {
                        std::ofstream(path) << "short";
                      }});
  }
  return plants;
}

TEST_CASE("A_P_workers_go_on_together_beside_what_is_no_segment_and_meet_when_it_is_gone") {
  Scratch segment({.keys = 5'000});
  Scratch elsewhere({.keys = 5'000});
  Workers workers(*segment);
  const std::string path = segment.path();
  const std::vector<Plant> plants = all_plants();
  for (std::size_t i = 0; i < plants.size(); ++i) {
    const std::string& reason = plants[i].said;
    CAPTURE(i);
    CAPTURE(reason);
    workers.forget_lines();
    const std::string planted = path + ".planted";
    plants[i].make(planted, elsewhere);
    REQUIRE(::unlink(path.c_str()) == 0);
    // A worker may have made the segment anew in between: then it goes the way of the first.
    while (::renameat2(AT_FDCWD, planted.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) != 0)
      REQUIRE(::unlink(path.c_str()) == 0);
    CHECK(workers.all_say(reason));
    CHECK(workers.everybody_decides_on());
    CHECK(workers.admissions_of("beside-" + std::to_string(i)) == 100);
    CHECK(elsewhere->info().live == 0);  // nobody followed the link
    workers.forget_lines();
    std::filesystem::remove(path);
    CHECK(workers.all_say("moved over"));
    CHECK(workers.admissions_of("beside-" + std::to_string(i)) == 0);  // it came along
    check_that_they_share_one(workers, segment, "after-" + std::to_string(i));
  }
  MESSAGE(workers.decisions() << " decisions tried beside " << plants.size() << " other files");
  CHECK(workers.end());
}

TEST_CASE("A_P_workers_do_not_follow_a_segment_of_a_stranger") {
  if (::geteuid() != 0) {
    skip("needs root to give a segment away");
    return;
  }
  Scratch segment({.keys = 5'000});
  Workers workers(*segment);
  const std::string other = unique_name();
  (void)Segment::create(other, {.keys = 100, .mode = 0666, .owner = "65533"});
  workers.forget_lines();
  replace(shm::path_of(other), segment.path());
  CHECK(workers.all_say("--any-owner"));
  CHECK(workers.admissions_of("k") == 100);  // together, on the one they have
  CHECK(Segment::open_read_only(segment.name(), {.any_owner = true}).info().live == 0);
  workers.forget_lines();
  REQUIRE(::unlink(segment.path().c_str()) == 0);
  CHECK(workers.all_say("moved over"));
  check_that_they_share_one(workers, segment, "after");
  CHECK(workers.end());
}

TEST_CASE("P_a_name_that_changes_faster_than_anybody_looks_stops_nobody_and_ends_in_one_segment") {
  Scratch segment({.keys = 500});
  Workers workers(*segment);
  const std::string path = segment.path();
  const auto start = std::chrono::steady_clock::now();
  int changes = 0;
  while (std::chrono::steady_clock::now() - start < std::chrono::milliseconds(1'500)) {
    (void)::unlink(path.c_str());
    try {
      if (++changes % 3 == 0) (void)Segment::create(segment.name(), {.keys = 500});
    } catch (const Error& e) {
      CHECK(e.code() == Errc::exists);  // a worker was faster
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(changes % 20));
  }
  CHECK(workers.everybody_decides_on());
  (void)::unlink(path.c_str());
  (void)Segment::create(segment.name(), {.keys = 500});
  const auto all_attached = [&] {
    return Segment::open_read_only(segment.name()).info().attached == Workers::kCount;
  };
  CHECK(until(all_attached, pause_a_little));
  check_that_they_share_one(workers, segment, "after");
  MESSAGE(changes << " changes tried under " << workers.decisions() << " decisions");
  CHECK(workers.end());
}

}  // namespace
}  // namespace rl::test
