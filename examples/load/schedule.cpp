#include "examples/load/schedule.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <optional>
#include <stdexcept>
#include <unordered_map>

#include "examples/prefork_server/client_address.hpp"

namespace examples {
namespace {

constexpr int kRequestsMax = 1'000'000;

/// Reads a number from the front of `text` and takes it off.
bool take(std::string_view& text, unsigned& number) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  if (read.ec != std::errc()) return false;
  text.remove_prefix(static_cast<std::size_t>(read.ptr - text.data()));
  return true;
}

bool take(std::string_view& text, char expected) {
  if (text.empty() || text.front() != expected) return false;
  text.remove_prefix(1);
  return true;
}

struct Client {
  std::string address;
  unsigned rate = 0;
  unsigned group = 1;
};

Client parse_client(std::string_view text) {
  const auto equals = std::min(text.find('='), text.size());
  const auto address = parse_address(text.substr(0, equals));
  std::string_view rest = text.substr(equals);
  Client client;
  bool good = address && take(rest, '=') && take(rest, client.rate);
  if (good && take(rest, 'x')) good = take(rest, client.group);
  if (!good || !rest.empty() || client.rate == 0 || client.group == 0) {
    throw std::invalid_argument(fmt::format(
        "'{}' is not a client; write ADDRESS=RATE or ADDRESS=RATExGROUP, such as 203.0.113.1=50",
        text));
  }
  client.address = address->to_string();
  return client;
}

/// Reads "17/May/2015:10:05:03 +0000" as seconds since 1970.
std::optional<std::int64_t> parse_time(std::string_view text) {
  static constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  unsigned day = 0;
  unsigned year = 0;
  unsigned clock[3] = {};
  unsigned zone = 0;
  if (!take(text, day) || !take(text, '/')) return std::nullopt;
  const auto month = kMonths.find(text.substr(0, 3));
  if (month == kMonths.npos || month % 3 != 0 || text.size() < 3) return std::nullopt;
  text.remove_prefix(3);
  if (!take(text, '/') || !take(text, year)) return std::nullopt;
  for (unsigned& part : clock) {
    if (!take(text, ':') || !take(text, part) || part > 60) return std::nullopt;
  }
  const bool west = text.starts_with(" -");
  if (text.size() < 2 || !(text.remove_prefix(2), take(text, zone))) return std::nullopt;
  using namespace std::chrono;
  const year_month_day date{std::chrono::year(static_cast<int>(year)),
                            std::chrono::month(static_cast<unsigned>(month / 3 + 1)),
                            std::chrono::day(day)};
  if (!date.ok()) return std::nullopt;
  const auto zone_offset = hours(zone / 100) + minutes(zone % 100);
  const seconds instant = sys_days(date).time_since_epoch() + hours(clock[0]) + minutes(clock[1]) +
                          seconds(clock[2]) + (west ? zone_offset : -zone_offset);
  return instant.count();
}

/// Returns the part of `text` before `end`, and takes it and `end` off.
std::string_view cut(std::string_view& text, char end) {
  const auto at = std::min(text.find(end), text.size());
  const std::string_view front = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return front;
}

}  // namespace

Schedule steady_schedule(const std::vector<std::string>& clients, double seconds) {
  Schedule schedule;
  for (const std::string& text : clients) {
    const Client client = parse_client(text);
    const auto index = static_cast<std::uint32_t>(schedule.clients.size());
    schedule.clients.push_back(client.address);
    if (client.rate * seconds > kRequestsMax) {
      throw std::invalid_argument(
          fmt::format("{} would send more than {} requests", text, kRequestsMax));
    }
    const double period_ns = 1e9 * client.group / client.rate;
    // Each client starts a little later, so that they do not all ask in the same microsecond.
    for (double at_ns = index * 1e6; at_ns < seconds * 1e9; at_ns += period_ns)
      schedule.arrivals.insert(schedule.arrivals.end(), client.group, {std::llround(at_ns), index});
  }
  std::stable_sort(schedule.arrivals.begin(), schedule.arrivals.end(),
                   [](const Arrival& a, const Arrival& b) { return a.at_ns < b.at_ns; });
  return schedule;
}

Schedule replayed_schedule(std::istream& log, double seconds) {
  Schedule schedule;
  std::unordered_map<std::string, std::uint32_t> indices;
  std::int64_t newest = 0;
  for (std::string line; std::getline(log, line);) {
    std::string_view rest = line;
    const auto address = parse_address(cut(rest, ' '));
    (void)cut(rest, '[');
    const auto time = parse_time(cut(rest, ']'));
    if (!address || !time) {
      ++schedule.lines_left_out;
      continue;
    }
    newest = schedule.arrivals.empty() ? *time : std::max(newest, *time);
    const auto index = static_cast<std::uint32_t>(schedule.clients.size());
    const auto [known, is_new] = indices.emplace(address->to_string(), index);
    if (is_new) schedule.clients.push_back(known->first);
    schedule.arrivals.push_back({newest, known->second});
  }
  if (schedule.arrivals.empty()) {
    throw std::invalid_argument(
        "no line of the log begins with an address and has a time in brackets; give an access log "
        "in combined format");
  }
  const std::int64_t oldest = schedule.arrivals.front().at_ns;
  schedule.speed_up = std::max(1.0, static_cast<double>(newest - oldest) / seconds);
  for (Arrival& arrival : schedule.arrivals) {
    const double since = static_cast<double>(arrival.at_ns - oldest);
    arrival.at_ns = std::llround(since * 1e9 / schedule.speed_up);
  }
  return schedule;
}

}  // namespace examples
