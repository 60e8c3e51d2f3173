#include "bench/machine.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string_view>

#include "shm/clock.hpp"

namespace rl::bench {
namespace {

/// Returns what the kernel says of the first CPU; empty where it has no such line.
std::string of_cpu(std::string_view what) {
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    const std::size_t colon = line.find(": ");
    if (line.starts_with(what) && colon != std::string::npos) return line.substr(colon + 2);
  }
  return {};
}

std::string cpu_model() {
  const std::string model = of_cpu("model name");
  return model.empty() ? "unknown" : model;
}

std::string compiler() {
#if defined(__clang__)
  return fmt::format("clang++ {}", __clang_version__);
#else
  return fmt::format("g++ {}", __VERSION__);
#endif
}

std::string kernel() {
  utsname name{};
  if (::uname(&name) != 0) return "unknown";
  return fmt::format("{} {} {}", name.sysname, name.release, name.machine);
}

/// Returns the CPU family's own word for "runs under a hypervisor".
bool is_virtual() {
  return of_cpu("flags").find(" hypervisor") != std::string::npos;
}

}  // namespace

Machine read_machine() {
  Machine machine;
  machine.cpu = cpu_model();
  machine.cores = static_cast<unsigned>(::sysconf(_SC_NPROCESSORS_ONLN));
  machine.kernel = kernel();
  machine.compiler = compiler();
  machine.clock = shm::tsc_is_trusted() ? "tsc" : "boottime";
  double loads[1] = {};
  if (::getloadavg(loads, 1) == 1) machine.load = loads[0];
  if (machine.load > 0.5) {
    machine.warnings.push_back(
        fmt::format("the machine looks busy (load {:.2f}): wait until it is idle", machine.load));
  }
  if (is_virtual()) machine.warnings.push_back("a virtual machine: neighbours may disturb");
#ifndef __OPTIMIZE__
  machine.warnings.emplace_back("built without optimisation");
#endif
  return machine;
}

}  // namespace rl::bench
