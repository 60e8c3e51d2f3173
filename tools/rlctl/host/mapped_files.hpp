/// \file
/// Which processes of this host map which shared files, as far as this user may look.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/os.hpp"

namespace rl::ctl {

/// A file, whatever names it has.
struct FileId {
  dev_t device = 0;
  ino_t inode = 0;
  friend auto operator<=>(const FileId&, const FileId&) = default;
};

/// A file that a process maps to share it.
struct MappedFile {
  FileId id;
  std::string path;  ///< as the kernel tells it; "/dev/shm/#12" of one made without a name
  bool is_writable = false;
  bool is_deleted = false;  ///< the name is gone, or is another file's; or there was none at first
};

/// Reads a line of /proc/PID/maps; nothing for what is private, or no file.
std::optional<MappedFile> mapped_file_in(std::string_view line);

/// A process that maps files.
struct Mapper {
  pid_t pid = 0;
  uid_t uid = 0;
  std::vector<gid_t> groups;
  ino_t time_namespace = 0;  ///< 0 where that cannot be seen
  std::vector<MappedFile> files;
};

struct Mappers {
  std::vector<Mapper> seen;
  std::uint64_t unseen = 0;  ///< processes of other users that may not be looked into
};

/// Looks at every process but this one; at files whose names lie in one of these folders.
/// Accuracy: not a snapshot; who comes or ends meanwhile may be missed.
Mappers mappers_of(const std::vector<std::string>& folders);

/// Returns the processes that map a file.
std::vector<const Mapper*> mappers_of(const Mappers& mappers, FileId id);

/// Returns "process 7", or "processes 7, 9".
std::string processes(const std::vector<pid_t>& pids);

/// Opens a file that a process maps for reading, though it may have no name; an empty Fd where that
/// is not allowed.
shm::Fd open_mapped(pid_t pid, FileId id);

}  // namespace rl::ctl
