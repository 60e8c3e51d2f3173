/// \file
/// Why a key's candidate slots are what they are: how often its list is full, how many lines a hit
/// reads, and what that costs.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <random>
#include <vector>

#include "bench/common.hpp"
#include "bench/lists.hpp"
#include "bench/loops.hpp"
#include "bench/rounds.hpp"
#include "bench/scratch.hpp"
#include "shm/geometry.hpp"

namespace rl::bench {
namespace {

/// Random numbers that a printed seed repeats.
class Random {
 public:
  explicit Random(std::uint64_t seed) noexcept : at_(mix(seed)) {}
  std::uint64_t operator()() noexcept { return mix(at_ += 0x9e37'79b9'7f4a'7c15U); }
  std::uint32_t below(std::size_t limit) noexcept {
    return static_cast<std::uint32_t>(((*this)() >> 32) * limit >> 32);
  }
  shm::Hash128 hash() noexcept { return {(*this)(), (*this)()}; }

 private:
  std::uint64_t at_;
};

/// How often something failed.
struct Failures {
  std::uint64_t tries = 0;
  std::uint64_t failed = 0;
  [[nodiscard]] double per_million() const {
    return 1e6 * static_cast<double>(failed) / static_cast<double>(tries);
  }
  [[nodiscard]] std::string text() const {
    if (failed == 0) return fmt::format("0 of {:.2g}M", static_cast<double>(tries) / 1e6);
    return fmt::format("{:.3g}", per_million());
  }
};

/// What a way did at one load.
struct Outcome {
  Failures fill;
  Failures churn;
  double home_share = 0;
  double lines_in_order = 0;     ///< read by a hit, if the list is searched from first to last
  double lines_home_second = 0;  ///< if the first line of the second pair comes before home's other
};

/// Drives one way: fills it, again and again, and then erases and inserts with all keys alive.
class Driver {
 public:
  using Make = std::function<std::unique_ptr<Way>()>;
  Driver(Make make, std::uint64_t slots, double load, std::uint64_t seed)
      : make_(std::move(make)),
        live_max_(static_cast<std::size_t>(static_cast<double>(slots) * load)),
        random_(seed) {}

  Outcome run(std::uint64_t inserts) {
    Outcome outcome;
    while (outcome.fill.tries < inserts / 4) {
      way_ = make_();
      live_.clear();
      while (live_.size() < live_max_) insert(outcome.fill);
    }
    // A churned table is worse than a filled one, and takes some turns of all keys to become so.
    Failures settling;
    for (std::uint64_t i = 0; i < 10 * live_max_; ++i) replace(settling);
    std::array<std::uint64_t, 6> hits{};  // by line; a window may touch five
    for (std::uint64_t i = 0; i < inserts; ++i) {
      ++hits[replace(outcome.churn).lines];  // a key at random: as good as a hit
    }
    const auto mean = [&](const std::array<int, 6>& lines_read) {
      std::uint64_t sum = 0;
      for (std::size_t i = 0; i < hits.size(); ++i) {
        sum += hits[i] * static_cast<std::uint64_t>(lines_read[i]);
      }
      return static_cast<double>(sum) / static_cast<double>(inserts);
    };
    outcome.home_share = mean({0, 1, 0, 0, 0, 0});
    outcome.lines_in_order = mean({0, 1, 2, 3, 4, 5});
    outcome.lines_home_second = mean({0, 1, 3, 2, 4, 5});
    return outcome;
  }

 private:
  void insert(Failures& failures) {
    ++failures.tries;
    if (const auto taken = way_->insert(random_.hash())) {
      live_.push_back(*taken);
    } else {
      ++failures.failed;
    }
  }
  /// Erases a key at random and inserts another. Returns where the erased one was.
  Taken replace(Failures& failures) {
    Taken& any = live_[random_.below(live_.size())];
    const Taken left = any;
    way_->erase(left.slot);
    any = live_.back();
    live_.pop_back();
    while (live_.size() < live_max_) insert(failures);
    return left;
  }

  Make make_;
  std::size_t live_max_;
  Random random_;
  std::unique_ptr<Way> way_;
  std::vector<Taken> live_;
};

/// A way with its name.
struct Candidate {
  std::string name;
  Driver::Make make;
};

constexpr std::uint64_t kPairs = 8'192;
constexpr std::uint64_t kSlots = kPairs * 8;

Candidate four_lines(std::string name, FourLines::Rule rule) {
  return {std::move(name), [rule] { return std::make_unique<FourLines>(kPairs, rule); }};
}

std::vector<Candidate> candidates() {
  return {
      {"shipped: shm::Table itself",
       [] { return std::make_unique<ShippedTable>(kPairs, Erased::is_free); }},
      {"shipped, erased keys stay as idle ones",
       [] { return std::make_unique<ShippedTable>(kPairs, Erased::is_idle); }},
      four_lines("4 lines: home, pair <= 4", rule::home_by_pair<4>),
      four_lines("4 lines: home, pair <= 3", rule::home_by_pair<3>),
      four_lines("4 lines: home, pair <= 5", rule::home_by_pair<5>),
      four_lines("4 lines: home < 3, least used", rule::home_by_line<3>),
      four_lines("4 lines: home < 4, least used", rule::home_by_line<4>),
      four_lines("2 groups of 8, the emptier", rule::emptier_pair),
      {"1 window of 16", [] { return std::make_unique<Window>(kSlots); }},
  };
}

/// The load of a table that holds what it promised.
constexpr double kShippedLoad =
    static_cast<double>(shm::kKeysPer) / static_cast<double>(shm::kSlotsPer);

void simulate(Report& report, std::uint64_t inserts, std::uint64_t seed) {
  std::vector<double> loads = {0.5, kShippedLoad, 0.6, 0.65, 0.7};
  std::sort(loads.begin(), loads.end());
  const std::vector<Candidate> all = candidates();
  Outcome shipped;
  for (const double load : loads) {
    Grid grid{fmt::format("load {:.4g}{}", load,
                          load == kShippedLoad ? ": all the keys that the table promises" : ""),
              {"way", "full lists, fill", "full lists, churn", "hits at home", "lines: A A' B B'",
               "A B A' B'"},
              {}};
    const std::uint64_t many = load == kShippedLoad ? 5 * inserts : inserts;
    for (const Candidate& candidate : all) {
      const Outcome outcome = Driver(candidate.make, kSlots, load, seed).run(many);
      if (load == kShippedLoad && &candidate == &all.front()) shipped = outcome;
      grid.rows.push_back({candidate.name, outcome.fill.text(), outcome.churn.text(),
                           fmt::format("{:.1f} %", 100 * outcome.home_share),
                           fmt::format("{:.2f}", outcome.lines_in_order),
                           fmt::format("{:.2f}", outcome.lines_home_second)});
    }
    report.add(grid);
  }
  const std::string row = "full lists of a million inserts, all keys live";
  report.hold(row, "filled", shipped.fill.per_million(), at_most(1));
  report.hold(row, "churned", shipped.churn.per_million(), at_most(1));
  report.note(fmt::format(
      "Full lists are per million inserts. A is the home line, A' the other of its pair, B and B' "
      "the second pair; the columns under them are lines read by a hit. A table of {} slots; churn "
      "is {} inserts, {} at load {:.4g}. Seed {}.",
      kSlots, inserts, 5 * inserts, kShippedLoad, seed));
}

/// How a lookup goes about its four places.
enum class Search {
  in_order,       ///< A A' B B'
  second_second,  ///< A B A' B'
  prefetched,     ///< the same, with B on its way while A is looked at
};

/// A lookup over real memory: sixteen slots in four places.
template <class List, Search kSearch, bool kChained>
struct Lookups {
  const SharedArray<shm::Slot>& slots;
  std::uint64_t range;
  std::uint32_t keys;
  std::uint64_t at = 0;

  void start(unsigned round) { at = std::uint64_t{round} << 40; }
  std::uint64_t operator()() {
    const auto key = static_cast<std::uint32_t>((mix(++at) >> 32) * keys >> 32);
    const List places(hash_of(key), range);
    constexpr bool kInOrder = kSearch == Search::in_order;
    constexpr std::size_t kOrder[] = {0, kInOrder ? 1 : 2, kInOrder ? 2 : 1, 3};
    if constexpr (kSearch == Search::prefetched) __builtin_prefetch(&slots[places[2]]);
#pragma GCC unroll 4
    for (const std::size_t i : kOrder) {
      const shm::Slot* slot = match(&slots[places[i]], tag_of(key));
      if (slot->tag() != tag_of(key)) continue;
      const std::uint64_t state = slot->words().state;  // always 0, but who knows?
      if constexpr (kChained) at += state;
      return state;
    }
    return 0;  // its list was full; too few to matter
  }

  static shm::Hash128 hash_of(std::uint32_t key) noexcept {
    return {mix(key), mix(~key)};
  }
  static std::uint64_t tag_of(std::uint32_t key) noexcept {
    return key + 1U;
  }

 private:
  /// Compares four tags without a branch. Returns the slot that has this tag, or any.
  static const shm::Slot* match(const shm::Slot* four, std::uint64_t tag) noexcept {
    std::size_t found = 0;
    for (std::size_t i = 1; i < 4; ++i) found = four[i].tag() == tag ? i : found;
    return four + found;
  }
};

/// Fills real memory the way a simulation says.
template <class Lookup>
SharedArray<shm::Slot> filled(Way&& way, std::uint64_t slots, std::uint32_t keys) {
  SharedArray<shm::Slot> array(slots);
  for (std::uint32_t key = 0; key < keys; ++key) {
    const auto taken = way.insert(Lookup::hash_of(key));
    if (taken) array[taken->slot].compare_exchange({}, {Lookup::tag_of(key), 0});
  }
  return array;
}

template <bool kChained>
void time_lookups(Report& report, const std::string& row, std::uint32_t keys) {
  using InOrder = Lookups<ShippedList, Search::in_order, kChained>;
  using Second = Lookups<ShippedList, Search::second_second, kChained>;
  using Prefetched = Lookups<ShippedList, Search::prefetched, kChained>;
  using InWindow = Lookups<WindowList, Search::in_order, kChained>;
  const std::uint64_t pairs = shm::geometry_for(keys, 1, 1, false).pair_count;
  const std::uint64_t slots = pairs * 8;
  const auto lines = filled<InOrder>(FourLines(pairs, rule::home_by_pair<4>), slots, keys);
  const auto groups = filled<InOrder>(FourLines(pairs, rule::emptier_pair), slots, keys);
  const auto window = filled<InWindow>(Window(slots), slots, keys);
  report.add(compare(row,
                     {contender("4 lines, A A' B B'", InOrder{lines, pairs, keys}),
                      contender("4 lines, A B A' B'", Second{lines, pairs, keys}),
                      contender("the same, B prefetched", Prefetched{lines, pairs, keys}),
                      contender("2 groups of 8, A A' B B'", InOrder{groups, pairs, keys}),
                      contender("2 groups of 8, A B A' B'", Second{groups, pairs, keys}),
                      contender("1 window of 16", InWindow{window, slots, keys})},
                     report.options(), 0.2));
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Compares ways to choose the slots that a key may have.");
  Options options;
  bool deep = false;
  std::uint64_t seed = std::random_device{}();
  add_options(app, options);
  app.add_flag("--deep", deep, "Ten times as many inserts");
  app.add_option("--seed", seed, "Repeats a simulation");
  CLI11_PARSE(app, argc, argv);
  Report report(options, "Candidate slots: sixteen for each key, chosen and filled in several ways",
                "ns a hit");
  const std::uint64_t inserts = options.quick ? 100'000 : deep ? 40'000'000 : 4'000'000;
  simulate(report, inserts, seed);
  const std::uint32_t keys = options.quick ? 20'000 : 1'000'000;
  time_lookups<true>(report, fmt::format("{} keys, one after the other", keys), keys);
  time_lookups<false>(report, fmt::format("{} keys, overlapping", keys), keys);
  report.finish();
  return 0;
}

}  // namespace rl::bench
