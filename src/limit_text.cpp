// The grammar of limits: one reader, one writer, and what is written reads back to the same.

#include "src/limit_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include <rl/limit.hpp>

namespace rl {
namespace {

using std::uint64_t;
using std::chrono::nanoseconds;

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

static_assert(kUnits.front().ns == kPeriodUnitNs);

struct Rule {
  std::string_view text;
  WhenFull rule;
};
constexpr std::array<Rule, 3> kRules{
    {{"evict", WhenFull::evict}, {"allow", WhenFull::allow}, {"deny", WhenFull::deny}}};

/// The largest unit in which the period is a whole number.
const Unit& unit_of(uint64_t period_ns) noexcept {
  const Unit* best = nullptr;
  for (const Unit& unit : kUnits) {
    if (period_ns % unit.ns == 0) best = &unit;
  }
  return best != nullptr ? *best : kUnits.front();
}

/// Reads the grammar from left to right; each error shows what it stopped at.
class Parser {
 public:
  explicit Parser(std::string_view text) noexcept : text_(text), rest_(text) {}

  Limit limit() {
    skip_spaces();
    if (rest_.empty())
      throw bad_limit("the limit is empty; write one such as 100/s or \"1000/h burst=50\"");
    const Algorithm algorithm = this->algorithm();
    const Quota quota = algorithm == Algorithm::concurrency ? Quota{count(), {}} : this->quota();
    Options options;
    while (skip_spaces(), !rest_.empty()) {
      option(algorithm, options);
      if (!rest_.empty() && rest_.front() != ' ') throw stopped("a space goes between two options");
    }
    return made(algorithm, quota, options);
  }

 private:
  struct Quota {
    uint64_t count;
    nanoseconds period;
  };
  struct Options {
    std::optional<uint64_t> burst;
    std::optional<uint64_t> queue;
    std::optional<uint64_t> delay;
    std::optional<nanoseconds> lease;
    std::optional<WhenFull> when_full;
  };
  struct Name {
    std::string_view text;
    Algorithm algorithm;
  };
  /// The first of each is how it is called in errors.
  static constexpr std::array<Name, 7> kNames{{{"token_bucket", Algorithm::token_bucket},
                                               {"leaky", Algorithm::leaky},
                                               {"fixed_window", Algorithm::fixed_window},
                                               {"window", Algorithm::fixed_window},
                                               {"sliding_window", Algorithm::sliding_window},
                                               {"sliding", Algorithm::sliding_window},
                                               {"concurrency", Algorithm::concurrency}}};

  static Limit made(Algorithm algorithm, const Quota& quota, const Options& options) {
    Limit limit = with_numbers(algorithm, quota, options);
    if (options.burst) limit = limit.burst(*options.burst);
    if (options.when_full) limit = limit.when_full(*options.when_full);
    return limit;
  }
  static Limit with_numbers(Algorithm algorithm, const Quota& quota, const Options& options) {
    switch (algorithm) {
      case Algorithm::token_bucket:
        break;
      case Algorithm::leaky:
        return Limit::leaky(quota.count, quota.period, options.queue.value_or(0),
                            options.delay.value_or(0));
      case Algorithm::fixed_window:
        return Limit::fixed_window(quota.count, quota.period);
      case Algorithm::sliding_window:
        return Limit::sliding_window(quota.count, quota.period);
      case Algorithm::concurrency:
        return Limit::concurrency(quota.count, options.lease.value_or(kUsualLease));
    }
    return Limit::per(quota.count, quota.period);
  }

  static std::string name_of(Algorithm algorithm) {
    for (const Name& name : kNames) {
      if (name.algorithm != algorithm) continue;
      std::string words(name.text);
      std::replace(words.begin(), words.end(), '_', ' ');
      if (algorithm == Algorithm::leaky) words += " bucket";
      if (algorithm == Algorithm::concurrency) words += " limit";
      return words;
    }
    return "limit";
  }
  static std::string_view options_of(Algorithm algorithm) noexcept {
    switch (algorithm) {
      case Algorithm::token_bucket:
        return "burst=N and ";
      case Algorithm::leaky:
        return "queue=N, delay=N and ";
      case Algorithm::concurrency:
        return "lease=D";
      default:
        return "";
    }
  }

