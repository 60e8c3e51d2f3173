#include "tools/rlctl/host/mapped_files.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "tools/rlctl/host/folder.hpp"

namespace rl::ctl {
namespace {

/// Takes the word that a text begins with off it, and the spaces behind it.
std::string_view take_word(std::string_view& text) {
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  return word;
}

template <class Number>
std::optional<Number> number_in(std::string_view text, int base) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::optional<dev_t> device_in(std::string_view text) {
  const std::size_t colon = text.find(':');
  if (colon == text.npos) return std::nullopt;
  const auto major = number_in<unsigned>(text.substr(0, colon), 16);
  const auto minor = number_in<unsigned>(text.substr(colon + 1), 16);
  if (!major || !minor) return std::nullopt;
  return makedev(*major, *minor);
}

bool lies_in(const std::string& path, const std::vector<std::string>& folders) {
  const std::string_view folder = std::string_view(path).substr(0, path.rfind('/'));
  return std::find(folders.begin(), folders.end(), folder) != folders.end();
}

/// Reads the user and the groups by which the kernel judges what a process opens.
void note_rights(const std::string& proc, Mapper& mapper) {
  std::ifstream status(proc + "/status");
  for (std::string line; std::getline(status, line);) {
    std::istringstream words(line);
    std::string name;
    words >> name;
    std::vector<std::uint64_t> ids{std::istream_iterator<std::uint64_t>(words), {}};
    constexpr std::size_t kOfFiles = 3;  // after the real, the effective and the saved one
    if (name == "Uid:" && ids.size() > kOfFiles) mapper.uid = static_cast<uid_t>(ids[kOfFiles]);
    if (name == "Gid:" && ids.size() > kOfFiles)
      mapper.groups.push_back(static_cast<gid_t>(ids[kOfFiles]));
    if (name != "Groups:") continue;
    for (const std::uint64_t id : ids) mapper.groups.push_back(static_cast<gid_t>(id));
  }
}

constexpr std::string_view kDeleted = " (deleted)";

/// Takes the kernel's word for a name that is gone off a path; returns whether it was there.
bool take_deleted(std::string_view& path) {
  const bool is_deleted = path.ends_with(kDeleted);
  if (is_deleted) path.remove_suffix(kDeleted.size());
  return is_deleted;
}

/// Who made a segment has mapped it before it had a name, and the kernel never learns; but its seat
/// is locked on a descriptor that was opened by the name.
void find_names(const std::string& proc, Mapper& mapper) {
  const auto is_unnamed = [](std::string_view path) {
    return path.substr(path.rfind('/') + 1).starts_with('#');
  };
  if (std::none_of(mapper.files.begin(), mapper.files.end(),
                   [&](const MappedFile& file) { return is_unnamed(file.path); }))
    return;
  for_each_name(proc + "/fd", [&](std::string_view name) {
    const std::string link = fmt::format("{}/fd/{}", proc, name);
    struct stat st {};
    if (::stat(link.c_str(), &st) != 0) return;
    const auto file = std::find_if(mapper.files.begin(), mapper.files.end(), [&](const auto& f) {
      return f.id == FileId{st.st_dev, st.st_ino} && is_unnamed(f.path);
    });
    if (file == mapper.files.end()) return;
    std::error_code ignored;
    const std::string target = std::filesystem::read_symlink(link, ignored);
    std::string_view path = target;
    (void)take_deleted(path);
    if (path.starts_with('/') && !is_unnamed(path)) file->path = path;
  });
}

/// A process has a segment or a few; of one that maps more files the first must do, as anybody may
/// map as many as he likes.
constexpr std::size_t kFilesMax = 64;

/// Returns nothing for a process that is gone, or may not be looked into.
std::optional<Mapper> mapper_of(pid_t pid, const std::vector<std::string>& folders) {
  const std::string proc = fmt::format("/proc/{}", pid);
  std::ifstream maps(proc + "/maps");
  if (!maps) return std::nullopt;
  Mapper mapper;
  mapper.pid = pid;
  for (std::string line; mapper.files.size() < kFilesMax && std::getline(maps, line);) {
    std::optional<MappedFile> file = mapped_file_in(line);
    if (!file || !lies_in(file->path, folders)) continue;
    const bool is_new = std::none_of(mapper.files.begin(), mapper.files.end(),
                                     [&](const MappedFile& f) { return f.id == file->id; });
    if (is_new) mapper.files.push_back(std::move(*file));
  }
  if (mapper.files.empty()) return mapper;
  note_rights(proc, mapper);
  find_names(proc, mapper);
  struct stat st {};
  if (::stat((proc + "/ns/time").c_str(), &st) == 0) mapper.time_namespace = st.st_ino;
  return mapper;
}

/// Opens what a link of /proc leads to, if it is this file.
shm::Fd open_if(const std::string& link, FileId id) {
  struct stat st {};
  if (::stat(link.c_str(), &st) != 0 || FileId{st.st_dev, st.st_ino} != id) return shm::Fd();
  shm::Fd fd = shm::open_file(link.c_str(), O_RDONLY | O_NONBLOCK);
  const bool is_it = fd && ::fstat(fd.get(), &st) == 0 && FileId{st.st_dev, st.st_ino} == id;
  return is_it ? std::move(fd) : shm::Fd();
}

}  // namespace

std::optional<MappedFile> mapped_file_in(std::string_view line) {
  take_word(line);  // addresses
  const std::string_view rights = take_word(line);
  take_word(line);  // offset
  const auto device = device_in(take_word(line));
  const auto inode = number_in<ino_t>(take_word(line), 10);
  const bool is_shared = rights.size() == 4 && rights[3] == 's';
  if (!is_shared || !device || !inode || *inode == 0 || !line.starts_with('/')) return std::nullopt;
  const bool is_deleted = take_deleted(line);
  return MappedFile{{*device, *inode}, std::string(line), rights[1] == 'w', is_deleted};
}

Mappers mappers_of(const std::vector<std::string>& folders) {
  Mappers mappers;
  for_each_name("/proc", [&](std::string_view name) {
    const auto pid = number_in<pid_t>(name, 10);
    if (!pid || *pid == ::getpid()) return;
    std::optional<Mapper> mapper = mapper_of(*pid, folders);
    if (mapper && !mapper->files.empty()) mappers.seen.push_back(std::move(*mapper));
    if (!mapper && ::access(fmt::format("/proc/{}", *pid).c_str(), F_OK) == 0) ++mappers.unseen;
  });
  return mappers;
}

std::vector<const Mapper*> mappers_of(const Mappers& mappers, FileId id) {
  std::vector<const Mapper*> those;
  for (const Mapper& mapper : mappers.seen) {
    const bool maps = std::any_of(mapper.files.begin(), mapper.files.end(),
                                  [&](const MappedFile& file) { return file.id == id; });
    if (maps) those.push_back(&mapper);
  }
  return those;
}

std::string processes(const std::vector<pid_t>& pids) {
  return fmt::format("process{} {}", pids.size() == 1 ? "" : "es", fmt::join(pids, ", "));
}

shm::Fd open_mapped(pid_t pid, FileId id) {
  shm::Fd found;
  for (const char* const links : {"fd", "map_files"}) {
    const std::string folder = fmt::format("/proc/{}/{}", pid, links);
    for_each_name(folder, [&](std::string_view name) {
      if (!found && name.front() != '.') found = open_if(fmt::format("{}/{}", folder, name), id);
    });
  }
  return found;
}

}  // namespace rl::ctl
