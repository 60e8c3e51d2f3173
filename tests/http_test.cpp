#include <rl/http.hpp>

#include <doctest/doctest.h>

#include <array>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "shm/geometry.hpp"
#include "src/token_bucket.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;
using std::uint64_t;

static_assert(http::kPolicyNameMax == shm::kPolicyNameMax);

/// The values as strings of their own, each from a buffer that always suffices.
template <class Function, class... Arguments>
std::string value_of(Function function, const Arguments&... arguments) {
  std::array<char, http::kFieldMax> buffer;
  return std::string(function(arguments..., std::span<char>(buffer)));
}
std::string retry_after(std::chrono::nanoseconds wait) {
  Decision decision;
  decision.retry_after = wait;
  return value_of(http::retry_after, decision);
}
std::string ratelimit_policy(std::string_view name, const Limit& limit) {
  return value_of(http::ratelimit_policy, name, limit);
}
std::string ratelimit(std::string_view name, const Limit& limit, const Decision& decision) {
  return value_of(http::ratelimit, name, limit, decision);
}

/// A decision that says how a key stands.
Decision standing(const Limit& limit, uint64_t remaining, std::chrono::nanoseconds reset_after) {
  Decision decision;
  decision.allowed = true;
  decision.reason = Reason::ok;
  decision.limit = limit.burst();
  decision.remaining = remaining;
  decision.reset_after = reset_after;
  return decision;
}

TEST_CASE("retry_after_is_whole_seconds_rounded_up") {
  CHECK(retry_after(1ns) == "1");
  CHECK(retry_after(1s - 1ns) == "1");
  CHECK(retry_after(1s) == "1");
  CHECK(retry_after(1s + 1ns) == "2");
  CHECK(retry_after(2s) == "2");
  CHECK(retry_after(kNever - 1ns) == "9223372037");
}

TEST_CASE("a_wait_of_none_and_one_for_ever_have_no_retry_after") {
  CHECK(retry_after(kNever) == "");
  CHECK(retry_after(0ns) == "");
  CHECK(retry_after(-1ns) == "");
  CHECK(retry_after(std::chrono::nanoseconds::min()) == "");
}

TEST_CASE("the_policy_says_the_burst_and_the_seconds_in_which_it_fills_rounded_up") {
  struct Row {
    const char* limit;
    const char* value;
  };
  for (const Row& row : std::initializer_list<Row>{
           {"100/s burst=200", "\"api\";q=200;w=2"},
           {"100/s burst=1", "\"api\";q=1;w=1"},
           {"1000M/s burst=1", "\"api\";q=1;w=1"},
           {"1000M/s burst=1000000000", "\"api\";q=1000000000;w=1"},
           {"1000M/s burst=1000000001", "\"api\";q=1000000001;w=2"},
           {"3/s burst=3", "\"api\";q=3;w=2"},  // three times 333,333,334 ns
           {"1/h burst=2", "\"api\";q=2;w=7200"},
           {"1/25000d", "\"api\";q=1;w=2160000000"},
           {"1000M/s burst=999999999999999", "\"api\";q=999999999999999;w=1000000"},
           {"1000M/s burst=1000000000000000", "\"api\";q=999999999999999;w=1000000"},
       }) {
    CAPTURE(row.limit);
    CHECK(ratelimit_policy("api", Limit::parse(row.limit)) == row.value);
  }
}

TEST_CASE("ratelimit_says_what_is_left_and_when_it_grows_by_one_rounded_up") {
  const Limit limit = Limit::parse("6/m burst=10");  // a token every 10 s
  const auto value = [&](uint64_t remaining, std::chrono::nanoseconds reset_after) {
    return ratelimit("api", limit, standing(limit, remaining, reset_after));
  };
  CHECK(value(10, 0ns) == "\"api\";r=10;t=0");
  CHECK(value(9, 1ns) == "\"api\";r=9;t=1");
  CHECK(value(9, 1s) == "\"api\";r=9;t=1");
  CHECK(value(9, 1s + 1ns) == "\"api\";r=9;t=2");
  CHECK(value(9, 10s) == "\"api\";r=9;t=10");
  CHECK(value(7, 25s) == "\"api\";r=7;t=5");
  CHECK(value(7, 25s + 1ns) == "\"api\";r=7;t=6");
  CHECK(value(0, 100s) == "\"api\";r=0;t=10");
}

