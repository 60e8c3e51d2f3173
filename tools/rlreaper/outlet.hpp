/// \file
/// A sink with a queue before it and a thread behind it: who pushes never waits, whatever becomes of
/// the sink.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <boost/lockfree/spsc_queue.hpp>
#include <chrono>
#include <cstdint>
#include <future>
#include <memory>
#include <string>

#include "shm/os.hpp"
#include "tools/rlreaper/sinks.hpp"

namespace rl::reaper {

/// What fits into the queue is written in order, once; what does not is counted, and where records
/// are missing, that is written. A sink that fails is tried again each second, with the record that
/// it failed at.
///
/// Threads: one pushes, and any may call the rest.
class Outlet {
 public:
  /// Errors: Error (system), std::system_error.
  static std::shared_ptr<Outlet> start(std::unique_ptr<Sink> sink);
  explicit Outlet(std::unique_ptr<Sink> sink);

  [[nodiscard]] const std::string& name() const noexcept { return sink_->name(); }
  /// Queues a record, or drops it. Errors: std::bad_alloc.
  void push(const std::shared_ptr<const Record>& record);
  /// Has the thread look at the queue, and whether the sink is still the same.
  void wake() const noexcept;
  /// Has the thread write what it can until then, and end.
  void end(std::chrono::steady_clock::time_point deadline) noexcept;
  /// Waits for that. Returns whether it has ended.
  [[nodiscard]] bool has_ended(std::chrono::steady_clock::time_point deadline) const;
  /// Returns what became of the records, for people: one line.
  [[nodiscard]] std::string status() const;

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kRecords = 8'192;  ///< twice what a segment has room for

  void run() noexcept;
  void pour();
  void open();
  [[nodiscard]] bool has_text();
  [[nodiscard]] bool write_some();
  void fail(const char* why) noexcept;
  void rest() const noexcept;
  [[nodiscard]] bool is_over() const noexcept;
  [[nodiscard]] Clock::time_point end_at() const noexcept;
  void drop_the_rest() noexcept;

  std::unique_ptr<Sink> sink_;
  shm::Fd wake_;
  boost::lockfree::spsc_queue<std::shared_ptr<const Record>, boost::lockfree::capacity<kRecords>>
      queue_;
  std::uint64_t missing_ = 0;  ///< dropped, and not told yet; the pusher's

  // The thread's.
  shm::Fd fd_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
  std::string text_;  ///< of the record in hand
  std::size_t written_of_text_ = 0;
  bool is_full_ = false;  ///< it takes no more just now
  Clock::time_point next_try_;
  std::string said_;  ///< of what fails; empty while nothing does

  // Relaxed: counts for people, and an end that is looked at again after each wake-up.
  std::atomic<std::uint64_t> written_{0};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::uint64_t> failed_{0};
  std::atomic<Clock::rep> end_at_{Clock::time_point::max().time_since_epoch().count()};
  std::promise<void> ended_;
  std::future<void> end_;
};

}  // namespace rl::reaper
