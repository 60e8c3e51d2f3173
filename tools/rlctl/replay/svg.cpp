#include "tools/rlctl/replay/svg.hpp"

#include <fmt/format.h>

#include <cmath>
#include <iterator>

namespace rl::ctl {
namespace {

std::string_view colour(Svg::Ink ink) {
  switch (ink) {
    case Svg::Ink::text:
      return "#7d7d7d";
    case Svg::Ink::grid:
      return "#7d7d7d55";
    case Svg::Ink::calm:
      return "#5b8fb9";
    case Svg::Ink::alarm:
      break;
  }
  return "#d9534f";
}

std::string_view name_of(Svg::Anchor anchor) {
  switch (anchor) {
    case Svg::Anchor::start:
      return "start";
    case Svg::Anchor::middle:
      return "middle";
    case Svg::Anchor::end:
      break;
  }
  return "end";
}

/// What stands for itself in XML; controls, which XML has none of, were escaped before.
std::string in_xml(std::string_view words) {
  std::string text;
  for (const char c : words) {
    switch (c) {
      case '&':
        text += "&amp;";
        break;
      case '<':
        text += "&lt;";
        break;
      case '>':
        text += "&gt;";
        break;
      case '"':
        text += "&quot;";
        break;
      default:
        text += c;
    }
  }
  return text;
}

}  // namespace

Svg::Svg(double width, double height, std::string_view title) {
  body_ = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {:.0f} {:.0f}\" role=\"img\" "
      "font-family=\"sans-serif\">\n<title>{}</title>\n",
      width, height, in_xml(title));
}

void Svg::text(Point at, std::string_view words, Anchor anchor, int size) {
  fmt::format_to(std::back_inserter(body_),
                 "<text x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\" font-size=\"{}\" "
                 "fill=\"{}\">{}</text>\n",
                 at.x, at.y, name_of(anchor), size, colour(Ink::text), in_xml(words));
}

void Svg::text_upwards(Point at, std::string_view words) {
  fmt::format_to(std::back_inserter(body_),
                 "<text transform=\"translate({:.1f} {:.1f}) rotate(-90)\" text-anchor=\"middle\" "
                 "font-size=\"12\" fill=\"{}\">{}</text>\n",
                 at.x, at.y, colour(Ink::text), in_xml(words));
}

void Svg::line(Point from, Point to, Ink ink, bool dashed) {
  fmt::format_to(
      std::back_inserter(body_),
      "<line x1=\"{:.1f}\" y1=\"{:.1f}\" x2=\"{:.1f}\" y2=\"{:.1f}\" stroke=\"{}\"{}/>\n", from.x,
      from.y, to.x, to.y, colour(ink), dashed ? " stroke-dasharray=\"5 4\"" : "");
}

void Svg::rectangle(Point at, double width, double height, Ink ink) {
  fmt::format_to(std::back_inserter(body_),
                 "<rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{:.1f}\" height=\"{:.1f}\" "
                 "fill=\"{}\"/>\n",
                 at.x, at.y, width, height, colour(ink));
}

void Svg::polyline(const std::vector<Point>& points, Ink ink) {
  body_ += "<polyline points=\"";
  for (const Point& p : points)
    fmt::format_to(std::back_inserter(body_), "{:.1f},{:.1f} ", p.x, p.y);
  fmt::format_to(std::back_inserter(body_), "\" fill=\"none\" stroke=\"{}\" stroke-width=\"2\"/>\n",
                 colour(ink));
}

void Svg::dot(Point at, double radius, Ink ink) {
  fmt::format_to(std::back_inserter(body_),
                 "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{:.1f}\" fill=\"{}\"/>\n", at.x, at.y,
                 radius, colour(ink));
}

std::string Svg::finish() && {
  body_ += "</svg>\n";
  return std::move(body_);
}

std::vector<double> round_ticks(double greatest, int count) {
  const double rough = greatest / count;
  const double unit = std::pow(10, std::floor(std::log10(rough)));
  double step = unit * 10;
  for (const double factor : {5.0, 2.0, 1.0})
    if (unit * factor >= rough) step = unit * factor;
  std::vector<double> ticks{0};
  while (ticks.back() < greatest * (1 - 1e-9)) ticks.push_back(ticks.back() + step);
  return ticks;
}

}  // namespace rl::ctl