TEST_CASE("numbers_that_no_decision_has_are_cut_to_what_a_field_can_hold") {
  const Limit limit = Limit::parse("6/m burst=10");
  CHECK(ratelimit("api", limit, standing(limit, 11, 0ns)) == "\"api\";r=10;t=0");
  CHECK(ratelimit("api", limit, standing(limit, ~uint64_t{0}, -1ns)) == "\"api\";r=10;t=0");
  CHECK(ratelimit("api", limit, standing(limit, 0, std::chrono::nanoseconds::min())) ==
        "\"api\";r=0;t=0");
  CHECK(ratelimit("api", limit, standing(limit, 10, kNever)) == "\"api\";r=10;t=9223372037");
  const Decision past = standing(limit, 11, -1ns);
  CHECK(value_of(http::x_ratelimit_remaining, past) == "10");
  CHECK(value_of(http::x_ratelimit_reset, past) == "0");
}

TEST_CASE("the_x_fields_say_the_burst_what_is_left_and_when_the_bucket_is_full") {
  const Limit limit = Limit::parse("6/m burst=10");
  const Decision decision = standing(limit, 7, 25s + 1ns);
  CHECK(value_of(http::x_ratelimit_limit, decision) == "10");
  CHECK(value_of(http::x_ratelimit_remaining, decision) == "7");
  CHECK(value_of(http::x_ratelimit_reset, decision) == "26");
  CHECK(value_of(http::x_ratelimit_reset, standing(limit, 7, 25s)) == "25");
  CHECK(value_of(http::x_ratelimit_reset, standing(limit, 9, 1ns)) == "1");
  CHECK(value_of(http::x_ratelimit_reset, standing(limit, 10, 0ns)) == "0");
}

TEST_CASE("how_a_key_stands_is_not_said_by_a_decision_that_does_not_know_it") {
  const Limit limit = Limit::parse("6/m burst=10");
  struct Row {
    Reason reason;
    bool knows;
  };
  for (const Row& row : std::initializer_list<Row>{{Reason::ok, true},
                                                   {Reason::limited, true},
                                                   {Reason::never, true},
                                                   {Reason::banned, false},
                                                   {Reason::override_, true},
                                                   {Reason::shadow, true},
                                                   {Reason::full, false},
                                                   {Reason::unavailable, false},
                                                   {Reason::invalid, false},
                                                   {static_cast<Reason>(200), false}}) {
    CAPTURE(to_string(row.reason));
    Decision decision = standing(limit, 3, 70s);
    decision.reason = row.reason;
    CHECK(ratelimit("api", limit, decision).empty() == !row.knows);
    CHECK(value_of(http::x_ratelimit_remaining, decision).empty() == !row.knows);
    CHECK(value_of(http::x_ratelimit_reset, decision).empty() == !row.knows);
    CHECK(value_of(http::x_ratelimit_limit, decision) == "10");
  }
}

TEST_CASE("a_decision_of_another_limit_says_nothing_about_this_one") {
  const Limit limit = Limit::parse("6/m burst=10");
  CHECK(ratelimit("api", limit, standing(limit.burst(11), 3, 70s)) == "");
  CHECK(ratelimit("api", limit.burst(11), standing(limit, 3, 70s)) == "");
}

TEST_CASE("of_a_call_that_was_never_decided_only_the_policy_is_said") {
  test::Scratch segment;
  Limiter api = segment->limiter("api", Limit::per_hour(2));
  const Decision invalid = api.try_acquire("");
  REQUIRE(invalid.reason == Reason::invalid);
  CHECK(ratelimit_policy("api", api.limit()) == "\"api\";q=2;w=3600");
  CHECK(ratelimit("api", api.limit(), invalid) == "");
  for (const auto field : {http::retry_after, http::x_ratelimit_limit, http::x_ratelimit_remaining,
                           http::x_ratelimit_reset})
    CHECK(value_of(field, invalid) == "");
}