  Algorithm algorithm() {
    const std::string_view word = peek_word();
    if (word.empty()) return Algorithm::token_bucket;
    for (const Name& name : kNames) {
      if (word != name.text) continue;
      take(word.size());
      need_space(name);
      return name.algorithm;
    }
    throw stopped(
        "a limit begins with its count, or with token_bucket, leaky, window, sliding or "
        "concurrency");
  }
  Quota quota() {
    const uint64_t n = count();
    if (!accept("/")) throw stopped("after the count goes a slash and a period, such as 100/s");
    const nanoseconds time = period();
    if (time.count() == 0)
      throw bad_limit(fmt::format("{:?}: a period of 0; give one of at least 1ms", text_));
    return {n, time};
  }
  uint64_t count() {
    const uint64_t n = number("the count");
    if (accept("k")) return times(n, 1'000);
    return accept("M") ? times(n, 1'000'000) : n;
  }
  nanoseconds period() {
    const bool has_number = !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9';
    return in_units(has_number ? number("the period") : 1,
                    "the period is a number, if not 1, and ms, s, m, h or d");
  }
  nanoseconds duration(std::string_view what) {
    return in_units(number(what), "a time is a number and ms, s, m, h or d, such as 30s");
  }
  nanoseconds in_units(uint64_t n, std::string_view otherwise) {
    const std::string_view word = peek_word();
    for (const Unit& unit : kUnits) {
      if (word != unit.text) continue;
      take(word.size());
      return nanoseconds(static_cast<std::int64_t>(times(n, unit.ns)));
    }
    throw stopped(otherwise);
  }

  void option(Algorithm algorithm, Options& options) {
    const bool has_burst = algorithm == Algorithm::token_bucket;
    const bool has_queue = algorithm == Algorithm::leaky;
    const bool has_lease = algorithm == Algorithm::concurrency;
    if (has_burst && accept("burst=")) {
      once(options.burst, "burst=", number("burst="));
    } else if (has_queue && accept("queue=")) {
      once(options.queue, "queue=", number("queue="));
    } else if (has_queue && accept("delay=")) {
      once(options.delay, "delay=", number("delay="));
    } else if (has_lease && accept("lease=")) {
      once(options.lease, "lease=", duration("lease="));
    } else if (!has_lease && accept("when_full=")) {
      once(options.when_full, "when_full=", rule());
    } else {
      throw stopped(fmt::format("the options of a {} are {}{}", name_of(algorithm),
                                options_of(algorithm),
                                has_lease ? "" : "when_full=evict|allow|deny"));
    }
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
    if (a > kCountMax / b) throw bad_limit(fmt::format("{:?}: a number in it is too large", text_));
    return a * b;
  }

  template <class T>
  void once(std::optional<T>& option, std::string_view name, T value) const {
    if (option) throw bad_limit(fmt::format("{:?}: {} is given twice; keep one", text_, name));
    option = value;
  }
  void need_space(const Name& after) {
    if (rest_.empty() || rest_.front() != ' ') {
      throw stopped(fmt::format("after {} goes a space and a {}", after.text,
                                after.algorithm == Algorithm::concurrency
                                    ? "count, such as 20"
                                    : "quota, such as 100/s"));
    }
    skip_spaces();
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
    return bad_limit(fmt::format("{:?}: cannot read on at {}: {}", text_, at, why));
  }

  std::string_view text_;
  std::string_view rest_;
};

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

Limit Limit::parse(std::string_view text) {
  return Parser(text).limit();
}

std::string Limit::to_string() const {
  if (algorithm_ == Algorithm::concurrency) {
    const std::string text = "concurrency " + count_text(count_);
    return lease() == kUsualLease ? text : text + " lease=" + duration_text(lease_ns_);
  }
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
      break;
  }
  for (const Rule& rule : kRules) {
    if (rule.rule == when_full_ && when_full_ != WhenFull::evict)
      text += fmt::format(" when_full={}", rule.text);
  }
  return text;
}

}  // namespace rl
