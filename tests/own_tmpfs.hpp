/// \file
/// A directory for segments where nobody else makes files: what is left behind in it was left by
/// us.
#pragma once

#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <set>
#include <stdexcept>
#include <string>

#include "tests/support.hpp"

namespace rl::test {

/// A tmpfs of its own, in a mount namespace that ends with this process: then files without a name
/// are counted, too. Where that is not allowed a directory in /dev/shm, and it is said.
class OwnTmpfs {
 public:
  OwnTmpfs() : directory_("/dev/shm/" + unique_name()) {
    if (::mkdir(directory_.c_str(), 0700) != 0) {
      throw std::runtime_error(directory_ + ": cannot be made");
    }
    static const bool alone = leave_mounts_alone();
    counts_files_ =
        alone && ::mount("tmpfs", directory_.c_str(), "tmpfs", 0, "size=8m,mode=0700") == 0;
    if (!counts_files_)
      skip("a tmpfs cannot be mounted here, so what is left without a name is not seen");
  }
  OwnTmpfs(const OwnTmpfs&) = delete;
  OwnTmpfs& operator=(const OwnTmpfs&) = delete;
  ~OwnTmpfs() {
    if (::getpid() != owner_) return;
    clear();
    if (counts_files_) ::umount2(directory_.c_str(), MNT_DETACH);
    ::rmdir(directory_.c_str());
  }

  [[nodiscard]] const std::string& directory() const noexcept { return directory_; }
  [[nodiscard]] std::string path(const char* name) const { return directory_ + "/" + name; }

  /// All names in it.
  [[nodiscard]] std::set<std::string> names() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      names.insert(entry.path().filename());
    }
    return names;
  }

  void clear() const {
    std::error_code ignored;
    for (const std::string& name : names()) {
      std::filesystem::remove_all(directory_ + "/" + name, ignored);
    }
  }

  /// What files take, those without a name included; always zeros where that cannot be known.
  struct Used {
    std::uint64_t blocks = 0;
    std::uint64_t files = 0;
    friend bool operator==(const Used&, const Used&) = default;
  };
  [[nodiscard]] bool counts_files() const noexcept { return counts_files_; }
  [[nodiscard]] Used used() const {
    struct statfs fs {};
    if (!counts_files_ || ::statfs(directory_.c_str(), &fs) != 0) return {};
    return {fs.f_blocks - fs.f_bfree, fs.f_files - fs.f_ffree};
  }

 private:
  std::string directory_;
  bool counts_files_ = false;
  pid_t owner_ = ::getpid();
};

}  // namespace rl::test