TEST_CASE("a_cost_above_the_burst_gets_no_retry_after") {
  test::Scratch segment;
  Limiter api = segment->limiter("api", Limit::per_hour(2));
  const Decision never = api.try_acquire("key", 3);
  REQUIRE(never.reason == Reason::never);
  CHECK(value_of(http::retry_after, never) == "");
  CHECK(ratelimit("api", api.limit(), never) == "\"api\";r=2;t=0");
}

TEST_CASE("what_is_left_for_calls_of_low_priority_is_not_told_as_what_is_left") {
  test::Scratch segment;
  Limiter api = segment->limiter("api", Limit::per_hour(10).floor(50));
  CHECK(ratelimit("api", api.limit(), api.try_acquire("key", 1, Priority::low)) == "");
  CHECK(ratelimit("api", api.limit(), api.try_acquire("key", 1, Priority::normal)) != "");
}

TEST_CASE("a_concurrency_limit_is_no_quota_and_is_not_told") {
  std::array<char, 64> buffer{};
  const Limit limit = Limit::concurrency(20);
  CHECK(http::ratelimit_policy("uploads", limit, buffer).empty());
  CHECK(http::ratelimit("uploads", limit, {.allowed = true, .limit = 20}, buffer).empty());
}

TEST_CASE("a_name_cannot_break_out_of_its_quotes") {
  const Limit limit = Limit::per_second(1);
  const auto name = [&](std::string_view text) {
    const std::string value = ratelimit_policy(text, limit);
    const std::string other = ratelimit(text, limit, standing(limit, 1, 0ns));
    REQUIRE(value.ends_with(";q=1;w=1"));
    REQUIRE(other.ends_with(";r=1;t=0"));
    REQUIRE(value.substr(0, value.size() - 8) == other.substr(0, other.size() - 8));
    return value.substr(0, value.size() - 8);
  };
  CHECK(name("api") == "\"api\"");
  CHECK(name("") == "\"\"");
  CHECK(name("a\"b\\c") == R"("a\"b\\c")");
  CHECK(name("\"") == R"("\"")");
  CHECK(name("\\") == R"("\\")");
  CHECK(name(" ~") == "\" ~\"");
  CHECK(name("a\r\nSet-Cookie: b") == "\"a??Set-Cookie: b\"");
  CHECK(name("\x7f\x1f\x80\xff") == "\"????\"");
  CHECK(name(std::string_view("\0", 1)) == "\"?\"");
}

/// The longest value of each field, with what makes it.
struct Longest {
  const char* field;
  std::size_t bytes;
  std::function<std::string_view(std::span<char>)> write;
};
std::vector<Longest> longest_values() {
  static const std::string name(http::kPolicyNameMax, '"');
  static const Limit limit = Limit::parse("1000M/s burst=2000000000000000000");
  Decision decision = standing(limit, limit.burst(), kNever);
  decision.retry_after = kNever - 1ns;
  Decision most = decision;
  most.limit = most.remaining = ~uint64_t{0};
  using Buffer = std::span<char>;
  return {
      {"Retry-After", 10, [=](Buffer b) { return http::retry_after(decision, b); }},
      {"RateLimit-Policy", http::kFieldMax,
       [=](Buffer b) { return http::ratelimit_policy(name, limit, b); }},
      {"RateLimit", http::kFieldMax,
       [=](Buffer b) { return http::ratelimit(name, limit, decision, b); }},
      {"X-RateLimit-Limit", 20, [=](Buffer b) { return http::x_ratelimit_limit(most, b); }},
      {"X-RateLimit-Remaining", 20, [=](Buffer b) { return http::x_ratelimit_remaining(most, b); }},
      {"X-RateLimit-Reset", 10, [=](Buffer b) { return http::x_ratelimit_reset(most, b); }},
  };
}

TEST_CASE("the_longest_value_fills_the_buffer_and_one_byte_less_is_too_small") {
  std::array<char, http::kFieldMax + 1> room;
  for (const Longest& value : longest_values()) {
    CAPTURE(value.field);
    for (std::size_t size = 0; size <= value.bytes; ++size) {
      CAPTURE(size);
      room.fill('\x55');
      const std::string_view written = value.write(std::span(room).first(size));
      REQUIRE(written.size() == (size == value.bytes ? size : 0));
      if (!written.empty()) REQUIRE(written.data() == room.data());
      for (std::size_t i = size; i < room.size(); ++i) REQUIRE(room[i] == '\x55');
    }
    CHECK(value.write({}).empty());
  }
}

