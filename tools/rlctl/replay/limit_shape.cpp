#include "tools/rlctl/replay/limit_shape.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <vector>

#include <rl/error.hpp>

namespace rl::ctl {
namespace {

constexpr std::uint64_t kWhole = 100'000'000;  // 100 % in millionths of a percent

__extension__ using Wide = unsigned __int128;

/// Returns value x numerator / denominator, rounded up, and at least 1.
std::uint64_t part_of(std::uint64_t value, std::uint64_t numerator, std::uint64_t denominator) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 62;
  const Wide part = (Wide{value} * numerator + denominator - 1) / denominator;
  return std::max<std::uint64_t>(static_cast<std::uint64_t>(std::min<Wide>(part, kMost)), 1);
}

Limit scaled(const Limit& limit, std::uint64_t numerator, std::uint64_t denominator) {
  const auto part = [&](std::uint64_t value) { return part_of(value, numerator, denominator); };
  const std::uint64_t count = part(limit.count());
  switch (limit.algorithm()) {
    case Algorithm::token_bucket:
      return Limit::per(count, limit.period()).burst(part(limit.burst()));
    case Algorithm::leaky: {
      const std::uint64_t queue = limit.queue() == 0 ? 0 : part(limit.queue());
      const std::uint64_t delay = limit.delay() == 0 ? 0 : part(limit.delay());
      return Limit::leaky(count, limit.period(), queue, delay);
    }
    case Algorithm::fixed_window:
      return Limit::fixed_window(count, limit.period());
    case Algorithm::sliding_window:
      return Limit::sliding_window(count, limit.period());
    case Algorithm::counter:
      return limit;
    case Algorithm::concurrency:
      break;
  }
  return Limit::concurrency(part(limit.burst()), limit.lease());
}

/// Gives a limit the options of another.
Limit with_options_of(const Limit& other, Limit limit) {
  if (gives_permits(other.algorithm())) return limit.shadow(other.shadow());
  limit = limit.when_full(other.when_full()).shadow(other.shadow());
  if (other.floor() != 0) limit = limit.floor(other.floor());
  if (other.ban_after() == 0) return limit;
  return limit.ban_after(other.ban_after(), other.ban_within(), other.ban());
}

}  // namespace

Limits with_count(const Limits& limits, std::uint64_t count) {
  std::vector<Limit> all;
  for (const Limit& limit : limits)
    all.push_back(with_options_of(limit, scaled(limit, count, limits[0].count())));
  return Limits(std::move(all));
}

bool is_monotone(const Limits& limits) noexcept {
  return limits.size() == 1 && limits[0].algorithm() != Algorithm::sliding_window &&
         limits[0].ban_after() == 0;
}

Share Share::parse(std::string_view what, std::string_view text) {
  const auto wrong = [&] {
    return Error(Errc::bad_option,
                 fmt::format("{} \"{}\": give a share in percent from 0% to 100%, such as 0.1%",
                             what, text));
  };
  std::string_view digits = text;
  if (!digits.ends_with('%')) throw wrong();
  digits.remove_suffix(1);
  while (digits.ends_with(' ')) digits.remove_suffix(1);
  const std::size_t point = std::min(digits.find('.'), digits.size());
  std::string whole(digits.substr(0, point));
  std::string behind(digits.substr(std::min(point + 1, digits.size())));
  if (whole.empty() || whole.size() > 3 || behind.size() > 6 || digits.ends_with('.'))
    throw wrong();
  behind.resize(6, '0');
  whole += behind;
  Share share;
  const auto [end, error] =
      std::from_chars(whole.data(), whole.data() + whole.size(), share.millionths_of_percent_);
  const bool is_number = error == std::errc() && end == whole.data() + whole.size();
  if (!is_number || share.millionths_of_percent_ > kWhole) throw wrong();
  return share;
}

std::uint64_t Share::of(std::uint64_t requests) const noexcept {
  return static_cast<std::uint64_t>(Wide{requests} * millionths_of_percent_ / kWhole);
}

std::optional<Suggestion> smallest_count(
    std::uint64_t count_max, std::uint64_t most, bool is_monotone,
    const std::function<std::optional<std::uint64_t>(std::uint64_t)>& denied_with) {
  constexpr int kLooksBelow = 16;
  constexpr std::uint64_t kHolesMax = 1'000;
  std::map<std::uint64_t, std::optional<std::uint64_t>> known;
  const auto denied = [&](std::uint64_t count) {
    const auto [at, is_new] = known.try_emplace(count);
    if (is_new) at->second = denied_with(count);
    return at->second;
  };
  const auto will_do = [&](std::uint64_t count) {
    const auto found = denied(count);
    return found && *found <= most;
  };

  // Returns the next count from here on that limits exist of, or where it gave up looking.
  const auto existing = [&](std::uint64_t count, std::uint64_t end) {
    end = std::min(end, count + kHolesMax);
    while (count < end && !denied(count)) ++count;
    return count;
  };

  std::uint64_t too_small = 0;
  std::uint64_t end = 1;  // from here to `enough` there are no limits
  std::uint64_t enough = existing(end, count_max);
  while (!will_do(enough)) {  // ends: doubles
    if (end >= count_max) return std::nullopt;
    too_small = end;
    end = std::min(end * 2, count_max);
    enough = existing(end, count_max);
  }
  while (end > too_small + 1) {  // ends: comes nearer to each other
    const std::uint64_t middle = too_small + (end - too_small) / 2;
    const std::uint64_t next = existing(middle, end);
    if (next == end || will_do(next)) {
      if (next != end) enough = next;
      end = middle;
    } else {
      too_small = next;
    }
  }
  // Where more does not always help, one below may do all the same.
  for (int looks = is_monotone ? 0 : kLooksBelow; looks > 0 && too_small > 0; --looks, --too_small)
    if (will_do(too_small)) enough = too_small;

  Suggestion found{enough, *denied(enough), std::nullopt, 0};
  const std::uint64_t nearby = enough - std::min(enough, kHolesMax);
  for (std::uint64_t below = enough - 1; below > nearby; --below) {  // ends: comes nearer
    const auto with = denied(below);
    if (!with) continue;  // limits of that count do not exist
    found.smaller_count = below;
    found.smaller_denied = *with;
    break;
  }
  return found;
}

}  // namespace rl::ctl
