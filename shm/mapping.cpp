#include "shm/mapping.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <linux/magic.h>
#include <pwd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <unordered_map>
#include <vector>

#include <rl/version.hpp>

#include "shm/policies.hpp"

namespace rl::shm {
namespace {

namespace ipc = boost::interprocess;

/// Lets Boost.Interprocess map a descriptor that we opened and checked ourselves.
class OpenFile {
 public:
  OpenFile(int fd, Access access) noexcept
      : fd_(fd), mode_(access == Access::read_only ? ipc::read_only : ipc::read_write) {}
  [[nodiscard]] ipc::mapping_handle_t get_mapping_handle() const noexcept {
    return ipc::ipcdetail::mapping_handle_from_file_handle(fd_);
  }
  [[nodiscard]] ipc::mode_t get_mode() const noexcept { return mode_; }

 private:
  int fd_;
  ipc::mode_t mode_;
};

std::uint64_t checksum_of(const HeaderConstants& constants) noexcept {
  return Hasher(constants.secret)(&constants, offsetof(HeaderConstants, checksum)).low;
}

Geometry geometry_in(const HeaderConstants& c) noexcept {
  return {c.keys,         c.pair_count,      c.policy_capacity, c.seat_capacity, c.label_bytes,
          c.seats_offset, c.policies_offset, c.pairs_offset,    c.labels_offset, c.total_bytes};
}

std::string mib(std::uint64_t bytes) {
  return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / (1U << 20));
}

std::string directory_of(const std::string& path) {
  return path.substr(0, path.rfind('/') + 1);
}

/// Reads a whole record of the file; false when the file is too short.
bool read_exactly(int fd, void* to, std::size_t bytes) {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(fd, static_cast<char*>(to) + done, bytes - done, static_cast<off_t>(done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw os_error("reading the header", errno);
    if (got == 0) return false;
    done += static_cast<std::size_t>(got);
  }
  return true;
}

void check_host(const std::string& path, const HeaderConstants& c) {
  const BootId boot = boot_id();
  const bool boot_known =
      (boot.words[0] | boot.words[1]) != 0 && (c.boot_id[0] | c.boot_id[1]) != 0;
  if (boot_known && (boot.words[0] != c.boot_id[0] || boot.words[1] != c.boot_id[1])) {
    throw Error(
        Errc::wrong_host,
        fmt::format("{}: made before the last reboot (boot id {:016x}, now {:016x}), so its times "
                    "mean nothing; remove it with `rlctl rm --force` and create it anew",
                    path, c.boot_id[0], boot.words[0]));
  }
  const std::uint64_t ns = time_namespace();
  if (ns != 0 && c.time_namespace != 0 && ns != c.time_namespace) {
    throw Error(
        Errc::wrong_host,
        fmt::format(
            "{}: made in another time namespace ({}, ours is {}), whose clock may be offset; "
            "share the time namespace or use a segment of its own",
            path, c.time_namespace, ns));
  }
}

/// Everything that can be wrong with a header, each with its sentence.
void check_header(const std::string& path, const HeaderConstants& c, std::uint64_t file_bytes) {
  if (c.magic != kMagic) {
    throw Error(
        Errc::not_a_segment,
        c.magic == __builtin_bswap64(kMagic)
            ? fmt::format("{}: a segment of a machine with the other byte order", path)
            : fmt::format(
                  "{}: not a librl segment (its first bytes are {:016x}); choose another name",
                  path, c.magic));
  }
  if (c.layout_version != kLayoutVersion || c.fingerprint != layout_fingerprint()) {
    throw Error(
        Errc::wrong_version,
        fmt::format(
            "{}: layout {}/{:016x}, but this library ({}) reads {}/{:016x}; use the version "
            "of librl that made it, or remove it (rlctl rm --force) and create it anew",
            path, c.layout_version, c.fingerprint, RL_VERSION, kLayoutVersion,
            layout_fingerprint()));
  }
  if (c.checksum != checksum_of(c)) {
    throw Error(
        Errc::corrupt,
        fmt::format(
            "{}: the header is damaged (its checksum is {:016x}, not {:016x}); remove it and "
            "create it anew",
            path, c.checksum, checksum_of(c)));
  }
  const bool ranges_hold = c.keys >= 1 && c.keys <= kKeysMax && c.policy_capacity >= 1 &&
                           c.policy_capacity <= kPoliciesMax && c.seat_capacity >= 1 &&
                           c.seat_capacity <= kSeatsMax && c.header_bytes == sizeof(Header);
  if (!ranges_hold || geometry_in(c) != geometry_for(c.keys, c.policy_capacity, c.seat_capacity,
                                                     c.label_bytes != 0)) {
    throw Error(Errc::corrupt,
                fmt::format("{}: the header contradicts itself ({} keys in {} pairs, {} bytes); "
                            "remove it (rlctl rm --force) and create it anew",
                            path, c.keys, c.pair_count, c.total_bytes));
  }
  const auto kind = static_cast<ClockKind>(c.clock_kind);
  if (kind != ClockKind::boottime && kind != ClockKind::manual &&
      !(kind == ClockKind::tsc && c.ns_per_tick_32 != 0)) {
    throw Error(
        Errc::corrupt,
        fmt::format(
            "{}: unknown clock {} in the header; remove it (rlctl rm --force) and create it anew",
            path, c.clock_kind));
  }
  if (file_bytes != c.total_bytes) {
    throw Error(Errc::corrupt,
                fmt::format("{}: {} bytes long, its header says {}: somebody truncated or grew "
                            "it; remove it (rlctl rm --force) and create it anew",
                            path, file_bytes, c.total_bytes));
  }
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

void retry(const std::string& what, auto call) {
  int result;
  do {
    result = call();
  } while (result != 0 && errno == EINTR);
  if (result != 0) throw os_error(what, errno);
}

/// Writes the word that says "never copy this again", through the file: the header may be too
/// damaged to attach to, and may still be mapped by processes that would. Returns what it was.
std::uint32_t retire(int fd, std::uint32_t value) noexcept {
  constexpr off_t kAt = offsetof(Header, retired);
  struct stat st {};
  std::uint32_t was = 0;
  if (::fstat(fd, &st) != 0 || st.st_size < static_cast<off_t>(sizeof(Header))) return was;
  if (::pread(fd, &was, sizeof was, kAt) != sizeof was) return 0;
  if (::pwrite(fd, &value, sizeof value, kAt) != sizeof value) return 0;
  return was;
}

/// Reserves memory for all of the file, in pieces: older kernels give a piece up whole when a
/// signal comes, and a profiler sends one every few milliseconds. Returns an errno value.
int reserve(int fd, std::uint64_t bytes) noexcept {
  constexpr std::uint64_t kPiece = std::uint64_t{1} << 20;
  for (std::uint64_t at = 0; at < bytes; at += kPiece) {
    int error = EINTR;
    for (int tries = 0; error == EINTR && tries < 1'000; ++tries) {
      error = ::posix_fallocate(fd, static_cast<off_t>(at),
                                static_cast<off_t>(std::min(kPiece, bytes - at)));
    }
    if (error != 0) return error;
  }
  return 0;
}

}  // namespace

std::string path_of(std::string_view name) {
  if (name.empty())
    throw Error(Errc::bad_name, "the segment's name is empty; give a name such as web");
  const bool printable = std::all_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) > ' ' && static_cast<unsigned char>(c) != 0x7f;
  });
  if (!printable) {
    throw Error(
        Errc::bad_name,
        "the segment's name has a space or a control character; use letters, digits, - and _");
  }
  if (name.front() == '/') {
    if (name.back() == '/') {
      throw Error(Errc::bad_name,
                  fmt::format("{}: a directory, not a file; add the segment's file name", name));
    }
    return std::string(name);
  }
  if (name.find('/') != std::string_view::npos) {
    throw Error(Errc::bad_name,
                fmt::format("{}: a name has no slash; give a plain name (POSIX shared memory) or "
                            "an absolute path",
                            name));
  }
  if (name.size() > 200) {
    throw Error(Errc::bad_name,
                fmt::format("the segment's name has {} bytes; at most 200 fit", name.size()));
  }
  return fmt::format("/dev/shm/rl.{}", name);
}

