// What rlreaper serves to Prometheus, and what the network may do to it.
#include <doctest/doctest.h>

#include <fstream>
#include <memory>
#include <random>

#include "tests/numbers.hpp"
#include "tests/rlreaper.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;

const SegmentOptions kSmall{.keys = 1'000};

/// Returns the port of the endpoint that it told of last.
std::uint16_t port_of(const Running& reaper) {
  return number_after(reaper, "metrics at http://127.0.0.1:");
}

Answer ask(std::uint16_t port, const std::string& request, bool is_head = false) {
  Client client(port);
  REQUIRE(client.connected());
  return client.ask(request, is_head);
}

Answer get(std::uint16_t port) {
  return ask(port, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

Numbers numbers_at(std::uint16_t port) {
  const Answer answer = get(port);
  REQUIRE(answer.status == 200);
  return Numbers(answer.body);
}

TEST_CASE("the_numbers_are_served_at_one_path") {
  const Folder folder;
  Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_day(10));
  for (int i = 0; i < 7; ++i) REQUIRE(api.try_acquire("key-" + std::to_string(i)));
  Running reaper(folder, {scratch.name(), "--prometheus", "127.0.0.1:0"});
  const std::uint16_t port = port_of(reaper);
  const std::string of = "{segment=\"" + scratch.name() + "\"}";
  const Answer whole = get(port);
  CHECK(whole.status == 200);
  CHECK(whole.fields.at("content-type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(whole.fields.at("connection") == "close");
  CHECK(Numbers(whole.body).at("rl_segment_up" + of) == 1);
  const Answer head = ask(port, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", true);
  CHECK(head.status == 200);
  CHECK(std::stoul(head.fields.at("content-length")) > 1'000);
  CHECK(ask(port, "GET /metrics?a=b HTTP/1.0\r\n\r\n").status == 200);
  CHECK(ask(port, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404);
  CHECK(ask(port, "GET /metrics/ HTTP/1.1\r\nHost: localhost\r\n\r\n").status == 404);
  CHECK(ask(port, "GET /metrics HTTP/1.1\r\n\r\n").status == 400);
  const Answer post =
      ask(port, "POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc");
  CHECK(post.status == 405);
  CHECK(post.fields.at("allow") == "GET, HEAD");
  // What is in the slots is known when the first round is over.
  CHECK(poll_until([&] {
    const Numbers numbers = numbers_at(port);
    return numbers.has("rl_slots_live" + of) && numbers.at("rl_slots_live" + of) == 7;
  }));
  reaper->signal(SIGUSR1);
  CHECK(reaper.says("metrics: listening on 127.0.0.1:" + std::to_string(port) + ", given "));
}

TEST_CASE("keys_are_served_only_when_asked_for_and_no_more_than_that") {
  const Folder folder;
  Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_day(1));
  for (int i = 0; i < 9; ++i) (void)api.try_acquire("loud");
  for (int i = 0; i < 5; ++i) (void)api.try_acquire("less");
  for (int i = 0; i < 3; ++i) (void)api.try_acquire("quiet");
  const auto row = [&](const std::string& key) {
    return "rl_top_denied{segment=\"" + scratch.name() + "\",policy=\"api\",key=\"" + key + "\"}";
  };
  Running asked(folder, {scratch.name(), "--prometheus", "127.0.0.1:0", "--top-denied", "2"});
  const std::uint16_t port = port_of(asked);
  CHECK(poll_until([&] { return numbers_at(port).has(row("loud")); }));
  const Numbers numbers = numbers_at(port);
  CHECK(numbers.at(row("loud")) == 8);
  CHECK(numbers.at(row("less")) == 4);
  CHECK(!numbers.has(row("quiet")));
  asked->signal(SIGTERM);
  CHECK(asked->wait() == 0);

  Running unasked(folder, {scratch.name(), "--prometheus", "127.0.0.1:0"});
  const std::uint16_t other = port_of(unasked);
  const std::string live = "rl_slots_live{segment=\"" + scratch.name() + "\"}";
  CHECK(poll_until([&] { return numbers_at(other).has(live); }));
  CHECK(!numbers_at(other).has(row("loud")));
}

TEST_CASE("a_segment_that_is_not_there_is_said_to_be_down") {
  const Folder folder;
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const std::string up = "rl_segment_up{segment=\"" + name + "\"}";
  Running reaper(folder, {name, "--prometheus", "127.0.0.1:0"});
  const std::uint16_t port = port_of(reaper);
  CHECK(numbers_at(port).at(up) == 0);
  { const Segment made = Segment::create(name, kSmall); }
  CHECK(poll_until([&] { return numbers_at(port).at(up) == 1; }));
}

TEST_CASE("no_bytes_of_a_client_harm_it") {
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  const Folder folder;
  Scratch scratch(kSmall);
  Running reaper(folder, {scratch.name(), "--prometheus", "127.0.0.1:0"});
  const std::uint16_t port = port_of(reaper);
  CHECK(ask(port, "\x16\x03\x01\x02garbage\r\n\r\n").status == 400);
  CHECK(ask(port, "GET /metrics HTTP/1.1\r\nA: " + std::string(20'000, 'a')).status == 431);
  CHECK(ask(port, std::string(20'000, 'G')).status == 431);
  const std::string whole = "GET /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n";
  for (int i = 0; i < 500; ++i) {
    std::string bytes = whole.substr(0, random() % (whole.size() + 1));
    for (std::uint64_t n = random() % 4; n != 0 && !bytes.empty(); --n)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    Client client(port);
    REQUIRE(client.connected());
    client.send(bytes);  // and goes, wherever that leaves the other
  }
  CHECK(get(port).status == 200);
  reaper->signal(SIGTERM);
  CHECK(reaper->wait() == 0);
}

TEST_CASE("a_client_that_is_slow_is_cut_off_and_nobody_waits_for_it") {
  const Folder folder;
  Scratch scratch(kSmall);
  Running reaper(folder, {scratch.name(), "--prometheus", "127.0.0.1:0"});
  const std::uint16_t port = port_of(reaper);
  Client slow(port);
  slow.send("GET /metrics HTTP/1.1\r\nHost: ");
  Client silent(port);
  Client staying(port);
  REQUIRE(staying.get("").status == 404);  // and does not close its side
  const std::uint64_t rounds = scratch->reaper().rounds;
  CHECK(get(port).status == 200);
  CHECK(poll_until([&] { return scratch->reaper().rounds > rounds; }));
  CHECK(slow.ends());
  CHECK(silent.ends());
  CHECK(get(port).status == 200);
}

TEST_CASE("of_too_many_connections_the_oldest_ends") {
  const Folder folder;
  Scratch scratch(kSmall);
  Running reaper(folder, {scratch.name(), "--prometheus", "127.0.0.1:0"});
  const std::uint16_t port = port_of(reaper);
  std::vector<std::unique_ptr<Client>> idle;
  for (int i = 0; i < 200; ++i) {
    idle.push_back(std::make_unique<Client>(port));
    REQUIRE(idle.back()->connected());
  }
  const auto begin = std::chrono::steady_clock::now();
  CHECK(get(port).status == 200);
  CHECK(idle.front()->ends());
  CHECK(std::chrono::steady_clock::now() - begin < 9s);  // before its time was over
}

TEST_CASE("an_address_that_is_taken_is_said_once_and_had_when_it_is_free") {
  const Folder folder;
  Scratch scratch(kSmall);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(fd, 1) == 0);
  socklen_t size = sizeof at;
  REQUIRE(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  const std::string where = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  Running reaper(folder, {scratch.name(), "--prometheus", where});
  REQUIRE(reaper.says("no metrics: listening on " + where + ": Address already in use; trying"));
  CHECK(poll_until([&] { return scratch->reaper().rounds > 2; }));  // it sweeps all the same
  CHECK(reaper.times("no metrics") == 1);
  ::close(fd);
  CHECK(get(port_of(reaper)).status == 200);
  reaper->signal(SIGUSR1);
  CHECK(reaper.says("; could not listen: "));
}

TEST_CASE("without_an_address_it_listens_on_all") {
  const Folder folder;
  Scratch scratch(kSmall);
  Running reaper(folder, {scratch.name(), "--prometheus", ":0"});
  REQUIRE(reaper.says("metrics at http://"));
  const bool has_ipv6 = reaper.said().find("http://[::]:") != std::string::npos;
  CHECK(get(number_after(reaper, has_ipv6 ? "http://[::]:" : "http://0.0.0.0:")).status == 200);
}

TEST_CASE("sighup_changes_where_it_listens") {
  const Folder folder;
  Scratch scratch(kSmall);
  const std::string config = folder.at("config");
  std::ofstream(config) << "prometheus = \"127.0.0.1:0\"\n";
  Running reaper(folder, {scratch.name(), "--config", config});
  const std::uint16_t first = port_of(reaper);
  CHECK(get(first).status == 200);
  std::ofstream(config) << "prometheus = \"127.0.0.2:0\"\n";
  reaper->signal(SIGHUP);
  REQUIRE(reaper.says("metrics at http://127.0.0.2:"));
  CHECK_FALSE(Client(first).connected());
  std::ofstream(config) << "rate = \"1M\"\n";
  reaper->signal(SIGHUP);
  CHECK(poll_until([&] { return reaper.times("configuration read again") == 2; }));
  reaper->signal(SIGTERM);
  CHECK(reaper->wait() == 0);
}

/// Decides for ever, most of it denied.
[[noreturn]] void work(const std::string& segment, Shared<std::atomic<std::uint64_t>>& decided) {
  Limiter api = Segment::open(segment).limiter("api");
  for (std::uint64_t i = 0;; ++i) {  // ends: killed
    (void)api.try_acquire("key-" + std::to_string(i % 100));
    decided[0].fetch_add(1);
  }
}

bool is_counter(const std::string& series) {
  const std::string name = series.substr(0, series.find('{'));
  return name.ends_with("_total") || name.ends_with("_bucket") || name.ends_with("_count") ||
         name.ends_with("_sum");
}

TEST_CASE("no_counter_runs_backwards_while_workers_are_killed_and_others_take_their_place") {
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  const Folder folder;
  Scratch scratch(kSmall);
  (void)scratch->limiter("api", Limit::per_second(1'000));
  Shared<std::atomic<std::uint64_t>> decided;
  const auto worker = [&] { return Child([&] { work(scratch.name(), decided); }); };
  Running reaper(folder, {scratch.name(), "--prometheus", "127.0.0.1:0"});
  const std::uint16_t port = port_of(reaper);
  std::vector<Child> workers;
  for (int i = 0; i < 3; ++i) workers.push_back(worker());
  std::map<std::string, double> before;
  std::uint64_t kills = 0;
  for (int round = 0; round < 40; ++round) {
    for (int kill = 0; kill < 5; ++kill, ++kills) {
      Child& victim = workers[random() % workers.size()];
      ::usleep(static_cast<useconds_t>(random() % 10'000));
      victim.signal(SIGKILL);
      (void)victim.wait();
      victim = worker();
    }
    for (const auto& [series, value] : numbers_at(port)) {
      if (!is_counter(series)) continue;
      CAPTURE(series);
      CHECK(value >= before[series]);
      before[series] = value;
    }
  }
  workers.clear();
  // Each of the killed was at one call.
  const auto all = static_cast<double>(decided[0].load());
  const std::string of = "rl_decisions_total{segment=\"" + scratch.name() + "\",policy=\"api\"";
  double told = 0;
  CHECK(poll_until([&] {
    const Numbers numbers = numbers_at(port);
    told = numbers.at(of + ",outcome=\"allowed\"}") + numbers.at(of + ",outcome=\"denied\"}");
    return told >= all;
  }));
  CHECK(told <= all + static_cast<double>(kills) + 3);
  CHECK(told > 0);
}

}  // namespace
}  // namespace rl::test
