/// \file
/// What a sweep of the table costs, beside reading memory in order; and what it costs those who
/// decide beside it.
///
/// The goal is the dense array: a sweep of a large table takes at most twice as long as reading as
/// many bytes, from an array that is nothing but what is read. That is the harder one. The slots are
/// half of the table's memory, 128 bytes of every 256 (the rest are counts, which a sweep leaves
/// alone), so the same bytes lie on twice as many pages, and the CPU does not see the pattern from
/// page to page: "strided" reads it in a plain loop, and shows what asking ahead is worth.
#include <fmt/format.h>

#include <stdexcept>
#include <vector>

#include "bench/beside_sweep.hpp"
#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/rounds.hpp"
#include "bench/scratch.hpp"

namespace rl::bench {
namespace {

constexpr std::uint64_t kSlots = 65'536;  ///< a step

/// Reaper::sweep, as rlreaper calls it.
struct Sweeping {
  std::shared_ptr<Reaper> reaper;
  void start(unsigned) {}
  bool operator()() { return reaper->sweep(kSlots).slots == kSlots; }
};

/// The floor: the bytes of as many slots, from memory that is as large as all of them. With a step
/// of 2 in the slots' own pattern, every other 128 bytes, as a plain loop does.
template <class Words, std::size_t kStep = 1>
struct Streaming {
  static constexpr std::size_t kPerPair = 16;
  std::shared_ptr<Words> words;
  std::size_t pairs;
  std::size_t next = 0;
  void start(unsigned) {}
  std::uint64_t operator()() {
    constexpr std::size_t kPairs = kSlots / 8;
    if (next + kPairs > pairs) next = 0;
    std::uint64_t sum = 0;
    for (std::size_t pair = next; pair < next + kPairs; ++pair) {
      const std::uint64_t* const at = &(*words)[pair * kPerPair * kStep];
      for (std::size_t i = 0; i < kPerPair; ++i) sum += at[i];
    }
    next += kPairs;
    return sum;
  }
};
template <class Words, std::size_t kStep = 1>
Streaming<Words, kStep> streaming(std::size_t slots) {
  using Stream = Streaming<Words, kStep>;
  const std::size_t pairs = slots / 8;
  auto words = std::make_shared<Words>(pairs * Stream::kPerPair * kStep);
  for (std::size_t i = 0; i < pairs * Stream::kPerPair * kStep; ++i) (*words)[i] = i;
  return {std::move(words), pairs};
}

/// A table that promises room for so many keys, with that many live ones or with none.
void row(Report& report, std::uint32_t keys, bool is_live) {
  Scratch segment({.keys = keys});
  Limiter limiter = segment->limiter("slow", Limit::per_day(10));
  for (std::uint32_t i = 0; is_live && i < keys; ++i) {
    if (!limiter.try_acquire(KeyText(i).view()))
      throw std::runtime_error("a row is not what it says it is");
  }
  const auto reaper = std::make_shared<Reaper>(*segment);
  const std::uint64_t slots = reaper->round();
  (void)reaper->sweep(slots);  // the kernel maps a page when it is touched first
  report.add(compare(
      fmt::format("{} slots, {}", slots, is_live ? fmt::format("{} keys live", keys) : "all free"),
      {contender("sweep", Sweeping{reaper}),
       contender("streaming", streaming<std::vector<std::uint64_t>>(slots)),
       contender("streaming, shared", streaming<SharedArray<std::uint64_t>>(slots)),
       contender("strided, shared", streaming<SharedArray<std::uint64_t>, 2>(slots))},
      report.options(), 0.1));
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times a sweep beside reading memory in order, and decisions beside a sweep.");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  Report report(
      options,
      "Sweeping 65,536 slots: CPU time, beside reading as many bytes, in turns; and decisions "
      "beside a sweep",
      "ns");
  const auto rows = [&](std::uint32_t keys) {
    for (const bool is_live : {false, true}) {
      try {
        row(report, keys, is_live);
      } catch (const Error& e) {
        report.skip(fmt::format("{} keys", keys), e.what());
      }
    }
  };
  rows(40'000);
  rows(options.quick ? 50'000 : 9'000'000);  // 16,000,000 slots: 1 GiB of /dev/shm
  add_beside_sweep(report);
  report.finish();
  return 0;
}

}  // namespace rl::bench
