#include "shm/mapping.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <rl/version.hpp>

#include "shm/huge_pages.hpp"

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

/// Maps a file where huge pages fit, if it has any. Errors: ipc::interprocess_exception.
ipc::mapped_region region_of(const OpenFile& file, std::uint64_t bytes) {
  if (void* const place = place_for_huge_pages(bytes); place != nullptr) {
    try {
      return {file, file.get_mode(), 0, bytes, place, MAP_FIXED_NOREPLACE};
    } catch (const ipc::interprocess_exception&) {
      // Another thread has mapped something there. (Whatever else it was, it comes again.)
    }
  }
  return {file, file.get_mode(), 0, bytes};
}

Geometry geometry_in(const HeaderConstants& c) noexcept {
  return {c.keys,         c.pair_count,      c.policy_capacity, c.seat_capacity, c.label_bytes,
          c.seats_offset, c.policies_offset, c.journal_offset,  c.events_offset, c.stripes_offset,
          c.pairs_offset, c.labels_offset,   c.total_bytes};
}

/// Reads a whole record of the file; false when the file is too short.
bool read_exactly(int fd, void* to, std::size_t bytes, off_t from = 0) {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t got =
        ::pread(fd, static_cast<char*>(to) + done, bytes - done, from + static_cast<off_t>(done));
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
            "{}: layout {}/{:016x}, but this library ({}) reads {}/{:016x}; use the version of "
            "librl that made it, or move its state to this one: `rlctl dump` of that version, "
            "`rlctl rm --force`, then `rlctl load --create` of this one",
            path, c.layout_version, c.fingerprint, RL_VERSION, kLayoutVersion,
            layout_fingerprint()));
  }
  if (c.checksum != header_checksum(c)) {
    throw Error(
        Errc::corrupt,
        fmt::format(
            "{}: the header is damaged (its checksum is {:016x}, not {:016x}); remove it and "
            "create it anew",
            path, c.checksum, header_checksum(c)));
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

/// A segment, of whatever version or damage.
bool is_segment(int fd) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) throw os_error("fstat of the segment", errno);
  std::uint64_t magic = 0;
  return S_ISREG(st.st_mode) && read_exactly(fd, &magic, sizeof magic) &&
         (magic == kMagic || magic == __builtin_bswap64(kMagic));
}

Error not_to_be_removed(const std::string& path) {
  return {Errc::not_a_segment,
          fmt::format("{}: not a librl segment, so it stays; remove it by hand if it is in the way",
                      path)};
}

constexpr off_t kRetiredAt = offsetof(Header, retired);

/// A file with holes maps like any other, and touching one on a full tmpfs is SIGBUS: what was
/// reserved at creation must still be there.
void check_reserved(const std::string& path, int fd, const struct stat& st) {
  struct statfs fs {};
  if (::fstatfs(fd, &fs) != 0 || fs.f_type != TMPFS_MAGIC) return;  // others compress, or lag
  const auto reserved = static_cast<std::uint64_t>(st.st_blocks) * 512;
  if (reserved >= static_cast<std::uint64_t>(st.st_size)) return;
  throw Error(Errc::corrupt,
              fmt::format("{}: only {} of its {} bytes have memory: a copy with holes, perhaps; "
                          "copy it with `cp --sparse=never`, or remove it (rlctl rm --force) and "
                          "create it anew",
                          path, reserved, st.st_size));
}

/// Writes the word that says "never copy this again", through the file: the header may be too
/// damaged to attach to, and may still be mapped by processes that would. Returns an errno value.
int write_retired(int fd, std::uint32_t value) noexcept {
  ssize_t put;
  do {
    put = ::pwrite(fd, &value, sizeof value, kRetiredAt);
  } while (put < 0 && errno == EINTR);
  if (put < 0) return errno;
  return put == sizeof value ? 0 : EIO;
}

}  // namespace

std::uint64_t header_checksum(const HeaderConstants& constants) noexcept {
  return Hasher(constants.secret)(&constants, offsetof(HeaderConstants, checksum)).low;
}

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

