// Switches and trials while several processes call: each takes effect at the next call in all.
#include <doctest/doctest.h>

#include <sched.h>

#include "tests/in_processes.hpp"
#include "tests/support.hpp"

namespace rl {
namespace {

constexpr std::size_t kProcesses = 4;
constexpr std::uint64_t kBurst = 1'000;
constexpr std::uint64_t kSwitches = 100;

/// Numbers that all processes see.
enum Word : std::size_t { kStage, kCalls, kPassed, kOff, kWrong, kWords };

/// Stages count up: 3n while something is being switched, 3n + 1 off, 3n + 2 on.
enum class Stage : std::uint64_t { between, off, on };

/// Children that call without end while their parent switches something off and on.
class UnderLoad {
 public:
  /// `check(stage, decision)` judges a call that was made within one stage.
  template <class Check>
  void run(Limiter& api, const auto& switch_to, Check&& check) {
    std::vector<test::Child> children;
    for (std::size_t i = 0; i < kProcesses; ++i)
      children.emplace_back([&] { call_until_the_end(api, check); });
    for (std::uint64_t n = 0; n < kSwitches; ++n) {
      words_[kStage].store(3 * n);
      switch_to(n % 2 == 0 ? Stage::off : Stage::on);
      words_[kStage].store(3 * n + (n % 2 == 0 ? 1 : 2));
      const std::uint64_t calls = words_[kCalls].load();
      while (words_[kCalls].load() < calls + 40 * kProcesses) ::sched_yield();
    }
    words_[kStage].store(kEnd);
    for (test::Child& child : children) REQUIRE(child.wait() == 0);
  }
  [[nodiscard]] std::uint64_t count(Word word) { return words_[word].load(); }

 private:
  static constexpr std::uint64_t kEnd = ~std::uint64_t{0};

  template <class Check>
  void call_until_the_end(Limiter& api, const Check& check) {
    for (std::uint64_t before = 0; before != kEnd;) {
      before = words_[kStage].load();
      const Decision d = api.try_acquire("hot");
      const bool is_within = words_[kStage].load() == before && before != kEnd && before % 3 != 0;
      if (is_within && !check(static_cast<Stage>(before % 3), d)) ++words_[kWrong];
      words_[kPassed] += d.reason == Reason::ok ? 1 : 0;
      words_[kOff] += d.reason == Reason::off ? 1 : 0;
      ++words_[kCalls];
    }
  }

  test::Shared<std::atomic<std::uint64_t>> words_{kWords};
};

SegmentOptions by_hand() {
  return {.keys = 1'000, .clock = ClockSource::manual};
}

TEST_CASE("A_off_and_on_take_effect_at_the_next_call_in_all_processes_and_are_counted_exactly") {
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_day(1).burst(kBurst));
  UnderLoad load;
  load.run(
      api, [&](Stage to) { CHECK(segment->switch_limits(to == Stage::on)); },
      [](Stage stage, const Decision& d) {
        return stage == Stage::off ? d && d.reason == Reason::off
                                   : d.reason == Reason::ok || d.reason == Reason::limited;
      });
  CHECK(load.count(kWrong) == 0);
  CHECK(load.count(kOff) == segment->info().off_allowed);
  CHECK(load.count(kOff) >= kSwitches / 2);
  // Nothing was charged while they were off: the limit itself was given out, and no more.
  REQUIRE(segment->info().off_since.has_value() == false);
  std::uint64_t passed = load.count(kPassed);
  while (api.try_acquire("hot")) ++passed;
  CHECK(passed == kBurst);
}

TEST_CASE("A_shadow_takes_effect_at_the_next_call_in_all_processes_and_charges_only_what_passes") {
  test::Scratch segment(by_hand());
  const Limit limit = Limit::per_day(1).burst(kBurst);
  Limiter api = segment->limiter("api", limit);
  UnderLoad load;
  load.run(
      api, [&](Stage to) { segment->set_policy("api", limit.shadow(to == Stage::off)); },
      [](Stage stage, const Decision& d) {
        const Reason otherwise = stage == Stage::off ? Reason::shadow : Reason::limited;
        return d.reason == Reason::ok ||
               (d.reason == otherwise && d.allowed == (stage == Stage::off));
      });
  CHECK(load.count(kWrong) == 0);
  std::uint64_t passed = load.count(kPassed);
  CHECK(passed == kBurst);
  CHECK(api.peek("hot").remaining == 0);
}

TEST_CASE("A_a_trial_counts_every_call_of_four_processes_exactly") {
  constexpr std::uint64_t kKeys = 8;
  constexpr std::uint64_t kRounds = 200;
  test::Scratch segment(by_hand());
  Limiter api = segment->limiter("api", Limit::per_day(1).burst(300));
  segment->set_candidate("api", Limit::fixed_window(50, std::chrono::hours(24)));
  test::in_processes(kProcesses, [&](std::size_t) {
    for (std::uint64_t call = 0; call < kRounds * kKeys; ++call)
      (void)api.try_acquire("key" + std::to_string(call % kKeys));
  });
  const Comparison c = segment->compare("api").value();
  constexpr std::uint64_t kCallsInAll = kProcesses * kRounds * kKeys;
  CHECK(c.by_live.allowed == 300 * kKeys);
  CHECK(c.by_live.denied == kCallsInAll - 300 * kKeys);
  CHECK(c.by_candidate.allowed == 50 * kKeys);
  CHECK(c.by_candidate.denied == kCallsInAll - 50 * kKeys);
  CHECK(c.keys_denied >= kKeys);
  CHECK(c.keys_denied <= kKeys * kProcesses);
}

}  // namespace
}  // namespace rl
