#include "tools/rlctl/admission_chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <utility>

#include "tools/rlctl/output.hpp"
#include "tools/rlctl/terminal.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {
namespace {

constexpr std::size_t kRows = 6;
constexpr std::size_t kMargin = 4;  ///< two blanks before the numbers, and " |" behind them
constexpr std::size_t kColumnsLeast = 8;
constexpr std::size_t kColumnsMost = 70;

std::size_t columns_beside(const std::string& number) {
  const std::size_t taken = number.size() + kMargin;
  const std::size_t width = terminal().columns;
  return std::clamp(width > taken ? width - taken : 0, kColumnsLeast, kColumnsMost);
}

/// Returns the line below a chart: where time begins, its middle, and its end.
std::string time_axis(std::chrono::nanoseconds middle, std::chrono::nanoseconds end,
                      std::size_t columns) {
  std::string axis = "0";
  const auto place = [&](const std::string& text, std::size_t last) {
    if (axis.size() + 1 + text.size() > last) return;  // no room for it
    axis.append(last - text.size() - axis.size(), ' ').append(text);
  };
  const std::string at_middle = human_duration(middle);
  const std::string at_end = human_duration(end);
  if (columns > at_middle.size() + at_end.size() + 8)
    place(at_middle, columns / 2 + at_middle.size() / 2);
  place(at_end, columns);
  return axis;
}

void put_area(const std::vector<AdmissionPoint>& points, const std::string& top) {
  std::vector<double> shares;
  for (const AdmissionPoint& point : points) {
    shares.push_back(static_cast<double>(point.admitted) /
                     static_cast<double>(points.back().admitted));
  }
  std::string label = top;
  for (const std::string& line : area(shares, kRows))
    put(fmt::format("  {:>{}} |{}\n", std::exchange(label, ""), top.size(), line));
}

}  // namespace

void put_admissions(const Limit& limit) {
  const std::vector<AdmissionPoint> few = admissions(limit, kAdmissionSteps);
  if (few.empty()) return;
  const std::string top = fmt::format("{}", few.back().admitted);
  const std::size_t columns = columns_beside(top);
  const std::vector<AdmissionPoint> points = admissions(limit, columns - 1);
  put("calls admitted so far to a client that always asks, from idle:\n");
  put_area(points, top);
  put(fmt::format("  {:>{}} +{:->{}}\n", 0, top.size(), "", columns));
  put(fmt::format("  {:>{}}  {}\n", "", top.size(),
                  time_axis(points.back().at / 2, points.back().at, columns)));
  if (limit.ban_after() != 0)
    put("  (the limit alone: such a client is soon banned, which is not drawn)\n");
}

}  // namespace rl::ctl
