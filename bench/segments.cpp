/// \file
/// What a segment takes: bytes a key, the time to make one, and to attach.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <stdexcept>

#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"
#include "shm/geometry.hpp"

namespace rl::bench {
namespace {

constexpr std::uint64_t kMost = 16'000'000;

shm::Geometry geometry_of(const SegmentOptions& options) {
  return shm::geometry_for(options.keys, options.policies, shm::kSeatsMax, options.labels);
}

void bytes_grid(Report& report) {
  Grid grid{"Memory, from the layout: slots, counts and labels grow with the keys promised",
            {"keys promised", "MiB", "bytes a key", "MiB, no labels", "bytes a key, no labels"},
            {}};
  for (const std::uint64_t keys : {std::uint64_t{1'000}, std::uint64_t{65'536},
                                   std::uint64_t{1'000'000}, kMost, shm::kKeysMax}) {
    std::vector<std::string> row{fmt::format("{}", keys)};
    for (const bool labels : {true, false}) {
      const auto bytes =
          static_cast<double>(geometry_of({.keys = keys, .labels = labels}).total_bytes);
      row.push_back(fmt::format("{:.1f}", bytes / (1 << 20)));
      row.push_back(fmt::format("{:.1f}", bytes / static_cast<double>(keys)));
    }
    grid.rows.push_back(row);
  }
  report.add(grid);
}

/// Returns how many keys a segment can promise here with a fifth of the room to spare: as many as
/// wanted, or half of that, and so on.
std::uint64_t keys_that_fit(std::uint64_t wanted) {
  struct statvfs shm {};
  if (::statvfs("/dev/shm", &shm) != 0) throw std::runtime_error("/dev/shm cannot be asked");
  const auto memory = static_cast<std::uint64_t>(::sysconf(_SC_AVPHYS_PAGES)) *
                      static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t room =
      std::min(memory, std::uint64_t{shm.f_bavail} * std::uint64_t{shm.f_frsize});
  while (wanted > 1'000 && geometry_of({.keys = wanted}).total_bytes > room / 5 * 4) wanted /= 2;
  return wanted;
}

/// Microseconds of CPU time, most of them the kernel's: what other processes take is not counted.
double cpu_us() {
  timespec now{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double create_us(std::uint64_t keys) {
  const double before = cpu_us();
  const Scratch segment({.keys = keys});
  return cpu_us() - before;
}

/// A file of as many bytes that are there, and no more.
double allocate_us(std::uint64_t bytes) {
  const std::string path = "/dev/shm/" + unique_name();
  const RemovedFile removed(path);
  const double before = cpu_us();
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd < 0) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(errno)));
  const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes));
  ::close(fd);
  if (error != 0) throw std::runtime_error(fmt::format("{}: {}", path, std::strerror(error)));
  return cpu_us() - before;
}

void create_row(Report& report, std::uint64_t keys) {
  const std::uint64_t bytes = geometry_of({.keys = keys}).total_bytes;
  const std::string row = fmt::format("create, {} keys", keys);
  std::vector<Result> results{{row, "Segment::create", {}}, {row, "posix_fallocate", {}}};
  take_turns(results, report.options().turns(), [&](std::size_t i, unsigned) {
    return i == 0 ? create_us(keys) : allocate_us(bytes);
  });
  report.add(results, {{"posix_fallocate", at_most(1.3)}});
}

/// Returns the microseconds on the clock, as who starts a worker feels them, that it takes to attach;
/// the median of many.
double attach_us(const std::string& name, bool decides) {
  std::vector<double> all(51);
  for (double& us : all) {
    const auto begin = std::chrono::steady_clock::now();
    Segment segment = Segment::open(name);
    if (decides) (void)segment.limiter("generous", kGenerous).try_acquire(KeyText(0).view());
    us =
        std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
  }
  std::nth_element(all.begin(), all.begin() + 25, all.end());
  return all[25];
}

void attach_row(Report& report, std::uint64_t keys) {
  Scratch large({.keys = keys});
  Scratch small({.keys = 1'000});
  for (Scratch* segment : {&large, &small})
    (void)(*segment)->limiter("generous", kGenerous).try_acquire(KeyText(0).view());
  const std::string row = fmt::format("attach, {} keys", keys);
  std::vector<Result> results{
      {row, "Segment::open", {}}, {row, "and the first decision", {}}, {row, "1000 keys", {}}};
  take_turns(results, report.options().turns(), [&](std::size_t i, unsigned) {
    return attach_us(i == 2 ? small->name() : large->name(), i == 1);
  });
  report.add(results);
  report.hold(row, "Segment::open, us", results[0].median(), at_most(1'000));
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Says what a segment takes: memory, and the time to make one and to attach.");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  Report report(options,
                "Segments: CPU time to make one, beside allocating as many bytes; time to attach",
                "us");
  bytes_grid(report);
  const std::uint64_t wanted = options.quick ? 20'000 : kMost;
  const std::uint64_t keys = keys_that_fit(wanted);
  if (keys < wanted) report.skip(fmt::format("{} keys", wanted), "there is no room for so many");
  create_row(report, keys);
  attach_row(report, keys);
  report.finish();
  return 0;
}

}  // namespace rl::bench
