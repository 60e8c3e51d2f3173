#include "tools/rlreaper/event_pump.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "tools/rlreaper/service.hpp"

namespace rl::reaper {
namespace {

using namespace std::chrono_literals;

constexpr auto kReadEvery = 25ms;  // a process has room for 128 events
constexpr auto kLastWrites = 1s;   // of a sink that is taken away

}  // namespace

EventPump::~EventPump() {
  if (reader_.joinable()) end({});
}

void EventPump::change(const std::vector<std::string>& sinks) {
  const std::lock_guard lock(mutex_);
  for (const std::string& name : sinks) {
    const auto is_it = [&](const auto& outlet) { return outlet->name() == name; };
    if (std::none_of(outlets_.begin(), outlets_.end(), is_it))
      outlets_.push_back(Outlet::start(make_sink(name)));
  }
  const auto end = std::chrono::steady_clock::now() + kLastWrites;
  std::erase_if(outlets_, [&](const auto& outlet) {
    const bool stays = std::find(sinks.begin(), sinks.end(), outlet->name()) != sinks.end();
    stays ? outlet->wake() : outlet->end(end);
    return !stays;
  });
  if (!outlets_.empty() && !reader_.joinable())
    reader_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

/// A segment that was replaced goes on: the library follows it.
void EventPump::read_from(const Segments& led) {
  const std::lock_guard lock(mutex_);
  std::erase_if(streams_, [&](const auto& stream) {
    return outlets_.empty() || !led.contains(stream.first);
  });
  if (outlets_.empty()) return;
  for (const auto& [name, segment] : led) {
    if (streams_.contains(name)) continue;
    try {
      streams_.emplace(name, Events(*segment, Events::From::oldest, Events::As::consumer));
    } catch (const Error& e) {
      streams_.emplace(name, std::nullopt);
      say(fmt::format("{}: no events: {}", name, e.what()));
    }
  }
}

std::vector<std::string> EventPump::status() const {
  std::vector<std::string> lines;  // none but the main thread changes the sinks
  for (const auto& outlet : outlets_) lines.push_back(outlet->status());
  return lines;
}

void EventPump::end(std::chrono::steady_clock::time_point deadline) {
  deadline_ = deadline;
  reader_.request_stop();
}

bool EventPump::has_ended(std::chrono::steady_clock::time_point deadline) {
  if (reader_.joinable()) reader_.join();
  return std::all_of(outlets_.begin(), outlets_.end(),
                     [&](const auto& outlet) { return outlet->has_ended(deadline); });
}

void EventPump::run(const std::stop_token& stop) {
  bool is_last = false;
  while (!is_last) {  // ends: end()
    is_last = stop.stop_requested();
    std::unique_lock lock(mutex_);
    read_all();
    if (!is_last) pause_.wait_for(lock, stop, kReadEvery, [] { return false; });
  }
  for (const auto& outlet : outlets_) outlet->end(deadline_);
}

void EventPump::read_all() {
  for (auto& [name, events] : streams_) {
    try {
      if (events) read_one(name, *events);
    } catch (const std::exception& e) {  // no memory
      say(fmt::format("{}: events were lost: {}", name, e.what()));
    }
  }
}

/// What was lost had happened before what could be read.
void EventPump::read_one(const std::string& name, Events& events) {
  std::vector<std::shared_ptr<const Record>> batch;
  const EventsRead read = events.poll([&](const Event& event) {
    batch.push_back(std::make_shared<Record>(Record{.segment = name, .event = event}));
  });
  if (read.lost != 0) {
    batch.insert(batch.begin(),
                 std::make_shared<Record>(Record{.segment = name, .lost = read.lost}));
  }
  if (batch.empty()) return;
  for (const auto& outlet : outlets_) {
    for (const auto& record : batch) outlet->push(record);
    outlet->wake();
  }
}

}  // namespace rl::reaper
