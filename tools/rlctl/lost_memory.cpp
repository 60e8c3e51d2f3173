#include "tools/rlctl/lost_memory.hpp"

#include <signal.h>
#include <unistd.h>

#include <string_view>

namespace rl::ctl {
namespace {

constexpr std::string_view kSentence =
    "rlctl: the segment's memory is gone, as its file was cut short while it was open (SIGBUS); "
    "see "
    "who writes to it, remove it and create it anew\n";

/// Only what a handler of signals may do. Whatever was interrupted does not go on.
void end(int) {
  (void)!::write(STDERR_FILENO, kSentence.data(), kSentence.size());
  ::_exit(2);
}

}  // namespace

void say_when_memory_is_lost() noexcept {
  struct sigaction action {};
  action.sa_handler = end;
  (void)::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace rl::ctl
