// What the doctor makes of facts, made up here: each check beside what is just well.
#include <doctest/doctest.h>

#include <set>

#include "tests/support.hpp"
#include "tools/rlctl/doctor/checks.hpp"
#include "tools/rlctl/doctor/host_facts.hpp"

namespace rl::ctl {
namespace {

using std::chrono::seconds;

/// A segment that nothing is wrong with, on such a host.
struct Patient {
  HostFacts host;
  SegmentFacts segment;

  Patient() {
    host.is_x86 = true;
    host.clocksource = "tsc";
    host.clocksources = {"tsc", "hpet"};
    host.has_invariant_tsc = true;
    host.can_have_huge_pages = true;
    host.time_namespace = 7;
    segment.name = "web";
    segment.path = "/dev/shm/rl.web";
    segment.bytes = 1 << 20;
    segment.group = "root";
    segment.room = {"/dev/shm", true, 1 << 30, 1 << 29, 1'000};
    segment.holders = {{100, 0, 0, true, true, false, 7}};
    OpenFacts& open = segment.open.emplace();
    open.info.keys = 1'000;
    open.info.attached = 1;
    open.info.clock = ClockSource::tsc;
    open.info.policies = 2;
    open.info.policy_room = 1'024;
    open.info.clock_drift = std::chrono::milliseconds(5);
    open.ids_kept = 8;
    open.seats = 1'024;
    open.table.slots = open.table.looked_at = 1'784;
    open.table.by_line = {990, 10, 0, 0};
    PolicyInfo& api = open.policies.emplace_back();
    api.id = 1;
    api.name = "api";
    api.limit = Limit::per_second(100);
  }
  OpenFacts& open() { return *segment.open; }
  void set(SlotUse use, std::uint64_t count) {
    open().table.uses[static_cast<std::size_t>(use)] = count;
  }
  void set(selftest::SlotFault fault, std::uint64_t count) {
    open().table.faults[static_cast<std::size_t>(fault)] = count;
    set(SlotUse::faulty, open().table.of(SlotUse::faulty) + count);
  }
};

/// Whether all that is found is one finding, of this check and harm.
void check_one(const Patient& patient, std::string_view check, Harm harm, std::string_view fix) {
  const Diagnosis diagnosis = diagnose(patient.host, patient.segment);
  CAPTURE(check);
  REQUIRE(diagnosis.found.size() == 1);
  const auto& [by, finding] = diagnosis.found.front();
  CAPTURE(finding.symptom);
  CAPTURE(finding.fix);
  CHECK(by == check);
  CHECK(finding.harm == harm);
  CHECK(!finding.cause.empty());
  CHECK(finding.fix.find(fix) != std::string::npos);
}

void check_none(const Patient& patient) {
  const Diagnosis diagnosis = diagnose(patient.host, patient.segment);
  for (const Found& found : diagnosis.found) MESSAGE(found.check << ": " << found.finding.symptom);
  CHECK(diagnosis.found.empty());
}

TEST_CASE("nothing_is_found_where_all_is_well_and_all_that_was_checked_is_named") {
  const Patient patient;
  check_none(patient);
  const Diagnosis diagnosis = diagnose(patient.host, patient.segment);
  CHECK(diagnosis.fine.size() == checks().size());
  std::set<std::string_view> names;
  for (const Check& check : checks()) CHECK(names.insert(check.name).second);
}

TEST_CASE("the_worst_is_told_first") {
  Patient patient;
  patient.segment.mode = 0604;
  patient.open().info.off_since = std::chrono::system_clock::now();
  patient.open().info.anonymous = 1;
  const Diagnosis diagnosis = diagnose(patient.host, patient.segment);
  REQUIRE(diagnosis.found.size() == 3);
  CHECK(diagnosis.found[0].finding.harm == Harm::bad);
  CHECK(diagnosis.found[1].finding.harm == Harm::warning);
  CHECK(diagnosis.found[2].finding.harm == Harm::note);
}

TEST_CASE("a_segment_that_cannot_be_opened_is_found_by_its_reason") {
  Patient patient;
  patient.segment.open.reset();
  patient.segment.unopened = "it is so";
  patient.segment.unopened_code = Errc::corrupt;
  check_one(patient, "opens", Harm::bad, "rlctl rm web --force && rlctl create web");
  patient.segment.unopened_code = Errc::permission;
  check_one(patient, "opens", Harm::warning, "rlctl doctor web --any-owner   # as root");
  patient.segment.unopened_code = Errc::not_a_segment;
  check_one(patient, "opens", Harm::bad, "rm /dev/shm/rl.web");
  patient.segment.unopened_code = Errc::wrong_host;
  check_one(patient, "opens", Harm::bad, "nsenter --time");
  patient.segment.unopened_code = Errc::system;
  check_one(patient, "opens", Harm::warning, "rlctl doctor web --any-owner   # as root");
  patient.segment.unopened_code = Errc::wrong_version;
  check_one(patient, "opens", Harm::bad, "rlctl rm web --force");
}

TEST_CASE("processes_that_have_a_file_without_a_name_are_found") {
  Patient patient;
  patient.segment.holders.push_back({101, 0, 0, true, true, true, 7});
  check_one(patient, "name", Harm::bad, "kill 101");
  patient.segment.is_there = false;
  check_one(patient, "name", Harm::warning, "kill 101");
}

TEST_CASE("too_little_room_to_make_it_anew_is_found_with_the_size_that_would_do") {
  Patient patient;
  patient.segment.room.free_bytes = (1 << 20) - 1;
  check_one(patient, "room", Harm::warning, "mount -o remount,size=1025m /dev/shm");
  patient.segment.room.free_bytes = 1 << 20;
  check_none(patient);
  patient.segment.room.free_files = 0;
  check_one(patient, "room", Harm::warning, "nr_inodes=0");
  patient.segment.room = {"/srv", false, 0, 0, 1};
  check_one(patient, "room", Harm::warning, "rlctl create");
  patient.segment.room = {"/dev/shm", true, 0, 0, 1};  // without a limit
  check_none(patient);
}

TEST_CASE("containers_of_64_mib_are_told_to_be_such") {
  Patient patient;
  patient.segment.room.bytes = 64 << 20;
  check_none(patient);
  patient.segment.room.free_bytes = 0;
  const Diagnosis diagnosis = diagnose(patient.host, patient.segment);
  REQUIRE(diagnosis.found.size() == 1);
  CHECK(diagnosis.found[0].finding.cause.find("containers get 64 MiB") == 0);
  CHECK(diagnosis.found[0].finding.fix.find("--shm-size=65m") != std::string::npos);
}

TEST_CASE("a_cgroup_without_room_for_a_second_one_is_found") {
  Patient patient;
  patient.host.memory_max_bytes = 10 << 20;
  patient.host.memory_used_bytes = 9 << 20;
  patient.host.cgroup = "/sys/fs/cgroup/a b/memory.max";
  check_none(patient);
  ++patient.host.memory_used_bytes;
  check_one(patient, "memory", Harm::warning, "> '/sys/fs/cgroup/a b/memory.max'");
  patient.host.memory_used_bytes = 11 << 20;  // more than allowed, for a moment
  check_one(patient, "memory", Harm::warning, "echo ");
}

TEST_CASE("a_large_segment_in_small_pages_is_a_note") {
  Patient patient;
  patient.segment.bytes = 64 << 20;
  check_one(patient, "huge_pages", Harm::note, "compact_memory && ");
  patient.segment.open->info.huge_bytes = 62 << 20;
  check_none(patient);
  patient.segment.open->info.huge_bytes = 0;
  patient.host.can_have_huge_pages = false;
  check_none(patient);
}

TEST_CASE("remove_ipc_harms_only_what_logind_removes") {
  Patient patient;
  patient.segment.uid = 1'000;
  check_none(patient);
  patient.host.logind_runs = true;
  check_one(patient, "remove_ipc", Harm::warning, "RemoveIPC=no");
  patient.segment.uid = 999;
  check_none(patient);
  patient.segment.uid = 1'000;
  patient.host.removes_ipc = false;
  check_none(patient);
  patient.host.removes_ipc = true;
  patient.segment.is_in_shared_memory = false;
  check_none(patient);
}

TEST_CASE("what_logind_is_told_of_ipc_is_read_as_systemd_reads_it") {
  CHECK(!remove_ipc_in(""));
  CHECK(!remove_ipc_in("[Login]\n#RemoveIPC=no\n"));
  CHECK(!remove_ipc_in("[Manager]\nRemoveIPC=no\n"));
  CHECK(remove_ipc_in("[Login]\nRemoveIPC=no\n") == false);
  CHECK(remove_ipc_in("[Login]\n RemoveIPC = off\r\n") == false);
  CHECK(remove_ipc_in("[Login]\nRemoveIPC=no\nRemoveIPC=yes") == true);
  CHECK(remove_ipc_in("[Login]\nRemoveIPC=\n") == true);
}

TEST_CASE("rights_of_others_are_found") {
  Patient patient;
  patient.segment.mode = 0666;
  check_one(patient, "permissions", Harm::bad, "chmod o-rw /dev/shm/rl.web");
  patient.segment.mode = 0644;
  check_one(patient, "permissions", Harm::warning, "chmod o-r /dev/shm/rl.web");
  patient.segment.mode = 0660;
  patient.segment.group_users = 16;
  check_none(patient);
  patient.segment.group_users = 17;
  check_one(patient, "permissions", Harm::warning, "chgrp librl /dev/shm/rl.web");
  patient.segment.mode = 0640;
  check_none(patient);
}

TEST_CASE("workers_that_may_not_open_it_are_found_and_readers_are_not_meant") {
  Patient patient;
  patient.segment.holders.push_back({102, 33, 34, true, false, false, 7});
  check_one(patient, "permissions", Harm::warning, "chgrp 34 /dev/shm/rl.web && chmod g+rw");
  patient.segment.holders.back().is_writer = false;
  check_none(patient);
}

TEST_CASE("processes_of_another_time_namespace_are_found") {
  Patient patient;
  patient.segment.holders.push_back({103, 0, 0, true, true, false, 8});
  check_one(patient, "time_namespace", Harm::bad, "kill 103");
  patient.segment.holders.back().time_namespace = 0;  // it cannot be seen
  check_none(patient);
}

TEST_CASE("a_clock_that_left_the_tsc_or_should_have_is_found") {
  Patient patient;
  SegmentInfo& info = patient.open().info;
  info.tsc_left = true;
  info.clock = ClockSource::boottime;
  check_one(patient, "tsc", Harm::warning, "--create --clock boottime --input web.dump");
  info.tsc_left = false;
  check_one(patient, "tsc", Harm::note, "--clock auto");
  patient.host.clocksource = "hpet";
  check_one(patient, "tsc", Harm::note, "echo tsc > ");
  patient.host.clocksources = {"hpet"};
  check_none(patient);
  info.clock = ClockSource::tsc;
  check_one(patient, "tsc", Harm::warning, "--clock boottime");
  patient.host.clocksource = "tsc";
  patient.host.has_invariant_tsc = false;
  check_one(patient, "tsc", Harm::warning, "--clock boottime");
  info.clock = ClockSource::manual;
  check_none(patient);
}

TEST_CASE("a_drift_of_a_second_is_a_note_and_with_windows_a_warning") {
  Patient patient;
  patient.open().info.clock_drift = -seconds(1);
  check_one(patient, "drift", Harm::note, "rlctl dump web");
  patient.open().policies[0].limit = Limit::fixed_window(10, seconds(60));
  check_one(patient, "drift", Harm::warning, "rlctl dump web");
  patient.open().info.clock_drift = seconds(1) - std::chrono::nanoseconds(1);
  check_none(patient);
  patient.open().info.clock_drift.reset();
  check_none(patient);
}

TEST_CASE("limits_that_are_off_are_bad") {
  Patient patient;
  patient.open().info.off_since = std::chrono::system_clock::now();
  check_one(patient, "switch", Harm::bad, "rlctl on web");
}

TEST_CASE("slots_that_hold_what_none_can_hold_are_bad_each_kind_counted") {
  Patient patient;
  patient.set(selftest::SlotFault::no_state, 2);
  patient.set(selftest::SlotFault::unknown_policy, 1);
  check_one(patient, "slots", Harm::bad, "rlctl repair web --yes");
  const Finding finding = check_slots(patient.host, patient.segment).front();
  CHECK(finding.symptom.find("3 of 1784 slots") == 0);
  CHECK(finding.cause.find("2: neither free") == 0);
  CHECK(finding.cause.find("1: its policy is none of the list") != std::string::npos);
}

TEST_CASE("inserts_are_a_note_once_nobody_can_finish_them") {
  Patient patient;
  patient.set(SlotUse::insert, 3);
  check_none(patient);
  patient.open().info.attached = 0;
  check_one(patient, "slots", Harm::note, "rlctl repair web --yes");
}

TEST_CASE("keys_of_a_newer_version_are_found") {
  Patient patient;
  patient.set(SlotUse::unknown, 1);
  check_one(patient, "slots", Harm::warning, "rlctl --version");
}

TEST_CASE("a_table_is_nearly_full_from_four_fifths_of_what_was_promised") {
  Patient patient;
  patient.set(SlotUse::live, 700);
  patient.set(SlotUse::standing, 50);
  patient.set(SlotUse::permit, 49);
  check_none(patient);
  patient.set(SlotUse::permit, 50);
  check_one(patient, "fill", Harm::warning, "--keys 2000");
  patient.set(SlotUse::live, 901);
  check_one(patient, "fill", Harm::bad, "--keys 2002");
  patient.open().table.slots *= 10;  // a sample of a larger one
  patient.open().info.keys *= 10;
  check_one(patient, "fill", Harm::bad, "--keys 20020");
}

TEST_CASE("calls_without_room_are_found") {
  for (const auto counter : {&SegmentInfo::evicted, &SegmentInfo::full_allowed,
                             &SegmentInfo::full_denied, &SegmentInfo::gave_up}) {
    Patient patient;
    patient.open().info.*counter = 1;
    const bool is_note = counter == &SegmentInfo::full_denied;
    check_one(patient, "full_lists", is_note ? Harm::note : Harm::warning, "--keys 2000");
  }
}

TEST_CASE("long_lookups_are_a_note") {
  Patient patient;
  patient.open().table.by_line = {501, 499, 0, 0};
  check_none(patient);
  patient.open().table.by_line = {500, 500, 0, 0};
  check_one(patient, "lookups", Harm::note, "rlreaper web");
  patient.open().table.by_line = {0, 0, 0, 999};  // too few to tell
  check_none(patient);
}

TEST_CASE("one_key_with_most_of_the_calls_is_a_note_and_its_text_is_quoted") {
  Patient patient;
  Traffic& traffic = patient.open().traffic;
  traffic.keys = 8;
  traffic.calls = 10'000;
  traffic.most_calls = 5'000;
  traffic.most_called = "a'b";
  traffic.its_policy = "api";
  check_none(patient);
  traffic.most_calls = 5'001;
  check_one(patient, "hot_key", Harm::note, R"(rlctl show web api -- 'a'\''b')");
  traffic.most_called = "a\x1b'";
  check_one(patient, "hot_key", Harm::note, R"(-- $'a\x1b\'')");
  traffic.most_called.reset();
  check_one(patient, "hot_key", Harm::note, "rlctl list web --heavy 10");
  traffic.keys = 7;
  check_none(patient);
}

TEST_CASE("a_crowd_of_ipv6_addresses_of_one_network_is_found") {
  Patient patient;
  Traffic& traffic = patient.open().traffic;
  traffic.single_ipv6_keys = traffic.widest_network_keys = 7;
  traffic.widest_network = "2001:db8::/64";
  check_none(patient);
  traffic.widest_network_keys = 8;
  check_one(patient, "ipv6", Harm::warning, "rl::AddressKey");
}

TEST_CASE("a_reaper_that_is_gone_or_stuck_is_found_and_none_at_all_is_well") {
  Patient patient;
  ReaperInfo& reaper = patient.open().reaper;
  check_none(patient);
  reaper.pid = 55;
  reaper.beat_ago = seconds(5);
  check_one(patient, "reaper", Harm::warning, "rlreaper web");
  reaper.leads = true;
  check_none(patient);
  reaper.beat_ago = seconds(30);
  check_one(patient, "reaper", Harm::warning, "rlreaper web   # and end the other");
  Holder holder = patient.segment.holders.empty() ? Holder{} : patient.segment.holders.front();
  holder.pid = 55;
  holder.may_open = true;
  patient.segment.holders.push_back(holder);
  check_one(patient, "reaper", Harm::warning, "kill -CONT 55");
}

TEST_CASE("seats_that_are_all_taken_or_once_were_are_found") {
  Patient patient;
  patient.open().info.anonymous = 3;
  check_one(patient, "seats", Harm::note, "rlctl segments --json");
  patient.open().info.attached = 1'024;
  check_one(patient, "seats", Harm::warning, "rlctl segments --json");
}

TEST_CASE("ids_of_policies_that_run_out_are_found_before_they_have") {
  Patient patient;
  SegmentInfo& info = patient.open().info;
  info.policies = 1'016 - 102;
  check_none(patient);
  info.policies = 1'016 - 101;
  check_one(patient, "policy_ids", Harm::warning, "--policies 2048");
  info.policies = 1'016;
  check_one(patient, "policy_ids", Harm::bad, "--policies 2048");
  info.policies = 1'024;
  check_one(patient, "policy_ids", Harm::bad, "--policies 2048");
}

TEST_CASE("limits_that_differ_from_the_code_and_damaged_ones_are_found") {
  Patient patient;
  PolicyInfo& api = patient.open().policies[0];
  api.asked = Limit::per_second(5);
  check_one(patient, "policies", Harm::warning, "rlctl policy set web api 5/s");
  api.asked = Limit::per_second(5).burst(9);
  check_one(patient, "policies", Harm::warning, "rlctl policy set web api '5/s burst=9'");
  api.asked.reset();
  api.limit.reset();
  check_one(patient, "policies", Harm::bad, "rlctl rm web --force");
}

TEST_CASE("what_makes_a_segment_anew_keeps_its_rights") {
  Patient patient;
  patient.segment.name = patient.segment.path = "/run/librl/web";
  patient.segment.mode = 0660;
  patient.segment.uid = 5;
  patient.segment.gid = 6;
  CHECK(made_anew(patient.segment, "--keys 9") ==
        "rlctl dump /run/librl/web --output web.dump && rlctl load /run/librl/web.new --create "
        "--keys 9 --mode 0660 --owner 5 --group 6 --input web.dump && mv -T "
        "/run/librl/web.new /run/librl/web");
}

TEST_CASE("a_list_that_differs_from_the_code_is_told_once_and_whole") {
  Patient patient;
  std::vector<PolicyInfo>& policies = patient.open().policies;
  PolicyInfo second = policies[0];
  second.name = Limiters::policy(policies[0].name, 1);
  second.limit = Limit::per_hour(50);
  policies[0].asked = Limit::per_second(5);
  policies.push_back(second);
  check_one(patient, "policies", Harm::warning, "rlctl policy set web api '5/s, 50/h'");
  policies[0].asked.reset();
  policies[1].asked = Limit::per_hour(60);
  check_one(patient, "policies", Harm::warning, "'" + policies[0].limit->to_string() + ", 60/h'");
}

TEST_CASE("a_segment_without_labels_is_not_said_to_grow_with_its_keys") {
  Patient patient;
  patient.open().info.labels = false;
  patient.open().info.keys = 100;
  patient.open().info.evicted = 1;
  check_one(patient, "full_lists", Harm::warning, "rlctl create web2 --labels off --keys");
}

TEST_CASE("words_are_quoted_for_a_shell") {
  CHECK(shell_word("web") == "web");
  CHECK(shell_word("") == "''");
  CHECK(shell_word("a b") == "'a b'");
  CHECK(shell_word("$(x)") == "'$(x)'");
  for (const std::string word :
       {"it's", "a b", "$HOME", "`x`", "\\", "a\\'b", "tab\there", "\xff'"}) {
    CAPTURE(word);
    const test::Ran ran = test::run({"bash", "-c", "printf %s " + shell_word(word)});
    CHECK(ran.out == word);
  }
}

}  // namespace
}  // namespace rl::ctl
