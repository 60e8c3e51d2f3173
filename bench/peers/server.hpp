/// \file
/// A peer that is a program of its own: started in a folder that goes with us, asked over a socket,
/// and ended by its process id.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "bench/last_will.hpp"
#include "bench/scratch.hpp"

namespace rl::bench {

/// Why a peer cannot be measured here; it is skipped with these words.
struct NotHere : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Returns where a program is, of PATH and of where services lie. Errors: NotHere, naming the Debian
/// package that has it.
std::string find_program(const std::string& name, const std::string& package);

/// Returns the first words of what it says of itself, or else its path.
std::string version_of(const std::string& program, const std::string& option);

/// A folder of our own for sockets and logs. It is removed also when we are killed.
class Folder {
 public:
  /// Errors: std::runtime_error, std::filesystem::filesystem_error.
  Folder();
  [[nodiscard]] std::string path_of(const std::string& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
  LastWill will_;
};

/// A stream of requests and replies.
class Wire {
 public:
  explicit Wire(int fd);
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;
  Wire(Wire&& other) noexcept;
  Wire& operator=(Wire&&) = delete;
  ~Wire();

  /// Sends the requests and reads until so many replies ended. Returns the first 64 bytes of them at
  /// most. Errors: NotHere when none came for half a minute, or the other side hung up.
  std::string_view ask(std::string_view requests, std::uint64_t replies, std::string_view end);

 private:
  void send(std::string_view bytes) const;
  [[nodiscard]] std::size_t receive();

  int fd_;
  std::vector<char> buffer_;
  char first_[64] = {};
};

/// A running program.
class Server {
 public:
  /// Starts `command`, whose output goes to `log`. Errors: std::runtime_error.
  Server(const std::vector<std::string>& command, const std::string& log);
  /// The same, with a socket as its standard input and output, which wire() is the other end of.
  struct Piped {};
  Server(Piped, const std::vector<std::string>& command, const std::string& log);

  /// Returns a connection to its Unix socket, as soon as it listens. Errors: NotHere if it ended or
  /// took more than half a minute.
  [[nodiscard]] Wire connect(const std::string& socket) const;
  /// Returns what Piped asked for; once.
  [[nodiscard]] Wire wire();
  /// Returns the CPU time that it took until now, all threads together. Errors: NotHere if it ended.
  [[nodiscard]] std::uint64_t cpu_ns() const;
  /// Returns that sentence about it, with what it said last.
  [[nodiscard]] NotHere failure(const std::string& what) const;

 private:
  void start(const std::vector<std::string>& command, const std::string& log, int socket);
  std::string name_;
  std::string log_;
  Children children_;
  pid_t pid_ = 0;
  int socket_ = -1;
};

/// Returns the CPU time of the calling thread.
std::uint64_t own_cpu_ns();

}  // namespace rl::bench
