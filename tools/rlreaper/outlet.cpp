#include "tools/rlreaper/outlet.hpp"

#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include "tools/rlreaper/service.hpp"

namespace rl::reaper {
namespace {

using namespace std::chrono_literals;

constexpr auto kTryEvery = 1s;
constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

Outlet::Outlet(std::unique_ptr<Sink> sink)
    : sink_(std::move(sink)),
      wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      end_(ended_.get_future()) {
  if (!wake_) throw shm::os_error("making an eventfd", errno);
}

/// The thread owns it, too: one that hangs in a write, as on a file server that is gone, is left
/// behind.
std::shared_ptr<Outlet> Outlet::start(std::unique_ptr<Sink> sink) {
  auto outlet = std::make_shared<Outlet>(std::move(sink));
  std::thread([outlet] { outlet->run(); }).detach();
  return outlet;
}

void Outlet::push(const std::shared_ptr<const Record>& record) {
  if (missing_ != 0 && queue_.push(std::make_shared<Record>(Record{.lost = missing_})))
    missing_ = 0;
  if (missing_ == 0 && queue_.push(record)) return;
  ++missing_;
  dropped_.fetch_add(1, kRelaxed);
}

void Outlet::wake() const noexcept {
  const std::uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);
}

void Outlet::end(Clock::time_point deadline) noexcept {
  end_at_.store(deadline.time_since_epoch().count(), kRelaxed);
  wake();
}

bool Outlet::has_ended(Clock::time_point deadline) const {
  return end_.wait_until(deadline) == std::future_status::ready;
}

std::string Outlet::status() const {
  return fmt::format("events to {}: {} written, {} dropped, {} failed tries", name(),
                     written_.load(kRelaxed), dropped_.load(kRelaxed), failed_.load(kRelaxed));
}

void Outlet::run() noexcept {
  while (true) {  // ends: end(), at its deadline at the latest, after one more try
    const bool is_ending = end_at() != Clock::time_point::max();
    try {
      pour();
    } catch (const std::exception& e) {
      fail(e.what());
    }
    if (is_ending && is_over()) break;
    rest();
  }
  drop_the_rest();
  ended_.set_value_at_thread_exit();
}

/// Writes what there is, as far as the sink takes it. Errors: Error, as of the sink.
void Outlet::pour() {
  if (Clock::now() < next_try_ && end_at() == Clock::time_point::max()) return;
  is_full_ = false;
  if (fd_ && !sink_->is_current(fd_.get())) fd_ = shm::Fd();
  if (!fd_) open();
  while (has_text() && write_some() && Clock::now() < end_at()) {  // ends: the queue does
  }
}

/// Of a file that is still the same, the line that was begun goes on.
void Outlet::open() {
  fd_ = sink_->open();
  struct stat opened {};
  (void)::fstat(fd_.get(), &opened);
  if (opened.st_dev != device_ || opened.st_ino != inode_) written_of_text_ = 0;
  device_ = opened.st_dev;
  inode_ = opened.st_ino;
}

/// Takes the next record in hand, unless there is one.
bool Outlet::has_text() {
  if (!text_.empty()) return true;
  std::shared_ptr<const Record> record;
  if (!queue_.pop(record)) return false;
  text_ = sink_->text_of(*record);
  written_of_text_ = 0;
  return true;
}

/// Returns whether it takes more. Errors: Error, as of the system call.
bool Outlet::write_some() {
  const ssize_t written =
      ::write(fd_.get(), text_.data() + written_of_text_, text_.size() - written_of_text_);
  if (written < 0 && errno == EINTR) return true;
  if (written < 0 && errno == EAGAIN) return !(is_full_ = true);
  if (written < 0) throw shm::os_error(fmt::format("{}: writing", name()), errno);
  written_of_text_ += static_cast<std::size_t>(written);
  if (written_of_text_ < text_.size()) return true;
  text_.clear();
  written_.fetch_add(1, kRelaxed);
  if (!said_.empty()) say(fmt::format("events to {}: written again", name()));
  said_.clear();
  return true;
}

void Outlet::fail(const char* why) noexcept {
  failed_.fetch_add(1, kRelaxed);
  fd_ = shm::Fd();
  next_try_ = Clock::now() + kTryEvery;
  try {
    if (said_ == why) return;
    said_ = why;
    say(fmt::format("events to {}: {}; trying again each second", name(), why));
  } catch (const std::bad_alloc&) {  // the count tells it
  }
}

/// Waits until there is something to do.
void Outlet::rest() const noexcept {
  const auto next = std::min(std::max(next_try_, Clock::now() + (fd_ ? kTryEvery : 0s)), end_at());
  const auto time = std::chrono::ceil<std::chrono::milliseconds>(next - Clock::now());
  std::array<pollfd, 2> fds{{{wake_.get(), POLLIN, 0}, {is_full_ ? fd_.get() : -1, POLLOUT, 0}}};
  (void)::poll(fds.data(), fds.size(), std::max(static_cast<int>(time.count()), 0));
  std::uint64_t woken = 0;
  (void)!::read(wake_.get(), &woken, sizeof woken);
}

/// Whether there is nothing more to do, or no hope or time to do it.
bool Outlet::is_over() const noexcept {
  const bool has_work = !text_.empty() || queue_.read_available() != 0;
  return !has_work || !said_.empty() || Clock::now() >= end_at();
}

Outlet::Clock::time_point Outlet::end_at() const noexcept {
  return Clock::time_point(Clock::duration(end_at_.load(kRelaxed)));
}

/// Nothing is lost without a word.
void Outlet::drop_the_rest() noexcept {
  std::uint64_t count = text_.empty() ? 0 : 1;
  std::shared_ptr<const Record> record;
  while (queue_.pop(record)) ++count;
  dropped_.fetch_add(count, kRelaxed);
  try {
    if (count != 0) say(fmt::format("events to {}: {} were not written", name(), count));
  } catch (const std::bad_alloc&) {
  }
}

}  // namespace rl::reaper
