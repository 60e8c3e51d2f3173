#include "shm/table.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <vector>

#include "tests/support.hpp"

namespace rl::shm {
namespace {

constexpr std::uint16_t kPolicy = 7;
constexpr KeyHash kKey{0xabcd, 0x1234'5678'9abc'def0, 2};
constexpr SlotWords kWhatEndsACall{make_tag(kKey.identity, kPolicy), 1};

/// A slot that calls a hook before each access: the test plays the rivals, at any point it likes.
class HookedSlot {
 public:
  static inline std::function<void()> before_access;

  /// While set, the caller is dead: it changes nothing more, and is shown what ends its call
  /// soonest.
  static inline bool killed = false;

  [[nodiscard]] std::uint64_t tag() const {
    hook();
    return killed ? kWhatEndsACall.tag : words_.tag;
  }
  [[nodiscard]] SlotWords words() const {
    hook();
    const std::uint64_t tag = words_.tag;
    hook();
    return killed ? kWhatEndsACall : SlotWords{tag, words_.state};
  }
  bool compare_exchange(SlotWords expected, SlotWords desired) {
    hook();
    if (killed) return true;
    if (words_ != expected) return false;
    words_ = desired;
    return true;
  }
  SlotWords& raw() { return words_; }

 private:
  static void hook() {
    if (!before_access) return;
    const auto hook =
        std::exchange(before_access, nullptr);  // rivals run whole operations, unhooked
    hook();
    if (!before_access) before_access = hook;
  }
  alignas(16) SlotWords words_;
};

/// Counts calls on a key: the state is the number of charges. 0 is idle; kSticky never is.
struct CountingRules {
  static constexpr std::uint64_t kSticky = 1'000'000;
  std::uint64_t most = ~std::uint64_t{0};
  bool evicts = true;
  std::uint64_t nonces = 1;
  int evicted = 0;
  int overwritten = 0;
  int freed = 0;
  bool allowed = false;

  Transition step(std::uint16_t, std::uint64_t state) noexcept {
    allowed = state < most;
    return {allowed ? Transition::store : Transition::keep, kPolicy, state + 1};
  }
  Transition first() noexcept { return step(kPolicy, 0); }
  Transition idle() noexcept { return {Transition::store, kPolicy, 0}; }
  void begin_judging() noexcept {}
  Standing judge(std::uint16_t, std::uint64_t state) noexcept {
    if (state == 0) return Standing::idle;
    return state == kSticky ? Standing::sticky : Standing::owing;
  }
  std::uint64_t tokens_owed(std::uint16_t, std::uint64_t state) noexcept { return state; }
  bool may_evict() noexcept { return evicts; }
  std::uint64_t nonce() noexcept { return nonces++; }
  void prefetch_beside(std::uint64_t) noexcept {}
  void on_evicted() noexcept { ++evicted; }
  void on_idle_overwritten() noexcept { ++overwritten; }
  void on_tentative_freed() noexcept { ++freed; }
};

/// The smallest table: every key has all of its slots.
struct TinyTable {
  std::unique_ptr<BasicPair<HookedSlot>[]> pairs = std::make_unique<BasicPair<HookedSlot>[]>(2);
  Table<HookedSlot> table{pairs.get(), 2};
  ~TinyTable() { HookedSlot::before_access = nullptr; }

  SlotWords& at(const KeyHash& key, int position) {
    return table.slot(table.candidates(key).slot_at(position)).raw();
  }
  void fill(const std::function<SlotWords(std::uint64_t)>& words) {
    for (std::uint64_t i = 0; i < table.slot_count(); ++i) table.slot(i).raw() = words(i);
  }
  int members(const KeyHash& key) {
    int count = 0;
    for (std::uint64_t i = 0; i < table.slot_count(); ++i) {
      count += is_member_of(table.slot(i).raw().tag, key.identity) ? 1 : 0;
    }
    return count;
  }
  SlotWords member(const KeyHash& key) {
    const std::uint64_t index = table.find(key);
    REQUIRE(index != table.kNowhere);
    return table.slot(index).raw();
  }
};

SlotWords tentative(std::uint64_t identity, std::uint64_t nonce) {
  return {make_tag(identity, 0), nonce};
}
SlotWords member_words(std::uint64_t identity, std::uint64_t state) {
  return {make_tag(identity, kPolicy), state};
}

TEST_CASE("the_first_call_inserts_the_key_in_its_home_line_with_the_first_charge_in_it") {
  TinyTable t;
  CountingRules rules;
  const Update update = t.table.update(kKey, rules);
  CHECK(update.outcome == Update::decided);
  CHECK(update.promoted);
  CHECK(update.slot_index == t.table.candidates(kKey).slot_at(0));
  CHECK(t.member(kKey) == member_words(kKey.identity, 1));
}

TEST_CASE("further_calls_step_the_same_slot") {
  TinyTable t;
  CountingRules rules;
  for (std::uint64_t i = 1; i <= 5; ++i) {
    const Update update = t.table.update(kKey, rules);
    CHECK(update.promoted == (i == 1));
    CHECK(t.member(kKey).state == i);
  }
  CHECK(t.members(kKey) == 1);
}

TEST_CASE("a_denial_changes_no_slot") {
  TinyTable t;
  CountingRules rules;
  rules.most = 1;
  (void)t.table.update(kKey, rules);
  const SlotWords before = t.member(kKey);
  const Update update = t.table.update(kKey, rules);
  CHECK(update.has_slot);
  CHECK_FALSE(rules.allowed);
  CHECK(t.member(kKey) == before);
}

TEST_CASE("a_call_that_would_not_charge_takes_no_slot") {
  TinyTable t;
  CountingRules rules;
  rules.most = 0;
  const Update update = t.table.update(kKey, rules);
  CHECK(update.outcome == Update::decided);
  CHECK_FALSE(update.has_slot);
  CHECK(t.members(kKey) == 0);
}

TEST_CASE("a_tentative_left_by_a_dead_process_is_finished_by_the_next_call_at_every_place") {
  for (int position = 0; position < CandidateList::kSize; ++position) {
    CAPTURE(position);
    TinyTable t;
    CountingRules rules;
    t.at(kKey, position) = tentative(kKey.identity, 99);
    const Update update = t.table.update(kKey, rules);
    CHECK(update.outcome == Update::decided);
    CHECK(t.members(kKey) == 1);
    CHECK(t.at(kKey, position) == member_words(kKey.identity, 1));
    CHECK(update.promoted);
  }
}

TEST_CASE("of_two_tentatives_of_dead_processes_one_becomes_the_member") {
  for (int a = 0; a < CandidateList::kSize; ++a) {
    for (int b = 0; b < CandidateList::kSize; ++b) {
      if (a == b) continue;
      TinyTable t;
      CountingRules rules;
      t.at(kKey, a) = tentative(kKey.identity, 98);
      t.at(kKey, b) = tentative(kKey.identity, 99);
      (void)t.table.update(kKey, rules);
      REQUIRE(t.members(kKey) == 1);
      REQUIRE(t.member(kKey).state == 1);
      REQUIRE(is_free(t.at(kKey, std::max(a, b))));
    }
  }
}

TEST_CASE("an_idle_slot_of_another_key_is_overwritten_when_the_list_is_full") {
  TinyTable t;
  CountingRules rules;
  t.fill([](std::uint64_t i) { return member_words(1'000 + i, i == 11 ? 0 : 5); });
  const Update update = t.table.update(kKey, rules);
  CHECK(update.slot_index == 11);
  CHECK(rules.overwritten == 1);
  CHECK(rules.evicted == 0);
}

TEST_CASE("evict_takes_the_slot_that_owes_least_and_never_a_sticky_one") {
  TinyTable t;
  CountingRules rules;
  t.fill([](std::uint64_t i) {
    return member_words(1'000 + i, i < 4 ? CountingRules::kSticky : i == 9 ? 2 : 5);
  });
  const Update update = t.table.update(kKey, rules);
  CHECK(update.slot_index == 9);
  CHECK(rules.evicted == 1);
}

TEST_CASE("without_eviction_a_full_list_is_full") {
  TinyTable t;
  CountingRules rules;
  rules.evicts = false;
  t.fill([](std::uint64_t i) { return member_words(1'000 + i, 5); });
  CHECK(t.table.update(kKey, rules).outcome == Update::full);
  rules.evicts = true;
  t.fill([](std::uint64_t i) { return member_words(1'000 + i, CountingRules::kSticky); });
  CHECK(t.table.update(kKey, rules).outcome == Update::full);
}

TEST_CASE("a_foreign_tentative_that_stands_still_is_displaced_and_one_that_moves_is_not") {
  TinyTable t;
  CountingRules rules;
  rules.evicts = false;
  t.fill(
      [](std::uint64_t i) { return i == 6 ? tentative(5'000, 77) : member_words(1'000 + i, 5); });
  const Update update = t.table.update(kKey, rules);
  CHECK(update.outcome == Update::decided);
  CHECK(update.slot_index == 6);
  CHECK(rules.freed == 1);

  TinyTable moving;
  moving.fill(
      [](std::uint64_t i) { return i == 6 ? tentative(5'000, 77) : member_words(1'000 + i, 5); });
  HookedSlot::before_access = [&] { ++moving.table.slot(6).raw().state; };
  // Every scan sees another owner, so nothing is taken from anybody; the call ends all the same.
  CHECK(moving.table.update(kKey, rules).outcome == Update::gave_up);
}

TEST_CASE("corrupt_slots_match_no_key_and_stop_nobody") {
  TinyTable t;
  CountingRules rules;
  t.fill([](std::uint64_t i) {
    return i % 3 == 0 ? SlotWords{i % 2, 12'345}
                      : SlotWords{};  // an identity of 0, with and without a policy
  });
  CHECK(t.table.update(kKey, rules).outcome == Update::decided);
  CHECK(t.members(kKey) == 1);

  t.fill([](std::uint64_t) { return SlotWords{3, 12'345}; });
  CHECK(t.table.update(kKey, rules).outcome == Update::full);
}

TEST_CASE("a_tentative_with_nonce_0_is_finished_like_any_other") {
  TinyTable t;
  CountingRules rules;
  t.at(kKey, 3) = tentative(kKey.identity, 0);
  t.at(kKey, 9) = tentative(kKey.identity, 0);
  CHECK(t.table.update(kKey, rules).outcome == Update::decided);
  CHECK(t.members(kKey) == 1);
}

TEST_CASE(
    "a_step_of_a_slot_by_its_index_meets_a_rival_at_every_access_and_never_steps_another_key") {
  const SlotWords another{make_tag(kKey.identity + 1, kPolicy), 5};
  const SlotWords charged{make_tag(kKey.identity, kPolicy), 40};
  for (const SlotWords& by_rival : {another, charged, SlotWords{}}) {
    int stepped = 0;
    bool rival_came = true;
    for (int at = 0; rival_came; ++at) {
      TinyTable t;
      CountingRules rules;
      const std::uint64_t index = t.table.update(kKey, rules).slot_index;
      rival_came = false;
      int accesses = 0;
      HookedSlot::before_access = [&] {
        if (accesses++ != at) return;
        rival_came = true;
        t.table.slot(index).raw() = by_rival;
      };
      const bool done = t.table.step_member_at(
          index, kKey.identity, [](std::uint16_t policy, std::uint64_t state) noexcept {
            return Transition{Transition::store, policy, state + 100};
          });
      HookedSlot::before_access = nullptr;
      const SlotWords& now = t.table.slot(index).raw();
      const SlotWords after{charged.tag, by_rival.state + 100};
      if (!rival_came) REQUIRE(now == SlotWords{charged.tag, 101});
      if (rival_came && by_rival == charged) REQUIRE((done && now == after));
      if (rival_came && by_rival != charged) REQUIRE((!done && now == by_rival));
      stepped += done ? 1 : 0;
    }
    CHECK(stepped >= 1);
  }
}

TEST_CASE("what_nobody_sees_yet_is_put_into_a_free_slot_and_into_no_other") {
  TinyTable t;
  const SlotWords member{make_tag(kKey.identity, kPolicy), 3};
  CHECK(t.table.put_unseen(5, member));
  CHECK(t.table.slot(5).raw() == member);
  CHECK_FALSE(t.table.put_unseen(5, {make_tag(kKey.identity + 1, kPolicy), 9}));
  CHECK(t.table.slot(5).raw() == member);
}

// The heart: at every access of one insert, a rival runs a whole call, or frees, or dies half-way.
// Never two members, never a charge lost.
TEST_CASE("an_insert_meets_a_whole_call_of_a_rival_at_every_access") {
  // With room; on a full list where the key itself would be the cheapest to evict; where idle slots
  // are taken.
  for (const std::uint64_t others_owe : {std::uint64_t{0}, std::uint64_t{5}}) {
    for (const bool full : {false, true}) {
      int points = 0;
      for (int at = 0;; ++at) {
        TinyTable t;
        if (full) t.fill([&](std::uint64_t i) { return member_words(1'000 + i, others_owe); });
        CountingRules rules;
        CountingRules rival;
        rival.nonces = 1'000;
        int accesses = 0;
        HookedSlot::before_access = [&] {
          if (accesses++ == at) (void)t.table.update(kKey, rival);
        };
        const Update update = t.table.update(kKey, rules);
        HookedSlot::before_access = nullptr;
        REQUIRE(update.outcome == Update::decided);
        REQUIRE(t.members(kKey) == 1);
        REQUIRE(t.member(kKey).state == (accesses > at ? 2 : 1));
        if (accesses <= at) break;
        ++points;
      }
      MESSAGE("points tried: " << points);
      CHECK(points > 50);
    }
  }
}

TEST_CASE("a_rival_killed_at_each_of_its_accesses_meets_an_insert_at_each_of_its_own") {
  int pairs = 0;
  int dead_who_charged = 0;
  bool at_was_reached = true;
  for (int at = 0; at_was_reached; ++at) {
    at_was_reached = false;
    bool rival_was_killed = true;
    for (int kill_at = 0; rival_was_killed; ++kill_at) {
      rival_was_killed = false;
      TinyTable t;
      CountingRules rules;
      CountingRules rival;
      rival.nonces = 1'000;
      int accesses = 0;
      HookedSlot::before_access = [&] {
        if (accesses++ != at) return;
        at_was_reached = true;
        int steps = 0;
        HookedSlot::before_access = [&] {
          HookedSlot::killed = HookedSlot::killed || steps++ == kill_at;
        };
        (void)t.table.update(kKey, rival);
        rival_was_killed = std::exchange(HookedSlot::killed, false);
        HookedSlot::before_access = nullptr;
      };
      const Update update = t.table.update(kKey, rules);
      HookedSlot::before_access = nullptr;
      if (!at_was_reached) break;
      REQUIRE(update.outcome == Update::decided);
      REQUIRE(t.members(kKey) == 1);
      const std::uint64_t charges = t.member(kKey).state;
      REQUIRE(charges <= 2);
      REQUIRE(charges >= (rival_was_killed ? 1 : 2));
      dead_who_charged += rival_was_killed && charges == 2 ? 1 : 0;
      ++pairs;
    }
  }
  MESSAGE("pairs of points tried: " << pairs);
  CHECK(pairs > 1'000);
  CHECK(dead_who_charged == 0);  // a call's charge is its last access to the table
}

}  // namespace
}  // namespace rl::shm
