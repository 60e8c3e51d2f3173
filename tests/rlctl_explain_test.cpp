// rlctl explain: what a limit means, in words, numbers and a chart.
#include <nlohmann/json.hpp>

#include "tests/rlctl.hpp"

namespace rl::test {
namespace {

/// Leaves the chart, or its points, out: those have tests of their own.
Ran without_chart(Ran ran) {
  if (const std::size_t at = ran.out.find("calls admitted so far"); at != ran.out.npos)
    ran.out.resize(at);
  if (const std::size_t at = ran.out.find(",\"admissions\":["); at != ran.out.npos)
    ran.out.replace(at, ran.out.npos, "}\n");
  return ran;
}

TEST_CASE("explain_says_in_plain_words_what_a_limit_allows") {
  check_answer(
      without_chart(rlctl({"explain", "100/s", "burst=200"})), 0,
      "100/s burst=200: a token bucket for each key\n"
      "interval    10 ms (10000000 ns): a key gets a call back that often\n"
      "burst       200: so many calls pass back to back from idle; all are back 2 s later\n"
      "when full   evict: a key that finds no room takes the slot that owes the fewest, "
      "whose key starts anew\n"
      "worst case  burst + floor(T / interval) calls of cost 1 in any window of length T:\n"
      "      T    calls\n"
      "    1 s      300\n"
      "  1 min     6200\n"
      "    1 h   360200\n"
      "    1 d  8640200\n");
  check_answer(
      without_chart(rlctl({"explain", "5/10s when_full=deny", "--json"})), 0,
      R"({"policy_limit":"5/10s when_full=deny","algorithm":"token_bucket","count":5,)"
      R"("period_ns":10000000000,"interval_ns":2000000000,"limit":5,"refill_ns":10000000000,)"
      R"("when_full":"deny","worst_case":[{"window_ns":1000000000,"cost":5},)"
      R"({"window_ns":10000000000,"cost":10},{"window_ns":60000000000,"cost":35},)"
      R"({"window_ns":3600000000000,"cost":1805},{"window_ns":86400000000000,"cost":43205}]})"
      "\n");
  check_answer(
      without_chart(rlctl({"explain", "leaky 10/s queue=50 delay=5"})), 0,
      "leaky 10/s queue=50 delay=5: a leaky bucket for each key\n"
      "interval    100 ms (100000000 ns): a key gets a call back that often\n"
      "queue       50: so many more are admitted, and told how long to wait; the last for 4.5 s\n"
      "delay       5: so many of those need not wait\n"
      "when full   evict: a key that finds no room takes the slot that owes the fewest, "
      "whose key starts anew\n"
      "worst case  queue + 1 + floor(T / interval) calls of cost 1 admitted in any window of "
      "length T:\n"
      "      T   calls\n"
      "    1 s      61\n"
      "  1 min     651\n"
      "    1 h   36051\n"
      "    1 d  864051\n");
  check_answer(
      without_chart(rlctl({"explain", "window 1000/h"})), 0,
      "window 1k/h: fixed windows for each key\n"
      "window      1 h, of the clock in UTC: 1000 calls in each\n"
      "when full   evict: a key that finds no room takes the slot that owes the fewest, "
      "whose key starts anew\n"
      "worst case  count x (ceil(T / window) + 1) calls of cost 1 in any time of length T:\n"
      "      T  calls\n"
      "    1 s   2000\n"
      "  1 min   2000\n"
      "    1 h   2000\n"
      "    1 d  25000\n");
  check_answer(without_chart(rlctl({"explain", "sliding 100/m", "--json"})), 0,
               R"({"policy_limit":"sliding 100/m","algorithm":"sliding_window","count":100,)"
               R"("period_ns":60000000000,"limit":100,"when_full":"evict","worst_case":[)"
               R"({"window_ns":1000000000,"cost":101},{"window_ns":60000000000,"cost":199},)"
               R"({"window_ns":3600000000000,"cost":6100},)"
               R"({"window_ns":86400000000000,"cost":144100}]})"
               "\n");
  check_answer(without_chart(rlctl({"explain", "concurrency 20 lease=30s"})), 0,
               "concurrency 20: a concurrency limit for each key\n"
               "permits     at most 20 are out at any instant; a holder that dies gives its own "
               "back\n"
               "lease       30 s: a permit that is not given back by then is free again\n"
               "when full   deny: a key that finds no room is denied\n"
               "worst case  a holder that is stopped past its lease may still be working when its "
               "permit is out again: up to 20 more of those; a permit's fencing number tells the "
               "later holder from the earlier\n");
  check_answer(without_chart(rlctl({"explain", "counter"})), 0,
               "counter: a counter for each key\n"
               "count       what calls have added, up to 67108863; each call is told, and none is "
               "denied\n"
               "expiry      as each call says, from a key's first call on, or from its last; then "
               "all is forgotten\n"
               "when full   deny: a key that finds no room is not counted, and its call is told "
               "so\n"
               "worst case  nothing is limited: who counts compares\n");
  check_answer(without_chart(rlctl({"explain", "counter when_full=evict", "--json"})), 0,
               R"({"policy_limit":"counter when_full=evict","algorithm":"counter",)"
               R"("count":67108863,"limit":67108863,"when_full":"evict","worst_case":[]})"
               "\n");
  check_answer(without_chart(rlctl({"explain", "concurrency 2 lease=5m", "--json"})), 0,
               R"({"policy_limit":"concurrency 2 lease=5m","algorithm":"concurrency","count":2,)"
               R"("limit":2,"lease_ns":300000000000,"when_full":"deny","worst_case":[]})"
               "\n");
}

TEST_CASE("explain_says_what_the_options_of_a_limit_do") {
  const std::string limit = "5/m burst=7 floor=20 shadow ban_after=20/90s ban=1h";
  const Ran text = rlctl({"explain", limit});
  CHECK(text.exit_code == 0);
  for (const char* line :
       {"floor       20 %: calls of low priority leave 2 of 7 to the others\n",
        "shadow      it watches only: what it would deny passes, and is counted\n",
        "ban         for 1 h after 20 denials in 1 min 30 s; each further one "
        "twice as long, up to 2 d 16 h\n"})
    CHECK_MESSAGE(text.out.find(line) != text.out.npos, text.out);
  const Ran json = rlctl({"explain", limit, "--json"});
  CHECK(json.exit_code == 0);
  CHECK_MESSAGE(json.out.find(R"("when_full":"evict","floor_percent":20,"floor":2,"shadow":true,)"
                              R"("ban_after":20,"ban_within_ns":90000000000,)"
                              R"("ban_ns":3600000000000,"worst_case":)") != json.out.npos,
                json.out);
}

TEST_CASE("the_points_of_the_chart_are_what_a_segment_admits") {
  for (const char* text : {"100/s burst=200", "7/s burst=1", "1/d burst=3", "leaky 10/s queue=5",
                           "window 10/m", "sliding 100/m", "50/s burst=100 floor=20"}) {
    CAPTURE(text);
    const Ran ran = rlctl({"explain", text, "--json"});
    REQUIRE(ran.exit_code == 0);
    const auto points = nlohmann::json::parse(ran.out)["admissions"];
    REQUIRE(points.size() == 61);
    const Limit limit = Limit::parse(text);
    Scratch segment({.keys = 100, .clock = ClockSource::manual});
    Limiter limiter = segment->limiter("api", limit);
    const std::int64_t begin = segment->now().time_since_epoch().count();
    REQUIRE(begin % std::max<std::int64_t>(limit.period().count(), 1) == 0);
    std::uint64_t admitted = 0;
    for (const auto& point : points) {
      const std::int64_t at = point["at_ns"];
      const std::int64_t now = segment->now().time_since_epoch().count() - begin;
      segment->advance_clock(std::chrono::nanoseconds(at - now));
      while (limiter.try_acquire("ann")) ++admitted;
      CHECK(point["admitted"] == admitted);
    }
    CHECK(admitted > limit.burst());
  }
}

TEST_CASE("no_limit_is_too_large_or_too_small_for_a_chart") {
  for (const char* text :
       {"1000000000/s", "1000000000/s burst=1", "1/d burst=26000", "window 1/400d", "sliding 1/ms",
        "leaky 1/d queue=20000", "window 900M/s"}) {
    CAPTURE(text);
    const Ran ran = rlctl({"explain", text});
    CHECK(ran.exit_code == 0);
    CHECK(ran.out.find("calls admitted so far") != ran.out.npos);
  }
  const Ran permits = rlctl({"explain", "concurrency 20"});
  CHECK(permits.out.find("calls admitted so far") == permits.out.npos);
}

TEST_CASE("the_chart_is_as_wide_as_the_terminal_and_plain_where_there_are_no_blocks") {
  const auto chart = [](const std::string& environment, const std::string& limit) {
    const Ran ran = shell(environment + " \"$RLCTL\" explain '" + limit + "'");
    REQUIRE(ran.exit_code == 0);
    return ran.out.substr(ran.out.find("calls admitted so far"));
  };
  CHECK(chart("LC_ALL=C COLUMNS=30", "window 10/m") ==
        "calls admitted so far to a client that always asks, from idle:\n"
        "  30 |                ########\n"
        "     |                ########\n"
        "     |        ################\n"
        "     |        ################\n"
        "     |########################\n"
        "     |########################\n"
        "   0 +------------------------\n"
        "      0      1 min 30 s  3 min\n");
  const std::string blocks = chart("LC_ALL=C.UTF-8 COLUMNS=30", "window 10/m");
  CHECK(blocks.find("\u2588") != blocks.npos);
  CHECK(blocks.find('#') == blocks.npos);
  CHECK(chart("LC_ALL=C COLUMNS=40", "20/m ban_after=2/m ban=1h").ends_with("not drawn)\n"));
  for (const char* columns : {"1", "20", "21", "1000", "junk"})
    CHECK(!chart(std::string("LC_ALL=C COLUMNS=") + columns, "1000000/d burst=999999").empty());
}

}  // namespace
}  // namespace rl::test
