// Checks of what lies around a segment: its file, its file system, the host.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "tools/rlctl/doctor/checks.hpp"
#include "tools/rlctl/host/mapped_files.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kContainersRoom = 64 * kMiB;

std::uint64_t whole_mib(std::uint64_t bytes) {
  return (bytes + kMiB - 1) / kMiB;
}

std::vector<pid_t> pids_of(const std::vector<Holder>& holders, auto&& are_meant) {
  std::vector<pid_t> pids;
  for (const Holder& holder : holders)
    if (are_meant(holder)) pids.push_back(holder.pid);
  return pids;
}

}  // namespace

Findings check_that_it_opens(const HostFacts&, const SegmentFacts& segment) {
  if (segment.unopened.empty() || !segment.is_there) return {};
  const std::string name = shell_word(segment.name);
  const std::string why = escape(segment.unopened);
  switch (segment.unopened_code) {
    case Errc::not_a_segment:
      return {{Harm::bad, "what has its name is no segment of librl", why,
               fmt::format("rm {}", shell_word(segment.path))}};
    case Errc::wrong_version:
      return {
          {Harm::bad, "another version of librl made it, and this one cannot read it", why,
           fmt::format("rlctl rm {} --force   # after `rlctl dump` of the other version", name)}};
    case Errc::wrong_host:
      return {{Harm::bad, "its clock is not this one's", why,
               fmt::format("rlctl rm {} --force && rlctl create {}{}   # if it was made before a "
                           "reboot; else enter its time namespace: nsenter --time",
                           name, name, rights_of(segment))}};
    case Errc::corrupt:
      return {{Harm::bad, "nobody can open it", why,
               fmt::format("rlctl rm {} --force && rlctl create {}{}", name, name,
                           rights_of(segment))}};
    default:
      return {{Harm::warning, "it cannot be looked into", why,
               fmt::format("rlctl doctor {} --any-owner   # as root", name)}};
  }
}

Findings check_name(const HostFacts&, const SegmentFacts& segment) {
  const std::vector<pid_t> pids =
      pids_of(segment.holders, [](const Holder& holder) { return holder.is_nameless; });
  if (pids.empty()) return {};
  Finding finding;
  finding.harm = segment.is_there ? Harm::bad : Harm::warning;
  finding.symptom =
      segment.is_there
          ? fmt::format("{} count apart from all others", processes(pids))
          : fmt::format("{} go on with a segment that has lost its name", processes(pids));
  finding.cause = fmt::format(
      "the file was removed{} while they had it mapped, and they have made no call since, or may "
      "not open the new one",
      segment.is_there ? " or replaced" : "");
  finding.fix = fmt::format("kill {}   # and have them started anew", fmt::join(pids, " "));
  finding.numbers = {{"processes", pids.size()}};
  return {std::move(finding)};
}

Findings check_room(const HostFacts&, const SegmentFacts& segment) {
  const Room& room = segment.room;
  Findings findings;
  if (!room.is_tmpfs) {
    findings.push_back(
        {Harm::warning,
         fmt::format("{} is no tmpfs: what decisions write goes to a disk", escape(room.folder)),
         "it was created under a path of another file system",
         "rlctl create web   # a plain name lies in /dev/shm"});
  }
  if (!segment.is_there || room.bytes == 0) return findings;
  if (room.free_files == 0) {
    findings.push_back(
        {Harm::warning,
         fmt::format("{} has no inode left: no segment can be made there", escape(room.folder)),
         "other files take them",
         fmt::format("mount -o remount,nr_inodes=0 {}", shell_word(room.folder))});
  }
  if (room.free_bytes >= segment.bytes) return findings;
  const std::uint64_t needed = whole_mib(room.bytes + segment.bytes - room.free_bytes);
  findings.push_back(
      {Harm::warning,
       fmt::format("{} has {} free, and the segment takes {}", escape(room.folder),
                   human_bytes(room.free_bytes), human_bytes(segment.bytes)),
       room.bytes == kContainersRoom
           ? "containers get 64 MiB; were the segment removed, there is no room to make it anew"
           : "were the segment removed, there is no room to make it anew",
       fmt::format("mount -o remount,size={}m {}   # of a container: --shm-size={}m", needed,
                   shell_word(room.folder), needed),
       {{"free_bytes", room.free_bytes}, {"needed_bytes", segment.bytes}}});
  return findings;
}

Findings check_memory(const HostFacts& host, const SegmentFacts& segment) {
  if (!host.memory_max_bytes || segment.bytes == 0) return {};
  const std::uint64_t left =
      *host.memory_max_bytes - std::min(*host.memory_max_bytes, host.memory_used_bytes);
  if (left >= segment.bytes) return {};
  const std::uint64_t needed = host.memory_used_bytes + 2 * segment.bytes;
  return {{Harm::warning,
           fmt::format("this cgroup may take {} more, and the segment has {}", human_bytes(left),
                       human_bytes(segment.bytes)),
           "a segment counts for whoever makes it, and making it anew may end in an OOM kill",
           fmt::format("echo {} > {}", needed, shell_word(host.cgroup)),
           {{"memory_max_bytes", *host.memory_max_bytes},
            {"memory_used_bytes", host.memory_used_bytes},
            {"needed_bytes", segment.bytes}}}};
}

