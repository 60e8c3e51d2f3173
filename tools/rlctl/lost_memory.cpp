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

}  // namespace

/// Whatever was interrupted does not go on.
void end_as_memory_is_lost() noexcept {
  (void)!::write(STDERR_FILENO, kSentence.data(), kSentence.size());
  ::_exit(2);
}

void say_when_memory_is_lost() noexcept {
  struct sigaction action {};
  action.sa_handler = [](int) { end_as_memory_is_lost(); };
  (void)::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace rl::ctl
