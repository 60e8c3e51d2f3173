/// \file
/// What hashing a key costs, beside hashes that others offer.
#include <fmt/format.h>

#include <cstring>

#include "bench/common.hpp"
#include "bench/loops.hpp"
#include "bench/rounds.hpp"
#include "shm/hash.hpp"

#ifdef RL_BENCH_XXHASH
#define XXH_INLINE_ALL  // as a library that cares for speed would use it
#include <xxhash.h>
#endif
#ifdef RL_BENCH_HIGHWAYHASH
#include <highwayhash/highwayhash_target.h>
#include <highwayhash/instruction_sets.h>
#endif

namespace rl::bench {
namespace {

constexpr shm::Hash128 kSecret{0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908};

/// Ours, and the same with more rounds.
template <class Function>
struct SipHash {
  Function function{kSecret};
  shm::Hash128 operator()(const char* text, std::size_t size) const noexcept {
    return function(text, size);
  }
};

#ifdef RL_BENCH_XXHASH
/// Fast, but seeded and not a pseudo-random function: who can guess can collide.
struct Xxh3 {
  shm::Hash128 operator()(const char* text, std::size_t size) const noexcept {
    const XXH128_hash_t hash = XXH3_128bits_withSeed(text, size, kSecret.low);
    return {hash.low64, hash.high64};
  }
};
#endif

#ifdef RL_BENCH_HIGHWAYHASH
/// Chooses the CPU's instructions at each call, as its library does.
struct Highway {
  shm::Hash128 operator()(const char* text, std::size_t size) const noexcept {
    alignas(32) const highwayhash::HHKey key = {kSecret.low, kSecret.high, 1, 2};
    highwayhash::HHResult128 hash;
    highwayhash::InstructionSets::Run<highwayhash::HighwayHash>(key, text, size, &hash);
    return {hash[0], hash[1]};
  }
};
#endif

/// Hashes a text of which the first bytes change: by a count, or by the last hash, so that one call
/// waits for the other as a decision waits for its hash.
template <class Function, bool kChained>
struct Hashing {
  Function function;
  std::size_t size;
  std::uint64_t at = 0;
  alignas(8) char text[256] = {};

  void start(unsigned round) { at = round; }
  std::uint64_t operator()() noexcept {
    std::memcpy(text, &at, sizeof at);
    const shm::Hash128 hash = function(text, opaque(size));
    at = kChained ? hash.low ^ hash.high : at + 1;
    return hash.low ^ hash.high;
  }
};

template <bool kChained>
void time_hashes(Report& report, std::size_t size) {
  std::vector<Contender> contenders;
  const auto add = [&](const char* name, auto function) {
    contenders.push_back(contender(name, Hashing<decltype(function), kChained>{function, size}));
  };
  add("SipHash-1-3-128 (ours)", SipHash<shm::Hasher>{});
  add("SipHash-2-4-128", SipHash<shm::SipHash128<2, 4>>{});
#ifdef RL_BENCH_XXHASH
  add("XXH3-128", Xxh3{});
#endif
#ifdef RL_BENCH_HIGHWAYHASH
  add("HighwayHash-128", Highway{});
#endif
  report.add(compare(fmt::format("{} bytes, {}", size, kChained ? "one by one" : "overlapping"),
                     contenders, report.options(), 0.02));
}

}  // namespace

int run(int argc, char** argv) {
  CLI::App app("Times the hash of keys, beside other hashes.");
  Options options;
  add_options(app, options);
  CLI11_PARSE(app, argc, argv);
  Report report(options, "The hash of a key: \"one by one\" is what a decision waits for", "ns");
  for (const std::size_t size : {8U, 16U, 32U, 64U, 256U}) {
    time_hashes<true>(report, size);
    time_hashes<false>(report, size);
  }
#ifndef RL_BENCH_XXHASH
  report.skip("XXH3-128", "built without libxxhash (Debian: libxxhash-dev)");
#endif
#ifndef RL_BENCH_HIGHWAYHASH
  report.skip("HighwayHash-128", "built without libhighwayhash (Debian: libhighwayhash-dev)");
#endif
  report.finish();
  return 0;
}

}  // namespace rl::bench
