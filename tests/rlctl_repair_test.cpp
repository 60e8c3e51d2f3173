// rlctl repair: what none can hold is freed or cut, and what is sound is left alone.
#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <random>
#include <vector>

#include "tests/diagnosed.hpp"
#include "tools/rlctl/doctor/damage.hpp"
#include "tools/rlctl/selftest/table_check.hpp"

namespace rl::test {
namespace {

constexpr std::uint64_t kNonce = std::uint64_t{1} << 63;

/// Returns the lines of a repair by what is wrong.
std::map<std::string, std::vector<Json>> by_fault(const Ran& ran) {
  std::map<std::string, std::vector<Json>> rows;
  for (Json& row : json_lines(ran.out)) rows[row["wrong"]].push_back(std::move(row));
  return rows;
}

/// A segment with sound keys, and one slot of each kind that is not.
struct Spoiled : Made {
  Spoiled() {
    policy("api", "1/h burst=3");
    for (int i = 0; i < 20; ++i)
      REQUIRE(rlctl({"acquire", name(), "api", "k" + std::to_string(i)}).exit_code == 0);
    sound = listed();
    REQUIRE(rlctl({"acquire", name(), "api", "far"}).exit_code == 0);
    Spoiler spoiler(path());
    spoiler.plant({0, 7}, 50);
    spoiler.plant({shm::make_tag(0, 1), 0}, 60);
    spoiler.plant({shm::make_tag(11, 0), 0}, 70);
    spoiler.plant({shm::make_tag(12, 9), 1}, 80);
    spoiler.replace("api", "far", std::uint64_t{1} << 61);
    bool is_planted = false;
    for (int i = 0; i < 20 && !is_planted; ++i)
      is_planted = spoiler.plant_second("api", "k" + std::to_string(i));
    REQUIRE(is_planted);
  }
  /// Returns what is told of the sound keys, in any order.
  [[nodiscard]] std::vector<std::string> listed() const {
    std::vector<std::string> rows;
    for (const Json& row : json_lines(rlctl({"list", name(), "--json"}).out))
      if (row["key"].is_string() && row["key"] != "far") rows.push_back(row.dump());
    std::sort(rows.begin(), rows.end());
    return rows;
  }
  std::vector<std::string> sound;
};

TEST_CASE("without_yes_all_is_shown_and_nothing_is_changed") {
  const Spoiled segment;
  const std::string before = contents(segment.path());
  const Ran text = rlctl({"repair", segment.name()});
  CHECK(text.exit_code == 1);
  CHECK(text.err == "");
  CHECK(text.out.starts_with("slot"));
  CHECK(text.out.ends_with("6 of 184 slots are to be mended; `rlctl repair " + segment.name() +
                           " --yes` does it\n"));
  const auto rows = by_fault(rlctl({"repair", segment.name(), "--json"}));
  CHECK(rows.at("neither free, nor an insert, nor a key").size() == 2);
  CHECK(rows.at("an insert without a nonce").size() == 1);
  CHECK(rows.at("its policy is none of the list").size() == 1);
  CHECK(rows.at("its key has another slot, too").size() == 1);
  REQUIRE(rows.at("it owes more than its limit allows").size() == 1);
  const Json& far = rows.at("it owes more than its limit allows").front();
  CHECK(far["key"] == "far");
  CHECK(far["policy"] == "api");
  CHECK(far["mend"] == "cut to its limit");
  CHECK(far["mended"] == false);
  CHECK(contents(segment.path()) == before);
}

TEST_CASE("S_with_yes_all_is_mended_and_the_sound_is_as_it_was") {
  const Spoiled segment;
  const Ran ran = rlctl({"repair", segment.name(), "--yes"});
  CHECK(ran.exit_code == 0);
  CHECK(ran.out.ends_with(segment.name() + ": 6 of 6 slots mended\n"));
  CHECK(segment.listed() == segment.sound);
  check_answer(rlctl({"repair", segment.name()}), 0,
               segment.name() + ": all 184 slots are sound\n");
  CHECK(rlctl({"repair", segment.name(), "--json"}).out == "");
  CHECK(selftest::check_table(segment.path()).faults.empty());
  CHECK(rlctl({"info", segment.name()}).out.find("1 states clamped") != std::string::npos);
  // Cut is not forgotten: the key is at its limit.
  CHECK(rlctl({"acquire", segment.name(), "api", "far"}).exit_code == 1);
}

TEST_CASE("what_was_mended_is_in_the_journal_and_what_was_only_shown_is_not") {
  const Spoiled segment;
  const auto told = [&] {
    std::map<std::string, Json> of;
    for (const Json& row : json_lines(rlctl({"history", segment.name(), "--json"}).out))
      if (row["change"] == "repaired") of.insert_or_assign(row["before"], row);
    return of;
  };
  REQUIRE(rlctl({"repair", segment.name()}).exit_code == 1);
  CHECK(told().empty());
  REQUIRE(rlctl({"repair", segment.name(), "--yes"}).exit_code == 0);
  const auto rows = told();
  CHECK(rows.size() == 5);  // of six slots two have the same wrong
  const Json& far = rows.at("it owes more than its limit allows");
  CHECK(far["policy"] == "api");
  CHECK(far["key"] == "far");
  CHECK(far["after"] == "cut to its limit");
  CHECK(rows.at("its policy is none of the list")["key"] == "");
  CHECK(rows.at("its policy is none of the list")["after"] == "freed");
  CHECK(rlctl({"events", segment.name()}).out.find("repaired") != std::string::npos);
  REQUIRE(rlctl({"repair", segment.name(), "--yes"}).exit_code == 0);
  CHECK(told().size() == 5);
}

TEST_CASE("a_repair_of_many_slots_leaves_the_journal_room_for_the_rest") {
  const Made segment;
  segment.policy("api", "1/h");
  Spoiler spoiler(segment.path());
  for (std::uint64_t i = 0; i < 100; ++i) spoiler.plant({0, 7}, i);
  REQUIRE(rlctl({"repair", segment.name(), "--yes"}).exit_code == 0);
  const std::vector<Json> rows = json_lines(rlctl({"history", segment.name(), "--json"}).out);
  REQUIRE(rows.size() == 1 + 16 + 1);
  CHECK(rows.front()["change"] == "policy set");
  CHECK(rows.back()["change"] == "repaired");
  CHECK(rows.back()["reason"] == "84 more slots");
}

TEST_CASE("an_insert_that_nobody_finishes_is_freed_and_one_of_a_living_process_goes_on") {
  const Made segment;
  segment.policy("api", "1/h");
  Spoiler spoiler(segment.path());
  const std::uint64_t at = spoiler.plant({shm::make_tag(12, 0), kNonce | 5});
  const auto rows = by_fault(rlctl({"repair", segment.name(), "--json"}));
  REQUIRE(rows.at("an insert that was abandoned").size() == 1);
  CHECK(rows.at("an insert that was abandoned")[0]["slot"] == at);
  CHECK(rlctl({"repair", segment.name(), "--yes"}).exit_code == 0);
  CHECK(shm::is_free(spoiler.view().table.slot(at).words()));
  CHECK(rlctl({"acquire", segment.name(), "api", "k"}).exit_code == 0);
}

TEST_CASE("overrides_bans_allowed_keys_permits_and_trials_are_sound") {
  Scratch segment({.keys = 1'000});
  Limiter api = segment->limiter(
      "api", Limit::per_hour(2).ban_after(2, std::chrono::minutes(1), std::chrono::minutes(1)));
  Limiter slots = segment->limiter("slots", Limit::concurrency(3, std::chrono::hours(1)));
  segment->set_override("api", "vip", Limit::per_hour(9));
  segment->ban("api", "bad", kNever);
  segment->allow("api", "good");
  const Permit permit = slots.permit("k");
  for (int i = 0; i < 9; ++i) (void)api.try_acquire("loud");
  segment->set_candidate("api", Limit::per_hour(1));
  for (int i = 0; i < 3; ++i) (void)api.try_acquire("tried");
  segment->set_policy("api", Limit::per_hour(7));
  for (const char* key : {"vip", "bad", "good", "tried", "new"}) (void)api.try_acquire(key);
  check_answer(
      rlctl({"repair", segment.name()}), 0,
      segment.name() + ": all " + std::to_string(segment->info().slots) + " slots are sound\n");
  CHECK(permit.holds());
}

TEST_CASE("S_hostile_bytes_in_every_slot_leave_a_table_that_is_right") {
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  for (int round = 0; round < 5; ++round) {
    const Made segment;
    segment.policy("api", "1/h burst=3");
    segment.policy("win", "window 5/m");
    segment.policy("slots", "concurrency 3");
    Spoiler spoiler(segment.path());
    const std::uint64_t slots = spoiler.view().table.slot_count();
    for (std::uint64_t i = 0; i < slots; ++i) {
      const std::uint16_t policies[] = {0, 1, 2, 3, 4, 999, static_cast<std::uint16_t>(random())};
      const std::uint64_t identity = random() % 4 == 0 ? 0 : random() >> 16;
      const std::uint64_t states[] = {0, 1, random(), random() >> 20, kNonce | random()};
      spoiler.plant({shm::make_tag(identity, policies[random() % 7]), states[random() % 5]}, i);
      if (i % 3 == 0) ++i;
    }
    const Ran ran = rlctl({"repair", segment.name(), "--yes", "--json"});
    CHECK(ran.err == "");
    CHECK(ran.exit_code == 0);
    CHECK(json_lines(ran.out).size() > 20);
    CHECK(rlctl({"repair", segment.name()}).exit_code == 0);
    const selftest::TableCheck check = selftest::check_table(spoiler.view().mapping, std::nullopt);
    for (const std::string& fault : check.faults) MESSAGE(fault);
    CHECK(check.faults.empty());
  }
}

TEST_CASE("a_slot_that_changed_since_it_was_shown_is_left") {
  const Made segment;
  segment.policy("api", "1/h");
  Spoiler spoiler(segment.path());
  const std::uint64_t at = spoiler.plant({shm::make_tag(12, 9), 1});
  const std::vector<ctl::Damage> damage = ctl::damage_of(spoiler.view());
  REQUIRE(damage.size() == 1);
  shm::Slot& slot = spoiler.view().mapping.table().slot(at);
  REQUIRE(slot.compare_exchange(slot.words(), {shm::make_tag(12, 9), 2}));
  CHECK(!ctl::mend(spoiler.view(), damage[0]));
  CHECK(slot.words() == shm::SlotWords{shm::make_tag(12, 9), 2});
}

TEST_CASE("A_S_of_a_live_segment_nothing_sound_is_touched") {
  constexpr std::uint64_t kBurst = 2'000;
  constexpr int kKeys = 8;
  constexpr int kRounds = 15;
  Scratch segment({.keys = 1'000, .clock = ClockSource::manual});
  (void)segment->limiter("api", Limit::per_day(kBurst));
  Shared<std::atomic<std::uint64_t>> admitted(kKeys);
  Shared<std::atomic<bool>> over;
  Shared<std::atomic<std::uint64_t>> calls;
  std::vector<Child> workers;
  for (int worker = 0; worker < 4; ++worker) {
    workers.emplace_back([&, worker] {
      Segment own = Segment::open(segment.name());
      Limiter api = own.limiter("api");
      for (std::uint64_t i = 0; !over[0].load(); ++i) {
        const int key = static_cast<int>((i + static_cast<std::uint64_t>(worker)) % kKeys);
        if (api.try_acquire("k" + std::to_string(key))) admitted[key].fetch_add(1);
        // Keys that come and go beside them: inserts under way all the time.
        (void)api.try_acquire("n" + std::to_string(i % 300) + "-" + std::to_string(worker));
        calls[0].fetch_add(1);
      }
    });
  }
  REQUIRE(poll_until([&] { return calls[0].load() > 5'000; }));
  std::mt19937_64 random(seed());
  INFO("seed ", seed());
  Spoiler spoiler(segment.path());
  std::uint64_t mended = 0;
  for (int round = 0; round < kRounds; ++round) {
    spoiler.plant({0, random() | 1}, random());
    spoiler.plant({shm::make_tag(0, 1), random()}, random());
    spoiler.plant({shm::make_tag(random() >> 16 | 1, 9), random()}, random());
    for (int key = 0; key < kKeys; ++key)
      (void)spoiler.plant_second("api", "k" + std::to_string(key));
    const Ran ran = rlctl({"repair", segment.name(), "--yes", "--json"});
    CHECK(ran.err == "");
    for (const Json& row : json_lines(ran.out)) mended += row["mended"] == true ? 1U : 0U;
  }
  const auto is_spent = [&] {
    for (int key = 0; key < kKeys; ++key)
      if (admitted[key].load() < kBurst) return false;
    return true;
  };
  CHECK(poll_until(is_spent));
  over[0].store(true);
  for (Child& worker : workers) CHECK(worker.wait() == 0);
  CHECK(mended >= kRounds * 3U);
  for (int key = 0; key < kKeys; ++key) CHECK(admitted[key].load() == kBurst);
  CHECK(rlctl({"repair", segment.name(), "--yes"}).exit_code == 0);
  const selftest::TableCheck check = selftest::check_table(spoiler.view().mapping, std::nullopt);
  for (const std::string& fault : check.faults) MESSAGE(fault);
  CHECK(check.faults.empty());
}

TEST_CASE("what_cannot_be_repaired_is_an_error") {
  const std::string name = unique_name();
  check_error(rlctl({"repair", name}), "no such segment");
  const Made segment;
  std::ofstream(segment.path(), std::ios::trunc) << "something else";
  check_error(rlctl({"repair", segment.name(), "--yes"}), "too short for a librl segment");
  std::filesystem::remove(segment.path());
}

}  // namespace
}  // namespace rl::test
