/// \file
/// rlreaper: keeps segments tidy. Nothing depends on it: limits hold without it, and it may be
/// killed or stopped at any instruction.
///
/// One thread goes round: each tenth of a second every segment gets its share of work, then signals
/// are looked at. Of several for a segment one leads, by a lock of the kernel that ends with its
/// process; the others stand by. What happens in the segments is read and written by other threads,
/// and yet another answers by HTTP.
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <exception>
#include <list>

#include <fmt/format.h>

#include <rl/rl.hpp>

#include "tools/metrics/families.hpp"
#include "tools/rlctl/common.hpp"
#include "tools/rlctl/output.hpp"
#include "tools/rlreaper/event_pump.hpp"
#include "tools/rlreaper/exporter.hpp"
#include "tools/rlreaper/options.hpp"
#include "tools/rlreaper/service.hpp"
#include "tools/rlreaper/watch.hpp"

namespace rl::reaper {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 100ms;
constexpr auto kLastCheckpoint = 500ms;  ///< SIGTERM ends within a second
constexpr auto kLastEvents = 600ms;
constexpr auto kLastWords = 800ms;

class Service {
 public:
  Service(Options options, int argc, const char* const* argv)
      : options_(std::move(options)), argc_(argc), argv_(argv), exporter_(options_.prometheus) {
    for (const std::string& name : options_.segments)
      watches_.emplace_back(name, options_, notifier_);
    pump_.change(options_.events);
  }

  void run() {
    tick();
    notifier_.ready();
    while (true) {  // ends: SIGTERM
      switch (signals_.wait(kTick)) {
        case SIGTERM:
          return finish();
        case SIGHUP:
          reload();
          break;
        case SIGUSR1:
          for (const Watch& watch : watches_) say(watch.status());
          for (const std::string& line : pump_.status()) say(line);
          if (const std::string line = exporter_.status(); !line.empty()) say(line);
          break;
        default:
          break;
      }
      tick();
    }
  }

 private:
  void tick() {
    const auto now = Clock::now();
    EventPump::Segments led;
    for (Watch& watch : watches_) {
      watch.tick(now);
      if (watch.led() != nullptr) led.emplace(watch.name(), watch.led());
    }
    pump_.read_from(led);
    exporter_.tick(now, [this] { return numbers(); });
    notifier_.alive();
    if (now < next_status_) return;
    next_status_ = now + 1s;
    std::string all;
    for (const Watch& watch : watches_) all += (all.empty() ? "" : "; ") + watch.status();
    notifier_.status(all);
  }

  /// Returns the numbers of all segments as Prometheus reads them.
  [[nodiscard]] std::string numbers() const {
    std::vector<metrics::Facts> facts;
    for (const Watch& watch : watches_) facts.push_back(watch.facts());
    return metrics::to_text(metrics::families_of(facts));
  }

  /// What is wrong in the file leaves all as it was.
  void reload() {
    notifier_.reloading();
    try {
      if (std::optional<Options> fresh = read_options(argc_, argv_)) change(std::move(*fresh));
    } catch (const std::exception& e) {
      say(fmt::format("{}; going on as before", e.what()));
    }
    notifier_.ready();
  }

  void change(Options fresh) {
    options_ = std::move(fresh);
    watches_.remove_if([&](const Watch& watch) {
      return std::find(options_.segments.begin(), options_.segments.end(), watch.name()) ==
             options_.segments.end();
    });
    for (Watch& watch : watches_) watch.change(options_);
    exporter_.change(options_.prometheus);
    for (const std::string& name : options_.segments) {
      const bool is_there = std::any_of(watches_.begin(), watches_.end(),
                                        [&](const Watch& watch) { return watch.name() == name; });
      if (!is_there) watches_.emplace_back(name, options_, notifier_);
    }
    pump_.change(options_.events);
    say("configuration read again: " + ctl::counted(watches_.size(), "segment", "segments"));
  }

  void finish() {
    notifier_.stopping();
    const auto begin = Clock::now();
    pump_.end(begin + kLastEvents);
    for (Watch& watch : watches_) watch.finish(begin + kLastCheckpoint);
    const bool has_ended = pump_.has_ended(begin + kLastWords);
    say("ended by a signal");
    if (!has_ended) ::_exit(0);  // a thread hangs in a write: nothing may be taken from under it
  }

  Signals signals_;
  Notifier notifier_;
  Options options_;
  int argc_;
  const char* const* argv_;
  std::list<Watch> watches_;
  EventPump pump_;
  Exporter exporter_;  ///< has a thread, so it comes after the signals
  Clock::time_point next_status_;
};

}  // namespace
}  // namespace rl::reaper

int main(int argc, char** argv) {
  rl::ctl::prepare_output();
  (void)std::setlocale(LC_CTYPE, "C.UTF-8");
  rl::set_log([](rl::Severity, std::string_view line, void*) noexcept { rl::reaper::say(line); });
  try {
    const auto options = rl::reaper::read_options(argc, argv);
    if (options) rl::reaper::Service(*options, argc, argv).run();
    rl::ctl::finish_output();
    return 0;
  } catch (const std::exception& e) {
    rl::reaper::say(e.what());
    return 2;
  }
}
