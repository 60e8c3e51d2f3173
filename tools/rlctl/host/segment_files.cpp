#include "tools/rlctl/host/segment_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <set>
#include <type_traits>

#include "src/core.hpp"
#include "src/show.hpp"
#include "tools/rlctl/apart.hpp"
#include "tools/rlctl/doctor/table_survey.hpp"
#include "tools/rlctl/host/folder.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

/// Of more slots than these some are looked at: a few milliseconds.
constexpr std::uint64_t kSlotsLookedAt = 65'536;

/// More than that takes, also on a machine that is busy.
constexpr std::chrono::seconds kLookMost{10};

constexpr std::string_view kPrefix = "rl.";

FileState state_for(Errc code) noexcept {
  switch (code) {
    case Errc::wrong_version:
      return FileState::other_version;
    case Errc::corrupt:
      return FileState::damaged;
    case Errc::not_a_segment:
      return FileState::foreign;
    default:
      return FileState::unopened;
  }
}

/// Reads the beginning of a file, if it is a segment's; it is not checked for damage.
std::optional<shm::HeaderConstants> header_of(int fd) {
  shm::HeaderConstants constants{};
  const ssize_t got = ::pread(fd, &constants, sizeof constants, 0);
  if (got != sizeof constants || constants.magic != shm::kMagic) return std::nullopt;
  return constants;
}

void note_file(SegmentFile& file, const struct stat& st) {
  file.id = {st.st_dev, st.st_ino};
  file.uid = st.st_uid;
  file.gid = st.st_gid;
  file.mode = st.st_mode & 07777U;
  file.bytes = static_cast<std::uint64_t>(st.st_size);
}

/// Maps a segment, and notes what it holds.
void look_inside(SegmentFile& file, bool any_owner) {
  try {
    const View view(shm::Mapping::attach(file.path, shm::Access::read_only, any_owner), file.path);
    const shm::HeaderConstants& constants = view.mapping.constants();
    const TableSurvey found = survey(view, kSlotsLookedAt);
    file.keys = constants.keys;
    file.created = to_wall_time(constants.created_unix_ns);
    file.fill = found.fill();
    file.is_fill_sampled = found.is_sampled();
    file.attached = shm::Participant::count_attached(view.mapping, file.path);
    if (*file.attached != 0) return;
    file.state = FileState::orphaned;
    file.why = fmt::format(
        "no process is attached; if nobody needs what it holds, `rlctl rm {}` removes it",
        file.name);
  } catch (const Error& e) {
    file.state = state_for(e.code());
    file.why = e.what();
  }
}

/// Looks inside from a process of its own, which may end with a file that is cut short.
void look_apart(SegmentFile& file, bool any_owner) {
  const ToldApart told = told_apart(kLookMost, [&](const Tell& tell) {
    look_inside(file, any_owner);
    const SegmentLook& look = file;
    static_assert(std::is_trivially_copyable_v<SegmentLook>);
    tell({reinterpret_cast<const char*>(&look), sizeof look});
    tell(file.why);
  });
  if (told.end == ApartEnd::memory_lost) {
    file.state = FileState::cut_short;
    file.why =
        "its file was cut short while it was looked into; see who writes to it, remove it and "
        "create it anew";
  } else if (told.text.size() < sizeof(SegmentLook)) {
    file.state = FileState::unopened;
    file.why = told.end == ApartEnd::done ? "it could not be looked into"
                                          : fmt::format("it could not be looked into within {}",
                                                        human_duration(kLookMost));
  } else {
    SegmentLook look;
    std::memcpy(&look, told.text.data(), sizeof look);
    static_cast<SegmentLook&>(file) = look;
    file.why = told.text.substr(sizeof look);
  }
}

/// Looks into a segment that has a name, if whose it is can be trusted.
void look_into(SegmentFile& file, bool any_owner) {
  const bool is_strange = file.uid != ::geteuid() && file.uid != 0;
  if (!is_strange || any_owner) return look_apart(file, any_owner);
  file.state = FileState::foreign;
  file.why = fmt::format(
      "owned by user {}, who is neither this user nor root; --any-owner looks into it", file.uid);
}