/// An Item of a structured field with Integer parameters.
struct Item {
  std::string name;
  std::map<std::string, uint64_t> parameters;
};

/// Reads a List of one such Item as RFC 9651, section 4.2, says; nothing for anything else.
std::optional<Item> parsed(std::string_view text) {
  std::size_t at = 0;
  const auto next = [&] { return at < text.size() ? text[at++] : '\0'; };
  Item item;
  if (next() != '"') return std::nullopt;
  for (char c = next(); c != '"'; c = next()) {
    if (c == '\\') {
      c = next();
      if (c != '"' && c != '\\') return std::nullopt;
    }
    if (c < 0x20 || c > 0x7e) return std::nullopt;
    item.name += c;
  }
  while (at < text.size()) {
    if (next() != ';') return std::nullopt;
    const std::string key(1, next());
    if (key[0] < 'a' || key[0] > 'z' || next() != '=') return std::nullopt;
    const std::size_t begin = at;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') ++at;
    const std::string digits(text.substr(begin, at - begin));
    if (digits.empty() || digits.size() > 15) return std::nullopt;
    if (!item.parameters.emplace(key, std::stoull(digits)).second) return std::nullopt;
  }
  return item;
}

TEST_CASE("the_test_s_reader_of_structured_fields_refuses_what_is_none") {
  CHECK(parsed("\"a\\\"b\";q=1;w=2")->name == "a\"b");
  for (const char* text :
       {"", "api;q=1", "\"api;q=1", "\"api\"q=1", "\"api\";q", "\"api\";q=", "\"api\";q=-1",
        "\"api\";q=1 ", "\"a\\b\";q=1", "\"\xc3\";q=1", "\"api\";q=1000000000000000",
        "\"api\";q=1;q=2", "\"api\";Q=1", "\"api\",\"b\""}) {
    CAPTURE(text);
    CHECK_FALSE(parsed(text));
  }
}

/// A limit of any size, most of them small.
Limit random_limit(std::mt19937_64& random) {
  for (;;) {
    try {
      return Limit::per(1 + (random() >> (random() % 60 + 4)),
                        std::chrono::milliseconds(1 + (random() >> (random() % 40 + 24))))
          .burst(1 + (random() >> (random() % 60 + 4)));
    } catch (const Error&) {
    }
  }
}

Decision decision_of(const TokenBucket& bucket, const Verdict& verdict) {
  const auto ns = [](uint64_t n) { return std::chrono::nanoseconds(static_cast<std::int64_t>(n)); };
  Decision decision;
  decision.allowed = verdict.allowed;
  decision.reason = verdict.allowed ? Reason::ok : verdict.never ? Reason::never : Reason::limited;
  decision.limit = bucket.burst;
  decision.remaining = verdict.remaining;
  decision.retry_after = verdict.never ? kNever : ns(verdict.retry_after_ns);
  decision.reset_after = ns(verdict.reset_after_ns);
  return decision;
}

uint64_t number_in(const std::string& text) {
  REQUIRE_FALSE(text.empty());
  REQUIRE(text.find_first_not_of("0123456789") == std::string::npos);
  return std::stoull(text);
}

