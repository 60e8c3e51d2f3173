// rlreaper as a process: signals, standby, checkpoints, and what goes wrong around it.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>
#include <random>
#include <set>

#include "tests/rlreaper.hpp"

namespace rl::test {
namespace {

using namespace std::chrono_literals;

const SegmentOptions kSmall{.keys = 1'000};

TEST_CASE("sigterm_ends_it_and_sigusr1_has_it_say_what_goes_on") {
  const Folder folder;
  Scratch scratch(kSmall);
  Running reaper(folder, {scratch.name()});
  REQUIRE(reaper.says("sweeping"));
  reaper->signal(SIGUSR1);
  CHECK(reaper.says("slots free"));
  const auto begin = std::chrono::steady_clock::now();
  reaper->signal(SIGTERM);
  CHECK(reaper->wait() == 0);
  CHECK(std::chrono::steady_clock::now() - begin < 10s);
}

TEST_CASE("it_frees_keys_that_owe_nothing_and_permits_of_the_dead") {
  const Folder folder;
  Scratch scratch(kSmall);
  Limiter api = scratch->limiter("api", Limit::per_second(1'000));
  Limiter up = scratch->limiter("up", Limit::concurrency(2, 24h));
  for (int i = 0; i < 50; ++i) REQUIRE(api.try_acquire("key-" + std::to_string(i)));
  Permit ours = up.permit("k");
  Child other([&] {
    Permit permit = up.permit("k");
    ::_exit(permit ? 0 : 1);  // and never gives it back
  });
  REQUIRE(other.wait() == 0);
  Running reaper(folder, {scratch.name(), "--idle", "10ms"});
  CHECK(poll_until([&] { return scratch->reaper().permits_freed == 1; }));
  CHECK(poll_until([&] { return scratch->reaper().idle_freed >= 50; }));
  CHECK(ours.holds());
  CHECK(up.permit("k"));
  const Ran info = rlctl({"info", scratch.name()});
  const std::string who = "reaper     process " + std::to_string(reaper->pid()) + ", swept ";
  CHECK(info.out.find(who) != std::string::npos);
  reaper->signal(SIGTERM);
  CHECK(reaper->wait() == 0);
  CHECK(rlctl({"info", scratch.name()}).out.find("reaper     none now; last swept ") !=
        std::string::npos);
}

TEST_CASE("a_second_one_stands_by_and_takes_over_when_the_first_is_killed") {
  const Folder folder;
  Scratch scratch(kSmall);
  Running first(folder, {scratch.name()});
  REQUIRE(first.says("sweeping"));
  Running second(folder, {scratch.name()});
  REQUIRE(second.says("standing by"));
  first->signal(SIGSTOP);  // it still leads: who is stopped is not dead
  CHECK(scratch->reaper().leads);
  first->signal(SIGKILL);
  CHECK(first->wait() == 128 + SIGKILL);
  CHECK(second.says("sweeping"));
  CHECK(scratch->reaper().leads);
}

TEST_CASE("a_forked_child_neither_leads_nor_keeps_its_dead_parents_lead") {
  Scratch scratch(kSmall);
  Shared<std::atomic<int>> child_leads;
  Shared<std::atomic<bool>> is_over;
  child_leads[0] = -1;
  Child parent([&] {
    Reaper reaper(*scratch);
    if (!reaper.lead()) ::_exit(1);
    if (::fork() == 0) {
      child_leads[0] = reaper.lead() ? 1 : 0;
      while (!is_over[0]) ::usleep(1'000);
      ::_exit(0);
    }
    while (child_leads[0] < 0) ::usleep(1'000);
    ::_exit(reaper.lead() ? 0 : 1);
  });
  CHECK(parent.wait() == 0);
  CHECK(child_leads[0] == 0);
  Reaper next(*scratch);
  CHECK(next.lead());
  is_over[0] = true;
}

TEST_CASE("nobody_waits_for_one_that_is_stopped") {
  const Folder folder;
  Scratch scratch(kSmall);
  Running reaper(folder, {scratch.name(), "--idle", "1ms", "--rate", "100M"});
  REQUIRE(reaper.says("sweeping"));
  Limiter api = scratch->limiter("api", Limit::per_day(100));
  std::uint64_t admitted = 0;
  for (int stop = 0; stop < 20; ++stop) {
    reaper->signal(SIGSTOP);
    for (int i = 0; i < 100; ++i) admitted += api.try_acquire("k") ? 1U : 0U;
    reaper->signal(SIGCONT);
    ::usleep(5'000);
  }
  CHECK(admitted == 100);
}

TEST_CASE("sighup_reads_the_file_again_and_what_is_wrong_there_changes_nothing") {
  const Folder folder;
  Scratch scratch(kSmall);
  Scratch other(kSmall);
  const std::string config = folder.at("config");
  std::ofstream(config) << "rate = \"2M\"\n";
  Running reaper(folder, {scratch.name(), other.name(), "--config", config});
  REQUIRE(reaper.says(other.name() + ": sweeping"));
  std::ofstream(config) << "rate = \"lots\"\n";
  reaper->signal(SIGHUP);
  CHECK(reaper.says("--rate \"lots\": give a whole number"));
  std::ofstream(config) << "rate = \"3M\"\n";
  reaper->signal(SIGHUP);
  CHECK(reaper.says("configuration read again: 2 segments"));
  reaper->signal(SIGTERM);
  CHECK(reaper->wait() == 0);
}

TEST_CASE("a_segment_that_is_not_there_yet_or_any_more_is_waited_for") {
  const Folder folder;
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  Running reaper(folder, {name});
  REQUIRE(reaper.says("no such segment"));
  { const Segment made = Segment::create(name, kSmall); }
  REQUIRE(reaper.says(name + ": sweeping"));
  Segment::remove(name);
  REQUIRE(reaper.says("has vanished; waiting"));
  { const Segment made = Segment::create(name, kSmall); }
  CHECK(poll_until([&] { return reaper.times(": sweeping") == 2; }));
  CHECK(reaper.times("no such segment") <= 2);
}

/// Reads a dump as a program would.
bool is_whole(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  try {
    (void)Dump::read([&](std::span<char> to) {
      in.read(to.data(), static_cast<std::streamsize>(to.size()));
      return static_cast<std::size_t>(in.gcount());
    });
    return true;
  } catch (const Error& e) {
    MESSAGE(e.what());
    return false;
  }
}

TEST_CASE("whoever_kills_it_when_leaves_a_whole_checkpoint") {
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  const Folder folder;
  Scratch scratch({.keys = 20'000});
  Limiter api = scratch->limiter("api", Limit::per_day(10));
  for (int i = 0; i < 20'000; ++i) REQUIRE(api.try_acquire("key-" + std::to_string(i)));
  const std::string file = folder.at("web.dump");
  const Words words{scratch.name(), "--checkpoint", file, "--every", "1ms", "--keep", "2"};
  {
    Running reaper(folder, words);
    REQUIRE(poll_until([&] { return ::access((file + ".2").c_str(), F_OK) == 0; }));
  }
  for (int kill = 0; kill < 20; ++kill) {
    Running reaper(folder, words);
    REQUIRE(reaper.says("sweeping"));
    ::usleep(static_cast<useconds_t>(random() % 300'000));
    reaper->signal(SIGKILL);
    (void)reaper->wait();
    CHECK(is_whole(file));
    CHECK(is_whole(file + ".1"));
  }
}

TEST_CASE("a_segment_that_is_not_there_is_made_from_its_last_checkpoint") {
  const Folder folder;
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const std::string file = folder.at(name + ".dump");
  const Words words{name, "--checkpoint", folder.at("%s.dump"), "--restore", "--every", "100ms"};
  {
    Segment segment = Segment::create(name, {.keys = 100});
    REQUIRE(segment.limiter("api", Limit::per_day(10)).try_acquire("user:42", 7));
    Running reaper(folder, words);
    REQUIRE(poll_until([&] { return ::access((file + ".1").c_str(), F_OK) == 0; }));
    reaper->signal(SIGTERM);
    CHECK(reaper->wait() == 0);
  }
  Segment::remove(name);
  std::ofstream(file, std::ios::app) << "x";  // the last is not whole
  Running reaper(folder, words);
  REQUIRE(reaper.says(file + ".1: 1 key,"));
  CHECK(::access((file + ".refused").c_str(), F_OK) == 0);  // it takes no older one's place
  REQUIRE(reaper.says("sweeping"));
  CHECK(Segment::open(name).limiter("api").peek("user:42").remaining == 3);
  // Who removes it while it runs means it.
  Segment::remove(name);
  CHECK(reaper.says("has vanished"));
  CHECK(reaper.says("no such segment"));
}

TEST_CASE("a_checkpoint_that_cannot_be_written_is_said_once_and_ends_nothing") {
  const Folder folder;
  Scratch scratch(kSmall);
  Running reaper(folder,
                 {scratch.name(), "--checkpoint", folder.at("no/such/folder"), "--every", "1ms"});
  REQUIRE(reaper.says("no checkpoint: "));
  const std::uint64_t rounds = scratch->reaper().rounds;
  CHECK(poll_until([&] { return scratch->reaper().rounds > rounds + 1; }));
  CHECK(reaper.times("no checkpoint: ") == 1);
}

TEST_CASE("systemd_is_told_when_it_is_ready_alive_and_ending") {
  const Folder folder;
  Scratch scratch(kSmall);
  const std::string path = folder.at("notify");
  const int fd = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::strncpy(at.sun_path, path.c_str(), sizeof at.sun_path - 1);
  REQUIRE(::bind(fd, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0);
  std::string told;
  const auto is_told = [&](std::string_view what) {
    return poll_until([&] {
      char text[512];
      ssize_t size;
      while ((size = ::recv(fd, text, sizeof text, 0)) > 0)
        told.append(text, static_cast<std::size_t>(size)).append("\n");
      return told.find(what) != std::string::npos;
    });
  };
  Running reaper(folder, {scratch.name()}, path);
  CHECK(is_told("READY=1\n"));
  CHECK(is_told("WATCHDOG=1\n"));
  CHECK(is_told("STATUS=" + scratch.name()));
  reaper->signal(SIGHUP);
  CHECK(is_told("RELOADING=1\nMONOTONIC_USEC="));
  reaper->signal(SIGTERM);
  CHECK(is_told("STOPPING=1\n"));
  CHECK(reaper->wait() == 0);
  ::close(fd);
}

/// Returns all words of a text that begin with two dashes.
std::set<std::string> options_in(const std::string& text) {
  std::set<std::string> options;
  for (std::size_t at = 0; (at = text.find("--", at)) != text.npos;) {  // ends: `at` grows
    const std::size_t end = text.find_first_not_of("abcdefghijklmnopqrstuvwxyz-", at);
    options.insert(text.substr(at, end - at));
    at = std::min(end, text.size());
  }
  return options;
}

TEST_CASE("the_manual_has_every_option_and_no_other") {
  const Ran help = run({program("RLREAPER"), "--help"});
  REQUIRE(help.exit_code == 0);
  CHECK(options_in(help.out) == options_in(contents(program("RL_REAPER_MANUAL"))));
}

TEST_CASE("what_it_cannot_do_is_refused_with_a_sentence") {
  const auto refused = [](Words words, std::string_view part) {
    words.insert(words.begin(), program("RLREAPER"));
    const Ran ran = run(words);
    CAPTURE(ran.err);
    CHECK(ran.exit_code == 2);
    CHECK(ran.err.starts_with("rlreaper: "));
    CHECK(ran.err.find(part) != std::string::npos);
  };
  refused({}, "no segment; give one");
  refused({"web", "web"}, "given twice");
  refused({"web", "--rate", "fast"}, "--rate \"fast\"");
  refused({"web", "--restore"}, "give --checkpoint FILE, too");
  refused({"a", "b", "--checkpoint", "file"}, "put %s where their names go");
  refused({"web", "--config", "/no/such/file"}, "/no/such/file");
  refused({"web", "--what"}, "--what");
  refused({"web", "--prometheus", "9464"}, "--prometheus \"9464\": give an address in digits");
  refused({"web", "--prometheus", "localhost:9464"}, "such as 127.0.0.1:9464");
  refused({"web", "--prometheus", "::1:9464"}, "[::1]:9464");
  refused({"web", "--prometheus", "127.0.0.1:"}, "--prometheus \"\"");
  refused({"web", "--prometheus", ":65536"}, "65535");
  refused({"web", "--rate", "0"}, "at 0 nothing is swept");
  refused({"../web"}, "../web");
  refused({"web", "/dev/shm/rl.web"}, "given twice");
  refused({"/tmp/a/web", "/tmp/b/web", "--checkpoint", "/tmp/%s.dump"}, "one file for several");
  const Folder folder;
  std::ofstream(folder.at("config")) << "chekpoint = \"x\"\n";
  refused({"web", "--config", folder.at("config")}, "chekpoint");
}

}  // namespace
}  // namespace rl::test
