#include "tools/rlctl/output.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>

#include <cerrno>
#include <cstdio>

#include "shm/os.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

/// What became of who writes to nobody, before prepare_output.
void (*before_sigpipe)(int) = SIG_DFL;

[[noreturn]] void fail() {
  throw Error(Errc::system,
              fmt::format("writing to standard output: {}; the answer is not complete, "
                          "send it elsewhere",
                          shm::errno_text(errno)));
}

}  // namespace

void prepare_output() noexcept {
  for (int fd = 0; fd <= 2; ++fd) {
    // The wrong way round: using the stand-in is an error (EBADF), as it was without it.
    if (::fcntl(fd, F_GETFD) < 0) (void)::open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
  }
  before_sigpipe = ::signal(SIGPIPE, SIG_DFL);
}

void leave_output() noexcept {
  if (before_sigpipe == SIG_IGN) (void)::signal(SIGPIPE, SIG_IGN);
}

void put(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail();
}

void finish_output() {
  if (std::fflush(stdout) != 0) fail();
}

void complain(std::string_view sentence) noexcept try {
  const std::string line = fmt::format("rlctl: {}\n", escape(sentence));
  (void)std::fwrite(line.data(), 1, line.size(), stderr);
} catch (...) {
  (void)std::fputs("rlctl: out of memory\n", stderr);
}

}  // namespace rl::ctl
