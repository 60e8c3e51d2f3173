/// \file
/// From the segments that this reaper leads to the sinks: one thread reads, and each sink has one.
#pragma once

#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlreaper/outlet.hpp"

namespace rl::reaper {

/// Reads events forty times a second, whatever the main thread is at, and hands them to the sinks.
/// Without sinks nothing is read. Make it after Signals: its threads take none.
///
/// Threads: one, the main one.
class EventPump {
 public:
  using Segments = std::map<std::string, const Segment*>;

  EventPump() = default;
  EventPump(const EventPump&) = delete;
  EventPump& operator=(const EventPump&) = delete;
  ~EventPump();

  /// Writes to these sinks from now on; those that were there go on, and look whether their files
  /// are still the same. Errors: as make_sink; Error (system).
  void change(const std::vector<std::string>& sinks);
  /// Reads these segments from now on, and no other.
  void read_from(const Segments& led);
  /// Returns a line for each sink, for people.
  [[nodiscard]] std::vector<std::string> status() const;
  /// Has the threads read and write what they can until then, and end.
  void end(std::chrono::steady_clock::time_point deadline);
  /// Waits for that. Returns whether all have ended.
  [[nodiscard]] bool has_ended(std::chrono::steady_clock::time_point deadline);

 private:
  void run(const std::stop_token& stop);
  void read_all();
  void read_one(const std::string& name, Events& events);

  std::mutex mutex_;  ///< of the next two; held while events are read: for milliseconds
  std::map<std::string, std::optional<Events>> streams_;  ///< none: it cannot be read
  std::vector<std::shared_ptr<Outlet>> outlets_;
  std::condition_variable_any pause_;
  std::chrono::steady_clock::time_point deadline_;  ///< set before the end is asked for
  std::jthread reader_;
};

}  // namespace rl::reaper
