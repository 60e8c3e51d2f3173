#include <fmt/format.h>

#include <array>
#include <charconv>
#include <optional>

#include <rl/error.hpp>
#include <rl/limit.hpp>

#include "src/token_bucket.hpp"

namespace rl {
namespace {

using std::uint64_t;

struct Unit {
  std::string_view text;
  uint64_t ns;
};
/// Ascending; printing takes the largest that divides the period.
constexpr std::array<Unit, 5> kUnits{{{"ms", 1'000'000},
                                      {"s", 1'000'000'000},
                                      {"m", 60'000'000'000},
                                      {"h", 3'600'000'000'000},
                                      {"d", 86'400'000'000'000}}};

struct Rule {
  std::string_view text;
  WhenFull rule;
};
constexpr std::array<Rule, 3> kRules{
    {{"evict", WhenFull::evict}, {"allow", WhenFull::allow}, {"deny", WhenFull::deny}}};

constexpr uint64_t kCountMax = 9'000'000'000'000'000'000;  // fits a signed count of nanoseconds

constexpr uint64_t divide_up(uint64_t a, uint64_t b) noexcept {
  return a / b + (a % b != 0 ? 1 : 0);
}

Error bad(const std::string& why) {
  return {Errc::bad_limit, why};
}

/// The largest unit in which the period is a whole number.
const Unit& unit_of(uint64_t period_ns) noexcept {
  const Unit* best = nullptr;
  for (const Unit& unit : kUnits) {
    if (period_ns % unit.ns == 0) best = &unit;
  }
  return best != nullptr ? *best : kUnits.front();
}

std::string quota_text(uint64_t count, uint64_t period_ns) {
  const Unit& unit = unit_of(period_ns);
  const uint64_t n = period_ns / unit.ns;
  std::string text = fmt::format("{}", count);
  if (count % 1'000'000 == 0) {
    text = fmt::format("{}M", count / 1'000'000);
  } else if (count % 1'000 == 0) {
    text = fmt::format("{}k", count / 1'000);
  }
  return n == 1 ? fmt::format("{}/{}", text, unit.text)
                : fmt::format("{}/{}{}", text, n, unit.text);
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
  throw bad(fmt::format(
      "{}: tokens come in whole nanoseconds, which would change this rate by more than 0.1 %; the "
      "nearest that fits is {}",
      quota_text(count, period_ns), quota_text(nearest, period_ns)));
}

/// Reads the grammar from left to right; each error shows what it stopped at.
class Parser {
 public:
  explicit Parser(std::string_view text) noexcept : text_(text), rest_(text) {}

  Limit limit() {
    skip_spaces();
    if (rest_.empty())
      throw bad("the limit is empty; write one such as 100/s or \"1000/h burst=50\"");
    if (const std::string_view word = peek_word(); word == "token_bucket") {
      take(word.size());
      need_space("token_bucket");
    }
    Limit limit = quota();
    bool has_burst = false;
    bool has_rule = false;
    while (skip_spaces(), !rest_.empty()) {
      if (accept("burst=")) {
        once(has_burst, "burst=");
        limit = limit.burst(number("burst="));
      } else if (accept("when_full=")) {
        once(has_rule, "when_full=");
        limit = limit.when_full(rule());
      } else {
        throw stopped("the options of a token bucket are burst=N and when_full=evict|allow|deny");
      }
      if (!rest_.empty() && rest_.front() != ' ') throw stopped("a space goes between two options");
    }
    return limit;
  }

 private:
  Limit quota() {
    uint64_t count = number("the count");
    if (accept("k")) {
      count = times(count, 1'000);
    } else if (accept("M")) {
      count = times(count, 1'000'000);
    }
    if (!accept("/")) throw stopped("after the count goes a slash and a period, such as 100/s");
    const bool has_number = !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9';
    const uint64_t n = has_number ? number("the period") : 1;
    const std::string_view word = peek_word();
    for (const Unit& unit : kUnits) {
      if (word != unit.text) continue;
      take(word.size());
      if (n == 0) throw bad(fmt::format("{:?}: a period of 0; give one of at least 1ms", text_));
      return Limit::per(count,
                        std::chrono::nanoseconds(static_cast<std::int64_t>(times(n, unit.ns))));
    }
    throw stopped("the period is a number, if not 1, and ms, s, m, h or d");
  }

  WhenFull rule() {
    const std::string_view word = peek_word();
    for (const Rule& rule : kRules) {
      if (word != rule.text) continue;
      take(word.size());
      return rule.rule;
    }
    throw stopped("when_full is evict, allow or deny");
  }

  uint64_t number(std::string_view what) {
    uint64_t value = 0;
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    if (error == std::errc::result_out_of_range || (error == std::errc() && value > kCountMax)) {
      throw stopped("that number is too large");
    }
    if (error != std::errc()) throw stopped(fmt::format("{} is a number of digits", what));
    take(static_cast<std::size_t>(end - rest_.data()));
    return value;
  }

  uint64_t times(uint64_t a, uint64_t b) const {
    if (a > kCountMax / b) throw bad(fmt::format("{:?}: a number in it is too large", text_));
    return a * b;
  }

  void once(bool& seen, std::string_view option) const {
    if (seen) throw bad(fmt::format("{:?}: {} is given twice; keep one", text_, option));
    seen = true;
  }
  void need_space(std::string_view after) const {
    if (rest_.empty() || rest_.front() != ' ') {
      throw stopped(fmt::format("after {} goes a space and a quota, such as 100/s", after));
    }
    const_cast<Parser*>(this)->skip_spaces();
  }
  void skip_spaces() noexcept {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  [[nodiscard]] std::string_view peek_word() const noexcept {
    const std::size_t end = rest_.find_first_not_of("abcdefghijklmnopqrstuvwxyz_");
    return rest_.substr(0, end);
  }
  bool accept(std::string_view word) noexcept {
    if (!rest_.starts_with(word)) return false;
    take(word.size());
    return true;
  }
  void take(std::size_t n) noexcept { rest_.remove_prefix(n); }
  [[nodiscard]] Error stopped(std::string_view why) const {
    const std::string at = rest_.empty() ? "the end" : fmt::format("{:?}", rest_);
    return bad(fmt::format("{:?}: cannot read on at {}: {}", text_, at, why));
  }

  std::string_view text_;
  std::string_view rest_;
};

}  // namespace

Limit::Limit(uint64_t count, uint64_t period_ns, uint64_t burst, WhenFull rule)
    : count_(count), period_ns_(period_ns), burst_(burst), when_full_(rule) {
  if (count == 0) throw bad("a limit of 0 calls; to deny everything, do not ask");
  if (burst == 0) throw bad("a burst of 0 lets nothing pass; give at least 1");
  if (count > kCountMax) throw bad("a count above 9 x 10^18; give fewer");
  check_rate(count, period_ns);
  const uint64_t interval_ns = divide_up(period_ns, count);
  if (!TokenBucket::is_valid(interval_ns, burst)) {
    throw bad(
        fmt::format("{} burst={}: a full burst would take more than 73 years to come back; at most "
                    "burst={} fits",
                    quota_text(count, period_ns), burst, TokenBucket::kToleranceMax / interval_ns));
  }
}

Limit Limit::per(uint64_t n, std::chrono::nanoseconds period) {
  if (period.count() <= 0) throw bad("a limit needs a period above 0");
  const auto period_ns = static_cast<uint64_t>(period.count());
  if (period_ns > TokenBucket::kToleranceMax)
    throw bad("a period above 73 years; give a shorter one");
  if (period_ns % kUnits.front().ns != 0) {
    throw bad("a period is a whole number of milliseconds; give more calls over a longer one");
  }
  return {n, period_ns, n, WhenFull::evict};
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

Limit Limit::parse(std::string_view text) {
  return Parser(text).limit();
}

Limit Limit::burst(uint64_t n) const {
  return {count_, period_ns_, n, when_full_};
}
Limit Limit::when_full(WhenFull rule) const {
  return {count_, period_ns_, burst_, rule};
}

std::chrono::nanoseconds Limit::interval() const noexcept {
  return std::chrono::nanoseconds(static_cast<std::int64_t>(divide_up(period_ns_, count_)));
}

std::string Limit::to_string() const {
  std::string text = quota_text(count_, period_ns_);
  if (burst_ != count_) text += fmt::format(" burst={}", burst_);
  for (const Rule& rule : kRules) {
    if (rule.rule == when_full_ && when_full_ != WhenFull::evict)
      text += fmt::format(" when_full={}", rule.text);
  }
  return text;
}

}  // namespace rl
