/// \file
/// What `rlctl list` costs a key: as JSON and as a table, beside `cat` of the same bytes, which is
/// the floor, and beside `rlctl info`, which looks at as many slots and writes nothing of them.
///
/// All are programs of their own, which write into a pipe that is read here. The time is theirs on
/// the CPU, in user and kernel, from start to end: what other processes take is not counted.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <stdexcept>
#include <system_error>
#include <vector>

#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/scratch.hpp"

namespace rl::bench {
namespace {

using Words = std::vector<std::string>;

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

/// Nanoseconds on the CPU of all children that have ended.
double cpu_ns_of_children() {
  rusage used{};
  if (::getrusage(RUSAGE_CHILDREN, &used) != 0) fail("getrusage");
  const auto ns = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_usec) * 1e3;
  };
  return ns(used.ru_utime) + ns(used.ru_stime);
}

[[noreturn]] void become(const Words& command, int out) {
  if (::dup2(out, STDOUT_FILENO) < 0) fail("dup2");
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  ::execvp(words.front(), words.data());
  fail(command.front().c_str());
}

/// Reads to the end; what is read is added to `text`, if there is one.
void drain(int from, std::string* text) {
  static std::vector<char> buffer(1U << 20);
  while (true) {  // ends: the program does
    const ssize_t count = ::read(from, buffer.data(), buffer.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail("read");
    if (count == 0) return;
    if (text != nullptr) text->append(buffer.data(), static_cast<std::size_t>(count));
  }
}

/// Runs a program. Returns the nanoseconds that it took on the CPU.
double run_once(const Words& command, std::string* text = nullptr) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
  const double before = cpu_ns_of_children();
  Children children;
  children.fork([&] { become(command, ends[1]); });
  ::close(ends[1]);
  drain(ends[0], text);
  ::close(ends[0]);
  children.wait_for_all();
  return cpu_ns_of_children() - before;
}

struct Program {
  std::string name;
  Words command;
};

/// Runs the programs in turns.
void race(Report& report, const std::string& row, double keys,
          const std::vector<Program>& programs) {
  std::vector<Result> results;
  for (const Program& program : programs) results.push_back({row, program.name, {}});
  take_turns(results, report.options().turns(),
             [&](std::size_t i, unsigned) { return run_once(programs[i].command) / keys; });
  report.add(results);
}

/// Something to list: half of the keys denied once, and owing for a day.
void fill(Segment& segment, std::uint32_t keys) {
  Limiter limiter = segment.limiter("api", Limit::parse("100/d"));
  for (std::uint32_t i = 0; i < keys; ++i) {
    const KeyText key(i);
    const bool is_allowed = limiter.try_acquire(key.view(), 1 + i % 100).allowed;
    if (!is_allowed || (i % 2 == 0 && limiter.try_acquire(key.view(), 100).allowed))
      throw std::runtime_error("a row is not what it says it is");
  }
}

void rows(Report& report, std::uint32_t keys) {
  Scratch segment({.keys = keys});
  fill(*segment, keys);
  const std::string& name = segment->name();
  const Words list{RL_BENCH_RLCTL, "list", name};
  const auto with = [&](std::initializer_list<std::string> more) {
    Words words = list;
    words.insert(words.end(), more);
    return words;
  };
  const Program walk{"info", {RL_BENCH_RLCTL, "info", name}};
  const auto beside_cat = [&](const std::string& what, const Words& command) {
    std::string text;
    (void)run_once(command, &text);
    const std::string path = "/dev/shm/" + unique_name() + ".txt";
    const RemovedFile removed(path);
    std::ofstream(path, std::ios::binary) << text;
    race(report, fmt::format("{}, {} keys, {} MB", what, keys, text.size() / 1'000'000), keys,
         {{"list", command}, {"cat", {"cat", path}}, walk});
  };
  beside_cat("JSON", with({"--json"}));
  beside_cat("table", list);
  beside_cat("two columns, JSON", with({"--columns", "key,denied", "--json"}));
  race(report, fmt::format("of {} keys those denied most", keys), keys,
       {{"list", with({"--sort", "denied", "--rows", "10"})}, walk});
  race(report, fmt::format("of {} keys one in 100", keys), keys,
       {{"list", with({"--where", "key ~ '*00' and denied=1", "--json"})}, walk});
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times `rlctl list` beside cat of the same bytes.");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  Report report(options, "Listing keys: CPU time of a program, beside `cat` of what it writes",
                "ns a key");
  rows(report, options.quick ? 1'000 : 1'000'000);
  report.finish();
  return 0;
}

}  // namespace rl::bench