Mapping Mapping::create(const std::string& path, const CreateOptions& options) {
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
  const Random128 secret = random_bits();
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
  c.pairs_offset = g.pairs_offset;
  c.labels_offset = g.labels_offset;
  c.secret = {secret.low, secret.high};
  c.boot_id[0] = boot.words[0];
  c.boot_id[1] = boot.words[1];
  c.time_namespace = time_namespace();
  c.epoch_boottime_ns = epoch.boottime_ns;
  c.epoch_tsc = epoch.tsc;
  c.ns_per_tick_32 = epoch.ns_per_tick_32;
  c.epoch_unix_ns = epoch.unix_ns;
  c.checksum = checksum_of(c);
  return publish(path, c,
                 {options.mode, id_of<uid_t>(options.owner, "user", ::getpwnam),
                  id_of<gid_t>(options.group, "group", ::getgrnam)},
                 nullptr);
}

Mapping Mapping::recreate(const std::string& path, const Mapping& old) {
  HeaderConstants c = old.constants_;
  c.generation = random_bits().low;
  c.creator_pid = static_cast<std::uint32_t>(::getpid());
  c.checksum = checksum_of(c);
  // Only what differs: a process that is not root may not even give a file what it has anyway.
  const bool ours = old.uid_ == ::geteuid();
  const bool our_group = old.gid_ == ::getegid();
  return publish(path, c,
                 {old.mode_, ours ? static_cast<uid_t>(-1) : old.uid_,
                  our_group ? static_cast<gid_t>(-1) : old.gid_},
                 &old);
}

