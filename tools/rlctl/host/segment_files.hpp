/// \file
/// The segments of this host: files with a name, and those that only processes still have.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tools/rlctl/host/mapped_files.hpp"

namespace rl::ctl {

enum class FileState : std::uint8_t {
  fine,
  orphaned,       ///< no process is attached
  nameless,       ///< processes go on with it, and its name is gone, or another segment's
  being_made,     ///< it has no name yet
  foreign,        ///< of another user, who is not root; or no segment at all
  other_version,  ///< another layout
  damaged,
  cut_short,  ///< while it was looked into
  unopened,   ///< whatever else keeps it from being opened
};
std::string_view to_string(FileState state) noexcept;

/// What looking into a segment tells; absent is what cannot be known without opening it.
struct SegmentLook {
  FileState state = FileState::fine;
  std::optional<std::uint64_t> keys;
  std::optional<std::chrono::system_clock::time_point> created;
  std::optional<double> fill;  ///< 0 to 1: the slots that no new key may take
  bool is_fill_sampled = false;
  std::optional<std::uint32_t> attached;
};

/// What is known of one segment.
struct SegmentFile : SegmentLook {
  std::string name;  ///< what rlctl takes: "web", or the path
  std::string path;
  FileId id;
  uid_t uid = 0;
  gid_t gid = 0;
  unsigned mode = 0;
  std::uint64_t bytes = 0;
  std::string why;          ///< a sentence, where it is not fine
  std::vector<pid_t> pids;  ///< that map it, as far as this user may look
};

struct HostSegments {
  std::vector<SegmentFile> files;   ///< by path
  std::vector<std::string> unread;  ///< folders that cannot be read, and why
  Mappers mappers;                  ///< who maps what of these folders
};

inline constexpr std::string_view kSharedMemory = "/dev/shm";  ///< where names such as "web" lie

/// Returns what rlctl takes for a file: "web" for what /dev/shm has as rl.web, else the path.
std::string name_for(const std::string& path);

/// Returns where segments usually are: there, and /run/librl if there is one.
std::vector<std::string> usual_folders();

/// Lists the files of folders that are called such as rl.web, and whatever begins as a segment does;
/// then what processes have mapped from there. No segment is opened: those that have a name are fine
/// here, and absent is what only they tell.
HostSegments files_of_host(const std::vector<std::string>& folders);

/// Lists them, and looks into each that has a name. One bad file spoils nothing, nor does one that is
/// cut short meanwhile. Of a large table some slots are looked at.
HostSegments segments_of_host(const std::vector<std::string>& folders, bool any_owner);

}  // namespace rl::ctl
