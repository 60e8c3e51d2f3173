#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <rl/version.hpp>

#include "shm/huge_pages.hpp"
#include "shm/mapping.hpp"

namespace rl::shm {
namespace {

std::string mib(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1U << 20));
}

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);
}

template <class Id, class Lookup>
Id id_of(const std::string& text, const char* what, Lookup lookup) {
  if (text.empty()) return static_cast<Id>(-1);
  Id number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size()) return number;
  errno = 0;
  const auto* entry = lookup(text.c_str());
  if (entry == nullptr) {
    throw Error(
        Errc::bad_option,
        fmt::format("no {} \"{}\" on this host; give an existing name or a number", what, text));
  }
  if constexpr (requires { entry->pw_uid; }) {
    return entry->pw_uid;
  } else {
    return entry->gr_gid;
  }
}

Error no_space(const std::string& path, std::uint64_t needed) {
  struct statvfs fs {};
  const std::string directory = directory_of(path);
  const std::uint64_t free_bytes =
      ::statvfs(directory.c_str(), &fs) == 0 ? std::uint64_t{fs.f_bavail} * fs.f_frsize : 0;
  return {
      Errc::no_space,
      fmt::format(
          "{}: the segment needs {} ({} bytes), {} has {} free; create it with fewer keys, or give "
          "the tmpfs more room (mount -o remount,size=..., docker run --shm-size=...)",
          path, mib(needed), needed, directory, mib(free_bytes))};
}

/// Errors: Error (no_space) before a byte is reserved: the kernel would send SIGXFSZ.
void check_file_size_limit(const std::string& path, std::uint64_t needed) {
  const std::uint64_t limit = file_size_limit();
  if (needed <= limit) return;
  throw Error(
      Errc::no_space,
      fmt::format(
          "{}: the segment needs {} ({} bytes), and this process may write files of at "
          "most {} bytes; raise that (ulimit -f, RLIMIT_FSIZE), or create it with fewer keys",
          path, mib(needed), needed, limit));
}

void retry(const std::string& what, auto call) {
  int result;
  do {
    result = call();
  } while (result != 0 && errno == EINTR);
  if (result != 0) throw os_error(what, errno);
}

/// Whether the file system says beforehand that it has too little room. One without a limit says
/// that it has 0 blocks in all.
bool has_no_room(int fd, std::uint64_t bytes) noexcept {
  struct statvfs fs {};
  return ::fstatvfs(fd, &fs) == 0 && fs.f_blocks != 0 &&
         bytes > std::uint64_t{fs.f_bavail} * fs.f_frsize;
}

/// Reserves memory for all of the file, in pieces: older kernels give a piece up whole when a
/// signal comes, and a profiler sends one every few milliseconds. Returns an errno value.
int reserve(int fd, std::uint64_t bytes, bool huge_pages) noexcept {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
  // Asked first, so that an attempt that must fail does not take the last room from others.
  if (has_no_room(fd, bytes)) return ENOSPC;
  if (huge_pages && ::ftruncate(fd, static_cast<off_t>(bytes)) == 0) reserve_huge_pages(fd, bytes);
  for (std::uint64_t at = 0; at < bytes; at += kPiece) {
    const int error = reserve_part(fd, at, std::min(kPiece, bytes - at));
    if (error != 0) return error;
  }
  return 0;
}

Hash128 random_secret() {
  const Random128 bits = random_bits();
  return {bits.low, bits.high};
}

}  // namespace

