// `rlctl replay`: what a limit would have done to recorded traffic.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <rl/rl.hpp>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/new_file.hpp"
#include "tools/rlctl/progress_bar.hpp"
#include "tools/rlctl/replay/limit_shape.hpp"
#include "tools/rlctl/replay/replay_plot.hpp"
#include "tools/rlctl/replay/replay_report.hpp"
#include "tools/rlctl/report.hpp"
#include "tools/rlctl/verbs.hpp"

namespace rl::ctl {
namespace {

/// Returns the limit, or the list, that is in force in SEGMENT/NAME.
Limits limits_in_force(const Arguments& arguments) {
  const std::string& text = arguments.text(Arg::in_force);
  // The name of a segment may be a path.
  const std::size_t slash = text.rfind('/');
  if (slash == text.npos || slash == 0 || slash + 1 == text.size()) {
    throw Error(Errc::bad_option,
                fmt::format("--policy {}: give a segment and a policy of it, such "
                            "as web/api",
                            text));
  }
  Segment segment =
      Segment::open_read_only(text.substr(0, slash), {.any_owner = arguments.has(Arg::any_owner)});
  return segment.limiters(text.substr(slash + 1)).limits();
}

Limits limits_of(const Arguments& arguments) {
  if (arguments.has(Arg::limit) == arguments.has(Arg::in_force)) {
    throw Error(
        Errc::bad_option,
        "replay: give a limit, such as 100/s, or --policy SEGMENT/NAME for the one in force "
        "there, and not both");
  }
  const Limits limits = arguments.has(Arg::limit) ? Limits::parse(arguments.text(Arg::limit))
                                                  : limits_in_force(arguments);
  check_can_be_replayed(limits);
  return limits;
}

LogWanted wanted_log(const Arguments& arguments) {
  LogWanted wanted{arguments.text(Arg::log), std::nullopt, {}, arguments.text(Arg::time_field)};
  if (arguments.has(Arg::log_format)) {
    wanted.format = choice(arguments, Arg::log_format, LogFormat::combined,
                           {{"combined", LogFormat::combined},
                            {"common", LogFormat::combined},
                            {"json", LogFormat::json},
                            {"ltsv", LogFormat::ltsv}});
  }
  if (arguments.has(Arg::key_by)) wanted.key = KeyChoice::parse(arguments.text(Arg::key_by));
  return wanted;
}

/// Counts what limits of one shape deny, by their count; nothing where there is no such limit.
class ShapeCounter {
 public:
  ShapeCounter(const Trace& trace, const Limits& limits, std::string what)
      : trace_(trace), limits_(limits), progress_(std::move(what)) {}

  std::optional<std::uint64_t> denied_with(std::uint64_t count) {
    const auto limits = of_count(count);
    if (!limits) return std::nullopt;
    return count_denied(trace_, *limits,
                        [&](std::size_t done) { progress_.show(done, trace_.size()); });
  }

  /// Returns a count above which there is nothing to look for. Of doubled counts it is the last that
  /// there are limits of: between them there may be none.
  [[nodiscard]] std::uint64_t greatest() const {
    const std::uint64_t most = enough();
    std::uint64_t last = limits_[0].count();
    for (std::uint64_t count = last; count < most;) {  // ends: doubles
      count = std::min(count * 2, most);
      if (of_count(count)) last = count;
    }
    return last;
  }

 private:
  /// Returns a count with which every key could make all requests at once; without a queue, which
  /// does not grow, as fast as a limit can be.
  [[nodiscard]] std::uint64_t enough() const {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
    const std::uint64_t own = limits_[0].count();
    std::uint64_t factor = 0;
    for (const Limit& limit : limits_) {
      const bool is_fixed = limit.algorithm() == Algorithm::leaky && limit.queue() == 0;
      const auto period = static_cast<std::uint64_t>(limit.period().count());
      factor = std::max(factor, trace_.size() / limit.burst() + 1);
      if (is_fixed) factor = std::max(factor, period / limit.count());
    }
    return own * std::min(factor, kMost / own);
  }

  [[nodiscard]] std::optional<Limits> of_count(std::uint64_t count) const {
    try {
      return with_count(limits_, count);
    } catch (const Error&) {  // bad_limit: says why, which nobody asked
      return std::nullopt;
    }
  }

  const Trace& trace_;
  const Limits& limits_;
  ProgressBar progress_;
};

Suggested suggested(const Trace& trace, const Limits& limits, const std::string& share,
                    std::uint64_t most_denied) {
  ShapeCounter counter(trace, limits, "looking for a limit");
  return {share, smallest_count(counter.greatest(), most_denied, is_monotone(limits),
                                [&](std::uint64_t count) { return counter.denied_with(count); })};
}

/// Returns what limits deny from a sixteenth of the count to sixteen times it, or to where nothing is
/// denied any more.
std::vector<ShapePoint> curve_around(const Trace& trace, const Limits& limits) {
  constexpr std::uint64_t kWidest = 16;
  ShapeCounter counter(trace, limits, "drawing");
  const std::uint64_t own = limits[0].count();
  std::vector<std::uint64_t> counts{own};
  for (std::uint64_t factor = 2; factor <= kWidest; factor *= 2) {
    counts.push_back(own / factor);
    counts.push_back(own * 4 / (factor * 3));
    counts.push_back(own * factor * 3 / 4);
    counts.push_back(own * factor);
  }
  std::sort(counts.begin(), counts.end());
  counts.erase(std::unique(counts.begin(), counts.end()), counts.end());
  std::vector<ShapePoint> curve;
  for (const std::uint64_t count : counts) {
    if (count == 0) continue;
    const auto denied = counter.denied_with(count);
    if (!denied) continue;
    curve.push_back({count, *denied});
    if (*denied == 0 && count >= own) break;
  }
  return curve;
}

/// Makes the file of the picture, before there is much to do.
std::optional<NewFile> new_plot(const Arguments& arguments) {
  if (!arguments.has(Arg::plot)) return std::nullopt;
  const std::string& path = arguments.text(Arg::plot);
  struct stat st {};
  if (path == "-" || (::lstat(path.c_str(), &st) == 0 && !S_ISREG(st.st_mode))) {
    throw Error(
        Errc::bad_option,
        fmt::format("--plot {}: a picture goes to a file; name one, such as replay.svg", path));
  }
  return std::optional<NewFile>(std::in_place, path, 0644);
}

}  // namespace

int replay(const Arguments& arguments) {
  const Limits limits = limits_of(arguments);
  const LogWanted wanted = wanted_log(arguments);
  const std::string& share = arguments.text(Arg::suggest);
  const Share most = arguments.has(Arg::suggest) ? Share::parse("--suggest", share) : Share();
  std::optional<NewFile> plot = new_plot(arguments);

  const LogTrace log = read_log(wanted);
  const Timeline timeline(log.trace);
  const auto requests = requests_in_parts(log.trace, timeline);
  const Outcome outcome = [&] {
    ProgressBar progress("replaying");
    return replay(log.trace, limits, timeline,
                  [&](std::size_t done) { progress.show(done, log.trace.size()); });
  }();
  ReplayReport report{log, wanted.key, limits, timeline, requests, outcome};
  if (arguments.has(Arg::suggest))
    report.suggested = suggested(log.trace, limits, share, most.of(log.trace.size()));
  if (plot) {
    plot->write(drawn(report, curve_around(log.trace, limits)));
    plot->keep();
  }
  arguments.has(Arg::json) ? put_json(report) : put_text(report);
  return 0;
}

}  // namespace rl::ctl