/// Whether a name in a folder is to be told: it is called as segments are, or begins as one.
bool is_meant(const std::string& path, std::string_view name, const struct stat& st) {
  if (name.starts_with(kPrefix)) return true;
  if (!S_ISREG(st.st_mode)) return false;
  const shm::Fd fd = shm::open_file(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  return fd && header_of(fd.get()).has_value();
}

void list_folder(const std::string& folder, HostSegments& host) {
  const bool is_read = for_each_name(folder, [&](std::string_view name) {
    const std::string path = fmt::format("{}/{}", folder == "/" ? "" : folder, name);
    struct stat st {};
    if (::lstat(path.c_str(), &st) != 0 || !is_meant(path, name, st)) return;
    SegmentFile file;
    file.path = path;
    file.name = name_for(path);
    note_file(file, st);
    host.files.push_back(std::move(file));
  });
  if (!is_read)
    host.unread.push_back(fmt::format("{}: reading it: {}", folder, shm::errno_text(errno)));
}

/// What a file says of itself that nobody can open by a name.
struct Nameless {
  shm::HeaderConstants constants;
  bool is_retired;  ///< removed on purpose
  bool was_used;    ///< somebody has taken a seat in it, as whoever made it does at once
};

std::optional<Nameless> read_nameless(int fd) {
  const auto constants = header_of(fd);
  if (!constants) return std::nullopt;
  Nameless found{*constants, false, false};
  std::uint32_t retired = 0;
  const ssize_t got = ::pread(fd, &retired, sizeof retired, offsetof(shm::Header, retired));
  found.is_retired = got == sizeof retired && retired != 0;
  std::vector<std::uint64_t> seats(shm::kSeatsMax * sizeof(shm::Seat) / sizeof(std::uint64_t));
  const ssize_t bytes = ::pread(fd, seats.data(), seats.size() * sizeof(std::uint64_t),
                                static_cast<off_t>(sizeof(shm::Header)));
  constexpr std::size_t kWords = sizeof(shm::Seat) / sizeof(std::uint64_t);
  const std::size_t words = bytes > 0 ? static_cast<std::size_t>(bytes) / sizeof(std::uint64_t) : 0;
  for (std::size_t at = 0; at < words; at += kWords)
    found.was_used |= seats[at] != 0;  // a generation
  return found;
}

std::string explain(const SegmentFile& file, bool is_retired, bool is_replaced) {
  const std::string who = processes(file.pids);
  const std::string_view each = file.pids.size() == 1 ? "its" : "their";
  if (is_replaced)
    return fmt::format("another segment has its name; {} counts apart until {} next call", who,
                       each);
  if (is_retired)
    return fmt::format("it was removed; {} goes on with it until there is a new one of that name",
                       who);
  return fmt::format("its name is gone; the next call of {} makes it anew, with what it holds",
                     who);
}

/// Says what is known of a file that processes map and nobody can open by its name; nothing when it
/// is somebody else's.
std::optional<SegmentFile> nameless_of(const Mapper& mapper, const MappedFile& mapped,
                                       const HostSegments& host, const Mappers& mappers) {
  SegmentFile file;
  file.path = mapped.path;
  file.name = name_for(file.path);
  const std::string_view base = std::string_view(mapped.path).substr(mapped.path.rfind('/') + 1);
  const shm::Fd fd = open_mapped(mapper.pid, mapped.id);
  struct stat st {};
  std::optional<Nameless> found;
  if (fd && ::fstat(fd.get(), &st) == 0) {
    if (st.st_nlink != 0) return std::nullopt;  // it has a name in some other place
    found = read_nameless(fd.get());
    if (!found) return std::nullopt;
    note_file(file, st);
    file.keys = found->constants.keys;
    file.created = to_wall_time(found->constants.created_unix_ns);
  } else if (!base.starts_with(kPrefix) || !mapped.is_deleted) {
    return std::nullopt;
  }
  file.id = mapped.id;
  for (const Mapper* const one : mappers_of(mappers, mapped.id)) file.pids.push_back(one->pid);
  file.attached = static_cast<std::uint32_t>(file.pids.size());
  const bool is_being_made = found && !found->was_used;
  file.state = is_being_made ? FileState::being_made : FileState::nameless;
  const bool is_replaced =
      std::any_of(host.files.begin(), host.files.end(),
                  [&](const SegmentFile& other) { return other.path == file.path; });
  if (is_being_made) {
    file.why = fmt::format("process {} has not given it its name yet", mapper.pid);
  } else {
    file.why = explain(file, found && found->is_retired, is_replaced);
  }
  return file;
}

void add_mappers(HostSegments& host) {
  const Mappers& mappers = host.mappers;
  std::set<FileId> named;
  for (SegmentFile& file : host.files) {
    named.insert(file.id);
    for (const Mapper* const mapper : mappers_of(mappers, file.id))
      file.pids.push_back(mapper->pid);
  }
  std::vector<SegmentFile> nameless;
  for (const Mapper& mapper : mappers.seen) {
    for (const MappedFile& mapped : mapper.files) {
      if (!named.insert(mapped.id).second) continue;
      if (auto file = nameless_of(mapper, mapped, host, mappers))
        nameless.push_back(std::move(*file));
    }
  }
  std::move(nameless.begin(), nameless.end(), std::back_inserter(host.files));
}

}  // namespace

std::string_view to_string(FileState state) noexcept {
  switch (state) {
    case FileState::fine:
      break;
    case FileState::orphaned:
      return "orphaned";
    case FileState::nameless:
      return "nameless";
    case FileState::being_made:
      return "being made";
    case FileState::foreign:
      return "foreign";
    case FileState::other_version:
      return "other version";
    case FileState::damaged:
      return "damaged";
    case FileState::cut_short:
      return "cut short";
    case FileState::unopened:
      return "cannot be opened";
  }
  return "fine";
}

std::string name_for(const std::string& path) {
  const std::string prefix = fmt::format("{}/{}", kSharedMemory, kPrefix);
  return path.starts_with(prefix) ? path.substr(prefix.size()) : path;
}

std::vector<std::string> usual_folders() {
  constexpr const char* kUsual = "/run/librl";
  std::vector<std::string> folders{std::string(kSharedMemory)};
  struct stat st {};
  if (::stat(kUsual, &st) == 0 && S_ISDIR(st.st_mode)) folders.emplace_back(kUsual);
  return folders;
}

HostSegments files_of_host(const std::vector<std::string>& folders) {
  HostSegments host;
  // Before the names: what is renamed, removed or replaced meanwhile has one or the other.
  host.mappers = mappers_of(folders);
  for (const std::string& folder : folders) list_folder(folder, host);
  add_mappers(host);
  std::stable_sort(host.files.begin(), host.files.end(),
                   [](const SegmentFile& a, const SegmentFile& b) { return a.path < b.path; });
  return host;
}

HostSegments segments_of_host(const std::vector<std::string>& folders, bool any_owner) {
  HostSegments host = files_of_host(folders);
  for (SegmentFile& file : host.files) {
    const bool has_name = file.state == FileState::fine;  // as nobody has looked into it
    if (has_name) look_into(file, any_owner);
  }
  return host;
}

}  // namespace rl::ctl
