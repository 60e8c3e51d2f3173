#include "bench/retries.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "bench/crews.hpp"
#include "bench/loops.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"
#include "shm/counts.hpp"
#include "src/rules.hpp"

namespace rl::bench {
namespace {

/// A slot that counts the compare-and-swaps that a rival undid. The library does not count its first:
/// every decision would pay for it. This is its own code, over slots of another type.
struct CountedSlot : shm::Slot {
  bool compare_exchange(shm::SlotWords expected, shm::SlotWords desired) noexcept {
    const bool is_done = Slot::compare_exchange(expected, desired);
    lost += is_done ? 0U : 1U;
    return is_done;
  }
  static inline constinit thread_local std::uint64_t lost = 0;
};
static_assert(sizeof(shm::BasicPair<CountedSlot>) == sizeof(shm::Pair));

/// How many decisions of a process lost so many times, and how many were none that was admitted.
struct alignas(64) Losses {
  std::array<std::uint64_t, shm::Table<CountedSlot>::kTriesMax + 2> decisions;
  std::uint64_t denied;
};

/// What a process decides with, on a mapping of its own.
class Decider {
 public:
  Decider(const std::string& path, std::string_view policy)
      : view_(shm::Mapping::attach(path, shm::Access::read_write, false), path),
        binding_{&view_,
                 view_.policies.find(policy),
                 hasher_for(view_.mapping, policy),
                 policy_from(view_.policies.read(view_.policies.find(policy)).value()).value(),
                 nullptr,
                 &view_.policies.links_word(view_.policies.find(policy))},
        bucket_(std::get<TokenBucket>(binding_.policy.parameters)),
        table_(pairs(), view_.mapping.geometry().pair_count) {}
  Decider(const Decider&) = delete;
  Decider& operator=(const Decider&) = delete;

  /// Decides as Limiter::try_acquire does (src/decide.hpp), and counts beside the slot, whose line
  /// rivals want, too. Returns whether the call passes.
  bool operator()(std::string_view key) noexcept {
    const auto hash = shm::KeyHash::from(binding_.hasher(key.data(), key.size()));
    const std::uint64_t tag = shm::make_tag(hash.identity, binding_.id);
    const OwnTime time{&view_.clock};
    Verdict verdict{};
    auto seen = table_.look(hash, tag);
    const auto step = [&](std::uint16_t policy, std::uint64_t state) noexcept {
      return first_step(bucket_, binding_, time, policy, state, 1, verdict);
    };
    std::uint32_t lost = 0;
    const bool decided =
        seen.words.tag == tag &&
        (table_.try_step(seen, step) || table_.step_among_rivals(*seen.cell, tag, lost, step));
    if (!decided) {
      CallRules<OwnTime> rules(binding_, time, Acquire{1});
      const shm::Update update = table_.update(hash, rules);
      if (update.outcome != shm::Update::decided || !update.has_slot) return false;
      seen.cell = &table_.slot(update.slot_index);
      verdict = rules.verdict();
    }
    if (verdict.allowed) shm::add_count(table_.counts_beside(*seen.cell).allowed, hash.identity);
    return verdict.allowed;
  }

 private:
  [[nodiscard]] shm::BasicPair<CountedSlot>* pairs() const noexcept {
    void* const first = &view_.table.slot(0);
    return static_cast<shm::BasicPair<CountedSlot>*>(first);
  }

  View view_;
  Binding binding_;
  TokenBucket bucket_;
  shm::Table<CountedSlot> table_;
};

/// Who decides, and writes down how often it lost.
Crew crew_of(const std::string& path, const SharedArray<Losses>& losses) {
  return {
      "librl, counted", [&path, &losses](Lane& lane, KeyRange range) {
        Decider decide(path, "generous");
        RandomKeys keys(range.count, range.first);
        keys.start(lane.index());
        Losses& mine = losses[lane.index()];
        lane.run([&] {
          CountedSlot::lost = 0;
          if (!decide(KeyText(keys.next()).view())) ++mine.denied;
          ++mine.decisions[std::min<std::uint64_t>(CountedSlot::lost, mine.decisions.size() - 1)];
        });
      }};
}

/// What all processes lost.
Losses sum_of(const SharedArray<Losses>& all) {
  Losses sum{};
  for (std::size_t i = 0; i < all.size(); ++i) {
    sum.denied += all[i].denied;
    std::transform(sum.decisions.begin(), sum.decisions.end(), all[i].decisions.begin(),
                   sum.decisions.begin(), std::plus<>());
  }
  return sum;
}

/// Returns how often at most such a share of all decisions lost.
std::size_t at(const Losses& losses, double share) {
  const auto total = static_cast<double>(
      std::accumulate(losses.decisions.begin(), losses.decisions.end(), std::uint64_t{0}));
  std::uint64_t seen = 0;
  std::size_t most = 0;
  while ((seen += losses.decisions[most]) == 0 || static_cast<double>(seen) < share * total) ++most;
  return most;
}

}  // namespace

void add_retries(Report& report, const std::vector<unsigned>& counts, double seconds,
                 unsigned cpus) {
  Scratch segment(SegmentOptions{});
  (void)segment->limiter("generous", kGenerous).try_acquire(KeyText(0).view());
  Grid grid{"CAS retries of a decision, all processes on one key",
            {"processes", "decisions", "with none", "p99", "p99.99", "most", "not admitted"},
            {}};
  std::vector<Losses> all;
  for (const unsigned processes : counts) {
    const SharedArray<Losses> losses(processes);
    for (unsigned round = 0; round < report.options().turns(); ++round)
      (void)run_crew(crew_of(segment->path(), losses), processes, false, seconds, cpus);
    const Losses& sum = all.emplace_back(sum_of(losses));
    const auto total =
        std::accumulate(sum.decisions.begin(), sum.decisions.end(), std::uint64_t{0});
    grid.rows.push_back({fmt::format("{}", processes), fmt::format("{}", total),
                         fmt::format("{:.3f} %", 100 * static_cast<double>(sum.decisions[0]) /
                                                     static_cast<double>(total)),
                         fmt::format("{}", at(sum, 0.99)), fmt::format("{}", at(sum, 0.9999)),
                         fmt::format("{}", at(sum, 1)), fmt::format("{}", sum.denied)});
  }
  report.add(grid);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const std::string row = row_of(counts[i], "one key");
    report.hold(row, "CAS retries, p99.99", static_cast<double>(at(all[i], 0.9999)), at_most(8));
    report.hold(row, "calls not admitted", static_cast<double>(all[i].denied), at_most(0));
  }
}

}  // namespace rl::bench
