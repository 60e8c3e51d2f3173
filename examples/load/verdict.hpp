/// \file
/// Judges recorded traffic from outside: did a limiter admit too much, or too little? Shares no
/// code with the library that it judges.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace examples {

/// A call as its maker saw it: it was decided at some instant between these two.
struct Span {
  std::int64_t sent_ns;
  std::int64_t answered_ns;
};

/// A token bucket as its docs state it: T and B.
struct Bucket {
  std::int64_t interval_ns;
  std::int64_t burst;
};

__extension__ using Wide = __int128;

/// The clocks' error, as 1/kClockUnit: a window of w ns by our clock may be one of w x (kClockUnit
/// + 1) / kClockUnit ns by the limiter's.
inline constexpr std::int64_t kClockUnit = 10'000;

/// A row of numbers that knows its greatest: a tree whose nodes hold the greatest of the numbers
/// below them, without what was added to a whole node above. Each call takes O(log n).
class MaxTree {
 public:
  explicit MaxTree(const std::vector<Wide>& numbers) {
    while (leaves_ < numbers.size()) leaves_ *= 2;
    max_.assign(2 * leaves_, numbers.front());
    added_.assign(2 * leaves_, 0);
    std::copy(numbers.begin(), numbers.end(), max_.begin() + static_cast<std::ptrdiff_t>(leaves_));
    for (std::size_t node = leaves_ - 1; node > 0; --node) repair(node);
  }

  /// Adds to number i, and if asked for to all before it.
  void add(std::size_t i, Wide value, bool and_before) {
    add_to_node(leaves_ + i, value);
    for (std::size_t node = leaves_ + i; node > 1; node /= 2) {
      if (and_before && node % 2 == 1) add_to_node(node - 1, value);
      repair(node / 2);
    }
  }

  [[nodiscard]] Wide max() const { return max_[1]; }

 private:
  void add_to_node(std::size_t node, Wide value) {
    max_[node] += value;
    added_[node] += value;
  }
  void repair(std::size_t node) {
    max_[node] = std::max(max_[2 * node], max_[2 * node + 1]) + added_[node];
  }

  std::size_t leaves_ = 1;
  std::vector<Wide> max_;
  std::vector<Wide> added_;
};

/// Bound A for one window: the most that may be admitted in it, stretched by the 0.01 % by which
/// the limiter's clock may be off against ours.
inline std::int64_t most_admitted(const Bucket& bucket, std::int64_t window_ns) {
  const Wide stretched = Wide{window_ns} * (kClockUnit + 1) / kClockUnit;
  return bucket.burst + static_cast<std::int64_t>(stretched / bucket.interval_ns);
}

/// Whose clock the spans were read on: the limiter's own is off by nothing.
enum class SpanClock : std::uint8_t { ours, limiters };

/// Returns where the earliest window ends that breaks Bound A, for admissions of one key in any
/// order; nothing when the bound holds in every window.
///
/// We do not know when an admission was decided, only that it lies in its span. So a window counts
/// only the admissions whose whole span lies in it, and a breach is certain: wherever these were
/// decided, they are too many. Takes O(n log n).
///
/// With N(p, q) the number of spans inside the window [p, q], Bound A says N <= B + floor((q - p) /
/// T), which for whole N is the same as
///
///     p + T x N(p, q) - q <= B x T.
///
/// Only windows count that begin where a span begins and end where one ends: shrinking any other
/// window to the spans in it makes it tighter. We let q go through the answers in order and keep
/// v(p) = p + T x N(p, q) for every p. A new span adds T to v(p) for all p up to its beginning. A p
/// takes part in the maximum (is awake) once a span that begins there was seen, so p <= q. All
/// windows that end at q obey the bound iff the greatest awake v(p) is at most q + B x T.
///
/// That is GCRA again: the greatest v(p) is the TAT, and the bound says that no admission is
/// denied. The plain recurrence TAT = max(TAT, sent) + T over the answers would do if no span
/// contained another; where one does, it counts spans in windows in which they do not lie.
inline std::optional<std::int64_t> first_breach(const Bucket& bucket, std::vector<Span> admissions,
                                                SpanClock clock) {
  if (admissions.empty()) return std::nullopt;
  constexpr Wide kSleep = Wide{1} << 120;
  const Wide stretch = clock == SpanClock::ours ? kClockUnit + 1 : kClockUnit;
  std::vector<std::int64_t> begins;
  for (const Span& span : admissions) begins.push_back(span.sent_ns);
  std::sort(begins.begin(), begins.end());
  begins.erase(std::unique(begins.begin(), begins.end()), begins.end());
  std::sort(admissions.begin(), admissions.end(),
            [](const Span& a, const Span& b) { return a.answered_ns < b.answered_ns; });

  std::vector<Wide> asleep;
  for (const std::int64_t begin : begins) asleep.push_back(begin * stretch - kSleep);
  MaxTree v(asleep);
  std::vector<bool> is_awake(begins.size(), false);
  const Wide interval = Wide{bucket.interval_ns} * kClockUnit;
  for (const Span& span : admissions) {
    const auto at = std::lower_bound(begins.begin(), begins.end(), span.sent_ns) - begins.begin();
    const auto p = static_cast<std::size_t>(at);
    if (!is_awake[p]) v.add(p, kSleep, false);
    is_awake[p] = true;
    v.add(p, interval, true);
    if (v.max() > span.answered_ns * stretch + bucket.burst * interval) return span.answered_ns;
  }
  return std::nullopt;
}

/// Says whether Bound A holds in every window.
inline bool is_within_bound(const Bucket& bucket, std::vector<Span> admissions) {
  return !first_breach(bucket, std::move(admissions), SpanClock::ours);
}

/// Counts what an exact limiter admits, for the arrivals of one key in any order.
inline std::int64_t oracle(const Bucket& bucket, std::vector<std::int64_t> arrivals_ns) {
  std::sort(arrivals_ns.begin(), arrivals_ns.end());
  const std::int64_t tolerance = bucket.interval_ns * bucket.burst;
  std::int64_t tat = std::numeric_limits<std::int64_t>::min();
  std::int64_t admitted = 0;
  for (const std::int64_t now : arrivals_ns) {
    const std::int64_t next = std::max(tat, now) + bucket.interval_ns;
    if (next - now > tolerance) continue;
    tat = next;
    ++admitted;
  }
  return admitted;
}

}  // namespace examples
