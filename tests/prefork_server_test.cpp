#include <doctest/doctest.h>
#include <signal.h>

#include <array>
#include <memory>
#include <random>
#include <set>
#include <thread>

#include "examples/load/verdict.hpp"
#include "tests/web.hpp"

namespace {

using examples::Bucket;
using examples::Span;
using rl::test::Answer;
using rl::test::Client;
using rl::test::poll_until;
using rl::test::WebServer;

std::string from(const std::string& address) {
  return "X-Forwarded-For: " + address + "\r\n";
}

/// Opens connections until one is served by this worker.
std::unique_ptr<Client> client_of(const WebServer& server, pid_t worker) {
  std::unique_ptr<Client> client;
  const bool found = poll_until([&] {
    client = std::make_unique<Client>(server.port());
    return client->get().worker() == worker;
  });
  REQUIRE(found);
  return client;
}

TEST_CASE("answers_on_a_kept_connection_carry_the_limit") {
  WebServer server({"--limit", "1/h burst=2"});
  Client client(server.port());
  Answer answer = client.get();
  CHECK(answer.status == 200);
  CHECK(answer.fields.at("ratelimit-policy") == "\"api\";q=2;w=7200");
  CHECK(answer.fields.at("ratelimit") == "\"api\";r=1;t=3600");
  CHECK(answer.fields.count("retry-after") == 0);
  const pid_t worker = answer.worker();

  answer = client.ask("HEAD /any/path?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", true);
  CHECK(answer.status == 200);
  CHECK(answer.body.empty());
  CHECK(answer.fields.at("content-length") == "8");
  CHECK(answer.fields.at("ratelimit").starts_with("\"api\";r=0;t=3"));

  answer = client.get();
  CHECK(answer.status == 429);
  CHECK(answer.worker() == worker);
  CHECK(answer.fields.at("ratelimit-policy") == "\"api\";q=2;w=7200");
  const std::string& limit = answer.fields.at("ratelimit");
  REQUIRE(limit.starts_with("\"api\";r=0;t="));
  const long t = std::stol(limit.substr(limit.rfind('=') + 1));
  CHECK(t > 3'500);
  CHECK(t <= 3'600);
  CHECK(std::stol(answer.fields.at("retry-after")) >= t);
}

TEST_CASE("what_is_no_request_gets_400_and_the_connection_ends") {
  WebServer server({"--limit", "100/s"});
  for (const std::string text : {
           "nonsense\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
           "GET / HTTP/3.0\r\nHost: a\r\n\r\n",
           "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
           "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
           "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
           "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\nx",
           "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\nx",
       }) {
    CAPTURE(text);
    Client client(server.port());
    CHECK(client.ask(text).status == 400);
    CHECK(client.ends());
  }
  Client client(server.port());
  CHECK(client.ask("GET /" + std::string(10'000, 'a')).status == 431);
  CHECK(client.ends());
}

TEST_CASE("a_method_other_than_get_and_head_gets_405_and_the_connection_stays") {
  WebServer server({"--limit", "1/h"});
  Client client(server.port());
  const Answer answer = client.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
  CHECK(answer.status == 405);
  CHECK(answer.fields.at("allow") == "GET, HEAD");
  CHECK(client.get().status == 200);
}

TEST_CASE("who_waits_as_long_as_retry_after_says_passes") {
  WebServer server({"--limit", "2/s burst=1"});
  Client client(server.port());
  Answer answer;
  REQUIRE(poll_until([&] { return (answer = client.get()).status == 429; }));
  CHECK(answer.fields.at("retry-after") == "1");
  std::this_thread::sleep_for(std::chrono::seconds(1));
  CHECK(client.get().status == 200);
}

TEST_CASE("x_forwarded_for_of_a_stranger_counts_for_nothing") {
  WebServer server({"--limit", "1/h", "--trusted-proxy", "10.0.0.0/8"});
  Client client(server.port());
  CHECK(client.get(from("203.0.113.1")).status == 200);
  CHECK(client.get(from("203.0.113.2")).status == 429);
}

TEST_CASE("the_key_is_the_rightmost_address_that_no_trusted_proxy_has") {
  WebServer server(
      {"--limit", "1/h", "--trusted-proxy", "127.0.0.0/8", "--trusted-proxy", "fd00::/8"});
  Client client(server.port());
  CHECK(client.get(from("203.0.113.1")).status == 200);
  CHECK(client.get(from("203.0.113.2")).status == 200);
  for (const std::string same :
       {"203.0.113.2", "203.0.113.99, 203.0.113.2", "::ffff:203.0.113.2", "203.0.113.2, 127.0.0.9",
        "203.0.113.2 ,\tfd00::1, 127.0.0.1", "203.0.113.98\r\nX-Forwarded-For: 203.0.113.2"}) {
    CAPTURE(same);
    CHECK(client.get(from(same)).status == 429);
  }
  CHECK(client.get(from("2001:DB8:0::1")).status == 200);
  CHECK(client.get(from("2001:db8::1")).status == 429);
  CHECK(client.get().status == 200);  // the peer's own
  for (const std::string peers :
       {"unknown", "203.0.113.4, 1.2.3", "203.0.113.5:80", "", ",", "127.0.0.1"}) {
    CAPTURE(peers);
    CHECK(client.get(from(peers)).status == 429);
  }
}

TEST_CASE("the_addresses_of_one_subnet_are_one_client_unless_told_otherwise") {
  WebServer by_subnet({"--limit", "1/h", "--trusted-proxy", "127.0.0.1"});
  Client client(by_subnet.port());
  CHECK(client.get(from("2001:db8:1:2::1")).status == 200);
  CHECK(client.get(from("2001:db8:1:2:ffff::2")).status == 429);
  CHECK(client.get(from("2001:db8:1:3::1")).status == 200);
  CHECK(client.get(from("203.0.113.1")).status == 200);
  CHECK(client.get(from("203.0.113.2")).status == 200);

  WebServer by_address({"--limit", "1/h", "--trusted-proxy", "127.0.0.1", "--ipv6-prefix", "128"});
  Client other(by_address.port());
  CHECK(other.get(from("2001:db8:1:2::1")).status == 200);
  CHECK(other.get(from("2001:db8:1:2::2")).status == 200);
  CHECK(other.get(from("2001:DB8:1:2:0::2")).status == 429);
}

TEST_CASE("a_limit_of_100_lets_exactly_100_pass_though_a_worker_is_killed") {
  WebServer server({"--limit", "100/h burst=100", "--workers", "4"});
  constexpr int kSenders = 4;
  std::atomic<int> passes{0};
  std::atomic<int> denials{0};
  std::atomic<int> lost{0};
  std::array<std::atomic<pid_t>, kSenders> served_by{};
  {
    std::vector<std::jthread> senders;
    for (auto& worker : served_by) {
      senders.emplace_back([&] {
        std::unique_ptr<Client> client;
        for (int i = 0; i < 60; ++i) {
          if (!client) client = std::make_unique<Client>(server.port());
          const Answer answer = client->get();
          if (answer.status != 0) worker = answer.worker();
          ++(answer.status == 200 ? passes : answer.status == 429 ? denials : lost);
          if (answer.status == 0) client.reset();
        }
      });
    }
    pid_t victim = 0;  // not to be killed: 0 is this test and all that it started
    const auto has_served = [](const std::atomic<pid_t>& worker) { return worker != 0; };
    REQUIRE(poll_until([&] {
      const auto* const any = std::find_if(served_by.begin(), served_by.end(), has_served);
      if (any != served_by.end()) victim = *any;
      return passes > 20 && victim != 0;
    }));
    ::kill(victim, SIGKILL);
  }
  CHECK(poll_until([&] { return server.said("was killed by signal 9"); }));
  CHECK(poll_until([&] { return server.started() == 5; }));
  CHECK(lost <= kSenders);
  CHECK(passes <= 100);
  CHECK(passes + lost >= 100);
  CHECK(passes + denials + lost == 60 * kSenders);
  CHECK(Client(server.port()).get().status == 429);
}

TEST_CASE("workers_that_are_all_killed_come_back") {
  WebServer server({"--limit", "1000/s", "--workers", "2"});
  std::set<pid_t> killed;
  while (killed.size() < 4) {
    Answer answer;
    REQUIRE(poll_until([&] { return (answer = Client(server.port()).get()).status == 200; }));
    if (killed.insert(answer.worker()).second) ::kill(answer.worker(), SIGKILL);
  }
  CHECK(poll_until([&] { return server.started() == 6; }));
  CHECK(poll_until([&] { return Client(server.port()).get().status == 200; }));
}

TEST_CASE("sigterm_ends_the_server_after_the_requests_that_have_begun") {
  WebServer server({"--limit", "1000/s"});
  Client busy(server.port());
  const auto idle = client_of(server, busy.get().worker());
  busy.send("GET / HTTP/1.1\r\nHost: x\r\n");
  server.signal(SIGTERM);
  CHECK(idle->ends());  // its worker has heard
  const Answer answer = busy.ask("\r\n");
  CHECK(answer.status == 200);
  CHECK(answer.fields.at("connection") == "close");
  CHECK(busy.ends());
  CHECK(poll_until([&] { return !Client(server.port()).connected(); }));
  CHECK(server.wait() == 0);
}

TEST_CASE("workers_die_with_their_parent") {
  WebServer server({"--limit", "1000/s"});
  Client client(server.port());
  CHECK(client.get().status == 200);
  server.signal(SIGKILL);
  CHECK(client.ends());
  CHECK(poll_until([&] { return !Client(server.port()).connected(); }));
}

TEST_CASE("a_wrong_option_is_one_sentence_and_exit_code_2") {
  const std::string name = rl::test::unique_name();
  const rl::test::RemoveAtEnd remove(name);  // a bad policy's name is found in a made segment only
  for (const std::vector<std::string>& wrong : {std::vector<std::string>{"--limit", "fast"},
                                                {"--limit", "0/s"},
                                                {"--port", "65536"},
                                                {"--workers", "0"},
                                                {"--trusted-proxy", "10.0.0.0/33"},
                                                {"--trusted-proxy", "home"},
                                                {"--keys", "0"},
                                                {"--ipv6-prefix", "129"},
                                                {"--policy", "a b"},
                                                {"--colour"}}) {
    CAPTURE(wrong[0]);
    std::vector<std::string> command{rl::test::program("RL_PREFORK_SERVER"), "--segment", name};
    if (wrong[0] != "--port") command.insert(command.end(), {"--port", "0"});
    command.insert(command.end(), wrong.begin(), wrong.end());
    const rl::test::Ran ran = rl::test::run(command);
    CHECK(ran.exit_code == 2);
    CHECK(ran.out.empty());
    CHECK(ran.err.starts_with("prefork_server: "));
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
  }
}

TEST_CASE("the_sender_tells_a_server_that_admits_too_much_or_too_little") {
  WebServer server({"--limit", "100/h burst=60", "--trusted-proxy", "127.0.0.1"});
  auto judge = [&, next = 0](const char* limit) mutable {
    const std::string client = "203.0.113." + std::to_string(++next) + "=100";
    return rl::test::run({rl::test::program("RL_LOAD"), "--port", std::to_string(server.port()),
                          "--limit", limit, "--client", client, "--seconds", "1"});
  };
  CHECK(judge("100/h burst=60").exit_code == 0);
  const rl::test::Ran too_much = judge("100/h burst=59");
  CHECK(too_much.exit_code == 1);
  CHECK(too_much.out.find("TOO MUCH") != std::string::npos);
  const rl::test::Ran too_little = judge("100/h burst=70");
  CHECK(too_little.exit_code == 1);
  CHECK(too_little.out.find("TOO LITTLE") != std::string::npos);
}

/// Bound A by trying all windows.
bool is_within_bound_slowly(const Bucket& bucket, const std::vector<Span>& admissions) {
  for (const Span& first : admissions) {
    for (const Span& last : admissions) {
      const auto inside = std::count_if(admissions.begin(), admissions.end(), [&](const Span& s) {
        return s.sent_ns >= first.sent_ns && s.answered_ns <= last.answered_ns;
      });
      if (last.answered_ns >= first.sent_ns &&
          inside > examples::most_admitted(bucket, last.answered_ns - first.sent_ns))
        return false;
    }
  }
  return true;
}

TEST_CASE("the_fast_check_of_bound_a_agrees_with_trying_all_windows") {
  std::mt19937_64 random(rl::test::seed());
  INFO("RL_TEST_SEED=", rl::test::seed());
  const auto below = [&](std::int64_t n) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(n));
  };
  std::array<int, 2> seen{};
  for (int round = 0; round < 3'000; ++round) {
    const Bucket bucket{1 + below(20'000), 1 + below(5)};
    std::vector<Span> admissions;
    for (std::int64_t now = 0; admissions.size() < 12; now += below(2 * bucket.interval_ns))
      admissions.push_back({now, now + below(bucket.interval_ns)});
    const bool expected = is_within_bound_slowly(bucket, admissions);
    ++seen[expected ? 1 : 0];
    REQUIRE(examples::is_within_bound(bucket, admissions) == expected);
  }
  CHECK(seen[0] > 100);
  CHECK(seen[1] > 100);
}

}  // namespace
