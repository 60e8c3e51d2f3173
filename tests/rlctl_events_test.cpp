// rlctl events: what is told, of what, and how it goes on and ends.
#include <fcntl.h>
#include <poll.h>

#include "tests/events.hpp"
#include "tests/rlctl.hpp"
#include "tests/web.hpp"

namespace rl::test {
namespace {

using Keys = std::vector<std::string>;

const SegmentOptions kSmall{.keys = 1'000};

std::vector<Json> events_of(const Scratch& segment, Words more = {}) {
  more.insert(more.begin(), {"events", segment.name(), "--json"});
  const Ran ran = rlctl(more);
  CAPTURE(ran.err);
  REQUIRE(ran.exit_code == 0);
  return json_lines(ran.out);
}

/// `rlctl events --follow --json`, whose output comes through a pipe.
class Following {
 public:
  template <class... More>
  explicit Following(const Scratch& segment, More... more) {
    const std::string path = rlctl_path();
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    out_ = ends[0];
    child_.emplace_back([&] {
      ::dup2(ends[1], 1);
      ::execl(path.c_str(), path.c_str(), "events", segment.name().c_str(), "--follow", "--json",
              more..., nullptr);
      ::_exit(127);
    });
    ::close(ends[1]);
    ::fcntl(out_, F_SETFL, O_NONBLOCK);
  }
  Following(const Following&) = delete;
  Following& operator=(const Following&) = delete;
  ~Following() { ::close(out_); }

  /// Reads until a text has come.
  [[nodiscard]] bool tells(std::string_view part) {
    return poll_until([&] { return read().find(part) != std::string::npos; });
  }
  /// Returns all that has come so far.
  const std::string& read() {
    char buffer[4096];
    for (ssize_t got = 0; (got = ::read(out_, buffer, sizeof buffer)) > 0;)
      told_.append(buffer, static_cast<std::size_t>(got));
    return told_;
  }
  /// Has the pipe hold no more than a page.
  void shrink() const { REQUIRE(::fcntl(out_, F_SETPIPE_SZ, 4'096) == 4'096); }
  [[nodiscard]] bool has_unread() const {
    pollfd fd{out_, POLLIN, 0};
    return ::poll(&fd, 1, 0) == 1;
  }
  Child& operator*() noexcept { return child_.front(); }
  Child* operator->() noexcept { return &child_.front(); }

 private:
  int out_ = -1;
  std::string told_;
  std::vector<Child> child_;
};

TEST_CASE("denials_of_workers_come_out_exact_and_the_oldest_first") {
  Scratch segment(kSmall);
  const pid_t first = be_denied(segment.name(), {"ann", "bob"});
  const pid_t second = be_denied(segment.name(), {"cid", kOddKey});
  const std::vector<Json> events = events_of(segment, {"--kind", "denied"});
  CHECK(denied_keys(events) == Keys{"ann", "bob", "cid", kOddKeyEscaped});
  REQUIRE(events.size() == 4);
  const Json& ann = events.front();
  CHECK(ann["pid"] == first);
  CHECK(events.back()["pid"] == second);
  CHECK(ann["policy"] == "api");
  CHECK(ann["reason"] == "limited");
  CHECK(ann["cost"] == 1);
  CHECK(ann["limit"] == 1);
  CHECK(ann["remaining"] == 0);
  constexpr std::int64_t kDayNs = 86'400'000'000'000;
  CHECK(ann["wait_ns"] > kDayNs / 2);
  CHECK(ann["wait_ns"] < kDayNs * 2);
  CHECK(!ann.contains("key_truncated"));
  CHECK(!ann.contains("change"));
  std::int64_t before = 0;
  for (const Json& event : events) {
    const std::int64_t ns = event["unix_ns"];
    CHECK(ns >= before);
    before = ns;
    const std::string time = event["time"];
    CHECK(time.size() == std::string_view("2026-11-22T05:49:05.285825216Z").size());
    CHECK(time.substr(time.size() - 10, 9) ==
          std::to_string(ns % 1'000'000'000 + 1'000'000'000).substr(1));
  }
}

TEST_CASE("a_call_that_can_never_pass_waits_for_null_and_a_long_key_is_told_to_be_cut") {
  Scratch segment(kSmall);
  segment->set_denials_per_event(1);
  Limiter api = segment->limiter("api", Limit::per_day(10));
  const std::string long_key(200, 'k');
  CHECK(!api.try_acquire(long_key, 11));
  const std::vector<Json> events = events_of(segment, {"--kind", "denied"});
  REQUIRE(events.size() == 1);
  CHECK(events[0]["reason"] == "never");
  CHECK(events[0]["wait_ns"].is_null());
  CHECK(events[0]["cost"] == 11);
  CHECK(events[0]["key_truncated"] == true);
  CHECK(long_key.starts_with(events[0]["key"].get<std::string>()));
  CHECK(events_of(segment, {"--key", long_key}).size() == 1);
}

/// Returns a table's text with one blank between its columns, without times and process numbers.
std::string plain(const std::string& text) {
  std::string out;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    std::string rest;
    words >> word;  // the time, or its title
    words >> word;
    while (words >> word) rest += (rest.empty() ? "" : " ") + word;
    out += rest + "\n";
  }
  return out;
}

TEST_CASE("people_get_a_table_in_which_nothing_of_a_key_reaches_the_terminal") {
  const Made made;
  made.policy("api", "10/s");
  const std::string& name = made.name();
  REQUIRE(rlctl({"events", name, "--sample", "1"}).exit_code == 0);
  REQUIRE(rlctl({"acquire", name, "api", "ann", "--cost", "9"}).exit_code == 0);
  REQUIRE(rlctl({"acquire", name, "api", "ann", "--cost", "3"}).exit_code == 1);
  REQUIRE(rlctl({"acquire", name, "api", "--key-file", "-", "--cost", "11"}, kOddKey).exit_code ==
          1);
  REQUIRE(rlctl({"off", name}).exit_code == 0);
  const std::string by = " by uid " + std::to_string(::getuid());
  const Ran ran = rlctl({"events", name});
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "");
  CHECK(plain(ran.out) ==
        "event policy key what\n"
        "changed api policy set" +
            by +
            "\n"
            "denied api ann limited, cost 3, 1 of 10 left, passes in 200 ms\n"
            "denied api " +
            kOddKeyEscaped +
            " never, cost 11, 10 of 10 left\n"
            "changed limits off" +
            by + "\n");
  CHECK(plain(rlctl({"events", name, "--kind", "denied", "--key", "ann"}).out) ==
        "event policy key what\n"
        "denied api ann limited, cost 3, 1 of 10 left, passes in 200 ms\n");
}

TEST_CASE("events_are_picked_by_policy_key_and_kind") {
  Scratch segment(kSmall);
  be_denied(segment.name(), {"ann", "bob"});
  segment->set_policy("up", Limit::per_day(5));
  CHECK(denied_keys(events_of(segment, {"--policy", "api"})) == Keys{"ann", "bob"});
  CHECK(denied_keys(events_of(segment, {"--policy", "up"})).empty());
  CHECK(!events_of(segment, {"--policy", "up"}).empty());
  CHECK(denied_keys(events_of(segment, {"--key", "bob"})) == Keys{"bob"});
  for (const Json& event : events_of(segment, {"--kind", "changed"}))
    CHECK(event.contains("change"));
  CHECK(events_of(segment, {"--kind", "evicted"}).empty());
  check_error(rlctl({"events", segment.name(), "--kind", "denials"}), "give one of denied, banned");
  check_error(rlctl({"events", segment.name(), "--policy", "apj"}), "did you mean \"api\"?");
}

TEST_CASE("the_last_so_many_events_or_those_of_a_time_can_be_asked_for") {
  Scratch segment(kSmall);
  be_denied(segment.name(), {"ann", "bob", "cid"});
  const auto denied = [&](Words more) {
    more.insert(more.end(), {"--kind", "denied"});
    return denied_keys(events_of(segment, more));
  };
  CHECK(denied({"--rows", "2"}) == Keys{"bob", "cid"});
  CHECK(denied({"--rows", "9"}) == Keys{"ann", "bob", "cid"});
  CHECK(denied({"--rows", "0"}).empty());
  CHECK(denied({"--since", "1h"}) == Keys{"ann", "bob", "cid"});
  CHECK(denied({"--since", "290d"}).size() == 3);
  CHECK(denied({"--since", "0s"}).empty());
  CHECK(denied({"--since", "1h", "--rows", "1"}) == Keys{"cid"});
  const std::int64_t first = events_of(segment, {"--kind", "denied"})[0]["unix_ns"];
  const auto age = [&] {
    return std::chrono::system_clock::now().time_since_epoch().count() - first;
  };
  CHECK(poll_until([&] { return age() > 1'000'000; }));
  CHECK(denied({"--since", "1000us"}).size() < 3);  // the first is older by now
  check_error(rlctl({"events", segment.name(), "--since", "soon"}), "such as 90s");
  check_error(rlctl({"events", segment.name(), "--rows", "many"}), "--rows");
  check_error(rlctl({"events", segment.name(), "--sample", "8", "--rows", "2"}), "say --rows");
}

TEST_CASE("a_change_and_a_ban_say_who_made_them_and_why") {
  Scratch segment(kSmall);
  Limiter api = segment->limiter("api", Limit::parse("1/h ban_after=2/m ban=10m"));
  REQUIRE(rlctl({"ban", segment.name(), "api", "ann", "--for", "1h", "--reason", "a\nscraper"})
              .exit_code == 0);
  for (int i = 0; i < 3; ++i) (void)api.try_acquire("bob");
  const std::vector<Json> banned = events_of(segment, {"--kind", "banned"});
  REQUIRE(banned.size() == 2);
  CHECK(banned[0]["key"] == "ann");
  CHECK(banned[0]["change"] == "banned");
  CHECK(banned[0]["uid"] == ::getuid());
  CHECK(banned[0]["reason"] == "a\\x0ascraper");
  CHECK(banned[1]["key"] == "bob");
  CHECK(banned[1]["reason"] == "2 denials");
  segment->set_policy("api", Limit::per_day(5));
  const std::vector<Json> changed = events_of(segment, {"--kind", "changed"});
  REQUIRE(changed.size() == 1);
  CHECK(changed[0]["change"] == "policy set");
  CHECK(changed[0]["uid"] == ::getuid());
  CHECK(!changed[0].contains("reason"));
  const std::string text = rlctl({"events", segment.name(), "--kind", "banned"}).out;
  const std::string by = " by uid " + std::to_string(::getuid());
  CHECK(text.find("for 1 h" + by + " (a\\x0ascraper)\n") != text.npos);
  CHECK(text.find("for 10 min" + by + " (2 denials)\n") != text.npos);
}

TEST_CASE("following_begins_with_the_last_so_many") {
  Scratch segment(kSmall);
  be_denied(segment.name(), {"ann", "bob", "cid"});
  Following following(segment, "--rows", "1");
  REQUIRE(following.tells("\"key\":\"cid\""));
  be_denied(segment.name(), {"dan", "eve"});
  CHECK(following.tells("\"key\":\"eve\""));
  following->signal(SIGTERM);
  CHECK(following->wait() == 0);
  CHECK(denied_keys(json_lines(following.read())) == Keys{"cid", "dan", "eve"});
}

TEST_CASE("reading_changes_no_byte") {
  const Made made;
  made.policy("api", "1/s");
  for (int i = 0; i < 2; ++i) (void)rlctl({"acquire", made.name(), "api", "ann"});
  const std::string before = contents(made.path());
  CHECK(rlctl({"events", made.name()}).out.find("denied") != std::string::npos);
  CHECK((contents(made.path()) == before));
}

TEST_CASE("one_in_so_many_denials_can_be_asked_for") {
  Scratch segment(kSmall);
  check_answer(rlctl({"events", segment.name(), "--sample", "100"}), 0,
               "one in 128 denials of a thread brings an event, and the first of each key\n");
  CHECK(segment->denials_per_event() == 128);
  check_answer(rlctl({"events", segment.name(), "--sample", "1", "--json"}), 0,
               "{\"denials_per_event\":1}\n");
  Limiter api = segment->limiter("api", Limit::per_day(1));
  for (int i = 0; i < 5; ++i) (void)api.try_acquire("ann");
  CHECK(denied_keys(events_of(segment)).size() == 4);
  check_error(rlctl({"events", segment.name(), "--sample", "0"}), "");
  check_error(rlctl({"events", segment.name(), "--sample", "8", "--follow"}), "of its own");
  CHECK(segment->denials_per_event() == 1);
}

TEST_CASE("following_tells_what_happens_next_also_in_a_segment_that_replaced_it") {
  Scratch segment(kSmall);
  be_denied(segment.name(), {"before"});
  Following following(segment);
  REQUIRE(following.tells("\"key\":\"before\""));
  be_denied(segment.name(), {"next"});
  REQUIRE(following.tells("\"key\":\"next\""));
  Segment::remove(segment.name());
  {
    const Segment other = Segment::create(segment.name(), kSmall);
    be_denied(segment.name(), {"in the other"});
    CHECK(following.tells("\"key\":\"in the other\""));
  }
  following->signal(SIGTERM);
  CHECK(following->wait() == 0);
  CHECK(denied_keys(json_lines(following.read())) == Keys{"before", "next", "in the other"});
}

TEST_CASE("following_ends_well_by_a_signal_whether_or_not_somebody_reads") {
  for (const int number : {SIGINT, SIGTERM}) {
    Scratch segment(kSmall);
    be_denied(segment.name(), {"ann"});
    Following following(segment);
    REQUIRE(following.tells("\"key\":\"ann\""));
    following->signal(number);
    CHECK(following->wait() == 0);
  }
  Scratch segment(kSmall);
  Following following(segment);
  following.shrink();
  Keys keys;
  for (int i = 0; i < 200; ++i) keys.push_back("key-" + std::to_string(i));
  be_denied(segment.name(), keys);
  REQUIRE(poll_until([&] { return following.has_unread(); }));
  following->signal(SIGTERM);  // it waits in a pipe that nobody empties
  CHECK(following->wait() == 0);
}

TEST_CASE("following_ends_well_when_its_reader_goes_though_nothing_more_happens") {
  Scratch segment(kSmall);
  be_denied(segment.name(), {"ann", "bob"});
  const Ran ran = shell("{ \"$RLCTL\" events " + segment.name() +
                        " --follow --json --kind denied; echo $? >&2; } | head -1");
  CHECK(ran.exit_code == 0);
  CHECK(ran.err == "0\n");
  CHECK(denied_keys(json_lines(ran.out)) == Keys{"ann"});
  const Ran full = shell("\"$RLCTL\" events " + segment.name() + " --follow >/dev/full");
  CHECK(full.exit_code == 2);
  CHECK(full.err.find("ENOSPC") != std::string::npos);
}

TEST_CASE("events_that_a_reader_was_too_slow_for_are_counted") {
  Scratch segment(kSmall);
  be_denied(segment.name(), {"ann"});
  Following following(segment);
  REQUIRE(following.tells("\"key\":\"ann\""));
  following->signal(SIGSTOP);
  Keys keys;
  for (int i = 0; i < 900; ++i) keys.push_back("key-" + std::to_string(i));
  be_denied(segment.name(), keys);  // more than its process has room for
  following->signal(SIGCONT);
  REQUIRE(following.tells("\"key\":\"key-899\""));
  following->signal(SIGTERM);
  CHECK(following->wait() == 0);
  const std::vector<Json> events = json_lines(following.read());
  CHECK(lost_of(events) > 0);
  CHECK(lost_of(events) + denied_keys(events).size() >= 901);
}

}  // namespace
}  // namespace rl::test
