// The writer of the grammar of limits: what it writes reads back to the same.

#include "src/limit_text.hpp"

#include <fmt/format.h>

#include <utility>

#include <rl/limits.hpp>

namespace rl {
namespace {

using std::uint64_t;

/// The largest unit in which the time is a whole number.
const Unit& unit_of(uint64_t ns) noexcept {
  const Unit* best = &kUnits.front();
  for (const Unit& unit : kUnits) {
    if (ns % unit.ns == 0) best = &unit;
  }
  return *best;
}

uint64_t ns_of(std::chrono::nanoseconds duration) noexcept {
  return static_cast<uint64_t>(duration.count());
}

}  // namespace

Error bad_limit(const std::string& why) {
  return {Errc::bad_limit, why};
}

std::string count_text(uint64_t count) {
  if (count % 1'000'000 == 0) return fmt::format("{}M", count / 1'000'000);
  if (count % 1'000 == 0) return fmt::format("{}k", count / 1'000);
  return fmt::format("{}", count);
}

std::string duration_text(uint64_t ns) {
  const Unit& unit = unit_of(ns);
  return fmt::format("{}{}", ns / unit.ns, unit.text);
}

std::string quota_text(uint64_t count, uint64_t period_ns) {
  const bool is_one = period_ns == unit_of(period_ns).ns;
  return fmt::format("{}/{}", count_text(count),
                     is_one ? unit_of(period_ns).text : duration_text(period_ns));
}

std::string Limit::to_string() const {
  if (algorithm_ == Algorithm::concurrency) {
    std::string text = "concurrency " + count_text(count_);
    if (lease() != kUsualLease) text += " lease=" + duration_text(lease_ns_);
    return shadow_ ? text + " shadow" : text;
  }
  if (algorithm_ == Algorithm::counter)
    return when_full_ == WhenFull::evict ? "counter when_full=evict" : "counter";
  std::string text = quota_text(count_, period_ns_);
  switch (algorithm_) {
    case Algorithm::token_bucket:
      if (burst_ != count_) text += fmt::format(" burst={}", burst_);
      break;
    case Algorithm::leaky:
      text = "leaky " + text;
      if (queue_ != 0) text += fmt::format(" queue={}", queue_);
      if (delay_ != 0) text += fmt::format(" delay={}", delay_);
      break;
    case Algorithm::fixed_window:
      text = "window " + text;
      break;
    case Algorithm::sliding_window:
      text = "sliding " + text;
      break;
    case Algorithm::concurrency:
    case Algorithm::counter:
      break;
  }
  for (const Rule& rule : kRules) {
    if (rule.rule == when_full_ && when_full_ != WhenFull::evict)
      text += fmt::format(" when_full={}", rule.text);
  }
  if (floor_percent_ != 0) text += fmt::format(" floor={}", floor_percent_);
  if (shadow_) text += " shadow";
  if (ban_after_ != 0) {
    text += fmt::format(" ban_after={} ban={}", quota_text(ban_after_, ns_of(ban_within_)),
                        duration_text(ns_of(ban_)));
  }
  return text;
}

std::string_view why_no_calls(Algorithm algorithm) noexcept {
  return gives_permits(algorithm) ? "a concurrency limit gives permits and takes no calls"
                                  : "a counter only counts and takes no calls";
}

Limits::Limits(std::vector<Limit> limits) : limits_(std::move(limits)) {
  if (limits_.empty() || limits_.size() > kMax) {
    throw bad_limit(fmt::format("a list of {} limits; give from 1 to {}", limits_.size(), kMax));
  }
}

std::string Limits::to_string() const {
  std::string text;
  for (const Limit& limit : limits_) text += (text.empty() ? "" : ", ") + limit.to_string();
  return text;
}

}  // namespace rl
