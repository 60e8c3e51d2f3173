/// \file
/// A text by HTTP, for Prometheus.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace rl::reaper {

/// Where to listen.
struct ListenAt {
  std::string address;  ///< in digits; empty: all that this host has
  std::uint16_t port = 0;
  friend bool operator==(const ListenAt&, const ListenAt&) = default;
};

/// Reads "127.0.0.1:9464", "[::1]:9464" or ":9464". Errors: Error (bad_option), beginning with
/// `what`.
ListenAt parse_listen_at(std::string_view what, std::string_view text);

/// Answers GET /metrics with the text that was published last; whoever asks for anything else is
/// told so. What comes by the network is input: a request may be so long and take so much time, and
/// of too many connections the oldest ends.
///
/// Threads: one of its own, which blocks the signals that its maker blocks. It shares with its maker
/// no more than the text, and nobody waits for a client.
class MetricsServer {
 public:
  /// Listens, on a port that is free if it is 0. Errors: Error (system) when that cannot be had.
  MetricsServer(const ListenAt& at, std::string text);
  MetricsServer(const MetricsServer&) = delete;
  MetricsServer& operator=(const MetricsServer&) = delete;
  /// Ends all connections, at once.
  ~MetricsServer();

  void publish(std::string text);
  /// Returns where it listens, as "127.0.0.1:9464".
  [[nodiscard]] std::string where() const;
  /// Returns how often the text was given.
  [[nodiscard]] std::uint64_t answers() const noexcept;

 private:
  struct Inside;
  std::unique_ptr<Inside> inside_;
};

}  // namespace rl::reaper
