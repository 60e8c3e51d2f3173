#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "shm/geometry.hpp"
#include "shm/mapping.hpp"
#include "tools/rlctl/selftest/machine.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::selftest {
namespace {

/// How the attempt to make a segment that is too large ended.
struct Attempt {
  enum Result : std::uint32_t { not_tried, refused, made, failed_otherwise };
  std::atomic<std::uint32_t> result;
  std::atomic<bool> in_own_tmpfs;
  std::atomic<bool> left_something;
  std::atomic<std::uint64_t> needed_bytes;
  std::atomic<std::uint64_t> room_bytes;
  char sentence[512];
};

bool write_file(const char* path, const std::string& text) {
  std::ofstream file(path);
  return static_cast<bool>(file << text << std::flush);
}

/// Gives this process a /dev/shm of 1 MiB that nobody else sees: a mount namespace, and for a user
/// without rights a user namespace around it.
bool enter_small_tmpfs() {
  const uid_t uid = ::geteuid();
  const gid_t gid = ::getegid();
  if (::unshare(CLONE_NEWNS) != 0) {
    if (::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return false;
    (void)write_file("/proc/self/setgroups", "deny");
    if (!write_file("/proc/self/uid_map", fmt::format("{} {} 1", uid, uid)) ||
        !write_file("/proc/self/gid_map", fmt::format("{} {} 1", gid, gid)))
      return false;
  }
  return ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=1777") == 0;
}

std::uint64_t bytes_for(std::uint64_t keys) {
  return shm::geometry_for(keys, SegmentOptions{}.policies, shm::kSeatsMax, true).total_bytes;
}

/// Runs in a process of its own. Where no small tmpfs can be had, a segment must be larger than all
/// of the real one: it is refused before any memory is taken, and the services of this machine
/// notice nothing.
void attempt_too_large(Attempt& attempt) {
  attempt.in_own_tmpfs = enter_small_tmpfs();
  struct statvfs fs {};
  if (::statvfs("/dev/shm", &fs) != 0 || fs.f_blocks == 0) return;
  attempt.room_bytes = std::uint64_t{fs.f_blocks} * fs.f_frsize;
  std::uint64_t keys = SegmentOptions{}.keys;
  while (bytes_for(keys) <= attempt.room_bytes) {
    keys *= 2;
    if (keys > shm::kKeysMax) return;  // there is room for the largest
  }
  attempt.needed_bytes = bytes_for(keys);
  const std::string name = scratch_name();
  try {
    (void)Segment::create(name, {.keys = keys});
    (void)Segment::remove(name);
    attempt.result = Attempt::made;
  } catch (const Error& e) {
    attempt.result = e.code() == Errc::no_space ? Attempt::refused : Attempt::failed_otherwise;
    std::strncpy(attempt.sentence, e.what(), sizeof attempt.sentence - 1);
  }
  struct stat st {};
  attempt.left_something = ::lstat(shm::path_of(name).c_str(), &st) == 0;
}

void check_refusal(Part& part) {
  const SharedArray<Attempt> memory(1);
  Attempt& attempt = memory[0];
  std::vector<Process> processes;
  processes.emplace_back([&] { attempt_too_large(attempt); });
  part.add(wait_for_all(processes, kPatience));
  const std::string sentence(attempt.sentence);
  const bool tried = attempt.result != Attempt::not_tried;
  part.counts.update(Json{{"too_large_tried", tried},
                          {"too_large_bytes", attempt.needed_bytes.load()},
                          {"too_large_room", attempt.room_bytes.load()},
                          {"too_large_refused", attempt.result == Attempt::refused}});
  if (!tried) {
    part.text += "; whether one that is too large is refused could not be tried: all fit here";
    return;
  }
  part.text += fmt::format("; one of {} on {} of {} refused with the needed and the free size",
                           ctl::human_bytes(attempt.needed_bytes),
                           attempt.in_own_tmpfs ? "a tmpfs of its own" : "/dev/shm",
                           ctl::human_bytes(attempt.room_bytes));
  const bool says_sizes =
      sentence.find(fmt::format("({} bytes)", attempt.needed_bytes.load())) != sentence.npos &&
      sentence.find(" MiB free") != sentence.npos;
  if (attempt.result == Attempt::made) {
    part.faults.emplace_back("a segment was made that does not fit");
  } else if (attempt.result != Attempt::refused || !says_sizes) {
    part.faults.push_back(
        fmt::format("a segment that does not fit was refused with: {}", sentence));
  }
  if (attempt.left_something)
    part.faults.emplace_back("a segment that was refused left a file behind");
}

void check_reservation(Part& part) {
  ScratchSegment segment({.keys = 10'000});
  struct stat st {};
  if (::stat(segment->path().c_str(), &st) != 0)
    throw Error(Errc::system,
                fmt::format("{}: vanished while the self-test used it", segment->path()));
  const auto size = static_cast<std::uint64_t>(st.st_size);
  const std::uint64_t reserved = static_cast<std::uint64_t>(st.st_blocks) * 512;
  part.text = fmt::format("a segment of {} has {} reserved", ctl::human_bytes(size),
                          ctl::human_bytes(reserved));
  part.counts.update(Json{{"bytes", size}, {"bytes_reserved", reserved}});
  if (reserved < size)
    part.faults.push_back(fmt::format("only {} of {} bytes are reserved", reserved, size));
}

}  // namespace

Part check_memory() {
  Part part{"memory", {}, Json::object(), {}};
  check_reservation(part);
  check_refusal(part);
  return part;
}

}  // namespace rl::selftest
