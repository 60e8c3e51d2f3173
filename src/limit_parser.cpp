// The reader of the grammar of limits.

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include <rl/limits.hpp>

#include "src/limit_text.hpp"

namespace rl {
namespace {

using std::uint64_t;
using std::chrono::nanoseconds;

/// Reads the grammar from left to right; each error shows what it stopped at.
class Parser {
 public:
  explicit Parser(std::string_view text) noexcept : text_(text), rest_(text) {}

  Limit only() {
    need_limit();
    const Limit limit = this->limit();
    if (!rest_.empty()) throw stopped("one limit goes here, and no list");
    return limit;
  }
  Limits list() {
    need_limit();
    std::vector<Limit> limits{limit()};
    while (accept(",")) {
      if (limits.size() == Limits::kMax)
        throw stopped(fmt::format("a list has at most {} limits", Limits::kMax));
      skip_spaces();
      if (rest_.empty()) throw stopped("after a comma goes another limit");
      limits.push_back(limit());
    }
    return Limits(std::move(limits));
  }

 private:
  /// Up to a comma or the end.
  Limit limit() {
    const Algorithm algorithm = this->algorithm();
    const Quota quota = quota_of(algorithm);
    Options options;
    for (;;) {
      if (!is_at_end() && rest_.front() != ' ') throw stopped("a space goes before each option");
      skip_spaces();
      if (is_at_end()) break;
      option(algorithm, options);
    }
    return made(algorithm, quota, options);
  }

  struct Quota {
    uint64_t count;
    nanoseconds period;
  };
  Quota quota_of(Algorithm algorithm) {
    if (takes_calls(algorithm)) return quota();
    return {gives_permits(algorithm) ? count() : 0, {}};
  }
  struct Options {
    std::optional<uint64_t> burst;
    std::optional<uint64_t> queue;
    std::optional<uint64_t> delay;
    std::optional<nanoseconds> lease;
    std::optional<WhenFull> when_full;
    std::optional<uint64_t> floor;
    std::optional<bool> shadow;
    std::optional<Quota> ban_after;
    std::optional<nanoseconds> ban;
  };
  struct Name {
    std::string_view text;
    Algorithm algorithm;
  };
  /// The first of each is how it is called in errors.
  static constexpr std::array<Name, 8> kNames{{{"token_bucket", Algorithm::token_bucket},
                                               {"leaky", Algorithm::leaky},
                                               {"fixed_window", Algorithm::fixed_window},
                                               {"window", Algorithm::fixed_window},
                                               {"sliding_window", Algorithm::sliding_window},
                                               {"sliding", Algorithm::sliding_window},
                                               {"concurrency", Algorithm::concurrency},
                                               {"counter", Algorithm::counter}}};

  Limit made(Algorithm algorithm, const Quota& quota, const Options& options) const {
    if (options.ban_after.has_value() != options.ban.has_value()) {
      throw bad_limit(
          fmt::format("{:?}: ban_after= and ban= go together; give both or neither", text_));
    }
    Limit limit = with_numbers(algorithm, quota, options);
    if (options.burst) limit = limit.burst(*options.burst);
    if (options.when_full) limit = limit.when_full(*options.when_full);
    if (options.floor) limit = limit.floor(*options.floor);
    if (options.shadow) limit = limit.shadow(true);
    if (options.ban)
      limit = limit.ban_after(options.ban_after->count, options.ban_after->period, *options.ban);
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
      case Algorithm::counter:
        return Limit::counter();
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
  static std::string options_of(Algorithm algorithm) {
    constexpr std::string_view kOfCalls =
        "when_full=evict|allow|deny, floor=PERCENT, shadow, and ban_after=N/D with ban=D";
    switch (algorithm) {
      case Algorithm::token_bucket:
        return fmt::format("burst=N, {}", kOfCalls);
      case Algorithm::leaky:
        return fmt::format("queue=N, delay=N, {}", kOfCalls);
      case Algorithm::concurrency:
        return "lease=D and shadow";
      case Algorithm::counter:
        return "when_full=evict|deny";
      default:
        return std::string(kOfCalls);
    }
  }

  Algorithm algorithm() {
    const std::string_view word = peek_word();
    if (word.empty()) return Algorithm::token_bucket;
    for (const Name& name : kNames) {
      if (word != name.text) continue;
      take(word.size());
      if (name.algorithm != Algorithm::counter) need_space(name);
      return name.algorithm;
    }
    throw stopped(
        "a limit begins with its count, or with token_bucket, leaky, window, sliding, "
        "concurrency or counter");
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
    if (own_option(algorithm, options)) return;
    if (takes_calls(algorithm) && option_of_calls(options)) return;
    if (algorithm != Algorithm::counter && accept("shadow"))
      return once(options.shadow, "shadow", true);
    throw stopped(
        fmt::format("the options of a {} are {}", name_of(algorithm), options_of(algorithm)));
  }
  bool own_option(Algorithm algorithm, Options& options) {
    if (algorithm == Algorithm::token_bucket && accept("burst=")) {
      once(options.burst, "burst=", number("burst="));
    } else if (algorithm == Algorithm::leaky && accept("queue=")) {
      once(options.queue, "queue=", number("queue="));
    } else if (algorithm == Algorithm::leaky && accept("delay=")) {
      once(options.delay, "delay=", number("delay="));
    } else if (algorithm == Algorithm::concurrency && accept("lease=")) {
      once(options.lease, "lease=", duration("lease="));
    } else if (algorithm != Algorithm::concurrency && accept("when_full=")) {
      once(options.when_full, "when_full=", rule());
    } else {
      return false;
    }
    return true;
  }
  bool option_of_calls(Options& options) {
    if (accept("floor=")) {
      once(options.floor, "floor=", number("floor="));
    } else if (accept("ban_after=")) {
      once(options.ban_after, "ban_after=", quota());
    } else if (accept("ban=")) {
      once(options.ban, "ban=", duration("ban="));
    } else {
      return false;
    }
    return true;
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
  void need_limit() {
    skip_spaces();
    if (rest_.empty())
      throw bad_limit("the limit is empty; write one such as 100/s or \"1000/h burst=50\"");
  }
  [[nodiscard]] bool is_at_end() const noexcept { return rest_.empty() || rest_.front() == ','; }
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

Limit Limit::parse(std::string_view text) {
  return Parser(text).only();
}
Limits Limits::parse(std::string_view text) {
  return Parser(text).list();
}

}  // namespace rl
