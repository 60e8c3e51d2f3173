#include "tools/rlctl/asking.hpp"

#include "tools/rlctl/common.hpp"
#include "tools/rlctl/text.hpp"

namespace rl::ctl {

std::uint64_t cost_of(const Arguments& arguments) {
  const std::uint64_t cost = arguments.count(Arg::cost, 1);
  if (cost == 0) throw Error(Errc::bad_option, "--cost 0: a call costs something; give at least 1");
  return cost;
}

std::optional<std::chrono::nanoseconds> wait_of(const Arguments& arguments) {
  if (!arguments.has(Arg::wait)) return {};
  return parse_duration(spelling(Arg::wait), arguments.text(Arg::wait));
}

bool gives_permits(const Limiter& limiter) {
  return rl::gives_permits(limiter.limit().algorithm());
}
bool gives_permits(const Limiters& limiters) {
  return limiters.size() == 1 && gives_permits(limiters[0]);
}

void check_can_be_asked(const Arguments& arguments, const Limiters& limiters) {
  const std::string& policy = arguments.text(Arg::policy);
  if (limiters[0].limit().algorithm() == Algorithm::counter) {
    throw Error(Errc::bad_option,
                fmt::format("policy \"{}\" only counts, and takes no calls; `rlctl why {} KEY` "
                            "says what a key has come to",
                            policy, arguments.text(Arg::segment)));
  }
  if (gives_permits(limiters) && arguments.has(Arg::cost)) {
    throw Error(
        Errc::bad_option,
        fmt::format("policy \"{}\" gives permits, and a permit has no cost; leave --cost out",
                    policy));
  }
}

std::string decided_by(const Limiters& limiters, const AllOf& all) {
  return limiters.size() > 1 ? limiters.policy(all.which) : "";
}

std::string never_passes(std::uint64_t cost, const std::string& policy, const Decision& decision) {
  return fmt::format(
      "a cost of {} is above the most that may pass at once under policy \"{}\" and can never "
      "pass; ask for at most {}",
      cost, policy, decision.limit);
}

}  // namespace rl::ctl
