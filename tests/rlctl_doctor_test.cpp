// rlctl doctor on real segments with something wrong, and what it says mends them, done.
#include <doctest/doctest.h>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include <fstream>

#include "tests/diagnosed.hpp"
#include "tests/own_tmpfs.hpp"
#include "tests/rlreaper.hpp"

namespace rl::test {
namespace {

TEST_CASE("it_begins_with_version_creator_and_age_and_ends_with_what_is_fine") {
  const Made segment;
  const Ran ran = rlctl({"doctor", segment.name()});
  CHECK(ran.out.starts_with("librl " RL_VERSION ", layout 1; made by process "));
  const std::string last = ran.out.substr(ran.out.rfind('\n', ran.out.size() - 2) + 1);
  CHECK(last.starts_with("fine     opens, name, switch, slots, policies, "));
  CHECK(findings_of(segment.name(), "permissions").empty());
}

TEST_CASE("what_is_not_there_is_an_error") {
  const std::string name = unique_name();
  check_error(rlctl({"doctor", name}), "rl." + name + ": no such segment");
  check_error(rlctl({"doctor", "a b"}), "has a space");
}

TEST_CASE("each_segment_of_the_host_is_looked_at_without_a_name") {
  const Made one;
  const Made two;
  REQUIRE(rlctl({"off", two.name()}).exit_code == 0);
  const Ran ran = rlctl({"doctor"});
  CHECK(ran.exit_code == 1);
  CHECK(ran.out.find(one.name() + ": ") != ran.out.npos);
  CHECK(ran.out.find(two.name() + ": 1 bad") != ran.out.npos);
}

TEST_CASE("limits_off_are_found_and_mended_as_told") {
  const Made segment;
  REQUIRE(rlctl({"off", segment.name()}).exit_code == 0);
  check_found_and_mended(segment.name(), "switch", "bad");
}

TEST_CASE("rights_of_everybody_are_found_and_mended_as_told") {
  const Made all({"--mode", "0666"});
  check_found_and_mended(all.name(), "permissions", "bad");
  const Made readers({"--mode", "0644"});
  check_found_and_mended(readers.name(), "permissions", "warning");
}

TEST_CASE("code_that_asks_for_another_limit_is_found_and_mended_as_told") {
  const Made segment;
  segment.policy("api", "5/s burst=9");
  {
    Segment own = Segment::open(segment.name());
    CHECK(own.limiter("api", Limit::per_second(7).burst(8)).differs());
  }
  check_found_and_mended(segment.name(), "policies", "warning");
  CHECK(rlctl({"policy", "list", segment.name()}).out.find("7/s burst=8") != std::string::npos);
}

TEST_CASE("ids_that_run_out_are_found_and_mended_as_told") {
  const Made segment({"--policies", "16"});
  for (int i = 0; i < 13; ++i) segment.policy("api", std::to_string(i + 1) + "/s");
  CHECK(findings_of(segment.name(), "policy_ids").size() == 1);
  segment.policy("api", "14/s");
  check_found_and_mended(segment.name(), "policy_ids", "bad");
  CHECK(rlctl({"policy", "list", segment.name()}).out.find("14/s") != std::string::npos);
}

TEST_CASE("a_full_table_and_calls_without_room_are_found_and_mended_as_told") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  {
    Segment own = Segment::create(name, {.keys = 9});
    Limiter api = own.limiter("api", Limit::per_hour(1).when_full(WhenFull::deny));
    int denied = 0;
    for (int i = 0; denied == 0; ++i)
      denied += api.try_acquire("k" + std::to_string(i)).reason == Reason::full ? 1 : 0;
  }
  CHECK(findings_of(name, "full_lists").size() == 1);
  check_found_and_mended(name, "fill", "bad");
  CHECK(findings_of(name, "full_lists").empty());
}

TEST_CASE("slots_that_hold_what_none_can_hold_are_found_and_mended_as_told") {
  const Made segment;
  segment.policy("api", "1/h");
  Spoiler spoiler(segment.path());
  spoiler.plant({0, 7});
  spoiler.plant({shm::make_tag(5, 99), 7});
  const std::vector<Json> findings = findings_of(segment.name(), "slots");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["slots"] == 2);
  check_found_and_mended(segment.name(), "slots", "bad");
}