TEST_CASE("the_fields_of_any_decision_read_back_and_their_seconds_are_the_fewest_that_suffice") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  constexpr uint64_t kIntegerMax = 999'999'999'999'999;
  constexpr uint64_t kSecond = 1'000'000'000;
  int denied = 0;
  int growing = 0;
  for (int round = 0; round < 20'000; ++round) {
    const Limit limit = random_limit(random);
    const auto bucket =
        TokenBucket::of(static_cast<uint64_t>(limit.interval().count()), limit.burst());
    std::string name(random() % (http::kPolicyNameMax + 1), '\0');
    for (char& c : name) c = static_cast<char>(random());
    const uint64_t now = random() >> 2;
    const uint64_t debt = random() % 4 == 0 ? 0 : random() % (bucket.tolerance_ns + 1);
    const uint64_t cost = 1 + random() % (1 + (limit.burst() >> random() % 60));
    const Verdict verdict = acquire(bucket, now + debt, now, cost);
    const Decision decision = decision_of(bucket, verdict);
    CAPTURE(limit.to_string());
    CAPTURE(debt);
    CAPTURE(cost);

    const auto policy = parsed(ratelimit_policy(name, limit));
    const auto state = parsed(ratelimit(name, limit, decision));
    REQUIRE(policy);
    REQUIRE(state);
    for (char& c : name) c = c >= 0x20 && c <= 0x7e ? c : '?';
    REQUIRE(policy->name == name);
    REQUIRE(state->name == name);
    REQUIRE(policy->parameters.size() == 2);
    REQUIRE(state->parameters.size() == 2);
    const uint64_t w = policy->parameters.at("w");
    const uint64_t r = state->parameters.at("r");
    const uint64_t t = state->parameters.at("t");
    REQUIRE(policy->parameters.at("q") == std::min(limit.burst(), kIntegerMax));
    REQUIRE(r == std::min(verdict.remaining, kIntegerMax));
    REQUIRE(r <= policy->parameters.at("q"));
    REQUIRE(w >= 1);
    REQUIRE(w * kSecond >= bucket.tolerance_ns);
    REQUIRE((w - 1) * kSecond < bucket.tolerance_ns);

    // In t seconds more is left, and in t - 1 there is not.
    const auto left_at = [&](uint64_t at) { return peek(bucket, verdict.state, at, 1).remaining; };
    if (verdict.remaining < bucket.burst) {
      ++growing;
      REQUIRE(t >= 1);
      REQUIRE(left_at(now + t * kSecond) > verdict.remaining);
      REQUIRE(left_at(now + (t - 1) * kSecond) == verdict.remaining);
    } else {
      REQUIRE(t == 0);
    }

    // The same of the wait for the call, and for a full bucket.
    const std::string wait = value_of(http::retry_after, decision);
    REQUIRE(wait.empty() == (verdict.allowed || verdict.never));
    if (!wait.empty()) {
      ++denied;
      const uint64_t seconds = number_in(wait);
      REQUIRE(seconds >= 1);
      REQUIRE(seconds >= t);
      REQUIRE(acquire(bucket, verdict.state, now + seconds * kSecond, cost).allowed);
      REQUIRE_FALSE(acquire(bucket, verdict.state, now + (seconds - 1) * kSecond, cost).allowed);
    }
    const uint64_t reset = number_in(value_of(http::x_ratelimit_reset, decision));
    REQUIRE(now + reset * kSecond >= verdict.state);
    if (reset != 0) REQUIRE(now + (reset - 1) * kSecond < verdict.state);
    REQUIRE(number_in(value_of(http::x_ratelimit_limit, decision)) == limit.burst());
    REQUIRE(number_in(value_of(http::x_ratelimit_remaining, decision)) == verdict.remaining);
  }
  CHECK(denied > 1'000);
  CHECK(growing > 1'000);
}

TEST_CASE("a_client_that_makes_at_most_q_calls_in_any_w_seconds_is_never_denied") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  for (int round = 0; round < 200; ++round) {
    const Limit limit =
        Limit::per(1 + random() % 3, std::chrono::milliseconds(1 + random() % 2'000))
            .burst(1 + random() % 8);
    CAPTURE(limit.to_string());
    const auto bucket =
        TokenBucket::of(static_cast<uint64_t>(limit.interval().count()), limit.burst());
    const auto policy = parsed(ratelimit_policy("api", limit));
    REQUIRE(policy);
    const uint64_t q = policy->parameters.at("q");
    const uint64_t w = policy->parameters.at("w") * 1'000'000'000;
    std::vector<uint64_t> calls;
    uint64_t tat = 0;
    for (uint64_t now = 1; calls.size() < 100; now += random() % (2 * w / q)) {
      if (calls.size() >= q) now = std::max(now, calls[calls.size() - q] + w);
      calls.push_back(now);
      const auto verdict = acquire(bucket, tat, now, 1);
      REQUIRE(verdict.allowed);
      tat = verdict.state;
    }
  }
}

}  // namespace
}  // namespace rl
