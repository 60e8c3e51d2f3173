/// \file
/// One segment that rlreaper looks after.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <string>

#include <rl/rl.hpp>

#include "tools/metrics/facts.hpp"
#include "tools/rlreaper/options.hpp"
#include "tools/rlreaper/service.hpp"

namespace rl::reaper {

using Clock = std::chrono::steady_clock;

/// A segment: absent (then it is waited for), led by another reaper, or led by this one. What goes
/// wrong is said once, tried again, and never ends the process.
class Watch {
 public:
  Watch(std::string name, const Options& options, const Notifier& notifier);

  /// Does what there is to do now. Bounded, but for a checkpoint, which gives way to signals.
  void tick(Clock::time_point now);
  /// Goes by other options from now on.
  void change(const Options& options);
  /// Writes a last checkpoint, if there is time for it.
  void finish(Clock::time_point deadline);

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  /// Returns the segment while this reaper leads it, else null.
  [[nodiscard]] const Segment* led() const noexcept {
    return held_ && leads_ ? &held_->segment : nullptr;
  }
  /// Returns what is going on, for people: one line.
  [[nodiscard]] std::string status() const;
  /// Returns what is known, for programs; what is in the slots as the last whole round found it.
  [[nodiscard]] metrics::Facts facts() const;

 private:
  /// An opened segment.
  struct Held {
    Segment segment;
    Reaper reaper;
    dev_t device;
    ino_t inode;
  };

  void look(Clock::time_point now);
  void open();
  void take_up(Segment segment, const char* how);
  [[nodiscard]] bool is_where_it_was() const;
  void note_lead(bool leads, Clock::time_point now);
  void sweep(Clock::time_point now);
  void checkpoint(Clock::time_point now, const std::function<bool()>& goes_on);
  /// Says it, unless that was the last that was said of this.
  void say_once(std::string& last, const std::string& line) const;

  std::string name_;
  Options options_;
  const Notifier& notifier_;
  bool was_there_ = false;
  std::optional<Held> held_;
  bool leads_ = false;
  Clock::time_point next_look_;
  Clock::time_point last_sweep_;
  Clock::time_point next_round_;
  Clock::time_point next_checkpoint_;
  SweepReport in_round_;    ///< so far
  SweepReport last_round_;  ///< a whole table, unless there was none yet
  std::uint64_t checkpoints_ = 0;
  std::uint64_t failed_checkpoints_ = 0;
  std::string said_of_opening_;
  std::string said_of_checkpoint_;
};

}  // namespace rl::reaper
