#include "tools/rlctl/new_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "tools/rlctl/lost_memory.hpp"

namespace rl::ctl {
namespace {

[[noreturn]] void fail(const std::string& what, const std::string& path) {
  throw shm::os_error(fmt::format("{}: {} it", path, what), errno);
}

void bring_to_disk(const shm::Fd& fd, const std::string& path) {
  // EINVAL: a file system that has nothing to write back.
  if (::fsync(fd.get()) != 0 && errno != EINVAL) fail("writing back", path);
}

}  // namespace

NewFile::NewFile(std::string path, mode_t mode)
    : path_(std::move(path)), beside_(fmt::format("{}.{}.new", path_, ::getpid())) {
  struct stat st {};
  if (::lstat(path_.c_str(), &st) == 0 && !S_ISREG(st.st_mode)) {
    throw Error(Errc::bad_option,
                fmt::format("{}: not a regular file, which a new one could take the place of; name "
                            "another, or write to standard output",
                            path_));
  }
  // What a killed process of our number has left.
  (void)::unlink(beside_.c_str());
  fd_ = shm::open_file(beside_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
  if (!fd_) fail("making", beside_);
  remove_as_memory_is_lost(beside_.c_str());
}

NewFile::~NewFile() {
  remove_as_memory_is_lost(nullptr);
  if (fd_ && !is_kept_) (void)::unlink(beside_.c_str());
}

void NewFile::write(std::string_view text) {
  while (!text.empty()) {  // ends: each turn writes some, or fails
    const ssize_t put = ::write(fd_.get(), text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail("writing", beside_);
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

void NewFile::sync() {
  bring_to_disk(fd_, beside_);
}

void NewFile::keep() {
  sync();
  if (::rename(beside_.c_str(), path_.c_str()) != 0) fail("giving its name to", path_);
  is_kept_ = true;
  // The name, too, has to outlast a power failure.
  const std::string folder = path_.substr(0, path_.rfind('/') + 1);
  const shm::Fd directory =
      shm::open_file(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (directory) bring_to_disk(directory, folder);
}

}  // namespace rl::ctl
