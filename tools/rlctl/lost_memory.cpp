#include "tools/rlctl/lost_memory.hpp"

#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <string_view>

namespace rl::ctl {
namespace {

constexpr std::string_view kSentence =
    "rlctl: the segment's memory is gone, as its file was cut short while it was open (SIGBUS); "
    "see "
    "who writes to it, remove it and create it anew\n";

std::atomic<const char*> unfinished{nullptr};
std::atomic<int> code_at_end{2};
// A handler of signals reads them.
static_assert(std::atomic<const char*>::is_always_lock_free);
static_assert(std::atomic<int>::is_always_lock_free);

}  // namespace

void remove_as_memory_is_lost(const char* path) noexcept {
  // release: whoever ends finds the text behind it (end_as_memory_is_lost).
  unfinished.store(path, std::memory_order_release);
}

/// Whatever was interrupted does not go on.
void end_as_memory_is_lost() noexcept {
  // acquire: the text that was there when it was stored (remove_as_memory_is_lost).
  const char* const path = unfinished.load(std::memory_order_acquire);
  if (path != nullptr) (void)::unlink(path);
  (void)!::write(STDERR_FILENO, kSentence.data(), kSentence.size());
  // relaxed: set before there was a handler to read it (say_when_memory_is_lost).
  ::_exit(code_at_end.load(std::memory_order_relaxed));
}

void say_when_memory_is_lost(int exit_code) noexcept {
  // relaxed: this thread's own handler reads it (end_as_memory_is_lost).
  code_at_end.store(exit_code, std::memory_order_relaxed);
  struct sigaction action {};
  action.sa_handler = [](int) { end_as_memory_is_lost(); };
  (void)::sigaction(SIGBUS, &action, nullptr);
}

}  // namespace rl::ctl
