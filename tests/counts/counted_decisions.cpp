/// \file
/// Makes decisions of one kind after the other, for callgrind to count what they take: see `check`.
///
/// A kind is counted in short stretches of the same calls on the same keys. Once every 1,024 calls,
/// and every 100 ms, a thread compares its two clocks (shm/clock.hpp), and 100 ms are soon over in a
/// program that is counted: so `check` takes the stretch with the least, in which that did not come.
/// All else is the same in each run: the segment's secret is known, so every key lies where it did.

#include <fmt/format.h>
#include <valgrind/callgrind.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include <rl/rl.h>
#include <rl/rl.hpp>

#include "bench/loops.hpp"
#include "bench/steps.hpp"
#include "shm/mapping.hpp"
#include "src/core.hpp"
#include "tests/support.hpp"

namespace rl::counts {
namespace {

using bench::KeyText;
using bench::kGenerous;
using bench::kStrict;

constexpr int kStretches = 12;
// Calls of a stretch: few enough that most have no look at the clocks in them, and of keys at random
// enough for an average. (all_of reads the clock twice for each limit.)
constexpr std::size_t kHotCalls = 64;
constexpr std::size_t kCalls = 256;
constexpr std::size_t kBatch = 32;

/// A key that was called owes for an hour or more: it keeps its slot, and others find theirs beside
/// it.
const Limit kLasting = Limit::per_day(24).burst(10'000);

/// A segment on the TSC, whatever the kernel thinks of it, with a secret that is always the same.
class KnownSegment {
 public:
  explicit KnownSegment(SegmentOptions options = {}) {
    options.clock = ClockSource::tsc;
    shm::CreateOptions create = create_options(options);
    create.secret = shm::Hash128{0x6869'6464'656e'2062, 0x7574'206b'6e6f'776e};
    (void)shm::Mapping::create(shm::path_of(name_.text), create);
    segment_.emplace(Segment::open(name_.text));
  }
  Segment* operator->() noexcept { return &*segment_; }
  [[nodiscard]] shm::Mapping mapping() const {
    return shm::Mapping::attach(segment_->path(), shm::Access::read_only, false);
  }

 private:
  struct Name {
    std::string text = test::unique_name();
    test::RemoveAtEnd removed{text};  // also when making it fails
  };
  Name name_;
  std::optional<Segment> segment_;
};

using Views = std::span<const std::string_view>;

/// Reads a byte, whatever the compiler thinks of that.
void touch(const volatile char* at) {
  (void)*at;
}

/// The keys of a stretch: one for each call.
class Keys {
 public:
  /// One key, again and again.
  Keys() : texts_(kHotCalls) { look_at_texts(); }
  /// Numbers for which `wanted` holds, of `count`, in an order without a pattern.
  template <class Wanted>
  Keys(std::uint32_t count, Wanted wanted) {
    bench::RandomKeys random(count);
    while (texts_.size() < kCalls) {
      const KeyText text(random.next());
      if (wanted(text.view())) texts_.push_back(text);
    }
    look_at_texts();
  }
  explicit Keys(std::uint32_t count) : Keys(count, [](std::string_view) { return true; }) {}
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  [[nodiscard]] Views views() const noexcept { return views_; }
  /// Has them in the cache.
  void warm() const noexcept {
    for (const std::string_view key : views_) touch(key.data());
  }

 private:
  void look_at_texts() {
    for (const KeyText& text : texts_) views_.push_back(text.view());
  }
  std::vector<KeyText> texts_;
  std::vector<std::string_view> views_;
};

/// A stretch of calls one by one: all that is counted. `call` says of each key whether all went as
/// the row's name says.
template <class Call>
auto one_by_one(Call call) {
  return [call](Views keys) {
    bool right = true;
    for (const std::string_view key : keys) right &= call(key);
    return right;
  };
}

/// Counts a row; `before` is called ahead of each stretch, and not counted.
template <class Before, class Stretch>
void count_stretches(const std::string& row, const Keys& keys, Before before, Stretch stretch) {
  const std::string what = fmt::format("{} calls: {}", keys.views().size(), row);
  const auto warm_up = [&] {
    before();
    keys.warm();
  };
  CALLGRIND_START_INSTRUMENTATION;
  warm_up();
  (void)stretch(keys.views());
  for (int i = 0; i < kStretches; ++i) {
    warm_up();
    CALLGRIND_TOGGLE_COLLECT;
    const bool right = stretch(keys.views());
    CALLGRIND_TOGGLE_COLLECT;
    CALLGRIND_DUMP_STATS_AT(what.c_str());
    if (!right) throw std::runtime_error(fmt::format("{}: that is not what happened", row));
  }
  CALLGRIND_STOP_INSTRUMENTATION;
}
template <class Before, class Call>
void count(const std::string& row, const Keys& keys, Before before, Call call) {
  count_stretches(row, keys, before, one_by_one(call));
}
template <class Call>
void count(const std::string& row, const Keys& keys, Call call) {
  const auto nothing = [] {};
  count(row, keys, nothing, call);
}

/// try_acquire, allowed.
auto allowed_by(Limiter& limiter) {
  return [&limiter](std::string_view key) { return limiter.try_acquire(key).allowed; };
}

/// Rows on one key, alone in a table of the default size.
void hot_rows(KnownSegment& segment, const Keys& hot) {
  Limiter generous = segment->limiter("generous", kGenerous);
  Limiter strict = segment->limiter("strict", kStrict);
  Limiter shadow = segment->limiter("shadow", kStrict.shadow(true));
  Limiter apart = segment->limiter("apart", kStrict);
  segment->set_override("apart", hot.views()[0], kGenerous);
  count("hot key, allowed", hot, allowed_by(generous));
  count("hot key, denied", hot,
        [&](std::string_view key) { return !strict.try_acquire(key).allowed; });
  const Instant now = segment->now();
  count("hot key, caller's own time", hot,
        [&](std::string_view key) { return generous.try_acquire_at(now, key).allowed; });
  count("hot key, override", hot, allowed_by(apart));
  count("hot key, would be denied, shadow", hot,
        [&](std::string_view key) { return shadow.try_acquire(key).reason == Reason::shadow; });
  count("hot key, two limits, all_of", hot, [&](std::string_view key) {
    Limiter& second = apart;
    return all_of({{generous, key}, {second, key}}).decision.allowed;
  });
}

/// A call as a program in C makes it, but for the way through the loader's table.
void row_from_c(KnownSegment& segment, const Keys& hot) {
  librl_segment_t* opened = nullptr;
  librl_limiter_t* made = nullptr;
  const bool is_made = librl_open(segment->path().c_str(), nullptr, &opened) == 0 &&
                       librl_limiter(opened, "generous", nullptr, &made) == 0;
  const std::unique_ptr<librl_segment_t, decltype(&librl_close)> ours(opened, librl_close);
  const std::unique_ptr<librl_limiter_t, decltype(&librl_limiter_free)> limiter(made,
                                                                                librl_limiter_free);
  if (!is_made) throw std::runtime_error(librl_last_error());
  count("hot key, allowed, from C", hot, [&](std::string_view key) {
    librl_decision_t decision = LIBRL_DECISION_INIT;
    return librl_acquire(made, key.data(), key.size(), 1, &decision) == 1;
  });
}

/// A hot key under each other algorithm, with a limit that is never reached.
void algorithm_rows(KnownSegment& segment, const Keys& hot) {
  constexpr std::uint64_t kMany = 1'000'000'000;
  const auto row = [&](const char* name, const Limit& limit) {
    Limiter limiter = segment->limiter(name, limit);
    count(fmt::format("hot key, allowed, {}", name), hot, allowed_by(limiter));
  };
  row("leaky", Limit::leaky(kMany, std::chrono::seconds(1), kMany, kMany));
  row("window", Limit::fixed_window(1'000 * kMany, std::chrono::hours(24 * 1'000)));
  row("sliding", Limit::sliding_window(kMany, std::chrono::hours(24 * 13'000)));
  Limiter permits = segment->limiter("permits", Limit::concurrency(1'000));
  count("permit, taken and given back", hot,
        [&](std::string_view key) { return bool(permits.permit(key)); });
}

/// Keys that come into a table that has room.
void insert_row(KnownSegment& segment) {
  Limiter limiter = segment->limiter("inserts", kLasting);
  const Keys keys(1'000'000);
  const auto forget = [&] {
    for (const std::string_view key : keys.views()) limiter.reset(key);
  };
  count("new key", keys, forget, allowed_by(limiter));
}

/// Fills a table with all the keys that it promises room for.
void fill(KnownSegment& segment, Limiter& limiter, std::uint32_t count) {
  for (std::uint32_t i = 0; i < count; ++i) (void)limiter.try_acquire(KeyText(i).view());
  if (segment->info().live != count) throw std::runtime_error("not all keys have a slot");
}

/// As many keys as the nearer caches hold, one by one and in batches.
void cached_rows() {
  constexpr std::uint32_t kCount = 1'000;
  KnownSegment segment({.keys = kCount});
  Limiter limiter = segment->limiter("lasting", kLasting);
  fill(segment, limiter, kCount);
  const Keys keys(kCount);
  count("1,000 keys", keys, allowed_by(limiter));
  std::array<Decision, kBatch> decisions;
  const auto batches = [&](Views views) {
    bool right = true;
    for (std::size_t at = 0; at < kCalls; at += kBatch) {
      limiter.try_acquire_batch(views.subspan(at, kBatch), decisions);
      right &= decisions.back().allowed;
    }
    return right;
  };
  count_stretches(
      "1,000 keys, batches of 32", keys, [] {}, batches);
}

/// Leaves nothing in the caches that `check` has callgrind model.
void chill() {
  static const std::vector<char> memory(std::size_t{4} << 20);
  for (std::size_t at = 0; at < memory.size(); at += 64) touch(&memory[at]);
}

/// More keys than any cache holds.
void cold_rows() {
  constexpr std::uint32_t kCount = 1'000'000;
  KnownSegment segment({.keys = kCount, .labels = false});
  Limiter limiter = segment->limiter("lasting", kLasting);
  fill(segment, limiter, kCount);
  const shm::Mapping mapping = segment.mapping();
  const shm::Table<shm::Slot> table = mapping.table();
  const shm::Hasher hasher = hasher_for(mapping, "lasting");
  const std::uint16_t policy = segment->policies().front().id;
  const auto is_at_home = [&](std::string_view key) {
    const shm::KeyHash hash = shm::KeyHash::from(hasher(key.data(), key.size()));
    const std::uint64_t tag = shm::make_tag(hash.identity, policy);
    return table.look_at_home(hash, tag).words.tag == tag;
  };
  // What is the process's own, and its code, is warm all the same.
  const Keys hot;
  const auto only_ours = [&] {
    chill();
    (void)limiter.try_acquire(hot.views()[0]);
  };
  count("1,000,000 keys", Keys(kCount), only_ours, allowed_by(limiter));
  count("1,000,000 keys, those at home", Keys(kCount, is_at_home), only_ours, allowed_by(limiter));
  count("1,000,000 keys, those that are not",
        Keys(kCount, [&](std::string_view key) { return !is_at_home(key); }), only_ours,
        allowed_by(limiter));
}

void all_rows() {
  const Keys hot;
  count("the loop alone", hot, [](std::string_view key) { return bench::opaque(key.size()) != 0; });
  {
    KnownSegment segment;
    hot_rows(segment, hot);
    row_from_c(segment, hot);
    algorithm_rows(segment, hot);
    insert_row(segment);
    // On a clock that was left, other code is counted.
    if (segment->info().tsc_left) throw std::runtime_error("the segment had to leave the TSC");
  }
  cached_rows();
  cold_rows();
}

}  // namespace
}  // namespace rl::counts

/// Prints the compiler. Exit code 77: it cannot run here.
int main() {
#if defined(__clang__)
  fmt::print("clang++ {}\n", __clang_major__);
#else
  fmt::print("g++ {}\n", __GNUC__);
#endif
  try {
    rl::counts::all_rows();
    return 0;
  } catch (const rl::Error& e) {
    fmt::print(stderr, "{}\n", e.what());
    return e.code() == rl::Errc::no_space || e.code() == rl::Errc::unsupported ? 77 : 1;
  } catch (const std::exception& e) {
    fmt::print(stderr, "{}\n", e.what());
    return 1;
  }
}
