#include "tests/support.hpp"

#include <sched.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>

#include <array>
#include <chrono>
#include <cstdio>

namespace rl::test {
namespace {

struct Pipe {
  int ends[2] = {-1, -1};
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) std::abort();
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  void close_end(int i) noexcept {
    if (ends[i] >= 0) ::close(std::exchange(ends[i], -1));
  }
};

bool write_file(const char* path, const std::string& text) {
  const int file = ::open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return false;
  const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  ::close(file);
  return written;
}

/// Starts a program with these as its first three files; -1 when it cannot be run. It is no copy of this
/// process, whose memory is large under a sanitizer.
pid_t spawn(const std::vector<std::string>& arguments, const std::array<int, 3>& files) {
  std::vector<char*> argv;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  for (int i = 0; i < 3; ++i)
    ::posix_spawn_file_actions_adddup2(&actions, files[static_cast<std::size_t>(i)], i);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  return error == 0 ? pid : -1;
}

/// A number that no other run has; processes of containers share their pids.
std::uint64_t fresh_seed() {
  std::uint64_t value = 0;
  if (::getrandom(&value, sizeof value, 0) == sizeof value) return value;
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
}

}  // namespace

std::string contents(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  struct stat status {};
  (void)::fstat(file, &status);
  // One more than there seems to be: a read of none says that all was read.
  std::string bytes(static_cast<std::size_t>(status.st_size) + 1, '\0');
  std::size_t size = 0;
  ssize_t got = 0;
  while ((got = ::read(file, bytes.data() + size, bytes.size() - size)) > 0) {  // ends as the file
    size += static_cast<std::size_t>(got);
    if (size == bytes.size()) bytes.resize(2 * size);
  }
  ::close(file);
  bytes.resize(size);
  return bytes;
}

std::uint64_t seed() {
  static const std::uint64_t value = [] {
    const char* const text = std::getenv("RL_TEST_SEED");
    const std::uint64_t chosen = text != nullptr ? std::strtoull(text, nullptr, 0) : fresh_seed();
    std::fprintf(stderr, "RL_TEST_SEED=%llu\n", static_cast<unsigned long long>(chosen));
    return chosen;
  }();
  return value;
}

bool enter_namespaces(int kinds) {
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (::unshare(kinds) == 0) return true;
  if (::unshare(CLONE_NEWUSER | kinds) != 0) return false;
  (void)write_file("/proc/self/setgroups", "deny");
  return write_file("/proc/self/uid_map", uid + " " + uid + " 1") &&
         write_file("/proc/self/gid_map", gid + " " + gid + " 1");
}

bool leave_mounts_alone() {
  return enter_namespaces(CLONE_NEWNS) &&
         ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
}

Ran run(const std::vector<std::string>& arguments, std::string_view input) {
  Pipe in;
  Pipe out;
  Pipe err;
  const pid_t pid = spawn(arguments, {in.ends[0], out.ends[1], err.ends[1]});
  if (pid < 0) return {127, {}, {}};
  in.close_end(0);
  out.close_end(1);
  err.close_end(1);
  Ran ran;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  ::signal(SIGPIPE, SIG_IGN);
  while (out.ends[0] >= 0 || err.ends[0] >= 0) {
    if (input.empty()) in.close_end(1);
    pollfd fds[3] = {{out.ends[0], POLLIN, 0}, {err.ends[0], POLLIN, 0}, {in.ends[1], POLLOUT, 0}};
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0 || ::poll(fds, 3, static_cast<int>(left.count())) < 0) {
      ::kill(pid, SIGKILL);
      break;
    }
    const auto drain = [](int revents, Pipe& pipe, std::string& to) {
      if ((revents & (POLLIN | POLLHUP | POLLERR)) == 0) return;
      char buffer[65'536];
      const ssize_t got = ::read(pipe.ends[0], buffer, sizeof buffer);
      if (got > 0) to.append(buffer, static_cast<std::size_t>(got));
      if (got == 0) pipe.close_end(0);
    };
    drain(fds[0].revents, out, ran.out);
    drain(fds[1].revents, err, ran.err);
    if ((fds[2].revents & (POLLOUT | POLLERR)) != 0) {
      const ssize_t put = ::write(in.ends[1], input.data(), input.size());
      if (put < 0) input = {};
      if (put > 0) input.remove_prefix(static_cast<std::size_t>(put));
    }
  }
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  ran.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return ran;
}

}  // namespace rl::test