Mapping Mapping::attach(const std::string& path, Access access, bool any_owner) {
  require_wide_compare_and_swap();
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
  check_reserved(path, fd.get(), st);
  Mapping mapping;
  mapping.map(path, fd.get(), access, constants);
  return mapping;
}

bool Mapping::remove(const std::string& path) {
  // Whatever else bears that name is not ours to remove: this may be root, and the path a slip. Nor
  // to open for writing, which has effects on devices.
  struct stat named {};
  if (::lstat(path.c_str(), &named) != 0) {
    if (errno == ENOENT) return false;
    throw os_error(fmt::format("{}: looking at it", path), errno);
  }
  if (!S_ISREG(named.st_mode)) throw not_to_be_removed(path);
  const Fd fd = open_file(path.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  if (const int failure = errno; !fd) {
    if (failure == ENOENT) return false;
    throw os_error(
        fmt::format("{}: opening it, to mark it as removed (run as its owner or as root)", path),
        failure);
  }
  struct stat ours {};
  if (::fstat(fd.get(), &ours) != 0) throw os_error("fstat of the segment", errno);
  if (!is_segment(fd.get())) throw not_to_be_removed(path);
  if (file_size_limit() < sizeof(Header)) {
    throw Error(Errc::system,
                fmt::format("{}: this process may write no file, and so cannot mark the segment as "
                            "removed; raise the limit (ulimit -f, RLIMIT_FSIZE)",
                            path));
  }
  // A segment that could not be marked is not removed, either: its processes would bring it back.
  std::uint32_t was = 0;
  const bool has_word = read_exactly(fd.get(), &was, sizeof was, kRetiredAt);
  const auto mark = static_cast<std::uint32_t>(random_bits().low) | 1U;
  int error = has_word ? write_retired(fd.get(), mark) : 0;
  if (error != 0) throw os_error(fmt::format("{}: marking it as removed", path), error);
  // While we were stopped, somebody else may have removed it, for good as we mean to, and given the
  // name to a new one, which is not ours to remove.
  const bool is_there = ::lstat(path.c_str(), &named) == 0;
  if (is_there && (named.st_dev != ours.st_dev || named.st_ino != ours.st_ino)) return false;
  if (is_there && ::unlink(path.c_str()) == 0) return true;
  error = errno;
  if (error == ENOENT) return false;
  // It lives on, and is to be rescued as before; unless another remover has marked it since.
  std::uint32_t is = 0;
  if (has_word && read_exactly(fd.get(), &is, sizeof is, kRetiredAt) && is == mark)
    (void)write_retired(fd.get(), was);
  throw os_error(fmt::format("{}: removing it (run as its owner or as root)", path), error);
}

std::uint64_t Mapping::huge_bytes() const {
  return bytes_in_huge_pages(region_.get_address(), region_.get_size());
}

void Mapping::map(const std::string& path, int fd, Access access,
                  const HeaderConstants& constants) {
  constants_ = constants;
  geometry_ = geometry_in(constants);
  access_ = access;
  try {
    region_ = region_of(OpenFile(fd, access), constants.total_bytes);
  } catch (const ipc::interprocess_exception& e) {
    throw os_error(fmt::format("mapping {} bytes of the segment", constants.total_bytes),
                   e.get_native_error());
  }
  // Looked at last, before anything is touched: whoever cut the file short while we read the header
  // is found out here.
  struct stat st {};
  if (::fstat(fd, &st) != 0) throw os_error("fstat of the segment", errno);
  if (static_cast<std::uint64_t>(st.st_size) != constants.total_bytes) {
    throw Error(Errc::corrupt,
                fmt::format("{}: it became {} bytes long while it was opened, its header says {}; "
                            "see who writes to it, remove it and create it anew",
                            path, st.st_size, constants.total_bytes));
  }
  device_ = st.st_dev;
  inode_ = st.st_ino;
  mode_ = st.st_mode & 0777U;
  uid_ = st.st_uid;
  gid_ = st.st_gid;
}

ClockEpoch Mapping::clock_epoch() const noexcept {
  return {static_cast<ClockKind>(constants_.clock_kind), constants_.epoch_boottime_ns,
          constants_.epoch_tsc, constants_.ns_per_tick_32, constants_.epoch_unix_ns};
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
