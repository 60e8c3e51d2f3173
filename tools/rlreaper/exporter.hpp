/// \file
/// The numbers of all segments that rlreaper looks after, for Prometheus.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "tools/rlreaper/metrics_server.hpp"

namespace rl::reaper {

/// Publishes the numbers once a second, from when it has the address on. An address that cannot be
/// had is said once, counted, and tried again each second.
class Exporter {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Exporter(std::optional<ListenAt> at) : at_(std::move(at)) {}
  /// Listens elsewhere, or no more.
  void change(std::optional<ListenAt> at);
  /// Does what there is to do now, with the text that `compose` returns.
  void tick(Clock::time_point now, const std::function<std::string()>& compose);
  /// Returns what is going on, for people: one line; empty if nothing is exported.
  [[nodiscard]] std::string status() const;

 private:
  void listen(std::string text);

  std::optional<ListenAt> at_;
  std::optional<MetricsServer> server_;
  Clock::time_point next_;
  std::uint64_t failures_ = 0;
  std::string said_;
};

}  // namespace rl::reaper
