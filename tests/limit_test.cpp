#include <rl/limit.hpp>

#include <doctest/doctest.h>

#include <random>
#include <vector>

#include <rl/error.hpp>
#include <rl/limits.hpp>

#include "tests/support.hpp"

namespace rl {
namespace {

using namespace std::chrono_literals;

TEST_CASE("a_limit_is_read_as_written") {
  struct Row {
    const char* text;
    Limit limit;
  };
  const Row rows[] = {
      {"100/s", Limit::per_second(100)},
      {"  100/s  ", Limit::per_second(100)},
      {"token_bucket 100/s", Limit::per_second(100)},
      {"100/s burst=200", Limit::per_second(100).burst(200)},
      {"5/m", Limit::per_minute(5)},
      {"1000/h burst=50", Limit::per_hour(1000).burst(50)},
      {"1k/h", Limit::per_hour(1000)},
      {"2M/d", Limit::per_day(2'000'000)},
      {"3/250ms", Limit::per(3, 250ms)},
      {"1/1d", Limit::per_day(1)},
      {"10/15m when_full=deny", Limit::per(10, 15min).when_full(WhenFull::deny)},
      {"10/s when_full=allow burst=3", Limit::per_second(10).burst(3).when_full(WhenFull::allow)},
      {"1000000000/s", Limit::per_second(1'000'000'000)},
      {"1/25000d", Limit::per(1, 24h * 25'000)},
      {"leaky 10/s", Limit::leaky(10, 1s, 0)},
      {"leaky 10/s delay=5 queue=50", Limit::leaky(10, 1s, 50, 5)},
      {"window 1000/h", Limit::fixed_window(1'000, 1h)},
      {"fixed_window 1k/h when_full=deny",
       Limit::fixed_window(1'000, 1h).when_full(WhenFull::deny)},
      {"window 700M/s", Limit::fixed_window(700'000'000, 1s)},
      {"sliding 100/m", Limit::sliding_window(100, 1min)},
      {"sliding_window 31621/s", Limit::sliding_window(31'621, 1s)},
      {"concurrency 20", Limit::concurrency(20)},
      {" concurrency  4k lease=90s ", Limit::concurrency(4'000, 90s)},
      {"concurrency 1 lease=1500ms", Limit::concurrency(1, 1500ms)},
      {"concurrency 4096 lease=1d", Limit::concurrency(4'096, 24h)},
      {"concurrency 20 shadow lease=1m", Limit::concurrency(20, 1min).shadow(true)},
      {"counter", Limit::counter()},
      {" counter  when_full=evict ", Limit::counter().when_full(WhenFull::evict)},
      {"counter when_full=deny", Limit::counter()},
      {"100/s floor=20", Limit::per_second(100).floor(20)},
      {"leaky 10/s queue=9 floor=99", Limit::leaky(10, 1s, 9).floor(99)},
      {"window 10/s shadow", Limit::fixed_window(10, 1s).shadow(true)},
      {"sliding 10/s ban=10m ban_after=20/m",
       Limit::sliding_window(10, 1s).ban_after(20, 1min, 10min)},
      {"9/s ban_after=1k/1m ban=1ms", Limit::per_second(9).ban_after(1'000, 1min, 1ms)},
      {"5/m ban=2h shadow floor=1 ban_after=3/90s when_full=deny burst=7",
       Limit::per_minute(5)
           .ban_after(3, 90s, 2h)
           .shadow(true)
           .floor(1)
           .when_full(WhenFull::deny)
           .burst(7)},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    CHECK(Limit::parse(row.text) == row.limit);
  }
}

TEST_CASE("a_limit_prints_in_its_shortest_form") {
  CHECK(Limit::per_second(100).to_string() == "100/s");
  CHECK(Limit::per_second(100).burst(100).to_string() == "100/s");
  CHECK(Limit::per_second(1000).to_string() == "1k/s");
  CHECK(Limit::per_second(1'000'000'000).to_string() == "1000M/s");
  CHECK(Limit::per(90, 90s).to_string() == "90/90s");
  CHECK(Limit::per(90, 60s).to_string() == "90/m");
  CHECK(Limit::per(90, 48h).to_string() == "90/2d");
  CHECK(Limit::per(9, 1500ms).burst(2).when_full(WhenFull::deny).to_string() ==
        "9/1500ms burst=2 when_full=deny");
  CHECK(Limit::leaky(10, 1s, 0).to_string() == "leaky 10/s");
  CHECK(Limit::leaky(10, 1s, 50, 5).to_string() == "leaky 10/s queue=50 delay=5");
  CHECK(Limit::fixed_window(1'000, 1h).when_full(WhenFull::allow).to_string() ==
        "window 1k/h when_full=allow");
  CHECK(Limit::sliding_window(100, 1min).to_string() == "sliding 100/m");
  CHECK(Limit::concurrency(20, 30s).to_string() == "concurrency 20");
  CHECK(Limit::concurrency(2'000, 60s).to_string() == "concurrency 2k lease=1m");
  CHECK(Limit::concurrency(20).shadow(true).to_string() == "concurrency 20 shadow");
  CHECK(Limit::per_minute(5)
            .ban_after(1'000, 60s, 90s)
            .shadow(true)
            .floor(20)
            .when_full(WhenFull::deny)
            .burst(7)
            .to_string() == "5/m burst=7 when_full=deny floor=20 shadow ban_after=1k/m ban=90s");
  CHECK(Limit::per_minute(5).shadow(true).shadow(false).to_string() == "5/m");
}

TEST_CASE("each_algorithm_says_the_most_that_may_pass_at_once") {
  CHECK(Limit::per_second(10).burst(3).burst() == 3);
  CHECK(Limit::leaky(10, 1s, 50).burst() == 51);
  CHECK(Limit::fixed_window(1'000, 1h).burst() == 1'000);
  CHECK(Limit::sliding_window(100, 1min).burst() == 100);
  CHECK(Limit::concurrency(20).burst() == 20);
}

TEST_CASE("a_concurrency_limit_has_a_lease_and_no_period") {
  const Limit limit = Limit::concurrency(20, 45s);
  CHECK(limit.algorithm() == Algorithm::concurrency);
  CHECK(limit.count() == 20);
  CHECK(limit.lease() == 45s);
  CHECK(limit.interval() == 45s);
  CHECK(limit.period() == 0s);
  CHECK(limit.when_full() == WhenFull::deny);
  CHECK(limit.when_full(WhenFull::deny) == limit);
  CHECK(Limit::concurrency(20).lease() == 30s);
  CHECK(Limit::per_second(20).lease() == 0s);
}

TEST_CASE("the_floor_in_calls_is_rounded_up") {
  CHECK(Limit::per_second(100).floor_calls() == 0);
  CHECK(Limit::per_second(100).floor(20).floor_calls() == 20);
  CHECK(Limit::per_second(7).floor(1).floor_calls() == 1);
  CHECK(Limit::per_second(7).floor(50).floor_calls() == 4);
  CHECK(Limit::per_second(1).floor(1).floor_calls() == 1);
  CHECK(Limit::leaky(10, 1s, 9).floor(25).floor_calls() == 3);
  const std::uint64_t most = Limit::parse("1000M/s burst=2305843009213693951").burst();
  CHECK(Limit::parse("1000M/s burst=2305843009213693951 floor=99").floor_calls() ==
        most / 100 * 99 + 51);  // the last 51 x 0.99 = 50.49
}

/// A limit with all its options, or an Error for numbers that make none.
Limit any_limit(std::mt19937_64& random) {
  const std::uint64_t count = 1 + (random() >> (random() % 44 + 20));
  const auto period = std::chrono::milliseconds(1 + (random() >> (random() % 36 + 28)));
  const std::uint64_t queue = random() % 1'000;
  Limit limit = Limit::per_second(1);
  switch (random() % 6) {
    case 4:
      return Limit::counter().when_full(random() % 2 == 0 ? WhenFull::deny : WhenFull::evict);
    case 0:
      limit = Limit::leaky(count, period, queue, random() % (queue + 1));
      break;
    case 1:
      limit = Limit::fixed_window(count, period);
      break;
    case 2:
      limit = Limit::sliding_window(count, period);
      break;
    case 3:
      return Limit::concurrency(1 + count % 5'000, 1s + period % 90'000'000ms)
          .shadow(random() % 2 == 0);
    default:
      limit = Limit::per(count, period).burst(1 + random() % 1'000);
  }
  limit = limit.when_full(static_cast<WhenFull>(random() % 3)).shadow(random() % 2 == 0);
  if (random() % 2 == 0) limit = limit.floor(1 + random() % 99);
  if (random() % 2 == 0) limit = limit.ban_after(1 + random() % 1'000'000, period, period * 2);
  return limit;
}

TEST_CASE("what_is_printed_reads_back_to_the_same") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  int tried = 0;
  std::vector<Limit> limits;
  for (int i = 0; i < 20'000; ++i) {
    try {
      const Limit limit = any_limit(random);
      CAPTURE(limit.to_string());
      REQUIRE(Limit::parse(limit.to_string()) == limit);
      REQUIRE(Limit::parse(limit.to_string()).to_string() == limit.to_string());
      ++tried;
      if (limits.size() == Limits::kMax || random() % 4 == 0) limits.clear();
      limits.push_back(limit);
      const Limits list(limits);
      REQUIRE(Limits::parse(list.to_string()) == list);
    } catch (const Error& e) {
      REQUIRE(e.code() == Errc::bad_limit);
    }
  }
  CHECK(tried > 1'000);
}

TEST_CASE("a_list_of_limits_keeps_their_order") {
  const Limits limits = Limits::parse(" 100/s burst=200,1k/h ,  concurrency 20 lease=30s");
  REQUIRE(limits.size() == 3);
  CHECK(limits[0] == Limit::per_second(100).burst(200));
  CHECK(limits[1] == Limit::per_hour(1'000));
  CHECK(limits[2] == Limit::concurrency(20));
  CHECK(limits.to_string() == "100/s burst=200, 1k/h, concurrency 20");
  CHECK(limits == Limits(std::vector<Limit>(limits.begin(), limits.end())));
  CHECK(limits != Limits::parse("100/s burst=200, concurrency 20, 1k/h"));
  CHECK(Limits::parse("5/m").size() == 1);
  CHECK(Limits::parse("1/s,2/s,3/s,4/s,5/s,6/s,7/s,8/s").size() == 8);
}

TEST_CASE("the_interval_is_rounded_up") {
  CHECK(Limit::per_second(3).interval() == 333'333'334ns);
  CHECK(Limit::per_second(1'000'000'000).interval() == 1ns);
  CHECK(Limit::per_day(1).interval() == 24h);
}

std::string refusal(auto make) {
  try {
    (void)make();
  } catch (const Error& e) {
    CHECK(e.code() == Errc::bad_limit);
    return e.what();
  }
  return "not refused";
}

TEST_CASE("what_cannot_be_represented_is_refused_with_the_nearest_that_can") {
  CHECK(refusal([] { return Limit::per_second(260'000'000); }).find("250M/s") != std::string::npos);
  CHECK(refusal([] { return Limit::per_second(300'000'000); }).find("333333334/s") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::per_second(450'000'000); }).find("500M/s") != std::string::npos);
  CHECK(refusal([] { return Limit::per_second(2'000'000'000); }).find("1000M/s") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::per_day(1).burst(100'000); }).find("burst=26687") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::leaky(1, 24h, 100'000); }).find("queue=26686 fits") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::leaky(1, 1s, 5, 6); }).find("delay=5, need") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::sliding_window(31'622, 1s); }).find("at most 31621;") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::fixed_window(1'000'000, 1ms); }).find("at most 999999;") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::fixed_window(1, 24h * 14'000); }).find("36 years") !=
        std::string::npos);
  CHECK(refusal([] {
          return Limit::sliding_window(1, 1s).burst(2);
        }).find("only a token bucket has a burst") != std::string::npos);
  CHECK(refusal([] { return Limit::concurrency(0); }).find("give at least 1") != std::string::npos);
  CHECK(refusal([] { return Limit::concurrency(4'097); }).find("at most 4096 fit") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::concurrency(2).burst(1); }).find("only a token bucket") !=
        std::string::npos);
  CHECK(refusal([] {
          return Limit::concurrency(2).when_full(WhenFull::evict);
        }).find("a permit that finds no room is denied") != std::string::npos);
  CHECK(refusal([] {
          return Limit::counter().when_full(WhenFull::allow);
        }).find("what finds no room is not counted") != std::string::npos);
  CHECK(refusal([] { return Limit::counter().shadow(true); }).find("it denies nothing") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::counter().burst(2); }).find("only a token bucket") !=
        std::string::npos);
  CHECK(refusal([] { return Limit::counter().floor(1); }).find("only a limit of calls") !=
        std::string::npos);
  CHECK(refusal([] {
          return Limit::counter().ban_after(1, 1s, 1s);
        }).find("only a limit of calls") != std::string::npos);
  CHECK(Limit::counter().shadow(false) == Limit::counter());
  CHECK(refusal([] { return Limit::per_second(1).floor(0); }).ends_with("fits is floor=1"));
  CHECK(refusal([] { return Limit::per_second(1).floor(100); }).ends_with("fits is floor=99"));
  CHECK(refusal([] {
          return Limit::concurrency(2).floor(1);
        }).find("only a limit of calls has a floor") != std::string::npos);
  CHECK(refusal([] {
          return Limit::concurrency(2).ban_after(1, 1s, 1s);
        }).find("only a limit of calls bans keys") != std::string::npos);
  const auto ban = [](std::uint64_t n, std::chrono::nanoseconds within,
                      std::chrono::nanoseconds length) {
    return refusal([&] { return Limit::per_second(1).ban_after(n, within, length); });
  };
  CHECK(ban(0, 1s, 1s).ends_with("the nearest that fits is 1"));
  CHECK(ban(1'000'001, 1s, 1s).ends_with("the nearest that fits is 1000000"));
  CHECK(ban(1, 0s, 1s).ends_with("the nearest that fits is 1ms"));
  CHECK(ban(1, 1s, -1s).ends_with("the nearest that fits is ban=1ms"));
  CHECK(ban(1, 1s, 1500us).ends_with("the nearest that fits is ban=2ms"));
  CHECK(ban(1, 1s, 24h * 26'688).ends_with("the nearest that fits is ban=26687d"));
  CHECK(ban(1, 24h * 26'687, 24h * 26'687) == "not refused");
  CHECK(refusal([] { return Limits({}); }) == "a list of 0 limits; give from 1 to 8");
  CHECK(refusal([] { return Limits(std::vector<Limit>(9, Limit::per_second(1))); }) ==
        "a list of 9 limits; give from 1 to 8");
  struct Lease {
    std::chrono::nanoseconds asked;
    const char* nearest;
  };
  for (const Lease& row :
       {Lease{-1s, "lease=1s"}, Lease{0s, "lease=1s"}, Lease{999'999us, "lease=1s"},
        Lease{1'000'400us, "lease=1s"}, Lease{1'000'500us, "lease=1001ms"},
        Lease{24h + 1ns, "lease=1d"}, Lease{std::chrono::nanoseconds::max(), "lease=1d"}}) {
    CAPTURE(row.asked.count());
    const std::string said = refusal([&] { return Limit::concurrency(2, row.asked); });
    CHECK_MESSAGE(said.ends_with(std::string("fits is ") + row.nearest), said);
  }
  for (const char* nearest : {"250M/s", "500M/s", "1000M/s", "1/d burst=26687", "sliding 31621/s",
                              "leaky 1/d queue=26686", "window 999999/ms", "concurrency 4096",
                              "concurrency 2 lease=1s", "concurrency 2 lease=1d"}) {
    CAPTURE(nearest);
    CHECK_NOTHROW(Limit::parse(nearest));
  }
}

TEST_CASE("a_period_that_could_not_be_printed_is_refused") {
  CHECK(refusal([] { return Limit::per(10, 1500us); }).find("milliseconds") != std::string::npos);
  CHECK(refusal([] { return Limit::per(1, 0ns); }).find("above 0") != std::string::npos);
  CHECK(refusal([] { return Limit::per(1, -1s); }).find("above 0") != std::string::npos);
}

TEST_CASE("the_nearest_that_fits_fits") {
  INFO("RL_TEST_SEED=" << test::seed());
  std::mt19937_64 random(test::seed());
  int refused = 0;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t count = 1 + random() % 1'500'000'000;
    const std::string text = refusal([&] { return Limit::per_second(count); });
    if (text == "not refused") continue;
    ++refused;
    const std::string nearest = text.substr(text.rfind(' ') + 1);
    CAPTURE(text);
    REQUIRE_NOTHROW(Limit::parse(nearest));
  }
  CHECK(refused > 100);
}

TEST_CASE("a_limit_that_cannot_be_read_says_where_it_stopped") {
  struct Row {
    std::string_view text;
    const char* says;
  };
  const Row rows[] = {
      {"", "empty"},
      {"   ", "empty"},
      {"fast", "at \"fast\""},
      {"100", "at the end"},
      {"100/", "at the end"},
      {"100/x", "at \"x\""},
      {"100/s burst", "at \"burst\""},
      {"100/s burst=", "at the end"},
      {"100/s burst=x", "at \"x\""},
      {"100/s burst=1 burst=2", "twice"},
      {"100/sburst=2", "at \"sburst=2\""},
      {"100/s when_full=maybe", "at \"maybe\""},
      {"100/s queue=5", "at \"queue=5\""},
      {"-5/s", "at \"-5/s\""},
      {"0/s", "0 calls"},
      {"5/0s", "period of 0"},
      {"5/s burst=0", "burst of 0"},
      {"99999999999999999999/s", "too large"},
      {"999999999999999999M/s", "too large"},
      {"1/99999999999999999d", "too large"},
      {"1/100000d", "73 years"},
      {"token_bucket", "at the end"},
      {"token_bucket100/s", "at \"100/s\""},
      {"100/s\n", "at \"\\n\""},
      {std::string_view("100/s\0", 6), "at \"\\x00\""},
      {"1kM/s", "at \"M/s\""},
      {"lucky 1/s", "at \"lucky 1/s\": a limit begins with"},
      {"leaky", "at the end"},
      {"leaky 1/s burst=2", "at \"burst=2\": the options of a leaky bucket are queue=N, delay=N"},
      {"window 1/s queue=2", "at \"queue=2\": the options of a fixed window are when_full"},
      {"sliding 1/s burst=2", "at \"burst=2\": the options of a sliding window are when_full"},
      {"leaky 1/s queue=1 queue=1", "queue= is given twice"},
      {"leaky 1/s delay=1", "a delay above the queue"},
      {"concurrency", "at the end: after concurrency goes a space and a count"},
      {"concurrency 20shadow", "at \"shadow\": a space goes before each option"},
      {"concurrency 20/s", "at \"/s\""},
      {"concurrency x", "at \"x\": the count is a number"},
      {"concurrency 20 lease=", "at the end"},
      {"concurrency 20 lease=s", "at \"s\": lease= is a number"},
      {"concurrency 20 lease=30", "at the end: a time is a number and ms, s, m, h or d"},
      {"concurrency 20 lease=30s lease=30s", "lease= is given twice"},
      {"concurrency 20 lease=10ms", "the nearest that fits is lease=1s"},
      {"concurrency 20 lease=99999999999999999d", "too large"},
      {"concurrency 0", "a concurrency of 0"},
      {"concurrency 5000", "at most 4096 fit"},
      {"concurrency 20 when_full=deny",
       "at \"when_full=deny\": the options of a concurrency limit are lease=D and shadow"},
      {"concurrency 20 floor=5", "at \"floor=5\""},
      {"concurrency 20 ban_after=1/s ban=1s", "at \"ban_after=1/s ban=1s\""},
      {"counter 20", "at \"20\": the options of a counter are when_full=evict|deny"},
      {"counter20", "at \"20\": a space goes before each option"},
      {"counter shadow", "at \"shadow\": the options of a counter are"},
      {"counter floor=5", "at \"floor=5\""},
      {"counter when_full=allow", "what finds no room is not counted"},
      {"counter when_full=deny when_full=deny", "when_full= is given twice"},
      {"counters", "at \"counters\": a limit begins with"},
      {"20/s floor=", "at the end: floor= is a number"},
      {"20/s floor=20%", "at \"%\": a space"},
      {"20/s floor=0", "from 1 to 99 percent"},
      {"20/s floor=100", "the nearest that fits is floor=99"},
      {"20/s floor=5 floor=5", "floor= is given twice"},
      {"20/s shadow shadow", "shadow is given twice"},
      {"20/s shadow=1", "at \"=1\": a space"},
      {"20/s shadows", "at \"s\": a space"},
      {"20/s ban=1m", "ban_after= and ban= go together"},
      {"20/s ban_after=5/m", "ban_after= and ban= go together"},
      {"20/s ban_after=5 ban=1m", "at \" ban=1m\": after the count goes a slash"},
      {"20/s ban_after=5/0s ban=1m", "a period of 0"},
      {"20/s ban_after=0/m ban=1m", "a ban comes after 1 to 1000000 denials"},
      {"20/s ban_after=5/m ban=m", "at \"m\": ban= is a number"},
      {"20/s ban_after=5/m ban=0s", "the nearest that fits is ban=1ms"},
      {"20/s ban_after=5/m ban=1m ban=1m", "ban= is given twice"},
      {"20/s ban_after=5/m ban_after=5/m ban=1m", "ban_after= is given twice"},
      {"20/s, 30/m", "at \", 30/m\": one limit goes here, and no list"},
      {"20/s lease=30s", "at \"lease=30s\""},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const std::string said = refusal([&] { return Limit::parse(row.text); });
    CHECK_MESSAGE(said.find(row.says) != std::string::npos, said);
  }
}

TEST_CASE("a_list_that_cannot_be_read_says_where_it_stopped") {
  struct Row {
    const char* text;
    const char* says;
  };
  const Row rows[] = {
      {"", "the limit is empty"},
      {",", "at \",\": the count is a number"},
      {"100/s,", "at the end: after a comma goes another limit"},
      {"100/s,,5/m", "at \",5/m\": the count is a number"},
      {"100/s; 5/m", "at \"; 5/m\""},
      {"100/s, 5/m burst=x", "at \"x\": burst= is a number"},
      {"100/s, fast", "at \"fast\": a limit begins with"},
      {"100/s, window 5/s burst=2, 3/s", "at \"burst=2, 3/s\": the options of a fixed window"},
      {"1/s,2/s,3/s,4/s,5/s,6/s,7/s,8/s,9/s", "at \"9/s\": a list has at most 8 limits"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.text);
    const std::string said = refusal([&] { return Limits::parse(row.text); });
    CHECK_MESSAGE(said.find(row.says) != std::string::npos, said);
  }
}

}  // namespace
}  // namespace rl
