#include "tools/rlctl/replay/replay_plot.hpp"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>

#include "tools/rlctl/replay/svg.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

using Anchor = Svg::Anchor;
using Ink = Svg::Ink;

constexpr double kWidth = 900;
constexpr double kHeight = 560;

/// Where a diagram lies, and what its axes go to.
struct Frame {
  double left;
  double top;
  double width;
  double height;
  double greatest = 1;  ///< of the upright axis, which begins at 0

  [[nodiscard]] double right() const { return left + width; }
  [[nodiscard]] double bottom() const { return top + height; }
  [[nodiscard]] double y(double value) const { return bottom() - value / greatest * height; }
};

/// Returns "1.5" for 1.5 and "20" for 20.
std::string number(double value) {
  return fmt::format("{:.10g}", value);
}

/// Draws the upright axis with its lines, and returns the frame with its end.
Frame with_upright_axis(Svg& svg, Frame frame, double greatest, std::string_view name) {
  const std::vector<double> ticks = round_ticks(std::max(greatest, 1e-6), 4);
  frame.greatest = ticks.back();
  for (const double tick : ticks) {
    const double y = frame.y(tick);
    svg.line({frame.left, y}, {frame.right(), y}, Ink::grid);
    svg.text({frame.left - 8, y + 4}, number(tick), Anchor::end);
  }
  svg.text_upwards({frame.left - 58, frame.top + frame.height / 2}, name);
  return frame;
}

struct TimeStep {
  std::uint64_t seconds;
  const char* format;
};

