#include "bench/inserts.hpp"

#include <fmt/format.h>

#include <stdexcept>

#include "bench/loops.hpp"
#include "bench/rounds.hpp"
#include "bench/scratch.hpp"
#include "bench/steps.hpp"

namespace rl::bench {
namespace {

constexpr std::uint32_t kNumbers = 1U << 24;  ///< that a KeyText can write

/// A limit under which a key owes for hours what it took once, so that all keys are alive.
const Limit kLasting = Limit::per_hour(3'600).burst(1'000'000);

/// A table whose first half of keys stays, and to which others come, a batch at a time: then they are
/// forgotten, so it is never fuller than nine sixteenths of what it promises. The next batch has
/// other keys, whose lines the forgetting has not just brought into the caches.
class Newcomers {
 public:
  Newcomers(Segment& segment, std::uint32_t promised)
      : limiter_(segment.limiter("lasting", kLasting)),
        known_(promised / 2),
        batch_(promised / 16),
        next_(promised / 2) {
    for (std::uint32_t i = 0; i < known_.count(); ++i) (void)ask(i);
  }

  /// Forgets the last batch and begins another.
  void refill() {
    for (; inserted_ != 0; --inserted_) {
      if (!limiter_.reset(KeyText(next_ - inserted_).view()) || denied_ != 0)
        throw std::runtime_error("a row is not what it says it is");
    }
    if (kNumbers - next_ < batch_) next_ = known_.count();
    // Inserts are to find the caches as one finds them who decides on keys at random.
    for (std::uint32_t i = 0; i < batch_; ++i) (void)ask(known_.next());
  }
  [[nodiscard]] bool is_due() const noexcept { return inserted_ == batch_; }
  void insert() noexcept {
    if (!ask(next_++)) ++denied_;
    ++inserted_;
  }
  [[nodiscard]] Limiter& limiter() noexcept { return limiter_; }
  [[nodiscard]] const RandomKeys& known() const noexcept { return known_; }

 private:
  [[nodiscard]] bool ask(std::uint32_t number) noexcept {
    return limiter_.try_acquire(KeyText(number).view()).allowed;
  }

  Limiter limiter_;
  RandomKeys known_;
  std::uint32_t batch_;
  std::uint32_t next_;
  std::uint32_t inserted_ = 0;
  std::uint32_t denied_ = 0;
};

/// New keys, one after the other; where their slots are is as good as chance. Forgetting is not timed:
/// the pause takes half a microsecond in thousands of inserts.
Contender inserting(Newcomers& newcomers) {
  return {"a new key", [&newcomers](benchmark::State& state, unsigned) {
            newcomers.refill();
            for ([[maybe_unused]] auto _ : state) {
              if (newcomers.is_due()) [[unlikely]] {
                state.PauseTiming();
                newcomers.refill();
                state.ResumeTiming();
              }
              newcomers.insert();
            }
          }};
}

/// The floor of an insert is what the memory has to do with it. All four lines of the key's list are
/// read, as else nobody knows that it is new; a claim, and what makes it a member, are two
/// compare-and-swaps, and between them the list is read again; the key's counts and its text have lines
/// of their own, which are asked for as early as can be.
template <class Clock>
struct FloorInserts {
  const SharedArray<shm::Pair>& pairs;
  const SharedArray<shm::Label>& labels;
  RandomKeys keys;
  Clock clock;
  shm::Hasher hasher{kFloorSecret};

  void start(unsigned round) { keys.start(round); }
  bool operator()() {
    const KeyText text(keys.next());
    const std::string_view key = text.view();
    const shm::Hash128 hash = hasher(key.data(), key.size());
    shm::Pair& first = place_in(pairs, hash.low);
    const shm::Pair& second = place_in(pairs, hash.high);
    const std::uint64_t at = all_lines(first, second) & 7U;
    shm::Slot& slot = first.slots[at];
    shm::Label& label = labels[static_cast<std::size_t>(&first - &pairs[0]) * 8 + at];
    __builtin_prefetch(&first.counts[at], 1);
    __builtin_prefetch(&label, 1);
    const shm::SlotWords seen = slot.words();
    const shm::SlotWords claim{hash.low, seen.state};
    const bool is_claimed = slot.compare_exchange(seen, claim);
    const std::uint64_t again = all_lines(first, second);
    const bool is_member = slot.compare_exchange(claim, {again, clock.now()});
    first.counts[at].allowed.store(hash.high, std::memory_order_relaxed);
    for (std::size_t i = 0; i < KeyText::kBytes / 4; ++i)
      label.words[i].store(static_cast<unsigned char>(key[i]), std::memory_order_relaxed);
    return is_claimed && is_member;
  }

 private:
  [[nodiscard]] static std::uint64_t all_lines(const shm::Pair& a, const shm::Pair& b) noexcept {
    return a.slots[0].tag() + a.slots[4].tag() + b.slots[0].tag() + b.slots[4].tag();
  }
};

}  // namespace

void add_insert_row(Report& report, const std::string& of, std::uint32_t promised, double seconds) {
  Scratch segment({.keys = promised});
  Newcomers newcomers(*segment, promised);
  const SharedArray<shm::Pair> pairs(table_bytes(promised) / sizeof(shm::Pair));
  const SharedArray<shm::Label> labels(pairs.size() * 8);
  const FloorArray array(table_bytes(promised));
  const RandomKeys keys(promised);
  with_bare_clock([&](auto clock) {
    using Clock = decltype(clock);
    report.add(
        compare(
            fmt::format("{}, new", of),
            {inserting(newcomers),
             contender("a known key",
                       Decisions<RandomKeys>{newcomers.limiter(), newcomers.known(), true}),
             contender("floor of a new key", FloorInserts<Clock>{pairs, labels, keys, clock}),
             contender("floor of a known key", FloorSwaps<RandomKeys, Clock>{array, keys, clock})},
            report.options(), seconds),
        {{"a known key", at_most(2.5)}});
  });
}

}  // namespace rl::bench