TEST_CASE("a_reaper_that_was_killed_is_found_until_there_is_another") {
  const Folder folder;
  Scratch segment({.keys = 1'000});
  CHECK(findings_of(segment.name(), "reaper").empty());
  {
    Running reaper(folder, {segment.name()});
    REQUIRE(reaper.says("sweeping"));
    REQUIRE(poll_until([&] { return segment->reaper().beat_ago.count() >= 0; }));
    CHECK(findings_of(segment.name(), "reaper").empty());
    reaper->signal(SIGKILL);
    CHECK(reaper->wait() == 128 + SIGKILL);
  }
  const std::vector<Json> findings = findings_of(segment.name(), "reaper");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["severity"] == "warning");
  CHECK(findings[0]["fix"].get<std::string>().starts_with("rlreaper " + segment.name()));
  Running next(folder, {segment.name()});
  REQUIRE(next.says("sweeping"));
  CHECK(findings_of(segment.name(), "reaper").empty());
}

TEST_CASE("too_little_room_is_found_on_a_small_tmpfs_and_mended_as_told") {
  const OwnTmpfs tmpfs;
  if (!tmpfs.counts_files()) return;
  const std::string segment = tmpfs.path("seg");
  REQUIRE(rlctl({"create", segment, "--keys", "40000"}).exit_code == 0);
  check_found_and_mended(segment, "room", "warning");
}

TEST_CASE("a_process_whose_file_lost_its_name_is_found_and_mended_as_told") {
  const Made segment;
  Idler idler(segment.name());
  CHECK(findings_of(segment.name(), "name").empty());
  REQUIRE(::unlink(segment.path().c_str()) == 0);
  std::vector<Json> findings = findings_of(segment.name(), "name");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["severity"] == "warning");
  REQUIRE(rlctl({"create", segment.name(), "--keys", "10"}).exit_code == 0);
  findings = findings_of(segment.name(), "name");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["severity"] == "bad");
  CHECK(findings[0]["processes"] == 1);
  CHECK(do_as_told(findings[0]).exit_code == 0);
  CHECK(idler.wait() == 128 + SIGTERM);
  CHECK(findings_of(segment.name(), "name").empty());
}

TEST_CASE("whoever_made_a_segment_that_lost_its_name_is_found_by_that_name") {
  const std::string name = unique_name();
  const RemoveAtEnd end(name);
  const Idler maker(name);
  CHECK(findings_of(name, "name").empty());
  REQUIRE(::unlink(("/dev/shm/rl." + name).c_str()) == 0);
  const std::vector<Json> findings = findings_of(name, "name");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["fix"].get<std::string>().starts_with("kill " + std::to_string(maker.pid())));
  const Ran all = rlctl({"segments", "--json"});
  CHECK(all.out.find(R"({"name":")" + name + R"(","path":"/dev/shm/rl.)" + name +
                     R"(","state":"nameless")") != all.out.npos);
}

TEST_CASE("a_worker_that_dropped_its_privileges_is_found_and_mended_as_told") {
  if (::geteuid() != 0) return skip("only root can drop privileges");
  const Made segment;
  const Idler idler(segment.name(), [] {
    if (::setgid(65'534) != 0 || ::setuid(65'534) != 0) ::_exit(1);
  });
  check_found_and_mended(segment.name(), "permissions", "warning");
}

TEST_CASE("a_process_in_another_time_namespace_is_found") {
  if (::geteuid() != 0) return skip("only root can make a time namespace");
  const Made segment;
  const Idler idler(segment.name(), [] {
    constexpr int kNewTime = 0x80;  // CLONE_NEWTIME: for the children of this process
    if (::unshare(kNewTime) != 0 || ::fork() != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;) ::pause();
  });
  if (run({"sh", "-c", "test -e /proc/self/ns/time"}).exit_code != 0)
    return skip("this kernel has no time namespaces");
  CHECK(poll_until([&] { return findings_of(segment.name(), "time_namespace").size() == 1; }));
}

TEST_CASE("keys_tell_of_one_that_calls_most_and_of_ipv6_without_a_prefix") {
  Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter("api", Limit::per_hour(5));
  for (int i = 0; i < 9; ++i) (void)api.try_acquire("2001:db8::" + std::to_string(i + 1));
  for (int i = 0; i < 10'001; ++i) (void)api.try_acquire("it's me");
  std::vector<Json> findings = findings_of(segment.name(), "hot_key");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["calls"] == 10'001);
  const Ran shown = do_as_told(findings[0]);
  CHECK(shown.exit_code == 0);
  CHECK(shown.out.find("it's me") != std::string::npos);
  findings = findings_of(segment.name(), "ipv6");
  REQUIRE(findings.size() == 1);
  CHECK(findings[0]["keys"] == 9);
  CHECK(findings[0]["symptom"].get<std::string>().find("2001:db8::/64") != std::string::npos);
}

TEST_CASE("a_file_that_cannot_be_opened_is_found_and_mended_as_told") {
  const Made segment;
  std::fstream file(segment.path(), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(72).put('\1').flush();
  check_found_and_mended(segment.name(), "opens", "bad");
  std::ofstream(segment.path(), std::ios::trunc) << "something else";
  std::vector<Json> findings = findings_of(segment.name(), "opens");
  REQUIRE(findings.size() == 1);
  CHECK(do_as_told(findings[0]).exit_code == 0);
  CHECK(rlctl({"doctor", segment.name()}).exit_code == 2);
}

TEST_CASE("names_of_a_hostile_segment_never_reach_the_terminal_raw") {
  const Made segment;
  segment.policy("api", "1/h");
  {
    Segment own = Segment::open(segment.name());
    Limiter api = own.limiter("api");
    for (int i = 0; i < 10; ++i) (void)api.try_acquire("k" + std::to_string(i));
    for (int i = 0; i < 10'001; ++i) (void)api.try_acquire("\x1b[31m\n\xff");
  }
  for (const Words& words :
       {Words{"doctor", segment.name()}, {"doctor", segment.name(), "--json"}}) {
    const Ran ran = rlctl(words);
    CHECK(ran.out.find('\x1b') == ran.out.npos);
    CHECK(ran.out.find('\xff') == ran.out.npos);
    CHECK(ran.out.find("x1b[31m") != ran.out.npos);
  }
}

}  // namespace
}  // namespace rl::test
