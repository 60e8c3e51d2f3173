#include "tools/rlctl/input.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>

#include <rl/error.hpp>

#include "shm/os.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {

std::string read_whole(std::string_view what, const std::string& file) {
  constexpr std::size_t kMost = std::size_t{1} << 30;
  const auto failed = [&](const std::string& why) {
    return Error(Errc::bad_option, fmt::format("{} {}: {}; give a file that can be read, or - for "
                                               "standard input",
                                               what, escape(file), why));
  };
  const shm::Fd opened =
      file == "-" ? shm::Fd(::dup(STDIN_FILENO)) : shm::open_file(file.c_str(), O_RDONLY);
  if (!opened) throw failed(shm::errno_text(errno));
  std::string bytes;
  for (;;) {  // ends with the file, or at kMost
    char buffer[65'536];
    const ssize_t got = ::read(opened.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw failed(shm::errno_text(errno));
    if (got == 0) return bytes;
    bytes.append(buffer, static_cast<std::size_t>(got));
    if (bytes.size() > kMost) throw failed("longer than 1 GiB");
  }
}

std::size_t read_some(int fd, std::span<char> to, const std::string& name) {
  ssize_t got;
  do {
    got = ::read(fd, to.data(), to.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw shm::os_error(fmt::format("{}: reading it", name), errno);
  return static_cast<std::size_t>(got);
}

}  // namespace rl::ctl