Mapping Mapping::publish(const std::string& path, const HeaderConstants& constants,
                         const Ownership& ownership, const Mapping* contents) {
  struct stat st {};
  if (::lstat(path.c_str(), &st) == 0) {
    throw Error(Errc::exists,
                fmt::format("{}: already exists; open it, or remove it with `rlctl rm`", path));
  }
  const std::string directory = directory_of(path);
  const Fd fd = open_file(directory.c_str(), O_TMPFILE | O_RDWR, 0600);
  if (const int failure = errno; !fd) {
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

  const int error = reserve(fd.get(), constants.total_bytes);
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
  mapping.map(fd.get(), Access::read_write, constants);
  mapping.header().constants = constants;
  mapping.header().policy_next.store(1, std::memory_order_relaxed);  // published by linkat
  mapping.header().clock_anchor.compare_exchange(
      {}, {constants.epoch_tsc, constants.epoch_boottime_ns});
  if (contents != nullptr) mapping.copy_from(*contents);

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

Mapping Mapping::attach(const std::string& path, Access access, bool any_owner) {
  // O_NONBLOCK: a fifo of that name must not make us wait for its other end.
  const int mode = access == Access::read_only ? O_RDONLY : O_RDWR;
  const Fd fd = open_file(path.c_str(), mode | O_NOFOLLOW | O_NONBLOCK);
  if (!fd) {
    switch (const int failure = errno; failure) {
      case ENOENT:
        throw Error(Errc::not_found,
                    fmt::format("{}: no such segment; create it with `rlctl create`", path));
      case ELOOP:
        throw Error(
            Errc::not_a_segment,
            fmt::format("{}: a symbolic link; segments are never followed through one", path));
      case EISDIR:
      case ENXIO:
        throw Error(Errc::not_a_segment,
                    fmt::format("{}: not a regular file; choose another name", path));
      case EACCES:
      case EPERM:
        throw Error(
            Errc::permission,
            fmt::format(
                "{}: this user may not open it for {}; run as its owner, or create it with a "
                "--group and --mode 0660",
                path, access == Access::read_only ? "reading" : "writing"));
      default:
        throw os_error(fmt::format("{}: opening it", path), failure);
    }
  }
  struct stat st {};
  if (::fstat(fd.get(), &st) != 0) throw os_error("fstat of the segment", errno);
  if (!S_ISREG(st.st_mode)) {
    throw Error(Errc::not_a_segment,
                fmt::format("{}: not a regular file; choose another name", path));
  }
  if (!any_owner && st.st_uid != ::geteuid() && st.st_uid != 0) {
    throw Error(Errc::permission,
                fmt::format("{}: owned by user {}, who is neither this user ({}) nor root and "
                            "could change it under "
                            "us; say --any-owner (SegmentOptions::any_owner) to trust that user",
                            path, st.st_uid, ::geteuid()));
  }
  HeaderConstants constants;
  if (!read_exactly(fd.get(), &constants, sizeof constants)) {
    throw Error(Errc::not_a_segment,
                fmt::format("{}: {} bytes long, too short for a librl segment; choose another name",
                            path, st.st_size));
  }
  check_header(path, constants, static_cast<std::uint64_t>(st.st_size));
  check_host(path, constants);
  Mapping mapping;
  mapping.map(fd.get(), access, constants);
  return mapping;
}

bool Mapping::remove(const std::string& path) {
  // Whatever else bears that name is not ours to remove: this may be root, and the path a slip.
  const Fd fd = open_file(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  int error = errno;
  if (!fd && error == ENOENT) return false;
  if (!fd && error != ELOOP && error != ENXIO)
    throw os_error(fmt::format("{}: opening it", path), error);
  std::uint64_t magic = 0;
  const bool known = fd && ::pread(fd.get(), &magic, sizeof magic, 0) == sizeof magic &&
                     (magic == kMagic || magic == __builtin_bswap64(kMagic));
  if (!known) {
    throw Error(
        Errc::not_a_segment,
        fmt::format("{}: not a librl segment, so it stays; remove it by hand if it is in the way",
                    path));
  }
  const Fd writable = open_file(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  const std::uint32_t was = retire(writable.get(), 1);
  if (::unlink(path.c_str()) == 0) return true;
  error = errno;
  (void)retire(writable.get(), was);  // it lives on, and is to be rescued as before
  if (error == ENOENT) return false;
  throw os_error(fmt::format("{}: removing it (run as its owner or as root)", path), error);
}

void Mapping::map(int fd, Access access, const HeaderConstants& constants) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) throw os_error("fstat of the segment", errno);
  device_ = st.st_dev;
  inode_ = st.st_ino;
  mode_ = st.st_mode & 0777U;
  uid_ = st.st_uid;
  gid_ = st.st_gid;
  constants_ = constants;
  geometry_ = geometry_in(constants);
  access_ = access;
  try {
    const OpenFile file(fd, access);
    region_ =
        ipc::mapped_region(file, access == Access::read_only ? ipc::read_only : ipc::read_write, 0,
                           constants.total_bytes);
  } catch (const ipc::interprocess_exception& e) {
    throw os_error(fmt::format("mapping {} bytes of the segment", constants.total_bytes),
                   e.get_native_error());
  }
}

ClockEpoch Mapping::clock_epoch() const noexcept {
  return {static_cast<ClockKind>(constants_.clock_kind), constants_.epoch_boottime_ns,
          constants_.epoch_tsc, constants_.ns_per_tick_32, constants_.epoch_unix_ns};
}

/// Others may still be deciding on `old`, so the copy is not an instant's: what they charge after
/// we passed is lost, and the move says so (SegmentCore::move_over). But it is a valid segment:
/// policies are those on the published list, whole; every slot is read until two readings agree,
/// belongs to one of these policies, and is its key's only one. All relaxed: the copy is published
/// by linkat.
void Mapping::copy_from(const Mapping& old) {
  constexpr auto relaxed = std::memory_order_relaxed;
  const PolicyTable from_policies(old);
  std::vector<bool> copied(std::size_t{geometry_.policy_capacity} + 1);
  std::uint32_t last = 0;
  std::uint32_t highest = 0;
  from_policies.walk([&](std::uint16_t id) {
    const auto constants = from_policies.read(id);
    if (!constants || copied[id])
      return false;  // damaged, or a list that bytes gone wrong made a ring
    policies()[id - 1].constants = *constants;
    policies()[id - 1].checksum = old.policies()[id - 1].checksum;
    (last == 0 ? header().policy_first : policies()[last - 1].next).store(id, relaxed);
    last = id;
    highest = std::max<std::uint32_t>(highest, id);
    copied[id] = true;
    return false;
  });
  // Read after the walk: an id that somebody claimed meanwhile is not given out again.
  const std::uint32_t next = old.header().policy_next.load(relaxed);
  header().policy_next.store(std::max(next, highest + 1), relaxed);

  const Table<Slot> to = table();
  const Table<Slot> from = old.table();
  std::unordered_map<std::uint64_t, std::uint64_t>
      index_of;  // a key that moved meanwhile is seen twice
  for (std::uint64_t i = 0; i < to.slot_count(); ++i) {
    const SlotWords words = Table<Slot>::settled(from.slot(i));
    if (!is_member(words.tag) || policy_of(words.tag) >= copied.size() ||
        !copied[policy_of(words.tag)])
      continue;
    const auto [at, is_new] = index_of.try_emplace(identity_of(words.tag), i);
    if (!is_new) {
      const SlotWords before = to.slot(at->second).words();
      if (before.state >= words.state) continue;
      to.slot(at->second).compare_exchange(before, SlotWords{});
      at->second = i;
    }
    to.slot(i).compare_exchange(SlotWords{}, words);
    to.counts(i).allowed.store(from.counts(i).allowed.load(relaxed), relaxed);
    to.counts(i).denied.store(from.counts(i).denied.load(relaxed), relaxed);
  }
  for (std::uint64_t i = 0; geometry_.label_bytes != 0 && i < to.slot_count(); ++i) {
    const Label& label = (&old.at<Label>(geometry_.labels_offset))[i];
    Label& copy = (&at<Label>(geometry_.labels_offset))[i];
    for (std::size_t word = 0; word < std::size(label.words); ++word) {
      copy.words[word].store(label.words[word].load(relaxed), relaxed);
    }
  }
  // The clock last: the TSC may be left while we copy.
  const SlotWords anchor = Table<Slot>::settled(old.header().clock_anchor);
  header().clock_anchor.compare_exchange(header().clock_anchor.words(), anchor);
  header().manual_ns.store(old.header().manual_ns.load(relaxed), relaxed);
  header().boottime_offset_ns.store(old.header().boottime_offset_ns.load(relaxed), relaxed);
}

void Mapping::forsake() noexcept {
  // Mapped elsewhere first, then moved over the old: no instant at which there is nothing.
  const std::size_t size = region_.get_size();
  void* const empty = ::mmap(nullptr, size, PROT_READ | PROT_WRITE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (empty == MAP_FAILED) return;  // then the old one stays, and costs its memory
  if (::mremap(empty, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, region_.get_address()) ==
      MAP_FAILED) {
    ::munmap(empty, size);
  }
}

bool Mapping::is_shown_by(int fd) const noexcept {
  struct stat st {};
  return fd >= 0 && ::fstat(fd, &st) == 0 && st.st_dev == device_ && st.st_ino == inode_;
}

Fd Mapping::reopen(const std::string& path, int known) const noexcept {
  const int mode = writable() ? O_RDWR : O_RDONLY;
  if (is_shown_by(known)) {
    char link[32] = {};
    fmt::format_to_n(link, sizeof link - 1, "/proc/self/fd/{}", known);  // no memory asked for
    Fd fd = open_file(link, mode);
    if (is_shown_by(fd.get())) return fd;
  }
  Fd fd = open_file(path.c_str(), mode | O_NOFOLLOW | O_NONBLOCK);
  return is_shown_by(fd.get()) ? std::move(fd) : Fd();
}

}  // namespace rl::shm
