#include "tools/rlreaper/datagrams.hpp"

#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace rl::reaper {

shm::Fd datagrams_to(const std::string& path) noexcept {
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof to.sun_path) {
    errno = ENAMETOOLONG;
    return {};
  }
  std::memcpy(to.sun_path, path.data(), path.size());
  if (to.sun_path[0] == '@') to.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size());
  shm::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&to), size) == 0) return fd;
  const int error = errno;
  fd = shm::Fd();
  errno = error;
  return fd;
}

}  // namespace rl::reaper
