/// \file
/// What a decision costs when many keys, or several limits, are asked at once, beside one by one.
#include <fmt/format.h>

#include <array>
#include <stdexcept>

#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/rounds.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"

namespace rl::bench {
namespace {

/// Limiter::try_acquire, one call a step.
struct OneByOne {
  Limiter limiter;
  RandomKeys keys;
  void start(unsigned round) { keys.start(round); }
  bool operator()() { return limiter.try_acquire(KeyText(keys.next()).view()).allowed; }
};

/// Limiter::try_acquire_batch: a step makes one key, and every so many steps all are decided.
template <std::size_t kKeys>
struct Batches {
  Limiter limiter;
  RandomKeys keys;
  std::array<KeyText, kKeys> texts = {};
  std::array<std::string_view, kKeys> views = {};
  std::array<Decision, kKeys> decisions = {};
  std::size_t made = 0;

  void start(unsigned round) {
    keys.start(round);
    made = 0;
  }
  bool operator()() {
    const KeyText& text = texts[made] = KeyText(keys.next());
    views[made] = text.view();
    if (++made < kKeys) return true;
    made = 0;
    limiter.try_acquire_batch(views, decisions);
    return decisions[0].allowed;
  }
};

/// The floor of a batch: hash all and ask for their lines, read the clock once, then swap.
template <std::size_t kKeys, class Clock>
struct FloorBatches {
  const FloorArray& array;
  RandomKeys keys;
  Clock clock;
  std::array<KeyText, kKeys> texts = {};
  std::array<shm::Hash128, kKeys> hashes = {};
  std::size_t made = 0;

  void start(unsigned round) {
    keys.start(round);
    made = 0;
  }
  bool operator()() {
    texts[made] = KeyText(keys.next());
    if (++made < kKeys) return true;
    made = 0;
    for (std::size_t i = 0; i < kKeys; ++i) hashes[i] = array.ask(texts[i].view());
    const Reading reading{clock.now()};
    bool swapped = true;
    for (const shm::Hash128& hash : hashes) swapped &= array.swap(hash, reading);
    return swapped;
  }
};

/// all_of, or the same calls each by itself.
template <bool kTogether>
struct TwoLimits {
  Limiter first;
  Limiter second;
  HotKey keys;
  void start(unsigned round) { keys.start(round); }
  bool operator()() {
    const KeyText key(keys.next());
    if constexpr (kTogether)
      return all_of({{first, key.view()}, {second, key.view()}}).decision.allowed;
    return first.try_acquire(key.view()) && second.try_acquire(key.view());
  }
};

void together_row(Report& report) {
  Scratch segment(SegmentOptions{});
  const Limiter first = segment->limiter("first", Limit::per_second(1'000'000'000));
  const Limiter second = segment->limiter("second", Limit::per_second(1'000'000'000));
  report.add(compare("two limits, one hot key",
                     {contender("all_of", TwoLimits<true>{first, second, {}}),
                      contender("one by one", TwoLimits<false>{first, second, {}})},
                     report.options()));
}

/// Rows on so many keys at random, which all live in a table that promises room for just them.
void random_rows(Report& report, std::uint32_t count, double seconds) {
  Scratch segment({.keys = count});
  Limiter limiter = segment->limiter("generous", Limit::per_second(1'000'000'000));
  for (std::uint32_t i = 0; i < count; ++i) {
    if (!limiter.try_acquire(KeyText(i).view()))
      throw std::runtime_error("a row is not what it says it is");
  }
  const RandomKeys keys(count);
  const FloorArray array(table_bytes(count));
  with_bare_clock([&](auto clock) {
    using Clock = decltype(clock);
    const auto row = [&]<std::size_t kKeys>(const std::vector<Goal>& goals) {
      report.add(
          compare(
              fmt::format("{} of {} keys at random", kKeys, count),
              {contender("batch", Batches<kKeys>{limiter, keys}),
               contender("floor of a batch", FloorBatches<kKeys, Clock>{array, keys, clock}),
               contender("one by one", OneByOne{limiter, keys}),
               contender("floor, one by one", FloorSwaps<RandomKeys, Clock>{array, keys, clock})},
              report.options(), seconds),
          goals);
    };
    // Six times as many decisions a second, where keys are not in the cache.
    const std::vector<Goal> goals{{"one by one", at_most(1.0 / 6)}};
    row.template operator()<8>({});
    row.template operator()<32>(count > 1'000 ? goals : std::vector<Goal>{});
    row.template operator()<1024>({});
  });
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times batches and all_of beside one by one.");
  Options options;
  bool deep = false;
  add_options(app, options);
  app.add_flag("--deep", deep, "16,000,000 keys, too: 1.8 GiB of /dev/shm");
  CLI11_PARSE(app, argc, argv);
  Report report(options, "Decisions together: CPU time, beside one by one, in turns", "ns");
  const auto rows = [&](std::uint32_t count, double seconds) {
    try {
      random_rows(report, count, seconds);
    } catch (const Error& e) {
      report.skip(fmt::format("{} keys at random", count), e.what());
    }
  };
  together_row(report);
  rows(1'000, 0.05);
  rows(options.quick ? 20'000 : 1'000'000, 0.25);
  if (deep) rows(16'000'000, 0.25);
  if (!deep) report.skip("16000000 keys at random", "--deep has it");
  report.finish();
  return 0;
}

}  // namespace rl::bench
