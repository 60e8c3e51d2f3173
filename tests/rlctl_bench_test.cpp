// rlctl bench: that it measures what it says, and leaves nothing behind. No figure is held to anything.
#include <unistd.h>

#include <cmath>
#include <filesystem>

#include "tests/events.hpp"
#include "tests/rlctl.hpp"
#include "tests/web.hpp"

namespace rl::test {
namespace {

/// How many segments of a benchmark there are.
int segments_of(pid_t pid) {
  const std::string prefix = "rl.bench-" + std::to_string(pid) + "-";
  int count = 0;
  for (const auto& file : std::filesystem::directory_iterator("/dev/shm"))
    count += file.path().filename().string().starts_with(prefix) ? 1 : 0;
  return count;
}

/// Returns the size of a segment of a benchmark.
std::uintmax_t segment_size(pid_t pid) {
  return std::filesystem::file_size("/dev/shm/rl.bench-" + std::to_string(pid) + "-0");
}

/// A benchmark that runs until it is stopped, with its segments made.
class Running {
 public:
  explicit Running(const char* keys = "1000", const char* processes = "2") {
    const std::string path = rlctl_path();
    child_.emplace_back([&] {
      (void)::setpgid(0, 0);
      ::execl(path.c_str(), path.c_str(), "bench", "--seconds", "600", "--keys", keys,
              "--processes", processes, "--json", nullptr);
      ::_exit(127);
    });
    REQUIRE(poll_until([&] { return segments_of(child_.front().pid()) == 2; }));
  }
  Child* operator->() noexcept { return &child_.front(); }

 private:
  std::vector<Child> child_;
};

TEST_CASE("rows_for_one_key_and_many_allowed_and_denied_stand_beside_their_floor") {
  const Ran ran =
      rlctl({"bench", "--seconds", "1", "--keys", "2000", "--processes", "3", "--json"});
  CAPTURE(ran.err);
  REQUIRE(ran.exit_code == 0);
  const std::vector<Json> lines = json_lines(ran.out);
  REQUIRE(lines.size() == 1 + 4 + 4);
  CHECK(lines[0]["part"] == "machine");
  for (const char* name : {"version", "cpu", "cpus", "kernel", "clock", "warnings", "timing_ns"})
    CHECK(lines[0].contains(name));
  const char* const rows[] = {"one hot key, allowed", "one hot key, denied", "2000 keys, allowed",
                              "2000 keys, denied"};
  for (std::size_t i = 0; i < 4; ++i) {
    const Json& row = lines[1 + i];
    CHECK(row["row"] == rows[i]);
    for (const char* who : {"librl", "floor"}) {
      const Json& scores = row[who];
      const double each = scores["each_ns"]["median"];
      CHECK(each > 0);
      CHECK(scores["each_ns"]["min"] <= each);
      CHECK(scores["each_ns"]["max"] >= each);
      CHECK(std::abs(each * scores["decisions_per_s"].get<double>() - 1e9) < 1);
      CHECK(scores["p50_ns"]["median"] <= scores["p99_ns"]["median"]);
      CHECK(scores["p99_ns"]["median"] <= scores["p99_9_ns"]["median"]);
      CHECK(scores["p99_9_ns"]["median"] <= scores["longest_ns"]["median"]);
    }
    const double times = row["librl"]["each_ns"]["median"].get<double>() /
                         row["floor"]["each_ns"]["median"].get<double>();
    CHECK(std::abs(row["times_floor"].get<double>() - times) < 1e-6);
  }
  const int processes[] = {1, 1, 3, 3};
  for (std::size_t i = 0; i < 4; ++i) {
    const Json& row = lines[5 + i];
    CHECK(row["processes"] == processes[i]);
    CHECK(row["keys_each"] == (i % 2 == 0 ? 1 : 1'000));
    CHECK(row["librl_million_per_s"]["median"] > 0);
    CHECK(row["floor_million_per_s"]["median"] > 0);
  }
}

TEST_CASE("one_process_has_its_rows_once") {
  const Ran ran =
      rlctl({"bench", "--seconds", "1", "--keys", "1000", "--processes", "1", "--json"});
  REQUIRE(ran.exit_code == 0);
  CHECK(json_lines(ran.out).size() == 1 + 4 + 2);
}

TEST_CASE("a_share_is_told_of_a_floor_that_was_the_same_in_all_rounds") {
  const Ran ran = rlctl({"bench", "--seconds", "1", "--keys", "1000", "--json"});
  REQUIRE(ran.exit_code == 0);
  const std::vector<Json> lines = json_lines(ran.out);
  for (std::size_t i = 5; i < lines.size(); ++i) {
    const Json& floor = lines[i]["floor_million_per_s"];
    const bool is_quiet = floor["max"].get<double>() <= 1.3 * floor["min"].get<double>();
    CHECK(lines[i]["share_of_floor"].is_number() == is_quiet);
    if (!is_quiet)
      CHECK(lines[0]["warnings"].dump().find(lines[i]["row"].get<std::string>()) !=
            std::string::npos);
  }
}

TEST_CASE("people_get_the_machine_and_a_table") {
  const Ran ran = rlctl({"bench", "--seconds", "1", "--keys", "1000"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  CHECK(ran.out.starts_with("librl " RL_VERSION ", bench of about 1 s: 9 interleaved rounds"));
  for (const char* part :
       {"machine  ", "x floor", "p99.9", "one hot key, denied", "1000 keys, allowed",
        "of which are the timing", "processes, one key", "of floor"})
    CHECK_MESSAGE(ran.out.find(part) != ran.out.npos, part);
}

TEST_CASE("there_is_room_for_the_keys_of_all_processes") {
  Running running("100", "5");
  const Scratch scratch({.keys = 5'000});
  CHECK(segment_size(running->pid()) == std::filesystem::file_size(scratch.path()));
}

TEST_CASE("nothing_is_left_whatever_signal_ends_it") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGKILL}) {
    CAPTURE(number);
    Running running;
    const pid_t pid = running->pid();
    running->signal(number);
    (void)running->wait();
    CHECK(poll_until([&] { return segments_of(pid) == 0; }));
  }
}

TEST_CASE("nothing_is_left_when_its_whole_group_is_killed") {
  Running running;
  const pid_t pid = running->pid();
  REQUIRE(::kill(-pid, SIGKILL) == 0);
  (void)running->wait();
  CHECK(poll_until([&] { return segments_of(pid) == 0; }));
}

TEST_CASE("a_reader_that_goes_ends_it_and_nothing_is_left") {
  const Ran ran =
      shell("{ \"$RLCTL\" bench --seconds 1 --keys 1000 & echo $! >&2; wait; } | head -1; true");
  CHECK(ran.out.starts_with("librl " RL_VERSION));
  const pid_t pid = std::atoi(ran.err.c_str());
  REQUIRE(pid > 0);
  CHECK(poll_until([&] { return segments_of(pid) == 0; }));
}

TEST_CASE("what_is_typed_wrong_is_explained") {
  check_error(rlctl({"bench", "--seconds", "0"}), "--seconds 0: give at least 1");
  check_error(rlctl({"bench", "--processes", "0"}), "--processes 0: give at least 1");
  check_error(rlctl({"bench", "--keys", "0"}), "--keys 0: give at least 1");
  check_error(rlctl({"bench", "--keys", "17M"}), "--keys");
  check_error(rlctl({"bench", "--processes", "1001"}), "--processes");
}

}  // namespace
}  // namespace rl::test
