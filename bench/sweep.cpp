/// \file
/// What a sweep of the table costs, beside reading as many bytes from an array in order.
#include <fmt/format.h>

#include <stdexcept>
#include <vector>

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

/// The floor: the bytes of as many slots, from memory that is as large as all of them.
template <class Words>
struct Streaming {
  std::shared_ptr<Words> words;
  std::size_t count;
  std::size_t next = 0;
  void start(unsigned) {}
  std::uint64_t operator()() {
    constexpr std::size_t kWords = kSlots * 2;
    if (next + kWords > count) next = 0;
    std::uint64_t sum = 0;
    for (std::size_t i = next; i < next + kWords; ++i) sum += (*words)[i];
    next += kWords;
    return sum;
  }
};
template <class Words>
Streaming<Words> streaming(std::size_t count) {
  auto words = std::make_shared<Words>(count);
  for (std::size_t i = 0; i < count; ++i) (*words)[i] = i;
  return {std::move(words), count};
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
       contender("streaming", streaming<std::vector<std::uint64_t>>(slots * 2)),
       contender("streaming, shared", streaming<SharedArray<std::uint64_t>>(slots * 2))},
      report.options(), 0.1));
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times a sweep beside reading memory in order.");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  Report report(options, "Sweeping 65,536 slots: CPU time, beside reading as many bytes, in turns",
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
  report.finish();
  return 0;
}

}  // namespace rl::bench