HeaderConstants Mapping::constants_for(const CreateOptions& options) {
  require_wide_compare_and_swap();
  if (options.keys < 1 || options.keys > kKeysMax) {
    throw Error(Errc::bad_option,
                fmt::format("{} keys: a segment holds 1 to {}; give a number of keys in between",
                            options.keys, kKeysMax));
  }
  if (options.policies < 1 || options.policies > kPoliciesMax) {
    throw Error(Errc::bad_option, fmt::format("room for {} policies: 1 to {} are possible",
                                              options.policies, kPoliciesMax));
  }
  if ((options.mode & ~0666U) != 0 || (options.mode & 0600U) != 0600U) {
    throw Error(
        Errc::bad_option,
        fmt::format("mode {:04o}: the owner needs read and write, and there is nothing to execute; "
                    "use 0600, 0660 or the like",
                    options.mode));
  }
  const Geometry g = geometry_for(options.keys, options.policies, kSeatsMax, options.labels);
  const ClockEpoch epoch = start_clock(options.automatic_clock, options.clock);
  const BootId boot = boot_id();

  HeaderConstants c{};
  c.magic = kMagic;
  c.layout_version = kLayoutVersion;
  c.header_bytes = sizeof(Header);
  c.fingerprint = layout_fingerprint();
  c.total_bytes = g.total_bytes;
  c.generation = random_bits().low;
  c.created_unix_ns = epoch.unix_ns;
  c.creator_uid = ::geteuid();
  c.creator_pid = static_cast<std::uint32_t>(::getpid());
  std::memcpy(c.creator_version, RL_VERSION, std::min(sizeof RL_VERSION, sizeof c.creator_version));
  c.keys = g.keys;
  c.pair_count = g.pair_count;
  c.policy_capacity = g.policy_capacity;
  c.seat_capacity = g.seat_capacity;
  c.label_bytes = g.label_bytes;
  c.clock_kind = static_cast<std::uint32_t>(epoch.kind);
  c.seats_offset = g.seats_offset;
  c.policies_offset = g.policies_offset;
  c.journal_offset = g.journal_offset;
  c.events_offset = g.events_offset;
  c.stripes_offset = g.stripes_offset;
  c.pairs_offset = g.pairs_offset;
  c.labels_offset = g.labels_offset;
  c.secret = options.secret ? *options.secret : random_secret();
  c.boot_id[0] = boot.words[0];
  c.boot_id[1] = boot.words[1];
  c.time_namespace = time_namespace();
  c.epoch_boottime_ns = epoch.boottime_ns;
  c.epoch_tsc = epoch.tsc;
  c.ns_per_tick_32 = epoch.ns_per_tick_32;
  c.epoch_unix_ns = epoch.unix_ns;
  c.checksum = header_checksum(c);
  return c;
}

Mapping Mapping::create(const std::string& path, const CreateOptions& options) {
  const HeaderConstants c = constants_for(options);
  const auto fill = [&](Mapping&, int fd) {
    if (!options.fill) return;
    Mapping another;
    another.map(path, fd, Access::read_write, c);
    options.fill(std::move(another));
  };
  return publish(path, c,
                 {options.mode, id_of<uid_t>(options.owner, "user", ::getpwnam),
                  id_of<gid_t>(options.group, "group", ::getgrnam)},
                 options.huge_pages, fill);
}

Mapping Mapping::recreate(const std::string& path, const Mapping& old, StateInCopy in_copy) {
  const Contents contents{old, in_copy};
  HeaderConstants c = old.constants_;
  c.generation = random_bits().low;
  c.creator_pid = static_cast<std::uint32_t>(::getpid());
  c.checksum = header_checksum(c);
  // Only what differs: a process that is not root may not even give a file what it has anyway.
  const bool ours = old.uid_ == ::geteuid();
  const bool our_group = old.gid_ == ::getegid();
  return publish(path, c,
                 {old.mode_, ours ? static_cast<uid_t>(-1) : old.uid_,
                  our_group ? static_cast<gid_t>(-1) : old.gid_},
                 true, [&](Mapping& mapping, int) { mapping.copy_from(contents); });
}

