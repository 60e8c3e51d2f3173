/// \file
/// What tests of the web server share: the server as a process, and a plain client.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support.hpp"

namespace rl::test {

/// How long anything may take before a test gives up on it.
inline constexpr std::chrono::seconds kPatience{20};

/// Asks until the answer is yes. Returns whether it came in time.
inline bool poll_until(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::usleep(2'000);
  }
  return true;
}

inline std::string program(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr)
    throw std::runtime_error(std::string(variable) + " is not set; meson test does that");
  return path;
}

/// What came back; status 0 when the connection ended before a whole answer.
struct Answer {
  int status = 0;
  std::map<std::string, std::string> fields;  ///< by lower-case name
  std::string body;
  [[nodiscard]] pid_t worker() const { return std::atoi(fields.at("worker").c_str()); }
};

/// A connection to the server that waits at most kPatience for anything.
class Client {
 public:
  explicit Client(std::uint16_t port) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience{kPatience.count(), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
  }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;
  ~Client() { ::close(fd_); }

  [[nodiscard]] bool connected() const { return connected_; }
  void send(const std::string& text) const {
    (void)!::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
  }
  /// Returns whether the server ends the connection; false also when it says something first.
  bool ends() {
    char byte = 0;
    const ssize_t got = unread_.empty() ? ::recv(fd_, &byte, 1, 0) : 1;
    return got == 0 || (got < 0 && errno != EAGAIN);
  }

  /// Reads the next answer; to HEAD it has no body.
  Answer answer(bool to_head = false) {
    Answer answer;
    std::size_t end = 0;
    while ((end = unread_.find("\r\n\r\n")) == unread_.npos) {
      if (!read_more()) return {};
    }
    const std::string head = take(end + 4);
    for (std::size_t line = head.find("\r\n") + 2; line < end; line = head.find("\r\n", line) + 2) {
      const std::size_t colon = head.find(':', line);
      std::string name = head.substr(line, colon - line);
      std::transform(name.begin(), name.end(), name.begin(), ::tolower);
      answer.fields[name] = head.substr(colon + 2, head.find("\r\n", line) - colon - 2);
    }
    const std::size_t bytes = to_head ? 0 : std::stoul(answer.fields["content-length"]);
    while (unread_.size() < bytes) {
      if (!read_more()) return {};
    }
    answer.body = take(bytes);
    answer.status = std::stoi(head.substr(9, 3));
    return answer;
  }

  Answer ask(const std::string& request, bool is_head = false) {
    send(request);
    return answer(is_head);
  }
  /// GETs the root with these fields beside Host; each ends with CR LF.
  Answer get(const std::string& fields = {}) {
    return ask("GET / HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n");
  }

 private:
  bool read_more() {
    char buffer[4096];
    const ssize_t got = ::recv(fd_, buffer, sizeof buffer, 0);
    if (got > 0) unread_.append(buffer, static_cast<std::size_t>(got));
    return got > 0;
  }
  std::string take(std::size_t bytes) {
    std::string front = unread_.substr(0, bytes);
    unread_.erase(0, bytes);
    return front;
  }

  int fd_;
  bool connected_;
  std::string unread_;
};

/// A running prefork_server on a port and a segment of its own.
class WebServer {
 public:
  explicit WebServer(std::vector<std::string> arguments)
      : segment_(unique_name()), remove_(segment_) {
    arguments.insert(arguments.begin(), {program("RL_PREFORK_SERVER"), "--port", "0", "--segment",
                                         segment_, "--keys", "1000"});
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe2");
    out_ = ends[0];
    process_.emplace_back([&] {
      ::dup2(ends[1], 1);
      std::vector<char*> argv;
      for (std::string& argument : arguments) argv.push_back(argument.data());
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      throw std::runtime_error("exec");
    });
    ::close(ends[1]);
    ::fcntl(out_, F_SETFL, O_NONBLOCK);
    const std::string listening = "listening on 127.0.0.1:";
    if (!poll_until([&] { return said(listening); })) throw std::runtime_error("no server");
    port_ = static_cast<std::uint16_t>(
        std::stoi(output_.substr(output_.find(listening) + listening.size())));
  }
  WebServer(const WebServer&) = delete;
  WebServer& operator=(const WebServer&) = delete;
  ~WebServer() {
    process_.clear();
    ::close(out_);
  }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] const std::string& segment() const { return segment_; }
  void signal(int number) const { process_.front().signal(number); }
  int wait() { return process_.front().wait(); }
  /// Says whether the server has printed this.
  bool said(const std::string& text) {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(out_, buffer, sizeof buffer)) > 0;)
      output_.append(buffer, static_cast<std::size_t>(got));
    return output_.find(text) != output_.npos;
  }
  /// Counts the workers that the server says it has started.
  std::size_t started() {
    (void)said("");
    std::size_t count = 0;
    for (std::size_t at = 0; (at = output_.find(" started\n", at)) != output_.npos; ++at) ++count;
    return count;
  }

 private:
  std::string segment_;
  RemoveAtEnd remove_;
  int out_ = -1;
  std::string output_;
  std::vector<Child> process_;
  std::uint16_t port_ = 0;
};

}  // namespace rl::test
