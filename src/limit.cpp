#include <fmt/format.h>

#include <algorithm>

#include <rl/limit.hpp>

#include "src/limit_text.hpp"
#include "src/parameters.hpp"

namespace rl {
namespace {

using std::uint64_t;

constexpr uint64_t divide_up(uint64_t a, uint64_t b) noexcept {
  return a / b + (a % b != 0 ? 1 : 0);
}

/// Throws unless count per period, in whole nanoseconds, is within 0.1 % of what was asked.
void check_rate(uint64_t count, uint64_t period_ns) {
  const uint64_t interval = divide_up(period_ns, count);
  __extension__ using Wide = unsigned __int128;
  const Wide stretched = Wide{interval} * count;  // the time that `count` tokens really take
  if ((stretched - period_ns) * 1'000 <= period_ns) return;
  const uint64_t slower = divide_up(period_ns, interval);
  const uint64_t faster = interval > 1 ? divide_up(period_ns, interval - 1) : slower;
  const uint64_t nearest = interval > 1 && faster - count < count - slower ? faster : slower;
  throw bad_limit(fmt::format(
      "{}: tokens come in whole nanoseconds, which would change this rate by more than 0.1 %; the "
      "nearest that fits is {}",
      quota_text(count, period_ns), quota_text(nearest, period_ns)));
}

void check_token_bucket(uint64_t count, uint64_t period_ns, uint64_t burst) {
  if (burst == 0) throw bad_limit("a burst of 0 lets nothing pass; give at least 1");
  check_rate(count, period_ns);
  const uint64_t interval_ns = divide_up(period_ns, count);
  if (TokenBucket::is_valid(interval_ns, burst)) return;
  throw bad_limit(
      fmt::format("{} burst={}: a full burst would take more than 73 years to come back; at most "
                  "burst={} fits",
                  quota_text(count, period_ns), burst, TokenBucket::kToleranceMax / interval_ns));
}

void check_leaky(uint64_t count, uint64_t period_ns, uint64_t queue, uint64_t delay) {
  check_rate(count, period_ns);
  if (delay > queue) {
    throw bad_limit(
        fmt::format("leaky {} queue={} delay={}: a delay above the queue; at most the whole "
                    "queue, delay={}, need not wait",
                    quota_text(count, period_ns), queue, delay, queue));
  }
  const uint64_t interval_ns = divide_up(period_ns, count);
  if (LeakyBucket::is_valid(interval_ns, queue, delay)) return;
  throw bad_limit(fmt::format(
      "leaky {} queue={}: the last of the queue would wait for more than 73 years; at "
      "most queue={} fits",
      quota_text(count, period_ns), queue, LeakyBucket::kToleranceMax / interval_ns - 1));
}

void check_window(std::string_view algorithm, uint64_t count, uint64_t period_ns, uint64_t most) {
  if (period_ns > Windows::kWindowMax) {
    throw bad_limit(fmt::format("{} {}: a window above 36 years; give a shorter one", algorithm,
                                quota_text(count, period_ns)));
  }
  if (count <= most) return;
  throw bad_limit(
      fmt::format("{} {}: a window of that length counts at most {}; give fewer, a longer window, "
                  "or a token bucket",
                  algorithm, quota_text(count, period_ns), most));
}

/// Throws unless a time is whole milliseconds within a range. `what` returns a text: none is made
/// for a time that fits, as limits are read inside decisions, too.
template <class What>
void check_time(const What& what, std::string_view option, std::chrono::nanoseconds time,
                uint64_t least, uint64_t most) {
  const auto ns = static_cast<uint64_t>(std::max(time.count(), std::int64_t{0}));
  const uint64_t rounded = (ns + kPeriodUnitNs / 2) / kPeriodUnitNs * kPeriodUnitNs;
  const uint64_t nearest = std::clamp(rounded, least, most);
  if (ns == nearest) return;
  throw bad_limit(fmt::format(
      "{} is a whole number of milliseconds, from {} to {}; the nearest that fits is {}{}", what(),
      duration_text(least), duration_text(most), option, duration_text(nearest)));
}

void check_concurrency(uint64_t count, std::chrono::nanoseconds lease) {
  if (count == 0) throw bad_limit("a concurrency of 0 lets nothing pass; give at least 1");
  if (count > Concurrency::kLimitMax) {
    throw bad_limit(fmt::format("concurrency {}: more permits than a key can have; at most {} fit",
                                count, Concurrency::kLimitMax));
  }
  check_time([&] { return fmt::format("concurrency {}: a lease", count_text(count)); },
             "lease=", lease, Concurrency::kLeaseMin, Concurrency::kLeaseMax);
}

}  // namespace

/// Throws Error (bad_limit) for what cannot be held, with the nearest that can.
Limit Limit::make(Algorithm algorithm, uint64_t count, std::chrono::nanoseconds period,
                  uint64_t burst, uint64_t queue, uint64_t delay) {
  if (period.count() <= 0) throw bad_limit("a limit needs a period above 0");
  const auto period_ns = static_cast<uint64_t>(period.count());
  if (period_ns > TokenBucket::kToleranceMax)
    throw bad_limit("a period above 73 years; give a shorter one");
  if (period_ns % kPeriodUnitNs != 0) {
    throw bad_limit(
        "a period is a whole number of milliseconds; give more calls over a longer one");
  }
  if (count == 0) throw bad_limit("a limit of 0 calls; to deny everything, do not ask");
  if (count > kCountMax) throw bad_limit("a count above 9 x 10^18; give fewer");
  Limit limit;
  limit.algorithm_ = algorithm;
  limit.count_ = count;
  limit.period_ns_ = period_ns;
  switch (algorithm) {
    case Algorithm::token_bucket:
      check_token_bucket(count, period_ns, burst);
      limit.burst_ = burst;
      break;
    case Algorithm::leaky:
      check_leaky(count, period_ns, queue, delay);
      limit.burst_ = queue + 1;
      limit.queue_ = queue;
      limit.delay_ = delay;
      break;
    case Algorithm::fixed_window:
      check_window("window", count, period_ns, FixedWindow::limit_max(period_ns));
      limit.burst_ = count;
      break;
    case Algorithm::sliding_window:
      check_window("sliding", count, period_ns, SlidingWindow::limit_max(period_ns));
      limit.burst_ = count;
      break;
    case Algorithm::concurrency:
    case Algorithm::counter:
      break;  // have no period, and are made elsewhere
  }
  return limit;
}

Limit Limit::per(uint64_t n, std::chrono::nanoseconds period) {
  return make(Algorithm::token_bucket, n, period, n, 0, 0);
}
Limit Limit::leaky(uint64_t n, std::chrono::nanoseconds period, uint64_t queue, uint64_t delay) {
  return make(Algorithm::leaky, n, period, 0, queue, delay);
}
Limit Limit::fixed_window(uint64_t n, std::chrono::nanoseconds period) {
  return make(Algorithm::fixed_window, n, period, 0, 0, 0);
}
Limit Limit::sliding_window(uint64_t n, std::chrono::nanoseconds period) {
  return make(Algorithm::sliding_window, n, period, 0, 0, 0);
}
Limit Limit::concurrency(uint64_t n, std::chrono::nanoseconds lease) {
  check_concurrency(n, lease);
  Limit limit;
  limit.algorithm_ = Algorithm::concurrency;
  limit.count_ = n;
  limit.burst_ = n;
  limit.lease_ns_ = static_cast<uint64_t>(lease.count());
  limit.when_full_ = WhenFull::deny;
  return limit;
}
Limit Limit::counter() {
  Limit limit;
  limit.algorithm_ = Algorithm::counter;
  limit.count_ = Counter::kCountMax;
  limit.burst_ = Counter::kCountMax;
  limit.when_full_ = WhenFull::deny;
  return limit;
}
Limit Limit::per_second(uint64_t n) {
  return per(n, std::chrono::seconds(1));
}
Limit Limit::per_minute(uint64_t n) {
  return per(n, std::chrono::minutes(1));
}
Limit Limit::per_hour(uint64_t n) {
  return per(n, std::chrono::hours(1));
}
Limit Limit::per_day(uint64_t n) {
  return per(n, std::chrono::hours(24));
}

Limit Limit::burst(uint64_t n) const {
  if (algorithm_ != Algorithm::token_bucket)
    throw bad_limit(fmt::format("{}: only a token bucket has a burst", to_string()));
  check_token_bucket(count_, period_ns_, n);
  Limit limit = *this;
  limit.burst_ = n;
  return limit;
}
Limit Limit::when_full(WhenFull rule) const {
  if (algorithm_ == Algorithm::concurrency && rule != WhenFull::deny) {
    throw bad_limit(
        fmt::format("{}: a permit that finds no room is denied; leave when_full out", to_string()));
  }
  if (algorithm_ == Algorithm::counter && rule == WhenFull::allow) {
    throw bad_limit(fmt::format(
        "{}: what finds no room is not counted, and nothing passes or not; leave when_full out, or "
        "give when_full=evict",
        to_string()));
  }
  Limit limit = *this;
  limit.when_full_ = rule;
  return limit;
}

Limit Limit::floor(uint64_t percent) const {
  if (!takes_calls(algorithm_))
    throw bad_limit(fmt::format("{}: only a limit of calls has a floor", to_string()));
  if (percent < 1 || percent > kFloorMax) {
    throw bad_limit(
        fmt::format("{}: a floor is from 1 to {} percent of what may pass at once; the "
                    "nearest that fits is floor={}",
                    to_string(), kFloorMax, percent < 1 ? 1 : kFloorMax));
  }
  Limit limit = *this;
  limit.floor_percent_ = percent;
  return limit;
}
Limit Limit::shadow(bool watches) const {
  if (watches && algorithm_ == Algorithm::counter)
    throw bad_limit(
        fmt::format("{}: it denies nothing, and so watches; leave shadow out", to_string()));
  Limit limit = *this;
  limit.shadow_ = watches;
  return limit;
}
Limit Limit::ban_after(uint64_t n, std::chrono::nanoseconds within,
                       std::chrono::nanoseconds length) const {
  if (!takes_calls(algorithm_))
    throw bad_limit(fmt::format("{}: only a limit of calls bans keys", to_string()));
  if (n < 1 || n > kBanAfterMax) {
    throw bad_limit(
        fmt::format("{}: a ban comes after 1 to {} denials; the nearest that fits is {}",
                    to_string(), kBanAfterMax, n < 1 ? 1 : kBanAfterMax));
  }
  check_time([] { return "the time in which denials lead to a ban"; }, "", within, kPeriodUnitNs,
             kBanTimeMax);
  check_time([] { return "a ban"; }, "ban=", length, kPeriodUnitNs, kBanTimeMax);
  Limit limit = *this;
  limit.ban_after_ = n;
  limit.ban_within_ = within;
  limit.ban_ = length;
  return limit;
}

uint64_t Limit::floor_calls() const noexcept {
  // In parts: burst x percent need not fit.
  return burst_ / 100 * floor_percent_ + divide_up(burst_ % 100 * floor_percent_, 100);
}
std::chrono::nanoseconds Limit::interval() const noexcept {
  if (algorithm_ == Algorithm::concurrency) return lease();
  return std::chrono::nanoseconds(static_cast<std::int64_t>(divide_up(period_ns_, count_)));
}

}  // namespace rl
