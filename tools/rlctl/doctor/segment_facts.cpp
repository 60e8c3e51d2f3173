#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <unordered_map>

#include "src/core.hpp"
#include "tools/rlctl/doctor/host_facts.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

Room room_of(const std::string& folder) {
  Room room;
  room.folder = folder;
  struct statvfs fs {};
  struct statfs kind {};
  if (::statvfs(folder.c_str(), &fs) != 0 || ::statfs(folder.c_str(), &kind) != 0) return room;
  room.is_tmpfs = kind.f_type == TMPFS_MAGIC;
  room.bytes = std::uint64_t{fs.f_blocks} * fs.f_frsize;
  room.free_bytes = std::uint64_t{fs.f_bavail} * fs.f_frsize;
  room.free_files = fs.f_files != 0 ? fs.f_favail : 1;
  return room;
}

/// Counts who is in a group: by its own list, and as their first.
std::uint64_t users_of(gid_t gid) {
  std::vector<std::string> names;
  if (const group* const entry = ::getgrgid(gid)) {
    for (char** member = entry->gr_mem; *member != nullptr; ++member) names.emplace_back(*member);
  }
  ::setpwent();
  while (const passwd* const user = ::getpwent())
    if (user->pw_gid == gid) names.emplace_back(user->pw_name);
  ::endpwent();
  std::sort(names.begin(), names.end());
  return static_cast<std::uint64_t>(std::unique(names.begin(), names.end()) - names.begin());
}

std::string group_name(gid_t gid) {
  const group* const entry = ::getgrgid(gid);
  return entry != nullptr ? entry->gr_name : fmt::format("{}", gid);
}

/// Whether the kernel would let a process open a file for writing, as far as mode and ids tell.
bool may_write(const Mapper& mapper, const SegmentFacts& segment) {
  if (mapper.uid == 0) return true;
  if (mapper.uid == segment.uid) return (segment.mode & 0600U) == 0600U;
  const bool is_in_group =
      std::find(mapper.groups.begin(), mapper.groups.end(), segment.gid) != mapper.groups.end();
  const unsigned needed = is_in_group ? 0060U : 0006U;
  return (segment.mode & needed) == needed;
}

void note_holders(const Mappers& mappers, FileId named, SegmentFacts& facts) {
  for (const Mapper& mapper : mappers.seen) {
    // Who has moved over to a new segment keeps the old one mapped for a while.
    const bool has_named =
        facts.is_there && std::any_of(mapper.files.begin(), mapper.files.end(),
                                      [&](const MappedFile& file) { return file.id == named; });
    for (const MappedFile& file : mapper.files) {
      const bool is_named = facts.is_there && file.id == named;
      const bool is_nameless = !has_named && file.is_deleted && file.path == facts.path;
      if (!is_named && !is_nameless) continue;
      facts.holders.push_back({mapper.pid, mapper.uid,
                               mapper.groups.empty() ? gid_t{0} : mapper.groups.front(),
                               file.is_writable, !facts.is_there || may_write(mapper, facts),
                               is_nameless, mapper.time_namespace});
    }
  }
}

OpenFacts look_inside(const std::string& name, const std::string& path, bool any_owner) {
  const Segment segment = Segment::open_read_only(name, {.any_owner = any_owner});
  const View view(shm::Mapping::attach(path, shm::Access::read_only, any_owner), path);
  OpenFacts facts;
  facts.info = segment.vitals();
  facts.info.huge_bytes = view.mapping.huge_bytes();
  facts.reaper = segment.reaper();
  facts.policies = segment.policies();
  facts.ids_kept = shm::ids_kept(view.policies.capacity());
  facts.seats = view.mapping.geometry().seat_capacity;
  facts.table = survey(view, std::numeric_limits<std::uint64_t>::max());
  facts.traffic = traffic_of(segment);
  return facts;
}

}  // namespace

Traffic traffic_of(const Segment& segment) {
  Traffic traffic;
  std::unordered_map<std::string, std::uint64_t> networks;  // by policy and 8 bytes of address
  constexpr std::size_t kNetworkBytes = 8;
  constexpr std::size_t kNetworksMax = 200'000;  // of more there are enough to tell
  segment.for_each_key([&](const KeyInfo& key) {
    if (key.part != SlotPart::key) return;
    ++traffic.keys;
    const std::uint64_t calls = key.allowed_count + key.denied_count;
    traffic.calls += calls;
    if (calls > traffic.most_calls) {
      traffic.most_calls = calls;
      traffic.most_called = key.key_truncated ? std::nullopt : key.key;
      traffic.its_policy = key.policy;
    }
    in6_addr address{};
    if (!key.key || key.key_truncated || ::inet_pton(AF_INET6, key.key->c_str(), &address) != 1 ||
        key.key->find('\0') != std::string::npos || networks.size() >= kNetworksMax)
      return;
    ++networks[key.policy + '\0' +
               std::string(reinterpret_cast<const char*>(&address), kNetworkBytes)];
  });
  for (const auto& [network, keys] : networks) {
    if (keys > 1) traffic.single_ipv6_keys += keys;
    if (keys <= traffic.widest_network_keys) continue;
    traffic.widest_network_keys = keys;
    in6_addr address{};
    std::memcpy(&address, network.data() + network.size() - kNetworkBytes, kNetworkBytes);
    char text[INET6_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET6, &address, text, sizeof text);
    traffic.widest_network = fmt::format("{}/64", text);
  }
  return traffic;
}

SegmentFacts facts_of_segment(const std::string& name, const HostSegments& host, bool any_owner) {
  SegmentFacts facts;
  facts.name = name;
  facts.path = shm::path_of(name);
  const std::string folder = facts.path.substr(0, facts.path.rfind('/'));
  facts.is_in_shared_memory = folder == kSharedMemory;
  facts.room = room_of(folder.empty() ? "/" : folder);
  const auto file = std::find_if(host.files.begin(), host.files.end(), [&](const SegmentFile& f) {
    return f.path == facts.path && f.state != FileState::nameless;
  });
  facts.is_there = file != host.files.end();
  if (facts.is_there) {
    facts.uid = file->uid;
    facts.gid = file->gid;
    facts.mode = file->mode;
    facts.bytes = file->bytes;
    facts.group = group_name(file->gid);
    facts.group_users = users_of(file->gid);
  }
  note_holders(host.mappers, facts.is_there ? file->id : FileId{}, facts);
  try {
    facts.open = look_inside(name, facts.path, any_owner);
    facts.is_there = true;  // also if it came while we looked
  } catch (const Error& e) {
    facts.is_there &= e.code() != Errc::not_found;  // it went while we looked
    facts.unopened = e.what();
    facts.unopened_code = e.code();
  }
  return facts;
}

}  // namespace rl::ctl
