// The head of every page: which segment, how it is, and what is decided in it.
#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/text.hpp"
#include "tools/rlctl/top/page.hpp"

namespace rl::ctl::live {
namespace {

/// A line that may be left out where there is little room: the greater, the sooner.
struct HeadLine {
  Line line;
  int how_needless;
};

std::string age_of(const SegmentInfo& info) {
  using std::chrono::seconds;
  const auto age = std::chrono::floor<seconds>(std::chrono::system_clock::now() - info.created);
  return human_duration(std::max<std::chrono::nanoseconds>(age, seconds(0)));
}

std::string reaper_of(const ReaperInfo& reaper) {
  if (!reaper.leads) return "no reaper";
  if (reaper.beat_ago.count() < 0) return fmt::format("reaper {} has not swept yet", reaper.pid);
  return fmt::format("reaper {} swept {} ago", reaper.pid, human_duration(reaper.beat_ago));
}

Line name_line(const Model& model, const Pace& pace) {
  const SegmentInfo& info = model.look().info;
  Line line(showable(escape(info.name)), Paint::strong);
  if (model.is_frozen()) line.add("  FROZEN", Paint::warn);
  line.add(fmt::format("  librl {}, made by process {}, {} ago",
                       showable(escape(info.creator_version)), info.creator_pid, age_of(info)));
  const bool is_slow = pace.taken_s > pace.asked_s * 1.1;
  const auto every = [](double s) { return human_duration(static_cast<std::uint64_t>(s * 1e9)); };
  line.add(is_slow ? fmt::format("; each {}, as a look takes {:.0f} ms", every(pace.taken_s),
                                 pace.look_ms)
                   : fmt::format("; each {}", every(pace.taken_s)),
           Paint::faint);
  return line;
}

Line people_line(const Look& look) {
  const std::string of = look.policy.empty() ? "" : " under " + showable(escape(look.policy));
  return {fmt::format("{} attached, {} live keys of {} in the table{}, room for {}, {}",
                      counted(look.info.attached, "process", "processes"), look.live, look.keys, of,
                      look.info.keys, reaper_of(look.reaper))};
}

/// "allowed  1.2k/s" and the last minute, the newest on the right.
Line minute_line(std::string_view word, std::optional<double> rate, const LastMinute& minute,
                 Paint paint, std::size_t columns) {
  Line line(fmt::format("{:<8}{:>7}/s ", word, rate_text(rate)), paint);
  const std::size_t width = columns > 20 ? std::min(columns - 20, LastMinute::kSeconds) : 0;
  const std::vector<double> rates = minute.rates(width);
  const std::string gap(width - rates.size(), ' ');
  line.add(gap + sparkline(rates), paint);
  return line;
}

std::string wish_text(const Model& model) {
  const Wish& wish = model.wish();
  std::string text = fmt::format("by {}", to_string(wish.sort));
  if (!wish.policy.empty()) text += fmt::format(", policy {}", showable(escape(wish.policy)));
  if (!wish.pattern.is_empty())
    text += fmt::format(", keys {} {}", wish.pattern.is_glob() ? "that match" : "with",
                        showable(escape(wish.pattern.text())));
  return text;
}

}  // namespace

void add_head(const Model& model, const Pace& pace, const Size& size, Page& page) {
  const Look& look = model.look();
  const SegmentInfo& info = look.info;
  std::vector<HeadLine> lines;
  lines.push_back({name_line(model, pace), 1});
  if (info.off_since) {
    lines.push_back({Line(fmt::format("LIMITS ARE OFF since {}: every call passes; `rlctl on {}` "
                                      "ends that",
                                      iso_time(*info.off_since), showable(escape(info.name))),
                          Paint::bad, true),
                     0});
  }
  if (!look.notice.empty()) lines.push_back({Line(showable(escape(look.notice)), Paint::warn), 2});
  lines.push_back({people_line(look), 5});
  const auto rate = [&](std::uint64_t KeyCounts::*which) {
    return look.rate(model.since(), which);
  };
  const Minute& minute = model.minute();
  lines.push_back(
      {minute_line("allowed", rate(&KeyCounts::allowed), minute.allowed, Paint::good, size.columns),
       4});
  lines.push_back(
      {minute_line("denied", rate(&KeyCounts::denied), minute.denied, Paint::bad, size.columns),
       3});
  lines.push_back({Line(wish_text(model), Paint::faint), 6});
  // The table has half of the screen at least, and titles and a row however small that is.
  const std::size_t room = size.rows > 14 ? size.rows / 2 : size.rows > 3 ? (size.rows - 2) / 2 : 0;
  while (lines.size() > room) {  // ends: one goes each time
    lines.erase(std::max_element(lines.begin(), lines.end(), [](const auto& a, const auto& b) {
      return a.how_needless < b.how_needless;
    }));
  }
  for (HeadLine& line : lines) page.push_back(std::move(line.line));
}

}  // namespace rl::ctl::live
