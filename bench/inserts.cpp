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

}  // namespace

void add_insert_row(Report& report, const std::string& of, std::uint32_t promised, double seconds) {
  Scratch segment({.keys = promised});
  Newcomers newcomers(*segment, promised);
  report.add(compare(fmt::format("{}, new", of),
                     {inserting(newcomers),
                      contender("a known key", Decisions<RandomKeys>{newcomers.limiter(),
                                                                     newcomers.known(), true})},
                     report.options(), seconds),
             {{"a known key", at_most(2.5)}});
}

}  // namespace rl::bench
