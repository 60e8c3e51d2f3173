/// \file
/// Recorded admissions, held to Guarantee A in every window.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <rl/limit.hpp>

#include "examples/load/verdict.hpp"
#include "tools/rlctl/selftest/processes.hpp"

namespace rl::selftest {

/// One admission as its maker saw it, on the segment's clock: decided between the two instants.
struct Admission {
  std::uint32_t key;
  std::uint32_t reserved;
  std::int64_t before_ns;
  std::int64_t after_ns;
};

/// How far the clocks of two CPUs may disagree before admissions look like too many: each span is
/// taken as so much longer at both ends.
inline constexpr std::int64_t kSkewNs = 1'000;

/// The admissions of several processes, in shared memory: an admission counts once it is whole, so
/// its maker may be killed at any instant.
class Records {
 public:
  Records(std::size_t writers, std::size_t room_each)
      : room_(room_each), counts_(writers), items_(writers * room_each) {}

  /// Returns false when there is no room. `writer` is one process at a time.
  bool add(std::size_t writer, const Admission& admission) noexcept {
    const std::uint64_t count = counts_[writer].load(std::memory_order_relaxed);
    if (count == room_) return false;
    items_[writer * room_ + count] = admission;
    counts_[writer].store(count + 1, std::memory_order_release);  // pairs with the acquire below
    return true;
  }
  [[nodiscard]] bool is_full(std::size_t writer) const noexcept {
    return counts_[writer].load(std::memory_order_relaxed) == room_;
  }
  /// Returns them by key, for keys below `keys`.
  [[nodiscard]] std::vector<std::vector<examples::Span>> by_key(std::size_t writers,
                                                                std::size_t keys) const;

 private:
  std::size_t room_;
  SharedArray<Word> counts_;
  SharedArray<Admission> items_;
};

/// Returns how often the key must at least have started anew (an eviction, a reset) to have been
/// admitted so often: the number of windows, none overlapping another, that each break Bound A.
std::uint64_t refills_needed(const Limit& limit, std::vector<examples::Span> admissions);

/// Returns a sentence if the key was admitted more than its limit and `refills` refills allow.
std::optional<std::string> bound_fault(std::string_view key, const Limit& limit,
                                       const std::vector<examples::Span>& admissions,
                                       std::uint64_t refills);

}  // namespace rl::selftest