Mapping Mapping::publish(const std::string& path, const HeaderConstants& constants,
                         const Ownership& ownership, bool huge_pages, const Fill& fill) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0) {
    throw Error(Errc::exists,
                fmt::format("{}: already exists; open it, or remove it with `rlctl rm`", path));
  }
  check_file_size_limit(path, constants.total_bytes);
  const std::string directory = directory_of(path);
  const Fd fd = open_file(directory.c_str(), O_TMPFILE | O_RDWR, 0600);
  if (const int failure = errno; !fd) {
    if (failure == ENOSPC) {
      throw Error(Errc::no_space,
                  fmt::format("{}: {} has no room for another file, however small; remove some, or "
                              "give the tmpfs more inodes (mount -o remount,nr_inodes=...)",
                              path, directory));
    }
    if (failure == EOPNOTSUPP || failure == EISDIR) {
      throw Error(Errc::unsupported,
                  fmt::format("{}: its file system has no unnamed files; use a tmpfs", directory));
    }
    throw os_error(
        fmt::format("{}: cannot make a file in {} (does it exist, and may this user write there?)",
                    path, directory),
        failure);
  }
  // Owner and mode by hand: the umask cuts the mode of an O_TMPFILE.
  if (ownership.uid != static_cast<uid_t>(-1) || ownership.gid != static_cast<gid_t>(-1)) {
    retry(fmt::format("{}: changing its owner or group (only root may give a file away)", path),
          [&] { return ::fchown(fd.get(), ownership.uid, ownership.gid); });
  }
  retry(fmt::format("{}: changing its mode", path),
        [&] { return ::fchmod(fd.get(), ownership.mode); });

  const int error = reserve(fd.get(), constants.total_bytes, huge_pages);
  if (error != 0)
    (void)::ftruncate(fd.get(), 0);  // so that the free size below is what it was before
  if (error == ENOSPC || error == EFBIG || error == ENOMEM)
    throw no_space(path, constants.total_bytes);
  if (error != 0)
    throw os_error(fmt::format("{}: reserving {} bytes", path, constants.total_bytes), error);

  struct statfs fs {};
  if (::fstatfs(fd.get(), &fs) == 0 && fs.f_type != TMPFS_MAGIC) {
    log(Severity::warning,
        fmt::format("{}: not on a tmpfs, so the kernel writes it to a disk again and again", path));
  }

  Mapping mapping;
  mapping.map(path, fd.get(), Access::read_write, constants);
  mapping.begin();
  fill(mapping, fd.get());

  const std::string source = fmt::format("/proc/self/fd/{}", fd.get());
  int linked;
  do {
    linked = ::linkat(AT_FDCWD, source.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
  } while (linked != 0 && errno == EINTR);
  if (const int failure = errno; linked != 0) {
    if (failure != EEXIST) {
      throw os_error(fmt::format("{}: giving the segment its name (is /proc mounted?)", path),
                     failure);
    }
    throw Error(Errc::exists,
                fmt::format("{}: already exists; open it, or remove it with `rlctl rm`", path));
  }
  return mapping;
}

/// Writes into empty memory what makes it a segment.
void Mapping::begin() noexcept {
  header().constants = constants_;
  header().policy_next.store(1, std::memory_order_relaxed);  // nobody else sees it yet
  header().denials_mask.store(kDenialsPerEvent - 1, std::memory_order_relaxed);
  header().clock_anchor.compare_exchange({}, {constants_.epoch_tsc, constants_.epoch_boottime_ns});
}

Mapping Mapping::attach_or_create(const std::string& path, const CreateOptions& options,
                                  bool any_owner) {
  for (int tries = 0;;
       ++tries) {  // ends: a second round means that somebody removed what was found
    try {
      return attach(path, Access::read_write, any_owner);
    } catch (const Error& e) {
      if (e.code() != Errc::not_found || tries == 8) throw;
    }
    try {
      return create(path, options);
    } catch (const Error& e) {
      if (e.code() != Errc::exists) throw;
    }
  }
}

}  // namespace rl::shm