Findings check_huge_pages(const HostFacts& host, const SegmentFacts& segment) {
  const bool is_large = segment.bytes >= kContainersRoom;
  if (!is_large || !host.can_have_huge_pages || !segment.room.is_tmpfs || !segment.open ||
      segment.open->info.huge_bytes >= segment.bytes / 2)
    return {};
  return {{Harm::note,
           fmt::format("of its {} only {} lie in pages of 2 MiB", human_bytes(segment.bytes),
                       human_bytes(segment.open->info.huge_bytes)),
           "memory was too scattered when it was made, or small pages were asked for; most calls "
           "miss the TLB",
           fmt::format("echo 1 > /proc/sys/vm/compact_memory && {}", made_anew(segment, ""))}};
}

Findings check_remove_ipc(const HostFacts& host, const SegmentFacts& segment) {
  constexpr uid_t kFirstOfPeople = 1'000;  // below are systemd's "system users"
  const bool is_meant =
      segment.is_there && segment.is_in_shared_memory && segment.uid >= kFirstOfPeople;
  if (!is_meant || !host.logind_runs || !host.removes_ipc) return {};
  return {
      {Harm::warning,
       fmt::format("its file goes when user {} logs out for the last time", segment.uid),
       host.remove_ipc_set_in.empty()
           ? "systemd-logind has RemoveIPC=yes, as it has unless told otherwise"
           : fmt::format("systemd-logind has RemoveIPC=yes ({})", escape(host.remove_ipc_set_in)),
       "mkdir -p /etc/systemd/logind.conf.d && printf '[Login]\\nRemoveIPC=no\\n' > "
       "/etc/systemd/logind.conf.d/zz-librl.conf && systemctl kill -s HUP systemd-logind",
       {{"uid", std::uint64_t{segment.uid}}}}};
}

namespace {

void check_others(const SegmentFacts& segment, Findings& findings) {
  constexpr unsigned kOthersWrite = 0002;
  constexpr unsigned kOthersRead = 0004;
  const std::string path = shell_word(segment.path);
  if ((segment.mode & kOthersWrite) != 0) {
    findings.push_back(
        {Harm::bad, "every user of this host may change its limits, and cut it short",
         fmt::format("its mode is {:04o}", segment.mode), fmt::format("chmod o-rw {}", path)});
  } else if ((segment.mode & kOthersRead) != 0) {
    findings.push_back(
        {Harm::warning, "every user of this host sees its keys and its secret",
         fmt::format("its mode is {:04o}; who reads it can also keep newcomers from their seats",
                     segment.mode),
         fmt::format("chmod o-r {}", path)});
  }
}

void check_group(const SegmentFacts& segment, Findings& findings) {
  constexpr unsigned kGroupWrites = 0020;
  constexpr std::uint64_t kMany = 16;
  if ((segment.mode & kGroupWrites) == 0 || segment.group_users <= kMany) return;
  findings.push_back(
      {Harm::warning,
       fmt::format("{} users may change its limits", segment.group_users),
       fmt::format("its group {} may write it, and has so many", escape(segment.group)),
       fmt::format("groupadd --system --force librl && chgrp librl {}", shell_word(segment.path)),
       {{"users", segment.group_users}}});
}

void check_workers(const SegmentFacts& segment, Findings& findings) {
  std::vector<pid_t> pids;
  const Holder* first = nullptr;
  for (const Holder& holder : segment.holders) {
    if (holder.may_open || !holder.is_writer) continue;
    if (first == nullptr) first = &holder;
    pids.push_back(holder.pid);
  }
  if (first == nullptr) return;
  const bool is_apart = std::any_of(segment.holders.begin(), segment.holders.end(),
                                    [](const Holder& h) { return h.is_nameless && !h.may_open; });
  findings.push_back(
      {is_apart ? Harm::bad : Harm::warning,
       fmt::format("{} (user {}) may not open it", processes(pids), first->uid),
       fmt::format("its mode is {:04o}, of user {} and group {}: who dropped its privileges has it "
                   "only as long as it is mapped, and cannot follow a new one",
                   segment.mode, segment.uid, segment.gid),
       fmt::format("chgrp {} {} && chmod g+rw {}", first->gid, shell_word(segment.path),
                   shell_word(segment.path)),
       {{"processes", pids.size()}}});
}

}  // namespace

Findings check_permissions(const HostFacts&, const SegmentFacts& segment) {
  Findings findings;
  // What is no regular file, a link say, leads elsewhere, and nobody opens it as a segment.
  if (!segment.is_there || segment.unopened_code == Errc::not_a_segment) return findings;
  check_others(segment, findings);
  check_group(segment, findings);
  check_workers(segment, findings);
  return findings;
}

}  // namespace rl::ctl
