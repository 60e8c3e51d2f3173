// `rlctl explain LIMIT`: what a limit means, and the most that any window of time can get.

#include <fmt/format.h>

#include <algorithm>

#include "tools/rlctl/admission_chart.hpp"
#include "tools/rlctl/report.hpp"

namespace rl::ctl {
namespace {

using std::chrono::nanoseconds;

std::string_view name_of(Algorithm algorithm) {
  switch (algorithm) {
    case Algorithm::token_bucket:
      break;
    case Algorithm::leaky:
      return "leaky";
    case Algorithm::fixed_window:
      return "fixed_window";
    case Algorithm::sliding_window:
      return "sliding_window";
    case Algorithm::concurrency:
      return "concurrency";
    case Algorithm::counter:
      return "counter";
  }
  return "token_bucket";
}

std::string_view meaning_of(WhenFull rule) {
  switch (rule) {
    case WhenFull::allow:
      return "a key that finds no room passes, uncharged";
    case WhenFull::deny:
      return "a key that finds no room is denied";
    case WhenFull::evict:
      break;
  }
  return "a key that finds no room takes the slot that owes the fewest, whose key starts anew";
}

/// The most that a key gets in a length of time, wherever that begins: the bounds of the heads of
/// src/token_bucket.hpp, leaky.hpp, fixed_window.hpp and sliding_window.hpp.
std::uint64_t most_in(const Limit& limit, nanoseconds length) {
  if (counts_evenly(limit.algorithm()))
    return limit.burst() + static_cast<std::uint64_t>(length / limit.interval());
  if (limit.algorithm() == Algorithm::sliding_window && length <= limit.period()) {
    __extension__ using Wide = unsigned __int128;
    const Wide fading = Wide{limit.count()} * static_cast<std::uint64_t>(length.count() - 2);
    return limit.count() +
           static_cast<std::uint64_t>(fading / static_cast<std::uint64_t>(limit.period().count()));
  }
  const auto whole = static_cast<std::uint64_t>((length - nanoseconds(1)) / limit.period()) + 1;
  return (whole + 1) * limit.count();
}

std::string bound_of(const Limit& limit) {
  switch (limit.algorithm()) {
    case Algorithm::token_bucket:
      break;
    case Algorithm::leaky:
      return "queue + 1 + floor(T / interval) calls of cost 1 admitted in any window of length T:";
    case Algorithm::fixed_window:
      return "count x (ceil(T / window) + 1) calls of cost 1 in any time of length T:";
    case Algorithm::sliding_window:
      return "count + floor(count x (T - 2 ns) / window) calls of cost 1 in any time of length T "
             "up to "
             "a window; beyond, count x (ceil(T / window) + 1):";
    case Algorithm::concurrency:
      return fmt::format(
          "a holder that is stopped past its lease may still be working when its "
          "permit is out again: up to {} more of those; a permit's fencing number "
          "tells the later holder from the earlier",
          limit.count());
    case Algorithm::counter:
      return "nothing is limited: who counts compares";
  }
  return "burst + floor(T / interval) calls of cost 1 in any window of length T:";
}

struct Window {
  nanoseconds length;
  std::uint64_t cost;  ///< the most that a key gets in it
};

/// For a second, a minute, an hour, a day and the limit's own period. Permits and counts have no such
/// numbers.
std::vector<Window> worst_case(const Limit& limit) {
  using namespace std::chrono_literals;
  if (!takes_calls(limit.algorithm())) return {};
  std::vector<nanoseconds> lengths{1s, 1min, 1h, 24h, limit.period()};
  std::sort(lengths.begin(), lengths.end());
  lengths.erase(std::unique(lengths.begin(), lengths.end()), lengths.end());
  std::vector<Window> windows;
  for (const nanoseconds length : lengths) windows.push_back({length, most_in(limit, length)});
  return windows;
}

/// How long an idle key that used all that may pass at once needs to be idle again.
nanoseconds refill(const Limit& limit) {
  return limit.interval() * static_cast<std::int64_t>(limit.burst());
}

using Pairs = std::vector<std::pair<std::string, std::string>>;

std::string call_back_every(const Limit& limit) {
  return fmt::format("{} ({} ns): a key gets a call back that often",
                     human_duration(limit.interval()), limit.interval().count());
}

Pairs token_bucket(const Limit& limit) {
  return {{"interval", call_back_every(limit)},
          {"burst", fmt::format("{}: so many calls pass back to back from idle; all are back {} "
                                "later",
                                limit.burst(), human_duration(refill(limit)))}};
}

Pairs leaky(const Limit& limit) {
  return {
      {"interval", call_back_every(limit)},
      {"queue",
       limit.queue() == 0
           ? "0: nobody waits"
           : fmt::format("{}: so many more are admitted, and told how long to wait; the last "
                         "for {}",
                         limit.queue(),
                         human_duration(limit.interval() *
                                        static_cast<std::int64_t>(limit.queue() - limit.delay())))},
      {"delay", fmt::format("{}: so many of those need not wait", limit.delay())}};
}

Pairs fixed_window(const Limit& limit) {
  return {{"window", fmt::format("{}, of the clock in UTC: {} calls in each",
                                 human_duration(limit.period()), limit.count())}};
}

Pairs sliding_window(const Limit& limit) {
  return {{"window", fmt::format("{}: {} calls in this window of the clock (UTC), less what the "
                                 "one before still weighs",
                                 human_duration(limit.period()), limit.count())}};
}

Pairs concurrency(const Limit& limit) {
  return {{"permits", fmt::format("at most {} are out at any instant; a holder that dies gives its "
                                  "own back",
                                  limit.count())},
          {"lease", fmt::format("{}: a permit that is not given back by then is free again",
                                human_duration(limit.lease()))}};
}

Pairs counter(const Limit& limit) {
  return {{"count", fmt::format("what calls have added, up to {}; each call is told, and none is "
                                "denied",
                                limit.count())},
          {"expiry",
           "as each call says, from a key's first call on, or from its last; then all is "
           "forgotten"}};
}

std::pair<std::string_view, Pairs> described(const Limit& limit) {
  switch (limit.algorithm()) {
    case Algorithm::token_bucket:
      break;
    case Algorithm::leaky:
      return {"a leaky bucket", leaky(limit)};
    case Algorithm::fixed_window:
      return {"fixed windows", fixed_window(limit)};
    case Algorithm::sliding_window:
      return {"a sliding window", sliding_window(limit)};
    case Algorithm::concurrency:
      return {"a concurrency limit", concurrency(limit)};
    case Algorithm::counter:
      return {"a counter", counter(limit)};
  }
  return {"a token bucket", token_bucket(limit)};
}

/// A terminal gets as many points as it has room for.
Json admissions_in_json(const Limit& limit) {
  Json points = Json::array();
  for (const AdmissionPoint& point : admissions(limit, kAdmissionSteps))
    points.push_back({{"at_ns", point.at.count()}, {"admitted", point.admitted}});
  return points;
}

/// What any limit may have beside its numbers.
Pairs options(const Limit& limit) {
  const bool is_uncounted =
      limit.algorithm() == Algorithm::counter && limit.when_full() == WhenFull::deny;
  Pairs pairs{{"when full", fmt::format("{}: {}", ctl::name_of(limit.when_full()),
                                        is_uncounted ? "a key that finds no room is not counted, "
                                                       "and its call is told so"
                                                     : meaning_of(limit.when_full()))}};
  if (limit.floor() != 0) {
    pairs.emplace_back("floor",
                       fmt::format("{} %: calls of low priority leave {} of {} to the others",
                                   limit.floor(), limit.floor_calls(), limit.burst()));
  }
  if (limit.shadow())
    pairs.emplace_back("shadow", "it watches only: what it would deny passes, and is counted");
  if (limit.ban_after() != 0) {
    pairs.emplace_back(
        "ban", fmt::format("for {} after {} denials in {}; each further one twice as long, "
                           "up to {}",
                           human_duration(limit.ban()), limit.ban_after(),
                           human_duration(limit.ban_within()),
                           human_duration(64 * std::min(limit.ban(), nanoseconds::max() / 64))));
  }
  return pairs;
}

/// The same for programs.
void add_options(Json& object, const Limit& limit) {
  object["when_full"] = ctl::name_of(limit.when_full());
  if (limit.floor() != 0) {
    object["floor_percent"] = limit.floor();
    object["floor"] = limit.floor_calls();
  }
  if (limit.shadow()) object["shadow"] = true;
  if (limit.ban_after() != 0) {
    object["ban_after"] = limit.ban_after();
    object["ban_within_ns"] = limit.ban_within().count();
    object["ban_ns"] = limit.ban().count();
  }
}

}  // namespace

std::string_view name_of(WhenFull rule) {
  switch (rule) {
    case WhenFull::allow:
      return "allow";
    case WhenFull::deny:
      return "deny";
    case WhenFull::evict:
      break;
  }
  return "evict";
}

Json explained_in_json(const Limit& limit) {
  Json windows = Json::array();
  for (const Window& window : worst_case(limit))
    windows.push_back({{"window_ns", window.length.count()}, {"cost", window.cost}});
  Json object{
      {"policy_limit", limit.to_string()},
      {"algorithm", name_of(limit.algorithm())},
      {"count", limit.count()},
  };
  if (limit.period().count() != 0) object["period_ns"] = limit.period().count();
  if (counts_evenly(limit.algorithm())) object["interval_ns"] = limit.interval().count();
  object["limit"] = limit.burst();
  if (limit.algorithm() == Algorithm::leaky) {
    object["queue"] = limit.queue();
    object["delay"] = limit.delay();
  }
  if (limit.lease().count() != 0) object["lease_ns"] = limit.lease().count();
  if (counts_evenly(limit.algorithm())) object["refill_ns"] = refill(limit).count();
  add_options(object, limit);
  object["worst_case"] = std::move(windows);
  object["admissions"] = admissions_in_json(limit);
  return object;
}

void explain_in_text(const Limit& limit) {
  auto [what, pairs] = described(limit);
  put(fmt::format("{}: {} for each key\n", limit.to_string(), what));
  for (auto& pair : options(limit)) pairs.push_back(std::move(pair));
  pairs.push_back({"worst case", bound_of(limit)});
  put_pairs(pairs);
  const std::vector<Window> windows = worst_case(limit);
  if (windows.empty()) return;
  Table table({{"T", Table::right}, {"calls", Table::right}});
  const auto cells = [](const Window& w) -> Cells {
    return {human_duration(w.length), fmt::format("{}", w.cost)};
  };
  for (const Window& window : windows) table.measure(cells(window));
  put("  " + table.header());
  for (const Window& window : windows) put("  " + table.line(cells(window)));
  put_admissions(limit);
}

}  // namespace rl::ctl
