#include "bench/peers/server.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <thread>
#include <utility>

namespace rl::bench {
namespace {

namespace fs = std::filesystem;

constexpr int kAnswerSeconds = 30;
constexpr std::chrono::seconds kStartTime{30};

std::runtime_error failed_call(const char* what) {
  return std::runtime_error(fmt::format("{}: {}", what, std::strerror(errno)));
}

std::uint64_t clock_ns(clockid_t clock) {
  timespec at{};
  if (::clock_gettime(clock, &at) != 0) throw NotHere("has ended");
  return static_cast<std::uint64_t>(at.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(at.tv_nsec);
}

/// Returns what a program said last.
std::string last_line(const std::string& path) {
  std::ifstream log(path);
  std::string last;
  for (std::string line; std::getline(log, line);) {
    if (!line.empty()) last = line;
  }
  return last;
}

}  // namespace

std::string version_of(const std::string& program, const std::string& option) {
  const std::string command = fmt::format("'{}' {} 2>&1 </dev/null", program, option);
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) return program;
  char line[120] = {};
  const bool said = std::fgets(line, sizeof line, pipe) != nullptr;
  ::pclose(pipe);
  std::string text(said ? line : program.c_str());
  text.resize(std::min(text.find('\n'), text.size()));
  std::size_t end = 0;  // of three words: no more of it is a name or a number
  for (int words = 0; words < 3 && end < text.size(); ++words)
    end = std::min(text.find(' ', end + 1), text.size());
  return text.substr(0, end);
}

std::string find_program(const std::string& name, const std::string& package) {
  const char* const path = std::getenv("PATH");
  const std::string folders =
      fmt::format("{}:/usr/local/sbin:/usr/sbin:/sbin", path == nullptr ? "/usr/bin" : path);
  for (std::size_t at = 0; at < folders.size();) {
    const std::size_t end = std::min(folders.find(':', at), folders.size());
    const std::string file = fmt::format("{}/{}", folders.substr(at, end - at), name);
    if (::access(file.c_str(), X_OK) == 0) return file;
    at = end + 1;
  }
  throw NotHere(fmt::format("there is no {} here (Debian: {})", name, package));
}

Folder::Folder() : path_(fs::path("/tmp") / fmt::format("rl-{}", unique_name())), will_(path_) {
  // Ours alone: mkdir refuses a name that somebody else was quick to take.
  if (::mkdir(path_.c_str(), 0700) != 0) throw failed_call(path_.c_str());
}

Wire::Wire(int fd) : fd_(fd), buffer_(1U << 16) {
  const timeval patience{kAnswerSeconds, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

Wire::Wire(Wire&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), buffer_(std::move(other.buffer_)) {}

Wire::~Wire() {
  if (fd_ >= 0) ::close(fd_);
}

void Wire::send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) throw NotHere("takes no more requests");
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

std::size_t Wire::receive() {
  while (true) {
    const ssize_t got = ::recv(fd_, buffer_.data(), buffer_.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got > 0) return static_cast<std::size_t>(got);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      throw NotHere(fmt::format("did not answer for {} s", kAnswerSeconds));
    throw NotHere("hung up");
  }
}

std::string_view Wire::ask(std::string_view requests, std::uint64_t replies, std::string_view end) {
  send(requests);
  std::size_t kept = 0;
  std::size_t matched = 0;  // of the end of a reply, which may come in two pieces
  while (replies > 0) {
    const std::size_t got = receive();
    const std::size_t more = std::min(got, sizeof first_ - kept);
    std::memcpy(first_ + kept, buffer_.data(), more);
    kept += more;
    for (std::size_t i = 0; i < got && replies > 0; ++i) {
      // A '\r' begins all ends that have one, so that one byte that does not match may.
      if (buffer_[i] != end[matched]) matched = 0;
      if (buffer_[i] == end[matched]) ++matched;
      if (matched < end.size()) continue;
      matched = 0;
      --replies;
    }
  }
  return {first_, kept};
}

Server::Server(const std::vector<std::string>& command, const std::string& log)
    : name_(fs::path(command.at(0)).filename()), log_(log) {
  start(command, log, -1);
}

Server::Server(Piped, const std::vector<std::string>& command, const std::string& log)
    : name_(fs::path(command.at(0)).filename()), log_(log) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
    throw failed_call("socketpair");
  socket_ = ends[0];
  start(command, log, ends[1]);
  ::close(ends[1]);
}

void Server::start(const std::vector<std::string>& command, const std::string& log, int socket) {
  std::vector<char*> arguments;
  for (const std::string& argument : command)
    arguments.push_back(const_cast<char*>(argument.c_str()));  // exec changes none
  arguments.push_back(nullptr);
  pid_ = children_.fork([&] {
    const int out = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const int in = socket >= 0 ? socket : ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::dup2(in, STDIN_FILENO);
    ::dup2(socket >= 0 ? socket : out, STDOUT_FILENO);
    ::dup2(out, STDERR_FILENO);
    ::execv(arguments[0], arguments.data());
    throw failed_call(arguments[0]);
  });
}

NotHere Server::failure(const std::string& what) const {
  const std::string said = last_line(log_);
  return NotHere(fmt::format("{} {}{}{}", name_, what, said.empty() ? "" : "; it says: ", said));
}

Wire Server::connect(const std::string& socket) const {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.size() >= sizeof address.sun_path) throw NotHere("its socket's path is too long");
  std::memcpy(address.sun_path, socket.c_str(), socket.size() + 1);
  const auto give_up = std::chrono::steady_clock::now() + kStartTime;
  while (std::chrono::steady_clock::now() < give_up) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0)
      return Wire(fd);
    ::close(fd);
    siginfo_t ended{};  // looked at, and left for Children to wait for
    ::waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (ended.si_pid == pid_) throw failure("ended at once");
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  throw failure("does not listen");
}

Wire Server::wire() {
  return Wire(std::exchange(socket_, -1));
}

std::uint64_t Server::cpu_ns() const {
  clockid_t clock{};
  if (::clock_getcpuclockid(pid_, &clock) != 0) throw failure("has ended");
  return clock_ns(clock);
}

std::uint64_t own_cpu_ns() {
  return clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

}  // namespace rl::bench
