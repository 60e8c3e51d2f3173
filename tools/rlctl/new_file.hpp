/// \file
/// A file that is there whole or not at all.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "shm/os.hpp"

namespace rl::ctl {

/// A file that nobody but its owner may read, unless `mode` says otherwise (the umask cuts it).
/// Written beside its name under another; it gets the
/// name, in the place of what had it, when all of it is on the disk. Without keep() nothing has
/// changed at the end of its life, also when that is memory that is lost (lost_memory.hpp). One at a
/// time.
///
/// Errors: Error (bad_option) for a name that is something else than a file, permission, no_space,
/// system.
class NewFile {
 public:
  explicit NewFile(std::string path, mode_t mode = 0600);
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;
  ~NewFile();
  void write(std::string_view text);
  /// Brings what was written to the disk.
  void sync();
  void keep();

 private:
  std::string path_;
  std::string beside_;
  shm::Fd fd_;
  bool is_kept_ = false;
};

}  // namespace rl::ctl