/// Returns the distance of marks on the axis of time, of which there are to be 8 at most.
TimeStep time_step(std::uint64_t span_seconds) {
  constexpr std::array<TimeStep, 16> kSteps{{{1, "%H:%M:%S"},
                                             {5, "%H:%M:%S"},
                                             {15, "%H:%M:%S"},
                                             {60, "%H:%M"},
                                             {300, "%H:%M"},
                                             {900, "%H:%M"},
                                             {1'800, "%H:%M"},
                                             {3'600, "%H:%M"},
                                             {3 * 3'600, "%H:%M"},
                                             {6 * 3'600, "%m-%d %H:%M"},
                                             {12 * 3'600, "%m-%d %H:%M"},
                                             {86'400, "%m-%d"},
                                             {2 * 86'400, "%m-%d"},
                                             {7 * 86'400, "%m-%d"},
                                             {30 * 86'400, "%Y-%m-%d"},
                                             {365 * 86'400, "%Y-%m-%d"}}};
  for (const TimeStep& step : kSteps)
    if (span_seconds / step.seconds < 8) return step;
  return {kSteps.back().seconds * (1 + span_seconds / kSteps.back().seconds / 8), "%Y"};
}

void draw_time_axis(Svg& svg, const Frame& frame, const ReplayReport& report) {
  constexpr std::uint64_t kSecondNs = 1'000'000'000;
  const std::uint64_t first = report.timeline.begin_ns();
  const std::uint64_t span = report.timeline.part_ns() * report.timeline.parts();
  const TimeStep step = time_step(span / kSecondNs);
  const std::uint64_t from = (first / kSecondNs + step.seconds - 1) / step.seconds * step.seconds;
  for (std::uint64_t at = from; at * kSecondNs <= first + span; at += step.seconds) {
    if (at * kSecondNs < first) continue;
    const double x = frame.left + static_cast<double>(at * kSecondNs - first) /
                                      static_cast<double>(span) * frame.width;
    svg.line({x, frame.bottom()}, {x, frame.bottom() + 5}, Ink::text);
    const std::tm utc = fmt::gmtime(static_cast<std::time_t>(at));
    svg.text({x, frame.bottom() + 18},
             fmt::format(fmt::runtime(fmt::format("{{:{}}}", step.format)), utc), Anchor::middle);
  }
  svg.line({frame.left, frame.bottom()}, {frame.right(), frame.bottom()}, Ink::text);
  svg.text({frame.right(), frame.bottom() + 34}, "time of the log, UTC", Anchor::end);
}

void draw_over_time(Svg& svg, Frame frame, const ReplayReport& report) {
  const auto& requests = report.requests_in_part;
  const auto& denied = report.outcome.denied_in_part;
  const auto most = *std::max_element(requests.begin(), requests.end());
  frame =
      with_upright_axis(svg, frame, static_cast<double>(most),
                        fmt::format("requests in {}", human_duration(report.timeline.part_ns())));
  const double width = frame.width / static_cast<double>(requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const double x = frame.left + width * static_cast<double>(i);
    const double top = frame.y(static_cast<double>(requests[i]));
    const double middle = frame.y(static_cast<double>(requests[i] - denied[i]));
    if (requests[i] != denied[i])
      svg.rectangle({x + 0.5, middle}, width - 1, frame.bottom() - middle, Ink::calm);
    if (denied[i] != 0) svg.rectangle({x + 0.5, top}, width - 1, middle - top, Ink::alarm);
  }
  draw_time_axis(svg, frame, report);
  svg.rectangle({frame.right() - 150, frame.top - 20}, 10, 10, Ink::calm);
  svg.text({frame.right() - 136, frame.top - 11}, "allowed");
  svg.rectangle({frame.right() - 70, frame.top - 20}, 10, 10, Ink::alarm);
  svg.text({frame.right() - 56, frame.top - 11}, "denied");
}

/// What a count stands for, at the curve's axis: "100/s", the first word of a limit that has a rate.
std::string rate_text(const ReplayReport& report, std::uint64_t count) {
  const std::string text = with_count(report.limits, count)[0].to_string();
  const std::size_t slash = text.find('/');
  if (slash == text.npos) return text;
  const std::size_t begin = text.rfind(' ', slash);
  const std::size_t from = begin == text.npos ? 0 : begin + 1;
  return text.substr(from, text.find(' ', slash) - from);
}

void draw_curve(Svg& svg, Frame frame, const ReplayReport& report,
                const std::vector<ShapePoint>& curve) {
  const auto requests = static_cast<double>(report.log.trace.size());
  const auto percent = [&](const ShapePoint& p) {
    return static_cast<double>(p.denied) / requests * 100;
  };
  double most = 0;
  for (const ShapePoint& point : curve) most = std::max(most, percent(point));
  frame = with_upright_axis(svg, frame, most, "denied, %");
  const double low = std::log2(static_cast<double>(curve.front().count));
  const double high = std::log2(static_cast<double>(curve.back().count));
  const auto x = [&](std::uint64_t count) {
    const double share =
        high > low ? (std::log2(static_cast<double>(count)) - low) / (high - low) : 0.5;
    return frame.left + share * frame.width;
  };
  std::vector<Svg::Point> points;
  for (const ShapePoint& point : curve) points.push_back({x(point.count), frame.y(percent(point))});
  const std::uint64_t own = report.limits[0].count();
  svg.line({x(own), frame.top}, {x(own), frame.bottom()}, Ink::text, true);
  svg.polyline(points, Ink::alarm);
  double free_from = frame.left - 1;
  for (std::size_t i = 0; i < curve.size(); ++i) {
    const bool is_own = curve[i].count == own;
    svg.dot(points[i], is_own ? 5 : 3, Ink::alarm);
    if (points[i].x < free_from) continue;  // its words would run into those before
    const std::string words = rate_text(report, curve[i].count);
    svg.line({points[i].x, frame.bottom()}, {points[i].x, frame.bottom() + 5}, Ink::text);
    svg.text({points[i].x, frame.bottom() + 18}, words, Anchor::middle);
    free_from = points[i].x + 8 * static_cast<double>(words.size()) + 8;
  }
  svg.text({x(own) + 8, frame.top + 12}, report.limits.to_string());
  svg.line({frame.left, frame.bottom()}, {frame.right(), frame.bottom()}, Ink::text);
  svg.text({frame.right(), frame.bottom() + 34},
           "limits of the same shape; all that counts calls in proportion", Anchor::end);
}

}  // namespace

std::string drawn(const ReplayReport& report, const std::vector<ShapePoint>& curve) {
  const std::uint64_t requests = report.log.trace.size();
  const std::string title =
      fmt::format("{}, by {}: {} {} of {} requests ({})", report.limits.to_string(),
                  report.key.to_string(), denies(report.limits), report.outcome.denied, requests,
                  text_of_share(report.outcome.denied, requests));
  Svg svg(kWidth, kHeight, title);
  svg.text({80, 24}, title, Anchor::start, 15);
  draw_over_time(svg, {80, 60, kWidth - 110, 190}, report);
  draw_curve(svg, {80, 320, kWidth - 110, 190}, report, curve);
  return std::move(svg).finish();
}

}  // namespace rl::ctl
