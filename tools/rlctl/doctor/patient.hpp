/// \file
/// What the doctor looks at: plain facts, so that every check can be tried with made-up ones.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/doctor/table_survey.hpp"

namespace rl::ctl {

/// A file system.
struct Room {
  std::string folder;
  bool is_tmpfs = true;
  std::uint64_t bytes = 0;  ///< 0: without a limit
  std::uint64_t free_bytes = 0;
  std::uint64_t free_files = 1;
};

struct HostFacts {
  bool logind_runs = false;
  bool removes_ipc = true;                        ///< systemd's default
  std::string remove_ipc_set_in;                  ///< the file that says so; empty: none
  std::optional<std::uint64_t> memory_max_bytes;  ///< of the cgroup
  std::uint64_t memory_used_bytes = 0;
  std::string cgroup;  ///< the file that holds the limit
  bool is_x86 = false;
  std::string clocksource;
  std::vector<std::string> clocksources;
  bool has_invariant_tsc = false;  ///< constant_tsc and nonstop_tsc
  bool can_have_huge_pages = false;
  ino_t time_namespace = 0;
};

/// A process that has the segment, or one that had its name.
struct Holder {
  pid_t pid = 0;
  uid_t uid = 0;
  gid_t gid = 0;
  bool is_writer = true;
  bool may_open = true;      ///< the file that has the name now
  bool is_nameless = false;  ///< it has one whose name is gone, or another's
  ino_t time_namespace = 0;
};

/// What counts of keys tell together; advisory, as they are.
struct Traffic {
  std::uint64_t keys = 0;
  std::uint64_t calls = 0;
  std::uint64_t most_calls = 0;            ///< of one key
  std::optional<std::string> most_called;  ///< absent: its text is not known whole
  std::string its_policy;
  std::uint64_t single_ipv6_keys = 0;  ///< addresses in a /64 that has others
  std::string widest_network;          ///< the /64 that has the most
  std::uint64_t widest_network_keys = 0;
};

struct OpenFacts {
  SegmentInfo info;
  ReaperInfo reaper;
  std::vector<PolicyInfo> policies;
  std::uint32_t ids_kept = 0;  ///< of policies, for bans and allowed keys
  std::uint32_t seats = 0;
  TableSurvey table;
  Traffic traffic;
};

struct SegmentFacts {
  std::string name;  ///< as rlctl takes it
  std::string path;
  bool is_there = true;  ///< a file has the name
  uid_t uid = 0;
  gid_t gid = 0;
  unsigned mode = 0600;
  std::uint64_t bytes = 0;
  std::string group;              ///< its name, or its number
  std::uint64_t group_users = 0;  ///< who is in that group, by the host's user database
  bool is_in_shared_memory = true;
  Room room;
  std::vector<Holder> holders;
  std::string unopened;  ///< why it cannot be opened; empty: it is
  Errc unopened_code = Errc::system;
  std::optional<OpenFacts> open;  ///< absent where it is not
};

}  // namespace rl::ctl
