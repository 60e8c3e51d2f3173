#include "tools/rlctl/doctor/host_facts.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "shm/os.hpp"

namespace rl::ctl {
namespace {

namespace fs = std::filesystem;

std::string content_of(const fs::path& file) {
  std::ifstream in(file);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

/// Returns the files of logind's configuration in the order in which they count.
/// Source: logind.conf(5): the main file first, then all drop-ins by their names, of which one in
/// /etc hides one of the same name in /run, and that one in /usr/lib.
std::vector<fs::path> logind_files() {
  std::vector<fs::path> files;
  for (const char* folder : {"/usr/lib/systemd", "/run/systemd", "/etc/systemd"}) {
    std::error_code ignored;
    const fs::path main = fs::path(folder) / "logind.conf";
    if (fs::exists(main, ignored)) files.assign(1, main);
  }
  std::vector<fs::path> drop_ins;
  for (const char* folder : {"/etc/systemd", "/run/systemd", "/usr/lib/systemd"}) {
    std::error_code ignored;
    for (const auto& entry : fs::directory_iterator(fs::path(folder) / "logind.conf.d", ignored)) {
      const fs::path file = entry.path();
      const bool is_hidden = std::any_of(drop_ins.begin(), drop_ins.end(), [&](const fs::path& f) {
        return f.filename() == file.filename();
      });
      if (file.extension() == ".conf" && !is_hidden) drop_ins.push_back(file);
    }
  }
  std::sort(drop_ins.begin(), drop_ins.end(),
            [](const fs::path& a, const fs::path& b) { return a.filename() < b.filename(); });
  files.insert(files.end(), drop_ins.begin(), drop_ins.end());
  return files;
}

void note_remove_ipc(HostFacts& facts) {
  std::error_code ignored;
  facts.logind_runs = fs::exists("/run/systemd/seats", ignored);
  for (const fs::path& file : logind_files()) {
    if (const auto removes = remove_ipc_in(content_of(file))) {
      facts.removes_ipc = *removes;
      facts.remove_ipc_set_in = file;
    }
  }
}

std::optional<std::uint64_t> number_of(const std::string& file) {
  std::ifstream in(file);
  std::uint64_t number = 0;
  return in >> number ? std::optional(number) : std::nullopt;
}

/// Takes the limit of the cgroup, or of the nearest above it that has one.
/// Source: Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst of the kernel.
void note_cgroup(HostFacts& facts) {
  std::istringstream lines(content_of("/proc/self/cgroup"));
  for (std::string line; std::getline(lines, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (second == line.npos) continue;
    const std::string kinds = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool is_unified = kinds == ",,";
    if (!is_unified && kinds.find(",memory,") == kinds.npos) continue;
    const std::string root = is_unified ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    const std::string max = is_unified ? "memory.max" : "memory.limit_in_bytes";
    const std::string used = is_unified ? "memory.current" : "memory.usage_in_bytes";
    // Ends: each turn takes a part off. In a container the root is its own cgroup.
    for (std::string path = line.substr(second + 1);; path.resize(path.rfind('/'))) {
      const std::string folder = root + (path == "/" ? "" : path);
      const auto limit = number_of(folder + "/" + max);
      constexpr std::uint64_t kNone = std::uint64_t{1} << 60;  // the first version's word for none
      if (limit && *limit < kNone) {
        facts.memory_max_bytes = limit;
        facts.memory_used_bytes = number_of(folder + "/" + used).value_or(0);
        facts.cgroup = folder + "/" + max;
        return;
      }
      if (path.empty() || path == "/") break;
    }
  }
}

void note_clocks(HostFacts& facts) {
  const std::string folder = "/sys/devices/system/clocksource/clocksource0/";
  const auto current = words_of(content_of(folder + "current_clocksource"));
  if (!current.empty()) facts.clocksource = current.front();
  facts.clocksources = words_of(content_of(folder + "available_clocksource"));
#if defined(__x86_64__)
  facts.is_x86 = true;
#endif
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);) {
    if (!line.starts_with("flags")) continue;
    const auto flags = words_of(line);
    const auto has = [&](const char* flag) {
      return std::find(flags.begin(), flags.end(), flag) != flags.end();
    };
    facts.has_invariant_tsc = has("constant_tsc") && has("nonstop_tsc");
    break;
  }
}

/// Whether the kernel makes huge pages for who asks: Linux 6.1 or later.
bool kernel_collapses() {
  utsname kernel{};
  int major = 0;
  int minor = 0;
  return ::uname(&kernel) == 0 && std::sscanf(kernel.release, "%d.%d", &major, &minor) == 2 &&
         std::pair(major, minor) >= std::pair(6, 1);
}

}  // namespace

std::optional<bool> remove_ipc_in(std::string_view text) {
  std::optional<bool> removes;
  bool is_login = false;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    line.erase(std::remove_if(line.begin(), line.end(),
                              [](char c) { return c == ' ' || c == '\t' || c == '\r'; }),
               line.end());
    if (line.starts_with('[')) is_login = line == "[Login]";
    constexpr std::string_view kKey = "RemoveIPC=";
    if (!is_login || !line.starts_with(kKey)) continue;
    const std::string value = line.substr(kKey.size());
    removes = value.empty() || value == "yes" || value == "1" || value == "true" || value == "on" ||
              value == "y" || value == "t";
  }
  return removes;
}

HostFacts facts_of_host() {
  HostFacts facts;
  note_remove_ipc(facts);
  note_cgroup(facts);
  note_clocks(facts);
  const std::string huge = content_of("/sys/kernel/mm/transparent_hugepage/shmem_enabled");
  facts.can_have_huge_pages =
      !huge.empty() && huge.find("[deny]") == huge.npos && kernel_collapses();
  facts.time_namespace = shm::time_namespace();
  return facts;
}

}  // namespace rl::ctl
