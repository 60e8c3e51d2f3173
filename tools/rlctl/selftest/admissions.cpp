#include "tools/rlctl/selftest/admissions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace rl::selftest {

using examples::Span;

std::vector<std::vector<Span>> Records::by_key(std::size_t writers, std::size_t keys) const {
  std::vector<std::vector<Span>> spans(keys);
  for (std::size_t writer = 0; writer < writers; ++writer) {
    const std::uint64_t count = counts_[writer].load(std::memory_order_acquire);
    for (std::uint64_t i = 0; i < count; ++i) {
      const Admission& a = items_[writer * room_ + i];
      spans[a.key].push_back({a.before_ns - kSkewNs, a.after_ns + kSkewNs});
    }
  }
  return spans;
}

std::uint64_t refills_needed(const Limit& limit, std::vector<Span> admissions) {
  const examples::Bucket bucket{limit.interval().count(), static_cast<std::int64_t>(limit.burst())};
  std::sort(admissions.begin(), admissions.end(),
            [](const Span& a, const Span& b) { return a.answered_ns < b.answered_ns; });
  std::uint64_t refills = 0;
  std::size_t begin = 0;
  std::int64_t after = std::numeric_limits<std::int64_t>::min();
  for (;;) {  // ends: each round but the last moves `begin`
    // The earliest breach shows in a short stretch, if the key breaks its bound all the time.
    std::vector<Span> stretch;
    std::optional<std::int64_t> breach;
    std::size_t next = begin;
    for (std::size_t size = 64; !breach && next < admissions.size(); size *= 2) {
      for (; next < admissions.size() && stretch.size() < size; ++next)
        if (admissions[next].sent_ns > after) stretch.push_back(admissions[next]);
      breach = examples::first_breach(bucket, stretch, examples::SpanClock::limiters);
    }
    if (!breach) return refills;
    ++refills;
    after = *breach;
    while (begin < admissions.size() && admissions[begin].answered_ns <= after) ++begin;
  }
}

std::optional<std::string> bound_fault(std::string_view key, const Limit& limit,
                                       const std::vector<Span>& admissions, std::uint64_t refills) {
  const std::uint64_t needed = refills_needed(limit, admissions);
  if (needed <= refills) return std::nullopt;
  return fmt::format(
      "key {} of {}: {} admissions break the bound in {} windows apart from each other, but the "
      "key "
      "started anew at most {} times",
      key, limit.to_string(), admissions.size(), needed, refills);
}

}  // namespace rl::selftest
