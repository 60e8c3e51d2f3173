/// \file
/// How wrong the sliding window is: its two counts beside an exact log of the calls it admitted.
///
/// Time is a number here: nothing is timed, figures are the same on every machine for one seed.
#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <random>
#include <string>
#include <vector>

#include "bench/common.hpp"
#include "src/sliding_window.hpp"

namespace rl::bench {
namespace {

constexpr std::uint64_t kMinute = 60'000'000'000;

/// The calls of the last W, to the nanosecond: what the sliding window stands in for.
class Log {
 public:
  explicit Log(std::uint64_t length) : length_(length) {}

  /// Returns how many calls were admitted in the last W before `now`, now included.
  [[nodiscard]] std::uint64_t count(std::uint64_t now) {
    while (!admitted_.empty() && now - admitted_.front() >= length_) admitted_.pop_front();
    return admitted_.size();
  }
  void admit(std::uint64_t now) { admitted_.push_back(now); }

 private:
  std::uint64_t length_;
  std::deque<std::uint64_t> admitted_;
};

/// What one kind of traffic showed.
struct Errors {
  std::uint64_t calls = 0;
  std::uint64_t admitted = 0;
  std::uint64_t wrongly_admitted = 0;  ///< the log, with the same calls in it, would have denied
  std::uint64_t log_admitted = 0;      ///< by a log that decides for itself
  std::uint64_t most = 0;              ///< in any window of length W
};

/// One key: every call is decided by the window, checked against a log of what that admitted, and
/// decided once more by a log alone.
class Trial {
 public:
  Trial(std::uint64_t limit, std::uint64_t phase)
      : window_(SlidingWindow::of(kMinute, limit, phase)), log_(kMinute), own_(kMinute) {}

  bool call(std::uint64_t now) {
    const Verdict verdict = acquire(window_, state_, now, 1);
    state_ = verdict.state;
    const std::uint64_t before = log_.count(now);
    ++errors_.calls;
    if (verdict.allowed) {
      log_.admit(now);
      ++errors_.admitted;
      // A window is fullest at an admission: looking back from each one sees all of them.
      errors_.most = std::max(errors_.most, before + 1);
      errors_.wrongly_admitted += before < window_.limit ? 0 : 1;
    }
    if (own_.count(now) < window_.limit) {
      own_.admit(now);
      ++errors_.log_admitted;
    }
    return verdict.allowed;
  }
  [[nodiscard]] const SlidingWindow& window() const { return window_; }
  [[nodiscard]] const Errors& errors() const { return errors_; }

 private:
  SlidingWindow window_;
  Log log_;
  Log own_;
  std::uint64_t state_ = 0;
  Errors errors_;
};

using Random = std::mt19937_64;

/// Calls that know nothing of each other, at so many times the limit.
Errors poisson(std::uint64_t limit, double load, std::uint64_t calls, std::uint64_t seed) {
  Random random(seed);
  Trial trial(limit, random());
  std::exponential_distribution<double> gap(load * static_cast<double>(limit) / kMinute);
  std::uint64_t now = 0;
  for (std::uint64_t i = 0; i < calls; ++i) {
    now += static_cast<std::uint64_t>(gap(random));
    trial.call(now);
  }
  return trial.errors();
}

/// Clients that call in bursts: silence for up to two windows, then up to twice the limit in a
/// tenth of a window.
Errors bursts(std::uint64_t limit, std::uint64_t calls, std::uint64_t seed) {
  Random random(seed);
  Trial trial(limit, random());
  std::uint64_t now = 0;
  for (std::uint64_t made = 0; made < calls;) {
    now += random() % (2 * kMinute);
    for (std::uint64_t left = 1 + random() % (2 * limit); left != 0; --left, ++made) {
      now += random() % (kMinute / 10 / limit);
      trial.call(now);
    }
  }
  return trial.errors();
}

/// Somebody who knows the rule and the clock: all he can get in the last nanosecond of one window,
/// and all he can get a minute less a nanosecond later.
Errors adversary(std::uint64_t limit) {
  Trial trial(limit, 0);
  for (int round = 0; round < 3; ++round) {
    const std::uint64_t end = static_cast<std::uint64_t>(3 * round + 1) * kMinute;
    while (trial.call(end - 1)) {
    }
    while (trial.call(end + kMinute - 2)) {
    }
  }
  return trial.errors();
}

/// Searches for worse: an adversary who chooses at random, near the ends of windows.
Errors searching(std::uint64_t limit, std::uint64_t steps, std::uint64_t seed) {
  Random random(seed);
  Trial trial(limit, 0);
  std::uint64_t now = 0;
  for (std::uint64_t i = 0; i < steps; ++i) {
    const std::uint64_t left = trial.window().windows.end_of(now) - now;
    const std::uint64_t margin = 1 + random() % 3;
    if (random() % 2 == 0 && left > margin)
      now += left - margin;
    else
      now += random() % 2 == 0 ? random() % kMinute : random() % 4;
    for (std::uint64_t tries = random() % (limit + 1); tries != 0 && trial.call(now); --tries) {
    }
  }
  return trial.errors();
}

std::string percent(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.3f} %", 100.0 * static_cast<double>(part) / static_cast<double>(whole));
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Compares the sliding window with an exact log of its calls.");
  Options options;
  std::uint64_t seed = 1;
  add_options(app, options);
  app.add_option("--seed", seed, "Another traffic");
  CLI11_PARSE(app, argc, argv);
  Report report(options, "The sliding window beside an exact log of the last minute", "tokens");
  const std::uint64_t calls = options.quick ? 20'000 : 2'000'000;
  Grid grid{"Errors of sliding L/m",
            {"traffic", "L", "calls", "wrongly admitted", "admitted / a log's", "most in a window",
             "over L"},
            {}};
  const auto add = [&](const std::string& name, std::uint64_t limit, const Errors& e) {
    const std::uint64_t over = e.most - std::min(e.most, limit);
    grid.rows.push_back({name, std::to_string(limit), std::to_string(e.calls),
                         percent(e.wrongly_admitted, e.admitted),
                         percent(e.admitted, e.log_admitted), std::to_string(e.most),
                         percent(over, limit)});
    report.add({{fmt::format("{}, {}/m", name, limit),
                 "most in any window",
                 {static_cast<double>(e.most)}},
                {fmt::format("{}, {}/m", name, limit), "limit", {static_cast<double>(limit)}}});
  };
  for (const std::uint64_t limit : {10U, 100U, 1'000U}) {
    for (const double load : {0.5, 0.9, 1.0, 1.1, 2.0, 10.0}) {
      add(fmt::format("random, {} x the limit", load), limit, poisson(limit, load, calls, seed));
    }
    add("random bursts", limit, bursts(limit, calls, seed));
    add("adversary, by search", limit, searching(limit, calls / 10, seed));
    add("adversary, worst case", limit, adversary(limit));
  }
  report.add(grid);
  report.note("Proved (src/sliding_window.hpp): at most 2 x L - 1 in any window of length W.");
  report.finish();
  return 0;
}

}  // namespace rl::bench
