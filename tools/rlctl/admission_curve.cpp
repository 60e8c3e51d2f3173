#include "tools/rlctl/admission_curve.hpp"

#include <algorithm>
#include <optional>

#include "src/policy.hpp"

namespace rl::ctl {
namespace {

/// Says until when to look. Who takes all that is left a few dozen times until then, and nothing in
/// between, has had all that there was: it never came to more than passes at once.
std::uint64_t length_ns(const Limit& limit) {
  if (counts_by_windows(limit.algorithm()))
    return 3 * static_cast<std::uint64_t>(limit.period().count()) - 1;  // the fourth is not begun
  constexpr std::uint64_t kFewest = 20;
  const std::uint64_t calls = std::max(2 * limit.burst(), kFewest);
  const auto interval = static_cast<std::uint64_t>(limit.interval().count());
  return interval > kTimeMax / calls ? kTimeMax : interval * calls;
}

/// Takes all that there is now, as who always asks has done. Returns how much that was.
std::uint64_t take_all(const Parameters& parameters, std::uint64_t& state, std::uint64_t now_ns) {
  const std::uint64_t left = peek(parameters, state, now_ns, 1).remaining;
  if (left == 0) return 0;
  const Verdict verdict = acquire(parameters, state, now_ns, left);
  if (!verdict.allowed) return 0;
  state = verdict.state;
  return left;
}

}  // namespace

std::vector<AdmissionPoint> admissions(const Limit& limit, std::size_t steps) {
  if (!takes_calls(limit.algorithm()) || steps == 0) return {};
  const std::optional<Policy> policy = policy_from(constants_of(limit, {0, 0, 0}));
  if (!policy) return {};
  __extension__ using Wide = unsigned __int128;
  const std::uint64_t length = length_ns(limit);
  const std::size_t fine = (kAdmissionSteps + steps - 1) / steps;
  std::vector<AdmissionPoint> points;
  std::uint64_t state = 0;
  std::uint64_t admitted = 0;
  for (std::size_t i = 0; i <= steps * fine; ++i) {
    const auto at = static_cast<std::uint64_t>(Wide{length} * i / (steps * fine));
    admitted += take_all(policy->parameters, state, at);
    if (i % fine == 0)
      points.push_back({std::chrono::nanoseconds(static_cast<std::int64_t>(at)), admitted});
  }
  return points;
}

}  // namespace rl::ctl
